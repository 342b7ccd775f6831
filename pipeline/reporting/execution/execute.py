"""What becomes of one chapter of one period? Run, examined, and put in place whole or not at all.

Reads a notebook of `notebooks/` and its inputs. Makes `data/processed/<chapter>/<period>/`
(executed notebook, tables, figures, end marker), the chapter's headline file, and the facts of the
run. The subtle point: what changes from run to run is taken out of the executed notebook, and a
failure that papermill hides is written into it.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbformat.v4 import new_output

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.redaction import redacted, without_mail
from pipeline.reporting.execution import flat, kernel, silent
from pipeline.reporting.execution.facts import Facts
from pipeline.reporting.execution.gate import (
    NOTEBOOK,
    ChapterFailedError,
    check,
    examine,
    first_line,
    pages_of,
)
from pipeline.reporting.execution.kernel import (
    INJECTED,
    KERNEL,
    Limits,
    Watch,
)
from pipeline.reporting.execution.parameters import validate_parameters
from pipeline.reporting.records.record import HEADLINE_FILE
from pipeline.settings import ANNEX, SUMMARY, Paths, Period, Settings

NOT_LISTED = "not_listed.json"
WITHOUT_HEADLINE = (SUMMARY, ANNEX)
"""They read what the other chapters keep, and keep nothing for page one."""
PARTIAL = "running.ipynb"
MOST_KEPT = 100_000
"""Characters of one output that the notebook of a failure keeps; a person reads no more."""


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
    facts, began = Facts(notebook.name), time.monotonic()
    try:
        place = _built(name, period, notebook, settings, paths, facts)
    except Exception as error:
        facts.close(began, error)
        with contextlib.suppress(OSError):  # on a full disk the failure itself is what counts
            facts.leave()
        raise
    if name not in WITHOUT_HEADLINE:
        store.write_bytes((place / HEADLINE_FILE).read_bytes(), paths.headline(name, period))
    facts.close(began, None)
    facts.leave()


def run_aside(
    name: str,
    period: Period,
    folder: Path,
    given: Mapping[str, Any],
    settings: Settings,
    paths: Paths,
) -> None:
    """Run one chapter with other parameters into a folder below build/scratch, and nowhere else.

    Args:
        name: a chapter with a notebook.
        period: a month with a snapshot.
        folder: where everything that the chapter keeps is put; what is there goes.
        given: parameters of the notebook beside period and output.
        settings: params.yaml.
        paths: of the root.

    Raises:
        MissingDataError, ParameterError, ChapterFailedError: as of `run_chapter`.
    """
    notebook = _required(paths.notebook(name))
    _required(paths.snapshot(period) / slices.FILE_NAME)
    _run_into(folder, name, period, notebook, settings, paths, Facts(notebook.name), given)


def _built(
    name: str, period: Period, notebook: Path, settings: Settings, paths: Paths, facts: Facts
) -> Path:
    """Run the notebook aside, examine what it left and put it in place; the place."""
    place = paths.chapter(name, period)
    building = place.with_name(f".{period}{store.BUILDING}")
    try:
        _run_into(building, name, period, notebook, settings, paths, facts, {})
        store.replace_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return place


def _run_into(
    folder: Path,
    name: str,
    period: Period,
    notebook: Path,
    settings: Settings,
    paths: Paths,
    facts: Facts,
    given: Mapping[str, Any],
) -> None:
    """Run the notebook into an empty folder and examine what it left there."""
    output = folder.relative_to(paths.root)
    parameters = {"period": str(period), "output": output.as_posix(), **given}
    shutil.rmtree(folder, ignore_errors=True)
    short = folder.with_suffix(".ipynb")
    try:
        if settings.source.shape == "tenure":
            notebook = flat.write_notebook(notebook, name, short)
        elif name in silent.SILENCES and silent.is_silent(name, _quality(period, paths)):
            notebook = silent.write_notebook(notebook, name, short)
        limits, shows_names = Limits.of(settings), settings.reports.show_names
        execute(notebook, folder, parameters, paths.root, limits, facts, shows_names)
        check(name, period, folder, may_be_scenario=folder.is_relative_to(paths.scratch))
    except ChapterFailedError as error:
        error.kept = _keep_for_inspection(folder, name, period, paths)
        raise
    finally:
        short.unlink(missing_ok=True)


def _quality(period: Period, paths: Paths) -> pd.DataFrame:
    return store.read_frame(paths.snapshot(period) / "quality.parquet")


def execute(
    source: Path,
    folder: Path,
    parameters: Mapping[str, Any],
    root: Path,
    limits: Limits,
    facts: Facts | None = None,
    shows_names: bool = False,
) -> None:
    """Run a notebook with parameters; the executed notebook is `folder`/notebook.ipynb.

    What its cells showed is kept without secrets, and without e-mail addresses unless names are
    shown.

    Raises:
        ParameterError: before a kernel starts, when the parameters do not fit the notebook.
        MissingKernelError: no kernel can be started in this environment.
        ChapterFailedError: a cell failed; names notebook, cell and the error's first line.
    """
    facts = facts or Facts(source.name)
    facts.source_sha256 = store.sha256(source)
    validate_parameters(source.name, nbformat.read(source, as_version=4), parameters)
    folder.mkdir(parents=True, exist_ok=True)
    with kernel.steady_surroundings(root, folder):
        watch = kernel.run(source, folder / PARTIAL, parameters, limits)
    facts.take(watch)
    _settle(source.name, folder, watch, shows_names)
    if not source.is_file() or store.sha256(source) != facts.source_sha256:
        raise ChapterFailedError(
            f"{source.name} was edited while it ran: nobody can say which version this is. "
            "Run it again.",
            "source_changed",
            notebook=source.name,
        )


def _settle(name: str, folder: Path, watch: Watch, shows_names: bool) -> None:
    """Save the executed notebook as it is kept; ChapterFailedError when it did not run well."""
    partial = folder / PARTIAL
    if not partial.is_file():
        why = watch.stopped_because or watch.error
        raise ChapterFailedError(f"{name} did not start: {why}", "kernel_start", notebook=name)
    executed = scrubbed(normalise(nbformat.read(partial, as_version=4)), shows_names)
    failure = _stopped(name, executed, watch) or _thread_failure(name, executed, watch)
    store.write_text(nbformat.writes(executed) + "\n", folder / NOTEBOOK)
    partial.unlink()
    if watch.stopped_by and failure:
        raise failure
    examine(name, executed)
    if failure:
        raise failure
    if watch.error:
        raise ChapterFailedError(f"{name} failed: {watch.error}", "cell_error", notebook=name)


def _stopped(name: str, executed: NotebookNode, watch: Watch) -> ChapterFailedError | None:
    """Write into the notebook why it stopped, for papermill calls every cell completed then."""
    if not watch.stopped_by:
        return None
    if watch.cell is None:
        said = f"{name}: {watch.stopped_because}"
        return ChapterFailedError(said, watch.stopped_by, notebook=name)
    ids = [cell.get("id") for cell in executed.cells]
    position = ids.index(watch.cell_id())
    for cell in executed.cells[position + 1 :]:
        cell.metadata["papermill"]["status"] = "pending"
    last = executed.cells[position]
    last.metadata["papermill"]["status"] = "failed"
    for output in last.outputs:
        if len(text := output.get("text", "")) > MOST_KEPT:
            output.text = f"{text[:MOST_KEPT]}\n[cut: {len(text) - MOST_KEPT:,} more characters]\n"
    if all(output.output_type != "error" for output in last.outputs):
        why = watch.stopped_because
        error = new_output("error", ename=watch.stopped_by, evalue=why, traceback=[why])
        last.outputs = [*last.outputs, error]
    return ChapterFailedError(
        f"{name}, cell {ids[position]!r} failed: {watch.stopped_because}",
        watch.stopped_by,
        notebook=name,
        cell=ids[position],
        cell_index=position,
    )


def _thread_failure(name: str, executed: NotebookNode, watch: Watch) -> ChapterFailedError | None:
    """A thread that failed fails the chapter, though the cell that started it ended well."""
    if not watch.threads:
        return None
    first = watch.threads[0]
    counts = [cell.get("execution_count") for cell in executed.cells]
    position = counts.index(first["cell_number"])
    cell = executed.cells[position].get("id")
    return ChapterFailedError(
        f"{name}, at cell {cell!r}: a thread failed: {first_line(first['error'])}",
        "thread",
        notebook=name,
        cell=cell,
        cell_index=position,
    )


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


def scrubbed(notebook: NotebookNode, shows_names: bool = False) -> NotebookNode:
    """The notebook; what its cells showed holds no secret and, but for names, no e-mail address."""
    clean = nbformat.from_dict(notebook)
    for cell in clean.cells:
        if cell.cell_type == "code":
            shown = redacted(cell.outputs)
            cell.outputs = nbformat.from_dict(shown if shows_names else _without_mail(shown))
    return clean


def _without_mail(shown: Any) -> Any:
    if isinstance(shown, str):
        return without_mail(shown)
    if isinstance(shown, Mapping):
        return {key: _without_mail(value) for key, value in shown.items()}
    return [_without_mail(value) for value in shown] if isinstance(shown, list) else shown


def _leave_note(name: str, period: Period, paths: Paths) -> None:
    place = paths.chapter(name, period)
    building = place.with_name(f".{period}{store.BUILDING}")
    shutil.rmtree(building, ignore_errors=True)
    note = {"chapter": name, "period": str(period), "is_listed": False}
    store.write_json(note, building / NOT_LISTED)
    store.replace_folder(building, place)
    if name not in WITHOUT_HEADLINE:
        empty: dict[str, Any] = {"headline": [], "claims": [], "models": [], "page_one": {}}
        store.write_json(note | empty, paths.headline(name, period))


def _keep_for_inspection(folder: Path, name: str, period: Period, paths: Paths) -> str | None:
    """Keep a notebook that failed, without secrets; where, seen from the root.

    One run aside has a name of its own: it never takes the place of what a run left.
    """
    notebook, stem = folder / NOTEBOOK, f"{name}-{period}"
    if not notebook.is_file():
        return None
    if folder.is_relative_to(paths.scratch):
        stem = f"scenario-{folder.name.removeprefix('.').removesuffix(store.BUILDING)}"
    place = paths.build / "log" / f"{stem}.ipynb"
    store.write_text(redacted(notebook.read_text(encoding="utf-8", errors="replace")), place)
    return place.relative_to(paths.root).as_posix()


def _required(path: Path) -> Path:
    if not path.is_file():
        raise store.MissingDataError(f"{path} is missing.")
    return path
