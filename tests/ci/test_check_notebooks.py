"""The notebook linter: each rule finds what breaks it, names the cell, and finds nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode, v4

import notebook_file
import notebook_rules
from check_notebooks import faults_of
from notebook_rules import CHAPTER_RULES, TUTORIAL_RULES
from tests.ci.notebooks import IMPORTS, chapter, code, prose, text_of

ROOT = Path(__file__).parents[2]


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    return next(each for each in notebook.cells if each.id == name)


def says(name: str, source: str) -> Callable[[NotebookNode], None]:
    """Put other words into a cell."""

    def plant(notebook: NotebookNode) -> None:
        cell(notebook, name).source = source

    return plant


def renamed(old: str, new: str) -> Callable[[NotebookNode], None]:
    def plant(notebook: NotebookNode) -> None:
        cell(notebook, old).id = new

    return plant


def tagged(name: str, *tags: str) -> Callable[[NotebookNode], None]:
    def plant(notebook: NotebookNode) -> None:
        cell(notebook, name).metadata = {"tags": [*tags]} if tags else {}

    return plant


def was_run(notebook: NotebookNode) -> None:
    shown = v4.new_output("execute_result", {"text/plain": "0.1"}, execution_count=7)
    cell(notebook, "headline").outputs, cell(notebook, "headline").execution_count = [shown], 7


def was_counted(notebook: NotebookNode) -> None:
    cell(notebook, "open").execution_count = 3


def shows_a_table(notebook: NotebookNode) -> None:
    cell(notebook, "checked").outputs.append(v4.new_output("display_data", {"text/plain": "x"}))


def of_another_kernel(notebook: NotebookNode) -> None:
    notebook.metadata["kernelspec"]["name"] = "python3"


def of_a_run(notebook: NotebookNode) -> None:
    cell(notebook, "open").metadata = {"papermill": {"duration": 1}}


def with_a_strange_field(notebook: NotebookNode) -> None:
    cell(notebook, "open").speed = "fast"


def with_an_empty_cell(notebook: NotebookNode) -> None:
    notebook.cells.insert(5, prose("nothing", ""))


def with_a_bare_cell(notebook: NotebookNode) -> None:
    notebook.cells.insert(6, code("more", "headline.head()"))


def without_a_sentence(notebook: NotebookNode) -> None:
    notebook.cells.insert(6, prose("heading", "### A heading alone"))
    notebook.cells.insert(7, code("more", "headline.head()"))


def with_a_long_cell(notebook: NotebookNode) -> None:
    cell(notebook, "headline").source += "\nheadline = survival.of(\n" + "    1,\n" * 9 + ")"


def with_many_statements(notebook: NotebookNode) -> None:
    for name in ("open", "headline", "publish", "checked"):
        cell(notebook, name).source += "\nheadline" * 4


def with_two_parameters_cells(notebook: NotebookNode) -> None:
    cell(notebook, "open").metadata = {"tags": ["parameters"]}


def without_limits(notebook: NotebookNode) -> None:
    notebook.cells.remove(cell(notebook, "limits"))


def in_another_order(notebook: NotebookNode) -> None:
    counted = cell(notebook, "counted")
    notebook.cells.remove(counted)
    notebook.cells.insert(4, counted)


def opened_first(notebook: NotebookNode) -> None:
    notebook.cells[2], notebook.cells[3] = notebook.cells[3], notebook.cells[2]


def with_nothing_to_compare(notebook: NotebookNode) -> None:
    cell(notebook, "checked").outputs, cell(notebook, "checked").execution_count = [], None


def without_a_checked_cell(notebook: NotebookNode) -> None:
    del notebook.cells[-2:]


UNUSED = f"{IMPORTS}\nfrom pipeline.reporting import words"
PLANTED: list[tuple[str, Callable[[NotebookNode], None], str]] = [
    ("valid-format", with_a_strange_field, ""),
    ("our-kernel", of_another_kernel, ""),
    ("readable-ids", renamed("headline", "3f2a9c1e"), "3f2a9c1e"),
    ("readable-ids", renamed("headline", "0b1d8f6e-4c2a-4f1b-9c3d-7a5e2b8f6d10"), "0b1d8f6e"),
    ("readable-ids", renamed("headline", "The_Headline"), "The_Headline"),
    ("readable-ids", renamed("headline", "answer"), "answer"),
    ("known-tags", tagged("headline", "not-on-pgae"), "headline"),
    ("known-tags", of_a_run, "open"),
    ("no-outputs", was_run, "headline"),
    ("no-outputs", was_counted, "open"),
    ("no-outputs", shows_a_table, "checked"),
    ("no-blank-ends", with_an_empty_cell, "nothing"),
    ("no-blank-ends", says("counted", "## What is counted\n\nPaid.\n"), "counted"),
    ("no-blank-ends", says("open", 'chapter = open_chapter("survival")  \nchapter'), "open"),
    ("plain-python", says("publish", "%matplotlib inline"), "publish"),
    ("plain-python", says("publish", "!ls"), "publish"),
    ("plain-python", says("publish", 'get_ipython().magic("time")'), "publish"),
    ("defines-nothing", says("publish", "def f():\n    return 1"), "publish"),
    ("defines-nothing", says("publish", "class A:\n    pass"), "publish"),
    ("defines-nothing", says("publish", "f = lambda x: x"), "publish"),
    ("defines-nothing", says("publish", "for x in headline:\n    x"), "publish"),
    ("defines-nothing", says("publish", "while headline:\n    headline"), "publish"),
    ("defines-nothing", says("publish", "[x for x in headline]"), "publish"),
    ("defines-nothing", says("publish", "try:\n    headline\nexcept KeyError:\n    1"), "publish"),
    *(
        ("defines-nothing", says("publish", source), "publish")
        for source in (
            "if headline:\n    headline",
            "match headline:\n    case _:\n        headline",
            "assert headline",
            "raise SystemExit",
            "global headline",
            "del headline",
        )
    ),
    ("short-cells", says("publish", "headline; headline"), "publish"),
    ("short-cells", with_a_long_cell, "headline"),
    ("short-cells", with_many_statements, ""),
    ("parameters-cell", tagged("parameters"), ""),
    ("parameters-cell", with_two_parameters_cells, ""),
    ("parameters-cell", says("parameters", "period = None\noutput: str = None"), "parameters"),
    ("parameters-cell", says("parameters", "period: date = None"), "parameters"),
    (
        "parameters-cell",
        says("parameters", "period: str = None\noutput: str = None\nmonths: int = 12"),
        "parameters",
    ),
    ("allowed-imports", says("imports", f"{IMPORTS}\nimport pandas\npandas"), "imports"),
    (
        "allowed-imports",
        says("imports", IMPORTS + "\nfrom pipeline.analysis.drivers import x\nx"),
        "imports",
    ),
    (
        "used-imports",
        says("imports", UNUSED),
        "imports",
    ),
    ("no-paths", says("publish", 'headline.to_csv("x")'), "publish"),
    ("no-paths", says("publish", 'survival.read_csv("x")'), "publish"),
    ("no-paths", says("publish", 'chapter.show("../figure")'), "publish"),
    ("no-paths", says("publish", 'chapter.show("figure.png")'), "publish"),
    *(
        ("no-paths", says("publish", source), "publish")
        for source in (
            'compile("1", "", "eval")',
            "input()",
            "breakpoint()",
            '__import__("os")',
            'getattr(chapter, "slice")',
            'setattr(headline, "a", 1)',
            "headline.to_html()",
            "headline.to_markdown()",
            "headline.to_latex()",
            "headline.to_hdf(headline)",
            "headline.to_sql(headline)",
            "headline.to_clipboard()",
            "headline.tofile(headline)",
            "headline.unlink()",
            "headline.rename(chapter.slice)",
            "headline.mkdir()",
            "rmtree(headline)",
            "replace_folder(headline)",
            "subprocess.run(headline)",
            'chapter.show("/etc/hosts")',
            'chapter.show("~/x")',
            "chapter.show('build/x.txt')",
        )
    ),
    *(
        ("only-asks-the-chapter", says("publish", source), "publish")
        for source in (
            "chapter.paths",
            "chapter._shown",
            "headline.__class__",
            "chapter.period = headline",
            "chapter.company.seed = 1",
            "chapter.settings.charts[0] = headline",
            "chapter.slice.year += 1",
            "chapter.settings.charts.append(headline)",
            "chapter.company.targets.update(headline)",
        )
    ),
    ("sentence-first", with_a_bare_cell, "more"),
    ("sentence-first", without_a_sentence, "more"),
    ("sections-in-order", says("title", "# How long customers stay\n\nLong."), ""),
    ("sections-in-order", opened_first, ""),
    ("sections-in-order", without_limits, ""),
    ("sections-in-order", in_another_order, ""),
    ("sections-in-order", says("limits", "## Limits\n\n- One.\n- Two."), "limits"),
    ("computed-numbers", says("counted", "## What is counted\n\nWe kept 83 %."), "counted"),
    ("computed-numbers", says("counted", "## What is counted\n\nIt cost 1200 EUR."), "counted"),
    ("computed-numbers", says("counted", "## What is counted\n\nIt cost $1200."), "counted"),
    ("computed-numbers", says("counted", "## What is counted\n\nA ratio of 1.84."), "counted"),
    ("computed-numbers", says("counted", "## What is counted\n\nUp since 2026-08."), "counted"),
    *(
        ("computed-numbers", says("counted", f"## What is counted\n\n{sentence}"), "counted")
        for sentence in (
            "We lost 1432 customers.",
            "We lost 2000 customers.",
            "We kept 83 pct.",
            "We kept 83pct.",
            "We kept 83 per cent.",
            "We kept \uff18\uff13\uff05.",
            "We kept 95% of them.",
            "It cost USD 12.",
            "A p of 0.05 and a ratio of 1.84.",
            "A hazard ratio of 1.1.",
        )
    ),
    ("computed-numbers", says("publish", 'chapter.say("We kept 83 %.")'), "publish"),
    ("checked-cell", without_a_checked_cell, ""),
    ("checked-cell", with_nothing_to_compare, "checked"),
    ("checked-cell", tagged("checked", "checked", "keep_output", "not-on-page"), "checked"),
]


def found_in(notebook: NotebookNode, folder: Path, rules=CHAPTER_RULES) -> list:
    path = folder / "03_survival.ipynb"
    path.write_text(text_of(notebook), encoding="utf-8")
    return notebook_rules.faults(notebook_file.read(path, path.name), rules)


def test_a_good_chapter_has_no_fault(tmp_path: Path) -> None:
    assert found_in(chapter(), tmp_path) == []


@pytest.mark.parametrize(("rule", "plant", "where"), PLANTED)
def test_each_rule_finds_what_breaks_it_alone_and_names_the_cell(
    tmp_path: Path, rule: str, plant: Callable[[NotebookNode], None], where: str
) -> None:
    notebook = chapter()
    plant(notebook)
    found = found_in(notebook, tmp_path)
    assert {fault.rule for fault in found} == {rule}
    assert [str(fault) for fault in found if not fault.cell.startswith(where)] == []


def test_every_rule_has_a_planted_fault() -> None:
    by_text = {"written-as-kept"}
    of_tutorials = {"no-outputs-at-all", "typed-results"}
    planted = {planted[0] for planted in PLANTED} | by_text | of_tutorials
    assert planted == set(CHAPTER_RULES) | set(TUTORIAL_RULES)


def test_a_notebook_that_an_editor_wrote_in_its_own_way_is_named(tmp_path: Path) -> None:
    path = tmp_path / "03_survival.ipynb"
    path.write_text(json.dumps(chapter()), encoding="utf-8")
    found = notebook_rules.faults(notebook_file.read(path, path.name), CHAPTER_RULES)
    assert [fault.rule for fault in found] == ["written-as-kept"]


@pytest.mark.parametrize(
    "source",
    [
        'chapter.say(f"{headline:.1%} of 12 months")',
        'chapter.say("12 months are 366 days")',
        'shown = headline.set_index("Observed / expected")',
        "kept = headline[headline > 0.25]",
        "survival.read_curves()",
        "chapter.run()",
        "x = headline if headline is not None else None",
        'headline.rename(columns={"a": "b"})',
        'headline.rename("share")',
        "list(map(headline.__getitem__, headline))",
        'chapter.read("accounts")["share"] = headline',
        'chapter.say("Money is per /month")',
        'shown = headline.set_index("/month")',
        'chapter.say("Rows come from accounts.csv")',
        'chapter.say("accounts.csv holds them.")',
    ],
)
def test_what_is_no_result_and_no_path_may_stand_in_code(tmp_path: Path, source: str) -> None:
    notebook = chapter()
    cell(notebook, "publish").source = source
    assert found_in(notebook, tmp_path) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The 95% interval is wide.", "The 95 % confidence interval.", "Look for p below 0.05.",
        "q < 0.1 counts.", "HR 1.0 is no difference.", "It takes Python 3.11.",
        "See section 3.2.", "Since 2019 they are counted.", "12 months are 366 days.",
    ],
)  # fmt: skip
def test_a_number_that_stands_for_itself_may_stand_in_a_sentence(
    tmp_path: Path, sentence: str
) -> None:
    notebook = chapter()
    cell(notebook, "counted").source = f"## What is counted\n\n{sentence}"
    assert found_in(notebook, tmp_path) == []


def test_a_tutorial_may_choose_numbers_in_code_and_types_none_in_prose(tmp_path: Path) -> None:
    notebook = chapter()
    cell(notebook, "checked").outputs, cell(notebook, "checked").execution_count = [], None
    cell(notebook, "publish").source = 'say("a rate of 0.25")\nfor x in headline:\n    x'
    assert found_in(notebook, tmp_path, TUTORIAL_RULES) == []
    cell(notebook, "answer").source += " It was 83 %."
    was_run(notebook)
    rules = [fault.rule for fault in found_in(notebook, tmp_path, TUTORIAL_RULES)]
    assert rules == ["typed-results", "no-outputs-at-all"]


def test_a_file_that_is_no_notebook_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "00_x.ipynb").write_text("{ no json")
    (tmp_path / "01_old.ipynb").write_text(json.dumps({"nbformat": 3, "worksheets": []}))
    found = [line for path in sorted(tmp_path.iterdir()) for line in faults_of(path)]
    assert [line.partition(":")[0] for line in found] == ["00_x.ipynb", "01_old.ipynb"]
    assert all("no notebook that can be read" in line for line in found)
    assert faults_of(tmp_path / "gone.ipynb") == ["gone.ipynb: is not there"]


def test_the_command_names_notebook_cell_and_remedy_and_fails(tmp_path: Path) -> None:
    notebook = chapter()
    cell(notebook, "publish").source = "def f():\n    return 1"
    (tmp_path / "03_survival.ipynb").write_text(text_of(notebook))
    command = [sys.executable, ".ci/check_notebooks.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "03_survival.ipynb: cell 10 (publish): line 1 holds def" in done.stdout
    assert "pipeline/analysis/survival" in done.stdout
