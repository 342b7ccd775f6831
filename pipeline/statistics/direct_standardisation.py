"""By how much do two groups' rates differ at one mix of levels, when subjects come back?

Direct standardisation: each level's rate in each group, weighted by the level's share of both. A
subject has many rows, so errors are summed by subject before they are squared. The subtle point:
precision is that of the effective number of subjects, which one giant can bring near 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class Difference:
    """Two standardised rates and their difference with its error, limits and p value."""

    first: float
    second: float
    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    p_value: float
    effective_n: float


def standardised_difference(
    subject: ArrayLike, is_second: ArrayLike, level: ArrayLike, above: ArrayLike,
    below: ArrayLike, confidence: float = 0.95, spread: float = 1.0,
) -> Difference:  # fmt: skip
    """Estimate the second group's rate minus the first's, Σ above / Σ below, at one mix.

    Args:
        subject: label of the subject of each row.
        is_second: whether the row belongs to the second group.
        level: its level; one with no row in one of the groups shares a level with all such.
        above: what is counted.
        below: out of what; not negative.
        confidence: level of the two-sided t interval on the effective subjects less 1.
        spread: variance over that of independent subjects (months share shocks); not below 1.

    Returns:
        A Difference; all of it missing when a group has nothing to count out of.

    Source: Keiding & Clayton (2014), Statistical Science 29: 529; linearised by subject as in
    Cochran (1977), section 6.4.
    """
    top, base = np.asarray(above, float), np.asarray(below, float)
    group = np.asarray(is_second, bool)
    _, who = np.unique(np.asarray(subject), return_inverse=True)
    layer = _shared_levels(np.asarray(level).astype(str), group, base)
    if not (base[group].sum() > 0 and base[~group].sum() > 0):
        return _without_limits(np.nan, np.nan, np.nan, 0.0)
    weight = np.bincount(layer, base) / base.sum()
    rates, influence = np.zeros(2), np.zeros(who.max() + 1)
    for side, rows in enumerate((~group, group)):
        total = np.bincount(layer[rows], base[rows], len(weight))
        rate = np.bincount(layer[rows], top[rows], len(weight)) / total
        rates[side] = weight @ rate
        scaled = weight[layer[rows]] / total[layer[rows]]
        pull = scaled * (top[rows] - rate[layer[rows]] * base[rows])
        influence += (1 if side else -1) * np.bincount(who[rows], pull, len(influence))
    n, size = len(influence), np.bincount(who, base)
    effective = float(size.sum() ** 2 / (size**2).sum())
    error = np.sqrt(n / max(n - 1, 1) * (influence**2).sum() * max(spread, 1.0))
    return _with_limits(rates, float(error), effective, confidence)


def _shared_levels(level: NDArray, group: NDArray, base: NDArray) -> NDArray[np.int64]:
    """Codes of levels; those without exposure in both groups share one, or all do."""
    names, code = np.unique(level, return_inverse=True)
    sides = [np.bincount(code[rows], base[rows], len(names)) > 0 for rows in (~group, group)]
    in_both = sides[0] & sides[1]
    rest = ~in_both[code]
    if (rest & (base > 0)).any():
        merged = [base[rest & rows].sum() > 0 for rows in (~group, group)]
        if not all(merged):
            return np.zeros(len(level), dtype=np.int64)
    return np.unique(np.where(rest, len(names), code), return_inverse=True)[1].astype(np.int64)


def _without_limits(first: float, second: float, estimate: float, effective: float) -> Difference:
    return Difference(first, second, estimate, np.nan, np.nan, np.nan, np.nan, effective)


def _with_limits(rates: NDArray, error: float, effective: float, confidence: float) -> Difference:
    estimate = float(rates[1] - rates[0])
    if effective <= 1 or not error > 0:
        return _without_limits(float(rates[0]), float(rates[1]), estimate, effective)
    reach = stats.t.ppf((1 + confidence) / 2, effective - 1) * error
    p_value = 2 * stats.t.sf(abs(estimate) / error, effective - 1)
    return Difference(
        float(rates[0]), float(rates[1]), estimate, error, estimate - reach, estimate + reach,
        float(p_value), effective,
    )  # fmt: skip
