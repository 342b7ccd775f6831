"""How good are predicted risks when not everybody was followed to the horizon?

The Brier score and its scaled form, the AUC at a horizon and Uno's concordance, each weighted by
the inverse of the probability of not yet being censored; and plain concordance with delayed entry
and strata, which lifelines computes over pairs that were never at risk together. The subtle point:
at a tied time events leave the risk set before censorings do, so a subject with an event at t was
uncensored up to just before t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.life_table import RiskTable, count_risk, surviving
from pipeline.statistics.risk_intervals import RiskIntervals, risk_intervals

TIE_DIGITS = 12
"""Of a score over the largest one: equal covariates give sums that differ in their last digit."""


@dataclass(frozen=True)
class BrierScore:
    """The mean squared error of predicted risks, that of one risk for all, and the share saved."""

    score: float
    null: float
    scaled: float


def brier_score(
    durations: ArrayLike, events: ArrayLike, risk: ArrayLike, horizon: float
) -> BrierScore:
    """Measure the error of the predicted risks of an event by the horizon.

    Args:
        durations: time at which each subject was last seen; all are seen from the origin.
        events: 1 = had the event then, 0 = censored then.
        risk: predicted probability of the event by the horizon, one per subject.
        horizon: in the unit of the clock.

    Returns:
        A BrierScore. `null` is the error of the Kaplan-Meier risk of all, `scaled` is
        1 − score/null. All missing when everybody was censored by the horizon.

    Source: Graf et al. (1999); scaled: Kattan & Gerds (2018), the index of prediction accuracy.
    """
    intervals = risk_intervals(durations, events)
    predicted = np.asarray(risk, dtype=float)
    case, control = _case_and_control_weights(intervals, horizon)
    overall = 1 - _step(surviving(count_risk(intervals)), intervals, horizon)

    def error(share: NDArray | float) -> float:
        return float(np.mean(case * (1 - share) ** 2 + control * share**2))

    score, null = error(predicted), error(overall)
    return BrierScore(score, null, 1 - score / null if null > 0 else np.nan)


def auc_at(durations: ArrayLike, events: ArrayLike, risk: ArrayLike, horizon: float) -> float:
    """Estimate how often who had the event by the horizon had a higher risk than who had not.

    Args:
        durations: time at which each subject was last seen; all are seen from the origin.
        events: 1 = had the event then, 0 = censored then.
        risk: predicted risk, or any score that rises with it.
        horizon: in the unit of the clock.

    Returns:
        The cumulative/dynamic AUC, ties counted half; missing without a case or a control.

    Source: Uno et al. (2007), JASA 102: 527.
    """
    intervals = risk_intervals(durations, events)
    score = _joined(risk)
    case, control = _case_and_control_weights(intervals, horizon)
    below, tied = _weight_below(score[control > 0], control[control > 0], score)
    total = case.sum() * control.sum()
    return float((case * (below + tied / 2)).sum() / total) if total > 0 else np.nan


def uno_c(durations: ArrayLike, events: ArrayLike, risk: ArrayLike, horizon: float) -> float:
    """Estimate how often, of two subjects, the one with the earlier event had the higher risk.

    Args:
        durations: time at which each subject was last seen; all are seen from the origin.
        events: 1 = had the event then, 0 = censored then.
        risk: predicted risk, or any score that rises with it.
        horizon: pairs whose earlier event lies after it do not count.

    Returns:
        Uno's C, free of the censoring pattern; ties in risk count half; missing without a pair.

    Source: Uno et al. (2011), Stat Med 30: 1105.
    """
    intervals = risk_intervals(durations, events)
    weights = np.zeros(len(intervals))
    counted = (intervals.code > 0) & (intervals.exit <= horizon)
    weights[counted] = _uncensored_before(intervals)[counted] ** -2.0
    agreeing, pairs = _pairs(intervals, _joined(risk), weights)
    return agreeing / pairs if pairs > 0 else np.nan


def concordance(
    durations: ArrayLike,
    events: ArrayLike,
    risk: ArrayLike,
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> float:
    """Estimate Harrell's C over the pairs that were at risk together.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        risk: predicted risk, or any score that rises with it.
        entry: time from which each was under observation; None = from the origin.
        strata: label of the stratum of each subject; only pairs within one count; None = one.

    Returns:
        The share of pairs in agreement, ties in risk counted half; missing without a pair.

    Source: Harrell et al. (1982); with delayed entry as Therneau, R package survival, concordance.
    """
    intervals = risk_intervals(durations, events, entry)
    score = _joined(risk)
    layer = np.zeros(len(score)) if strata is None else np.asarray(strata).astype(str)
    agreeing, pairs = 0.0, 0.0
    for name in np.unique(layer):
        inside = intervals.subset(layer == name)
        more = _pairs(inside, score[layer == name], (inside.code > 0).astype(float))
        agreeing, pairs = agreeing + more[0], pairs + more[1]
    return agreeing / pairs if pairs > 0 else np.nan


def _joined(risk: ArrayLike) -> NDArray[np.float64]:
    """Return scores in which those that differ by rounding only are tied."""
    score = np.asarray(risk, dtype=float)
    return np.round(score / (np.abs(score).max(initial=0) or 1.0), TIE_DIGITS)


def _pairs(intervals: RiskIntervals, score: NDArray, weights: NDArray) -> tuple[float, float]:
    """Add up the weighted pairs in agreement and all pairs, led by each subject with a weight."""
    agreeing, pairs = 0.0, 0.0
    is_censored = intervals.code == 0
    for i in np.flatnonzero(weights):
        moment = intervals.exit[i]
        later = (intervals.exit > moment) | ((intervals.exit == moment) & is_censored)
        others = score[later & (intervals.entry < moment)]
        lower = (others < score[i]).sum() + (others == score[i]).sum() / 2
        agreeing, pairs = agreeing + weights[i] * lower, pairs + weights[i] * len(others)
    return float(agreeing), float(pairs)


def _case_and_control_weights(
    intervals: RiskIntervals, horizon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weigh who had the event by the horizon, and who was seen beyond it; others weigh nothing."""
    is_case = (intervals.exit <= horizon) & (intervals.code > 0)
    is_control = intervals.exit > horizon
    before = _uncensored_before(intervals)
    still_in = _step(_uncensored(count_risk(intervals)), intervals, horizon)
    case = np.where(is_case, 1 / np.where(is_case, before, 1.0), 0.0)
    if still_in == 0:  # everybody left was censored: the risk by the horizon is not known
        return case, np.full(len(intervals), np.nan)
    return case, is_control / still_in


def _uncensored(table: RiskTable) -> NDArray[np.float64]:
    """Return the Kaplan-Meier share not yet censored just after each time of a table."""
    left = np.maximum(table.at_risk - table.events, 1)
    return np.cumprod(1 - table.censored / left)


def _uncensored_before(intervals: RiskIntervals) -> NDArray[np.float64]:
    table = count_risk(intervals)
    before = np.concatenate([[1.0], _uncensored(table)])
    return before[np.searchsorted(table.time, intervals.exit, side="left")]


def _step(values: NDArray, intervals: RiskIntervals, at: float) -> float:
    """Look up a step function over the distinct exit times; 1 before the first."""
    times = np.unique(intervals.exit)
    return float(np.concatenate([[1.0], values])[np.searchsorted(times, at, side="right")])


def _weight_below(
    scores: NDArray, weights: NDArray, at: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up the weights of the scores below, and of those equal to, each score of `at`."""
    order = np.argsort(scores, kind="stable")
    so_far = np.concatenate([[0.0], np.cumsum(weights[order])])
    below = so_far[np.searchsorted(scores[order], at, side="left")]
    return below, so_far[np.searchsorted(scores[order], at, side="right")] - below
