"""What does ingest leave for the stages below? Typed tables, and what the extract was.

Makes data/processed/ingest/<table>.parquet, sorted by key; usage is one file per month in which its
events became known, so that a later month leaves the files of earlier ones as they are. Beside it
`usage_twice`, one row per key of an event that stood in several rows when copies had been merged.
"""

from __future__ import annotations

import datetime as dt
import itertools
import operator
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import engine, store
from pipeline.data.engine import Backend
from pipeline.data.reading import FIELDS, FILE, LINE, DataError
from pipeline.settings import Paths
from pipeline.stages import rules, twice
from pipeline.stages.ingest import identity, money
from pipeline.stages.ingest.aside import Sorted
from pipeline.stages.rules import BROKEN, GAP, KNOWN_ON, TEXT

PRIVATE = (
    TEXT,
    BROKEN,
    GAP,
    rules.TWICE,
    FIELDS,
    identity.RESPELLED,
    identity.MERGED_FROM,
    money.ROUNDED,
)
"""Endings of columns that no stage below needs."""
PART_ROWS, BATCH_ROWS = 1 << 20, 1 << 16
"""Rows that are in memory at a time, a row group of what is written; rows of a batch."""


def write(backend: Backend, tables: Mapping[str, Sorted], paths: Paths) -> None:
    """Write the rows to use of every table; DataError when no subscription is left.

    The old `usage_twice` goes first: beside other rows than its own it would be wrong.
    """
    if not tables["subscriptions"].used.count().execute():
        raise DataError("No row of subscriptions can be used: there is nothing to report.")
    (paths.ingest / twice.USAGE_TWICE).unlink(missing_ok=True)
    for kept in tables.values():
        columns = [
            column
            for column in kept.used.columns
            if not column.endswith(PRIVATE) and not column.startswith("parent_")
        ]
        rows = kept.used.select(*columns)
        if kept.table.name == "usage":
            _write_months(backend, rows, paths.ingest / "usage")
        else:
            order = [name for name in (*kept.table.key, KNOWN_ON, FILE, LINE) if name in columns]
            path = paths.ingest / f"{kept.table.name}.parquet"
            parts = engine.batches(backend, rows.order_by(order), BATCH_ROWS)
            store.write_parquet_parts(store.of_one_size(parts, PART_ROWS), path)


def write_usage_twice(
    backend: Backend, usage: Sorted, alike: ir.Table | None, paths: Paths
) -> None:
    """Write the keys of events with several rows; `alike` has all that share one, copies merged."""
    key = rules.key_of(usage.used, usage.table)
    if not key:
        return
    rows = usage.used.select(*key).limit(0) if alike is None else alike
    parts = engine.batches(backend, twice.keys_twice(rows, key), BATCH_ROWS)
    path = paths.ingest / twice.USAGE_TWICE
    store.write_parquet_parts(store.of_one_size(parts, PART_ROWS), path)


def _write_months(backend: Backend, used: ir.Table, folder: Path) -> None:
    """One file per month, out of one sort of all rows, of which few are in memory at a time."""
    months = used.mutate(known_month=used[KNOWN_ON].strftime("%Y-%m"))
    rows = months.order_by("known_month", "account_id", "occurred_at", FILE, LINE)
    names = []
    for month, own in itertools.groupby(
        _months_of(engine.batches(backend, rows, BATCH_ROWS)), operator.itemgetter(0)
    ):
        parts = (part for _, part in own)
        store.write_parquet_parts(store.of_one_size(parts, PART_ROWS), folder / f"{month}.parquet")
        names.append(month)
    for path in folder.glob("*.parquet"):
        if path.stem not in names:
            path.unlink()


def _months_of(parts: Iterator[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Each part of rows in the order of their month, cut where a month ends."""
    for part in parts:
        ends = pc.run_end_encode(part["known_month"].combine_chunks())
        rows = part.drop_columns("known_month")
        first = 0
        for month, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
            yield month, rows.slice(first, end - first)
            first = end


def facts(tables: Mapping[str, Sorted], last: dt.date) -> dict[str, Any]:
    """How far the extract reaches, where billing begins, and how many rows came in."""
    starts = tables["subscriptions"].used.start_date.min().execute()
    return {
        "extract_date": last.isoformat(),
        "billing_start": pd.Timestamp(starts).date().isoformat(),
        "rows": {name: kept.n_rows for name, kept in tables.items()},
    }
