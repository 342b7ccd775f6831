"""How is a table declared? Grain, key, columns by kind, and the words for each.

A column's kind says how its text is read and which rows `ingest` must refuse; docs/data.md is
generated from the same words. Money is DECIMAL(18, 4) in units of the company's currency;
dates are calendar days in the business time zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pandera.ibis as pa
import pyarrow
import pyarrow.compute as pc

MONEY = dt.Decimal(18, 4)
DTYPES = {
    "id": dt.string,
    "text": dt.string,
    "code": dt.string,
    "day": dt.date,
    "month": dt.date,
    "instant": dt.Timestamp(scale=6),
    "money": MONEY,
    "number": dt.float64,
    "count": dt.int64,
    "flag": dt.boolean,
}


@dataclass(frozen=True)
class Table:
    """One table: its grain, key and columns, with what is known to be wrong with it."""

    name: str
    grain: str
    key: tuple[str, ...]
    schema: pa.DataFrameSchema
    note: str = ""
    is_required: bool = False
    event_time: str | None = None
    parents: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, pa.Column]:
        """Columns by name, in the order of the declaration."""
        return self.schema.columns

    @property
    def required_columns(self) -> list[str]:
        """Columns without which the table cannot be read."""
        return [name for name, column in self.columns.items() if column.required]

    @property
    def personal_columns(self) -> list[str]:
        """Columns that may name a person."""
        columns = self.columns.items()
        return [name for name, each in columns if each.metadata["sensitivity"] == "personal"]

    def kind(self, column: str) -> str:
        """How a column's text is read: id, text, code, day, instant, money, number, count, flag."""
        return self.columns[column].metadata["kind"]

    def dtype(self, column: str) -> dt.DataType:
        """The column's Ibis data type."""
        return DTYPES[self.kind(column)]

    def is_met_by(self, rows: pyarrow.Table) -> bool:
        """Do rows plainly keep the declaration? False: they may not, and pandera says where.

        One look at each column, where pandera asks an engine about each.
        """
        found = ibis.Schema.from_pyarrow(rows.schema)
        return all(
            name in found
            and found[name] == self.dtype(name)
            and (each.nullable or not rows[name].null_count)
            and all(_is_kept(check, rows[name]) for check in each.checks)
            for name, each in self.columns.items()
            if each.required or name in found
        )


def _is_kept(check: pa.Check, values: pyarrow.ChunkedArray) -> bool:
    """Does every value that is there keep one of the checks that `column` makes?"""
    there, by = values.drop_null(), check.statistics or {}
    if set(by) == {"allowed_values"}:
        kept = pc.is_in(there, pyarrow.array(list(by["allowed_values"]), there.type))
    elif set(by) == {"min_value"}:
        kept = pc.greater_equal(there, by["min_value"])
    else:
        return False
    return bool(pc.all(kept, min_count=0).as_py())


def column(
    kind: str,
    description: str,
    *,
    must: bool = False,
    values: tuple[str, ...] | None = None,
    lowest: float | None = None,
    unit: str = "",
    sensitivity: str = "plain",
    is_planned: bool = False,
    known_with: str = "",
) -> pa.Column:
    """A column of one kind; `must` makes it required, `values` closes its list of codes.

    A date that `is_planned` may lie ahead of what is known; any other is known on its own day, and
    a column `known_with` a date is known from that day on.
    """
    checks = [pa.Check.isin(list(values))] if values else []
    checks += [pa.Check.ge(lowest)] if lowest is not None else []
    return pa.Column(
        DTYPES[kind],
        checks,
        nullable=not must,
        required=must,
        description=description,
        metadata={
            "kind": kind,
            "unit": unit,
            "sensitivity": sensitivity,
            "is_planned": is_planned,
            "known_with": known_with,
        },
    )


def table(name: str, grain: str, key: tuple[str, ...], columns: dict, **more: Any) -> Table:
    """A table with its pandera schema; columns that are not declared may stand beside."""
    return Table(name, grain, key, pa.DataFrameSchema(columns, name=name), **more)
