"""`make fix` on a notebook: what a run left goes, what a person wrote stays, ids become words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode, v4

import clean_notebooks
from cell_names import is_random, name_cells
from clean_notebooks import clean, clean_file, notebooks_in
from notebook_file import read
from notebook_rules import CHAPTER_RULES, faults
from tests.ci.notebooks import chapter, code, prose, text_of

ROOT = Path(__file__).parents[2]


def as_jupyterlab_saves_it() -> NotebookNode:
    """The good chapter after *Run all cells* in JupyterLab, with two cells added."""
    notebook = chapter()
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        shown = v4.new_output("execute_result", {"text/html": "<p>x</p>"}, execution_count=count)
        cell.outputs, cell.execution_count = [*cell.outputs, shown], count
        cell.metadata["execution"] = {"iopub.status.busy": "2026-11-01"}
    added = [
        prose("6a1f0c55-8f0e-4e0b-9a3c-1f2d3e4a5b6c", "Look at those who came back."),
        code("0f9e8d7c", "came_back = headline\ncame_back\n"),
        code("9c8b7a6d", ""),
    ]
    notebook.cells[6:6] = added
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    return notebook


@pytest.fixture
def cleaned(tmp_path: Path) -> Path:
    path = tmp_path / "03_survival.ipynb"
    path.write_text(text_of(as_jupyterlab_saves_it()), encoding="utf-8")
    assert clean_file(path)
    return path


def test_a_cleaned_notebook_keeps_every_rule(cleaned: Path) -> None:
    found = faults(read(cleaned, cleaned.name), CHAPTER_RULES)
    assert [str(fault) for fault in found] == []


def test_a_cleaned_notebook_keeps_what_its_checked_cell_printed_and_no_more(cleaned: Path) -> None:
    notebook = nbformat.read(cleaned, as_version=4)
    kept = {cell.id: cell.outputs for cell in notebook.cells if cell.get("outputs")}
    assert [*kept] == ["checked"]
    assert [output.text for output in kept["checked"]] == ["0.1\n"]
    assert notebook.cells[-1].execution_count == 1, "nbval compares only a cell that was counted"


def test_a_cleaned_notebook_keeps_its_ids_tags_and_sources(cleaned: Path) -> None:
    before = {cell.id: cell for cell in chapter().cells}
    after = {cell.id: cell for cell in nbformat.read(cleaned, as_version=4).cells}
    assert [name for name in before if name not in after] == []
    assert [name for name in before if after[name].source != before[name].source] == []
    assert [name for name in before if after[name].metadata != before[name].metadata] == []


def test_a_cell_that_an_editor_named_is_called_by_what_it_says_or_makes(cleaned: Path) -> None:
    names = [cell.id for cell in nbformat.read(cleaned, as_version=4).cells]
    assert names[5:9] == ["headline", "look-at-those-who", "came-back", "counted"]


def test_cleaning_twice_changes_nothing(cleaned: Path) -> None:
    before = cleaned.stat().st_mtime_ns
    assert not clean_file(cleaned)
    assert cleaned.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["# How long?", "x_of_y = 1"], ["how-long", "x-of-y"]),
        (["### By group at signing, and later", "plot()"], ["by-group-at-signing", None]),
        (["Words.", "a, b = 1, 2", "a, b = 3, 4"], ["words", "a", "a-2"]),
        (["\u65e5\u672c", "f()"], ["cell", "cell-2"]),
        (["deadbeef"], ["cell-deadbeef"]),
        (["12 months"], ["cell-12-months"]),
        (["!ls"], ["cell"]),
    ],
)
def test_names_come_from_a_heading_a_sentence_or_what_is_assigned(
    sources: list[str], names: list[str | None]
) -> None:
    is_code = [any(sign in source for sign in "=!(") for source in sources]
    makes = [code if each else prose for each in is_code]
    cells = [make("0badcafe", source) for make, source in zip(makes, sources, strict=True)]
    name_cells(cells)
    wanted = [name or "by-group-at-signing-2" for name in names]
    assert [cell.id for cell in cells] == wanted


def test_a_copied_cell_gets_a_name_of_its_own_and_the_first_keeps_its_name() -> None:
    cells = [prose("answer", "Words."), code("rate", "rate = 1"), code("rate", "rate = 1")]
    name_cells(cells)
    assert [cell.id for cell in cells] == ["answer", "rate", "rate-2"]


@pytest.mark.parametrize("name", ["answer", "facade", "curves-figure", "step-2", "deadbeef1"])
def test_a_word_is_not_taken_for_a_random_id(name: str) -> None:
    assert not is_random(name)


def test_a_notebook_from_before_cells_had_ids_gets_them() -> None:
    old = chapter()
    old.nbformat_minor = 4
    for cell in old.cells:
        del cell["id"]
    fresh = clean(old)
    assert fresh.nbformat_minor == 5
    assert fresh.cells[0].id == "how-long-do-customers"


def test_the_command_says_what_it_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "03_survival.ipynb"
    path.write_text(text_of(as_jupyterlab_saves_it()), encoding="utf-8")
    command = [sys.executable, ".ci/clean_notebooks.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"cleaned {path}\n"


def without_outputs() -> str:
    content = json.loads(text_of(chapter()))
    for cell in content["cells"]:
        cell.pop("outputs", None)
    return json.dumps(content)


UNREADABLE = {
    "empty": "",
    "conflict": "<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> other\n",
    "list": "[]",
    "old": json.dumps({"nbformat": 3, "nbformat_minor": 0, "worksheets": []}),
    "marked": "\ufeff" + text_of(chapter()),
    "outputs": without_outputs(),
}


def test_a_notebook_that_cannot_be_read_is_named_and_the_others_are_cleaned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in UNREADABLE.items():
        (tmp_path / f"{name}.ipynb").write_text(text, encoding="utf-8")
    good = tmp_path / "zz_survival.ipynb"
    good.write_text(text_of(as_jupyterlab_saves_it()), encoding="utf-8")
    assert clean_notebooks.main([str(tmp_path), str(tmp_path / "gone.ipynb")]) == 1
    said = capsys.readouterr()
    assert said.out == f"cleaned {good}\n"
    named = [line.partition(": ")[0] for line in said.err.splitlines()[:-1]]
    wanted = [str(tmp_path / f"{name}.ipynb") for name in sorted(UNREADABLE)]
    assert named == [*wanted, str(tmp_path / "gone.ipynb")]
    assert "gone.ipynb: is not there" in said.err
    left = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert {name: left[name] for name in UNREADABLE} == UNREADABLE
    assert len(left) == len(UNREADABLE) + 1, "nothing lies beside them"


def test_an_error_while_writing_leaves_the_notebook_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "03_survival.ipynb"
    path.write_text(text_of(as_jupyterlab_saves_it()), encoding="utf-8")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(clean_notebooks.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        clean_file(path)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [before]


def test_notebooks_in_folders_below_are_found_and_checkpoints_are_not(tmp_path: Path) -> None:
    for folder in ("", "mine", ".ipynb_checkpoints", "mine/.ipynb_checkpoints"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "x.ipynb").touch()
    wanted = [tmp_path / "mine" / "x.ipynb", tmp_path / "x.ipynb"]
    assert notebooks_in([str(tmp_path)]) == wanted
