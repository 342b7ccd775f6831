"""Put the notebooks into the form in which they are kept: unrun, but for the checked cell.

nbstripout takes outputs and counts out and keeps those of a cell tagged `keep_output`. The rest is
what it lacks: the kernel is ours, a cell's metadata are its tags, an empty cell goes, an id drawn
at random becomes a word (cell_names.py). `make fix` calls it; what is clean is not written again.
A file that cannot be read is named and left as it is, the others are cleaned; the exit code is 1.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import nbjson
from nbstripout import strip_output

from cell_names import name_cells
from notebook_rules import KEPT, METADATA

FORMAT, FIRST_MINOR_WITH_IDS = 4, 5
CHECKPOINTS = ".ipynb_checkpoints"
UNREADABLE = (OSError, ValueError, AttributeError, KeyError, TypeError)
"""What a file raises that is gone, cut off, in conflict, or no notebook of nbformat 4."""
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
    """Clean one notebook in place, whole or not at all; say whether it changed.

    Raises:
        OSError, ValueError, AttributeError, KeyError, TypeError: it is no notebook that can be
            read; why_unreadable says it in words.
    """
    before = path.read_text(encoding="utf-8")
    read = nbjson.reads(before)
    if read.get("nbformat") != FORMAT:
        raise ValueError(f"nbformat {read.get('nbformat')}, not {FORMAT}")
    after = nbformat.v4.writes(clean(read)) + "\n"
    if after == before:
        return False
    place = path.resolve()
    beside = place.with_name(f".{place.name}.new")
    try:
        beside.write_text(after, encoding="utf-8")
        shutil.copymode(place, beside)
        os.replace(beside, place)
    finally:
        beside.unlink(missing_ok=True)
    return True


def why_unreadable(error: Exception) -> str:
    """Why a file is no notebook that can be read, in words."""
    if isinstance(error, FileNotFoundError):
        return "is not there"
    if isinstance(error, AttributeError | KeyError) and str(error.args[0]).isidentifier():
        return f"no notebook that can be read: something in it has no {error.args[0]!r}"
    return f"no notebook that can be read: {error}"


def notebooks_in(places: list[str]) -> list[Path]:
    """The notebooks that these files and folders are or hold; those of the project for none."""
    found: list[Path] = []
    for place in [Path(each) for each in places] or [ROOT / each for each in FOLDERS]:
        within = (path for path in place.rglob("*.ipynb") if CHECKPOINTS not in path.parts)
        found += sorted(within) if place.is_dir() else [place]
    return found


def main(places: list[str]) -> int:
    """Clean every notebook that can be read; 1 when there is one that cannot."""
    unreadable = 0
    for path in notebooks_in(places):
        try:
            if clean_file(path):
                print(f"cleaned {path}")
        except UNREADABLE as error:
            unreadable += 1
            print(f"{path}: {why_unreadable(error)}", file=sys.stderr)
    if unreadable:
        print(f"{unreadable} left as they are: mend or remove them by hand", file=sys.stderr)
    return 1 if unreadable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
