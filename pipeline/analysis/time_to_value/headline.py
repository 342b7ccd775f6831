"""The headline of time to value: median, and share by day 30 and 90."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.time_to_value.incidence import (
    ALL,
    MARK_DAYS,
    curve_of,
    percentile_of,
    share_by,
    supported_days,
)
from pipeline.analysis.time_to_value.starters import (
    VALUE,
    has_milestones,
    months_before,
    recent,
    starters,
)

RECENT = "_recent"


def headline(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    cut_off: dt.date,
    observation_start: dt.date | None,
    confidence: float,
    is_final: bool = True,
) -> pd.DataFrame:
    """Median time to value and value by day 30 and 90, for all starters and the last 12 months'.

    `previous` and `year_ago` are the same numbers at the cut-off one month and 12 months earlier,
    recomputed from this slice. While the report is not final its cut-off will still move: what is
    estimated is provisional. Gives one row per headline; n_events counts accounts with value.
    """
    days = [cut_off, months_before(cut_off, 1), months_before(cut_off, 12)]
    now, previous, year_ago = (
        _headline_at(accounts, account_months, spells, day, observation_start, confidence)
        for day in days
    )
    on_file = has_milestones(accounts, account_months)
    note = now["note"] if on_file else "the company records no milestones"
    state = now["state"] if is_final else now["state"].replace("ok", "provisional")
    return now.assign(
        state=state, note=note, previous=previous["estimate"], year_ago=year_ago["estimate"]
    ).reset_index(names="name")


def _headline_at(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    cut_off: dt.date,
    observation_start: dt.date | None,
    confidence: float,
) -> pd.DataFrame:
    everybody = starters(accounts, account_months, spells, cut_off, observation_start)
    rows, n_events = {}, {}
    for suffix, members in (("", everybody), (RECENT, recent(everybody, cut_off))):
        curve = curve_of(members, ALL, ALL, confidence)
        rows["median_time_to_value_days" + suffix] = _median_row(curve)
        for day in MARK_DAYS:
            rows[f"value_by_day_{day}_share{suffix}"] = _share_row(curve, members, day)
        n_events[suffix] = int((members["outcome"] == VALUE).sum())
    columns = ["estimate", "ci_low", "ci_high", "n", "state", "note"]
    found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return found.assign(n_events=[n_events[_suffix(name)] for name in found.index])


def _suffix(name: str) -> str:
    return RECENT if name.endswith(RECENT) else ""


def _median_row(curve: pd.DataFrame) -> tuple:
    if curve.empty:
        return np.nan, np.nan, np.nan, 0, "not_available", "nobody started"
    days, low, high, n, note = percentile_of(curve, 0.5)
    if np.isfinite(days):
        return days, low, high, n, "ok", note
    if note.startswith("not reached"):
        return days, low, high, n, "not_reached", note
    return days, low, high, n, "not_available", note


def _share_row(curve: pd.DataFrame, members: pd.DataFrame, day: int) -> tuple:
    if curve.empty:
        return np.nan, np.nan, np.nan, 0, "not_available", "nobody started"
    share, low, high, _, n, note = share_by(curve, day, supported_days(members))
    return share, low, high, n, "ok" if np.isfinite(share) else "not_available", note
