"""What is in a notebook's file? Its cells with their places, as text, words and code.

Reads one file and judges nothing; notebook_rules.py does. The subtle point: nbformat's own reader
repairs what it reads, and a linter must see what is there.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import nbjson


@dataclass(frozen=True)
class Cell:
    """One cell, its position from 1, and its code as a tree: None for prose and for no Python."""

    node: NotebookNode
    position: int

    @property
    def id(self) -> str:
        return str(self.node.get("id", ""))

    @property
    def source(self) -> str:
        return self.node.source

    @property
    def is_code(self) -> bool:
        return self.node.cell_type == "code"

    @property
    def tags(self) -> list[str]:
        return self.node.metadata.get("tags", [])

    @cached_property
    def tree(self) -> ast.Module | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                return ast.parse(self.source) if self.is_code else None
        except SyntaxError:
            return None


@dataclass(frozen=True)
class Notebook:
    """A notebook as text and as cells; `chapter` is the word in its file's name."""

    name: str
    chapter: str
    text: str
    node: NotebookNode
    cells: tuple[Cell, ...]

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.is_code]

    @property
    def prose(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.node.cell_type == "markdown"]

    @property
    def nodes(self) -> Iterator[tuple[Cell, ast.AST]]:
        for cell in self.code:
            for node in ast.walk(cell.tree) if cell.tree else ():
                yield cell, node


def read(path: Path, name: str) -> Notebook:
    """Read a notebook without judging it.

    Raises:
        ValueError: the file is no JSON, or no notebook of nbformat 4.
    """
    text = path.read_text(encoding="utf-8")
    node = nbjson.reads(text)
    if node.get("nbformat") != 4:
        raise ValueError(f"nbformat {node.get('nbformat')}, not 4")
    cells = tuple(Cell(each, place) for place, each in enumerate(node.cells, start=1))
    return Notebook(name, path.stem.partition("_")[2], text, node, cells)
