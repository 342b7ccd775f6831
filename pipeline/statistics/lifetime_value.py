"""What is a subject worth up to a horizon, when what it pays changes with its age?

The area under the Kaplan-Meier curve times the mean payment of those still there, discounted; the
time at which it repays a cost; and the same sum by weighting complete cases, as a second opinion.
Everything lives on whole days: the curve is constant from one day to the next, so the integral is
exact. The subtle point: weights count subjects, so a resampled value is the same code with other
weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.restricted_mean import Estimate, normal_limits


@dataclass(frozen=True)
class Lives:
    """Subjects followed over (entry, exit] in days, and what they paid by band of age.

    `paid` and `days` have one row per subject and one column per band: payment-days (payment per
    day times days) and days under observation. `band_ends`: last day of each band, increasing.
    """

    entry: NDArray[np.int64]
    exit: NDArray[np.int64]
    is_event: NDArray[np.bool_]
    paid: NDArray[np.float64]
    days: NDArray[np.float64]
    band_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.exit)


def survival_by_day(
    lives: Lives, horizon: int, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the share still there from each day to the next, and who was at risk.

    Returns:
        (survival, at_risk): survival on [t, t + 1) for t = 0 … horizon − 1; at risk on days 1 …
        horizon. A day on which nobody is at risk leaves the curve as it was.

    Source: Kaplan & Meier (1958), with delayed entry.
    """
    weight = np.ones(len(lives)) if weights is None else np.asarray(weights, dtype=float)
    last = horizon + 1
    left = np.bincount(np.minimum(lives.exit, last), weight, last + 1)
    late = lives.entry > 0
    came = np.bincount(np.minimum(lives.entry[late], last), weight[late], last + 1)
    at_risk = (left - came)[::-1].cumsum()[::-1][1:last]
    happened = lives.is_event & (lives.exit <= horizon)
    events = np.bincount(lives.exit[happened], weight[happened], last)[1:last]
    hazard = np.divide(events, at_risk, out=np.zeros(horizon), where=at_risk > 0)
    after = np.cumprod(1 - hazard)
    return np.concatenate([[1.0], after[:-1]]), at_risk


def payment_by_day(
    lives: Lives, horizon: int, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Mean payment per day of those still there, by day of age; the last band seen goes on.

    `weights`: one per subject, or one row per draw of subjects, which gives one row per draw.

    Source: definition: what was paid over the days seen.
    """
    weight = np.ones(len(lives)) if weights is None else np.asarray(weights, dtype=float)
    paid, days = weight @ lives.paid, weight @ lives.days
    is_seen = days > 0
    means = np.divide(paid, days, out=np.zeros_like(paid), where=is_seen)
    last_seen = np.maximum.accumulate(np.where(is_seen, np.arange(days.shape[-1]), -1), axis=-1)
    first_seen = is_seen.argmax(axis=-1, keepdims=True)
    means = np.take_along_axis(means, np.maximum(last_seen, first_seen), axis=-1)
    band = np.searchsorted(lives.band_ends, np.arange(horizon), side="right")
    return means[..., np.minimum(band, days.shape[-1] - 1)]


def cumulative_value(
    survival: NDArray[np.float64], payment: ArrayLike, discount: float = 0.0
) -> NDArray[np.float64]:
    """Value of a new subject up to day 0, 1, … of its life: ∫ S(u) m(u) e^(−discount·u) du.

    Args:
        survival: on [t, t + 1), one number per day.
        payment: per day, one number or one per day.
        discount: continuous rate per day.

    Source: definition; exact, for S and m are constant within a day.
    """
    days = np.arange(len(survival) + 1, dtype=float)
    lengths = -np.diff(np.exp(-discount * days)) / discount if discount else np.ones(len(survival))
    return np.concatenate([[0.0], np.cumsum(survival * np.asarray(payment, float) * lengths)])


def days_to_repay(cumulative: NDArray[np.float64], cost: float, discount: float = 0.0) -> float:
    """The first time, in days, at which the cumulative value reaches a cost; inf = not by the end.

    Within a day the value grows as the discounted payment does.

    Source: definition.
    """
    reached = cumulative >= cost
    if not reached.any():
        return np.inf
    last = int(reached.argmax())
    if last == 0:
        return 0.0
    part = (cost - cumulative[last - 1]) / (cumulative[last] - cumulative[last - 1])
    if not discount:
        return last - 1 + part
    return last - 1 - float(np.log1p(part * np.expm1(-discount)) / discount)


def complete_case_value(
    durations: ArrayLike, events: ArrayLike, values: ArrayLike, horizon: float,
    confidence: float = 0.95,
) -> Estimate:  # fmt: skip
    """Mean value up to a horizon from the subjects seen whole, weighted by 1/P(not yet censored).

    Args:
        durations: time at which each subject was last seen, from its origin (nobody enters late).
        events: 1 = had the event then, 0 = censored then.
        values: what each brought up to min(duration, horizon).
        horizon: in the unit of the clock.
        confidence: level of the two-sided interval.

    Returns:
        An Estimate; missing when nobody was followed to the horizon. The error takes the weights as
        known, which makes it a little too wide.

    Source: Bang & Tsiatis (2000), Biometrika 87: 329.
    """
    exits, happened = np.asarray(durations, float), np.asarray(events, dtype=bool)
    worth = np.asarray(values, float)
    if not (exits >= horizon).any():
        return Estimate(np.nan, np.nan, np.nan, np.nan)
    until = np.minimum(exits, horizon)
    is_whole = happened | (exits >= horizon)
    uncensored = _still_observed(exits, happened, until)
    weighted = np.where(is_whole, worth / np.where(is_whole, uncensored, 1.0), 0.0)
    error = weighted.std(ddof=1) / np.sqrt(len(weighted)) if len(weighted) > 1 else np.nan
    return normal_limits(float(weighted.mean()), float(error), confidence)


def _still_observed(exits: NDArray, happened: NDArray, until: NDArray) -> NDArray[np.float64]:
    """P(censoring time ≥ t): Kaplan-Meier of the censoring times, events leave first at ties."""
    times, where = np.unique(exits, return_inverse=True)
    left = np.bincount(where)
    events = np.bincount(where[happened], minlength=len(times))
    at_risk = left[::-1].cumsum()[::-1] - events
    censored = left - events
    hazard = np.divide(censored, at_risk, out=np.zeros(len(times)), where=at_risk > 0)
    after = np.concatenate([[1.0], np.cumprod(1 - hazard)])
    return after[np.searchsorted(times, until, side="left")]
