"""What does ingest leave for the stages below? Typed tables, and what the extract was.

Makes data/processed/ingest/<table>.parquet, sorted by key; usage is one file per month in which its
events became known, so that a later month leaves the files of earlier ones as they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from pipeline.data import engine, store
from pipeline.data.reading import FIELDS, FILE, LINE, DataError
from pipeline.data.schema import Table
from pipeline.settings import Paths
from pipeline.stages.ingest import identity, money
from pipeline.stages.ingest.aside import Sorted
from pipeline.stages.rules import GAP, KNOWN_ON, TEXT, TWICE

PRIVATE = (TEXT, GAP, TWICE, FIELDS, identity.RESPELLED, identity.MERGED_FROM, money.ROUNDED)
"""Endings of columns that no stage below needs."""


def write(backend: Backend, tables: Mapping[str, Sorted], paths: Paths) -> None:
    """Write the rows to use of every table; DataError when no subscription is left."""
    if not tables["subscriptions"].used.count().execute():
        raise DataError("No row of subscriptions can be used: there is nothing to report.")
    for kept in tables.values():
        columns = [
            column
            for column in kept.used.columns
            if not column.endswith(PRIVATE) and not column.startswith("parent_")
        ]
        rows = kept.used.select(*columns)
        if kept.table.name == "usage":
            _write_months(engine.keep(backend, rows, "usage_to_write"), kept.table, paths)
        else:
            order = [name for name in (*kept.table.key, KNOWN_ON, FILE, LINE) if name in columns]
            content = rows.order_by(order).to_pyarrow()
            store.write_parquet(content, paths.ingest / f"{kept.table.name}.parquet")


def _write_months(used: ir.Table, table: Table, paths: Paths) -> None:
    months = used.mutate(known_month=used[KNOWN_ON].strftime("%Y-%m"))
    names = sorted(months.select("known_month").distinct().to_pandas()["known_month"])
    folder = paths.ingest / table.name
    for month in names:
        content = months.filter(months.known_month == month).drop("known_month")
        content = content.order_by("account_id", "occurred_at", FILE, LINE).to_pyarrow()
        store.write_parquet(content, folder / f"{month}.parquet")
    for path in folder.glob("*.parquet"):
        if path.stem not in names:
            path.unlink()


def facts(tables: Mapping[str, Sorted], last: dt.date) -> dict[str, Any]:
    """How far the extract reaches, where billing begins, and how many rows came in."""
    starts = tables["subscriptions"].used.start_date.min().execute()
    return {
        "extract_date": last.isoformat(),
        "billing_start": pd.Timestamp(starts).date().isoformat(),
        "rows": {name: kept.n_rows for name, kept in tables.items()},
    }
