"""How much time, or discounted value, does a subject yield up to a horizon?

The area under the Kaplan-Meier curve, with a margin per unit of time and a discount rate: margin 1
and no discount is the restricted mean survival time. The subtle point: the variance is Greenwood's,
of the estimator; the "variance" that lifelines returns is that of one subject's time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics.life_table import RiskTable, risk_table, surviving


@dataclass(frozen=True)
class Estimate:
    """An estimate with its standard error and its two-sided limits."""

    estimate: float
    std_err: float
    ci_low: float
    ci_high: float


def restricted_mean(
    durations: ArrayLike,
    events: ArrayLike,
    entry: ArrayLike | None,
    horizon: float,
    confidence: float = 0.95,
    margin: float = 1.0,
    discount: float = 0.0,
) -> Estimate:
    """Estimate margin · ∫₀^horizon S(u) e^(−discount·u) du.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        entry: time from which each was under observation; None = from the origin.
        horizon: upper limit of the integral, in the unit of the clock.
        confidence: level of the two-sided interval.
        margin: value per unit of time while the event has not happened.
        discount: continuous rate per unit of time.

    Returns:
        An Estimate in units of margin × time. All of it is missing when nobody was followed to the
        horizon and the curve has not reached 0: the area beyond is not known.

    Source: Klein & Moeschberger (2003), section 4.5.
    """
    table = risk_table(durations, events, entry)
    area, variance = _area(table, float(horizon), discount)
    return normal_limits(margin * area, abs(margin) * np.sqrt(variance), confidence)


def restricted_mean_difference(
    first: tuple[ArrayLike, ArrayLike, ArrayLike | None],
    second: tuple[ArrayLike, ArrayLike, ArrayLike | None],
    horizon: float,
    confidence: float = 0.95,
    margin: float = 1.0,
    discount: float = 0.0,
) -> Estimate:
    """Estimate the second group's restricted mean minus the first's; the groups are independent.

    Args:
        first: durations, events and entry (or None) of the first group.
        second: the same of the second group.
        horizon: upper limit of the integral, in the unit of the clock.
        confidence: level of the two-sided interval.
        margin: value per unit of time while the event has not happened.
        discount: continuous rate per unit of time.

    Returns:
        An Estimate; missing when either group was not followed to the horizon.

    Source: Klein & Moeschberger (2003), section 4.5; variances of independent groups add up.
    """
    parts = [
        restricted_mean(*group, horizon, confidence, margin, discount) for group in (first, second)
    ]
    difference = parts[1].estimate - parts[0].estimate
    return normal_limits(difference, np.hypot(parts[0].std_err, parts[1].std_err), confidence)


def normal_limits(value: float, std_err: float, confidence: float) -> Estimate:
    """Return an Estimate with normal limits around a value.

    Source: definition.
    """
    reach = stats.norm.ppf((1 + confidence) / 2) * std_err
    return Estimate(float(value), float(std_err), float(value - reach), float(value + reach))


def _area(table: RiskTable, horizon: float, discount: float) -> tuple[float, float]:
    within = table.time <= horizon
    time, at_risk, events = table.time[within], table.at_risk[within], table.events[within]
    survival = np.concatenate([[1.0], surviving(table)[within]])
    is_followed = len(table.time) > 0 and (table.time[-1] >= horizon or survival[-1] == 0)
    if not is_followed:
        return np.nan, np.nan
    knots = np.concatenate([[0.0], time, [horizon]])
    cumulative = np.cumsum(survival * _discounted_length(knots, discount))
    area = cumulative[-1]
    still_to_come = area - cumulative[:-1]
    counted = at_risk > events  # when all at risk leave together, nothing is still to come
    greenwood = events[counted] / (at_risk[counted] * (at_risk[counted] - events[counted]))
    return float(area), float((still_to_come[counted] ** 2 * greenwood).sum())


def _discounted_length(knots: NDArray, discount: float) -> NDArray[np.float64]:
    return -np.diff(np.exp(-discount * knots)) / discount if discount else np.diff(knots)
