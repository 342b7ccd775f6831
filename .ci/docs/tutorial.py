"""What does the tutorial show? docs/tutorial.ipynb as a page, run where a sample company stands.

Reads the notebook, and the data of the sample company: those that LODESTAR_ROOT names, else
build/sample-root, else those of this folder. Makes tutorial.html. The subtle point: without data
the page shows prose and code alone and says so; it never keeps results of an earlier day.
"""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from page import document, highlighted, prose

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
NOT_RUN = (
    "<p><strong>Shown without results.</strong> The sample company is not built on this machine: "
    "<code>make report</code> builds it, then <code>make docs</code> shows the results.</p>"
)
RUN, BARE, ABSENT = "run", "without results", "absent"
LONGEST_CELL_SECONDS = 300


def build(path: Path) -> str:
    """Write the page; say whether it is run, without results, or absent."""
    if not NOTEBOOK.is_file():
        return ABSENT
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    if root := _sample():
        _run(notebook, root)
    body = "\n".join(_cell(cell) for cell in notebook.cells)
    title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
    whole = document(title, body if root else f"{NOT_RUN}\n{body}", "")
    path.write_text(whole, encoding="utf-8")
    return RUN if root else BARE


def _sample() -> Path | None:
    """The root whose sample company has a snapshot and the truth beside its raw data."""
    named = os.environ.get("LODESTAR_ROOT")
    for root in [Path(named)] if named else [ROOT / "build" / "sample-root", ROOT]:
        has_truth = (root / "data" / "raw" / "sample" / "truth.json").is_file()
        if has_truth and any((root / "data" / "processed" / "snapshot").glob("*/*.parquet")):
            return root
    return None


def _run(notebook: nbformat.NotebookNode, root: Path) -> None:
    """Run it as JupyterLab would, on the sample company."""
    client = NotebookClient(
        notebook,
        timeout=LONGEST_CELL_SECONDS,
        kernel_name="lodestar",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
    )
    client.execute(env={**os.environ, "LODESTAR_ROOT": str(root)})


def _cell(cell: nbformat.NotebookNode) -> str:
    if cell.cell_type == "markdown":
        return prose(cell.source, _own_link, NOTEBOOK.parent)
    shown = [_output(output) for output in cell.get("outputs", [])]
    return "\n".join([highlighted(cell.source), *filter(None, shown)])


def _own_link(url: str) -> str | None:
    """A link of the tutorial: to a guide, to a place in it, or words."""
    target, _, anchor = url.partition("#")
    name = os.path.normpath(Path("docs") / target) if target else ""
    if "://" in url or not name:
        return url
    if not (ROOT / name).exists():
        raise SystemExit(f"docs: the tutorial links to {url}, which is not there.")
    own = f"guides/{name.removesuffix('.md')}.html{'#' + anchor if anchor else ''}"
    return own if name.endswith(".md") else None


def _output(output: nbformat.NotebookNode) -> str:
    """What a cell showed: our markup, a picture, or its plain text."""
    if output.output_type == "stream":
        return f'<pre tabindex="0">{html.escape(output.text)}</pre>'
    data: dict[str, Any] = output.get("data", {})
    if "text/html" in data:
        return f'<div class="beat">{data["text/html"]}</div>'
    if "image/svg+xml" in data:
        picture = base64.b64encode(data["image/svg+xml"].encode()).decode()
        return f'<img src="data:image/svg+xml;base64,{picture}" alt="Result of the cell above">'
    return f'<pre tabindex="0">{html.escape(data.get("text/plain", ""))}</pre>'
