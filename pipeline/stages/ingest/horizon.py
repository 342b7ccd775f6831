"""How far do the data reach, and which rows speak of days beyond?

The extract date follows from the data, so one slip of the pen could carry it years ahead and make
months due that nobody has lived. The subtle point: a few rows after a gap of more than a year are
such a slip; a start some weeks ahead is scheduled, and counts when its day has come.
"""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from pipeline.data.schema import Table
from pipeline.settings import Settings
from pipeline.stages.rules import EARLIEST, KNOWN_ON, LATEST, TEXT, Rule

LONGEST_GAP_DAYS = 366
FEW = 0.01
"""So few rows after such a gap are taken for slips."""
RECORDED = "recorded_at"
OPEN = dt.date(9999, 12, 31)
OF_THE_WORLD = ("calendar", "outages", "targets")
"""Tables whose dates say nothing about how far the export reaches."""


def speaks_of_the_past(table: Table) -> bool:
    """True for a table whose dates tell how far the export reaches."""
    return bool(table.event_time) and table.name not in OF_THE_WORLD


def far_ahead(rows: ir.Table, table: Table, settings: Settings) -> list[Rule]:
    """Rules for days that lie far after all others of their column; none with `extract_date`."""
    if settings.extract_date or not speaks_of_the_past(table):
        return []
    found = []
    for name in (RECORDED, table.event_time):
        if name and name in rows.columns:
            last = _last_day(rows, name)
            if last:
                ahead = rows[name].cast("date") > ibis.literal(last)
                found.append(Rule("far_ahead", name, ahead, rows[name + TEXT]))
    return found


def _last_day(rows: ir.Table, column: str) -> dt.date | None:
    """The day before the first long gap among the last few rows; None when there is none."""
    days = rows.group_by(day=rows[column].cast("date")).agg(n=rows.count())
    counted = (
        days.filter((days.day >= EARLIEST) & (days.day <= LATEST))
        .order_by("day")
        .to_pyarrow()
        .to_pylist()
    )
    few = FEW * sum(row["n"] for row in counted)
    after, last = 0, None
    for earlier, later in zip(counted[-2::-1], counted[:0:-1], strict=True):
        after += later["n"]
        if after > few:
            break
        if (later["day"] - earlier["day"]).days > LONGEST_GAP_DAYS:
            last = earlier["day"]
    return last


def ahead(rows: ir.Table, table: Table, last: dt.date) -> ir.Table | None:
    """Rows dated after the last day of the data; None for a table without a past."""
    if not speaks_of_the_past(table) or table.event_time not in rows.columns:
        return None
    return rows.filter(rows[table.event_time].cast("date") > ibis.literal(last))


def after_last_paid_day(events: ir.Table, subscriptions: ir.Table) -> ir.Table:
    """Events on a day when all that the account had paid for was over.

    Judged by what had begun by that day, so that a later return changes nothing.
    """
    paid = subscriptions.filter(subscriptions.mrr > 0)
    end = paid.end_date if "end_date" in paid.columns else ibis.null("date")
    spans = paid.select("account_id", "start_date", until=ibis.coalesce(end, OPEN))
    reached = spans.group_by("account_id", "start_date").agg(until=spans.until.max())
    order = ibis.window(group_by="account_id", order_by="start_date")
    so_far = ibis.window(group_by="account_id", order_by="start_date", rows=(None, 0))
    gaps = reached.mutate(
        reach=reached.until.max().over(so_far),
        goes_on=ibis.coalesce(reached.start_date.lead().over(order), OPEN),
    )
    gaps = gaps.filter(gaps.goes_on > gaps.reach).select("account_id", "reach", "goes_on")
    dated = events.select("account_id", KNOWN_ON, day=events.occurred_at.date())
    in_gap = [dated.account_id == gaps.account_id, dated.day > gaps.reach, dated.day < gaps.goes_on]
    return dated.join(gaps, in_gap).select(dated)


def newest_of(rows: ir.Table, table: Table) -> dict[str, ir.DateScalar]:
    """The newest day of each column that tells how far the rows reach, where they have it."""
    names = [name for name in (RECORDED, table.event_time) if name and name in rows.columns]
    return {name: rows[name].max().cast("date") for name in names}
