"""Ingest of one large table of events, held against the engine that only rewrites the same file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from pipeline.data import store
from tests.bench.row import Command, Row, Sides
from tests.stages.company import accounts_of, write_company

SEED = 20261122
EVENTS, QUICK_EVENTS, ACCOUNTS = 10_000_000, 20_000, 1000
DAYS_SECONDS = 720 * 86_400
INGEST = "from pipeline.cli import main; main()"
LIMIT = """
import duckdb, sys
source, target = sys.argv[1:]
engine = duckdb.connect()
engine.execute("SET memory_limit = '500MB'")
engine.execute(
    f"COPY (SELECT * FROM read_parquet('{source}') ORDER BY occurred_at[:7], account_id, "
    f"occurred_at) TO '{target}' (COMPRESSION zstd)"
)
"""


def _company(folder: Path, number: int) -> Path:
    """A root with so many events of text in one Parquet file; gives that file."""
    draw = np.random.default_rng(SEED)
    names = [f"A{place:04d}" for place in range(ACCOUNTS)]
    subscriptions = "subscription_id,account_id,start_date,end_date,mrr\n" + "".join(
        f"S{name},{name},2024-01-01,,100\n" for name in names
    )
    files = {"accounts.csv": accounts_of(*names), "subscriptions.csv": subscriptions}
    company = write_company(folder, files, source={"largest_file_mb": 100_000})
    seconds = draw.integers(0, DAYS_SECONDS, number).astype("timedelta64[s]")
    moments = np.datetime64("2024-01-02T00:00:00") + seconds
    engine = duckdb.connect()
    engine.register("places", pa.table({"place": np.arange(number)}))
    ids = engine.execute("SELECT 'E' || place AS id FROM places ORDER BY place").to_arrow_table()
    rows = {
        "usage_id": ids["id"],
        "account_id": pa.array(names).take(draw.integers(0, ACCOUNTS, number)),
        "occurred_at": pa.array(moments).cast(pa.string()),
        "feature": pa.array(["report", "export", "board"]).take(draw.integers(0, 3, number)),
    }
    path = company.paths.raw / "usage.parquet"
    store.write_parquet(pa.table(rows), path)
    return path


def events(is_quick: bool) -> Sides:
    """The whole stage against DuckDB's own sort by month of the same file, unread and unjudged."""
    folder = Path(tempfile.mkdtemp(prefix="lodestar-bench-"))
    path = _company(folder, QUICK_EVENTS if is_quick else EVENTS)
    python = [sys.executable, "-c"]
    return Sides(
        Command([*python, INGEST, "--root", str(folder), "stage", "ingest"]),
        Command([*python, LIMIT, str(path), str(folder / "sorted.parquet")]),
        note="the peer reads no cell, judges no row, looks for no copy and hashes nothing",
    )


ROWS = [Row("ingest of 10^7 events against DuckDB sorting the file by month", None, events)]
