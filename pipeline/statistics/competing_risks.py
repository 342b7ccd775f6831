"""How many have left for each reason by each age, when the reasons compete?

The Aalen-Johansen cumulative incidence with delayed entry, exact at ties, with infinitesimal-
jackknife standard errors (what R's survfit gives). lifelines breaks ties between causes by random
jitter, and statsmodels' estimator knows no entry times.

The subtle point is the standard error in linear time. The influence of subject i on the incidence
F of one cause is, with S the curve of staying, h the hazard of leaving and n the number at risk,

    while at risk     B(t) - B(a) - A(a) (F(t) - F(a)),          a = entry
    after the exit b  that at b + 1{own cause} S(b-)/n(b) + g (F(t) - F(b)),
                      g = A(b) - A(a) - 1{event}/(n(b) (1 - h(b)))

where A adds up h/(n (1 - h)) and B adds up S(u-) h_cause(u) (A(u-) - 1/n(u)). Both lines are linear
in per-subject constants, so the sum of squares needs only running sums of their moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics.life_table import RiskTable, count_risk, first_time, surviving
from pipeline.statistics.risk_intervals import RiskIntervals, risk_intervals

ROUNDING = 1e-12
"""Steps that add up to 1 may stop this far short of it."""


def aalen_johansen(
    durations: ArrayLike,
    causes: ArrayLike,
    entry: ArrayLike | None = None,
    confidence: float = 0.95,
    n_causes: int | None = None,
) -> pd.DataFrame:
    """Estimate the cumulative incidence of each cause in the presence of the others.

    Args:
        durations: time at which each subject was last seen.
        causes: 0 = censored, 1 … K = the cause of leaving.
        entry: time from which each was under observation; None = from the origin.
        confidence: level of the two-sided interval.
        n_causes: K, when a cause may have no case; None = the largest code seen.

    Returns:
        One row per cause and distinct time: cause, time, estimate, std_err, ci_low, ci_high,
        at_risk, events. Limits are F^exp(±z·se/(F log F)), missing where F is 0 or 1.

    Raises:
        ValueError: see `risk_intervals`; or a cause lies above `n_causes`.

    Source: Aalen & Johansen (1978); standard error: Therneau, Crowson & Atkinson, "Multi-state
    models and competing risks" (vignette of the R package survival), infinitesimal jackknife.
    """
    intervals = risk_intervals(durations, causes, entry)
    seen = int(intervals.code.max(initial=0))
    if n_causes is not None and seen > n_causes:
        raise ValueError(f"cause {seen} was found but only {n_causes} causes are declared")
    table = count_risk(intervals)
    staying = _staying(table)
    curves = [
        _incidence(cause, intervals, table, staying, confidence)
        for cause in range(1, (n_causes or seen) + 1)
    ]
    return pd.concat(curves, ignore_index=True) if curves else _no_curves()


def incidence_quantile(curve: pd.DataFrame, share: float) -> tuple[float, float, float]:
    """Read off when the incidence of one cause first reaches `share`, with inverted limits.

    Args:
        curve: the rows of one cause from `aalen_johansen`.
        share: incidence to reach, 0.5 for the median.

    Returns:
        (estimate, ci_low, ci_high) in the unit of the clock; missing = not reached, or open.

    Source: definition; limits as Brookmeyer & Crowley (1982) invert those of survival.
    """
    return (
        first_time(curve, curve["estimate"] >= share),
        first_time(curve, curve["ci_high"] >= share),
        first_time(curve, curve["ci_low"] >= share),
    )


@dataclass(frozen=True)
class _Staying:
    """What all causes share, per distinct time."""

    before: NDArray[np.float64]  # share still there just before the time
    leaving: NDArray[np.float64]  # 1/(n (1 - h)): what an own event takes off; 0 once all left
    spread_before: NDArray[np.float64]  # A just before the time
    spread: NDArray[np.float64]  # A at the time


def _staying(table: RiskTable) -> _Staying:
    hazard = table.events / table.at_risk
    after = surviving(table)
    remains = hazard < 1
    leaving = np.where(remains, 1 / (table.at_risk * np.where(remains, 1 - hazard, 1)), 0.0)
    spread = np.cumsum(hazard * leaving)
    return _Staying(_just_before(after, 1.0), leaving, _just_before(spread, 0.0), spread)


def _incidence(
    cause: int, intervals: RiskIntervals, table: RiskTable, staying: _Staying, confidence: float
) -> pd.DataFrame:
    where = np.searchsorted(table.time, intervals.exit)
    events = np.bincount(where[intervals.code == cause], minlength=len(table.time))
    steps = staying.before * events / table.at_risk
    estimate = np.cumsum(steps)
    drift = np.cumsum(steps * (staying.spread_before - 1 / table.at_risk))
    variance = _jackknife_variance(cause, intervals, table, staying, estimate, drift)
    std_err = np.sqrt(np.maximum(variance, 0.0))
    ci_low, ci_high = _log_log_limits(estimate, std_err, confidence)
    return pd.DataFrame(
        {
            "cause": cause,
            "time": table.time,
            "estimate": estimate,
            "std_err": std_err,
            "ci_low": ci_low,
            "ci_high": ci_high,
            "at_risk": table.at_risk,
            "events": events,
        }
    )


def _jackknife_variance(
    cause: int,
    intervals: RiskIntervals,
    table: RiskTable,
    staying: _Staying,
    estimate: NDArray,
    drift: NDArray,
) -> NDArray[np.float64]:
    """Sum the squared influences at each time from running sums over entries and exits."""
    enters = np.searchsorted(table.time, intervals.entry, side="right")
    leaves = np.searchsorted(table.time, intervals.exit)
    spread_in, estimate_in, drift_in = (
        np.concatenate([[0.0], values])[enters] for values in (staying.spread, estimate, drift)
    )
    offset = spread_in * estimate_in - drift_in
    own_cause = (intervals.code == cause) * staying.before[leaves] / table.at_risk[leaves]
    slope = staying.spread[leaves] - spread_in - (intervals.code > 0) * staying.leaving[leaves]
    at_exit = drift[leaves] - spread_in * estimate[leaves] + offset + own_cause
    level = at_exit - slope * estimate[leaves]

    def running(positions: NDArray, values: NDArray) -> NDArray:
        return np.cumsum(np.bincount(positions, values, minlength=len(table.time)))

    def present(values: NDArray) -> NDArray:
        return running(enters, values) - running(leaves, values)

    # present: (drift + offset - spread_in * estimate)^2;  gone: (level + slope * estimate)^2
    return (
        drift**2 * present(np.ones(len(intervals)))
        + 2 * drift * (present(offset) - estimate * present(spread_in))
        + present(offset**2)
        - 2 * estimate * present(offset * spread_in)
        + estimate**2 * present(spread_in**2)
        + running(leaves, level**2)
        + 2 * estimate * running(leaves, level * slope)
        + estimate**2 * running(leaves, slope**2)
    )


def _log_log_limits(
    estimate: NDArray, std_err: NDArray, confidence: float
) -> tuple[NDArray, NDArray]:
    defined = (estimate > 0) & (estimate < 1 - ROUNDING)
    share = np.where(defined, estimate, 0.5)
    reach = stats.norm.ppf((1 + confidence) / 2) * std_err / (share * -np.log(share))
    low, high = share ** np.exp(reach), share ** np.exp(-reach)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def _just_before(values: NDArray, first: float) -> NDArray[np.float64]:
    return np.concatenate([[first], values[:-1]]) if len(values) else values


def _no_curves() -> pd.DataFrame:
    names = ["cause", "time", "estimate", "std_err", "ci_low", "ci_high", "at_risk", "events"]
    whole = {"cause", "at_risk", "events"}
    return pd.DataFrame({name: np.zeros(0, int if name in whole else float) for name in names})
