"""What was known when? Tables cut to one slice.

A fact is known at `recorded_at`, else at the date it speaks of; an end is known at its notice, else
at itself. Of several versions of a key the latest known holds. Nothing dated after the as-of date
passes, except the start of a return within the grace.
"""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.data.schema import RAW, Table
from pipeline.data.slice import Slice
from pipeline.stages import twice

ONE_DAY = dt.timedelta(days=1)


def versions_known(
    rows: ir.Table, table: Table, before: dt.date, hashes: pa.Table | None = None
) -> ir.Table:
    """One row per key: its latest version known before a day; a day never known counts as known.

    `hashes`: of the keys that stand in several rows, where rows are too many to sort.
    """
    known = rows.filter(rows.known_on.isnull() | (rows.known_on < before))
    key = versioned_by(rows, table)
    if not key:
        return known
    if hashes is None:
        return _latest(known, key)
    versions = _latest(twice.among(known, key, hashes), key)
    return twice.not_among(known, key, hashes).union(versions)


def versioned_by(rows: ir.Table, table: Table) -> list[str]:
    """The whole key of rows that may stand in several versions; empty when they may not."""
    key = [name for name in table.key if name in rows.columns]
    return key if len(key) == len(table.key) and "recorded_at" in rows.columns else []


def _latest(known: ir.Table, key: list[str]) -> ir.Table:
    latest = ibis.row_number().over(
        group_by=key, order_by=known.recorded_at.desc(nulls_first=False)
    )
    return known.mutate(version=latest).filter(lambda t: t.version == 0).drop("version")


def events_known(rows: ir.Table, name: str, cut: Slice, hashes: pa.Table | None = None) -> ir.Table:
    """Rows of a raw table in the slice: known in time and dated up to the as-of date.

    `hashes`: as in `versions_known`.
    """
    return in_slice(versions_known(rows, RAW[name], cut.known_before, hashes), name, cut)


def in_slice(known: ir.Table, name: str, cut: Slice) -> ir.Table:
    """As `events_known`, for rows that are known already, each in its latest version."""
    table = RAW[name]
    if not table.event_time or table.event_time not in known.columns:
        return known
    moment = known[table.event_time]
    day = moment if table.kind(table.event_time) == "day" else moment.date()
    return masked(known.filter(day.isnull() | (day <= cut.as_of)), table, cut)


def masked(rows: ir.Table, table: Table, cut: Slice) -> ir.Table:
    """Without what a row came to say later: dates after the as-of date, and what came with them."""
    cells = {}
    for name, column in table.columns.items():
        date = column.known_with or name
        is_date = table.kind(date) in ("day", "instant")
        if name in rows.columns and date in rows.columns and is_date:
            is_ahead = rows[date].cast("date") > cut.as_of
            if not column.is_planned:
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
