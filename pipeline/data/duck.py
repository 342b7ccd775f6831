"""How does DuckDB compute in this process? Ibis' own backend, and what the stages ask beyond it.

The subtle point: rows that do not fit into memory wait in files of a folder, whether DuckDB spills
them there by itself or an expression is kept there whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis.backends.duckdb
import ibis.expr.types as ir
import pyarrow as pa

MEGABYTES_OF_A_THREAD, FEWEST_THREADS = 250, 2
"""What `spill` leaves in memory unless it is told: a join or a sort needs some for each thread."""
ALONE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
"""It reaches for no network."""
UNCACHED = {"enable_external_file_cache": "false"}
"""A file that was read once would stay in memory; the system keeps it as long as there is room."""


class Backend(ibis.backends.duckdb.Backend):
    """Ibis on DuckDB, with the calls that let a stage hold few rows in memory."""

    def spill(self, folder: Path, megabytes_of_a_thread: int = MEGABYTES_OF_A_THREAD) -> None:
        """Hold little in memory and put what is more into a folder.

        Rows of a result without an order then come in any.
        """
        threads = int(self.con.execute("SELECT current_setting('threads')").fetchone()[0])
        limit = f"{megabytes_of_a_thread * max(threads, FEWEST_THREADS)}MB"
        self.con.execute(f"SET temp_directory = {_quoted(str(folder))}")
        self.con.execute(f"SET memory_limit = {_quoted(limit)}")
        self.con.execute("SET preserve_insertion_order = false")

    def keep_in_file(self, expression: ir.Table, path: Path) -> ir.Table:
        """Compute an expression once into a Parquet file that only this run reads: many rows."""
        self.to_parquet(expression, path, compression="lz4")
        return _as_declared(self.read_parquet(path, table_name=path.stem), expression)

    def keep(self, expression: ir.Table, name: str) -> ir.Table:
        """Compute an expression once and hold it under a name: few rows.

        One statement; Ibis' own way takes seven and holds the rows twice for a moment.
        """
        self._run_pre_execute_hooks(expression)
        rows = self.compile(expression)
        self.con.execute(f'CREATE OR REPLACE TEMPORARY TABLE "{name}" AS {rows}')
        return _as_declared(self.table(name, database=("temp", "main")), expression)

    def batches(self, expression: ir.Table, rows: int) -> Iterator[pa.Table]:
        """The result in its order, so many rows at a time."""
        schema = expression.schema().to_pyarrow()
        self._run_pre_execute_hooks(expression)
        for batch in self.raw_sql(self.compile(expression)).to_arrow_reader(rows):
            yield pa.Table.from_batches([batch]).cast(schema)

    def to_pyarrow(self, expr: ir.Expr, /, **given: Any) -> Any:
        """The result as Arrow, in the types that the expression promises.

        As Ibis does it, without the pandas that its own way loads beside and never asks.
        """
        return expr.__pyarrow_result__(self._to_duckdb_relation(expr, **given).to_arrow_table())


@contextlib.contextmanager
def connected(timezone: str, threads: int | None = None) -> Iterator[Backend]:
    """An engine of its own in memory, in the business time zone."""
    given = {"threads": str(threads)} if threads else {}
    backend = Backend().connect(**ALONE, **UNCACHED, **given)
    backend.con.execute(f"SET TimeZone = {_quoted(timezone)}")
    try:
        yield backend
    finally:
        backend.disconnect()


def _as_declared(found: ir.Table, expression: ir.Table) -> ir.Table:
    """Rows that were kept, in the types of their expression.

    DuckDB may have made moments of days (a day and an interval); they are days again.
    """
    kept = found.schema()
    other = {
        column: kind
        for column, kind in expression.schema().items()
        if kept[column].copy(nullable=True) != kind.copy(nullable=True)
    }
    return found.cast(other) if other else found


def _quoted(text: str) -> str:
    """A text as SQL has it. Given as a parameter, DuckDB would load pandas to see what it is."""
    return "'" + text.replace("'", "''") + "'"
