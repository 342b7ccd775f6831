"""The command line: one clear message, and the exit code that the message means."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.data import store
from pipeline.data.reading import DataError
from pipeline.data.slice import NotDueError
from pipeline.data.store import CorruptDataError, MissingDataError
from pipeline.flow import StageFailedError
from pipeline.lock import BusyError, locked
from pipeline.reporting.chapter import UnfinishedChapterError, pseudonym
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.execution.kernel import MissingKernelError
from pipeline.reporting.records.page_check import UnsoundReportError
from pipeline.run import FailedPeriodsError
from pipeline.settings import ConfigurationError, ParameterError

ROOT = Path(__file__).parents[1]


STOPPING = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _same_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def lodestar(root: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["--root", str(root), *words])
    return end.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 78),
        (MissingKernelError("x"), 78),
        (ParameterError("x"), 64),
        (MissingDataError("x"), 66),
        (CorruptDataError("x"), 65),
        (DataError("x"), 65),
        (NotDueError("x"), 75),
        (BusyError("x"), 75),
        (ChapterFailedError("x"), 70),
        (UnfinishedChapterError("x"), 70),
        (UnsoundReportError("x"), 70),
        (StageFailedError("x", 65), 65),
        (FailedPeriodsError("x", 70), 70),
        (PermissionError(errno.EACCES, "x"), 73),
        (OSError(errno.EROFS, "x"), 73),
        (OSError(errno.ENOSPC, "x"), 74),
        (ValueError("nobody foresaw this"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert cli.exit_code_of(error) == code


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--period", "2026-1"], 64, "is not a period"),
        (["run", "--period", "../../evil"], 64, "is not a period"),
        (["run", "--period="], 64, "is not a period"),
        (["run", "--jobs", "0"], 64, "--jobs 0"),
        (["backfill", "2026-09", "2026-13"], 64, "is not a period"),
        (["backfill", "2026-09", "2026-08"], 64, "2026-09 comes after 2026-08"),
        (["backfill", "2026-08", "2026-09", "--mode", "most"], 64, "is no mode"),
        (["backfill", "2026-08", "2026-09", "--jobs", "0"], 64, "--jobs 0"),
        (["chapter", "survivals", "2026-10"], 64, "is no chapter"),
        (["chapter", "survival", "2026-10"], 66, "03_survival.ipynb is missing"),
        (["stage", "cook"], 64, "is no stage"),
        (["explain", "2026-10", "nrr"], 64, "is no headline"),
        (["explain", "2026-10", "mrr_end"], 66, "no sound report of 2026-10"),
        (["verify-report", "2026-1"], 64, "is not a period"),
        (["verify-report", "2026-10"], 66, "There is no report of 2026-10"),
        (["report", "2026-10"], 70, "no executed notebook"),
        (["who", "acct-1"], 66, "accounts.parquet is missing"),
        (["check"], 66, "accounts.csv"),
        (["init"], 66, "There are no exports"),
        (["init", "nowhere"], 66, "nowhere is no folder"),
        (["init", "--database"], 78, "params.yaml declares no database"),
        (["no-such-command"], 64, "No such command"),
        (["run", "--no-such-option"], 64, "No such option"),
        (["lab", "--port", "99999"], 64, "65535"),
        (["lab", "--port", "0"], 64, "--port"),
    ],
)
def test_a_wrong_word_or_missing_input_is_one_message_and_an_exit_code(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    assert lodestar(root, *words) == code
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_root_without_params_is_a_configuration_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lodestar(tmp_path, "status") == 78
    assert "params.yaml is missing" in capsys.readouterr().err


def test_a_wrong_setting_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\ngrace: 3\n", encoding="utf-8")
    assert lodestar(root, "run") == 78
    assert "grace: no such setting; it is now called grace_days" in capsys.readouterr().err


def test_a_child_of_a_run_leaves_code_kind_and_place_of_its_failure(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = root / "failure.json"
    monkeypatch.setenv("LODESTAR_FAILURE", str(failure))
    assert lodestar(root, "chapter", "survival", "2026-10") == 66
    left = store.read_json(failure)
    assert (left["code"], left["error_class"]) == (66, "missing_data")
    assert "03_survival.ipynb is missing" in left["message"]
    assert {"notebook", "cell"} < set(left)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BusyError("x"), "busy"),
        (CorruptDataError("x"), "corrupt_data"),
        (MissingKernelError("x"), "missing_kernel"),
        (OSError(errno.ENOSPC, "x"), "disk_full"),
        (OSError(errno.EIO, "x"), "io"),
        (OSError(errno.EROFS, "x"), "cannot_write"),
        (ZeroDivisionError(), "zero_division"),
        (StageFailedError("x", 65, "data"), "data"),
    ],
)
def test_every_error_has_a_kind(error: Exception, kind: str) -> None:
    assert cli.error_class_of(error) == kind


def test_an_error_nobody_foresaw_leaves_its_traceback_in_a_file(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.Place, "load", lambda _: 1 / 0)
    assert lodestar(root, "status") == 70
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "Traceback" not in said
    kept = (root / "build" / "log" / "traceback.txt").read_text()
    assert kept.startswith("Traceback")


def test_a_second_run_ends_at_once_with_busy_and_loads_nothing_slow(root: Path) -> None:
    script = "import sys; from pipeline import cli\n"
    script += "try: cli.main(['--root', sys.argv[1], 'run'])\n"
    script += "except SystemExit as end: print(end.code, 'pandas' in sys.modules)"
    with locked(root):
        command = [sys.executable, "-c", script, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "75 False\n"
    assert "Another run is under way here (process" in done.stderr


@pytest.fixture
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("second", [*STOPPING, signal.SIGINT])
@pytest.mark.parametrize("first", STOPPING)
def test_a_cancelled_command_ends_with_130_and_a_second_signal_changes_nothing(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    first: signal.Signals,
    second: signal.Signals,
) -> None:
    def terminate(_: object) -> None:
        try:
            os.kill(os.getpid(), first)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), second)

    monkeypatch.setattr(cli.Place, "load", terminate)
    assert lodestar(root, "status") == 130
    assert "cancelled; the last reports stay" in capsys.readouterr().err


def test_help_tells_every_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lodestar(root, "--help") == 0
    said = capsys.readouterr().out
    names = ("run", "backfill", "status", "doctor", "init", "check", "explain", "who", "prune")
    for name in (*names, "stage", "chapter", "report"):
        assert f"  {name} " in said


# On the small company.


def test_explain_says_value_formula_and_the_rows_behind(
    test_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lodestar(test_root, "explain", "2026-10", "mrr_end") == 0
    said = capsys.readouterr().out
    assert "formula   Σ MRR at P1" in said
    assert "tables/revenue.mrr_bridge.csv, 1 of" in said
    assert "period=2026-10" in said


def test_check_counts_rows_and_quarantine_and_changes_nothing(
    test_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (test_root / "data").rglob("*")}
    assert lodestar(test_root, "check") == 0
    said = capsys.readouterr().out
    assert "accounts: " in said
    assert "to quarantine" in said
    assert {path: path.stat().st_mtime_ns for path in (test_root / "data").rglob("*")} == before


def test_who_finds_the_account_behind_a_pseudonym(
    test_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LODESTAR_PSEUDONYM_KEY", raising=False)
    listing = (test_root / "data" / "raw" / "sample" / "accounts.csv").read_text(encoding="utf-8")
    account = listing.splitlines()[20].split(",")[0].strip('"')
    assert lodestar(test_root, "who", pseudonym(account, "sample")) == 0
    assert capsys.readouterr().out == f"{account}\n"
    assert lodestar(test_root, "who", "acct-0000000000") == 64


def test_a_dry_run_in_a_folder_without_a_flow_says_that_everything_is_to_do(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not (root / "dvc.yaml").exists()
    assert lodestar(root, "run", "--dry-run") == 0
    assert "no flow yet" in capsys.readouterr().out


def test_status_lists_each_period(test_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lodestar(test_root, "status") == 0
    said = capsys.readouterr().out
    assert "2026-08  final, revision 1, built 20" in said
    assert "2026-10  provisional, revision 1, built 20" in said
    assert "not updated" not in said


def test_a_first_look_that_cannot_begin_is_left_to_the_run_which_is_recorded(root: Path) -> None:
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "build").mkdir()
    (root / "build" / "log").write_text("no folder")
    assert cli._flow_that_looks(root, 0) is None
