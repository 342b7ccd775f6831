"""Faults 109 to 128: what happens to a run that nobody watches, injected from outside.

One run carries ten poisoned chapters; one is left in peace as the measure; the others are killed at
drawn moments. After each the last reports stand as they stood, and the next run ends where the
undisturbed one ended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from pipeline.data import store
from pipeline.reporting.execution import gate, kernel
from tests.faults.running import LODESTAR, PROJECT, Company, copied, listening, wait_for

pytestmark = pytest.mark.timeout(900)

SEED = 20261101
KILLS, MORE_KILLS = 3, 10
FAILED, CONFIGURATION, CANCELLED = 70, 78, 130
OCTOBER, SEPTEMBER = "2026-10", "2026-09"  # both provisional; September is new here
NOTEBOOKS = {
    "population": "01_population.ipynb",
    "revenue": "02_revenue.ipynb",
    "survival": "03_survival.ipynb",
    "drivers": "04_drivers.ipynb",
    "time_to_value": "05_time_to_value.ipynb",
}


@pytest.fixture
def company(test_root: Path, tmp_path: Path) -> Iterator[Company]:
    """A copy of the small company for one test."""
    with copied(test_root, tmp_path / "company") as made:
        yield made


# One run with poison in every chapter.

POISONS = {
    ("population", OCTOBER): "import threading; lost = threading.Thread(target=lambda: 1 / 0); "
    "lost.start(); lost.join()",
    ("revenue", OCTOBER): "import sys; sys.exit(0)",
    ("survival", OCTOBER): "%no_such_magic",
    ("drivers", OCTOBER): "raise ValueError('the moon is full\\nsecond line')",
    ("population", SEPTEMBER): "input('who goes there? ')",
    ("revenue", SEPTEMBER): "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    ("survival", SEPTEMBER): "for _ in range(200): print('x' * 2**20)",
    ("drivers", SEPTEMBER): "import os; os._exit(0)",
    ("time_to_value", OCTOBER): "quit()",
    ("time_to_value", SEPTEMBER): "raise SystemExit",
}
EDITS_ITSELF = (
    "from pathlib import Path; own = Path('notebooks/01_population.ipynb'); "
    "size = own.write_text(own.read_text(encoding='utf-8') + ' ', encoding='utf-8')"
)
MOST_KEPT = 20 * 2**20
"""Bytes of an executed notebook that printed ten times as much."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, what it said and left, and who was told."""

    company: Company
    code: int
    said: str
    before: dict[str, str]
    heard: list[str]

    def task(self, chapter: str, period: str) -> dict[str, Any]:
        """What the manifest says of one chapter."""
        tasks = self.company.manifest["tasks"]
        return next(task for task in tasks if task["stage"] == f"{chapter}@{period}")

    def kind(self, chapter: str, period: str) -> str:
        """What kind of failure the log of the run says it was."""
        log = self.company.root / self.company.manifest["log"]
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        stages = {one["stage"]: one for one in events if one["event"] == "task"}
        return stages[f"{chapter}@{period}"]["error_class"]

    def complaint(self, chapter: str, period: str) -> str:
        """What the run said of one chapter that failed."""
        assert self.task(chapter, period)["code"] == FAILED
        lines = [line for line in self.said.splitlines() if "FAILED" in line]
        found = [line for line in lines if f"{chapter}@{period}" in line]
        assert len(found) == 1, self.said
        return found[0]


@pytest.fixture(scope="module")
def poisoned(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """The outcome of a run in which every chapter of every month is poisoned in its own way."""
    place = tmp_path_factory.mktemp("poisoned") / "company"
    with copied(test_root, place) as company, listening() as endpoint:
        for chapter, notebook in NOTEBOOKS.items():
            bad = {month: text for (name, month), text in POISONS.items() if name == chapter}
            source = "\n".join(f"if period == {m!r}:\n    {text}" for m, text in bad.items())
            company.poison(notebook, source)
        company.replace("params.yaml", f"- {OCTOBER}", f"- '{SEPTEMBER}'\n- {OCTOBER}")
        company.replace("params.yaml", "annex: quarterly", "annex: never")
        before = company.reports
        done = company.lodestar("run", **endpoint.variables)
        said = done.stdout + done.stderr
        yield Outcome(company, done.returncode, said, before, endpoint.heard)


def test_f109_a_cell_that_raises_is_named_with_its_first_line_and_the_kept_notebook(
    poisoned: Outcome,
) -> None:
    assert poisoned.code == FAILED
    said = poisoned.complaint("drivers", OCTOBER)
    assert "poison" in said
    assert "ValueError: the moon is full" in said
    assert "second line" not in said
    kept = poisoned.company.root / "build" / "log" / f"drivers-{OCTOBER}.ipynb"
    assert kept.name in said
    cells = nbformat.read(kept, as_version=4).cells
    assert [
        cell.id for cell in cells if any(o.output_type == "error" for o in cell.get("outputs", ()))
    ] == ["poison"]


def test_f109_nothing_of_a_failed_run_is_published(poisoned: Outcome) -> None:
    assert poisoned.company.reports == poisoned.before
    assert poisoned.company.leftovers == []


def test_f109_the_manifest_names_class_notebook_cell_and_log(poisoned: Outcome) -> None:
    manifest = poisoned.company.manifest
    assert manifest["state"] == "failed"
    states = {row["period"]: row["state"] for row in manifest["periods"]}
    assert (states[SEPTEMBER], states[OCTOBER]) == ("failed", "failed")
    error = manifest["error"]
    assert error["code"] == FAILED
    assert error["notebook"] in NOTEBOOKS.values()
    assert error["class"]
    assert "\n" not in error["message"]
    assert (poisoned.company.root / error["log"]).is_file()


@pytest.mark.parametrize(
    ("chapter", "period"),
    [("revenue", OCTOBER), ("time_to_value", OCTOBER), ("time_to_value", SEPTEMBER)],
    ids=["sys.exit(0)", "quit()", "SystemExit"],
)
def test_f110_a_cell_that_calls_exit_is_a_failure(
    poisoned: Outcome, chapter: str, period: str
) -> None:
    assert "poison" in poisoned.complaint(chapter, period)
    assert poisoned.kind(chapter, period) == "exit"


def test_f111_a_magic_that_does_not_exist_is_a_failure(poisoned: Outcome) -> None:
    assert "no_such_magic" in poisoned.complaint("survival", OCTOBER)


def test_f112_no_notebook_calls_a_shell(company: Company) -> None:
    company.poison(NOTEBOOKS["population"], "!false")
    done = company.lodestar("chapter", "population", OCTOBER)
    assert done.returncode == FAILED
    assert "poison" in done.stderr
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            lines = cell.source.splitlines() if cell.cell_type == "code" else []
            assert not any(line.lstrip().startswith(("!", "%%bash", "%%sh")) for line in lines)


def test_f113_an_exception_in_a_thread_is_a_failure(poisoned: Outcome) -> None:
    assert "ZeroDivisionError" in poisoned.complaint("population", OCTOBER)
    assert poisoned.kind("population", OCTOBER) == "thread"


def test_f116_a_killed_kernel_is_a_class_of_its_own_and_tried_again(poisoned: Outcome) -> None:
    poisoned.complaint("revenue", SEPTEMBER)
    task = poisoned.task("revenue", SEPTEMBER)
    assert poisoned.kind("revenue", SEPTEMBER) == "kernel_died"
    assert task["attempts"] == 2
    assert task["peak_memory_mb"] > 0


def test_f116_a_kernel_that_leaves_by_itself_did_not_pass(poisoned: Outcome) -> None:
    assert NOTEBOOKS["drivers"] in poisoned.complaint("drivers", SEPTEMBER)
    assert poisoned.kind("drivers", SEPTEMBER) == "kernel_died"
    kept = poisoned.company.root / "build" / "log" / f"drivers-{SEPTEMBER}.ipynb"
    assert kept.is_file()


def test_f123_a_cell_that_asks_is_a_failure_and_never_waits(poisoned: Outcome) -> None:
    said = poisoned.complaint("population", SEPTEMBER)
    assert "input" in said.lower() or "stdin" in said.lower()


def test_f124_two_hundred_megabytes_of_output_are_cut_and_refused(poisoned: Outcome) -> None:
    said = poisoned.complaint("survival", SEPTEMBER)
    assert "shows too much" in said
    assert poisoned.kind("survival", SEPTEMBER) == "too_much_output"
    kept = poisoned.company.root / "build" / "log" / f"survival-{SEPTEMBER}.ipynb"
    assert kept.stat().st_size < MOST_KEPT


def test_f145_who_is_told_of_a_failure_learns_no_number_and_no_name(poisoned: Outcome) -> None:
    told = "\n".join(poisoned.heard)
    assert "/ping/start" in told
    assert "/ping/fail" in told
    assert poisoned.company.manifest["run_id"] in told
    for secret in ("Sample Company", "the moon is full", "%", "USD", str(poisoned.company.root)):
        assert secret not in told
    (words,) = [json.loads(text.split(" ", 1)[1]) for text in poisoned.heard if "/told" in text]
    left = f"{words['title']} {words['message']}"
    for known in (poisoned.company.manifest["run_id"], OCTOBER, SEPTEMBER, str(FAILED)):
        left = left.replace(known, "")
    assert not re.search(r"[0-9]", left), left


# What a cell cannot do and a gate cannot miss.


def test_f115_a_cell_that_never_ends_is_stopped_and_named(company: Company) -> None:
    company.poison(NOTEBOOKS["population"], "import time; time.sleep(600)")
    company.replace("params.yaml", "cell_timeout_minutes: 30", "cell_timeout_minutes: 0.1")
    before = company.reports
    done = company.lodestar("run", "--period", OCTOBER)
    assert done.returncode == FAILED
    assert "poison" in done.stdout + done.stderr
    assert company.manifest["error"]["class"] == "timeout"
    assert company.manifest["error"]["notebook"] == NOTEBOOKS["population"]
    assert company.reports == before
    company.wait_until_calm()


def test_f125_a_notebook_that_changed_while_it_ran_is_refused(company: Company) -> None:
    company.poison(NOTEBOOKS["population"], EDITS_ITSELF)
    before = company.bytes_of("data", "reports")
    done = company.lodestar("chapter", "population", OCTOBER)
    assert done.returncode == FAILED, done.stdout + done.stderr
    assert f"{NOTEBOOKS['population']} was edited while it ran" in done.stderr
    assert company.bytes_of("data", "reports") == before


def _notebook_with(*counts: int | None) -> nbformat.NotebookNode:
    cells = [
        nbformat.v4.new_code_cell(
            f"{number}", execution_count=count, metadata={"papermill": {"status": "completed"}}
        )
        for number, count in enumerate(counts)
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize("counts", [(2, 1), (1, 3), (1, 1), (1, None)])
def test_f126_cells_that_did_not_run_once_each_in_order_are_refused(
    counts: tuple[int | None, ...],
) -> None:
    with pytest.raises(gate.ChapterFailedError, match=r"01_population\.ipynb"):
        gate.examine("01_population.ipynb", _notebook_with(*counts))


def test_f127_a_notebook_without_code_is_refused() -> None:
    with pytest.raises(gate.ChapterFailedError, match="no code cell"):
        gate.examine("01_population.ipynb", _notebook_with())


def test_f120_a_missing_kernel_stops_before_anything_runs_and_names_the_mending(
    company: Company, tmp_path: Path
) -> None:
    python = environment_that_moved(tmp_path / "moved")
    before = company.reports | company.bytes_of("data")
    for word in ("doctor", "run"):
        done = subprocess.run(
            [python, *LODESTAR[1:], "--root", str(company.root), word],
            cwd=PROJECT,
            env=company.environment({}),
            capture_output=True,
            text=True,
        )
        assert done.returncode == CONFIGURATION, done.stdout + done.stderr
        assert "kernel" in done.stdout + done.stderr
        assert "rm -r .venv && make report" in done.stdout + done.stderr
    assert company.reports | company.bytes_of("data") == before
    assert company.manifest["tasks"] == []


def environment_that_moved(place: Path) -> str:
    """The interpreter of an environment with our packages, whose kernel names one that is gone."""
    own = Path(sys.prefix)
    packages = next(own.glob("lib/python3*/site-packages"))
    library = place / packages.parent.relative_to(own)
    library.mkdir(parents=True)
    (library / "site-packages").symlink_to(packages)
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    shutil.copy(own / "pyvenv.cfg", place)
    gone = {"argv": [str(place / "gone" / "python"), "-m", "ipykernel_launcher"]}
    facts = gone | {"display_name": "Lodestar", "language": "python"}
    store.write_json(facts, place / "share" / "jupyter" / "kernels" / "lodestar" / "kernel.json")
    return str(place / "bin" / "python")


def test_f121_an_environment_that_left_the_lock_is_named(company: Company) -> None:
    lock = (company.root / "requirements.lock").read_text(encoding="utf-8")
    pinned = next(line for line in lock.splitlines() if line.startswith("lifelines=="))
    company.replace("requirements.lock", pinned, "lifelines==0.1.0 \\")
    done = company.lodestar("doctor")
    assert "lifelines" in done.stdout + done.stderr
    assert "requirements.lock" in done.stdout + done.stderr
    assert done.returncode == CONFIGURATION


def test_f122_kernels_are_spoken_to_by_files_and_never_by_ports() -> None:
    assert kernel.OwnKernelManager().transport == "ipc"


# Kills.


def make_work(company: Company) -> None:
    """Work of every kind for the next run: a stage, chapters, summaries, a report, the index."""
    company.append("pipeline/stages/ingest/__init__.py", "\n# Edited by hand.\n")
    shutil.rmtree(company.root / "data" / "processed" / "population" / OCTOBER)
    warn = (
        "import warnings\nfrom statsmodels.tools.sm_exceptions import ConvergenceWarning\n"
        "warnings.warn('the moon is full', ConvergenceWarning)"
    )
    company.poison("00_summary.ipynb", warn)


@dataclass(frozen=True)
class Measure:
    """What an undisturbed run made, in how many seconds, and its manifest."""

    contents: dict[str, Any]
    seconds: float
    manifest: dict[str, Any]


@pytest.fixture(scope="module")
def undisturbed(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measure]:
    """A run in peace, off the network and with a wrong idea of the screen."""
    place = tmp_path_factory.mktemp("undisturbed") / "company"
    with copied(test_root, place) as company:
        make_work(company)
        began = time.monotonic()
        done = company.lodestar("run", before=offline(), MPLBACKEND="TkAgg", DISPLAY=":99")
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stdout + done.stderr
        yield Measure(company.contents, seconds, company.manifest)


def offline() -> list[str]:
    """The words that take the network from a command, when this machine lets us."""
    words = ["unshare", "--net"]
    is_allowed = shutil.which("unshare") and subprocess.run([*words, "true"]).returncode == 0
    return words if is_allowed else []


def test_f114_warnings_of_a_notebook_are_counted_in_the_manifest(undisturbed: Measure) -> None:
    tasks = [
        task for task in undisturbed.manifest["tasks"] if task["stage"] == f"summary@{OCTOBER}"
    ]
    assert len(tasks) == 1
    assert "ConvergenceWarning" in str(tasks[0]["warnings"])
    assert "the moon is full" not in str(undisturbed.manifest)


def killed_at(company: Company, seconds: float, number: int = signal.SIGKILL) -> None:
    """Start a run and kill its runner, and nothing else, after so many seconds."""
    runner = company.start("run")
    try:
        runner.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(runner.pid, number)
    runner.wait(60)


def moments(count: int) -> list[float]:
    """One share of a run's time drawn from each of `count` equal parts."""
    draw = np.random.default_rng(SEED + count)
    return [(part + draw.uniform()) / count for part in range(count)]


def killed_and_run_again(company: Company, undisturbed: Measure, share: float) -> set[str]:
    """Kill a run, wait until all is quiet, run again; the good files that the kill cost."""
    before = company.reports
    make_work(company)
    killed_at(company, share * undisturbed.seconds)
    company.wait_until_calm()
    aside = f"reports/.{OCTOBER}.old/"  # between two renames the last report stands here
    standing = {name.replace(aside, f"reports/{OCTOBER}/") for name in company.reports}
    done = company.lodestar("run")
    assert done.returncode == 0, done.stdout + done.stderr
    return set(before) - standing


@pytest.mark.parametrize(
    "share",
    [*moments(KILLS), *(pytest.param(n, marks=pytest.mark.slow) for n in moments(MORE_KILLS))],
)
def test_f117_a_killed_run_leaves_no_orphan_and_the_next_one_ends_where_it_would_have(
    company: Company, undisturbed: Measure, share: float
) -> None:
    assert killed_and_run_again(company, undisturbed, share) == set()
    assert company.contents == undisturbed.contents
    assert company.leftovers == []
    states = [manifest["state"] for manifest in company.manifests]
    assert set(states[:-1]) <= {"interrupted", "done"}
    assert states[-1] in ("done", "nothing_to_do")


SLOW_STAGE = "\nimport time\nfrom pathlib import Path\nPath('slow').touch()\ntime.sleep(600)\n"


def test_f118_a_killed_dvc_takes_its_stage_with_it_and_the_run_says_so(company: Company) -> None:
    before = company.reports
    company.append("pipeline/stages/ingest/__init__.py", SLOW_STAGE)
    runner = company.start("run")
    wait_for((company.root / "slow").is_file, 300, "the slow stage")
    dvc = [n for n, words in company.processes().items() if "pipeline.bound_dvc" in words]
    assert len(dvc) == 1
    os.kill(dvc[0], signal.SIGKILL)
    assert runner.wait(60) == FAILED, company.said()
    company.wait_until_calm()
    assert company.manifest["state"] == "failed"
    assert company.reports == before


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)],
    ids=lambda number: number.name,
)
def test_f119_a_run_that_is_asked_to_stop_is_cancelled_and_leaves_nothing_half_done(
    company: Company, number: signal.Signals
) -> None:
    before = company.reports
    company.poison(
        NOTEBOOKS["population"],
        "import time; from pathlib import Path; Path('slow').touch(); time.sleep(600)",
    )
    heeds = ["env", f"--default-signal={number.name}"]  # whatever started pytest may not
    runner = company.start("run", "--period", OCTOBER, before=heeds)
    wait_for((company.root / "slow").is_file, 300, "the slow chapter")
    os.kill(runner.pid, number)
    assert runner.wait(30) in (CANCELLED, 128 + number), company.said()
    company.wait_until_calm()
    assert company.manifest["state"] == "cancelled"
    assert company.reports == before
    assert company.leftovers == []


def test_f128_pictures_need_no_screen(undisturbed: Measure, test_root: Path) -> None:
    figures = {
        name: text
        for name, text in undisturbed.contents.items()
        if name.startswith(f"data/processed/population/{OCTOBER}/figures/")
    }
    assert figures
    assert figures.items() <= Company(test_root).contents.items()
