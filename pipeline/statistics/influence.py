"""How much does one subject move a Cox model's coefficients?

Score residuals with Efron ties, delayed entry and strata; times the covariance they are the change
of each coefficient when a subject is left out (dfbeta), and summed by cluster they give the robust
covariance. lifelines' own residuals are scaled wrongly, and statsmodels closes the risk interval at
entry. The subtle point: of d tied events the m-th (from 0) sees a risk set from which the share m/d
of the d has gone, so a tied event is at risk with weight 1 − m/d there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics import risk_sets
from pipeline.statistics.risk_intervals import RiskIntervals, risk_intervals


def score_residuals(
    durations: ArrayLike,
    events: ArrayLike,
    covariates: NDArray[np.float64],
    coefficients: ArrayLike,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Contribution of each subject to the score at the fitted coefficients.

    Costs a sort and a few passes over subjects × covariates, however many times and ties there are.

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
    X = np.asfortranarray(np.asarray(covariates, dtype=float).reshape(len(intervals), -1))
    risk = risk_sets.relative_risk(X @ np.asarray(coefficients, dtype=float))
    residuals = np.zeros(X.shape, order="F")
    for rows in risk_sets.layers(strata, len(X)):
        if intervals.code[rows].any():
            residuals[rows] = _of_stratum(intervals.subset(rows), X[rows], risk[rows])
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
    cluster, labels = pd.factorize(np.asarray(clusters))
    columns = [np.bincount(cluster, column, minlength=len(labels)) for column in residuals.T]
    moved = np.column_stack(columns) @ cov
    return np.asarray(moved.T @ moved, dtype=np.float64)


def _of_stratum(intervals: RiskIntervals, X: NDArray, risk: NDArray) -> NDArray[np.float64]:
    """Own covariates less expected at an own event, less what was expected of it while at risk."""
    sets = risk_sets.risk_sets(intervals)
    sums = risk_sets.risk_sums(sets, X, risk)
    happened, when = sets.happened, sets.time_of_events()
    spent = sets.while_at_risk(sums.hazard)
    spent[happened] -= sums.hazard_gone[when]
    expected = sums.mean() / sets.tied[:, None]
    residuals = np.empty(X.shape, order="F")
    for column in range(X.shape[1]):
        at_all, at_tied = sums.all_sum[:, column], sums.tied_sum[:, column]
        pull = sets.while_at_risk(at_all * sums.squared - at_tied * sums.squared_gone)
        lost = at_all * sums.squared_gone - at_tied * sums.squared_gone_twice
        pull[happened] -= lost[when]
        own = -risk * (X[:, column] * spent - pull)
        own[happened] += X[happened, column] - expected[when, column]
        residuals[:, column] = own
    return residuals
