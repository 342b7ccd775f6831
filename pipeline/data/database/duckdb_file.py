"""How is a DuckDB file read? Without the right to write, to load extensions or to see other files.

While a file is open for reading nobody else may write it, so all that is read is one moment.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import ibis

from pipeline.data.database.connection import (
    MINUTE_SECONDS,
    Column,
    Connection,
    UnreachableError,
    place_of,
    repeated,
    timed_out,
    wrong_query,
)
from pipeline.data.reading import DataError
from pipeline.settings import Database

CLOSED = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
FLOATS = ("FLOAT", "DOUBLE")


@contextlib.contextmanager
def opened(declared: Database, folder: Path) -> Iterator[DuckDBConnection]:
    """A DuckDB file for reading alone."""
    path = place_of(declared, folder)
    with tempfile.TemporaryDirectory(prefix="lodestar-") as aside:
        try:
            backend = ibis.duckdb.connect(path, read_only=True, temp_directory=aside, **CLOSED)
        except duckdb.Error as error:
            raise _not_opened(error, declared) from None
        limit = declared.timeout_minutes * MINUTE_SECONDS
        clock = threading.Timer(limit, backend.con.interrupt)
        clock.daemon = True
        clock.start()
        look = DuckDBConnection(backend, declared)
        try:
            with look.understood(f"schema {look.schema}"):
                backend.con.execute("SET enable_external_access = false")
                backend.con.execute("SET schema = ?", [look.schema])
            yield look
        finally:
            clock.cancel()
            backend.disconnect()


def _not_opened(error: duckdb.Error, declared: Database) -> Exception:
    if "lock" in str(error).lower():
        return UnreachableError(
            f"Another program holds the database {declared.file} open for writing. Try again when "
            "it has closed it, or read a copy."
        )
    return DataError(f"{declared.file} cannot be read as DuckDB: {repeated(error)}.")


class DuckDBConnection(Connection):
    """DuckDB: cells are text by the engine."""

    default_schema = "main"

    def names(self) -> list[str]:
        """Tables and views; Ibis lists them by a call that DuckDB gives up."""
        sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?"
        found = self.backend.con.execute(sql, [self.schema]).fetchall()
        return sorted(name for (name,) in found)

    def _described(self, sql: str) -> list[Column]:
        found = self.backend.con.execute(sql).description or ()
        return [Column(each[0], str(each[1])) for each in found]

    def _fetched(self, sql: str, n_rows: int) -> Iterator[list[tuple[Any, ...]]]:
        cursor = self.backend.con.execute(sql)
        while block := cursor.fetchmany(n_rows):
            yield block

    def _is_binary(self, column: Column) -> bool:
        return column.kind == "BLOB"

    def _is_float(self, column: Column) -> bool:
        return column.kind in FLOATS

    def _ours(self, error: Exception, what: str) -> Exception | None:
        if not isinstance(error, duckdb.Error):
            return None
        if isinstance(error, duckdb.InterruptException):
            return timed_out(what, self.declared)
        if isinstance(error, duckdb.CatalogException) and what.startswith("table "):
            return self.missing(what)
        if isinstance(error, (duckdb.ConversionException, duckdb.OutOfRangeException)):
            return DataError(f"The database cannot compute {what}: {repeated(error)}.")
        if isinstance(error, (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)):
            return DataError(f"{self.declared.file} is damaged: {repeated(error)}.")
        return wrong_query(what, error)
