"""What should a reader know of rows that are used? Remarks, and how far the data reach.

A remark is a `warning` in `quality`: an id that the policy respelled, a rounded amount, a price
level that jumps, use after the last paid day, days still to come. The subtle point: a jump may be
so wide that it stops the run, as a currency without rates does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir

from pipeline.data.reading import DataError
from pipeline.data.schema import RAW, Table
from pipeline.settings import Settings
from pipeline.stages import rules, shapes
from pipeline.stages.ingest import horizon, identity, money
from pipeline.stages.ingest.aside import Aside, Sorted

ON_ROWS = {"id_respelled": identity.RESPELLED, "rounded": money.ROUNDED}
"""Rule → the column that marks the row."""
SUBSCRIPTIONS = "subscriptions"


@dataclass(frozen=True)
class Seen:
    """What one look at the rows to use says: how many, which remarks they bear, how far they go."""

    n_rows: int
    marks: list[tuple[str, str]]
    newest: dict[str, dt.date | None]


def seen(used: ir.Table, table: Table) -> Seen:
    """Look at the rows once: each look judges all of them again."""
    marks = [(rule, name) for rule, name in ON_ROWS.items() if name in used.columns]
    marks += [
        (rule, name)
        for ending, rule in rules.CLOCK_RULES.items()
        for name in used.columns
        if name.endswith(ending)
    ]
    newest = horizon.newest_of(used, table)
    is_there = {name: used[name].any() for _, name in marks}
    (found,) = used.aggregate(n_rows=used.count(), **is_there, **newest).to_pyarrow().to_pylist()
    there = [(rule, name) for rule, name in marks if found[name]]
    return Seen(found["n_rows"], there, {name: found[name] for name in newest})


def on_cells(used: ir.Table, table: Table, found: Seen, aside: Aside) -> None:
    """Count used rows whose cells were read by a policy, not letter by letter."""
    for rule, name in found.marks:
        aside.note(used.filter(used[name]), table, rule, "warning")


def on_all(tables: Mapping[str, Sorted], aside: Aside, settings: Settings) -> dt.date:
    """What only all tables together show; the last day that the data know about."""
    own = tables[SUBSCRIPTIONS]
    for name in (SUBSCRIPTIONS, "adjustments"):
        if name in tables:
            problem = money.without_rates(tables[name].used, RAW[name], settings)
            aside.problems += [problem] if problem else []
    _on_prices(own, aside, settings)
    events = tables.get("usage")
    if events:
        late = horizon.after_last_paid_day(events.used, own.used)
        aside.note(late, events.table, "after_last_paid_day", "warning")
    newest = {
        name: kept.newest.get(kept.table.event_time or "")
        for name, kept in tables.items()
        if horizon.speaks_of_the_past(kept.table)
    }
    last = extract_date(tables, newest, settings)
    if last is None and not aside.problems:
        raise DataError("No date in the raw data says how far they reach. Set extract_date.")
    for name, day in newest.items():
        if day and last and day > last:
            ahead = horizon.ahead(tables[name].used, tables[name].table, last)
            aside.note(ahead, tables[name].table, "scheduled", "warning", is_dated=False)
    return last or rules.LATEST


def _on_prices(own: Sorted, aside: Aside, settings: Settings) -> None:
    limits = settings.quarantine
    shifts = money.level_shifts(own.used, settings.currency)
    wide = shifts[shifts["factor"] > limits.level_shift_warns_above]
    if len(wide):
        rows = money.starts_in(own.used, [month.date() for month in wide["month"]])
        aside.note(rows, own.table, "level_shift", "warning", is_dated=False)
    stop = limits.level_shift_stops_above
    if stop and (wide["factor"] > stop).any():
        aside.problems.append(money.shift_message(wide[wide["factor"] > stop], stop))


def extract_date(
    tables: Mapping[str, Sorted], newest: Mapping[str, dt.date | None], settings: Settings
) -> dt.date | None:
    """The last day the raw data know about; None when they do not say."""
    if settings.extract_date:
        return settings.extract_date
    spoken = shapes.extract_date_of(tables[SUBSCRIPTIONS].used, settings)
    if spoken and settings.source.shape == shapes.TENURE:
        return spoken
    recorded = [kept.newest.get(horizon.RECORDED) for kept in tables.values()]
    days = [day for day in recorded if day] or [day for day in (*newest.values(), spoken) if day]
    return max(days, default=None)
