"""Monthly usage: exact whatever is drawn, in little memory, and only for months that changed."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from ruamel.yaml import YAML

from pipeline import settings
from pipeline.data import engine, store
from pipeline.settings import Paths, Period
from pipeline.stages import usage
from tests.bench import event_months

SEED = 20261122
EVENTS_OF_MEMORY, EVENTS_OF_AN_ACCOUNT, ROOM_MB = 4_000_000, 100, 700
"""Of so many events in one month, at once, the users alone would take more than the room."""
CHILD = """
import os, resource, sys
from pathlib import Path
from pipeline import settings
from pipeline.stages import usage
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
usage.EVENTS_AT_ONCE = int(sys.argv[3])
root = Path(sys.argv[1])
read = settings.load(root)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
usage.run(read, settings.Paths(root, read.company))
"""
COLUMNS = ["n_events", "active_days", "n_users", "n_features", "last_event_date", "n_late"]


def drawn(month: str, n_events: int, latest: int, n_features: int = 7) -> pd.DataFrame:
    """One row per event known in a month, a day before it happened to `latest` days after."""
    draw = np.random.default_rng(SEED)
    period = Period(month)
    known = np.array(
        [
            period.start + dt.timedelta(days=int(n))
            for n in draw.integers(0, (period.end - period.start).days, n_events)
        ]
    )
    late = np.where(draw.random(n_events) < 0.5, draw.integers(-1, latest + 1, n_events), 0)
    moment = [
        dt.datetime.combine(day - dt.timedelta(days=int(days)), dt.time(int(hour)))
        for day, days, hour in zip(known, late, draw.integers(0, 24, n_events), strict=True)
    ]
    users = pd.Series(draw.integers(0, 9, n_events)).map("U{}".format)
    return pd.DataFrame(
        {
            "account_id": pd.Series(draw.integers(0, 40, n_events)).map("A{:03d}".format),
            "occurred_at": np.array(moment, dtype="datetime64[us]"),
            "feature": pd.Series(draw.integers(0, n_features, n_events)).map("f{}".format),
            "user_id": users.where(draw.random(n_events) < 0.8, None),
            "known_on": known,
        }
    ).sort_values(["account_id", "occurred_at"], ignore_index=True)


def plainly(events: pd.DataFrame, late_after_days: int) -> pd.DataFrame:
    """The same by a loop over accounts."""
    rows = {}
    day = events["occurred_at"].dt.date
    is_late = (events["known_on"] - day).map(lambda lateness: lateness.days) > late_after_days
    for account, own in events.groupby("account_id"):
        timely = own[~is_late[own.index]]
        rows[account] = (
            len(timely),
            len(set(day[timely.index])),
            timely["user_id"].nunique() if "user_id" in events else 0,
            timely["feature"].nunique(),
            day[own.index].max(),
            len(own) - len(timely),
        )
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS)


def computed(events: pd.DataFrame, late_after_days: int) -> pd.DataFrame:
    """The stage's expression over events held in the engine."""
    with engine.connect() as backend:
        rows = backend.create_table("events", pa.Table.from_pandas(events, preserve_index=False))
        found = usage.account_usage(rows, late_after_days).order_by("account_id").to_pandas()
    found["last_event_date"] = pd.to_datetime(found["last_event_date"]).dt.date
    return found.set_index("account_id")[COLUMNS]


@pytest.mark.parametrize("late_after_days", [0, 31, 200])
@pytest.mark.parametrize("month", ["2025-02", "2024-02", "2025-04", "2025-05"])
def test_usage_of_a_month_is_what_a_loop_over_its_accounts_counts(month, late_after_days):
    events = drawn(month, 3_000, latest=240)

    found = computed(events, late_after_days)

    pd.testing.assert_frame_equal(
        found, plainly(events, late_after_days), check_names=False, check_dtype=False
    )


def test_without_a_column_of_users_the_rest_is_counted_and_users_are_none():
    events = drawn("2025-05", 500, latest=40).drop(columns="user_id")

    found = computed(events, 31)

    assert set(found["n_users"]) == {0}
    pd.testing.assert_frame_equal(found, plainly(events, 31), check_names=False, check_dtype=False)


@pytest.mark.parametrize("n_features", [63, 64, 252, 253, 2_000])
def test_features_are_counted_exactly_however_many_words_they_fill(n_features):
    events = drawn("2025-05", 6_000, latest=40, n_features=n_features)

    found = computed(events, 31)

    assert found["n_features"].to_dict() == plainly(events, 31)["n_features"].to_dict()


def test_a_month_with_late_events_only_has_no_day_and_no_feature():
    events = drawn("2025-05", 200, latest=5)
    events["known_on"] = dt.date(2026, 1, 1)

    found = computed(events, 31)

    assert found[["n_events", "active_days", "n_users", "n_features"]].to_numpy().sum() == 0
    assert found["n_late"].sum() == 200


def root_of(place: Path, months: dict[str, pd.DataFrame]) -> Paths:
    """A root whose ingest left these months."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "params.yaml").write_text((event_months.PROJECT / "params.yaml").read_text())
    paths = Paths(place, settings.load(place).company)
    for month, events in months.items():
        store.write_parquet(events, paths.ingest / "usage" / f"{month}.parquet")
    return paths


def recorded_reads(monkeypatch) -> list[str]:
    """The months that the stage reads from now on."""
    opened: list[str] = []
    read = engine.read_checked

    def recorded(backend, path, name):
        opened.append(path.stem)
        return read(backend, path, name)

    monkeypatch.setattr(engine, "read_checked", recorded)
    return opened


def test_groups_of_accounts_make_the_same_file_as_the_whole_month(tmp_path, monkeypatch):
    months = {"2025-05": drawn("2025-05", 4_000, latest=60)}
    whole, sliced = root_of(tmp_path / "a", months), root_of(tmp_path / "b", months)
    usage.run(settings.load(whole.root), whole)

    monkeypatch.setattr(store, "ROWS_TOGETHER", 256)
    sliced = root_of(tmp_path / "b", months)
    monkeypatch.setattr(usage, "EVENTS_AT_ONCE", 512)
    usage.run(settings.load(sliced.root), sliced)

    cuts = store.parquet_cuts(sliced.ingest / "usage" / "2025-05.parquet", "account_id", 512)
    assert len(cuts) > 4
    assert store.read_parquet(sliced.usage / "2025-05.parquet").equals(
        store.read_parquet(whole.usage / "2025-05.parquet")
    )


def test_a_month_whose_file_changed_by_itself_stops_the_stage_before_it_is_read(
    tmp_path, monkeypatch
):
    months = {month: drawn(month, 300, latest=5) for month in ("2025-04", "2025-05", "2025-06")}
    paths = root_of(tmp_path, months)
    path = paths.ingest / "usage" / "2025-05.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    opened = recorded_reads(monkeypatch)

    with pytest.raises(store.CorruptDataError, match=r"2025-05\.parquet is not what was written"):
        usage.run(settings.load(tmp_path), paths)

    assert opened == ["2025-04"]
    assert [file.stem for file in paths.usage.glob("*.parquet")] == ["2025-04"]


def test_what_a_stopped_stage_wrote_is_not_taken_for_what_stood_there_before(tmp_path, monkeypatch):
    paths = root_of(tmp_path, {"2025-04": drawn("2025-04", 500, latest=60)})
    usual = settings.load(tmp_path)
    usage.run(usual, paths)
    expected = store.read_parquet(paths.usage / "2025-04.parquet")
    write = engine.write_rows

    def write_and_stop(*what):
        write(*what)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "write_rows", write_and_stop)
    stricter = usual.usage.model_copy(update={"late_after_days": 5})
    with pytest.raises(KeyboardInterrupt):
        usage.run(usual.model_copy(update={"usage": stricter}), paths)
    assert not store.read_parquet(paths.usage / "2025-04.parquet").equals(expected)
    monkeypatch.setattr(engine, "write_rows", write)

    usage.run(usual, paths)

    assert store.read_parquet(paths.usage / "2025-04.parquet").equals(expected)


def test_months_that_a_stopped_stage_made_are_not_made_again(tmp_path, monkeypatch):
    months = {month: drawn(month, 100, latest=5) for month in ("2025-04", "2025-05")}
    paths = root_of(tmp_path, months)
    path = paths.ingest / "usage" / "2025-05.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(store.CorruptDataError):
        usage.run(settings.load(tmp_path), paths)
    path.write_bytes(whole)
    opened = recorded_reads(monkeypatch)

    usage.run(settings.load(tmp_path), paths)

    assert opened == ["2025-05"]


def test_changed_code_computes_every_month_again(tmp_path, monkeypatch):
    paths = root_of(
        tmp_path, {month: drawn(month, 100, latest=5) for month in ("2025-04", "2025-05")}
    )
    usage.run(settings.load(tmp_path), paths)
    opened = recorded_reads(monkeypatch)
    usage.run(settings.load(tmp_path), paths)
    assert opened == []

    (tmp_path / "requirements.lock").write_text("duckdb==0\n", encoding="utf-8")
    usage.run(settings.load(tmp_path), paths)

    assert opened == ["2025-04", "2025-05"]


def test_the_code_of_a_month_is_what_its_stage_depends_on_in_dvc_yaml(tmp_path, monkeypatch):
    flow = YAML(typ="safe").load((event_months.PROJECT / "dvc.yaml").read_text(encoding="utf-8"))
    deps = set(flow["stages"]["usage"]["deps"]) - {"data/processed/ingest"}
    hashed = []
    real = store.sha256
    monkeypatch.setattr(store, "sha256", lambda path: hashed.append(path) or real(path))
    paths = root_of(tmp_path, {})
    (tmp_path / "requirements.lock").touch()

    usage.run(settings.load(tmp_path), paths)

    code = event_months.PROJECT
    places = {path.relative_to(code if path.is_relative_to(code) else tmp_path) for path in hashed}
    data = {path.relative_to(code) for path in (code / "pipeline" / "data").rglob("*.py")}
    assert {"pipeline/data"} | {str(place) for place in places - data} == deps
    assert data <= places


def test_groups_lose_no_event_of_a_file_that_is_in_no_order(tmp_path, monkeypatch):
    events = drawn("2025-05", 4_000, latest=60).sample(frac=1, random_state=SEED)
    monkeypatch.setattr(store, "ROWS_TOGETHER", 256)
    monkeypatch.setattr(usage, "EVENTS_AT_ONCE", 512)
    paths = root_of(tmp_path, {"2025-05": events})

    usage.run(settings.load(tmp_path), paths)

    found = store.read_frame(paths.usage / "2025-05.parquet").set_index("account_id")
    expected = plainly(events.reset_index(drop=True), 31)
    assert found["n_events"].to_dict() == expected["n_events"].to_dict()
    assert found["n_users"].to_dict() == expected["n_users"].to_dict()


def test_a_new_month_reads_no_event_of_another_and_leaves_its_file(tmp_path, monkeypatch):
    old, new = (drawn(month, 300, latest=20) for month in ("2025-04", "2025-05"))
    paths = root_of(tmp_path, {"2025-04": old})
    usage.run(settings.load(tmp_path), paths)
    written = (paths.usage / "2025-04.parquet").stat().st_mtime_ns
    store.write_parquet(new, paths.ingest / "usage" / "2025-05.parquet")
    hashed, opened = [], recorded_reads(monkeypatch)
    check = store.check_seal
    monkeypatch.setattr(store, "check_seal", lambda path: hashed.append(path.stem) or check(path))

    usage.run(settings.load(tmp_path), paths)

    assert hashed == opened == ["2025-05"]
    assert (paths.usage / "2025-04.parquet").stat().st_mtime_ns == written
    assert sorted(path.stem for path in paths.usage.glob("*.parquet")) == ["2025-04", "2025-05"]


def test_a_changed_limit_of_lateness_computes_every_month_again(tmp_path):
    paths = root_of(tmp_path, {"2025-05": drawn("2025-05", 2_000, latest=60)})
    before = settings.load(tmp_path)
    usage.run(before, paths)
    n_late = store.read_frame(paths.usage / "2025-05.parquet")["n_late"].sum()

    text = (tmp_path / "params.yaml").read_text()
    assert "late_after_days: 31" in text
    (tmp_path / "params.yaml").write_text(text.replace("late_after_days: 31", "late_after_days: 5"))
    usage.run(settings.load(tmp_path), paths)

    assert store.read_frame(paths.usage / "2025-05.parquet")["n_late"].sum() > n_late


def crowded(month: str, n_events: int) -> pa.Table:
    """Events known in a month, sorted by account, every one of another user."""
    day = Period(month).start
    accounts = 10**8 + np.arange(n_events) // EVENTS_OF_AN_ACCOUNT
    return pa.table(
        {
            "account_id": pa.array(accounts).cast(pa.string()),
            "occurred_at": pa.array(np.full(n_events, np.datetime64(day, "us"))),
            "feature": pa.array(["report"]).take(pa.array(np.zeros(n_events, np.int8))),
            "user_id": pc.utf8_lpad(pa.array(np.arange(n_events)).cast(pa.string()), 100, "0"),
            "known_on": pa.array([day]).take(pa.array(np.zeros(n_events, np.int8))),
        }
    )


def under_a_limit(root: Path, events_at_once: int) -> subprocess.CompletedProcess[str]:
    """The stage in a process that may take little more memory than its start took."""
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(root), str(ROOM_MB), str(events_at_once)],
        capture_output=True, check=False, text=True, timeout=600,
        env={
            **os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system",
            "PYTHONPATH": str(event_months.PROJECT),
        },
    )  # fmt: skip


def test_a_month_of_events_that_would_not_fit_into_memory_is_computed(tmp_path):
    paths = root_of(tmp_path, {"2025-05": crowded("2025-05", EVENTS_OF_MEMORY)})

    at_once = under_a_limit(tmp_path, EVENTS_OF_MEMORY)
    in_slices = under_a_limit(tmp_path, usage.EVENTS_AT_ONCE)

    assert "memory" in at_once.stderr.lower()
    assert in_slices.returncode == 0, in_slices.stderr[-2000:]
    found = store.read_parquet(paths.usage / "2025-05.parquet")
    assert found.num_rows == EVENTS_OF_MEMORY // EVENTS_OF_AN_ACCOUNT
    assert set(found["n_users"].to_pylist()) == {EVENTS_OF_AN_ACCOUNT}
