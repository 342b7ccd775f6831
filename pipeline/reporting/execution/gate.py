"""Did the notebook really run? The gate between an executed chapter and the report.

Reads an executed notebook and the files of its chapter's folder; makes nothing. The subtle point:
an exit code proves nothing. A chapter passes only when each cell ran once and in order, none shows
an error, and the end marker and every file that it declares are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from pipeline.data import store
from pipeline.data.schema.published import TABLES
from pipeline.reporting.records.record import (
    END_MARKER,
    HEADLINE_FILE,
    SCENARIO,
    is_kept_name,
)
from pipeline.settings import ANNEX, Period, Settings

NOTEBOOK = "notebook.ipynb"
LONGEST_LINE = 300
"""Characters of an error's first line that a message repeats."""


class ChapterFailedError(Exception):
    """A notebook failed, or says it is done and is not (exit code 70).

    `error_class` is one word for the kind of failure: cell_error, exit, thread, timeout,
    kernel_start, kernel_died, too_much_output, source_changed, not_run, incomplete.
    `cell` is the cell's id and `cell_index` its position, from 0, in the executed notebook.
    `kept` is where that notebook was kept, seen from the root.
    """

    def __init__(
        self,
        message: str,
        error_class: str = "incomplete",
        *,
        notebook: str | None = None,
        cell: str | None = None,
        cell_index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.notebook = notebook
        self.cell = cell
        self.cell_index = cell_index
        self.kept: str | None = None

    def __str__(self) -> str:
        message = super().__str__()
        if self.kept is None:
            return message
        cell = "" if self.cell_index is None else f"cell {self.cell_index + 1} of "
        return f"{message.rstrip('.')}. See {cell}{self.kept}."


def pages_of(period: Period, settings: Settings) -> list[str]:
    """The chapters whose pages a report has: those listed, and the annex when it is due."""
    return [*settings.chapters, *([ANNEX] if settings.has_annex(period) else [])]


def check(name: str, period: Period, folder: Path, *, may_be_scenario: bool = False) -> None:
    """The gate: notebook run to its end, end marker written, every declared file there.

    What was made with settings of its own passes only where nothing is published.

    Raises:
        ChapterFailedError: says what is missing.
    """
    executed = folder / NOTEBOOK
    if not executed.is_file():
        raise ChapterFailedError(f"{name} of {period}: there is no executed notebook.")
    examine(name, nbformat.read(executed, as_version=4))
    if not (folder / END_MARKER).is_file():
        raise ChapterFailedError(
            f"{name} of {period} ran, but did not write its end marker: "
            "its last cell must call `chapter.close()`.",
            notebook=name,
        )
    marker = store.read_json(folder / END_MARKER)
    if (marker["chapter"], marker["period"]) != (name, str(period)):
        raise ChapterFailedError(f"{name} of {period}: the end marker is of another chapter.")
    if marker.get(SCENARIO) and not may_be_scenario:
        raise ChapterFailedError(
            f"{name} of {period} was made with settings of its own ({', '.join(marker[SCENARIO])}) "
            "and is never published. Run it again as params.yaml says: make report",
            notebook=name,
        )
    promised = [table for table in TABLES if table.split(".")[0] == name]
    missing = [table for table in promised if table not in marker["tables"]]
    missing += [str(path) for path in declared_files(marker) if not (folder / path).is_file()]
    if missing:
        raise ChapterFailedError(f"{name} of {period} did not publish {', '.join(missing[:5])}.")


def declared_files(marker: Mapping[str, Any]) -> list[Path]:
    """The files that an end marker says are there."""
    bad = [name for name in (*marker["tables"], *marker["figures"]) if not is_kept_name(name)]
    if bad:
        raise ChapterFailedError(f"{bad[0]!r} names no table or figure: use letters, digits, . _ -")
    files = [Path("tables") / f"{table}.csv" for table in marker["tables"]]
    for figure in marker["figures"]:
        files += [Path("figures") / f"{figure}.{kind}" for kind in ("svg", "csv")]
    return [*files, Path(HEADLINE_FILE)]


def examine(name: str, notebook: NotebookNode) -> None:
    """Refuse a notebook with an error, a cell that did not run, or cells out of order.

    Raises:
        ChapterFailedError: names the cell and the first line of what went wrong.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not any(cell.source.strip() for cell in cells):
        raise ChapterFailedError(
            f"{name} has no code cell: nothing was run.", "not_run", notebook=name
        )
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            _examine_cell(name, position, cell)
    counts = [cell.execution_count for cell in cells if cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        raise ChapterFailedError(
            f"{name}: the cells did not run once each, in order: {counts}.",
            "not_run",
            notebook=name,
        )


def _examine_cell(name: str, position: int, cell: NotebookNode) -> None:
    here = str(cell.get("id", position))
    place: dict[str, Any] = {"notebook": name, "cell": here, "cell_index": position}
    for output in cell.outputs:
        if output.output_type == "error":
            kind = "exit" if output.ename == "SystemExit" else "cell_error"
            said = f"{name}, cell {here!r} failed: {output.ename}: {first_line(output.evalue)}"
            raise ChapterFailedError(said, kind, **place)
    status = cell.metadata.get("papermill", {}).get("status")
    if cell.source.strip() and (status != "completed" or cell.execution_count is None):
        said = f"{name}, cell {here!r} did not run to its end (status {status}): "
        said += _last_words(cell) or "the kernel stopped, or a cell called exit."
        kind = "cell_error" if status == "failed" else "not_run"  # a bad magic has no output
        raise ChapterFailedError(said, kind, **place)


def first_line(text: Any) -> str:
    """The first line of what an error says, cut when very long; empty when it says nothing."""
    line = next(iter(str(text).strip().splitlines()), "")
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"


def _last_words(cell: NotebookNode) -> str:
    said = [output.text for output in cell.outputs if output.get("name") == "stderr"]
    return first_line("".join(said))
