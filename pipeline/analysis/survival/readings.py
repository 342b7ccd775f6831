"""What does a survival curve say at one age, and when do half have left?

Works on the rows of `spells_at_risk`. The subtle point: a curve is read only while enough
accounts are at risk. Beyond that age the reading is blank and says so, never extrapolated.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import DAYS_PER_MONTH, SMALLEST_N, fewest_at_risk
from pipeline.statistics import life_table


@dataclass(frozen=True)
class Reading:
    """One number read from a curve, with its interval, n and what must be said about it."""

    estimate: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    n: int = 0
    state: str = "ok"
    note: str = ""


def retention(at_risk: pd.DataFrame, day: int, confidence: float) -> Reading:
    """Share still customer at an age, with its log-log interval.

    Args:
        at_risk: from `spells_at_risk`, `recut` or `recent`.
        day: age in days, included.
        confidence: of the interval.

    Returns:
        The reading; blank and not_available under ten accounts, or when too few are at risk at
        that age.
    """
    n = len(at_risk)
    if n < SMALLEST_N:
        return _few(at_risk)
    followed, least = at_risk_on(at_risk, day), needed(at_risk)
    if followed < least:
        note = f"only {followed} accounts at risk at day {day}, {least} are needed"
        return Reading(n=n, state="not_available", note=note)
    curve = curve_of(at_risk, confidence)
    past = curve[curve["time"] <= day]
    if not at_risk["is_event"].any():
        return Reading(1.0, n=n, state="fragile", note=f"nobody left among {n}: no interval")
    if past.empty:
        return Reading(1.0, n=n, state="fragile", note="nobody left so early: no interval")
    last = past.iloc[-1]
    return _thin(past, Reading(last["estimate"], last["ci_low"], last["ci_high"], n))


def median_lifetime(at_risk: pd.DataFrame, confidence: float) -> Reading:
    """Age by which half have left, in months; "not reached" is a legal answer.

    Args:
        at_risk: from `spells_at_risk` or `recut`.
        confidence: of the band that is inverted; an open limit is blank.

    Returns:
        The reading in months of 30.4375 days.

    Source: Brookmeyer and Crowley (1982), Biometrics 38: 29.
    """
    n = len(at_risk)
    if n < SMALLEST_N:
        return _few(at_risk)
    curve = curve_of(at_risk, confidence)
    supported = curve[curve["at_risk"] >= needed(at_risk)]
    median, low, high = life_table.quantile(curve, 0.5)
    if supported.empty:
        return Reading(n=n, state="not_available", note="too few accounts at risk at any age")
    last = supported.iloc[-1]
    if np.isnan(median) or median > last["time"]:
        months = int(last["time"] // DAYS_PER_MONTH)
        note = f"more than half still customers: {last['estimate']:.3f} at month {months}"
        low = low if low <= last["time"] else np.nan
        return Reading(np.nan, low / DAYS_PER_MONTH, n=n, state="not_reached", note=note)
    note = "upper limit not reached" if np.isnan(high) else ""
    low, high = low / DAYS_PER_MONTH, high / DAYS_PER_MONTH
    found = Reading(median / DAYS_PER_MONTH, low, high, n=n, note=note)
    return _thin(curve[curve["time"] <= median], found)


def recut(at_risk: pd.DataFrame, cut_off: dt.date) -> pd.DataFrame:
    """The same spells as they stood at an earlier cut-off.

    Args:
        at_risk: from `spells_at_risk`.
        cut_off: the earlier day; a churn after it becomes a customer still paid.

    Returns:
        One row per account at risk by then.
    """
    age = (pd.Timestamp(cut_off) - at_risk["start_date"]).dt.days
    has_ended = at_risk["duration_days"] <= age
    flags = [name for name in ("is_event", "is_administrative") if name in at_risk]
    earlier = at_risk.assign(
        duration_days=np.minimum(at_risk["duration_days"], age),
        **{name: at_risk[name] & has_ended for name in flags},
    )
    earlier = earlier.assign(cause=earlier["cause"].where(earlier["is_event"]))
    return earlier[earlier["duration_days"] > earlier["entry_days"]].reset_index(drop=True)


def recent(at_risk: pd.DataFrame, cut_off: dt.date, months: int = 12) -> pd.DataFrame:
    """The period life table's risk sets: only days within the last months to the cut-off count.

    Args:
        at_risk: from `spells_at_risk` or `recut`.
        cut_off: last day of the window.
        months: length of the window.

    Returns:
        One row per account at risk in the window; it enters at the age it had when the window
        began.
    """
    age = (pd.Timestamp(earlier_cut_off(cut_off, months)) - at_risk["start_date"]).dt.days
    window = at_risk.assign(entry_days=np.maximum(at_risk["entry_days"], age))
    return window[window["duration_days"] > window["entry_days"]].reset_index(drop=True)


def curve_of(spells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One Kaplan–Meier curve; under ten accounts its estimate is blank.

    Args:
        spells: duration_days, is_event, entry_days.
        confidence: of the log-log limits.

    Returns:
        One row per time with an event or a censoring: time, estimate, ci_low, ci_high, at_risk,
        events, censored.
    """
    curve = life_table.kaplan_meier(
        spells["duration_days"].to_numpy(float),
        spells["is_event"].to_numpy(bool),
        spells["entry_days"].to_numpy(float),
        confidence,
    )
    if len(spells) < SMALLEST_N:
        return curve.assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
    return curve


def at_risk_on(spells: pd.DataFrame, day: float) -> int:
    """Number of accounts at risk at an age in days."""
    return int(((spells["entry_days"] < day) & (spells["duration_days"] >= day)).sum())


def needed(spells: pd.DataFrame) -> int:
    """Fewest accounts at risk for a curve to be read: ten, or 5 % of its largest risk set."""
    table = life_table.risk_table(
        spells["duration_days"].to_numpy(float),
        spells["is_event"].to_numpy(bool),
        spells["entry_days"].to_numpy(float),
    )
    return fewest_at_risk(float(table.at_risk.max(initial=0)))


def earlier_cut_off(cut_off: dt.date, months: int) -> dt.date:
    """The cut-off some months earlier; the last day of a month stays the last day of a month."""
    day = pd.Timestamp(cut_off)
    earlier = day - pd.DateOffset(months=months)
    return (earlier + pd.offsets.MonthEnd(0) if day.is_month_end else earlier).date()


def days_to_anniversary(months: int) -> int:
    """Days of the longest run of so many calendar months: 31 for 1, 366 for 12, 731 for 24."""
    starts = pd.date_range("2000-01-01", periods=48, freq="MS")
    return int((starts + pd.DateOffset(months=months) - starts).days.max())


def month_edges(last_day: int) -> np.ndarray:
    """Ends of the months of tenure in days, from 0 until `last_day` is covered."""
    edges = [0]
    while edges[-1] < last_day:
        edges.append(days_to_anniversary(len(edges)))
    return np.array(edges)


def _few(spells: pd.DataFrame) -> Reading:
    n, left = len(spells), int(spells["is_event"].sum())
    return Reading(n=n, state="not_available", note=f"{n - left} of {n} had not left")


def _thin(past: pd.DataFrame, reading: Reading) -> Reading:
    """Mark a reading whose curve passed an age with events and a thin risk set."""
    smallest = past.loc[past["events"] > 0, "at_risk"].min()
    if smallest < SMALLEST_N:
        note = f"rests on an age with only {int(smallest)} at risk; {reading.note}".rstrip("; ")
        return replace(reading, state="fragile", note=note)
    return reading
