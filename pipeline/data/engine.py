"""Which engine computes? One Ibis connection on DuckDB in this process.

Results are written sorted by their full key, so that the bytes do not depend on threads.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import ibis
import pyarrow as pa
from ibis.backends.sql import SQLBackend as Backend

from pipeline.data import store
from pipeline.data.schema import Table
from pipeline.settings import ConfigurationError

DUCKDB = "duckdb"

MEGABYTES_OF_A_THREAD, FEWEST_THREADS = 250, 2
"""What `spill` leaves in memory: a join or a sort needs some for each thread."""


@contextlib.contextmanager
def connect(
    timezone: str = "UTC", name: str = DUCKDB, *, threads: int | None = None
) -> Iterator[Backend]:
    """An engine by its name in params.yaml, in the business time zone.

    DuckDB computes in this process and reaches for no network. ConfigurationError: what the engine
    needs is not installed.
    """
    if name != DUCKDB:
        with _spark().connected(timezone) as backend:
            yield backend
        return
    options = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    backend = ibis.duckdb.connect(**options, **({"threads": str(threads)} if threads else {}))
    backend.con.execute("SET TimeZone = ?", [timezone])
    try:
        yield backend
    finally:
        backend.disconnect()


def spill(backend: Backend, folder: Path) -> None:
    """Let the engine hold little in memory and put what is more into a folder.

    Rows of a result without an order then come in any. Spark does so by itself, and keeps there
    what `batches` hands out.
    """
    if backend.name != DUCKDB:
        backend.scratch = folder
        return
    threads = int(backend.con.execute("SELECT current_setting('threads')").fetchone()[0])
    limit = f"{MEGABYTES_OF_A_THREAD * max(threads, FEWEST_THREADS)}MB"
    backend.con.execute("SET temp_directory = ?", [str(folder)])
    backend.con.execute("SET memory_limit = ?", [limit])
    backend.con.execute("SET preserve_insertion_order = false")


def read_parts(backend: Backend, paths: Sequence[Path], name: str) -> ibis.Table:
    """Parquet files of one run's own as one table; a column that a file lacks is empty there."""
    return backend.read_parquet(list(paths), table_name=name, union_by_name=True)


def keep_in_file(backend: Backend, expression: ibis.Table, path: Path, name: str) -> ibis.Table:
    """Compute an expression once into a Parquet file that only this run reads: many rows.

    Spark holds what it computed itself. DuckDB may have made moments of days (a day and an
    interval); they are days again.
    """
    if backend.name != DUCKDB:
        return keep(backend, expression, name)
    backend.to_parquet(expression, path, compression="lz4")
    found = backend.read_parquet(path, table_name=name)
    declared = expression.schema()
    other = {
        column: kind
        for column, kind in declared.items()
        if found.schema()[column].copy(nullable=True) != kind.copy(nullable=True)
    }
    return found.cast(other) if other else found


def batches(backend: Backend, expression: ibis.Table, rows: int) -> Iterator[pa.Table]:
    """The rows of an expression in their order, so many at a time; first none, for the schema."""
    schema = expression.schema().to_pyarrow()
    yield schema.empty_table()
    if backend.name != DUCKDB:
        yield from backend.batches(expression, rows)
        return
    for batch in backend.raw_sql(backend.compile(expression)).to_arrow_reader(rows):
        yield pa.Table.from_batches([batch]).cast(schema)


def _spark() -> ModuleType:
    """Our module for Spark, of the optional extra `spark`."""
    try:
        return importlib.import_module("pipeline.data.spark")
    except ModuleNotFoundError as error:
        if error.name not in ("pyspark", "py4j"):
            raise
        raise ConfigurationError(
            "engine: pyspark needs the optional extra spark, and pyspark is not installed. Run "
            "make spark, or set engine: duckdb."
        ) from None


def read(backend: Backend, path: Path, name: str) -> ibis.Table:
    """A Parquet file of ours as a table of the engine; errors as in `store.check_seal`."""
    store.check_seal(path)
    return backend.read_parquet(path, table_name=name)


def read_all(backend: Backend, paths: Sequence[Path], name: str) -> ibis.Table:
    """Parquet files of ours as one table of the engine, with the path of each row as `filename`."""
    for path in paths:
        store.check_seal(path)
    return backend.read_parquet(list(paths), table_name=name, filename=True)


def empty(table: Table) -> pa.Table:
    """No rows, every declared column."""
    schema = ibis.schema({name: table.dtype(name) for name in table.columns})
    return schema.to_pyarrow().empty_table()


def keep(backend: Backend, expression: ibis.Table, name: str) -> ibis.Table:
    """Compute an expression once and hold it in the engine under a name."""
    return backend.create_table(name, expression, overwrite=True, temp=True)


def write(expression: ibis.Table, table: Table, path: Path) -> None:
    """Check rows against their declaration and write them, sorted by key, declared columns first.

    pandera's SchemaErrors means that a stage broke its own promise.
    """
    beside = [name for name in expression.columns if name not in table.columns]
    content = expression.select(*table.columns, *beside).order_by(*table.key).to_pyarrow()
    if content.num_rows:  # pandera finds missing values in a table without rows
        table.schema.validate(ibis.memtable(content), lazy=True)
        _let_go()
    store.write_parquet(content, path)


def _let_go() -> None:
    """End the engine in which Ibis checked rows: it would hold them until the process ends."""
    backend = ibis.options.default_backend
    if backend is not None:
        backend.disconnect()
        ibis.options.default_backend = None
