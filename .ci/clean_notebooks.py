"""Put the notebooks into the form in which they are kept: unrun, but for the checked cell.

nbstripout takes outputs and counts out and keeps those of a cell tagged `keep_output`. The rest is
what it lacks: the kernel is ours, a cell's metadata are its tags, an empty cell goes, an id drawn
at random becomes a word (cell_names.py). `make fix` calls it; what is clean is not written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import nbjson
from nbstripout import strip_output

from cell_names import name_cells
from notebook_rules import KEPT, METADATA

FIRST_MINOR_WITH_IDS = 5
ROOT = Path(__file__).parents[1]
FOLDERS = ("notebooks", "docs")


def clean(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook as it is kept in git."""
    minor = max(FIRST_MINOR_WITH_IDS, notebook.get("nbformat_minor", 0))
    kept = nbformat.from_dict({**notebook, "nbformat_minor": minor, "metadata": METADATA})
    kept = strip_output(kept, keep_output=False, keep_count=False, keep_id=True)
    kept.cells = [cell for cell in kept.cells if cell.source.strip()]
    for cell in kept.cells:
        _settle(cell)
    name_cells(kept.cells)
    return kept


def _settle(cell: NotebookNode) -> None:
    tags = cell.metadata.get("tags", [])
    cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    cell.source = cell.source.rstrip()
    if cell.cell_type != "code":
        return
    cell.outputs = [output for output in cell.outputs if output.get("name") == "stdout"]
    # nbval compares the output of a cell only when the cell has been counted.
    cell.execution_count = 1 if KEPT in tags and cell.outputs else None


def clean_file(path: Path) -> bool:
    """Clean one notebook in place; say whether it changed."""
    before = path.read_text(encoding="utf-8")
    after = nbformat.v4.writes(clean(nbjson.reads(before))) + "\n"
    if after == before:
        return False
    path.write_text(after, encoding="utf-8")
    return True


def notebooks_in(places: list[str]) -> list[Path]:
    """The notebooks that these files and folders are or hold; those of the project for none."""
    found: list[Path] = []
    for place in [Path(each) for each in places] or [ROOT / each for each in FOLDERS]:
        found += sorted(place.glob("*.ipynb")) if place.is_dir() else [place]
    return found


if __name__ == "__main__":
    for notebook_path in notebooks_in(sys.argv[1:]):
        if clean_file(notebook_path):
            print(f"cleaned {notebook_path}")
