"""How long until a data scientist sees the first number of a chapter?

A fresh process imports what the chapter imports, opens it and reads its tables, as its first cells
do; beside it, one that only imports the libraries below. Both are warm: compiled, and in the page
cache. The subtle point: the cells are taken from the notebook itself, so a slow import there shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from pipeline.settings import ROOT_VARIABLE
from tests import checked_cells

NOTEBOOKS = sorted((checked_cells.PROJECT / "notebooks").glob("*.ipynb"))
LAST = "open"
"""The cell after which a chapter is open; those before it hold parameters and imports."""
LIBRARIES = "import lifelines, matplotlib, pandas, scipy.stats, seaborn, statsmodels.api"
READ = re.compile(r"chapter\.read\(\"(\w+)\"\)")
TARGET_SECONDS = 3.0


@dataclass(frozen=True)
class Script:
    """Code for a fresh process, by the name of its row."""

    name: str
    code: str

    def run(self) -> None:
        """Run it in the root of the sample company; what it shows is thrown away."""
        surroundings = os.environ | {ROOT_VARIABLE: str(checked_cells.ROOT)}
        subprocess.run(
            [sys.executable, "-c", self.code], env=surroundings, cwd=checked_cells.PROJECT,
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip


def scripts() -> list[Script]:
    """One script per chapter; the sample company's newest month is built first."""
    checked_cells.prepare()
    return [Script(path.stem, opening(path)) for path in NOTEBOOKS]


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
