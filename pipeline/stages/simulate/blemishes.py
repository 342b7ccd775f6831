"""Which rows of the sample company are wrong, and where do they stand?

Tables read: the tables of one block. Tables made: the same with duplicates and planted bad rows.
The subtle point: a bad row is always an additional one, so that leaving it out gives back the
true world.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.stages.simulate.scenario import Scenario

DUPLICATED = ("subscriptions", "usage", "tickets", "touches", "surveys")
HEADER_LINES = 1
LISTED = ("file", "line", "column", "rule", "value")


@dataclass(frozen=True)
class BadRow:
    """One wrong cell: where it will stand, what it says and which rule it breaks."""

    table: str
    column: str
    rule: str
    value: str
    also: tuple[tuple[str, str], ...] = ()


KEYS = {
    "accounts": "account_id",
    "subscriptions": "subscription_id",
    "usage": "usage_id",
    "goals": "goal_id",
    "surveys": "response_id",
    "tickets": "ticket_id",
    "touches": "touch_id",
    "plays": "play_id",
    "contacts": "contact_id",
    "adjustments": "adjustment_id",
}
ORPHAN = "A9999999"
FREE_KEYS = 200  # the last keys of each table name bad rows only
BAD_ROWS = (
    BadRow("accounts", "signed_up_date", "day_unreadable", "2025-13-07"),
    BadRow("accounts", "signed_up_date", "required", ""),
    BadRow("accounts", "touch_model", "unknown_code", "gold"),
    BadRow("accounts", "business_type", "unknown_code", "b2g"),
    BadRow("accounts", "acquisition_cost", "below_minimum", "-1200.00"),
    BadRow("subscriptions", "start_date", "day_unreadable", "2026-02-30"),
    BadRow("subscriptions", "start_date", "required", ""),
    BadRow("subscriptions", "mrr", "below_minimum", "-250.00"),
    BadRow("subscriptions", "mrr", "money_unreadable", "two hundred"),
    BadRow("subscriptions", "mrr", "required", ""),
    BadRow(
        "subscriptions",
        "end_date",
        "end_before_start",
        "2025-03-01",
        (("start_date", "2025-06-01"),),
    ),
    BadRow("subscriptions", "account_id", "unknown_account", ORPHAN),
    BadRow("subscriptions", "billing_interval", "unknown_code", "weekly"),
    BadRow("subscriptions", "end_type", "unknown_code", "churned"),
    BadRow("subscriptions", "seats", "count_unreadable", "many"),
    BadRow("usage", "occurred_at", "instant_unreadable", "2025-04-31T10:00:00"),
    BadRow("usage", "account_id", "unknown_account", ORPHAN),
    BadRow("usage", "occurred_at", "before_sign_up", "2018-01-05T09:00:00"),
    BadRow("usage", "account_id", "required", ""),
    BadRow("usage", "feature", "required", ""),
    BadRow("usage", "quantity", "number_unreadable", "1O"),
    BadRow("tickets", "opened_at", "instant_unreadable", "yesterday"),
    BadRow("tickets", "account_id", "unknown_account", ORPHAN),
    BadRow("tickets", "category", "unknown_code", "praise"),
    BadRow("tickets", "handle_minutes", "below_minimum", "-15"),
    BadRow("surveys", "score", "number_unreadable", "ten"),
    BadRow("surveys", "kind", "unknown_code", "nsp"),
    BadRow("surveys", "account_id", "unknown_account", ORPHAN),
    BadRow("touches", "account_id", "unknown_account", ORPHAN),
    BadRow("touches", "mode", "unknown_code", "medium"),
    BadRow("plays", "triggered_at", "instant_unreadable", "2025-06-31T09:00:00"),
    BadRow("plays", "kind", "required", ""),
    BadRow("contacts", "role", "unknown_code", "janitor"),
    BadRow("contacts", "active_from", "required", ""),
    BadRow("goals", "due_date", "day_unreadable", "2026-00-10"),
    BadRow("adjustments", "amount", "money_unreadable", "12.5.0"),
    BadRow("adjustments", "account_id", "unknown_account", ORPHAN),
)
CONFLICTS = (  # table, column, the two values under one key
    ("accounts", "segment", ("smb", "enterprise")),
    ("subscriptions", "mrr", ("400.00", "4000.00")),
    ("tickets", "category", ("bug", "billing")),
)


def duplicated(
    tables: dict[str, pa.Table], scenario: Scenario, generator: np.random.Generator
) -> dict[str, pa.Table]:
    """Return the tables with a small share of their rows twice, one after the other."""
    if scenario.duplicate_share == 0:
        return tables
    changed = dict(tables)
    for name in DUPLICATED:
        rows = tables[name]
        twice = generator.random(rows.num_rows) < scenario.duplicate_share
        changed[name] = rows.take(pa.array(np.repeat(np.arange(rows.num_rows), 1 + twice)))
    return changed


def with_bad_rows(tables: dict[str, pa.Table]) -> tuple[dict[str, pa.Table], list[dict[str, Any]]]:
    """Return the tables of the first block with the bad rows, and where each stands in its file."""
    changed, planted = dict(tables), []
    for name, rows in tables.items():
        wrong = _wrong_rows(name, rows)
        if not wrong:
            continue
        places = np.linspace(1, rows.num_rows, len(wrong) + 1).astype(int)[:-1]
        pieces, before = [], 0
        for shift, (place, (row, bad)) in enumerate(zip(places, wrong, strict=True)):
            pieces += [rows.slice(before, place - before), pa.Table.from_pylist([row], rows.schema)]
            before = place
            line = int(place) + shift + 1 + HEADER_LINES
            entry = asdict(bad) | {"file": name, "line": line}
            planted.append({key: entry[key] for key in LISTED})
        changed[name] = pa.concat_tables([*pieces, rows.slice(before)]).combine_chunks()
    return changed, planted


def _wrong_rows(name: str, rows: pa.Table) -> list[tuple[dict[str, Any], BadRow]]:
    """Return copies of good rows under new keys, one wrong cell each; conflicts in pairs."""
    if rows.num_rows == 0:
        return []
    wrong = []
    for number, bad in enumerate(bad for bad in BAD_ROWS if bad.table == name):
        row = _copy(name, rows, number)
        wrong.append((row | dict(bad.also) | {bad.column: bad.value or None}, bad))
    for table, column, values in CONFLICTS:
        if table == name:
            row = _copy(name, rows, 90)
            wrong += [
                (
                    row | {column: value},
                    BadRow(name, KEYS[name], "conflicting_key", row[KEYS[name]]),
                )
                for value in values
            ]
    return wrong


def _copy(name: str, rows: pa.Table, number: int) -> dict[str, Any]:
    row = rows.slice((number * 37) % rows.num_rows, 1).to_pylist()[0]
    old = row[KEYS[name]]
    return row | {KEYS[name]: f"{old[0]}{10 ** (len(old) - 1) - FREE_KEYS + number}"}
