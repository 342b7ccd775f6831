"""How is PostgreSQL read? In one read-only transaction, by a cursor that stays on the server.

REPEATABLE READ makes all tables one moment, whatever others write meanwhile. The subtle point: Ibis
works inside this transaction, and may not end it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from ibis.backends.postgres import Backend
from psycopg import conninfo

from pipeline.data.database.connection import (
    MINUTE_SECONDS,
    Column,
    Connection,
    UnreachableError,
    quoted,
    refused,
    repeated,
    timed_out,
    wrong_query,
)
from pipeline.data.reading import DataError
from pipeline.settings import ConfigurationError, Database

CONNECT_SECONDS = 10
"""Wait for a server, unless the address says otherwise (`?connect_timeout=30`)."""
BYTEA, MONEY, FLOATS = 17, 790, (700, 701)
"""Numbers of types in pg_type."""
SESSION = {
    "TimeZone": "UTC", "DateStyle": "ISO", "IntervalStyle": "iso_8601", "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
}  # fmt: skip
"""How the server writes moments and numbers, whatever its own settings are, and that it waits."""
REFUSED_ACCESS = (
    "password authentication failed", "no pg_hba.conf entry", "does not exist",
    "no password supplied", "permission denied", "is not permitted to log in",
)  # fmt: skip
"""Words of a server that will say no the next time too."""
NOT_NOW = ("08", "25P03", "40", "53", "55", "57")
"""Classes of SQLSTATE that may pass: connection, conflict, resources, object in use, operator."""


@contextlib.contextmanager
def opened(declared: Database, folder: Path) -> Iterator[PostgresConnection]:
    """A connection in one read-only transaction, which ends with the block."""
    connection = _connected(declared)
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        limit = f"{int(declared.timeout_minutes * MINUTE_SECONDS * 1000)}"
        schema = quoted(declared.schema_name or PostgresConnection.default_schema)
        chosen = {"statement_timeout": limit, "search_path": f"{schema}, public"}
        for name, value in (SESSION | chosen).items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        yield PostgresConnection(Backend.from_connection(connection), declared)
    finally:
        connection.close()


def _connected(declared: Database) -> psycopg.Connection[Any]:
    variable = str(declared.url)
    address = os.environ.get(variable, "").strip()
    if not address:
        raise ConfigurationError(
            f"The environment variable {variable} is not set. source.database.url of params.yaml "
            "names it; it holds the address, postgresql://user:password@host:5432/database."
        )
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.Error:  # whose message repeats the address
        raise ConfigurationError(
            f"{variable} is no address of PostgreSQL. It looks like "
            "postgresql://user:password@host:5432/database, special characters as %40."
        ) from None
    asked: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS, "application_name": "lodestar"}
    try:
        return psycopg.connect(**(asked | parts | {"client_encoding": "utf8"}))
    except psycopg.Error as error:
        said = repeated(_without_address(str(error), parts))
    if any(word in said for word in REFUSED_ACCESS):
        raise ConfigurationError(
            f"The database refused the connection that {variable} describes: {said}. Look at its "
            "user, password and database."
        )
    raise UnreachableError(
        f"The database of {variable} cannot be reached: {said}. Nothing was changed; the last "
        "extract and the last reports stay. Try again when it answers."
    )


def _without_address(said: str, parts: dict[str, Any]) -> str:
    """The server's words, without what the address names."""
    for name in ("password", "host", "hostaddr", "user", "dbname"):
        if value := str(parts.get(name) or ""):
            said = said.replace(f'"{value}', f'"({name})')
    return said.replace(str(parts.get("password") or "(password)"), "(password)")


class PostgresConnection(Connection):
    """PostgreSQL: cells are text by the server, floats in full, money as a number."""

    default_schema = "public"

    def names(self) -> list[str]:
        """Tables, views and materialized views, of which Ibis lists the first two."""
        with self.backend.con.cursor() as cursor:
            sql = "SELECT matviewname FROM pg_matviews WHERE schemaname = %s"
            cursor.execute(sql, (self.schema,))
            kept = [name for (name,) in cursor.fetchall()]
        return sorted({*super().names(), *kept})

    def _described(self, sql: str) -> list[Column]:
        with self.backend.con.transaction(), self.backend.con.cursor() as cursor:
            cursor.execute(sql)
            return [Column(each.name, each.type_code) for each in cursor.description or ()]

    def _fetched(self, sql: str, n_rows: int) -> Iterator[list[tuple[Any, ...]]]:
        with self.backend.con.cursor(name="lodestar") as cursor:
            cursor.execute(sql)
            while block := cursor.fetchmany(n_rows):
                yield block

    def _cell(self, column: Column) -> str:
        name = quoted(column.name)
        return self._text(f"CAST({name} AS numeric)" if column.kind == MONEY else name)

    def _sorted(self, cell: str) -> str:
        return f'{cell} COLLATE "C"'

    def _is_binary(self, column: Column) -> bool:
        return column.kind == BYTEA

    def _is_float(self, column: Column) -> bool:
        return column.kind in FLOATS

    def _ours(self, error: Exception, what: str) -> Exception | None:
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate or "08000"  # the connection broke off
        said = error.diag.message_primary or "the connection broke off"
        if state in ("42P01", "3F000"):
            return self.missing(what) if what.startswith("table ") else wrong_query(what, said)
        if state == "42501":
            return refused(what)
        if state == "57014":
            return timed_out(what, self.declared)
        if state.startswith(NOT_NOW):
            return UnreachableError(
                f"The database stopped while {what} was read: {repeated(said)}. Try again."
            )
        if state.startswith("22"):
            return DataError(f"The database cannot compute {what}: {repeated(said)}.")
        return wrong_query(what, said)
