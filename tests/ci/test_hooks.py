"""`make hooks`: what git does with a notebook at a commit and in a diff, in its own repository.

Nothing here asks the network: the hooks are programs of .venv, and the proxy that is set leads
nowhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from ruamel.yaml import YAML

from tests.ci.notebooks import chapter, text_of

ROOT = Path(__file__).parents[2]
NAME = "notebooks/03_survival.ipynb"
OF_THE_PROJECT = (".ci", ".gitattributes", ".pre-commit-config.yaml", "Makefile", "pyproject.toml")
HOOKS = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one good chapter, its hooks in place."""
    place = tmp_path_factory.mktemp("checkout")
    for name in OF_THE_PROJECT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, place / name)
    (place / ".venv").symlink_to(sys.prefix)
    (place / "notebooks").mkdir()
    (place / NAME).write_text(text_of(chapter()), encoding="utf-8")
    git(place, "init", "-q")
    (place / ".git" / "info" / "exclude").write_text(".venv\n.ruff_cache\n__pycache__\n")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "A chapter")
    done = run(place, "sh", ".ci/hooks")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def repository(checkout: Path) -> Iterator[Path]:
    """The same, as it was, after each test too."""
    before = git(checkout, "rev-parse", "HEAD").stdout.strip()
    yield checkout
    git(checkout, "reset", "-q", "--hard", before)


def run(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of the user's own git, and no way to the network."""
    person = {"NAME": "A Person", "EMAIL": "person@example.org"}
    own = {
        f"GIT_{who}_{key}": word for key, word in person.items() for who in ("AUTHOR", "COMMITTER")
    }
    outer = {
        key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_"))
    }
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_PAGER": "cat"}
    cache = {"PRE_COMMIT_HOME": str(place.parent / "pre-commit")}
    return subprocess.run(
        command,
        cwd=place,
        env=outer | own | nowhere | alone | cache,
        capture_output=True,
        text=True,
        check=False,
    )


def git(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(place, "git", *words)


def commit(place: Path) -> subprocess.CompletedProcess[str]:
    git(place, "add", NAME)
    return git(place, "commit", "-m", "Change the chapter")


def is_committed(place: Path) -> bool:
    """True when what git holds is what lies in the folder."""
    return git(place, "diff", "--no-ext-diff", "--quiet", "HEAD").returncode == 0


def test_a_commit_of_outputs_is_stopped_the_notebook_cleaned_and_a_second_try_passes(
    repository: Path,
) -> None:
    notebook = chapter()
    shown = v4.new_output("execute_result", {"text/html": "<p>x</p>"}, execution_count=7)
    notebook.cells[5].outputs, notebook.cells[5].execution_count = [shown], 7
    notebook.cells[5].source += "\nheadline"
    (repository / NAME).write_text(text_of(notebook), encoding="utf-8")
    done = commit(repository)
    assert done.returncode != 0
    assert f"cleaned {NAME}" in done.stdout + done.stderr
    cell = nbformat.read(repository / NAME, as_version=4).cells[5]
    assert (cell.outputs, cell.execution_count) == ([], None)
    assert cell.source.endswith("\nheadline"), "what a person wrote stays"
    assert commit(repository).returncode == 0, "the second try holds the clean notebook"
    assert is_committed(repository)


def test_a_commit_of_a_cell_that_defines_something_is_refused_in_words(repository: Path) -> None:
    notebook = chapter()
    notebook.cells[5].source = "def f():\n    return 1"
    (repository / NAME).write_text(text_of(notebook), encoding="utf-8")
    done = commit(repository)
    assert done.returncode != 0
    assert f"{NAME}: cell 6 (headline): line 1 holds def" in done.stdout + done.stderr
    assert not is_committed(repository)


def test_a_commit_of_badly_formatted_code_is_stopped_and_the_code_formatted(
    repository: Path,
) -> None:
    (repository / "module.py").write_text('"""A module."""\n\nx = {  "a":1 }\n')
    git(repository, "add", "module.py")
    assert git(repository, "commit", "-m", "Add a module").returncode != 0
    assert (repository / "module.py").read_text() == '"""A module."""\n\nx = {"a": 1}\n'


def test_git_diff_shows_the_changed_line_of_a_notebook_and_no_output(repository: Path) -> None:
    notebook = chapter()
    shown = v4.new_output("execute_result", {"text/html": "<p>noise</p>"}, execution_count=7)
    notebook.cells[5].outputs, notebook.cells[5].execution_count = [shown], 7
    notebook.cells[9].source = 'chapter.publish("retention", headline)'
    (repository / NAME).write_text(text_of(notebook), encoding="utf-8")
    said = git(repository, "-c", "color.ui=false", "diff").stdout
    assert "modified /cells/9/source" in said
    assert 'chapter.publish("retention", headline)' in said
    assert "noise" not in said
    assert "execution_count" not in said


def test_two_branches_that_change_different_cells_are_merged_by_cell(repository: Path) -> None:
    start = git(repository, "rev-parse", "HEAD").stdout.strip()
    for branch, place in (("one", 6), ("other", 8)):
        notebook = chapter()
        notebook.cells[place].source += f" Changed in {branch}."
        git(repository, "checkout", "-q", "-B", branch, start)
        (repository / NAME).write_text(text_of(notebook), encoding="utf-8")
        git(repository, "commit", "-q", "-a", "--no-verify", "-m", branch)
    assert git(repository, "merge", "-q", "one").returncode == 0
    merged = nbformat.read(repository / NAME, as_version=4)
    assert merged.cells[6].source.endswith("Changed in one.")
    assert merged.cells[8].source.endswith("Changed in other.")


def test_every_hook_is_a_program_of_the_project_and_fetches_nothing() -> None:
    assert [room["repo"] for room in HOOKS["repos"]] == ["local"]
    hooks = HOOKS["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert [h["id"] for h in hooks if not h["entry"].startswith((".venv/bin/", "make "))] == []


def test_a_push_is_looked_at_by_make_check() -> None:
    hooks = {hook["id"]: hook for hook in HOOKS["repos"][0]["hooks"]}
    assert hooks["make-check"]["entry"] == "make check"
    assert hooks["make-check"]["stages"] == ["pre-push"]
    assert "pre-push" in HOOKS["default_install_hook_types"]


def test_the_hooks_write_only_into_git_itself(checkout: Path) -> None:
    assert git(checkout, "status", "--porcelain").stdout == ""


def test_a_folder_outside_git_is_told_so_and_nothing_is_written(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    done = run(tmp_path, "sh", ".ci/hooks")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hooks: this folder is no git checkout")
    assert [each.name for each in tmp_path.iterdir()] == [".ci"]


@pytest.mark.parametrize("hook", ["clean-notebooks", "notebook-rules"])
def test_a_notebook_in_a_folder_below_is_looked_at_too(hook: str) -> None:
    pattern = next(each["files"] for each in HOOKS["repos"][0]["hooks"] if each["id"] == hook)
    names = ["notebooks/x.ipynb", "notebooks/mine/x.ipynb", "docs/x.ipynb", "examples/x.ipynb"]
    assert [bool(re.search(pattern, name)) for name in names] == [True, True, True, False]
