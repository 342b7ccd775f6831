"""The laws of the house, held by reading the files. A message names the file and the line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat import NotebookNode
from ruamel.yaml import YAML

import notebook_file
import notebook_rules
from notebook_rules import CHAPTER_RULES, TUTORIAL_RULES
from pipeline.reporting.chapter import exploring
from pipeline.reporting.execution.parameters import declared_parameters
from pipeline.settings import ANNEX, ANNEX_NUMBER, CHAPTERS, SUMMARY, Settings

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "pipeline"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TUTORIALS = sorted((ROOT / "docs").glob("*.ipynb"))
MODULES = sorted(PIPELINE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
FLOW = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))

VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "lib"}
READS = {
    "read_csv", "read_excel", "read_feather", "read_parquet", "read_pickle", "read_table",
    "scan_parquet",
}  # fmt: skip
WRITES = {
    "to_csv", "to_excel", "to_feather", "to_json", "to_parquet", "to_pickle", "write_bytes",
    "write_csv", "write_table", "write_text",
}  # fmt: skip
STORES = {"store", "disk"}
GATEWAYS = {*STORES, "reading", "backend"}
"""Names through which a file may be read: the store, the raw readers, the engine in a stage."""
LOG_WRITERS = {
    "pipeline/bound_dvc.py", "pipeline/cli.py", "pipeline/flow.py", "pipeline/lock.py",
    "pipeline/preload/client.py", "pipeline/preload/process.py", "pipeline/run/journal.py",
}  # fmt: skip
"""They write logs, hold the lock, or open nothing in the place of standard input; no data."""
CLOCK = {"now", "today", "utcnow"}
CLOCK_READERS = {
    "pipeline/lock.py", "pipeline/run/doctor.py", "pipeline/run/journal.py",
    "pipeline/run/manifest.py", "pipeline/reporting/publish.py",
    "pipeline/reporting/records/record.py",
}  # fmt: skip
"""They say when a build ran; no date of a report comes from there."""
PURE_MAY_IMPORT = {"lifelines", "numpy", "pandas", "patsy", "scipy", "statsmodels"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each imported name as dotted text, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield each.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; write the full name"
            for each in node.names:
                yield f"{node.module}.{each.name}", node.lineno


def calls_of(tree: ast.AST) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call: what it is called on, its name, the node. `a.read()` is (a, read, node)."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            yield "", node.func.id, node
        elif isinstance(node.func, ast.Attribute):
            base = node.func.value
            on = getattr(base, "id", None) or getattr(base, "attr", None) or ""
            yield on, node.func.attr, node


def module_file(dotted: str) -> Path | None:
    """The file of `pipeline.a.b`, or of `pipeline.a` when b is a name inside it."""
    parts = dotted.split(".")
    while parts and parts[0] == "pipeline":
        place = ROOT.joinpath(*parts)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path
        parts.pop()
    return None


def modules_behind(tree: ast.AST, seen: set[Path] | None = None) -> set[Path]:
    """Every module of ours that a piece of code imports, directly or through others."""
    seen = set() if seen is None else seen
    for dotted, _ in imports_of(tree):
        path = module_file(dotted)
        if path and path not in seen:
            seen.add(path)
            modules_behind(tree_of(path), seen)
    return seen


def has_code(path: Path) -> bool:
    """False for a package file that holds a docstring and nothing else."""
    body = tree_of(path).body
    return not (len(body) <= 1 and all(isinstance(node, ast.Expr) for node in body))


def cells_of(path: Path, kind: str) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def code_of(path: Path) -> Iterator[tuple[str, ast.Module]]:
    for cell in cells_of(path, "code"):
        where = f"{name_of(path)} cell {cell.id!r}"
        try:
            yield where, ast.parse(cell.source)
        except SyntaxError as error:
            pytest.fail(f"{where} line {error.lineno}: no plain Python (magic or `!`?)")


def chapter_of(path: Path) -> str:
    return path.stem.partition("_")[2]


def by_name(path: Path) -> str:
    return name_of(path)


# Law 1: one word, many places.


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_its_name_in_every_place(chapter: str) -> None:
    module = PIPELINE / "analysis" / chapter
    places = {
        f"pipeline/analysis/{chapter}.py": module.with_suffix(".py").is_file() or module.is_dir(),
        f"notebooks/NN_{chapter}.ipynb": [chapter_of(path) for path in NOTEBOOKS].count(chapter)
        == 1,
        f"the block {chapter}: of params.yaml": chapter in PARAMS,
        f"Settings.{chapter}": chapter in Settings.model_fields,
        f"the stage {chapter} of dvc.yaml": chapter in FLOW["stages"],
        f"tests/analysis/test_{chapter}.py": (
            ROOT / "tests" / "analysis" / f"test_{chapter}.py"
        ).is_file(),
    }
    assert [place for place, is_there in places.items() if not is_there] == []


def test_every_notebook_is_a_chapter_and_they_are_numbered_in_order() -> None:
    numbered = [(int(path.stem[:2]), chapter_of(path)) for path in NOTEBOOKS]
    assert numbered == [*enumerate(CHAPTERS), (ANNEX_NUMBER, ANNEX)]


@pytest.mark.parametrize("path", MODULES, ids=by_name)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert not VAGUE & set(path.relative_to(PIPELINE).with_suffix("").parts)


# Law 2: imports run downhill.


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(PIPELINE).parts[0] in ("analysis", "statistics")],
    ids=by_name,
)
def test_analysis_and_statistics_know_no_file_no_setting_and_no_picture(path: Path) -> None:
    room = path.relative_to(PIPELINE).parts[0]
    downhill = ("pipeline.statistics",) if room == "statistics" else (
        "pipeline.analysis", "pipeline.statistics",
    )  # fmt: skip
    standard = {
        "__future__", "collections", "dataclasses", "datetime", "enum", "functools", "itertools",
        "math", "operator", "statistics", "typing", "warnings",
    }  # fmt: skip
    wrong = [
        f"{name_of(path)}:{line} imports {dotted}"
        for dotted, line in imports_of(tree_of(path))
        if not dotted.startswith(downhill)
        and dotted.split(".")[0] not in PURE_MAY_IMPORT | standard
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if not path.is_relative_to(PIPELINE / "stages" / "simulate")],
    ids=by_name,
)
def test_no_analysis_can_see_the_truth_of_the_sample_company(path: Path) -> None:
    told = [
        f"{name_of(path)}:{node.lineno} names {node.value!r}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "truth.json" in node.value
    ]
    may_simulate = name_of(path) == "pipeline/cli.py"
    told += [
        f"{name_of(path)}:{line} imports {dotted}"
        for dotted, line in imports_of(tree_of(path))
        if dotted.startswith("pipeline.stages.simulate") and not may_simulate
    ]
    assert told == []


def modules_in(path: Path) -> dict[str, ModuleType]:
    """The modules of ours that a notebook imports, by the name they have there."""
    names = [dotted for _, tree in code_of(path) for dotted, _ in imports_of(tree)]
    places = {dotted: ROOT.joinpath(*dotted.split(".")) for dotted in names}
    return {
        dotted.rpartition(".")[2]: import_module(dotted)
        for dotted, place in places.items()
        if place.is_dir() or place.with_suffix(".py").is_file()
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_what_a_notebook_asks_of_a_module_is_there(path: Path) -> None:
    modules = modules_in(path)
    asked = [
        (where, node.value.id, node.attr)
        for where, tree in code_of(path)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    missing = [
        f"{where}: {name}.{attribute}"
        for where, name, attribute in asked
        if name in modules and not hasattr(modules[name], attribute)
    ]
    assert modules
    assert missing == []


# Law 4: only the store touches data files.


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.relative_to(PIPELINE).parts[0] != "data"], ids=by_name
)
def test_only_the_store_touches_data_files(path: Path) -> None:
    wrong = []
    for on, called, node in calls_of(tree_of(path)):
        is_read = called in READS and on not in GATEWAYS
        is_write = called in WRITES and on not in STORES and name_of(path) not in LOG_WRITERS
        is_open = called == "open" and name_of(path) not in LOG_WRITERS
        if is_read or is_write or is_open:
            wrong.append(f"{name_of(path)}:{node.lineno} calls {on}.{called}; go through store")
    assert wrong == []


@pytest.mark.parametrize(
    "path", [path for path in MODULES if name_of(path) not in CLOCK_READERS], ids=by_name
)
def test_no_date_of_a_report_comes_from_the_clock(path: Path) -> None:
    wrong = [
        f"{name_of(path)}:{node.lineno} reads the clock by {on}.{called}()"
        for on, called, node in calls_of(tree_of(path))
        if called in CLOCK
    ]
    assert wrong == []


# Law 5: a notebook chooses and narrates; it never defines. .ci/notebook_rules.py holds the rules.


@pytest.mark.parametrize("rule", CHAPTER_RULES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_a_chapter_keeps_every_rule_of_a_notebook(path: Path, rule: str) -> None:
    notebook = notebook_file.read(path, name_of(path))
    found = notebook_rules.faults(notebook, {rule: CHAPTER_RULES[rule]})
    assert [str(fault) for fault in found] == []


@pytest.mark.parametrize("rule", TUTORIAL_RULES)
@pytest.mark.parametrize("path", TUTORIALS, ids=by_name)
def test_a_tutorial_keeps_every_rule_of_a_notebook(path: Path, rule: str) -> None:
    notebook = notebook_file.read(path, name_of(path))
    found = notebook_rules.faults(notebook, {rule: TUTORIAL_RULES[rule]})
    assert [str(fault) for fault in found] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_the_parameters_cell_holds_every_setting_that_can_be_tried_out(path: Path) -> None:
    chapter = chapter_of(path)
    declared = [*declared_parameters(path.name, nbformat.read(path, as_version=4))]
    is_of_accounts = chapter not in (SUMMARY, ANNEX)
    first = ["period", "output", *(["only"] if is_of_accounts else [])]
    block = () if chapter == ANNEX else Settings.model_fields[chapter].annotation.model_fields
    kept = [key for key in block if f"{chapter}.{key}" not in exploring.DECIDED_ELSEWHERE]
    assert declared == [*first, *kept]


# The flow declares what it uses.


def starting_points() -> dict[str, list[ast.Module]]:
    """The code with which each stage of dvc.yaml begins."""
    points = {chapter_of(path): [tree for _, tree in code_of(path)] for path in NOTEBOOKS}
    for stage in FLOW["stages"]:
        path = module_file(f"pipeline.stages.{stage}")
        if stage not in points and path:
            points[stage] = [ast.parse(f"import pipeline.stages.{stage}")]
    return points


@pytest.mark.parametrize("stage", [name for name in FLOW["stages"] if name != "report"])
def test_every_module_a_stage_imports_lies_under_one_of_its_dependencies(stage: str) -> None:
    declared = [ROOT / path for path in FLOW["stages"][stage]["deps"] if "${" not in path]
    used = {path for tree in starting_points()[stage] for path in modules_behind(tree)}
    hidden = [
        name_of(path)
        for path in sorted(used)
        if has_code(path)
        and not any(path == place or path.is_relative_to(place) for place in declared)
    ]
    assert hidden == [], f"dvc.yaml, stage {stage}: add what it imports to deps"


@pytest.mark.parametrize("stage", FLOW["stages"])
def test_what_a_stage_declares_is_there(stage: str) -> None:
    spoken = FLOW["stages"][stage]
    own = [path for path in spoken["deps"] if not path.startswith(("data/", "reports/"))]
    assert [path for path in own if "${" not in path and not (ROOT / path).exists()] == []
    keys = [name for name in spoken.get("params", []) if isinstance(name, str)]
    assert [name for name in keys if name.split(".")[0] not in Settings.model_fields] == []


# Law 10: a law that no test holds is a wish, and a test that asserts nothing holds nothing.


def asserts(test: ast.AST) -> bool:
    """True for a test whose own body asserts; what a function that it calls asserts is no claim."""
    return any(isinstance(node, ast.Assert) for node in ast.walk(test)) or any(
        called in ("raises", "warns", "fail") or called.startswith("assert_") or on == "expect"
        for on, called, _ in calls_of(test)
    )


@pytest.mark.parametrize("path", TESTS, ids=by_name)
def test_every_test_asserts_in_its_own_body(path: Path) -> None:
    idle = [
        f"{name_of(path)}:{node.lineno} {node.name} asserts nothing"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not asserts(node)
    ]
    assert idle == []


@pytest.mark.parametrize("path", TESTS, ids=by_name)
def test_every_draw_has_a_written_seed(path: Path) -> None:
    unseeded = re.compile(r"(np\.|numpy\.)?random\.(?!default_rng|Generator|SeedSequence|PCG64)\w+")
    imported = {dotted for dotted, _ in imports_of(tree_of(path))}
    wrong = [
        f"{name_of(path)}:{node.lineno} draws without a seed"
        for _, called, node in calls_of(tree_of(path))
        if (called == "default_rng" and not node.args and not node.keywords)
        or (
            (found := unseeded.fullmatch(ast.unparse(node.func)))
            and (found[1] or "random" in imported)
        )
    ]
    assert wrong == []
