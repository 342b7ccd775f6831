"""Take out of the notebooks what running them left behind.

Outputs, counts and cell metadata of a run go; the output of a cell whose first line is
``# NBVAL_CHECK_OUTPUT`` stays, because it is the checked headline. Cell tags stay.
"""

import sys
from pathlib import Path

import nbformat

CHECKED = "# NBVAL_CHECK_OUTPUT"
KERNEL = {"name": "lodestar", "display_name": "Lodestar", "language": "python"}


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook as it is kept in git: unrun, but for its checked outputs."""
    cells = [_clean_cell(cell, number) for number, cell in enumerate(notebook.cells)]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.from_dict({**notebook, "cells": cells, "metadata": metadata})


def _clean_cell(cell: nbformat.NotebookNode, number: int) -> dict:
    tags = cell.metadata.get("tags", [])
    kept = {**cell, "id": f"cell-{number:02d}", "metadata": {"tags": tags} if tags else {}}
    if cell.cell_type != "code":
        return kept
    kept["execution_count"] = None
    is_checked = cell.source.startswith(CHECKED)
    kept["outputs"] = [_clean_output(output) for output in cell.outputs] if is_checked else []
    return kept


def _clean_output(output: nbformat.NotebookNode) -> dict:
    return {**output, "execution_count": None} if "execution_count" in output else dict(output)


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
