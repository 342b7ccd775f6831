"""How much does one subject move a Cox model's coefficients?

Score residuals with Efron ties, delayed entry and strata; times the covariance they are the change
of each coefficient when a subject is left out (dfbeta), and summed by cluster they give the robust
covariance. lifelines' own residuals are scaled wrongly, and statsmodels closes the risk interval at
entry. The subtle point: of d tied events the m-th (from 0) sees a risk set from which the share m/d
of the d has gone, so a tied event is at risk with weight 1 − m/d there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.risk_intervals import RiskIntervals, risk_intervals, total_at_risk


def score_residuals(
    durations: ArrayLike,
    events: ArrayLike,
    covariates: NDArray[np.float64],
    coefficients: ArrayLike,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Contribution of each subject to the score at the fitted coefficients.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        covariates: one row per subject, one column per coefficient.
        coefficients: the fitted log hazard ratios (Efron ties).
        entry: time from which each was under observation; None = from the origin.
        strata: label of the stratum of each subject; None = one stratum.

    Returns:
        One row per subject, one column per coefficient; columns add up to 0 at the fit.

    Source: Therneau and Grambsch, "Modeling survival data" (2000), section 4.6.
    """
    intervals = risk_intervals(durations, events, entry)
    X = np.asarray(covariates, dtype=float).reshape(len(intervals), -1)
    linear = X @ np.asarray(coefficients, dtype=float)
    risk = np.exp(linear - (linear.mean() if len(linear) else 0.0))
    layer = np.zeros(len(X)) if strata is None else np.asarray(strata).astype(str)
    residuals = np.zeros_like(X)
    for name in np.unique(layer):
        rows = np.flatnonzero(layer == name)
        if intervals.code[rows].any():
            residuals[rows] = _of_stratum(intervals.subset(layer == name), X[rows], risk[rows])
    return residuals


def robust_covariance(
    residuals: NDArray[np.float64], cov: NDArray[np.float64], clusters: ArrayLike
) -> NDArray[np.float64]:
    """Covariance that holds when rows of one cluster depend on each other.

    Args:
        residuals: from `score_residuals`.
        cov: model-based covariance of the coefficients.
        clusters: label of the cluster of each row.

    Source: Lin and Wei (1989), JASA 84: 1074.
    """
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    summed = np.zeros((cluster.max(initial=-1) + 1, residuals.shape[1]))
    np.add.at(summed, cluster, residuals)
    moved = summed @ cov
    return moved.T @ moved


def _of_stratum(intervals: RiskIntervals, X: NDArray, risk: NDArray) -> NDArray[np.float64]:
    rows = np.flatnonzero(intervals.code > 0)
    rows = rows[np.argsort(intervals.exit[rows], kind="stable")]
    times, first, time_of, tied = np.unique(
        intervals.exit[rows], return_index=True, return_inverse=True, return_counts=True
    )
    gone = ((np.arange(len(rows)) - first[time_of]) / tied[time_of])[:, None]
    weighted = risk[:, None] * X
    all_risk = total_at_risk(intervals, risk, times)[time_of][:, None]
    all_sum = total_at_risk(intervals, weighted, times)[time_of]
    tied_risk = np.add.reduceat(risk[rows], first)[time_of][:, None]
    tied_sum = np.add.reduceat(weighted[rows], first, axis=0)[time_of]
    denominator = all_risk - gone * tied_risk
    mean = (all_sum - gone * tied_sum) / denominator

    def per_time(values: NDArray) -> NDArray:
        return np.add.reduceat(values, first, axis=0)

    hazard, pull = per_time(1 / denominator), per_time(mean / denominator)
    spent = X * _while_at_risk(intervals, times, hazard) - _while_at_risk(intervals, times, pull)
    residuals = -risk[:, None] * spent
    kept = (
        X[rows] * per_time(gone / denominator)[time_of]
        - per_time(gone * mean / denominator)[time_of]
    )
    residuals[rows] += risk[rows, None] * kept
    residuals[rows] += X[rows] - per_time(mean)[time_of] / tied[time_of][:, None]
    return residuals


def _while_at_risk(intervals: RiskIntervals, times: NDArray, values: NDArray) -> NDArray:
    """Add up, per subject, the rows of values at the times at which it is at risk."""
    so_far = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    after_exit = np.searchsorted(times, intervals.exit, side="right")
    return so_far[after_exit] - so_far[np.searchsorted(times, intervals.entry, side="right")]
