"""How much of the revenue hangs on how few accounts, and how sure is a rate because of it?

Reads mrr_ledger. Makes revenue.concentration and, for the annex, revenue.intervals. The subtle
point: net rates may be negative and are no shares of anything, so that only drawing accounts again
gives them a range.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.revenue.ledger import year_pairs
from pipeline.analysis.revenue.lifetime_value import CHAPTER
from pipeline.analysis.revenue.retention import SMALLEST_EFFECTIVE_N
from pipeline.statistics import bootstrap
from pipeline.statistics.proportions import wilson
from pipeline.statistics.ratios import linearised_ratio, top_share

TOP_SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)
TOP_ACCOUNTS = 5
INTERVAL_TASK = 4
INTERVAL_DRAWS = 1000


def concentration(mrr_ledger: pd.DataFrame, period: str) -> pd.DataFrame:
    """The Lorenz curve of MRR at the end of a month, read from the largest accounts down.

    Returns:
        one row per part of the customers (the five largest, the top 1 % … 50 %): largest, n
        (accounts in it), share_of_customers, share_of_mrr. No rows under SMALLEST_N customers.
    """
    paid = mrr_ledger.loc[(mrr_ledger["period"] == period) & (mrr_ledger["mrr_end"] > 0), "mrr_end"]
    names = ["largest", "n", "share_of_customers", "share_of_mrr"]
    if len(paid) < SMALLEST_N:
        return pd.DataFrame(columns=names)
    parts = [(f"top {share:.0%}", max(round(share * len(paid)), 1)) for share in TOP_SHARES]
    rows = [
        (name, k, k / len(paid), top_share(paid, k))
        for name, k in [(f"{TOP_ACCOUNTS} accounts", TOP_ACCOUNTS), *parts]
    ]
    return pd.DataFrame(rows, columns=names)


def intervals(mrr_ledger: pd.DataFrame, period: str, confidence: float, seed: int) -> pd.DataFrame:
    """Each rate of the month with its interval by every method that suits it.

    Args:
        mrr_ledger: observed months.
        period: the month.
        confidence: of the intervals.
        seed: of the draws of accounts.

    Returns:
        one row per measure and method: measure, method (wilson, linearised, bootstrap), estimate,
        ci_low, ci_high, n, effective_n, note. Under an effective size of SMALLEST_EFFECTIVE_N the
        limits of a revenue rate are withheld.
    """
    month = mrr_ledger[mrr_ledger["period"] == period].sort_values("account_id")
    stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CHAPTER, INTERVAL_TASK)))
    rows = _lost_share(month, confidence)
    pairs = [(month["mrr_start"], month["mrr_end"], "")]
    year = year_pairs(mrr_ledger, period)
    if year is not None and len(year):
        year = year.sort_index()  # draws go by place
        pairs.append((year["mrr_then"], year["mrr_now"], "_12_months"))
    for then, now, suffix in pairs:
        o, c = (side[then > 0].to_numpy() for side in (then, now))
        for name, kept in (("net", c), ("gross", np.minimum(o, c))):
            rows += _ratio(f"{name}_revenue_retention{suffix}", kept, o, confidence, stream)
    first, last = month["mrr_start"].to_numpy(), month["mrr_end"].to_numpy()
    for name, then, now in (
        ("account_churn_rate", (first > 0).astype(float), (last > 0).astype(float)),
        ("revenue_churn_rate", first, last),
    ):
        rows.append(_drawn(name, then - now, then, confidence, stream))
    return pd.DataFrame(rows)


def _lost_share(month: pd.DataFrame, confidence: float) -> list[dict[str, object]]:
    starts = month[month["mrr_start"] > 0]
    if len(starts) < SMALLEST_N:
        return []
    rate, low, high = wilson(int(starts["mrr_end"].eq(0).sum()), len(starts), confidence)
    return [_row("gross_account_churn_rate", "wilson", rate, (low, high), len(starts), np.nan)]


def _ratio(
    measure: str, kept: NDArray, then: NDArray, confidence: float, stream: np.random.Generator
) -> list[dict[str, object]]:
    found = linearised_ratio(kept, then, confidence)
    size = found.effective_n
    limits = (found.ci_low, found.ci_high) if size >= SMALLEST_EFFECTIVE_N else (np.nan, np.nan)
    return [
        _row(measure, "linearised", found.estimate, limits, len(then), size),
        _drawn(measure, kept, then, confidence, stream),
    ]


def _drawn(
    measure: str, above: NDArray, below: NDArray, confidence: float, stream: np.random.Generator
) -> dict[str, object]:
    """Percentiles of a ratio of sums over draws of accounts."""
    n, total = len(below), below.sum()
    if not total > 0:
        return _row(measure, "bootstrap", np.nan, (np.nan, np.nan), n, 0.0)
    size = float(total**2 / (below**2).sum())
    draws = bootstrap.drawn(n, INTERVAL_DRAWS, stream)
    sums = [(counts @ above, counts @ below) for counts in draws]
    kept, base = (np.concatenate(each) for each in zip(*sums, strict=True))
    ratios = kept[base > 0] / base[base > 0]
    limits = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    if size < SMALLEST_EFFECTIVE_N:
        limits = np.full(2, np.nan)
    return _row(measure, "bootstrap", above.sum() / total, limits, n, size)


def _row(
    measure: str, method: str, estimate: float, limits: tuple | NDArray, n: int, size: float
) -> dict[str, object]:
    note = "interval withheld" if size < SMALLEST_EFFECTIVE_N else ""
    return {"measure": measure, "method": method, "estimate": float(estimate),
            "ci_low": float(limits[0]), "ci_high": float(limits[1]), "n": n,
            "effective_n": size, "note": note}  # fmt: skip
