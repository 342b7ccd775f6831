"""One run from its first look to its last word: what it leaves when it ends badly."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline import states
from pipeline.data import choices, store
from pipeline.flow import StageFailedError
from pipeline.reporting import publish
from pipeline.run import FailedPeriodsError, PreflightError, Progress, Run, doctor, manifest, runner
from pipeline.run.build import Wanted
from pipeline.run.finding import Finding
from pipeline.settings import ConfigurationError, ParameterError, Paths

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the shipped flow where every look finds all well and nothing is built."""
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(doctor, "examine", lambda *_: [Finding("disk", True, True, "free")])
    monkeypatch.setattr(Run, "build", lambda *_: tmp_path / "reports" / "index.html")
    return tmp_path


def run(root: Path, **choice: Any) -> Path:
    return runner.run(root, progress=Progress(Console(file=io.StringIO())), **choice)


def last(root: Path) -> dict[str, Any]:
    """The only manifest of a root, as it stands on disk."""
    (path,) = (root / "build" / "runs").glob("*/run.json")
    return store.read_json(path)


def stop_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(choices, "check", fail)


def test_a_run_with_nothing_to_do_says_so_in_its_manifest(root: Path) -> None:
    assert run(root) == root / "reports" / "index.html"
    assert (last(root)["state"], last(root)["error"]) == ("nothing_to_do", None)
    assert last(root)["company"] == "sample"
    assert len(last(root)["notebooks"]) == 0
    assert last(root)["params_sha256"] == store.sha256(root / "params.yaml")


def test_a_run_that_published_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(this: Run, _: Wanted) -> Path:
        this.manifest.period("2026-10", states.PUBLISHED, status="provisional", revision=1)
        return root

    monkeypatch.setattr(Run, "build", build)
    run(root)
    assert last(root)["state"] == "done"


@pytest.mark.parametrize(("cores", "asked", "expected"), [(2, None, 3), (None, None, 2), (2, 1, 1)])
def test_one_chapter_more_than_there_are_cores_runs_at_a_time(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int | None,
    asked: int | None,
    expected: int,
) -> None:
    seen: list[int] = []

    def build(this: Run, _: Wanted) -> Path:
        seen.append(this.jobs)
        return root

    monkeypatch.setattr(Run, "build", build)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    run(root, jobs=asked)
    assert seen == [expected]


def test_a_place_where_no_run_can_go_well_is_refused_before_anything_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Finding("disk", False, True, "3 MB are free", "Free some.", 74)
    note = Finding("clock", False, False, "late")
    monkeypatch.setattr(doctor, "examine", lambda *_: [note, bad])
    stop_with(AssertionError("nothing may start"), monkeypatch)
    with pytest.raises(PreflightError, match=r"disk: 3 MB are free\. Free some\.") as caught:
        run(root)
    assert caught.value.code == 74
    assert last(root)["state"] == "failed"
    assert (last(root)["error"]["class"], last(root)["error"]["code"]) == ("preflight", 74)


def test_a_stage_that_failed_is_in_the_manifest_with_its_kind_and_log(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_with(StageFailedError("2 rows of accounts.csv\nmore", 65, "data"), monkeypatch)
    with pytest.raises(StageFailedError):
        run(root)
    assert last(root)["error"] == {
        "class": "data", "code": 65, "notebook": None, "cell": None,
        "message": "2 rows of accounts.csv", "log": "build/log/dvc.log",
    }  # fmt: skip


def test_an_error_nobody_foresaw_names_the_file_of_its_traceback(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_with(ZeroDivisionError("division by zero"), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        run(root)
    error = last(root)["error"]
    assert (error["class"], error["code"]) == ("zero_division", 70)
    assert error["log"] == "build/log/traceback.txt"


def test_a_run_that_was_stopped_is_cancelled_and_leaves_nothing_half_made(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = root / "data" / "processed" / "survival" / ".2026-10.building" / "half.csv"
    report = root / "reports" / "2026-10" / "index.html"

    def stop(*_: object) -> Path:
        store.write_text("half", half)
        store.write_text("whole", report)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "build", stop)
    with pytest.raises(KeyboardInterrupt):
        run(root)
    assert (last(root)["state"], last(root)["error"]["code"]) == ("cancelled", 130)
    assert (half.exists(), report.read_text()) == (False, "whole")


def test_params_that_cannot_be_read_leave_a_manifest_without_a_company(root: Path) -> None:
    (root / "params.yaml").write_text("company: [")
    with pytest.raises(ConfigurationError):
        run(root)
    assert (last(root)["state"], last(root)["company"]) == ("failed", None)
    assert last(root)["error"]["class"] == "configuration"
    assert manifest.read_all(Paths(root, "sample"))[-1]["run_id"] == last(root)["run_id"]


def test_a_disk_that_is_full_at_the_last_word_hides_no_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    stop_with(FailedPeriodsError("1 of 2 periods", 70), monkeypatch)
    monkeypatch.setattr(manifest.Manifest, "end", full)
    with pytest.raises(FailedPeriodsError):
        run(root)
    assert last(root)["state"] == "running"


def test_a_chapter_that_is_not_listed_is_refused(root: Path) -> None:
    with pytest.raises(ParameterError, match="--chapters: health is not listed"):
        run(root, chapters=["revenue", "health"])


def test_the_index_is_written_after_the_last_word_on_the_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(publish, "write_index", lambda _: seen.append(last(root)["state"]))
    run(root)
    assert seen[-1] == "nothing_to_do"


def test_params_that_are_no_text_are_a_configuration_error_with_a_last_word(root: Path) -> None:
    (root / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        run(root)
    assert last(root)["state"] == "failed"


def test_a_run_whose_last_word_cannot_be_written_is_told_as_a_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Paths) -> None:
        raise OSError(28, "No space left on device")

    told: list[int] = []
    monkeypatch.setattr(publish, "write_index", full)
    monkeypatch.setattr(runner.notify, "ended", lambda _, code, *__: told.append(code))
    with pytest.raises(OSError, match="No space left"):
        run(root)
    assert told == [74]
    assert last(root)["state"] == "failed"
