"""The manifest of a run: what it says while it runs, when it ended, and when it was killed."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import states
from pipeline.data import store
from pipeline.flow import Ended, Task
from pipeline.lock import Process
from pipeline.run import manifest
from pipeline.settings import Paths

START = dt.datetime(2026, 11, 1, 6, 0, 1, tzinfo=dt.UTC)
FIELDS = {
    "schema_version", "run_id", "state", "command", "started_at", "ended_at", "host", "pid",
    "boot_id", "process_start", "company", "extract_date", "periods", "error", "tasks",
    "lock_sha256", "params_sha256", "notebooks", "log",
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, "acme")


def on_disk(run: manifest.Manifest) -> dict:
    return store.read_json(run.folder / "run.json")


def test_a_run_is_on_disk_as_running_before_it_does_anything(paths: Paths) -> None:
    run = manifest.begin(paths, ["lodestar", "run"], START)
    assert manifest.RUN_ID.fullmatch(run.run_id)
    assert run.run_id.startswith("20261101T060001Z-")
    assert set(on_disk(run)) == FIELDS
    assert (on_disk(run)["state"], on_disk(run)["pid"]) == ("running", os.getpid())
    assert on_disk(run)["log"] == f"build/runs/{run.run_id}/log.jsonl"


def test_each_step_is_on_disk_when_it_is_done(paths: Paths) -> None:
    run = manifest.begin(paths, ["lodestar"])
    noted = [{"category": "ConvergenceWarning", "count": 2, "is_allowed": False}]
    task = Task("survival", "2026-10")
    run.task(Ended(task, 0, "", 12.34, attempts=2, peak_memory_mb=410.0, warnings=(*noted,)))
    run.period("2026-10", states.FAILED)
    run.period("2026-09", states.IN_FORCE, status="final", revision=1)
    run.period("2026-10", states.PUBLISHED, status="provisional", revision=2)
    assert on_disk(run)["tasks"] == [
        {
            "stage": "survival@2026-10", "seconds": 12.3, "peak_memory_mb": 410.0, "code": 0,
            "attempts": 2, "warnings": noted,
        }
    ]  # fmt: skip
    rows = [(row["period"], row["state"], row["revision"]) for row in on_disk(run)["periods"]]
    assert rows == [("2026-09", "in_force", 1), ("2026-10", "published", 2)]
    run.end(states.DONE)
    assert (on_disk(run)["state"], on_disk(run)["error"]) == ("done", None)
    assert on_disk(run)["ended_at"] >= on_disk(run)["started_at"]


def test_an_error_keeps_its_first_line_and_no_path_of_this_machine(paths: Paths) -> None:
    run = manifest.begin(paths, ["lodestar"])
    log = paths.build / "log" / "survival.log"
    said = f"{paths.root}/notebooks/03_survival.ipynb failed\nTraceback of many lines"
    error = run.failure("cell_error", 70, said, log=log, notebook="03.ipynb", cell="answer")
    assert error == {
        "class": "cell_error", "code": 70, "notebook": "03.ipynb", "cell": "answer",
        "message": "notebooks/03_survival.ipynb failed", "log": "build/log/survival.log",
    }  # fmt: skip


def test_a_secret_of_the_environment_stands_in_no_manifest(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LODESTAR_PSEUDONYM_KEY", "canary-5e8d1f")
    run = manifest.begin(paths, ["lodestar", "--root", "canary-5e8d1f"])
    run.end(states.FAILED, run.failure("x", 70, "the key canary-5e8d1f was said"))
    files = [path.read_text() for path in run.folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert [text for text in files if "canary" in text] == []


def dead_process() -> Process:
    """A process of this machine and boot that is gone."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = Process.of(child.pid)
    child.communicate(b"\n")
    return known


def test_a_running_manifest_of_a_dead_process_reads_as_interrupted(paths: Paths) -> None:
    run = manifest.begin(paths, ["lodestar"])
    assert manifest.read_all(paths)[-1]["state"] == "running"
    gone = dead_process()
    run.note(pid=gone.pid, process_start=gone.process_start)
    assert manifest.read_all(paths)[-1]["state"] == "interrupted"
    assert on_disk(run)["state"] == "running"
    assert manifest.mark_interrupted(paths) == [run.run_id]
    assert on_disk(run)["state"] == "interrupted"
    assert on_disk(run)["error"]["class"] == "interrupted"
    assert manifest.mark_interrupted(paths) == []


def test_a_run_of_a_machine_whose_name_is_gone_ends_when_the_next_one_holds_the_lock(
    paths: Paths,
) -> None:
    run = manifest.begin(paths, ["lodestar"])
    run.note(host="another-machine")
    own = manifest.begin(paths, ["lodestar"])
    assert [each["state"] for each in manifest.read_all(paths)] == ["running", "running"]
    assert manifest.mark_interrupted(paths, own.run_id) == [run.run_id]
    assert on_disk(run)["state"] == "interrupted"
    assert on_disk(own)["state"] == "running"


def test_a_number_that_another_process_has_now_does_not_keep_a_run_alive(paths: Paths) -> None:
    run = manifest.begin(paths, ["lodestar"])
    run.note(process_start=run.content["process_start"] - 1)
    assert manifest.read_all(paths)[-1]["state"] == "interrupted"
    run.note(process_start=run.content["process_start"] + 1, boot_id="before-the-reboot")
    assert manifest.read_all(paths)[-1]["state"] == "interrupted"


def test_runs_come_in_the_order_of_their_names_whatever_the_times_of_files(paths: Paths) -> None:
    earlier = manifest.begin(paths, ["earlier"], START)
    later = manifest.begin(paths, ["later"], START + dt.timedelta(days=5))
    os.utime(later.folder / "run.json", (0, 0))
    found = [run["command"] for run in manifest.read_all(paths)]
    assert found == [["earlier"], ["later"]]
    assert manifest.read_all(paths)[-1]["run_id"] == later.run_id
    assert earlier.run_id < later.run_id


def test_f140_the_last_run_stays_the_last_though_the_clock_went_back(paths: Paths) -> None:
    first = manifest.begin(paths, ["first"], START + dt.timedelta(days=365))
    again = manifest.begin(paths, ["second"], START)
    third = manifest.begin(paths, ["third"], START)
    found = [run["command"] for run in manifest.read_all(paths)]
    assert found == [["first"], ["second"], ["third"]]
    assert first.run_id < again.run_id < third.run_id
    assert on_disk(third)["started_at"] == START.isoformat()


@pytest.mark.parametrize(
    "damage",
    [
        {"state": "odd"}, {"error": "text"}, {"periods": [3]}, {"periods": [{}]}, {"periods": None},
        {"tasks": None},
    ],
)  # fmt: skip
def test_a_manifest_that_lacks_what_its_readers_need_is_left_out(
    paths: Paths, damage: dict[str, object]
) -> None:
    run = manifest.begin(paths, ["own"])
    run.end(states.DONE)
    assert [each["run_id"] for each in manifest.read_all(paths)] == [run.run_id]
    store.write_json(on_disk(run) | damage, run.folder / "run.json")
    assert manifest.read_all(paths) == []
    store.write_json({"state": "done"}, run.folder / "run.json")
    assert manifest.read_all(paths) == []


def test_runs_of_another_company_and_broken_manifests_are_left_out(paths: Paths) -> None:
    manifest.begin(Paths(paths.root, "other"), ["other"])
    own = manifest.begin(paths, ["own"])
    unknown = manifest.begin(Paths(paths.root, ""), ["params.yaml was wrong"])
    broken = manifest.begin(paths, ["broken"])
    (broken.folder / "run.json").write_text('{"state": "runn')
    found = {run["run_id"] for run in manifest.read_all(paths)}
    assert found == {own.run_id, unknown.run_id}
