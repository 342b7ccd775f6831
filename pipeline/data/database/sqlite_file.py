"""How is an SQLite file read? For reading alone, in one transaction.

The subtle point: SQLite asks no column to keep to its type. So each cell is written as text by what
it is, and bytes are refused where they stand.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ibis.backends.sqlite import Backend

from pipeline.data.database.connection import (
    MINUTE_SECONDS,
    Column,
    Connection,
    Relation,
    UnreachableError,
    bytes_message,
    place_of,
    plain_number,
    quoted,
    repeated,
    timed_out,
    wrong_query,
)
from pipeline.data.reading import DataError
from pipeline.settings import Database

LOCK_SECONDS = 10
"""Wait for another program that writes."""


@contextlib.contextmanager
def opened(declared: Database, folder: Path) -> Iterator[SQLiteConnection]:
    """An SQLite file for reading alone."""
    path = place_of(declared, folder)
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=LOCK_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    clock = threading.Timer(declared.timeout_minutes * MINUTE_SECONDS, connection.interrupt)
    clock.daemon = True
    clock.start()
    try:
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            backend = Backend.from_connection(connection)
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise _ours(error, f"the database {declared.file}", declared) from None
        yield SQLiteConnection(backend, declared)
    finally:
        clock.cancel()
        connection.close()


class SQLiteConnection(Connection):
    """SQLite: every cell is what it is."""

    default_schema = "main"

    def names(self) -> list[str]:
        """Tables and views; SQLite's own begin with sqlite_."""
        return [name for name in super().names() if not name.startswith("sqlite_")]

    def _types(self, name: str) -> dict[str, str]:
        rows = self.backend.con.execute("SELECT name, type FROM pragma_table_info(?)", (name,))
        return {column: kind.lower() or "any" for column, kind in rows}

    def _described(self, sql: str) -> list[Column]:
        found = self.backend.con.execute(sql).description or ()
        return [Column(each[0], None) for each in found]

    def _fetched(self, sql: str, n_rows: int) -> Iterator[list[tuple[Any, ...]]]:
        with contextlib.closing(self.backend.con.execute(sql)) as cursor:
            while block := cursor.fetchmany(n_rows):
                yield block

    def _cell(self, column: Column) -> str:
        return quoted(column.name)

    def _sorted(self, cell: str) -> str:
        return f"{cell} COLLATE BINARY"

    def _writer(self, column: Column, relation: Relation) -> Callable[[Any], str | None] | None:
        def write(cell: Any) -> str | None:
            if isinstance(cell, bytes):
                raise DataError(bytes_message(relation, column.name))
            return cell if cell is None or isinstance(cell, str) else plain_number(repr(cell))

        return write

    def _is_binary(self, column: Column) -> bool:
        return False

    def _is_float(self, column: Column) -> bool:
        return False

    def _ours(self, error: Exception, what: str) -> Exception | None:
        if not isinstance(error, sqlite3.Error):
            return None
        if "no such table" in str(error) and what.startswith("table "):
            return self.missing(what)
        return _ours(error, what, self.declared)


def _ours(error: sqlite3.Error, what: str, declared: Database) -> Exception:
    said = str(error)
    if "interrupted" in said:
        return timed_out(what, declared)
    if "locked" in said or "busy" in said:
        return UnreachableError(f"Another program writes the database {declared.file}. Try again.")
    if "not a database" in said or "malformed" in said:
        return DataError(f"{declared.file} cannot be read as SQLite: {repeated(said)}.")
    return wrong_query(what, said)
