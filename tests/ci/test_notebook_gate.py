"""`make test` on notebooks: one run, examined by our gate and compared by nbval.

nbval alone passes a bad magic, an error that a tag allows, a cell that a tag skips and a failed
thread (seen with nbval 0.11); the planted notebooks hold one of these each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode, v4
from nbval.plugin import get_sanitize_patterns

from pipeline.settings import ROOT_VARIABLE
from tests.ci.notebooks import CHECKED_TAGS, METADATA, code, prose, text_of

ROOT = Path(__file__).parents[2]
MAY_DIFFER = ROOT / "tests" / "nbval-may-differ.cfg"
THREAD = "import threading\nthread = threading.Thread(target=int, args=['x'])\nthread.start()"
NOTEBOOKS = {
    "good": [code("rate", "rate = 0.5")],
    "bad_magic": [code("magic", "%no_such_magic")],
    "leaves_early": [code("leaves", "import sys\nsys.exit(0)"), code("after", "1 / 0")],
    "error_allowed": [code("allowed", "1 / 0", ["raises-exception"])],
    "cell_skipped": [code("skipped", "1 / 0", ["nbval-skip"])],
    "thread_failed": [code("starts", f"{THREAD}\nthread.join()")],
    "number_moved": [],
    "address_moved": [],
}
MARKS = {"number_moved": "a rate of 0.6 at 0x7f0000000000\n"}


def notebook(name: str) -> NotebookNode:
    """Planted cells, and a checked cell that prints a number and where an object lies."""
    said = MARKS.get(name, "a rate of 0.5 at 0x7f0000000000\n")
    kept = v4.new_output("stream", name="stdout", text=said)
    shown = 'print("a rate of", 0.5, "at", hex(id(object())))'
    cells = [
        prose("title", "# Does it run?"),
        code("parameters", "period: str = None\noutput: str = None", ["parameters"]),
        *NOTEBOOKS[name],
        code("checked", shown, CHECKED_TAGS, outputs=[kept], execution_count=1),
    ]
    return v4.new_notebook(cells=cells, metadata=METADATA, nbformat_minor=5)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the step of `make test` says of all planted notebooks."""
    folder = tmp_path_factory.mktemp("planted")
    for name in NOTEBOOKS:
        (folder / f"{name}.ipynb").write_text(text_of(notebook(name)), encoding="utf-8")
    plugins = ["-p", "tests.notebook_gate", "-p", "no:cacheprovider", "-v"]
    step = ["--nbval-lax", f"--nbval-sanitize-with={MAY_DIFFER}", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *step],
        cwd=ROOT,
        env=os.environ | {ROOT_VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def is_green(said: str, name: str) -> bool:
    """True when each code cell of the notebook passed."""
    outcomes = re.findall(rf"/{name}\W+ipynb::Cell \d+ (PASSED|FAILED|ERROR|SKIPPED)", said)
    assert outcomes, f"nothing was said of {name}"
    return set(outcomes) == {"PASSED"}


def test_a_notebook_that_runs_and_says_what_it_said_passes(said: str) -> None:
    assert is_green(said, "good")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bad_magic", "cell 'magic'"),
        ("leaves_early", "cell 'leaves'"),
        ("error_allowed", "cell 'allowed' failed: ZeroDivisionError"),
        ("cell_skipped", "cell 'skipped' failed: ZeroDivisionError"),
        ("thread_failed", "at cell 'starts': a thread failed"),
    ],
)
def test_a_notebook_that_did_not_run_well_fails_and_names_the_cell(
    said: str, name: str, words: str
) -> None:
    assert not is_green(said, name)
    assert f"{name}.ipynb, {words}" in said


def test_a_number_that_moved_in_a_checked_cell_fails(said: str) -> None:
    assert not is_green(said, "number_moved")
    assert "a rate of 0.6" in said


def test_an_address_that_moved_in_a_checked_cell_passes(said: str) -> None:
    assert is_green(said, "address_moved")


def settled(text: str) -> str:
    for pattern, instead in get_sanitize_patterns(MAY_DIFFER.read_text(encoding="utf-8")):
        text = re.sub(pattern, instead, text)
    return text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Fit at 0x7f2a4c01b3d0>", "<Fit at 0x7fffdeadbee0>"),
        ("done in 0.31 s", "done in 12.7 s"),
        ("kept in /tmp/lodestar-abc/x.csv", "kept in /tmp/lodestar-xyz/x.csv"),
        ("pid 4711", "pid 12"),
    ],
)
def test_what_differs_without_meaning_is_the_same_to_nbval(one: str, other: str) -> None:
    assert settled(one) == settled(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{'retention': 0.7099}", "{'retention': 0.7098}"),
        ("2026-10 68 68", "2026-10 68 67"),
        ("12 months", "13 months"),
        ("left after 12.5 days", "left after 12.6 days"),
        ("answered in 31 minutes", "answered in 32 minutes"),
        ("0x10", "0x11"),
        ("3 processes", "4 processes"),
    ],
)
def test_a_number_is_never_settled_away(one: str, other: str) -> None:
    assert settled(one) != settled(other)
