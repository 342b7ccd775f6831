"""Which engine computes? One Ibis connection: DuckDB in this process, or Spark.

Results are written sorted by their full key, so that the bytes do not depend on threads. The subtle
point: nothing here or in a stage asks which engine it is; where they differ, `duck` and `spark`
have the same calls.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import ibis
import pyarrow as pa

from pipeline.data import duck, store
from pipeline.data.duck import Backend
from pipeline.data.schema import Table
from pipeline.settings import ConfigurationError

DUCKDB = "duckdb"
ibis.options.sql.fuse_selects = False  # both engines do so themselves, and sooner than Ibis
Keep = Callable[[ibis.Table, str], ibis.Table]
"""Computes rows once and holds them under a name: a step of its own, so that memory goes round."""


@contextlib.contextmanager
def connect(
    timezone: str = "UTC", name: str = DUCKDB, *, threads: int | None = None
) -> Iterator[Backend]:
    """An engine by its name in params.yaml, in the business time zone.

    `threads` of DuckDB; None: one per core. ConfigurationError: what the engine needs is not
    installed.
    """
    opened = duck.connected(timezone, threads) if name == DUCKDB else _spark().connected(timezone)
    with opened as backend:
        yield backend


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
    return read_checked(backend, path, name)


def read_checked(backend: Backend, path: Path, name: str) -> ibis.Table:
    """As `read`, of a file whose seal the caller has looked at."""
    return backend.read_parquet(path, table_name=name)


def read_all(backend: Backend, paths: Sequence[Path], name: str) -> ibis.Table:
    """Parquet files of ours as one table of the engine, with the path of each row as `filename`."""
    for path in paths:
        store.check_seal(path)
    return backend.read_parquet(list(paths), table_name=name, filename=True)


def read_parts(backend: Backend, paths: Sequence[Path], name: str) -> ibis.Table:
    """Parquet files of one run's own as one table; a column that a file lacks is empty there."""
    return backend.read_parquet(list(paths), table_name=name, union_by_name=True)


def empty(table: Table) -> pa.Table:
    """No rows, every declared column."""
    schema = ibis.schema({name: table.dtype(name) for name in table.columns})
    return schema.to_pyarrow().empty_table()


def keep(backend: Backend, expression: ibis.Table, name: str) -> ibis.Table:
    """Compute an expression once and hold it in the engine under a name."""
    return backend.keep(expression, name)


def write(backend: Backend, expression: ibis.Table, table: Table, path: Path) -> None:
    """Check rows against their declaration and write them, sorted by key, declared columns first.

    A row group is in memory at a time; the backend has a folder to spill to. pandera's
    SchemaErrors means that a stage broke its own promise.
    """
    beside = [name for name in expression.columns if name not in table.columns]
    rows = expression.select(*table.columns, *beside).order_by(*table.key)
    parts = store.of_one_size(batches(backend, rows, store.ROWS_TOGETHER), store.ROWS_TOGETHER)
    store.write_parquet_parts((_judged(part, table) for part in parts), path)


def batches(backend: Backend, rows: ibis.Table, number: int) -> Iterator[pa.Table]:
    """The rows in their order, so many at a time; first none, for the schema."""
    yield rows.schema().to_pyarrow().empty_table()
    yield from backend.batches(rows, number)


def write_rows(content: pa.Table, table: Table, path: Path) -> None:
    """As `write`, for rows that are there already: in the declared order and sorted by key."""
    store.write_parquet(_judged(content, table), path)


def _judged(content: pa.Table, table: Table) -> pa.Table:
    """The same rows; an error when they break their declaration."""
    if content.num_rows and not table.is_met_by(content):  # pandera on no rows: missing
        table.schema.validate(ibis.memtable(content), lazy=True)
        _let_go()
    return content


def _let_go() -> None:
    """End the engine in which Ibis checked rows: it would hold them until the process ends."""
    backend = ibis.options.default_backend
    if backend is not None:
        backend.disconnect()
        ibis.options.default_backend = None
