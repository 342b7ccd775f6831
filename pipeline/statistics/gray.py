"""Do groups differ in the incidence of one cause, when causes compete?

Gray's K-sample test, for subjects observed from the origin; neither lifelines nor statsmodels has
one. The subtle point: it is a log-rank test in which who left by another cause stays at risk. The
risk set of group k at t is n·(1 − F(t−))/S(t−), F the group's incidence and S its curve of staying,
and the variance has a part from every cause. With m = n/S(t−), M its sum over groups, G the pooled
incidence and dG its steps,

    score     sum of d_i − D m_i (1 − F_i) / sum(m (1 − F))
    a_ik      m_i (1{i = k} − m_k / M)
    c_ik      running sum of a_ik dG / (1 − G(t−))
    variance  sum over groups k and times of u_ik u_jk w, where
              own cause      u = a + h (c(∞) − c),  h = 1 − (1 − G)/S,  w = dG S(t−)/n
              other causes   u = h' (c − c(∞)),     h' = (1 − G)/S,     w = d S(t−)²/n²

and w is lessened for ties as in a hypergeometric variance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics.log_rank import Test
from pipeline.statistics.risk_intervals import number_at_risk, risk_intervals


@dataclass(frozen=True)
class _Groups:
    """One row per group, one column per time at which somebody left by a cause."""

    at_risk: NDArray[np.float64]
    own: NDArray[np.float64]
    other: NDArray[np.float64]


def gray_test(durations: ArrayLike, causes: ArrayLike, groups: ArrayLike, cause: int) -> Test:
    """Test whether groups share one incidence of a cause at every time.

    Args:
        durations: time at which each subject was last seen, from the origin.
        causes: 0 = censored, 1 … K = the cause of leaving.
        groups: label of the group of each subject.
        cause: the cause whose incidence it is.

    Returns:
        A Test with groups − 1 degrees of freedom; all missing, with the reason, when there is
        nothing to compare.

    Source: Gray (1988), Annals of Statistics 16: 1141, with rho = 0.
    """
    intervals = risk_intervals(durations, causes)
    labels, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(labels) < 2:
        return Test(np.nan, 0, np.nan, f"{len(labels)} group: a comparison needs two")
    if not (intervals.code == cause).any():
        return Test(np.nan, 0, np.nan, "no events")
    times = np.unique(intervals.exit[intervals.code > 0])
    rows = []
    for label in range(len(labels)):
        member = intervals.subset(group == label)
        is_own = member.code == cause
        is_other = (member.code > 0) & ~is_own
        counts = (_count(times, member.exit[which]) for which in (is_own, is_other))
        rows.append((number_at_risk(member, times), *counts))
    score, variance = _score_and_variance(_Groups(*np.array(rows, float).transpose(1, 0, 2)))
    free = slice(0, len(labels) - 1)
    if np.linalg.matrix_rank(variance[free, free]) < len(labels) - 1:
        return Test(np.nan, 0, np.nan, "no event happened while all groups were at risk")
    statistic = float(score[free] @ np.linalg.solve(variance[free, free], score[free]))
    df = len(labels) - 1
    return Test(statistic, df, float(stats.chi2.sf(statistic, df)))


def _count(times: NDArray[np.float64], exits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(np.searchsorted(times, exits), minlength=len(times)).astype(float)


def _score_and_variance(g: _Groups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The score of each group and its covariance."""
    n = np.maximum(g.at_risk, 1.0)
    after = np.cumprod(1 - (g.own + g.other) / n, axis=1, dtype=np.float64)
    before = _just_before(after, 1.0)
    incidence = _just_before(np.cumsum(before * g.own / n, axis=1), 0.0)
    weight = np.where(g.at_risk > 0, g.at_risk / np.where(before > 0, before, 1.0), 0.0)
    total, events = weight.sum(axis=0), g.own.sum(axis=0)
    adjusted = weight * (1 - incidence)
    score = (g.own - events * adjusted / adjusted.sum(axis=0)).sum(axis=1)
    steps = events / total
    pooled = np.cumsum(steps)
    pooled_before = _just_before(pooled[None, :], 0.0)[0]
    a = weight[:, None] * (np.eye(len(n))[:, :, None] - weight[None] / total)
    c = np.cumsum(a * steps / (1 - pooled_before), axis=2)
    to_come = c[:, :, -1:] - c
    still = np.where(after > 0, (1 - pooled) / np.where(after > 0, after, 1.0), 0.0)
    own_ties = 1 - np.where(events > 1, (events - 1) / np.maximum(total * before - 1, 1e-12), 0.0)
    own_weight = np.where(g.at_risk > 0, own_ties * steps * before / n, 0.0)
    other_ties = 1 - np.where(g.other > 1, (g.other - 1) / np.maximum(n - 1, 1e-12), 0.0)
    other_weight = other_ties * g.other * before**2 / n**2 * (after > 0)
    by_own, by_other = a + (1 - still) * to_come, still * to_come
    variance = np.einsum("ikt,jkt,kt->ij", by_own, by_own, own_weight)
    return score, variance + np.einsum("ikt,jkt,kt->ij", by_other, by_other, other_weight)


def _just_before(values: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    return np.column_stack([np.full(len(values), first), values[:, :-1]])
