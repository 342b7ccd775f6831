"""How does the text of one table become values? Every column by kind, its original beside it.

Adds the day a row became known, and marks what a reader must judge: `<column>__gap` and `__twice`
for times that the clock skipped or showed twice, `row__rounded` for amounts with more decimals than
are kept. The subtle point: times with and without a zone in one column stop the run unless the
zone of the bare ones is declared; nobody can tell the hour otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import ibis
import ibis.expr.types as ir

from pipeline.data.reading import EXAMPLES, FILE, LINE, DataError
from pipeline.data.schema import RAW, Table
from pipeline.settings import ConfigurationError, Settings, SourceTable
from pipeline.stages import cells, shapes
from pipeline.stages.ingest import money
from pipeline.stages.ingest.identity import MERGED_FROM, OF_ACCOUNT
from pipeline.stages.rules import EARLIEST, GAP, KNOWN_ON, LATEST, TEXT, TWICE

ATTRIBUTE_KINDS = {
    "category": "text", "flag": "flag", "number": "number", "share": "share", "date": "day",
}  # fmt: skip
MOMENTS = ("day", "instant")
FIXED_ZONES = ("UTC", "Etc/UTC", "GMT", "Etc/GMT")


def check_names(name: str, source: SourceTable, settings: Settings) -> None:
    """ConfigurationError: the source speaks of a table or a column that nobody knows."""
    _check_known("source.tables", "table", [name], sorted(RAW))
    table = shapes.as_received(RAW[name], settings)
    by = {lookup.by for lookup in source.lookup.values()}
    known = sorted({*table.columns, *source.attributes, *by})
    formats = source.date_format if isinstance(source.date_format, dict) else {}
    blocks: dict[str, Iterable[str]] = {
        "columns": source.columns, "date_format": formats, "units": source.units,
        "values": source.values, "lookup": source.lookup, "exclude": source.exclude,
    }  # fmt: skip
    for block, names in blocks.items():
        _check_known(f"source.tables.{name}.{block}", "column", names, known)


def _check_known(place: str, what: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"{place}: no {what} {name!r}{guess}")


def kinds_of(text: ir.Table, table: Table, source: SourceTable) -> dict[str, str]:
    """Kind of every column that the text has, the company's own attributes last."""
    kinds = {name: table.kind(name) for name in table.columns if name in text.columns}
    own = {
        name: ATTRIBUTE_KINDS[kept.type]
        for name, kept in source.attributes.items()
        if name in text.columns
    }
    return kinds | own


def typed(text: ir.Table, table: Table, source: SourceTable, settings: Settings) -> ir.Table:
    """One row per row of the text: values by kind, the cells as written, marks and `known_on`."""
    kinds = kinds_of(text, table, source)
    text = _opened(text, table, source)
    _check_zones(text, kinds, source, table)
    values: dict[str, ir.Value] = {}
    for name, kind in kinds.items():
        cell = text[name]
        if name in source.values:
            cell = cell.strip().substitute(source.values[name], else_=cell)
        values[name] = _value(cell, name, kind, source, settings)
        values[name + TEXT] = text[name + TEXT] if name + TEXT in text.columns else text[name]
        if kind in MOMENTS:
            values |= _clock_marks(cell, name, source, settings)
    own = [name for name in text.columns if name not in values]
    rows = money.in_units(text.select(*own, **values), table, source, settings)
    return _with_known_on(_signed_first(rows), table)


def _opened(text: ir.Table, table: Table, source: SourceTable) -> ir.Table:
    """A declared word for an open end is an empty cell."""
    ends = [
        name
        for name in text.columns
        if name in table.columns
        and table.kind(name) in MOMENTS
        and name not in table.required_columns
    ]
    if not source.open_ended or not ends:
        return text
    return text.mutate(
        **{
            name: ibis.ifelse(
                text[name].strip().isin(source.open_ended), ibis.null(str), text[name]
            )
            for name in ends
        }
    )


def _value(
    cell: ir.StringValue, name: str, kind: str, source: SourceTable, settings: Settings
) -> ir.Value:
    if kind == "id":  # spaces are a matter of the policy of source.ids
        return cell.nullif("")
    layout = format_of(name, source)
    read_as = "number" if kind == "share" else kind
    zone = source.timezone
    is_steady = not has_shifts(settings.timezone) and zone in (None, settings.timezone)
    value = cells.typed(
        cell, read_as, layout, source.decimal, source.thousands, zone, is_steady=is_steady
    )
    overlap = settings.source.daylight_saving.overlap
    if kind in MOMENTS and overlap == "earlier" and has_shifts(zone):
        first = cells.earlier(cell, layout, str(zone))
        value = ibis.coalesce(first.cast("date") if kind == "day" else first, value)
    return value


def format_of(name: str, source: SourceTable) -> str | None:
    """The declared date format of a column."""
    layout = source.date_format
    return layout.get(name) if isinstance(layout, dict) else layout


def has_shifts(zone: str | None) -> bool:
    """False for a zone whose clock is never set forward or back, and for none."""
    return bool(zone) and zone not in FIXED_ZONES


def _clock_marks(
    cell: ir.StringValue, name: str, source: SourceTable, settings: Settings
) -> dict[str, ir.Value]:
    zone = source.timezone or settings.timezone
    if not has_shifts(zone):
        return {}
    is_skipped, is_twice = cells.clock_marks(cell, format_of(name, source), zone)
    return {name + GAP: is_skipped, name + TWICE: is_twice}


def _check_zones(text: ir.Table, kinds: dict[str, str], source: SourceTable, table: Table) -> None:
    """DataError when one column has times with and without a zone and nobody said which."""
    moments = [
        name for name, kind in kinds.items() if kind in MOMENTS and not format_of(name, source)
    ]
    if source.timezone or not moments:
        return
    words = {name: cells.zone_words(text[name]) for name in moments}
    found = text.aggregate(**{name: word.bit_or() for name, word in words.items()})
    facts = found.to_pyarrow().to_pylist()[0]
    for name in moments:
        if facts[name] == cells.BARE | cells.ZONED:
            raise DataError(_mixed_message(text, name, words[name], table))


def _mixed_message(text: ir.Table, name: str, word: ir.IntegerValue, table: Table) -> str:
    bare = text.filter(word == cells.BARE)
    rows = bare.select(FILE, LINE, cell=bare[name]).order_by(FILE, LINE).limit(EXAMPLES)
    places = "\n  ".join(
        f"{row[FILE]} line {row[LINE]}, {name}: {row['cell']}"
        for row in rows.to_pyarrow().to_pylist()
    )
    return (
        f"{table.name}: {bare.count().execute()} times in {name} have no time zone, others in "
        f"that column have one:\n  {places}\nNobody can tell the hour that is meant. Declare the "
        f"zone of those without one as source.tables.{table.name}.timezone."
    )


def _signed_first(rows: ir.Table) -> ir.Table:
    """An account that others were merged into signed up when the first of them did."""
    if MERGED_FROM not in rows.columns or "signed_up_date" not in rows.columns:
        return rows
    group = ibis.window(group_by=OF_ACCOUNT[0])
    is_merged = rows[MERGED_FROM].notnull().any().over(group)
    first = rows.signed_up_date.min().over(group)
    return rows.mutate(signed_up_date=ibis.ifelse(is_merged, first, rows.signed_up_date))


def _with_known_on(rows: ir.Table, table: Table) -> ir.Table:
    """The day a row became known: `recorded_at`, else the date it speaks of."""
    days = []
    if "recorded_at" in rows.columns:
        days.append(rows.recorded_at.date())
    if table.event_time and table.event_time in rows.columns:
        moment = rows[table.event_time]
        is_day = table.kind(table.event_time) != "instant"
        days.append(moment if is_day else moment.date())
    known_on = ibis.coalesce(*days, ibis.null("date")) if days else ibis.null("date")
    is_day = known_on.between(ibis.literal(EARLIEST), ibis.literal(LATEST))
    return rows.mutate(**{KNOWN_ON: ibis.ifelse(is_day, known_on, ibis.null("date"))})
