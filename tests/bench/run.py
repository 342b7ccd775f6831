"""How long does a month take? All its chapters, a month that is new, and a month already built.

The first row is held against the command lines that anybody would type: papermill, then nbconvert,
one notebook after the other, over the same notebooks and tables in the same environment. The subtle
point: a month can be new only once, so each round begins with a copy of the folder as it was; the
copying is not clocked.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.flow import Flow, Task, chapter_tasks, jobs_here
from pipeline.reporting import publish
from pipeline.reporting.records import record
from pipeline.settings import SUMMARY, Paths, Period
from pipeline.stages.simulate import simulate
from tests import by_papermill
from tests.bench.row import Row, Seconds, Sides
from tests.checked_cells import PROJECT

HOME = PROJECT / "build" / "bench-run"
COMPANY = "bench"
"""Not the sample, whose exports would be made anew by a stage."""
BEFORE, MONTH = "2026-09", "2026-10"
SMALL = {"accounts": 150, "start": "2024-11-01", "months": 24}
SMALL_CHAPTERS = [SUMMARY, "population"]


def lodestar(root: Path, *words: str) -> None:
    """`lodestar run` as a person types it."""
    command = [sys.executable, "-m", "pipeline.cli", "--root", str(root), "run", *words]
    subprocess.run(command, cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)


def folder(is_quick: bool) -> Path:
    """A folder in which September is published and October's usage has not come yet.

    It stays for the next time, unless the code that built it has changed since.
    """
    root = HOME / ("small" if is_quick else "whole")
    ready, current = root / "ready", built_with()
    if ready.is_file() and ready.read_text(encoding="utf-8") == current:
        return root
    shutil.rmtree(root, ignore_errors=True)
    settings = write_params(root, is_quick)
    raw = Paths(root, COMPANY).raw
    simulate(settings.simulate, raw)
    whole = raw / "usage.csv"
    shutil.copy(whole, root / "usage-of-october.csv")
    header, *lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    early = [line for line in lines if line.split('","')[-1] < MONTH]
    whole.write_text("".join([header, *early]), encoding="utf-8")
    lodestar(root, "--period", BEFORE)
    ready.write_text(current, encoding="utf-8")
    return root


def built_with() -> str:
    """Names what a folder's content follows from: code, notebooks, flow and choices."""
    choices = [store.sha256(PROJECT / name) for name in ("dvc.yaml", "params.yaml")]
    return " ".join([record.code_hash(PROJECT), *choices])


def write_params(root: Path, is_quick: bool) -> configuration.Settings:
    """The shipped choices, for this company and September."""
    yaml = YAML()
    params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    params.update({"company": COMPANY, "periods": [BEFORE], "annex": "never"})
    if is_quick:
        params.update({"chapters": SMALL_CHAPTERS, "observation_start": SMALL["start"]})
        params["simulate"].update(SMALL)
        params["quarantine"].update({"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5})
    root.mkdir(parents=True)
    with (root / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    return configuration.load(root)


def copy_of(root: Path, name: str) -> Path:
    """The folder as it was, beside it."""
    place = root.with_name(f"{root.name}-{name}")
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(root, place, symlinks=True)
    return place


def let_october_come(root: Path) -> None:
    """The new exports: usage with the events of one more month."""
    (root / "usage-of-october.csv").replace(Paths(root, COMPANY).raw / "usage.csv")


# A month that is new.


def new_month(is_quick: bool) -> Sides:
    """New usage has come: October is built, and September anew, for late events changed it."""
    root = folder(is_quick)

    def subject() -> object:
        place = copy_of(root, "new-month")
        let_october_come(place)
        began = time.perf_counter()
        lodestar(place)
        return Seconds(time.perf_counter() - began)

    note = "from `lodestar run` to its end; the copy is not clocked. Two months' chapters and "
    note += "reports: the new one, and the month before, which late events changed"
    return Sides(subject, None, note=note)


def nothing_changed(is_quick: bool) -> Sides:
    """Everything is up to date, and a run finds that out."""
    root = copy_of(folder(is_quick), "unchanged")
    let_october_come(root)
    lodestar(root)
    return Sides(lambda: lodestar(root), None, note="from `lodestar run` to its end")


# The chapters of one month.


def chapters_of_a_month(is_quick: bool) -> Sides:
    """Every notebook of September executed and as HTML, by a run's own way and by hand."""
    root = copy_of(folder(is_quick), "chapters")
    settings = configuration.load(root)
    paths, period = Paths(root, settings.company), Period(BEFORE)

    def subject() -> object:
        flow = Flow(root)
        try:
            stages = [f"{name}@{period}" for name in settings.question_chapters]
            tasks = [*chapter_tasks(stages, [str(period)]), Task(SUMMARY, str(period))]
            for ended in flow.run_side_by_side(tasks, jobs_here()):
                assert ended.code == 0, ended.message
            assert flow.n_unforked == 0, flow.unforked
        finally:
            flow.close()
        return publish.publish(period, settings, paths, force=True)

    def peer() -> object:
        for name in [*settings.question_chapters, SUMMARY]:
            by_hand(name, paths, period)
        return None

    return Sides(subject, peer, note="the run's way also examines, publishes and hashes them")


def by_hand(name: str, paths: Paths, period: Period) -> None:
    """One notebook by the command lines of papermill and nbconvert."""
    output = paths.scratch / name
    shutil.rmtree(output, ignore_errors=True)
    executed = by_papermill.execute(name, period, paths, output)
    by_papermill.run("nbconvert", ["--to", "html", str(executed)], paths, output)


ROWS = [
    Row(
        "all chapters of a month / papermill and nbconvert command lines in sequence",
        0.25,
        chapters_of_a_month,
        goal="at least four times faster",
    ),
    Row("a new month of the sample company", None, new_month, goal="under 15 s", most_seconds=15.0),
    Row("nothing changed", None, nothing_changed, goal="under 3 s", most_seconds=3.0),
]
