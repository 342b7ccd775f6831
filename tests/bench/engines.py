"""How much slower is Spark on one machine? One month's usage on both engines.

Makes a Parquet file of events once; both sides read it, compute and fetch the result. Spark's own
start is left out. It shows that the expression is the same, not that Spark is fast: Spark pays for
events that outgrow one machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.data import engine, store
from pipeline.stages.usage import account_usage
from tests.bench.row import Row, Sides

SEED = 20261122
EVENTS, FEW_EVENTS = 1_000_000, 10_000
ACCOUNTS, FEATURES, USERS, DAYS = 50_000, 12, 200_000, 31
LATE_AFTER_DAYS = 31


def both_engines(is_quick: bool) -> Sides:
    """The stage's own expression over the events of one month."""
    folder = Path(tempfile.mkdtemp(prefix="lodestar-bench-"))
    events = folder / "2026-10.parquet"
    store.write_parquet(_events(FEW_EVENTS if is_quick else EVENTS), events)

    def on(name: str) -> int:
        with engine.connect("UTC", name) as backend:
            rows = engine.read(backend, events, "events")
            return account_usage(rows, LATE_AFTER_DAYS).to_pyarrow().num_rows

    on("pyspark")  # the session starts here, once
    return Sides(lambda: on("pyspark"), lambda: on("duckdb"), note="Spark's start is left out.")


def _events(number: int) -> pa.Table:
    draw = np.random.default_rng(SEED)
    day = np.datetime64("2026-10-01") + draw.integers(0, DAYS, number).astype("timedelta64[D]")
    return pa.table(
        {
            "account_id": draw.integers(0, ACCOUNTS, number).astype(str),
            "occurred_at": pa.array(day.astype("datetime64[us]")),
            "feature": draw.integers(0, FEATURES, number).astype(str),
            "user_id": draw.integers(0, USERS, number).astype(str),
            "known_on": pa.array(day),
        }
    )


ROWS = [
    Row(
        "usage of a month, 1e6 events, Spark on this machine / DuckDB",
        None,
        both_engines,
        goal="a proof that the expression moves, not a claim of speed",
        needs="pyspark java",
    )
]
