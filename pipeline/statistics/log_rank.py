"""Do groups differ in how fast they have the event?

The log-rank test with strata and delayed entry together; statsmodels' `survdiff` fails on the two
together. The subtle point: the risk set at t holds subjects with entry < t <= exit, each within
its own stratum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics.risk_intervals import RiskIntervals, number_at_risk, risk_intervals


@dataclass(frozen=True)
class Test:
    """A chi-squared test; when it could not be made all is missing and `reason` says why."""

    __test__ = False  # a result, not a test for pytest to collect

    statistic: float
    df: int
    p_value: float
    reason: str = ""


def log_rank(
    durations: ArrayLike,
    events: ArrayLike,
    groups: ArrayLike,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> Test:
    """Test whether groups share one hazard at every time, within strata.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        groups: label of the group of each subject.
        entry: time from which each was under observation; None = from the origin.
        strata: label of the stratum of each subject; None = one stratum.

    Returns:
        A Test with groups − 1 degrees of freedom, groups never at risk of an event left out.

    Source: Mantel (1966); Klein & Moeschberger (2003), sections 7.3 and 7.5.
    """
    intervals = risk_intervals(durations, events, entry)
    labels, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(labels) < 2:
        return _no_test(f"{len(labels)} group: a comparison needs two")
    if not intervals.code.any():
        return _no_test("no events")
    layer = np.zeros(len(group)) if strata is None else np.asarray(strata).astype(str)
    excess, expected = np.zeros(len(labels)), np.zeros(len(labels))
    variance = np.zeros((len(labels), len(labels)))
    for name in np.unique(layer):
        rows = layer == name
        parts = _stratum(intervals.subset(rows), group[rows], len(labels))
        excess, expected, variance = (
            total + part for total, part in zip((excess, expected, variance), parts, strict=True)
        )
    return _chi_squared(excess, expected, variance)


def _stratum(
    intervals: RiskIntervals, group: NDArray, n_groups: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Return events minus expected, expected, and hypergeometric covariance, per group."""
    happened = intervals.code > 0
    times, where = np.unique(intervals.exit[happened], return_inverse=True)
    members = [intervals.subset(group == label) for label in range(n_groups)]
    at_risk = np.column_stack([number_at_risk(member, times) for member in members])
    total = at_risk.sum(axis=1)
    events = np.bincount(where, minlength=len(times))
    observed = np.bincount(group[happened], minlength=n_groups)
    share = at_risk / total[:, None]
    expected = (events[:, None] * share).sum(axis=0)
    spread = events * (total - events) / np.maximum(total - 1, 1)
    variance = np.diag((spread[:, None] * share).sum(axis=0)) - share.T @ (spread[:, None] * share)
    return observed - expected, expected, variance


def _chi_squared(excess: NDArray, expected: NDArray, variance: NDArray) -> Test:
    kept = np.flatnonzero(expected > 0)
    if len(kept) < 2:
        return _no_test("only one group was at risk when events happened")
    free = kept[:-1]
    block = variance[np.ix_(free, free)]
    if np.linalg.matrix_rank(block) < len(free):
        return _no_test("no event happened while two groups were at risk together")
    statistic = float(excess[free] @ np.linalg.solve(block, excess[free]))
    return Test(statistic, len(free), float(stats.chi2.sf(statistic, len(free))))


def _no_test(reason: str) -> Test:
    return Test(np.nan, 0, np.nan, reason)
