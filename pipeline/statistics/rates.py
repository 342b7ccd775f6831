"""How fast do events come, is the pace changing, and do periods differ by more than chance?

Counts over exposure. The subtle point: counts of months share shocks, so they spread more than
Poisson says; the spread is measured, and above 1.2 it widens the interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM

TOLERATED_DISPERSION = 1.2
"""Above it counts are overdispersed and limits are widened; GLOSSARY, overdispersion."""


class Rate(NamedTuple):
    """A rate, a ratio or a spread with its limits."""

    estimate: float
    ci_low: float
    ci_high: float


def poisson_rate(events: int, exposure: float, confidence: float = 0.95) -> Rate:
    """Estimate events per unit of exposure with exact limits; missing without exposure.

    Source: Garwood (1936), Biometrika 28: 437.
    """
    if not exposure > 0:
        return Rate(np.nan, np.nan, np.nan)
    tail = (1 - confidence) / 2
    low = stats.chi2.ppf(tail, 2 * events) / 2 if events else 0.0
    high = stats.chi2.ppf(1 - tail, 2 * (events + 1)) / 2
    return Rate(events / exposure, float(low / exposure), float(high / exposure))


def dispersion(events: ArrayLike, expected: ArrayLike, fitted: int, confidence: float) -> Rate:
    """Pearson's χ² of counts against what was expected, over its degrees of freedom.

    Args:
        events: counts.
        expected: what each was expected to be, above 0.
        fitted: parameters that the expectation used up.
        confidence: of the interval; the spread is chance alone when it holds 1.

    Source: McCullagh & Nelder (1989), section 6.2.
    """
    seen, wanted = np.asarray(events, float), np.asarray(expected, float)
    freedom = len(seen) - fitted
    if freedom < 1 or not (wanted > 0).all():
        return Rate(np.nan, np.nan, np.nan)
    pearson = ((seen - wanted) ** 2 / wanted).sum()
    tail = (1 - confidence) / 2
    low, high = stats.chi2.ppf([1 - tail, tail], freedom)
    return Rate(float(pearson / freedom), float(pearson / low), float(pearson / high))


def poisson_trend(
    events: ArrayLike, exposure: ArrayLike, levels: ArrayLike, time: ArrayLike,
    confidence: float = 0.95,
) -> tuple[Rate, Rate]:  # fmt: skip
    """Ratio of rates per unit of time at the same mix of levels: log-linear Poisson regression.

    Args:
        events: one count per level and period.
        exposure: its exposure; rows without any are left out.
        levels: its level.
        time: when, in the unit the ratio is per.
        confidence: of the intervals.

    Returns:
        (ratio, dispersion). The ratio's error is widened by the root of the dispersion where that
        exceeds 1.2. Both are missing with fewer than two times or without events.

    Source: McCullagh & Nelder (1989), chapter 6; offset log exposure.
    """
    seen, base, when = (np.asarray(values, float) for values in (events, exposure, time))
    names = np.asarray(levels).astype(str)
    has_events = {name for name in np.unique(names) if seen[names == name].sum() > 0}
    kept = (base > 0) & np.isin(names, sorted(has_events))
    missing = Rate(np.nan, np.nan, np.nan)
    if len(np.unique(when[kept])) < 2:
        return missing, missing
    design = _design(names[kept], when[kept])
    model = GLM(seen[kept], design, Poisson(), offset=np.log(base[kept]))
    fit = model.fit()
    spread = dispersion(seen[kept], fit.fittedvalues, design.shape[1], confidence)
    widened = np.sqrt(spread.estimate) if spread.estimate > TOLERATED_DISPERSION else 1.0
    reach = stats.norm.ppf((1 + confidence) / 2) * fit.bse[-1] * widened
    slope = fit.params[-1]
    return Rate(*(float(np.exp(slope + step)) for step in (0.0, -reach, reach))), spread


def _design(levels: NDArray, time: NDArray) -> NDArray[np.float64]:
    """One column per level, then time from its mean."""
    names = np.unique(levels)
    return np.column_stack([levels[:, None] == names, time - time.mean()]).astype(float)
