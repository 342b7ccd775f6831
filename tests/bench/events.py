"""What do events cost? The stage `usage` beside a raw scan, pandas, and itself for one new month.

`python -m tests.bench.events rebuild|as-of|pandas <n>` is one side in a fresh process, so that its
peak memory is its own. The subtle point: a count of rows reads a file's footer only, so the raw
scan decodes every column that the stage reads and takes its largest value.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import settings
from pipeline.data import engine, store
from pipeline.settings import Paths, Period
from pipeline.stages import features, usage
from tests.bench import event_months
from tests.bench.row import Command, Row, Sides

if TYPE_CHECKING:
    import pandas as pd

MANY, SOME, FEW = 10**8, 5 * 10**7, 10**5
READ = ("account_id", "occurred_at", "feature", "user_id", "known_on")
LARGEST = ", ".join(f"max({name})" for name in READ)
TICKETS_PER_ACCOUNT = 20
MARKS = "marks.parquet"
SCAN = """
import sys
import duckdb
with duckdb.connect() as connection:
    for path in sys.argv[2:]:
        connection.execute(f"SELECT {sys.argv[1]} FROM '{path}'").fetchall()
"""
"""A process that loads nothing but the engine: no more than reading the events can be asked."""


def events_command(n_events: int) -> Command:
    """Every month of so many events, computed from nothing; the events are drawn once."""
    return _command("rebuild", n_events)


def _command(side: str, n_events: int) -> Command:
    event_months.root_of(n_events)
    return Command(
        [sys.executable, "-m", "tests.bench.events", side, str(n_events)],
        event_months.PROJECT,
        dict(os.environ),
    )


def _scan_command(n_events: int) -> Command:
    files = sorted((_paths(n_events).ingest / "usage").glob("*.parquet"))
    argv = [sys.executable, "-c", SCAN, LARGEST, *map(str, files)]
    return Command(argv, event_months.PROJECT, dict(os.environ))


def _paths(n_events: int) -> Paths:
    root = event_months.root_of(n_events)
    return Paths(root, settings.load(root).company)


def rebuild(n_events: int) -> None:
    """The stage with nothing done before."""
    paths = _paths(n_events)
    (paths.usage / usage.MANIFEST).unlink(missing_ok=True)
    usage.run(settings.load(paths.root), paths)


def as_of(n_events: int) -> None:
    """The stage with nothing done before, then what `snapshot` makes of it.

    That is, of each account at the first of each month, usage in the month before and its change
    from the month before that.
    """
    rebuild(n_events)
    paths = _paths(n_events)
    months = sorted(paths.usage.glob("*.parquet"))
    with engine.connect() as backend:
        keep = functools.partial(engine.keep, backend)
        read = engine.read_all(backend, months, "usage_months")
        counted = keep(features.with_month(read), "usage")
        grid = engine.read(backend, paths.root / MARKS, "grid")
        _, usage_before = features.FEATURES["usage"]
        keep(usage_before(grid, grid, counted, keep), "months")


def _write_marks(n_events: int) -> None:
    """Every account at the end of every month, with the two months that lie before."""
    paths = _paths(n_events)
    rebuild(n_events)
    months = [Period(path.stem) for path in sorted(paths.usage.glob("*.parquet"))]
    found = [store.read_parquet(path, ["account_id"]) for path in paths.usage.glob("*.parquet")]
    names = pc.unique(pa.concat_tables(found)["account_id"])
    places = np.tile(np.arange(len(months)), len(names))
    columns = {
        "asof": pa.array([month.end for month in months]),
        "month_before": pa.array([str(month) for month in months]),
        "month_before_that": pa.array([str(month.shift(-1)) for month in months]),
    }
    marks = {name: values.take(pa.array(places)) for name, values in columns.items()}
    marks["account_id"] = names.take(pa.array(np.repeat(np.arange(len(names)), len(months))))
    store.write_parquet(pa.table(marks), paths.root / MARKS)


def new_month(n_events: int) -> None:
    """The stage with all months done but the last."""
    paths = _paths(n_events)
    (paths.usage / f"{event_months.LAST_MONTH}.parquet").unlink(missing_ok=True)
    usage.run(settings.load(paths.root), paths)


def by_pandas(n_events: int) -> None:
    """What one would write first: a frame a month, grouped, and written as the stage's months."""
    import pandas as pd  # of this side alone: the stage does without

    paths = _paths(n_events)
    place = paths.root / "by-pandas"
    place.mkdir(exist_ok=True)
    for path in sorted((paths.ingest / "usage").glob("*.parquet")):
        found = of_month(pd.read_parquet(path, columns=list(READ)))
        found.reset_index().to_parquet(place / path.name, compression="zstd")


def of_month(events: pd.DataFrame) -> pd.DataFrame:
    """One row per account, as the stage makes it for a limit of 31 days."""
    day = events["occurred_at"].dt.normalize()
    lateness = (events["known_on"].astype("datetime64[us]") - day).dt.days
    events = events.assign(day=day, is_late=lateness > 31)
    timely = events[~events["is_late"]].groupby("account_id")
    counts = timely.agg(
        n_events=("day", "size"),
        active_days=("day", "nunique"),
        n_users=("user_id", "nunique"),
        n_features=("feature", "nunique"),
    )
    every = events.groupby("account_id").agg(
        last_event_date=("day", "max"), n_late=("is_late", "sum")
    )
    return every.join(counts).fillna(dict.fromkeys(counts, 0))


def _against_scan(is_quick: bool) -> Sides:
    n_events = FEW if is_quick else MANY
    return Sides(_command("rebuild", n_events), _scan_command(n_events))


def _as_of_against_scan(is_quick: bool) -> Sides:
    n_events = FEW if is_quick else MANY
    _write_marks(n_events)
    note = "accounts and months are on file before the clock starts; they are what takes the memory"
    return Sides(_command("as-of", n_events), _scan_command(n_events), note=note)


def _against_pandas(is_quick: bool) -> Sides:
    n_events = FEW if is_quick else SOME
    return Sides(
        _command("rebuild", n_events), _command("pandas", n_events), _scan_command(n_events)
    )


def _against_rebuild(is_quick: bool) -> Sides:
    n_events = FEW if is_quick else MANY
    rebuild(n_events)
    return Sides(lambda: new_month(n_events), lambda: rebuild(n_events))


def _tickets_against_scan(is_quick: bool) -> Sides:
    """Open tickets of every account at every month, beside a scan of the tickets."""
    n_accounts = 1_000 if is_quick else 100_000
    folder = event_months.BUILD / f"as-of-{n_accounts}"
    tickets, grid = _tickets_and_grid(n_accounts)
    for name, rows in (("tickets", tickets), ("grid", grid)):
        store.write_parquet(rows, folder / f"{name}.parquet")
    return Sides(lambda: _open_tickets(folder), lambda: _scanned(folder))


def _tickets_and_grid(n_accounts: int) -> tuple[pa.Table, pa.Table]:
    draw = np.random.default_rng(event_months.SEED)
    names = pa.array([f"A{n:07d}" for n in range(n_accounts)])
    n_tickets = n_accounts * TICKETS_PER_ACCOUNT
    opened = draw.integers(0, 730, n_tickets) + (dt.date(2024, 11, 1) - dt.date(1970, 1, 1)).days
    resolved = opened + draw.integers(0, 60, n_tickets)
    tickets = pa.table(
        {
            "account_id": names.take(pa.array(np.sort(draw.integers(0, n_accounts, n_tickets)))),
            "known_on": pa.array(opened.astype(np.int32)).cast(pa.date32()),
            "resolved_at": pa.array(resolved.astype(np.int32)).cast(pa.date32()),
        }
    )
    months = [Period("2024-11").shift(n).start for n in range(event_months.MONTHS)]
    grid = pa.table(
        {
            "account_id": names.take(pa.array(np.repeat(np.arange(n_accounts), len(months)))),
            "asof": pa.array(months * n_accounts),
        }
    )
    return tickets, grid


def _open_tickets(folder: Path) -> None:
    with engine.connect() as backend:
        tickets = engine.read(backend, folder / "tickets.parquet", "tickets")
        grid = engine.read(backend, folder / "grid.parquet", "grid")
        engine.keep(backend, features.tickets_open(grid, tickets), "open_tickets")


def _scanned(folder: Path) -> None:
    with duckdb.connect() as connection:
        for name, columns in (("tickets", ("known_on", "resolved_at")), ("grid", ("asof",))):
            largest = ", ".join(f'max("{column}")' for column in ("account_id", *columns))
            connection.execute(f"SELECT {largest} FROM '{folder / name}.parquet'").fetchall()


ROWS = [
    Row(
        "usage of 24 months, 10^8 events, beside a raw scan of the same columns",
        4.0,
        _against_scan,
        goal="at most 4 times the raw scan, under 300 MB",
        most_mb=300.0,
    ),
    Row(
        "usage of 10^8 events, then as of 2.4·10^6 account-months, beside a raw scan",
        4.0,
        _as_of_against_scan,
        goal="trailing windows and as-of features inside the same bound",
        most_mb=300.0,
    ),
    Row(
        "usage of one new month beside the rebuild of 24, 10^8 events",
        0.08,
        _against_rebuild,
        goal="a new month costs at most 0.08 of all",
    ),
    Row(
        "usage of 24 months, 5·10^7 events, beside pandas",
        0.12,
        _against_pandas,
        goal="at most 0.12 of pandas, whole processes; so many events that imports hardly count",
    ),
    Row(
        "tickets open at each month, 2·10^6 tickets of 10^5 accounts, beside a raw scan",
        None,
        _tickets_against_scan,
        goal="as-of features by one running sum: shown beside the scan",
    ),
]
SIDES: dict[str, Callable[[int], None]] = {
    "rebuild": rebuild,
    "as-of": as_of,
    "pandas": by_pandas,
}

if __name__ == "__main__":
    SIDES[sys.argv[1]](int(sys.argv[2]))
