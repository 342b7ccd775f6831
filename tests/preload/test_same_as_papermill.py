"""Forked or by papermill's own command line: a notebook has the same outputs and tables."""

import contextlib
import os
import re
import shutil
from concurrent import futures
from pathlib import Path

import nbformat
import pytest

from pipeline import settings as configuration
from pipeline.flow import Flow, Task
from pipeline.reporting.execution import execute
from pipeline.settings import ANNEX, CHAPTERS, SUMMARY, Paths, Period
from tests import by_papermill

OCTOBER = Period("2026-10")
NEEDED = ("params.yaml", "notebooks", "pipeline")
READ = ("snapshot", "headline", "ingest")


@pytest.fixture(scope="session")
def root_by_papermill(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A copy of the small company in which every chapter ran by the command line alone."""
    root = tmp_path_factory.mktemp("papermill")
    for name in NEEDED:
        place = test_root / name
        (shutil.copytree if place.is_dir() else shutil.copy)(place, root / name)
    for name in READ:
        folder = Path("data") / "processed" / name
        if (test_root / folder).is_dir():
            shutil.copytree(test_root / folder, root / folder)
    paths = Paths(root, configuration.load(root).company)
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        executed = pool.map(
            lambda name: by_papermill.execute(name, OCTOBER, paths, building(name, paths)), CHAPTERS
        )
        assert len(list(executed)) == len(CHAPTERS)
    return paths


def building(name: str, paths: Paths) -> Path:
    """Where a run lets a chapter write, which its executed notebook repeats."""
    return paths.chapter(name, OCTOBER).with_name(f".{OCTOBER}.building")


def normalised(path: Path) -> str:
    executed = execute.normalise(nbformat.read(path, as_version=4))
    return nbformat.writes(execute.scrubbed(executed))


def assert_same(ours: Path, theirs: Path) -> None:
    tables = sorted(path.name for path in (ours / "tables").iterdir())
    assert tables == sorted(path.name for path in (theirs / "tables").iterdir())
    for table in tables:
        assert (ours / "tables" / table).read_bytes() == (theirs / "tables" / table).read_bytes()
    assert normalised(ours / "notebook.ipynb") == normalised(theirs / by_papermill.EXECUTED)


@pytest.mark.parametrize("name", [each for each in CHAPTERS if each != SUMMARY] + [SUMMARY])
def test_both_routes_give_the_same_notebook_and_the_same_tables(
    test_root: Path, root_by_papermill: Paths, name: str
) -> None:
    ours = Paths(test_root, root_by_papermill.company).chapter(name, OCTOBER)
    theirs = building(name, root_by_papermill)
    assert_same(ours, theirs)
    assert (ours / "headline.json").read_bytes() == (theirs / "headline.json").read_bytes()


def test_both_routes_give_the_same_annex(root_by_papermill: Paths) -> None:
    paths = root_by_papermill
    choices = paths.params.read_text(encoding="utf-8")
    paths.params.write_text(re.sub(r"(?m)^annex: \w+", "annex: monthly", choices), encoding="utf-8")
    with contextlib.closing(Flow(paths.root)) as flow:
        (ended,) = flow.run_side_by_side([Task(ANNEX, str(OCTOBER))], 1)
        assert (ended.code, flow.n_unforked) == (0, 0), ended.message or flow.unforked
    theirs = building(ANNEX, paths)
    by_papermill.execute(ANNEX, OCTOBER, paths, theirs)
    assert_same(paths.chapter(ANNEX, OCTOBER), theirs)
