"""What makes a row unusable? The rules of one cell, of a key, and of a row among its relations.

Rules of a cell come from the schema's own pandera checks. The first rule that a row breaks names
it in the quarantine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

from pipeline.data.reading import FIELDS
from pipeline.data.schema import Table
from pipeline.stages import cells

TEXT = "__text"
"""Suffix of the column that keeps a cell as it was written."""
EVENTS = ("usage", "tickets", "touches", "surveys")
IMPOSSIBLE_IN_TIME = ("before_sign_up", "before_subscription", "after_subscription")
"""Rows that can be read but cannot be: set aside and counted; they do not stop the run."""


@dataclass(frozen=True)
class Rule:
    """A row is bad when `broken` holds; `column` and `value` say where to look."""

    name: str
    column: str
    broken: ir.BooleanValue
    value: ir.StringValue


def cell_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rules of one cell: field count, required, readable, closed codes, bounds, order of dates."""
    surplus = rows[FIELDS]
    found = [Rule("field_count", "", surplus != 0, surplus.cast(str))]
    for name, column in table.columns.items():
        if name not in rows.columns:
            continue
        value = rows[name]
        text = rows[name + TEXT] if name + TEXT in rows.columns else value.cast(str)
        if column.required:
            found.append(Rule("required", name, text.fill_null("") == "", text.fill_null("")))
        if table.kind(name) in cells.KIND_WORDS:
            found.append(
                Rule(f"{table.kind(name)}_unreadable", name, value.isnull() & (text != ""), text)
            )
        found += [_check_rule(check, name, value, text) for check in column.checks]
    if {"start_date", "end_date"} <= set(rows.columns):
        backwards = rows.end_date < rows.start_date
        found.append(Rule("end_before_start", "end_date", backwards, rows["end_date" + TEXT]))
    if {"valid_from", "valid_to"} <= set(rows.columns):
        backwards = rows.valid_to < rows.valid_from
        found.append(Rule("end_before_start", "valid_to", backwards, rows["valid_to" + TEXT]))
    return found


def _check_rule(check, name: str, value: ir.Value, text: ir.StringValue) -> Rule:
    """A pandera check of the schema as a row rule."""
    limits = check.statistics
    if "allowed_values" in limits:
        return Rule("unknown_code", name, ~value.isin(list(limits["allowed_values"])), text)
    if "min_value" in limits:
        return Rule("below_minimum", name, value < limits["min_value"], text)
    raise NotImplementedError(f"no row rule for the check {check.name} of {name}")


def _key_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rows that share a key and the moment they were recorded, yet differ."""
    key = [name for name in table.key if name in rows.columns]
    if not table.key or len(key) < len(table.key):
        return []
    version = [*key, "recorded_at"] if "recorded_at" in rows.columns else key
    same = rows.count().over(ibis.window(group_by=version))
    shown = reduce(
        lambda left, right: left + " · " + right,
        [rows[name].cast(str).fill_null("") for name in key],
    )
    return [Rule("conflicting_key", key[0], same > 1, shown)]


def relation_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rules that need more than the row: conflicting keys, unknown accounts, impossible times.

    `rows` carry `parent_signed` (and `parent_start`, `parent_end` of their own subscription).
    """
    found = []
    if "parent_signed" in rows.columns:
        orphan = rows.parent_signed.isnull()
        found.append(Rule("unknown_account", "account_id", orphan, rows.account_id))
        if table.name in EVENTS:
            found += _time_rules(rows, table.event_time)
    return found + _key_rules(rows, table)


def _time_rules(rows: ir.Table, column: str) -> list[Rule]:
    """Events outside their own subscription, or before their account's sign-up."""
    day, text = rows[column].date(), rows[column + TEXT]
    found = []
    if "parent_start" in rows.columns:
        found.append(Rule("before_subscription", column, day < rows.parent_start, text))
        found.append(Rule("after_subscription", column, day > rows.parent_end, text))
    return [*found, Rule("before_sign_up", column, day < rows.parent_signed, text)]
