"""Does a notebook really run? One run serves nbval and our own gate.

A pytest plugin for `--nbval-lax` (`make test` loads it with `-p tests.notebook_gate`). Each
notebook is run as a report's chapters are, by `pipeline.reporting.execution`, on the sample company
of `tests.checked_cells`; the gate examines the run; nbval then compares the checked cells with what
that run showed. The subtle point: nbval alone passes a bad magic, a cell that a tag skips and a
failure in a thread, and a second run to find them would double the time of `make test`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbFile

from pipeline.reporting.execution import execute
from pipeline.reporting.execution.gate import NOTEBOOK, ChapterFailedError
from pipeline.reporting.execution.kernel import Limits
from pipeline.settings import ROOT_VARIABLE

LIMITS = Limits(cell_seconds=300, notebook_seconds=600)


class Finished:
    """Takes the place of nbval's kernel: it answers with what the examined run showed."""

    def __init__(self, notebook: NotebookNode) -> None:
        self._cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self._messages: deque[dict[str, Any]] = deque()

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        """Show again what the cell of this source showed; the run was in the same order."""
        while (cell := self._cells.pop(0)).source != source:
            pass
        self._messages.extend(messages_of(cell))
        return str(cell.id)

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """Give the next message of that cell."""
        if not self._messages:
            raise Empty
        return self._messages.popleft()

    def await_reply(self, message_id: str, timeout: float | None = None) -> None:
        """The reply came before the gate let the notebook pass."""

    def is_alive(self) -> bool:
        """Say that a cell may be asked for."""
        return True

    def stop(self) -> None:
        """There is nothing to stop: the run is over."""


def messages_of(cell: NotebookNode) -> Iterator[dict[str, Any]]:
    """What the kernel would say of this cell: its outputs, then that it is done."""
    kinds = [(dict(output), output.output_type) for output in cell.outputs]
    for content, kind in [*kinds, ({"execution_state": "idle"}, "status")]:
        parent = {"msg_id": str(cell.id)}
        yield {"msg_type": kind, "content": content, "parent_header": parent}


def run(notebook: Path, folder: Path) -> NotebookNode:
    """Run a notebook through the gate, with the parameters that it has by itself.

    Raises:
        ChapterFailedError: names the cell, and why the notebook does not count as run.
    """
    root = Path(os.environ.get(ROOT_VARIABLE) or Path.cwd())
    execute.execute(notebook, folder, {}, root.resolve(), LIMITS)
    return nbformat.read(folder / NOTEBOOK, as_version=4)


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Iterator[Any]:
    """Let each notebook that nbval collects be run by us, once, before its first cell."""
    collected = yield
    for each in collected:
        if isinstance(each, IPyNbFile):
            each.setup = lambda file=each: begin(file)
    return collected


def begin(file: IPyNbFile) -> None:
    """Run the notebook and hand what it showed to nbval."""
    folder = file.config._tmp_path_factory.mktemp("notebook")
    try:
        file.kernel = Finished(run(file.path.resolve(), folder))
    except ChapterFailedError as error:
        pytest.fail(f"{error} [{error.error_class}]", pytrace=False)
    file.setup_sanitize_files()
