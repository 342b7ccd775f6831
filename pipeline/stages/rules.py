"""What makes a row unusable? The rules of one cell, of a key, and of a row among its relations.

Rules of a cell come from the declaration of its table. The first rule that a row breaks names
it in the quarantine. `RULES` says of each rule what it found and what to do about it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

from pipeline.data.reading import FIELDS, NUL_SHOWN
from pipeline.data.schema import Table
from pipeline.data.schema.rules import RULES
from pipeline.stages import cells

TEXT = "__text"
"""Suffix of the column that keeps a cell as it was written."""
GAP, TWICE = "__gap", "__twice"
"""Suffixes of the columns that mark a time which the clock skipped or showed twice."""
CLOCK_RULES = {GAP: "no_such_local_time", TWICE: "local_time_twice"}
KNOWN_ON = "known_on"
BROKEN = "row__broken"
"""The column that numbers the first rule which a row breaks, in the order of the rules."""
EVENTS = ("usage", "tickets", "touches", "surveys")
IMPOSSIBLE_IN_TIME = ("before_sign_up", "before_subscription", "after_subscription")
"""Rows that can be read but cannot be: set aside and counted; they do not stop the run."""
EARLIEST, LATEST = dt.date(1900, 1, 1), dt.date(2200, 1, 1)
"""A day outside is a slip of the pen or a word for "open"; no subscription is older or longer."""
PERIOD = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
HIGHEST_NPS = 10
ERROR_CELLS = ("#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!")
"""What a spreadsheet writes where a formula failed, also into the CSV files that it exports."""
ERROR_MARK = "#"
"""Each of them begins with it."""


def what_to_do(rule: str) -> str:
    """The sentence of a rule."""
    if rule.startswith("excluded_"):
        return "The row is left out by a value declared in exclude."
    if rule.startswith("not_found_"):
        return RULES["not_found"]
    return RULES.get(rule, "")


@dataclass(frozen=True)
class Rule:
    """A row is bad when `broken` holds; `column` and `value` say where to look."""

    name: str
    column: str
    broken: ir.BooleanValue
    value: ir.StringValue


def first_broken(checks: Sequence[Rule], first: int = 0) -> ir.IntegerValue:
    """The number of the first rule that a row breaks, counted from `first`; null for none."""
    numbered = [(check.broken, ibis.literal(n, "int32")) for n, check in enumerate(checks, first)]
    return ibis.cases(*numbered) if numbered else ibis.null("int32")


def listed(rows: ir.Table, checks: Sequence[Rule], numbers: Collection[int]) -> ir.Table:
    """The rows that break a rule, by its number: name, column and cell as written.

    `numbers` are the rules that any row breaks, at least one.
    """
    bad = rows.filter(rows[BROKEN].notnull())
    place = bad[BROKEN]
    return bad.mutate(
        rule=place.cases(*((n, checks[n].name) for n in numbers)),
        column=place.cases(*((n, checks[n].column) for n in numbers)),
        value=place.cases(*((n, checks[n].value) for n in numbers)),
    )


def cell_rules(
    rows: ir.Table,
    table: Table,
    kinds: dict[str, str] | None = None,
    refused: Collection[str] = (GAP,),
) -> list[Rule]:
    """Rules of one cell: field count, required, readable, closed codes, bounds, order of dates.

    `kinds` also names the company's own columns. `refused`: GAP, TWICE or both, the times that the
    clock skipped or showed twice and that are no times then.
    """
    surplus = rows[FIELDS]
    found = [Rule("field_count", "", surplus != 0, surplus.cast(str))]
    for name, kind in (kinds or {name: table.kind(name) for name in table.columns}).items():
        if name in rows.columns:
            found += _of_column(rows, table, name, kind)
            found += [
                Rule(CLOCK_RULES[ending], name, rows[name + ending], rows[name + TEXT])
                for ending in refused
                if name + ending in rows.columns
            ]
    for start, end in (("start_date", "end_date"), ("valid_from", "valid_to")):
        if {start, end} <= set(rows.columns):
            backwards = rows[end] < rows[start]
            found.append(Rule("end_before_start", end, backwards, rows[end + TEXT]))
    return found + _table_rules(rows, table)


def _of_column(rows: ir.Table, table: Table, name: str, kind: str) -> list[Rule]:
    column = table.columns.get(name)
    value = rows[name]
    text = rows[name + TEXT] if name + TEXT in rows.columns else value.cast(str)
    said = text.fill_null("").strip()
    found = []
    if kind in ("id", "text", "code"):  # any other kind cannot be read with such cells
        found.append(Rule("nul_character", name, text.contains(NUL_SHOWN), text))
        is_error = text.contains(ERROR_MARK) & said.isin(ERROR_CELLS)  # hardly a cell is trimmed
        found.append(Rule("error_cell", name, is_error, text))
    if column is not None and column.is_required:
        is_empty = value.isnull() & (said == "") if kind != "id" else value.isnull()
        found.append(Rule("required", name, is_empty, text.fill_null("")))
    word = "number" if kind == "share" else kind
    if word in cells.KIND_WORDS:
        found.append(Rule(f"{word}_unreadable", name, value.isnull() & (said != ""), text))
    if kind in ("day", "month", "instant"):
        day = value.cast("date")
        outside = (day < ibis.literal(EARLIEST)) | (day > ibis.literal(LATEST))
        found.append(Rule("date_out_of_range", name, outside, text))
    if kind == "share":
        found.append(Rule("share_out_of_range", name, (value < 0) | (value > 1), text))
    if column is not None and column.values is not None:
        found.append(Rule("unknown_code", name, ~value.isin(list(column.values)), text))
    if column is not None and column.lowest is not None:
        found.append(Rule("below_minimum", name, value < column.lowest, text))
    return found


def _table_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rules that only one table has."""
    if table.name == "targets":
        broken = ~rows.period.re_search(PERIOD)
        return [Rule("period_unreadable", "period", broken, rows["period" + TEXT])]
    if table.name == "surveys" and {"kind", "score"} <= set(rows.columns):
        broken = (rows.kind == "nps") & (rows.score > HIGHEST_NPS)
        return [Rule("score_out_of_range", "score", broken, rows["score" + TEXT])]
    return []


def key_of(rows: ir.Table, table: Table) -> list[str]:
    """The key of the rows; none where a part of it is missing that the rows cannot do without."""
    key = [name for name in table.key if name in rows.columns]
    return key if len(key) == len(table.key) else []


def _key_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rows that share a key and the moment they were recorded, yet differ."""
    key = key_of(rows, table)
    if not key:
        return []
    shown = reduce(
        lambda left, right: left + " · " + right,
        [rows[name].cast(str).fill_null("") for name in key],
    )
    return [Rule("conflicting_key", key[0], rows.n_alike > 1, shown)]


def relation_rules(rows: ir.Table, table: Table) -> list[Rule]:
    """Rules that need more than the row: conflicting keys, unknown accounts, impossible times.

    `rows` carry `n_alike` (rows with the same key, recorded at the same moment), `parent_is_there`,
    `parent_is_known` and `parent_signed` of their account (and `parent_start`, `parent_end` of
    their own subscription).
    """
    found = []
    if "parent_is_there" in rows.columns:
        text = rows["account_id" + TEXT] if "account_id" + TEXT in rows.columns else rows.account_id
        is_gone = ~rows.parent_is_there
        known = rows.parent_is_known
        found.append(Rule("account_set_aside", "account_id", is_gone & known, text))
        found.append(Rule("unknown_account", "account_id", is_gone, text))
        if table.name in EVENTS and table.event_time:
            found += _time_rules(rows, table.event_time)
    return found + _key_rules(rows, table)


def _time_rules(rows: ir.Table, column: str) -> list[Rule]:
    """Events outside their own subscription, or before their account's sign-up."""
    day, text = rows[column].date(), rows[column + TEXT]
    found = []
    if "parent_start" in rows.columns:
        found.append(Rule("before_subscription", column, day < rows.parent_start, text))
        found.append(Rule("after_subscription", column, day > rows.parent_end, text))
    if "parent_signed" in rows.columns:
        found.append(Rule("before_sign_up", column, day < rows.parent_signed, text))
    return found
