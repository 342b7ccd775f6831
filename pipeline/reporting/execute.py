"""Did the notebook really run? One chapter of one period in a fresh kernel, and the gate after it.

Reads a notebook of `notebooks/` and its inputs. Makes `data/processed/<chapter>/<period>/`
(executed notebook, tables, figures, end marker) and the chapter's headline file. The subtle point:
an exit code proves nothing, so the executed notebook and its files are examined before they take
the place of the last good ones, and everything that changes from run to run is taken out.
"""

from __future__ import annotations

import ast
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from traitlets import default

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.schema.published import TABLES
from pipeline.reporting.record import END_MARKER, HEADLINE_FILE
from pipeline.settings import ANNEX, ROOT_VARIABLE, SUMMARY, ParameterError, Paths, Period, Settings

KERNEL = "lodestar"
NATIVE_KERNEL = "python3"
NOTEBOOK = "notebook.ipynb"
NOT_LISTED = "not_listed.json"
INJECTED = "injected-parameters"
WITHOUT_HEADLINE = (SUMMARY, ANNEX)
"""They read what the other chapters keep, and keep nothing for page one."""
CELL_TIMEOUT_SECONDS = 3600
START_TIMEOUT_SECONDS = 180
STEADY_ENVIRONMENT = {
    "MPLBACKEND": "Agg",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Threads are one each: chapters run side by side, and a sum's order must not depend on cores."""
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


class ChapterFailedError(Exception):
    """A notebook failed, or says it is done and is not (exit code 70)."""


class MissingKernelError(Exception):
    """The kernel that notebooks need is not installed (exit code 78)."""


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels of this environment only, and talks to them by files, never by ports."""

    @default("kernel_spec_manager")
    def _own_specs(self) -> KernelSpecManager:
        folder = Path(sys.prefix) / "share" / "jupyter" / "kernels"
        return KernelSpecManager(parent=self, kernel_dirs=[str(folder)])

    @default("transport")
    def _by_files(self) -> str:
        return "ipc"

    @default("connection_file")
    def _in_a_folder_of_its_own(self) -> str:
        return str(Path(tempfile.mkdtemp(prefix="lodestar-")) / "kernel.json")

    def cleanup_connection_file(self) -> None:
        """Remove the connection file, the sockets and their folder."""
        super().cleanup_connection_file()
        shutil.rmtree(Path(self.connection_file).parent, ignore_errors=True)


def run_chapter(name: str, period: Period, settings: Settings, paths: Paths) -> None:
    """Run one chapter of one period and put its folder in place, whole or not at all.

    A chapter that `chapters` of params.yaml does not list, and a month's annex that is not due,
    leave only a note that says so.

    Raises:
        MissingDataError: no such notebook, or no snapshot of the period.
        ParameterError: the notebook does not take the parameters.
        ChapterFailedError: the gate refused; the last good folder stays.
    """
    if name not in pages_of(period, settings):
        _leave_note(name, period, paths)
        return
    notebook = _required(paths.notebook(name))
    _required(paths.snapshot(period) / slices.FILE_NAME)
    place = paths.chapter(name, period)
    building = place.with_name(f".{period}.building")
    shutil.rmtree(building, ignore_errors=True)
    try:
        output = building.relative_to(paths.root)
        parameters = {"period": str(period), "output": output.as_posix()}
        execute(notebook, building, parameters, paths.root)
        check(name, period, building)
        store.replace_folder(building, place)
    except ChapterFailedError:
        _keep_for_inspection(building / NOTEBOOK, name, period, paths)
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if name not in WITHOUT_HEADLINE:
        store.write_bytes((place / HEADLINE_FILE).read_bytes(), paths.headline(name, period))


def pages_of(period: Period, settings: Settings) -> list[str]:
    """The chapters whose pages a report has: those listed, and the annex when it is due."""
    return [*settings.chapters, *([ANNEX] if settings.has_annex(period) else [])]


def execute(source: Path, folder: Path, parameters: Mapping[str, Any], root: Path) -> None:
    """Run a notebook with parameters; the executed notebook is `folder`/notebook.ipynb.

    Raises:
        ParameterError: before a kernel starts, when the parameters do not fit the notebook.
        ChapterFailedError: a cell failed; names notebook, cell and the error's first line.
    """
    original = nbformat.read(source, as_version=4)
    validate_parameters(source.name, original, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "running.ipynb"
    with steady_surroundings(root):
        failure = _run_by_papermill(source, partial, parameters)
    if not partial.is_file():
        raise ChapterFailedError(f"{source.name} did not start: {failure}")
    executed = normalise(nbformat.read(partial, as_version=4))
    store.write_text(nbformat.writes(executed) + "\n", folder / NOTEBOOK)
    partial.unlink()
    examine(source.name, executed)
    if failure:
        raise ChapterFailedError(f"{source.name} failed: {failure}")


def _run_by_papermill(source: Path, target: Path, parameters: Mapping[str, Any]) -> str:
    """Run and return the first line of what went wrong, empty when nothing did."""
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import papermill

            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=dict(parameters),
                kernel_name=kernel_name(),
                language="python",
                kernel_manager_class=OwnKernelManager,
                progress_bar=False,
                log_output=False,
                record_timing=False,
                allow_stdin=False,
                start_timeout=START_TIMEOUT_SECONDS,
                execution_timeout=CELL_TIMEOUT_SECONDS,
            )
    except OSError:
        raise
    except Exception as error:  # whatever a notebook does wrong, the gate says what
        return next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ""


def kernel_name() -> str:
    """The kernel `lodestar` of this environment, else this interpreter's own."""
    specs = OwnKernelManager().kernel_spec_manager.find_kernel_specs()
    for name in (KERNEL, NATIVE_KERNEL):
        if name in specs:
            return name
    raise MissingKernelError(
        "No kernel is installed in this environment. Make it again: make clean-all report"
    )


@contextlib.contextmanager
def steady_surroundings(root: Path) -> Iterator[None]:
    """The same folder and environment variables for every run, and the caller's own afterwards."""
    folder, before = Path.cwd(), dict(os.environ)
    code = os.pathsep.join(filter(None, [str(root), before.get("PYTHONPATH", "")]))
    os.environ |= STEADY_ENVIRONMENT | {ROOT_VARIABLE: str(root), "PYTHONPATH": code}
    os.chdir(root)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)


# Parameters.


def declared_parameters(name: str, notebook: NotebookNode) -> dict[str, tuple[str, Any]]:
    """Type and default of each parameter that the notebook's `parameters` cell declares."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParameterError(
            f"{name} has {len(cells)} cells tagged `parameters`; it must have exactly one."
        )
    found = {}
    for line in ast.parse(cells[0].source).body:
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            raise ParameterError(f"{name}: a parameter is written `name: type = value`.")
        kind = ast.unparse(line.annotation)
        if kind not in TYPES or line.value is None:
            raise ParameterError(
                f"{name}: {line.target.id} needs a default and a type of {[*TYPES]}."
            )
        found[line.target.id] = (kind, ast.literal_eval(line.value))
    return found


def validate_parameters(name: str, notebook: NotebookNode, given: Mapping[str, Any]) -> None:
    """Refuse a parameter that the notebook does not declare, or one of another type."""
    declared = declared_parameters(name, notebook)
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ParameterError(
            f"{name} takes no parameter {', '.join(map(repr, unknown))}; "
            f"it takes {', '.join(declared)}."
        )
    for key, value in given.items():
        kind, standard = declared[key]
        if value is None and standard is None:
            continue
        is_disguised = isinstance(value, bool) and kind != "bool"
        if is_disguised or not isinstance(value, TYPES[kind]):
            raise ParameterError(f"{name}: {key} must be of type {kind}, not {value!r}.")
    if given.get("period") is not None:
        Period(given["period"])


# What a run leaves behind.


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The executed notebook without times, durations, versions and random ids."""
    steady = nbformat.from_dict(notebook)
    parameters = steady.metadata.get("papermill", {}).get("parameters", {})
    steady.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Lodestar", "language": "python", "name": KERNEL},
            "language_info": {"name": "python"},
            "papermill": {"parameters": parameters},
        }
    )
    for cell in steady.cells:
        status = cell.metadata.get("papermill", {}).get("status")
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"papermill": {"status": status}, "tags": tags})
        if INJECTED in tags:
            cell.id = INJECTED
    return steady


# The gate.


def check(name: str, period: Period, folder: Path) -> None:
    """The gate: notebook run to its end, end marker written, every declared file there.

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
            "its last cell must call `chapter.close()`."
        )
    marker = store.read_json(folder / END_MARKER)
    if (marker["chapter"], marker["period"]) != (name, str(period)):
        raise ChapterFailedError(f"{name} of {period}: the end marker is of another chapter.")
    promised = [table for table in TABLES if table.split(".")[0] == name]
    missing = [table for table in promised if table not in marker["tables"]]
    missing += [str(path) for path in declared_files(marker) if not (folder / path).is_file()]
    if missing:
        raise ChapterFailedError(f"{name} of {period} did not publish {', '.join(missing[:5])}.")


def declared_files(marker: Mapping[str, Any]) -> list[Path]:
    """The files that an end marker says are there."""
    files = [Path("tables") / f"{table}.csv" for table in marker["tables"]]
    for figure in marker["figures"]:
        files += [Path("figures") / f"{figure}.{kind}" for kind in ("svg", "csv")]
    return [*files, Path(HEADLINE_FILE)]


def examine(name: str, notebook: NotebookNode) -> None:
    """Refuse a notebook with an error, a cell that did not run, or cells out of order."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not cells:
        raise ChapterFailedError(f"{name} has no code cell: nothing was run.")
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            _examine_cell(f"{name}, cell {cell.get('id', position)!r}", cell)
    counts = [cell.execution_count for cell in cells if cell.source.strip()]
    if counts != list(range(1, len(counts) + 1)):
        raise ChapterFailedError(f"{name}: the cells did not run once each, in order: {counts}.")


def _examine_cell(where: str, cell: NotebookNode) -> None:
    for output in cell.outputs:
        if output.output_type == "error":
            line = next(iter(str(output.evalue).strip().splitlines()), "")
            raise ChapterFailedError(f"{where} failed: {output.ename}: {line}")
    status = cell.metadata.get("papermill", {}).get("status")
    if cell.source.strip() and (status != "completed" or cell.execution_count is None):
        raise ChapterFailedError(
            f"{where} did not run to its end (status {status}): "
            f"{_last_words(cell) or 'the kernel stopped, or a cell called exit.'}"
        )


def _last_words(cell: NotebookNode) -> str:
    said = [output.text for output in cell.outputs if output.get("name") == "stderr"]
    return next(iter("".join(said).strip().splitlines()), "")


def _leave_note(name: str, period: Period, paths: Paths) -> None:
    place = paths.chapter(name, period)
    building = place.with_name(f".{period}.building")
    shutil.rmtree(building, ignore_errors=True)
    note = {"chapter": name, "period": str(period), "is_listed": False}
    store.write_json(note, building / NOT_LISTED)
    store.replace_folder(building, place)
    if name not in WITHOUT_HEADLINE:
        empty = {"headline": [], "claims": [], "models": [], "page_one": {}}
        store.write_json(note | empty, paths.headline(name, period))


def _keep_for_inspection(notebook: Path, name: str, period: Period, paths: Paths) -> None:
    if notebook.is_file():
        store.write_bytes(notebook.read_bytes(), paths.build / "log" / f"{name}-{period}.ipynb")


def _required(path: Path) -> Path:
    if not path.is_file():
        raise store.MissingDataError(f"{path} is missing.")
    return path
