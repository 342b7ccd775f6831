"""Of which shape are the subscriptions, and how is an export of that shape read?

Works on settings and declarations; makes the mapping and the declaration by which `ingest` reads.
The subtle point: a ledger, a list of changes or a flat file names every account, so accounts may
come from the same export, and a flat file's rows may have no id but their number.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import ibis
import ibis.expr.types as ir

from pipeline.data import reading
from pipeline.data.reading import FILE, LINE
from pipeline.data.schema import RAW, SHAPES, Table
from pipeline.settings import Settings, SourceTable, longest_days
from pipeline.stages.rules import TEXT, Rule

INTERVALS, MONTHLY, CHANGES, TENURE = "intervals", "monthly", "changes", "tenure"
ROW = "row"
"""Instead of a column's name: the number of the row is the account's id."""
LINES = ("product", "subscription_id")
"""Parts of a key that a source may lack."""
LONGEST_MONTHS = 1200
"""No tenure is longer than a century."""


def completed(settings: Settings, folder: Path) -> Settings:
    """Settings in which accounts come from the subscriptions' own export, when there are no others.

    A ledger, a list of changes or a flat file names every account, so a file of accounts may lack.
    """
    tables = settings.source.tables
    own = tables.get("accounts")
    if settings.source.shape == INTERVALS or (own and (own.file or own.table or own.query)):
        return settings
    if reading.find_files(RAW["accounts"], own, folder):
        return settings
    source = tables["subscriptions"]
    found = reading.find_files(RAW["subscriptions"], source, folder)
    mapped = {"account_id": source.columns.get("account_id", "account_id")}
    about = own or SourceTable()
    accounts = source.model_copy(
        update={
            "columns": {**mapped, **about.columns},
            "date_format": about.date_format,
            "file": source.file or (found[0].name if len(found) == 1 else None),
            **{name: getattr(about, name) for name in ("values", "attributes")},
            **{name: {} for name in ("lookup", "exclude", "units")},
            "shape": INTERVALS,
            "tenure_unit": None,
        }
    )
    changed = settings.source.model_copy(update={"tables": {**tables, "accounts": accounts}})
    return settings.model_copy(update={"source": changed})


def as_received(table: Table, settings: Settings) -> Table:
    """The declaration by which an export is read: its shape's own; no sign-up is asked for then."""
    shape, source = settings.source.shape, settings.source.tables.get(table.name)
    if shape == INTERVALS or table.name not in ("accounts", "subscriptions"):
        return table
    received = (
        SHAPES[shape] if table.name == "subscriptions" else _optional(table, "signed_up_date")
    )
    return _optional(received, "account_id") if is_numbered(source) else received


def is_numbered(source: SourceTable | None) -> bool:
    """True when the number of a row is its account's id."""
    return source is not None and source.columns.get("account_id") == ROW


def without_numbers(source: SourceTable | None) -> SourceTable | None:
    """A mapping as the reader can follow it: the number of a row is no column."""
    if source is None or not is_numbered(source):
        return source
    columns = {ours: theirs for ours, theirs in source.columns.items() if ours != "account_id"}
    return source.model_copy(update={"columns": columns})


def numbered(text: ir.Table) -> ir.Table:
    """The number of each row, counted from 1 over all files, as the id of its account."""
    number = ibis.row_number().over(order_by=[FILE, LINE]) + 1
    return text.mutate(account_id=number.cast(str))


def keyed(table: Table, columns: list[str] | tuple[str, ...]) -> Table:
    """The declaration with a key of the columns that are there; a line may lack."""
    key = tuple(name for name in table.key if name in columns or name not in LINES)
    return dataclasses.replace(table, key=key)


def rules_of(rows: ir.Table, table: Table, settings: Settings) -> list[Rule]:
    """Rules of one shape beside those of its cells.

    No tenure is longer than a century, and money is given for all accounts or for none.
    """
    if table.name != "subscriptions" or settings.source.shape != TENURE:
        return []
    unit = settings.source.tables["subscriptions"].tenure_unit
    longest = LONGEST_MONTHS if unit == "months" else longest_days(LONGEST_MONTHS)
    found = [Rule("above_maximum", "tenure", rows.tenure > longest, rows["tenure" + TEXT])]
    if "mrr" in rows.columns:
        text = rows["mrr" + TEXT].fill_null("")
        found.append(Rule("required", "mrr", text == "", text))
    return found


def facts(typed: ir.Table, settings: Settings) -> dict[str, bool]:
    """What the snapshot must know of the shape: whether a flat file holds money at all."""
    if settings.source.shape != TENURE:
        return {}
    return {"is_money_known": "mrr" in typed.columns}


def _optional(table: Table, name: str) -> Table:
    """The declaration without one promise: a column that may lack."""
    asked = dataclasses.replace(table.columns[name], is_required=False)
    return dataclasses.replace(table, columns=table.columns | {name: asked})
