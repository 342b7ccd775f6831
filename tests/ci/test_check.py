"""`make check` on a copy of the project with a fault in each part: it names all, changes nothing.

The type check is left out here: it has no fault of ours to name, and takes the longest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("style", "format", "imports", "notebooks", "files")
UNUSED = '"""A module that imports too much."""\n\nimport os\n'
UNFORMATTED = '"""A module."""\n\nx = {  "a":1 }\n'
UPHILL = '"""A module that climbs."""\n\nfrom pipeline.reporting import words\n\nWORDS = words\n'
MODULES = {
    "pipeline/unused.py": UNUSED,
    "pipeline/unformatted.py": UNFORMATTED,
    "pipeline/statistics/climbing.py": UPHILL,
}


def files_of_the_project() -> list[str]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in names.split("\0") if (ROOT / name).is_file()]


def bytes_of(place: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}


def plant(place: Path) -> None:
    """One fault for each part of the check, and several for the files."""
    for name, text in MODULES.items():
        (place / name).write_text(text, encoding="utf-8")
    notebook = place / "notebooks" / "03_survival.ipynb"
    edit(notebook, '"execution_count": null', '"execution_count": 7')
    edit(place / "docs" / "data.md", "## Kinds", "## Kinds, as they were")
    edit(place / "pyproject.toml", '"numpy>=2.4"', '"numpy>=2.4",\n  "no-such-dependency>=1"')
    edit(place / "environment.yml", "python=3.12", "python=3.10")
    page = place / "docs" / "operations.md"
    page.write_text(page.read_text() + "\nSee [nothing](no-such-page.md) and `make nothing`.\n")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """What the check says of the copy with its faults, and the files that it changed."""
    place, names = tmp_path_factory.mktemp("copy"), files_of_the_project()
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, place / name)
    (place / ".venv").symlink_to(sys.prefix)
    plant(place)
    planted = [*names, *MODULES]
    before = bytes_of(place, planted)
    done = subprocess.run(
        ["sh", ".ci/check", *PARTS],
        cwd=place,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    after = bytes_of(place, planted)
    return done.stdout + done.stderr, [name for name in planted if before[name] != after[name]]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("`os` imported but unused", id="a fault of style"),
        pytest.param("pipeline/unformatted.py", id="an unformatted file"),
        pytest.param("pipeline.statistics.climbing -> pipeline.reporting", id="an import uphill"),
        pytest.param("notebooks/03_survival.ipynb: cell 2 (parameters)", id="a dirty notebook"),
        pytest.param("run: .venv/bin/python -m pipeline.data.dictionary", id="a stale page"),
        pytest.param(
            "no-such-dependency is not in requirements.lock", id="a dependency not in the lock"
        ),
        pytest.param("environment.yml: 3.10; pyproject: >=3.11", id="another Python for conda"),
        pytest.param("no-such-page.md", id="a link to nothing"),
        pytest.param("'nothing'", id="a verb that is not there"),
        pytest.param(f"found faults in: {' '.join(PARTS)}.", id="every part at the end"),
    ],
)
def test_every_planted_fault_is_named(checked: tuple[str, list[str]], words: str) -> None:
    said, _ = checked
    assert words in said


def test_nothing_is_changed(checked: tuple[str, list[str]]) -> None:
    _, changed = checked
    assert changed == []


def test_a_part_that_nobody_knows_is_a_fault() -> None:
    done = subprocess.run(
        ["sh", ".ci/check", "nothing"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no part is called nothing" in done.stderr


def test_make_check_runs_every_part_and_make_fix_repairs_what_is_generated() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    script = (ROOT / ".ci" / "check").read_text(encoding="utf-8")
    assert "\t@sh .ci/check\n" in makefile
    assert f'"{" ".join(["style", "format", "imports", "types", "notebooks", "files"])}"' in script
    _, _, fix = makefile.partition("\nfix:")
    fix = fix.partition("\n\n")[0]
    wanted = ("clean_notebooks.py", "ruff check --fix", "ruff format", "pipeline.data.dictionary")
    assert [each for each in wanted if each not in fix] == []
