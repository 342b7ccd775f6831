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
    """Sum over subjects of the squared difference of own and expected weighted counts."""
    expected = np.concatenate([[0.0], np.cumsum(counts / at_risk**2)])
    variance = np.zeros(len(times))
    last = np.searchsorted(times, ends, side="right")  # times at which the subject is seen
    order = np.argsort(subjects, kind="stable")
    with_events, first = np.unique(subjects[order], return_index=True)
    # Subjects without an event: minus the expected count until they leave.
    quiet = np.setdiff1d(np.arange(len(ends)), with_events)
    stops = np.bincount(last[quiet], minlength=len(times) + 1)
    still = len(quiet) - np.cumsum(stops)[: len(times)]
    gone = np.cumsum(stops * expected**2)[: len(times)]
    variance += still * expected[1:] ** 2 + gone
    place = np.searchsorted(times, moments)
    ends_of = np.append(first[1:], len(order)).astype(np.int64)
    for subject, start, end in zip(with_events, first, ends_of[: len(first)], strict=True):
        own = place[order[start:end]]
        mine = np.bincount(own, 1 / at_risk[own], minlength=len(times)).cumsum()
        variance += (mine - expected[np.minimum(np.arange(len(times)) + 1, last[subject])]) ** 2
    return variance
