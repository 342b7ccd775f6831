"""How often does it happen per subject, when it can happen again?

The mean number of events per subject by each time: the Nelson-Aalen sum over the counting process,
with a variance that holds whatever the dependence between one subject's events (Lawless-Nadeau).
The subtle point: a subject is at risk while it is under observation, also between an event and its
return; and each subject counts once, however many events it had.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def mean_count(
    until: ArrayLike,
    event_subjects: ArrayLike,
    event_times: ArrayLike,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the mean number of events per subject by each event time.

    Args:
        until: per subject, the time until which it was observed; everybody from time 0.
        event_subjects: per event, the position of its subject in `until`.
        event_times: per event, its time, at most its subject's `until`.
        confidence: level of the two-sided interval, on the log scale.

    Returns:
        One row per distinct event time: time, estimate, std_err, ci_low, ci_high, at_risk, events.

    Raises:
        ValueError: an event lies after its subject's observation.

    Source: Nelson (1988), J Quality Technology 20: 24; Lawless & Nadeau (1995), Technometrics 37:
    158.
    """
    ends = np.asarray(until, dtype=float)
    subjects = np.asarray(event_subjects, dtype=np.int64)
    moments = np.asarray(event_times, dtype=float)
    late = moments > ends[subjects]
    if late.any():
        raise ValueError(
            f"{late.sum()} events lie after the end of their subject's observation. A count cannot "
            "go on unseen: end the observation later, or leave these events out as an exclusion."
        )
    times, counts = np.unique(moments, return_counts=True)
    at_risk = len(ends) - np.searchsorted(np.sort(ends), times, side="left")
    estimate = np.cumsum(counts / at_risk)
    std_err = np.sqrt(_variance(ends, subjects, moments, times, counts, at_risk))
    spread = np.exp(stats.norm.ppf((1 + confidence) / 2) * std_err / estimate)
    return pd.DataFrame(
        {"time": times, "estimate": estimate, "std_err": std_err, "ci_low": estimate / spread,
         "ci_high": estimate * spread, "at_risk": at_risk, "events": counts}
    )  # fmt: skip


def _variance(
    ends: NDArray, subjects: NDArray, moments: NDArray, times: NDArray, counts: NDArray,
    at_risk: NDArray,
) -> NDArray[np.float64]:  # fmt: skip
    """Sum over subjects of the squared difference of own and expected weighted counts.

    Squares, products and what has come to rest are running sums over the times: O(n + events).
    """
    expected = np.concatenate([[0.0], np.cumsum(counts / at_risk**2)])
    last = np.searchsorted(times, ends, side="right")  # times at which the subject is seen
    order = np.lexsort((moments, subjects))
    whose, place = subjects[order], np.searchsorted(times, moments[order])
    weight = 1 / at_risk[place]
    own = _running_within(whose, weight)  # the weighted count with this event in it

    def running(places: NDArray, values: NDArray | None = None) -> NDArray:
        return np.cumsum(np.bincount(places, values, minlength=len(times) + 1)[: len(times)])

    # Σ (own − expected)²: expected stands still once a subject has left, own between its events
    totals = np.bincount(whose, weight, minlength=len(ends))
    squares = running(place, own**2 - (own - weight) ** 2)
    present = running(place, weight) - running(last, totals)
    crossed = expected[1:] * present + running(last, totals * expected[last])
    still = len(ends) - running(last)
    spent = still * expected[1:] ** 2 + running(last, expected[last] ** 2)
    return np.maximum(squares - 2 * crossed + spent, 0.0)


def _running_within(groups: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Running sums that begin anew with each group; the groups stand together."""
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    sizes = np.diff(np.append(first, len(groups)))
    rank = np.arange(len(groups)) - np.repeat(first, sizes)
    sums = np.array(values, dtype=float)
    for number in range(1, sizes.max(initial=0)):  # few have many events
        later = np.flatnonzero(rank == number)
        sums[later] += sums[later - 1]
    return sums
