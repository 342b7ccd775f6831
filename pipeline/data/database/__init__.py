"""What does a database hold? A read-only look at PostgreSQL, DuckDB or SQLite; rows as text.

Ibis opens each and says what tables it has. The subtle points: all that one connection reads is one
moment of the database; each cell is read as the text that the database gives it, so that no amount
passes through a float and what is no number reaches the quarantine as it stands; the address comes
from the environment, and stands in no message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from pipeline.data.database.connection import (
    BATCH_ROWS,
    Column,
    Connection,
    Relation,
    UnreachableError,
)
from pipeline.settings import Database

__all__ = ["BATCH_ROWS", "Column", "Connection", "Relation", "UnreachableError", "connect"]


@contextlib.contextmanager
def connect(declared: Database, folder: Path) -> Iterator[Connection]:
    """A look at the database that params.yaml declares, as it is at this moment.

    Args:
        declared: `source.database` of params.yaml.
        folder: the company's folder of raw data, where a relative `file` begins.

    Raises:
        ConfigurationError: the address is not set or not one, or access is refused.
        MissingDataError: the file of the database is not there.
        UnreachableError: the server does not answer, or another program holds the file.
    """
    look: AbstractContextManager[Connection]
    if declared.backend == "postgres":
        from pipeline.data.database import postgres

        look = postgres.opened(declared, folder)
    elif declared.backend == "duckdb":
        from pipeline.data.database import duckdb_file

        look = duckdb_file.opened(declared, folder)
    else:
        from pipeline.data.database import sqlite_file

        look = sqlite_file.opened(declared, folder)
    with look as connection:
        yield connection
