"""How is a table declared? Grain, key, columns by kind, and the words for each.

A column's kind says how its text is read and which rows `ingest` must refuse; docs/data.md is
generated from the same words. Money is DECIMAL(18, 4) in units of the company's currency;
dates are calendar days in the business time zone. The subtle point: pandera judges rows by the same
declaration; it and Ibis are loaded only where rows are judged or made, for chapters do neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import pandera.ibis as pandera

MONEY = "decimal(18, 4)"
DTYPES = {
    "id": "string",
    "text": "string",
    "code": "string",
    "day": "date",
    "month": "date",
    "instant": "timestamp(6)",
    "money": MONEY,
    "number": "float64",
    "count": "int64",
    "flag": "boolean",
}


@dataclass(frozen=True)
class Column:
    """One column: how its text is read, what may stand in it, and the words for it.

    `values` closes its list of codes, `lowest` bounds it; None: any. Else as in `column`.
    """

    kind: str
    description: str
    is_required: bool = False
    values: tuple[str, ...] | None = None
    lowest: float | None = None
    unit: str = ""
    sensitivity: str = "plain"
    is_planned: bool = False
    known_with: str = ""

    def is_met_by(self, cells: pa.ChunkedArray) -> bool:
        """Do cells of the declared type plainly keep the declaration?"""
        if self.is_required and cells.null_count:
            return False
        there, kept = cells.drop_null(), []
        if self.values is not None:
            kept.append(pc.is_in(there, pa.array(list(self.values), there.type)))
        if self.lowest is not None:
            kept.append(pc.greater_equal(there, self.lowest))
        return all(pc.all(each, min_count=0).as_py() for each in kept)


@dataclass(frozen=True)
class Table:
    """One table: its grain, key and columns, with what is known to be wrong with it.

    Columns stand in the order of the declaration; others may stand beside them.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: dict[str, Column]
    note: str = ""
    is_required: bool = False
    event_time: str | None = None
    parents: dict[str, str] = field(default_factory=dict)

    @cached_property
    def schema(self) -> pandera.DataFrameSchema:
        """The declaration as pandera asks it of rows; one row per key."""
        import pandera.ibis as pandera  # for half a second, so only where rows are judged

        columns = {}
        for name, each in self.columns.items():
            checks = [] if each.values is None else [pandera.Check.isin(list(each.values))]
            checks += [] if each.lowest is None else [pandera.Check.ge(each.lowest)]
            columns[name] = pandera.Column(
                self.dtype(name), checks, nullable=not each.is_required, required=each.is_required
            )
        return pandera.DataFrameSchema(columns, name=self.name)

    @property
    def required_columns(self) -> list[str]:
        """Columns without which the table cannot be read."""
        return [name for name, column in self.columns.items() if column.is_required]

    @property
    def personal_columns(self) -> list[str]:
        """Columns that may name a person."""
        return [name for name, each in self.columns.items() if each.sensitivity == "personal"]

    def kind(self, column: str) -> str:
        """How a column's text is read: id, text, code, day, instant, money, number, count, flag."""
        return self.columns[column].kind

    def dtype(self, column: str) -> dt.DataType:
        """The column's Ibis data type."""
        import ibis

        return ibis.dtype(DTYPES[self.kind(column)])

    def is_met_by(self, rows: pa.Table) -> bool:
        """Do rows plainly keep the declaration? False: they may not, and pandera says where.

        One look at each column, where pandera asks an engine about each.
        """
        import ibis

        found = ibis.Schema.from_pyarrow(rows.schema)
        return all(
            name in found and found[name] == self.dtype(name) and each.is_met_by(rows[name])
            for name, each in self.columns.items()
            if each.is_required or name in found
        )


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
) -> Column:
    """A column of one kind; `must` makes it required, `values` closes its list of codes.

    A date that `is_planned` may lie ahead of what is known; any other is known on its own day, and
    a column `known_with` a date is known from that day on.
    """
    return Column(
        kind, description, must, values, lowest, unit, sensitivity, is_planned, known_with
    )


def table(name: str, grain: str, key: tuple[str, ...], columns: dict, **more: Any) -> Table:
    """A table; columns that are not declared may stand beside."""
    return Table(name, grain, key, columns, **more)
