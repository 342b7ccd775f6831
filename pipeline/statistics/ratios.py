"""How sure are we of a ratio of sums, when a few large accounts make most of it?

Retention of revenue is Σ c / Σ o over accounts. The subtle point: its precision is that of the
effective number of accounts, (Σ o)²/Σ o², which one giant can bring near 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True)
class RatioEstimate:
    """A ratio of sums with its linearised error and the effective sample size behind it."""

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float
    effective_n: float


def linearised_ratio(
    numerator: ArrayLike, denominator: ArrayLike, confidence: float = 0.95
) -> RatioEstimate:
    """Estimate R = Σ numerator / Σ denominator over accounts, with a t interval on ESS − 1.

    Args:
        numerator: one value per account, such as its MRR at the end.
        denominator: one value per account, such as its MRR at the start; not negative.
        confidence: level of the two-sided interval.

    Returns:
        A RatioEstimate; std_err = sqrt(n/(n−1) Σ(c − R o)²)/Σo. The ratio is missing when the
        denominators sum to 0; error and limits are missing with an effective n of 1 or less.

    Raises:
        ValueError: lengths differ, a value is missing, or a denominator is negative.

    Source: Cochran (1977), section 6.4, as survey::svyratio; effective sample size: Kish (1965).
    """
    c, o = _pairs(numerator, denominator)
    if o.sum() <= 0:
        return RatioEstimate(np.nan, np.nan, np.nan, np.nan, 0.0)
    ratio = c.sum() / o.sum()
    effective_n = float(o.sum() ** 2 / (o**2).sum())
    if len(o) < 2 or effective_n <= 1:
        return RatioEstimate(float(ratio), np.nan, np.nan, np.nan, effective_n)
    n = len(o)
    std_err = float(np.sqrt(n / (n - 1) * ((c - ratio * o) ** 2).sum()) / o.sum())
    reach = stats.t.ppf((1 + confidence) / 2, effective_n - 1) * std_err
    return RatioEstimate(
        float(ratio), std_err, float(ratio - reach), float(ratio + reach), effective_n
    )


def leave_one_out_range(numerator: ArrayLike, denominator: ArrayLike) -> tuple[float, float]:
    """Return the lowest and highest ratio that leaving out one account would give.

    Missing when fewer than two accounts carry the denominator.

    Source: definition.
    """
    c, o = _pairs(numerator, denominator)
    if (o > 0).sum() < 2:
        return np.nan, np.nan
    left = (c.sum() - c) / (o.sum() - o)
    return float(left.min()), float(left.max())


def top_share(values: ArrayLike, k: int) -> float:
    """Return the share of the total that the k largest values hold; missing when the total is 0.

    Source: definition.
    """
    sizes = np.sort(np.asarray(values, dtype=float))[::-1]
    return float(sizes[:k].sum() / sizes.sum()) if sizes.sum() > 0 else np.nan


def _pairs(numerator: ArrayLike, denominator: ArrayLike) -> tuple[NDArray, NDArray]:
    c, o = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if len(c) != len(o):
        raise ValueError(
            f"{len(c)} numerators and {len(o)} denominators: give one pair per account"
        )
    wrong = ~np.isfinite(c) | ~np.isfinite(o) | (o < 0)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} accounts have a missing value or a negative denominator (rows "
            f"{np.flatnonzero(wrong)[:5].tolist()}). A ratio of sums needs every account."
        )
    return c, o
