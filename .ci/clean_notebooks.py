"""Take out of the notebooks what running them left behind.

Outputs, counts and cell metadata of a run go; the printed output of a cell with the tag
``keep_output`` stays, because it is the checked headline. Cell ids and tags stay.
"""

import sys
from pathlib import Path

import nbformat

KEPT = "keep_output"
KERNEL = {"name": "lodestar", "display_name": "Lodestar", "language": "python"}


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook as it is kept in git: unrun, but for its checked outputs."""
    cells = [_clean_cell(cell) for cell in notebook.cells]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.from_dict({**notebook, "cells": cells, "metadata": metadata})


def _clean_cell(cell: nbformat.NotebookNode) -> dict:
    tags = cell.metadata.get("tags", [])
    kept = {**cell, "metadata": {"tags": tags} if tags else {}}
    if cell.cell_type != "code":
        return kept
    printed = [dict(output) for output in cell.outputs if output.get("name") == "stdout"]
    is_checked = KEPT in tags and bool(printed)
    # nbval compares the output of a cell only when the cell has been counted.
    return {
        **kept,
        "outputs": printed if is_checked else [],
        "execution_count": 1 if is_checked else None,
    }


def clean_file(path: Path) -> bool:
    """Clean one notebook in place; say whether it changed."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    after = nbformat.writes(clean(notebook)) + "\n"
    if after == before:
        return False
    path.write_text(after, encoding="utf-8")
    return True


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        for notebook_path in sorted(Path(folder).glob("*.ipynb")):
            if clean_file(notebook_path):
                print(f"cleaned {notebook_path}")
