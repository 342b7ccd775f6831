"""Forked or by papermill's own command line: a notebook has the same outputs and tables."""

import os
import shutil
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import nbformat
import pytest

from pipeline import settings as configuration
from pipeline.children import STEADY_ENVIRONMENT
from pipeline.reporting.execution import execute, kernel
from pipeline.settings import CHAPTERS, SUMMARY, Paths, Period

OCTOBER = Period("2026-10")
NEEDED = ("params.yaml", "notebooks", "pipeline")
READ = ("snapshot", "headline", "ingest")
EXECUTED = "by_papermill.ipynb"


@pytest.fixture(scope="session")
def by_papermill(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
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
        list(pool.map(lambda name: run_papermill(name, paths), CHAPTERS))
    return paths


def building(name: str, paths: Paths) -> Path:
    """Where a run lets a chapter write, which its executed notebook repeats."""
    return paths.chapter(name, OCTOBER).with_name(f".{OCTOBER}.building")


def run_papermill(name: str, paths: Paths) -> None:
    output = building(name, paths)
    output.mkdir(parents=True)
    words = [sys.executable, "-m", "papermill", str(paths.notebook(name))]
    words += [str(output / EXECUTED), "--kernel", kernel.kernel_name(), "--no-progress-bar"]
    words += ["-r", "period", str(OCTOBER)]
    words += ["-r", "output", output.relative_to(paths.root).as_posix()]
    own = {"LODESTAR_ROOT": str(paths.root), "PYTHONPATH": str(paths.root)}
    done = subprocess.run(
        words,
        cwd=paths.root,
        env=os.environ | STEADY_ENVIRONMENT | own | {"LODESTAR_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def normalised(path: Path) -> str:
    executed = execute.normalise(nbformat.read(path, as_version=4))
    return nbformat.writes(execute.scrubbed(executed))


@pytest.mark.parametrize("name", [each for each in CHAPTERS if each != SUMMARY] + [SUMMARY])
def test_both_routes_give_the_same_notebook_and_the_same_tables(
    test_root: Path, by_papermill: Paths, name: str
) -> None:
    ours = Paths(test_root, by_papermill.company).chapter(name, OCTOBER)
    theirs = building(name, by_papermill)
    tables = sorted(path.name for path in (ours / "tables").iterdir())
    assert tables == sorted(path.name for path in (theirs / "tables").iterdir())
    for table in tables:
        assert (ours / "tables" / table).read_bytes() == (theirs / "tables" / table).read_bytes()
    assert (ours / "headline.json").read_bytes() == (theirs / "headline.json").read_bytes()
    assert normalised(ours / "notebook.ipynb") == normalised(theirs / EXECUTED)
