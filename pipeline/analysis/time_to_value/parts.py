"""How is a part of a whole said, and a difference of two? A share with its limits, or "k of n"."""

from __future__ import annotations

import numpy as np

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.statistics.proportions import wilson


def proportion_of(what: str, k: int, n: int, confidence: float) -> dict[str, object]:
    """A count of accounts as a share of others, with Wilson limits: see `part_of`."""
    row = part_of(what, k, n, n)
    if n >= SMALLEST_N:
        _, low, high = wilson(k, n, confidence)
        row.update(ci_low=float(low), ci_high=float(high))
    return row


def part_of(what: str, part: float, total: float, n: int) -> dict[str, object]:
    """A sum as a share of another, from n accounts; "k of n" instead when they are too few."""
    share = part / total if n >= SMALLEST_N and total > 0 else np.nan
    note = f"{part:,.0f} of {total:,.0f}" if np.isnan(share) else ""
    return {
        "what": what, "k": part, "total": total, "share": share, "ci_low": np.nan,
        "ci_high": np.nan, "n": n, "note": note,
    }  # fmt: skip


def difference_of(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float, float]:
    """First less second, each an estimate with its limits, by the square-and-add rule.

    Source: Zou and Donner, Statistics in Medicine 27 (2008) 1693.
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    low = a - b - np.hypot(a - a_low, b_high - b)
    high = a - b + np.hypot(a_high - a, b - b_low)
    return a - b, low, high
