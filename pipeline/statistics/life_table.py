"""How many are left at each age, and how fast do they leave?

Kaplan-Meier curves with delayed entry, their quantiles, and occurrence/exposure rates by band.
The subtle point: where the curve is still 1 or already 0 the log-log interval does not exist, and
is missing here; a zero-width interval would claim certainty from having seen nothing. lifelines
gives that interval, and refuses a curve whose risk set is empty for a while, hence our own.
A period life table is this same curve with entry = age when the period began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pipeline.statistics.risk_intervals import (
    RiskIntervals,
    distinct,
    number_at_risk,
    risk_intervals,
)


@dataclass(frozen=True)
class RiskTable:
    """Counts at each distinct time at which a subject left, by event or by censoring."""

    time: NDArray[np.float64]
    at_risk: NDArray[np.int64]
    events: NDArray[np.int64]
    censored: NDArray[np.int64]


def risk_table(
    durations: ArrayLike, events: ArrayLike, entry: ArrayLike | None = None
) -> RiskTable:
    """Count who is at risk, has the event and is censored at each distinct time.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        entry: time from which each was under observation; None = from the origin.

    Returns:
        A RiskTable, one row per distinct time.

    Raises:
        ValueError: see `risk_intervals`; or an event is neither 0 nor 1.

    Source: definition.
    """
    return count_risk(_two_state(durations, events, entry))


def count_risk(intervals: RiskIntervals) -> RiskTable:
    """Make the risk table of checked intervals; any code above 0 counts as the event.

    Source: definition.
    """
    time, where = distinct(intervals.exit)
    left = np.bincount(where, minlength=len(time))
    events = np.bincount(where[intervals.code > 0], minlength=len(time))
    return RiskTable(time, number_at_risk(intervals, time), events, left - events)


def kaplan_meier(
    durations: ArrayLike,
    events: ArrayLike,
    entry: ArrayLike | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the share that has not had the event, with log-log limits.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        entry: time from which each was under observation; None = from the origin.
        confidence: level of the two-sided interval.

    Returns:
        One row per distinct time: time, estimate, ci_low, ci_high, at_risk, events, censored. The
        limits are missing where the estimate is 1 or 0. No subjects give no rows.

    Source: Kaplan & Meier (1958); variance: Greenwood (1926); limits: Kalbfleisch & Prentice,
    "The statistical analysis of failure time data" (2002), section 1.4.
    """
    table = risk_table(durations, events, entry)
    estimate = surviving(table)
    ci_low, ci_high = _log_log_limits(table, estimate, confidence)
    return pd.DataFrame(
        {
            "time": table.time,
            "estimate": estimate,
            "ci_low": ci_low,
            "ci_high": ci_high,
            "at_risk": table.at_risk,
            "events": table.events,
            "censored": table.censored,
        }
    )


def surviving(table: RiskTable) -> NDArray[np.float64]:
    """Return the Kaplan-Meier share that has not had the event just after each time of a table.

    Source: Kaplan & Meier (1958).
    """
    return np.cumprod(1 - table.events / table.at_risk, dtype=np.float64)


def quantile(curve: pd.DataFrame, share: float) -> tuple[float, float, float]:
    """Read off when the surviving share first falls to `share` or below, with limits.

    Args:
        curve: the frame of `kaplan_meier` (time, estimate, ci_low, ci_high).
        share: surviving share, 0.5 for the median.

    Returns:
        (estimate, ci_low, ci_high) in the unit of the clock; missing = not reached, or open.

    Source: Brookmeyer & Crowley (1982), applied to the log-log band.
    """
    return (
        first_time(curve, curve["estimate"] <= share),
        first_time(curve, curve["ci_low"] <= share),
        first_time(curve, curve["ci_high"] <= share),
    )


def first_time(curve: pd.DataFrame, holds: pd.Series) -> float:
    """Return the first time of a curve at which a condition holds; missing if it never does.

    Source: definition.
    """
    return float(curve["time"].to_numpy()[holds.to_numpy().argmax()]) if holds.any() else np.nan


def hazard_by_band(
    durations: ArrayLike,
    events: ArrayLike,
    entry: ArrayLike | None,
    edges: ArrayLike,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Estimate the event rate per unit of time in each band of the clock: events over exposure.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        entry: time from which each was under observation; None = from the origin.
        edges: increasing limits of the bands; a band is (start, end], the first includes its start.
        confidence: level of the exact Poisson interval.

    Returns:
        One row per band: band_start, band_end, exposure, events, hazard, ci_low, ci_high. Hazard
        and limits are missing where nobody was exposed.

    Source: exact limits: Garwood (1936).
    """
    intervals = _two_state(durations, events, entry)
    limits = np.asarray(edges, dtype=float)
    exposure = np.diff(_exposure_until(intervals, limits))
    happened = intervals.exit[(intervals.code > 0) & (intervals.exit >= limits[0])]
    band = np.maximum(np.searchsorted(limits, happened, side="left") - 1, 0)
    counts = np.bincount(band, minlength=len(limits))[: len(limits) - 1]
    tail = (1 - confidence) / 2
    lowest = np.where(counts > 0, stats.chi2.ppf(tail, 2 * np.maximum(counts, 1)) / 2, 0.0)
    highest = stats.chi2.ppf(1 - tail, 2 * (counts + 1)) / 2
    seen = np.where(exposure > 0, exposure, np.nan)
    columns = {"band_start": limits[:-1], "band_end": limits[1:], "exposure": exposure}
    rates = {"hazard": counts / seen, "ci_low": lowest / seen, "ci_high": highest / seen}
    return pd.DataFrame({**columns, "events": counts, **rates})


def _exposure_until(intervals: RiskIntervals, limits: NDArray) -> NDArray[np.float64]:
    start = np.maximum(intervals.entry, 0.0)
    return np.array(
        [np.clip(np.minimum(intervals.exit, limit) - start, 0, None).sum() for limit in limits]
    )


def _two_state(durations: ArrayLike, events: ArrayLike, entry: ArrayLike | None) -> RiskIntervals:
    intervals = risk_intervals(durations, events, entry)
    if (intervals.code > 1).any():
        raise ValueError(
            f"{(intervals.code > 1).sum()} events are neither 0 nor 1. One curve has one kind of "
            "event; use aalen_johansen for several causes."
        )
    return intervals


def _log_log_limits(
    table: RiskTable, estimate: NDArray, confidence: float
) -> tuple[NDArray, NDArray]:
    defined = (estimate > 0) & (estimate < 1)
    staying = np.where(table.at_risk > table.events, table.at_risk - table.events, np.inf)
    greenwood = np.cumsum(table.events / (table.at_risk * staying))
    share = np.where(defined, estimate, 0.5)
    reach = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(greenwood) / -np.log(share)
    low, high = share ** np.exp(reach), share ** np.exp(-reach)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)
