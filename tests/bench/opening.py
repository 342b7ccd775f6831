"""How long until a data scientist sees the first number of a chapter?

A fresh process imports what the chapter imports, opens it and reads its tables, as its first cells
do; beside it, one that only imports the libraries below. Both are warm: compiled, and in the page
cache. The subtle point: the cells are taken from the notebook itself, so a slow import there shows.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat

from pipeline.settings import ROOT_VARIABLE
from tests import checked_cells
from tests.bench.row import Command, Row, Sides

NOTEBOOKS = sorted((checked_cells.PROJECT / "notebooks").glob("*.ipynb"))
LAST = "open"
"""The cell after which a chapter is open; those before it hold parameters and imports."""
LIBRARIES = "import lifelines, matplotlib, pandas, scipy.stats, seaborn, statsmodels.api"
READ = re.compile(r"chapter\.read\(\"(\w+)\"\)")
TARGET_SECONDS = 3.0


def script(code: str) -> Command:
    """Code for a fresh process in the root of the sample company."""
    surroundings = {ROOT_VARIABLE: str(checked_cells.ROOT)}
    return Command([sys.executable, "-c", code], cwd=checked_cells.PROJECT, env=surroundings)


def opening(path: Path) -> str:
    """The code with which a notebook opens, and each later reading of a table."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    place = [cell.id for cell in cells].index(LAST) + 1
    first = [cell.source for cell in cells[:place]]
    later = [name for cell in cells[place:] for name in READ.findall(cell.source)]
    return "\n".join([*first, *readings(later)])


def readings(tables: Iterable[str]) -> list[str]:
    """A line of code that reads each of these tables, once."""
    return [f'chapter.read("{table}")' for table in dict.fromkeys(tables)]


def _row(path: Path) -> Row:
    def make(is_quick: bool) -> Sides:
        checked_cells.prepare()
        return Sides(script(opening(path)), script(LIBRARIES))

    goal = f"a chapter is open in {TARGET_SECONDS:g} s"
    name = f"open {path.stem} / its libraries"
    return Row(name, None, make, goal=goal, most_seconds=TARGET_SECONDS, kind="open")


ROWS = [_row(path) for path in NOTEBOOKS]
