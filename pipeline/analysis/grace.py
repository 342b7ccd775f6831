"""What would another grace say? The same paid relationships, joined over shorter or longer gaps.

Works on spells and returns of one slice; makes frames like spells. The subtle point: a return
later than the slice's own grace is on file only up to the as-of date, so a longer grace settles
less: its cut-off lies that many days before the as-of date.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

UNKNOWN = "unknown"
ENDING = ["lapse_date", "end_type", "end_reason", "mrr_lost"]


def cut_off_of(grace_days: int, slice_grace_days: int, as_of: dt.date, cut_off: dt.date) -> dt.date:
    """The last day up to which every lapse is settled under a grace.

    Args:
        grace_days: the grace asked for.
        slice_grace_days: the grace that the slice was cut with.
        as_of: as-of date of the slice.
        cut_off: analysis cut-off of the slice.
    """
    settled = cut_off + dt.timedelta(days=slice_grace_days - grace_days)
    is_longer = grace_days > slice_grace_days
    known = as_of - dt.timedelta(days=grace_days) if is_longer else as_of
    return min(known, settled)


def paid_runs(spells: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """Each spell cut at its bridged gaps: what was paid without a single day's gap.

    Args:
        spells: account_id, spell, start_date, lapse_date, end_type, end_reason, mrr_lost,
            entry_days, is_age_known.
        returns: account_id, lapse_date, days_observed, has_returned, mrr_lost; every lapse.

    Returns:
        one row per account and run, in order: account_id, spell (of the slice), start_date, the
        columns of ENDING, observed_from, is_age_known. A bridged lapse has end type "unknown": the
        slice keeps the type of those that end a spell.
    """
    bridged = _bridged(spells, returns)
    opened = spells[["account_id", "spell", "start_date"]]
    again = bridged.assign(start_date=bridged["returned_on"])[opened.columns]
    closed = spells[["account_id", "spell", *ENDING]]
    gone = bridged.assign(end_type=UNKNOWN, end_reason=None)[closed.columns]
    starts = _stacked(opened, again, "start_date")
    ends = _stacked(closed, gone, "lapse_date")
    seen = spells.assign(observed_from=_later(spells["start_date"], spells["entry_days"]))
    known = seen[["account_id", "spell", "observed_from", "is_age_known"]]
    return pd.concat([starts, ends[ENDING]], axis=1).merge(
        known, how="left", on=["account_id", "spell"]
    )


def respelled(
    spells: pd.DataFrame, returns: pd.DataFrame, grace_days: int, cut_off: dt.date
) -> pd.DataFrame:
    """The spells that another grace would make.

    Args:
        spells: all spells of the slice, see the schema.
        returns: all its lapses, see the schema.
        grace_days: longest gap that does not end a spell.
        cut_off: last settled day under that grace, see `cut_off_of`.

    Returns:
        one row per account and spell, the columns of spells. A run that would begin after the
        cut-off, where the slice has no spell, is left out: it may not be known to have begun.
    """
    runs = paid_runs(spells, returns)
    gap = (runs["start_date"] - runs.groupby("account_id")["lapse_date"].shift()).dt.days
    opens = gap.isna() | (gap > grace_days)
    spell = opens.groupby(runs["account_id"]).cumsum().astype("int64")
    is_split = opens & runs.duplicated(["account_id", "spell"])
    beyond = is_split & (runs["start_date"] > pd.Timestamp(cut_off))
    merged = runs.assign(spell=spell).groupby(["account_id", "spell"], sort=True)
    first = merged[["start_date", "observed_from", "is_age_known"]].nth(0)
    last = merged[ENDING].nth(-1)
    joined = pd.concat(
        [runs.assign(spell=spell).loc[opens, ["account_id", "spell"]].reset_index(drop=True),
         first.reset_index(drop=True), last.reset_index(drop=True)], axis=1,
    )  # fmt: skip
    kept = joined[~beyond[opens].to_numpy()].reset_index(drop=True)
    return _with_ages(kept, cut_off)[list(spells.columns)]


def _with_ages(joined: pd.DataFrame, cut_off: dt.date) -> pd.DataFrame:
    last_day = pd.Timestamp(cut_off)
    is_churn = joined["lapse_date"] <= last_day
    stop = joined["lapse_date"].where(is_churn, last_day)
    entry = (joined["observed_from"] - joined["start_date"]).dt.days.clip(lower=0)
    duration = (stop - joined["start_date"]).dt.days
    return joined.assign(
        entry_days=entry.astype("int64"),
        duration_days=duration.astype("int64"),
        is_churn=is_churn,
        is_followed=duration > entry,
    )


def _bridged(spells: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """The lapses inside a spell: one row per gap, with its spell and the day of the return."""
    came_back = returns[returns["has_returned"]].sort_values("lapse_date", kind="stable")
    own = spells[["account_id", "spell", "start_date"]].assign(ends=spells["lapse_date"])
    found = pd.merge_asof(
        came_back, own.sort_values("start_date", kind="stable"),
        left_on="lapse_date", right_on="start_date", by="account_id",
    )  # fmt: skip
    inside = found["spell"].notna() & (found["ends"].isna() | (found["ends"] > found["lapse_date"]))
    gaps = found[inside]
    back = _later(gaps["lapse_date"], gaps["days_observed"])
    return gaps.assign(spell=gaps["spell"].astype("int64"), returned_on=back)


def _later(days: pd.Series, by: pd.Series) -> pd.Series:
    return (days + pd.to_timedelta(by, unit="D")).astype(days.dtype)


def _stacked(own: pd.DataFrame, more: pd.DataFrame, by: str) -> pd.DataFrame:
    rows = own.copy() if more.empty else pd.concat([own, more], ignore_index=True)
    return rows.sort_values(["account_id", "spell", by], kind="stable").reset_index(drop=True)
