"""How do subscriptions of another shape become intervals? One conversion per shape.

Works on rows that passed the rules of their own shape; makes rows of the raw table `subscriptions`.
A ledger row is an interval of its month, and neighbours join by themselves; a change holds until
the next one; a flat row is placed so that its tenure ends on the cut-off. The subtle point: with
`recorded_at` a change that came late ends the row before it from the day it became known, so that
no earlier report can see it.
"""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from pipeline.data.reading import FILE, LINE
from pipeline.data.schema import MONEY, RAW, Table
from pipeline.settings import Settings, longest_days
from pipeline.stages.rules import KNOWN_ON, TEXT
from pipeline.stages.shapes.days import placed_on
from pipeline.stages.shapes.received import CHANGES, INTERVALS, LONGEST_MONTHS, MONTHLY

NOMINAL_MRR = 1
"""What a flat row without money pays, so that it counts as paid; no report shows it."""
ENDS = ("end_type", "end_reason", "notice_date")
"""What the row that says "nothing any more" tells of the one before it."""


def as_intervals(rows: ir.Table, table: Table, settings: Settings) -> ir.Table:
    """Rows of a shape as rows of `subscriptions`; the table's own rows stay as they are.

    One row per ledger row, per change (and day on which it looked otherwise) or per flat row.
    """
    shape = settings.source.shape
    if table.name != "subscriptions" or shape == INTERVALS:
        return rows
    if shape == MONTHLY:
        return _months(rows, table.key)
    if shape == CHANGES:
        return _between(rows, table.key)
    unit = settings.source.tables["subscriptions"].tenure_unit or "days"
    return _placed(rows, unit, placed_on(rows, settings))


def start_of(rows: ir.Table, unit: str, day: dt.date) -> ir.Value:
    """The first day of a tenure that ends on a day; equal tenures start together.

    A month of tenure is as long as the longest possible anniversary (31, 62, 92 days …), as every
    month mark is, so that months stay months; a part of one is that part of its days.
    """
    end = ibis.literal(day)
    whole = rows.tenure.floor().cast("int64")
    if unit == "months":
        marks = ibis.array([longest_days(month) for month in range(LONGEST_MONTHS + 2)])
        until = marks[ibis.least(whole, LONGEST_MONTHS)]
        after = marks[ibis.least(whole, LONGEST_MONTHS) + 1]
        whole = until + ((rows.tenure - whole) * (after - until)).floor().cast("int64")
    return (end - whole.as_interval("D")).cast("date")


def _months(rows: ir.Table, key: tuple[str, ...]) -> ir.Table:
    """Each ledger row as the interval of its month."""
    after = (rows.period + ibis.interval(months=1)).cast("date")
    return _as_subscriptions(rows.mutate(start_date=rows.period, end_date=after), key)


def _between(rows: ir.Table, key: tuple[str, ...]) -> ir.Table:
    """Each change as the interval until the next one, as it was known at each recorded moment."""
    lines = [name for name in key if name != "effective_date"]
    filled = rows.mutate(**{name: rows[name].fill_null("") for name in lines})
    whose = [*lines]
    if "recorded_at" in rows.columns:
        filled = _as_known(filled, lines)
        whose.append("recorded_at")
    window = ibis.window(group_by=whose, order_by="effective_date")
    has_gone = (filled.mrr.lead().over(window) == 0).fill_null(False)
    said = {
        name: ibis.coalesce(
            ibis.ifelse(has_gone, filled[name].lead().over(window), None), filled[name]
        )
        for name in ENDS
        if name in filled.columns
    }
    dated = filled.mutate(
        start_date=filled.effective_date.date(),
        end_date=filled.effective_date.lead().over(window).date(),
        **said,
    )
    if "recorded_at" in rows.columns:
        dated = _without_repetitions(dated, lines)
        dated = dated.mutate(**{KNOWN_ON: dated.recorded_at.date()})
    return _as_subscriptions(dated, key)


def _as_known(rows: ir.Table, lines: list[str]) -> ir.Table:
    """Every change of a line as it was known at each moment at which any of them was recorded."""
    known = rows.mutate(recorded_at=ibis.coalesce(rows.recorded_at, rows.effective_date))
    moments = known.select(*lines, asked_at="recorded_at").distinct()
    then = known.join(moments, lines).filter(lambda t: t.recorded_at <= t.asked_at)
    newest = ibis.row_number().over(
        group_by=[*lines, "effective_date", "asked_at"], order_by=then.recorded_at.desc()
    )
    then = then.mutate(place=newest).filter(lambda t: t.place == 0)
    return then.mutate(recorded_at=then.asked_at).drop("place", "asked_at")


def _without_repetitions(dated: ir.Table, lines: list[str]) -> ir.Table:
    """Only the moments at which an interval looked otherwise than before."""
    said = [
        name
        for name in dated.columns
        if name not in (FILE, LINE, KNOWN_ON, "recorded_at", *lines)
        and not name.endswith(TEXT)
        and name in RAW["subscriptions"].columns
    ]
    window = ibis.window(group_by=[*lines, "effective_date"], order_by="recorded_at")
    is_first = ibis.row_number().over(window) == 0
    same = [dated[name].identical_to(dated[name].lag().over(window)) for name in said]
    is_same = same[0]
    for one in same[1:]:
        is_same = is_same & one
    return dated.mutate(is_new=is_first | ~is_same).filter(lambda t: t.is_new).drop("is_new")


def _placed(rows: ir.Table, unit: str, day: dt.date) -> ir.Table:
    """Each flat row as one interval whose tenure ends on a day; open when the account is there."""
    flat = rows.mutate(
        start_date=start_of(rows, unit, day),
        end_date=ibis.ifelse(rows.churned, ibis.literal(day), None),
        mrr=rows.mrr if "mrr" in rows.columns else ibis.literal(NOMINAL_MRR).cast(MONEY),
    )
    return _as_subscriptions(flat.mutate(**{KNOWN_ON: flat.start_date}), ("account_id",))


def _as_subscriptions(rows: ir.Table, key: tuple[str, ...]) -> ir.Table:
    """Under the columns of `subscriptions`; the key of the shape is the interval's id."""
    parts = [_said(rows, name) for name in key]
    name = parts[0]
    for part in parts[1:]:
        name = name + " · " + part
    kept = [column for column in RAW["subscriptions"].columns if column in rows.columns]
    kept = [column for column in kept if column != "subscription_id"]
    return rows.select(FILE, LINE, *kept, KNOWN_ON, subscription_id=name)


def _said(rows: ir.Table, name: str) -> ir.StringValue:
    return rows[name].cast(str).fill_null("")
