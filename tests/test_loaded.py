"""What does a process load? Memory and start-up time that nobody asked for show here, by name.

Each test starts a process, for this one has loaded everything.
"""

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.data import store
from pipeline.settings import Paths

PROJECT = Path(__file__).parents[1]
LARGE = {
    "debugpy",
    "duckdb",
    "great_tables",
    "ibis",
    "lark",
    "numpy",
    "pandas",
    "pandera",
    "pyarrow",
    "pyspark",
    "statsmodels.api",
}
SAY = f"import json, sys; print(json.dumps(sorted({LARGE} & sys.modules.keys())))"
USED = "from pipeline import settings; from pipeline.stages import usage"
MOMENT = pa.timestamp("us")


def loaded_by(program: str) -> list[str]:
    """Which of the large libraries stand in a process that has done this."""
    said = subprocess.run(
        [sys.executable, "-c", f"{program}; {SAY}"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(said.stdout))


@pytest.mark.parametrize(
    "module", ["pipeline.cli", "pipeline.flow", "pipeline.root", "pipeline.bound_dvc"]
)
def test_what_asks_whether_there_is_anything_to_do_loads_no_tables(module: str) -> None:
    assert loaded_by(f"import {module}") == []


def test_a_preload_loads_no_engine_no_debugger_and_nothing_twice_as_large_as_what_is_used() -> None:
    loaded = loaded_by("from pipeline.preload import process; process.load()")
    unused = {"debugpy", "duckdb", "ibis", "lark", "statsmodels.api"}  # lark: addresses' grammar
    assert unused & set(loaded) == set()


def test_a_chapter_may_sweep_and_load_what_its_preload_did_not() -> None:
    later = "import gc, debugpy, ibis; assert gc.isenabled()"
    loaded = loaded_by(f"from pipeline.preload import process; process.load(); {later}")
    assert {"debugpy", "ibis"} <= set(loaded)


def test_months_of_usage_are_written_without_frames(tmp_path: Path) -> None:
    events = pa.table(
        {
            "account_id": ["A1", "A1", "A2"],
            "occurred_at": pa.array([dt.datetime(2026, 1, day) for day in (1, 2, 2)], MOMENT),
            "feature": ["export", "share", "export"],
            "known_on": [dt.date(2026, 1, 3)] * 3,
        }
    )
    store.write_parquet(events, Paths(tmp_path, "toy").ingest / "usage" / "2026-01.parquet")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    run = "usage.run(settings.load(root), settings.Paths(root, 'toy'))"
    program = f"from pathlib import Path; root = Path({str(tmp_path)!r}); {USED}; {run}"
    assert {"pandas", "pandera"}.isdisjoint(loaded_by(program))
    assert len(store.read_parquet(Paths(tmp_path, "toy").usage / "2026-01.parquet")) == 2
