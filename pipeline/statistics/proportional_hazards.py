"""Does a Cox model's effect stay the same over time, and what survival does the model predict?

The score test of proportional hazards (that of R's survival since version 3; lifelines computes
an older approximation that gives other verdicts) and the Breslow baseline with delayed entry
(lifelines ignores entry times there and interpolates between events). The subtle point: in all sums
a subject counts in the risk set at t when entry < t <= exit, and ties are Efron's: of d tied events
the m-th (from 0) sees a risk set from which the share m/d of the d has gone.

For covariates x and a transform g(t), the test adds x·(g(t) − mean of g) to the model and takes
the score at the fitted coefficients. The sums are those of `risk_sets`, weighted by g and g² at
each event time: O(n p²) for n rows and p covariates, and memory for n × p only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics import risk_sets
from pipeline.statistics.life_table import count_risk, surviving
from pipeline.statistics.risk_intervals import RiskIntervals, risk_intervals, total_at_risk

TRANSFORMS = ("km", "rank", "identity", "log")


def proportional_hazards_test(
    durations: ArrayLike,
    events: ArrayLike,
    covariates: NDArray[np.float64],
    coefficients: ArrayLike,
    entry: ArrayLike | None = None,
    transform: str = "km",
    strata: ArrayLike | None = None,
    terms: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Test whether the log hazard ratios of a fitted Cox model change with time.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        covariates: one row per subject, one column per coefficient.
        coefficients: the fitted log hazard ratios (Efron ties).
        entry: time from which each was under observation; None = from the origin.
        transform: how effects may drift: with "km" (1 − S(t−)), "rank", "identity" or "log" time.
        strata: label of the stratum of each subject; None = one stratum.
        terms: number of the term of each column, for terms of several columns; None = one each.

    Returns:
        One row per term and a last row for all: term (number, or "global"), statistic, df, p_value.
        Missing where the term cannot be tested (its column does not vary when events happen).

    Source: Grambsch & Therneau (1994), as the score test of Therneau, R package survival, cox.zph.
    """
    intervals = risk_intervals(durations, events, entry)
    X = np.asarray(covariates, dtype=float).reshape(len(intervals), -1)
    X = np.asfortranarray(X - X.mean(axis=0))
    risk = risk_sets.relative_risk(X @ np.asarray(coefficients, dtype=float))
    drift = _drift(intervals, transform)
    sums = _Sums.zero(X.shape[1])
    for rows in risk_sets.layers(strata, len(X)):
        if intervals.code[rows].any():
            own = intervals.subset(rows)
            sums = sums + _stratum_sums(own, X[rows], risk[rows], drift[rows])
    score, information = _efficient(sums)
    of_term = np.arange(X.shape[1]) if terms is None else np.asarray(terms)
    tests: list[tuple[int | str, float, int, float]] = [
        (int(term), *_chi_squared(score, information, np.flatnonzero(of_term == term)))
        for term in np.unique(of_term)
    ]
    tests.append(("global", *_chi_squared(score, information, np.arange(X.shape[1]))))
    return pd.DataFrame(tests, columns=["term", "statistic", "df", "p_value"])


def breslow_baseline(
    durations: ArrayLike,
    events: ArrayLike,
    entry: ArrayLike | None,
    linear_predictor: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the cumulative baseline hazard of a Cox model, for a linear predictor of 0.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        entry: time from which each was under observation; None = from the origin.
        linear_predictor: covariates times coefficients of each subject, not centred.

    Returns:
        (times, cumulative_hazard), one value per distinct event time.

    Source: Breslow (1972), discussion of Cox; risk sets of delayed entry.
    """
    intervals = risk_intervals(durations, events, entry)
    times, counts = np.unique(intervals.exit[intervals.code > 0], return_counts=True)
    predictor = np.asarray(linear_predictor, dtype=float)
    centre = float(predictor.mean()) if len(intervals) else 0.0
    risk = np.exp(predictor - centre)
    steps = counts / total_at_risk(intervals, risk, times)
    return times, np.cumsum(steps) * np.exp(-centre)


def survival_at(
    times: NDArray[np.float64],
    cumulative_hazard: NDArray[np.float64],
    linear_predictor: ArrayLike,
    at: ArrayLike,
    follow_up: float | None = None,
) -> NDArray[np.float64]:
    """Predict survival by step lookup in a cumulative baseline hazard.

    Args:
        times: event times of the baseline, increasing.
        cumulative_hazard: baseline at these times.
        linear_predictor: one value per profile, on the scale of the baseline.
        at: times to predict for.
        follow_up: time after which nothing was observed; predictions beyond it are missing.

    Returns:
        One row per profile, one column per time of `at`.

    Source: Cox (1972): exp(−H(t)·exp(η)).
    """
    moments = np.atleast_1d(np.asarray(at, dtype=float))
    steps = np.concatenate([[0.0], cumulative_hazard])
    baseline = steps[np.searchsorted(times, moments, side="right")]
    baseline = np.where(moments > (np.inf if follow_up is None else follow_up), np.nan, baseline)
    ratio = np.exp(np.atleast_1d(np.asarray(linear_predictor, dtype=float)))
    return np.exp(-ratio[:, None] * baseline[None, :])


@dataclass(frozen=True)
class _Sums:
    """Scores and information blocks: of the covariates (1), times drift (g), times its square."""

    score: NDArray[np.float64]
    score_g: NDArray[np.float64]
    information: NDArray[np.float64]
    information_g: NDArray[np.float64]
    information_gg: NDArray[np.float64]

    @classmethod
    def zero(cls, p: int) -> _Sums:
        return cls(np.zeros(p), np.zeros(p), *(np.zeros((p, p)) for _ in range(3)))

    def __add__(self, other: _Sums) -> _Sums:
        mine, theirs = vars(self).values(), vars(other).values()
        return _Sums(*(left + right for left, right in zip(mine, theirs, strict=True)))


def _stratum_sums(intervals: RiskIntervals, X: NDArray, risk: NDArray, drift: NDArray) -> _Sums:
    """Scores and information of one stratum; drift is the same for all events of one time."""
    sets = risk_sets.risk_sets(intervals)
    sums = risk_sets.risk_sums(sets, X, risk)
    g = np.zeros(len(sets.times))
    g[sets.time_of_events()] = drift[sets.happened]
    ones = np.ones(len(g))
    scores = [risk_sets.score(sets, X, sums, weights) for weights in (ones, g)]
    blocks = [risk_sets.information(sets, X, risk, sums, w) for w in (ones, g, g**2)]
    return _Sums(*scores, *blocks)


def _efficient(sums: _Sums) -> tuple[NDArray, NDArray]:
    """Take out of the drift score what refitting the coefficients would explain."""
    solved = np.linalg.pinv(sums.information, hermitian=True)
    score = sums.score_g - sums.information_g @ solved @ sums.score
    return score, sums.information_gg - sums.information_g @ solved @ sums.information_g


def _chi_squared(
    score: NDArray, information: NDArray, columns: NDArray
) -> tuple[float, int, float]:
    block = information[np.ix_(columns, columns)]
    if not (np.diag(block) > 0).all() or np.linalg.matrix_rank(block) < len(columns):
        return np.nan, len(columns), np.nan
    statistic = float(score[columns] @ np.linalg.solve(block, score[columns]))
    return statistic, len(columns), float(stats.chi2.sf(statistic, len(columns)))


def _drift(intervals: RiskIntervals, transform: str) -> NDArray[np.float64]:
    """Return the transform of each subject's exit time, centred on the mean over events."""
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}: choose one of {', '.join(TRANSFORMS)}")
    if transform == "km":
        table = count_risk(intervals)
        survival = np.concatenate([[1.0], surviving(table)])
        values = 1 - survival[np.searchsorted(table.time, intervals.exit)]
    elif transform == "rank":
        values = stats.rankdata(intervals.exit)
    else:
        values = intervals.exit if transform == "identity" else _log(intervals)
    happened = intervals.code > 0
    return values - values[happened].mean() if happened.any() else values


def _log(intervals: RiskIntervals) -> NDArray[np.float64]:
    if ((intervals.exit <= 0) & (intervals.code > 0)).any():
        raise ValueError("events at time 0 have no logarithm: choose another transform")
    return np.log(np.where(intervals.exit > 0, intervals.exit, 1.0))
