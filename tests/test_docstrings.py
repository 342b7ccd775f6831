"""What the reference says is as true and as complete as the docstrings. Held by reading the files.

Rooms: those that a data scientist calls. A message names the file and the line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "statistics", "analysis", "data", "reporting/chapter", "reporting/figures",
    "reporting/tables", "reporting/words.py",
)  # fmt: skip
FILES = sorted(
    file
    for room in ROOMS
    for path in [ROOT / "pipeline" / room]
    for file in ([path] if path.is_file() else path.rglob("*.py"))
)
ROW = re.compile(r"\bone\s+row(\s+(per|for)\b|:)|\bsame\s+rows\b", re.IGNORECASE)
"""A frame is described by what one row of it is, or as the rows that were given."""
SOURCE = re.compile(r"\bSource: \S")
ARGS = re.compile(r"^Args:\n((?:[ ]+\S.*\n?|\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Public:
    """A function, method or class that anybody may call, and where it stands."""

    file: Path
    name: str
    node: ast.FunctionDef | ast.ClassDef

    @property
    def where(self) -> str:
        return f"{self.file.relative_to(ROOT).as_posix()}:{self.node.lineno} {self.name}"

    @property
    def text(self) -> str:
        return ast.get_docstring(self.node) or ""


def public_in(file: Path) -> list[Public]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return list(found_in(file, tree.body, ""))


def found_in(file: Path, body: list[ast.stmt], inside: str) -> Iterator[Public]:
    for node in body:
        is_ours = isinstance(node, ast.FunctionDef | ast.ClassDef)
        if not is_ours or node.name.startswith("_") or is_overload(node):
            continue
        yield Public(file, inside + node.name, node)
        if isinstance(node, ast.ClassDef):
            yield from found_in(file, node.body, f"{node.name}.")


def is_overload(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any(ast.unparse(each) == "overload" for each in node.decorator_list)


@cache
def everything() -> list[Public]:
    return [each for file in FILES for each in public_in(file)]


def functions() -> list[tuple[Public, ast.FunctionDef]]:
    return [(each, each.node) for each in everything() if isinstance(each.node, ast.FunctionDef)]


def parameters(node: ast.FunctionDef) -> set[str]:
    given = node.args
    further = [each for each in (given.vararg, given.kwarg) if each]
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *further]
    return {each.arg for each in every}


def documented(text: str) -> list[str]:
    """Names before the colons of the section Args."""
    found = ARGS.search(text)
    if not found:
        return []
    lines = [line for line in found[1].splitlines() if line.strip()]
    depth = len(lines[0]) - len(lines[0].lstrip())
    heads = [line.strip() for line in lines if len(line) - len(line.lstrip()) == depth]
    return [name.strip("* ") for head in heads for name in head.partition(":")[0].split(",")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_module_says_its_question(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a reader of the reference meets this module without a word"


def test_all_that_is_public_says_what_it_does() -> None:
    silent = [each.where for each in everything() if not each.text]
    assert silent == [], "write a docstring: what it does, in one sentence"


def test_a_frame_says_what_one_row_is() -> None:
    vague = [
        each.where
        for each, node in functions()
        if node.returns is not None
        and "DataFrame" in ast.unparse(node.returns)
        and not ROW.search(each.text)
    ]
    assert vague == [], "say 'one row per …' of what it gives, or 'the same rows'"


def test_what_a_docstring_says_of_a_parameter_is_said_of_one_that_is_there() -> None:
    invented = [
        f"{each.where}: {name!r}"
        for each, node in functions()
        for name in documented(each.text)
        if name not in parameters(node)
    ]
    assert invented == [], "a parameter was renamed or is gone: mend the section Args"


def test_a_statistic_names_its_source() -> None:
    unnamed = [
        each.where
        for each, _ in functions()
        if each.file.is_relative_to(ROOT / "pipeline" / "statistics")
        and "." not in each.name
        and not SOURCE.search(each.text)
    ]
    assert unnamed == [], "end with 'Source: author (year)', or 'Source: definition'"


def test_the_rules_see_a_frame_without_rows_and_a_parameter_that_is_not_there(
    tmp_path: Path,
) -> None:
    file = tmp_path / "planted.py"
    file.write_text(
        'def levels(rows: pd.DataFrame) -> pd.DataFrame:\n    """The levels.\n\n'
        '    Args:\n        row: of anything.\n    """\n',
        encoding="utf-8",
    )
    (planted,) = public_in(file)
    assert isinstance(planted.node, ast.FunctionDef)
    assert not ROW.search(planted.text)
    assert set(documented(planted.text)) - parameters(planted.node) == {"row"}
    assert ROW.search("Gives one row\nper account.")
