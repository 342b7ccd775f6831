"""How is a table or query read, whatever the database? What the three of them share.

Makes the SELECT, hands out batches of rows as text, and turns each database's errors into ours. The
subtle point: rows come sorted by all their columns, so that the same content gives the same bytes.
"""

from __future__ import annotations

import contextlib
import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa
from ibis.backends import BaseBackend

from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.redaction import redacted
from pipeline.settings import ConfigurationError, Database

BATCH_ROWS = 20_000
"""Rows in memory at a time."""
LONGEST_SAID = 300
"""Characters of a database's own message that ours repeats."""
MINUTE_SECONDS = 60


class UnreachableError(Exception):
    """The database does not answer now; another time it may (exit code 75)."""

    error_class = "database_unreachable"


@dataclass(frozen=True)
class Relation:
    """What is read: a table or view by its name, or the rows of a query."""

    name: str
    query: str | None = None

    def __str__(self) -> str:
        return f"the query of {self.name}" if self.query else f"table {self.name}"


@dataclass(frozen=True)
class Column:
    """A column of a relation, in the database's own words; `kind` is its type there."""

    name: str
    kind: Any


class Connection(ABC):
    """One read-only look at a database."""

    default_schema = "public"

    def __init__(self, backend: BaseBackend, declared: Database) -> None:
        self.backend = backend
        self.declared = declared

    @property
    def schema(self) -> str:
        """Where tables are looked for that are named without their schema."""
        return self.declared.schema_name or self.default_schema

    # What is there.

    def names(self) -> list[str]:
        """Names of the tables and views of the schema, sorted."""
        return sorted(self.backend.list_tables(database=self.schema))

    def tables(self) -> dict[str, dict[str, str]]:
        """Every table and view of the schema → its columns → their types, in Ibis's words."""
        with self.understood("the list of tables"):
            return {name: self._types(name) for name in self.names()}

    def _types(self, name: str) -> dict[str, str]:
        schema = self.backend.get_schema(name, database=self.schema)
        return {column: str(kind.copy(nullable=True)) for column, kind in schema.items()}

    def columns(self, relation: Relation) -> list[Column]:
        """The columns of a table, view or query; MissingDataError suggests the nearest table."""
        with self.understood(str(relation)):
            found = self._described(f"SELECT * FROM {self._source(relation)} LIMIT 0")
        names = [each.name for each in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(
                f"{relation}: two columns are called {twice[0]!r}. Name each by AS in the query."
            )
        return found

    def moment(self) -> str:
        """When this look was taken, by the database's clock: ISO 8601 in UTC."""
        with self.understood("the clock"):
            return next(self._fetched(f"SELECT {self._text('CURRENT_TIMESTAMP')}", 1))[0][0]

    # Rows.

    def rows(
        self, relation: Relation, columns: Sequence[Column], limit: int | None = None
    ) -> Iterator[pa.Table]:
        """Rows of a relation as text, in batches of at most BATCH_ROWS; one at least, maybe empty.

        Sorted by all columns from the left. With a `limit`: so many rows, whichever come first.
        DataError when a column holds bytes that are no text.
        """
        binary = [each.name for each in columns if self._is_binary(each)]
        if binary:
            raise DataError(bytes_message(relation, binary[0]))
        cells = [self._cell(each) for each in columns]
        listed = ", ".join(cells) or "1"
        end = f"LIMIT {limit:d}" if limit else f"ORDER BY {', '.join(map(self._sorted, cells))}"
        sql = f"SELECT {listed} FROM {self._source(relation)} {end if cells else ''}"
        writers = [self._writer(each, relation) for each in columns]
        schema = pa.schema([(each.name, pa.string()) for each in columns])
        has_rows = False
        with self.understood(str(relation)):
            for block in self._fetched(sql, BATCH_ROWS):
                has_rows = True
                yield _as_text(block, writers, schema)
        if not has_rows:
            yield schema.empty_table()

    def _source(self, relation: Relation) -> str:
        if relation.query:
            return f"(\n{relation.query.strip().rstrip(';')}\n) AS asked"
        schema, dot, name = relation.name.rpartition(".")
        return f"{quoted(schema if dot else self.schema)}.{quoted(name)}"

    def _cell(self, column: Column) -> str:
        return self._text(quoted(column.name))

    def _text(self, expression: str) -> str:
        return f"CAST({expression} AS TEXT)"

    def _sorted(self, cell: str) -> str:
        return cell

    def _writer(self, column: Column, relation: Relation) -> Callable[[Any], str | None] | None:
        """What turns a cell as fetched into text; None when it is text already."""
        return plain_number if self._is_float(column) else None

    # What each database does in its own way.

    @abstractmethod
    def _described(self, sql: str) -> list[Column]: ...

    @abstractmethod
    def _fetched(self, sql: str, n_rows: int) -> Iterator[list[tuple[Any, ...]]]: ...

    @abstractmethod
    def _is_binary(self, column: Column) -> bool: ...

    @abstractmethod
    def _is_float(self, column: Column) -> bool: ...

    @abstractmethod
    def _ours(self, error: Exception, what: str) -> Exception | None:
        """Our error for one of the database's; None when it is none of its."""

    @contextlib.contextmanager
    def understood(self, what: str) -> Iterator[None]:
        """Errors of the database inside the block become ours, without its address."""
        try:
            yield
        except UnicodeDecodeError:
            raise DataError(
                f"{what} holds text that is not in the database's encoding. Mend it there."
            ) from None
        except Exception as error:
            ours = self._ours(error, what)
            if ours is None:
                raise
            raise ours from None

    def missing(self, what: str) -> store.MissingDataError:
        """The error for a table that is not there."""
        asked = what.removeprefix("table ")
        names: list[str] = []
        with contextlib.suppress(Exception):  # the list is a courtesy; the table is missing
            names = self.names()
        plain = {name.casefold(): name for name in names}
        near = difflib.get_close_matches(asked.rpartition(".")[2].casefold(), list(plain), 1)
        hint = f" Did you mean {plain[near[0]]!r}?" if near else ""
        return store.MissingDataError(
            f"The database has no {what} in schema {self.schema!r}.{hint} Name it as "
            "source.tables.<table>.table, with its schema before a dot where that differs. "
            f"There {'is' if len(names) == 1 else 'are'}: {', '.join(names[:20]) or 'no table'}"
            f"{' and more' if len(names) > 20 else ''}."
        )


def refused(what: str) -> ConfigurationError:
    """The error for a table that this user may not read."""
    return ConfigurationError(
        f"The database's user may not read {what}. Grant SELECT on it, and USAGE on its schema."
    )


def timed_out(what: str, declared: Database) -> UnreachableError:
    """The error for a read that took too long."""
    return UnreachableError(
        f"Reading {what} took longer than source.database.timeout_minutes "
        f"({declared.timeout_minutes:g}) allows. Try again when the database is less busy, raise "
        "it, or let a query fetch less."
    )


def wrong_query(what: str, said: object) -> ConfigurationError:
    """The error for SQL that the database cannot carry out."""
    return ConfigurationError(f"The database cannot read {what}: {repeated(said)}.")


def repeated(said: object) -> str:
    """A database's own words, one line, cut, without a secret."""
    line = " ".join(str(redacted(str(said))).split())
    return line.rstrip(".?") if len(line) <= LONGEST_SAID else f"{line[:LONGEST_SAID]}…"


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def place_of(declared: Database, folder: Path) -> Path:
    """The file of a database; MissingDataError when it is not there."""
    path = folder / str(declared.file)
    if not path.is_file():
        raise store.MissingDataError(
            f"The database {declared.file} is not there (source.database.file of params.yaml, "
            f"a path from {folder} or an absolute one)."
        )
    return path


def plain_number(cell: str | None) -> str | None:
    """A number without an exponent: 1e-05 is 0.00001; what is no number stays as it is."""
    if cell is None or "e" not in cell.lower():
        return cell
    try:
        number = Decimal(cell)
    except InvalidOperation:
        return cell
    return f"{number:f}" if number.is_finite() else cell


def _as_text(
    block: list[tuple[Any, ...]],
    writers: list[Callable[[Any], str | None] | None],
    schema: pa.Schema,
) -> pa.Table:
    columns = [
        pa.array(cells if write is None else list(map(write, cells)), pa.string())
        for cells, write in zip(zip(*block, strict=True), writers, strict=True)
    ]
    return pa.table(columns, schema)


def bytes_message(relation: Relation, column: str) -> str:
    """What is said of a column that cannot be text."""
    return (
        f"{relation}: column {column!r} holds bytes, which are no text. Leave it out, or turn it "
        "into text in a query."
    )
