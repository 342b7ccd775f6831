"""Events of a company that grows: seeded, in the very form in which `ingest` leaves them.

Makes a root with data/processed/ingest/usage/<month>.parquet for 24 months, sorted by account and
moment, sealed. The subtle point: a month is drawn in whole numbers, packed into one sort key, so
that 10^8 events take minutes and the memory of one month. Its texts are plain when they are
written: of Arrow's dictionaries each part of a file would hold every user of the company, and
whoever reads it would pay for them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.data import store
from pipeline.settings import Period

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / "build" / "bench"
SEED = 20261122
MONTHS = 24
LAST_MONTH = Period("2026-10")
EVENTS_PER_ACCOUNT = 1_000
"""Over the 24 months: 10^8 events belong to 100 000 accounts."""
USERS, FEATURES = 8, 12
LATE_SHARE, LATEST_DAYS = 0.05, 45
DAY = 24 * 60 * 60
SECONDS = 1 << 32
"""Room for the moment in the sort key, in seconds since 1970."""
READY = "ready"


def root_of(n_events: int) -> Path:
    """The root with so many events, without usage, which the stage is to make.

    It stays for the next time, unless what makes it has changed since.
    """
    root = BUILD / f"events-{n_events}"
    ready, made_by = root / READY, _made_by()
    if not ready.is_file() or ready.read_text(encoding="utf-8") != made_by:
        shutil.rmtree(root, ignore_errors=True)
        folder = root / "data" / "processed" / "ingest" / "usage"
        n_accounts = max(1, n_events // EVENTS_PER_ACCOUNT)
        for back in range(MONTHS):
            month = LAST_MONTH.shift(-back)
            rows = _month(month, n_events // MONTHS, n_accounts, SEED + back)
            store.write_parquet(rows, folder / f"{month}.parquet")
        shutil.copy(PROJECT / "params.yaml", root)
        store.write_text(made_by, ready)
    return root


def _made_by() -> str:
    """Names the code that draws and writes the events, and the choices beside them."""
    files = (Path(__file__), Path(store.__file__), PROJECT / "params.yaml")
    return " ".join(store.sha256(path) for path in files)


def _month(month: Period, n_events: int, n_accounts: int, seed: int) -> pa.Table:
    """One row per event that became known in the month; some had happened weeks before."""
    draw = np.random.default_rng(seed)
    start = np.datetime64(str(month), "s").astype(np.int64)
    length = (month.end - month.start).days * DAY
    known = start + draw.integers(0, length, n_events)
    is_late = draw.random(n_events) < LATE_SHARE
    occurred = known - np.where(is_late, draw.integers(0, LATEST_DAYS * DAY, n_events), 0)
    account = draw.integers(0, n_accounts, n_events)
    order = np.argsort(account * SECONDS + occurred, kind="stable")
    account, occurred, known = account[order], occurred[order], known[order]
    user = account * USERS + draw.integers(0, USERS, n_events)
    feature = draw.integers(0, FEATURES, n_events)
    return pa.table(
        {
            "source_file": _named(np.zeros(n_events, np.int64), ["usage.csv"]),
            "source_line": pa.array(draw.permutation(n_events) + 2),
            "account_id": _named(account, [f"A{n:07d}" for n in range(n_accounts)]),
            "occurred_at": _moments(occurred),
            "feature": _named(feature, [f"feature_{n}" for n in range(FEATURES)]),
            "user_id": _named(user, [f"U{n:08d}" for n in range(n_accounts * USERS)]),
            "known_on": pa.array((known // DAY).astype(np.int32)).cast(pa.date32()),
        }
    )


def _named(places: np.ndarray, names: list[str]) -> pa.Array:
    return pa.array(names).take(pa.array(places))


def _moments(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds * 1_000_000).cast(pa.timestamp("us"))
