"""How soon? Incidence of first value against churn before value, and what is read off it.

The subtle point: early leavers stay in the denominator, so a share is of all who started.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N, YEAR_DAYS, fewest_at_risk
from pipeline.analysis.time_to_value.parts import difference_of, proportion_of
from pipeline.analysis.time_to_value.starters import (
    CHURN,
    START_QUARTER,
    VALUE,
)
from pipeline.statistics.competing_risks import aalen_johansen

ALL = "all"
PERCENTILES = (0.10, 0.25, 0.50, 0.75)
MARK_DAYS = (30, 90)
ROUNDING = 1e-12
"""Products of shares miss a round number by less than this."""
COLUMNS = [
    "group", "level", "time_days", "value_share", "ci_low", "ci_high",
    "churned_before_value_share", "n_at_risk", "n_started", "is_supported", "note",
]  # fmt: skip


def at_start(starters: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Share with value on or before the first paid day: one row for all, with limits, k and n."""
    n = len(starters)
    k = int((starters["value_day"] == 0).sum())
    return pd.DataFrame([proportion_of("value on or before day 0", k, n, confidence)])


def incidence(starters: pd.DataFrame, groups: Iterable[str], confidence: float) -> pd.DataFrame:
    """Incidence of first value against churn before value, for everybody and by group.

    Aalen–Johansen with log-log limits. Gives one row per group, level and day on which somebody's
    follow-up changed, day 0 included: the published columns, n_started, is_supported (at least
    max(10, 5 %) of the starters are followed so far) and note. A level with fewer than ten
    starters is one row without a share.
    """
    blocks = [curve_of(starters, ALL, ALL, confidence)]
    for group in dict.fromkeys([*groups, START_QUARTER]):
        for level, members in starters.groupby(group, sort=True):
            blocks.append(curve_of(members, group, str(level), confidence))
    filled = [block for block in blocks if len(block)]
    if not filled:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(filled, ignore_index=True)


def curve_of(members: pd.DataFrame, group: str, level: str, confidence: float) -> pd.DataFrame:
    """The rows of `incidence` for one level; no row for no member.

    Returns:
        One row per day on which something happened; one for a level of fewer than ten members.
    """
    n = len(members)
    if n == 0:
        return pd.DataFrame(columns=COLUMNS)
    if n < SMALLEST_N:
        k = int((members["outcome"] == VALUE).sum())
        small = (group, level, 0, np.nan, np.nan, np.nan, np.nan, n, n, False, f"{k} of {n}")
        return pd.DataFrame([small], columns=COLUMNS)
    found = aalen_johansen(members["days"], members["outcome"], None, confidence, n_causes=2)
    value, churned = (found[found["cause"] == cause].set_index("time") for cause in (VALUE, CHURN))
    curve = value[["estimate", "ci_low", "ci_high", "at_risk"]].assign(
        churned_before_value_share=churned["estimate"]
    )
    if 0.0 not in curve.index:
        curve.loc[0.0] = [0.0, np.nan, np.nan, n, 0.0]
    curve = curve.sort_index().reset_index()
    names = {"time": "time_days", "estimate": "value_share", "at_risk": "n_at_risk"}
    curve = curve.rename(columns=names).astype({"time_days": "int64", "n_at_risk": "int64"})
    is_supported = curve["time_days"] <= supported_days(members)
    facts = {"group": group, "level": level, "n_started": n, "note": ""}
    return curve.assign(is_supported=is_supported, **facts)[COLUMNS]


def both_outcomes(incidence: pd.DataFrame) -> pd.DataFrame:
    """The first 12 months of everybody's curve, as far as supported: value, and churn before it.

    Gives one row per outcome and day: outcome, time_days, share, ci_low, ci_high (of value).
    """
    curve = incidence[incidence["group"] == ALL]
    curve = curve[curve["is_supported"].astype(bool) & (curve["time_days"] <= YEAR_DAYS)]
    value = curve.assign(outcome="value", share=curve["value_share"])
    churned = curve.assign(
        outcome="churned before value",
        share=curve["churned_before_value_share"],
        ci_low=np.nan,
        ci_high=np.nan,
    )
    kept = ["outcome", "time_days", "share", "ci_low", "ci_high"]
    return pd.concat([value[kept], churned[kept]], ignore_index=True)


def supported_days(members: pd.DataFrame) -> int:
    """Longest age to which at least max(10, 5 %) of the starters are followed; −1: none."""
    needed = fewest_at_risk(len(members))
    if len(members) < needed:
        return -1
    return int(np.sort(members["followed_days"].to_numpy())[-needed])


def percentiles(incidence: pd.DataFrame, shares: Sequence[float] = PERCENTILES) -> pd.DataFrame:
    """First day on which so large a share of all starters has value, or "not reached".

    Limits invert the log-log band; an open limit stays blank. Gives one row per group, level and
    share: days, ci_low, ci_high, n, note.
    """
    rows = []
    for (group, level), curve in incidence.groupby(["group", "level"], sort=False):
        for share in shares:
            rows.append((group, level, share, *percentile_of(curve, share)))
    columns = ["group", "level", "share", "days", "ci_low", "ci_high", "n", "note"]
    return pd.DataFrame(rows, columns=columns)


def percentile_of(curve: pd.DataFrame, share: float) -> tuple[float, float, float, int, str]:
    """Days, limits, n and note of one share on one curve."""
    n = int(curve["n_started"].iloc[0])
    if curve["value_share"].isna().all():
        return np.nan, np.nan, np.nan, n, curve["note"].iloc[0]
    seen = curve[curve["is_supported"]]
    days = _first_day(seen, "value_share", share)
    limits = _first_day(seen, "ci_high", share), _first_day(seen, "ci_low", share)
    if np.isfinite(days):
        return days, *limits, n, ""
    if seen.empty:
        return days, np.nan, np.nan, n, "not followed long enough"
    last = seen.iloc[-1]
    reached = f"{100 * last['value_share']:.1f} % by day {last['time_days']:,}"
    return days, *limits, n, f"not reached: {reached}"


def _first_day(curve: pd.DataFrame, column: str, share: float) -> float:
    reached = curve.loc[curve[column] >= share - ROUNDING, "time_days"]
    return float(reached.min()) if len(reached) else np.nan


def shares_by_day(
    starters: pd.DataFrame, incidence: pd.DataFrame, days: Sequence[int] = MARK_DAYS
) -> pd.DataFrame:
    """Share of all starters with value by the end of a day, early leavers in the denominator.

    Gives one row per group, level and day: value_share, ci_low, ci_high,
    churned_before_value_share, n, note.
    """
    rows = []
    for (group, level), curve in incidence.groupby(["group", "level"], sort=False):
        members = starters if group == ALL else starters[starters[group].astype(str) == level]
        for day in days:
            rows.append((group, level, day, *share_by(curve, day, supported_days(members))))
    columns = [
        "group", "level", "day", "value_share", "ci_low", "ci_high", "churned_before_value_share",
        "n", "note",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def share_by(curve: pd.DataFrame, day: int, supported: int) -> tuple:
    """Share with value by a day, its limits, share churned before, n and note."""
    n = int(curve["n_started"].iloc[0])
    if curve["value_share"].isna().all():
        return np.nan, np.nan, np.nan, np.nan, n, curve["note"].iloc[0]
    if supported < day:
        return np.nan, np.nan, np.nan, np.nan, n, f"too few are followed for {day} days"
    last = curve[curve["time_days"] <= day].iloc[-1]
    shown = ("value_share", "ci_low", "ci_high", "churned_before_value_share")
    return *(float(last[name]) for name in shown), n, ""


def by_start_quarter(
    starters: pd.DataFrame, incidence: pd.DataFrame, cut_off: dt.date, day: int = MARK_DAYS[-1]
) -> pd.DataFrame:
    """Is it getting shorter? Share with value by a day, and the median, by quarter of the start.

    A quarter counts only when its last starter has been followed for `day` days. Gives
    one row per such quarter: start_quarter, value_share, ci_low, ci_high, median_days, n.
    """
    curves = incidence[incidence["group"] == START_QUARTER]
    shares = shares_by_day(starters, curves, [day]).rename(columns={"level": START_QUARTER})
    medians = percentiles(curves, [0.5]).set_index("level")["days"]
    ends = pd.PeriodIndex(shares[START_QUARTER].str.replace("-", ""), freq="Q").end_time
    is_followed = ends.normalize() + pd.Timedelta(days=day) <= pd.Timestamp(cut_off)
    full = shares[is_followed & shares["value_share"].notna().to_numpy()]
    full = full.assign(median_days=full[START_QUARTER].map(medians))
    kept = [START_QUARTER, "value_share", "ci_low", "ci_high", "median_days", "n"]
    return full[kept].reset_index(drop=True)


def trend(quarters: pd.DataFrame) -> pd.DataFrame:
    """Newest against oldest quarter: difference of the shares with its interval.

    Gives one row for the two: oldest, newest, share_oldest, share_newest, difference, ci_low,
    ci_high, direction (sooner, later, no clear change, too few quarters).
    """
    columns = [
        "oldest", "newest", "share_oldest", "share_newest", "difference", "ci_low", "ci_high",
        "direction",
    ]  # fmt: skip
    if len(quarters) < 2:
        nothing = ("", "", *[np.nan] * 5, "too few quarters")
        return pd.DataFrame([nothing], columns=columns)
    old, new = quarters.iloc[0], quarters.iloc[-1]
    difference, low, high = difference_of(
        (new["value_share"], new["ci_low"], new["ci_high"]),
        (old["value_share"], old["ci_low"], old["ci_high"]),
    )
    direction = "sooner" if low > 0 else "later" if high < 0 else "no clear change"
    names = old[START_QUARTER], new[START_QUARTER]
    found = (*names, old["value_share"], new["value_share"], difference, low, high, direction)
    return pd.DataFrame([found], columns=columns)
