"""A root in which the summary of October can run, and notebooks to run there."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.data import slice as slices
from pipeline.settings import Paths, Period

OCTOBER = Period("2026-10")
PARAMETERS = "period: str = None\noutput: str = None"
CLOSE = """
import json, pathlib
folder = pathlib.Path(output)
marker = {"chapter": "summary", "period": period, "tables": ["summary.claims"], "figures": []}
content = {"headline": [], "claims": [], "models": [], "page_one": {}}
(folder / "tables").mkdir(parents=True, exist_ok=True)
(folder / "tables" / "summary.claims.csv").write_text("chapter")
(folder / "headline.json").write_text(json.dumps(content))
(folder / "complete.json").write_text(json.dumps(marker))
"""
"""A last cell that leaves what a whole chapter leaves."""


def root_at(folder: Path) -> Paths:
    """Lay out a root with the slice of October and a folder for notebooks."""
    paths = Paths(folder, "acme")
    paths.snapshot(OCTOBER).mkdir(parents=True)
    slices.write(slices.Slice(OCTOBER, OCTOBER.end, None, 30, 3), paths.snapshot(OCTOBER))
    paths.notebooks.mkdir()
    return paths


def notebook_of(*sources: str, parameters: str = PARAMETERS) -> nbformat.NotebookNode:
    """A notebook of a title, a parameters cell and these cells."""
    first = new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
    rest = [new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    return new_notebook(cells=[new_markdown_cell("# Who?", id="title"), first, *rest])
