"""What was known when? Tables cut to one slice.

A fact is known at `recorded_at`, else at the date it speaks of; an end is known at its notice, else
at itself. Of several versions of a key the latest known holds. Nothing dated after the as-of date
passes, except the start of a return within the grace.
"""

from __future__ import annotations

import datetime as dt
import functools
import operator

import ibis
import ibis.expr.types as ir

from pipeline.data.schema import RAW, Table
from pipeline.data.slice import Slice

ONE_DAY = dt.timedelta(days=1)
HASHED = "key__hash"


def versions_known(
    rows: ir.Table, table: Table, before: dt.date, twice: ir.Table | None = None
) -> ir.Table:
    """One row per key: its latest version known before a day; a day never known counts as known.

    `twice`: what `standing_twice` says of the same rows, where they are too many to sort.
    """
    known = rows.filter(rows.known_on.isnull() | (rows.known_on < before))
    key = _versioned_by(rows, table)
    if not key:
        return known
    if twice is None:
        return _latest(known, key)
    marked = known.mutate(**{HASHED: _hashed(known, key)})
    once = marked.anti_join(twice, HASHED).drop(HASHED)
    return once.union(_latest(marked.semi_join(twice, HASHED).drop(HASHED), key))


def standing_twice(rows: ir.Table, table: Table) -> ir.Table | None:
    """One row per hash of a key that stands in more than one row; None: rows have no versions.

    Whatever else shares the hash is compared as well, which costs a little and changes nothing.
    """
    key = _versioned_by(rows, table)
    if not key:
        return None
    counted = rows.select(**{HASHED: _hashed(rows, key)}).group_by(HASHED).agg(n=ibis._.count())
    return counted.filter(counted.n > 1).select(HASHED)


def _versioned_by(rows: ir.Table, table: Table) -> list[str]:
    """The whole key of rows that may stand in several versions; empty when they may not."""
    key = [name for name in table.key if name in rows.columns]
    return key if len(key) == len(table.key) and "recorded_at" in rows.columns else []


def _hashed(rows: ir.Table, key: list[str]) -> ir.IntegerValue:
    return functools.reduce(operator.xor, [rows[name].hash() for name in key])


def _latest(known: ir.Table, key: list[str]) -> ir.Table:
    latest = ibis.row_number().over(
        group_by=key, order_by=known.recorded_at.desc(nulls_first=False)
    )
    return known.mutate(version=latest).filter(lambda t: t.version == 0).drop("version")


def events_known(rows: ir.Table, name: str, cut: Slice, twice: ir.Table | None = None) -> ir.Table:
    """Rows of a raw table in the slice: known in time and dated up to the as-of date.

    `twice`: as in `versions_known`.
    """
    table = RAW[name]
    known = versions_known(rows, table, cut.known_before, twice)
    if not table.event_time or table.event_time not in rows.columns:
        return known
    moment = known[table.event_time]
    day = moment if table.kind(table.event_time) == "day" else moment.date()
    return masked(known.filter(day.isnull() | (day <= cut.as_of)), table, cut)


def masked(rows: ir.Table, table: Table, cut: Slice) -> ir.Table:
    """Without what a row came to say later: dates after the as-of date, and what came with them."""
    cells = {}
    for name, column in table.columns.items():
        date = column.metadata["known_with"] or name
        is_date = table.kind(date) in ("day", "instant")
        if name in rows.columns and date in rows.columns and is_date:
            is_ahead = rows[date].cast("date") > cut.as_of
            if not column.metadata["is_planned"]:
                cells[name] = ibis.ifelse(is_ahead.fill_null(False), None, rows[name])
    return rows.mutate(**cells)


def paid_rows(subscriptions: ir.Table, cut: Slice) -> ir.Table:
    """One row per paid interval of the slice: account, start, end (null: open), mrr and terms.

    An end after the as-of date, or not known yet, is open. Rows that start after the as-of date
    are kept only within the grace and marked `is_later`: they may bridge a lapse, nothing else.
    """
    rows = with_columns(
        versions_known(subscriptions, RAW["subscriptions"], cut.known_before), "subscriptions"
    )
    latest_return = cut.as_of + dt.timedelta(days=cut.grace_days)
    paid = rows.filter(
        (rows.mrr > 0) & ~rows.is_trial.fill_null(False) & (rows.start_date <= latest_return)
    )
    end_known_on = ibis.least(ibis.coalesce(paid.notice_date, paid.end_date), paid.end_date)
    is_ended = (paid.end_date <= cut.as_of) & (end_known_on < cut.known_before)
    is_noticed = paid.notice_date <= cut.as_of
    return paid.mutate(
        end_date=ibis.ifelse(is_ended, paid.end_date, None),
        end_type=ibis.ifelse(is_ended, paid.end_type, None),
        end_reason=ibis.ifelse(is_ended, paid.end_reason, None),
        notice_date=ibis.ifelse(is_noticed, paid.notice_date, None),
        is_later=paid.start_date > cut.as_of,
    )


def with_columns(rows: ir.Table, name: str) -> ir.Table:
    """The table with every declared column: those the export lacks are empty."""
    table = RAW[name]
    absent = {
        column: ibis.null(table.dtype(column))
        for column in table.columns
        if column not in rows.columns
    }
    return rows.mutate(**absent)
