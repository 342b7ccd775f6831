"""How does one notebook run to its end, or stop in time? One papermill run in a fresh kernel.

Reads a notebook; makes the executed one. The subtle points: after a dead kernel or a time-out
papermill calls every cell completed, so the cell that ran is followed here; and what a kernel
starts, or leaves in folders of the user, must not outlive it or change the next run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from traitlets import default

from pipeline.children import STEADY_ENVIRONMENT
from pipeline.reporting.execution import forked, prelude
from pipeline.reporting.execution.gate import first_line
from pipeline.settings import OUTPUT_VARIABLE, ROOT_VARIABLE, Settings

KERNEL = "lodestar"
NATIVE_KERNEL = "python3"
INJECTED = "injected-parameters"
START_TIMEOUT_SECONDS = 180
OUTPUT_TIMEOUT_SECONDS = 60
"""How long the last words of a cell may take to arrive on a busy machine; papermill gives 4 s."""
SHORTEST_SECONDS = 0.1
KIB_PER_MB = 1024
BYTES_PER_MB = 1024 * 1024
KERNEL_ARGUMENTS = (
    f"--InteractiveShellApp.extra_extensions={prelude.__name__}",
    "--HistoryManager.enabled=False",
)


class MissingKernelError(Exception):
    """The kernel that notebooks need is not installed (exit code 78)."""

    error_class = "missing_kernel"


@dataclass(frozen=True)
class Limits:
    """How long a cell, and a whole notebook, may take; seconds."""

    cell_seconds: float
    notebook_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of params.yaml."""
        chosen = settings.run
        return cls(60 * chosen.cell_timeout_minutes, 60 * chosen.notebook_timeout_minutes)


@dataclass
class Watch:
    """What one run of a notebook came to: the cell that ran last, and what the kernel noted.

    `stopped_by` is the class of a failure that the saved notebook does not show (kernel_start,
    kernel_died, timeout, too_much_output), `stopped_because` says it in words; both are empty when
    papermill came to an end. `error` is papermill's own word about a cell that failed.
    """

    limits: Limits
    cell: NotebookNode | None = None
    process: Any = None
    began: float = field(default_factory=time.monotonic)
    stopped_by: str = ""
    stopped_because: str = ""
    error: str = ""
    warnings: dict[str, int] = field(default_factory=dict)
    threads: list[dict[str, Any]] = field(default_factory=list)

    def begin_cell(self, cell: NotebookNode, cell_index: int) -> None:
        """Follow papermill from cell to cell."""
        if cell.cell_type == "code":
            self.cell = cell

    def seconds_for(self, cell: NotebookNode) -> float:
        """How long this cell may take: its own limit, or what is left of the notebook's."""
        left = self.limits.notebook_seconds - (time.monotonic() - self.began)
        return max(SHORTEST_SECONDS, min(self.limits.cell_seconds, left))

    def stop(self, error_class: str, because: str) -> None:
        """Say why the run stopped; the first reason holds."""
        if not self.stopped_by:
            self.stopped_by, self.stopped_because = error_class, because

    def cell_id(self) -> str | None:
        """The id of the cell that ran last, as the saved notebook has it."""
        if self.cell is None:
            return None
        is_injected = INJECTED in self.cell.metadata.get("tags", [])
        return INJECTED if is_injected else self.cell.get("id")


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels of this environment only, and talks to them by files, never by ports."""

    watch: Watch | None = None
    folder: Path | None = None

    @default("kernel_spec_manager")
    def _own_specs(self) -> KernelSpecManager:
        folder = Path(sys.prefix) / "share" / "jupyter" / "kernels"
        return KernelSpecManager(parent=self, kernel_dirs=[str(folder)])

    @default("transport")
    def _by_files(self) -> str:
        return "ipc"

    @default("connection_file")
    def _in_the_folder_of_the_run(self) -> str:
        return str((self.folder or Path(tempfile.gettempdir())) / "kernel.json")

    async def _async_pre_start_kernel(self, **named: Any) -> Any:
        if self.kernel_spec is not None:
            forked.offer(self.kernel_spec)
        return await super()._async_pre_start_kernel(**named)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **named: Any) -> None:
        named["stdout"] = subprocess.DEVNULL  # cells are heard by messages; a log must not fill
        await super()._async_launch_kernel(kernel_cmd, **named)
        if self.watch is not None and self.provisioner is not None:
            self.watch.process = getattr(self.provisioner, "process", None)


def kernel_name() -> str:
    """The kernel `lodestar` of this environment, else this interpreter's own.

    Raises:
        MissingKernelError: there is none, or the Python it names is gone.
    """
    manager = OwnKernelManager().kernel_spec_manager
    found = manager.find_kernel_specs()
    for name in (KERNEL, NATIVE_KERNEL):
        if name in found:
            _check_program(name, manager.get_kernel_spec(name))
            return name
    raise MissingKernelError(
        "No kernel is installed in this environment. Make it again: rm -r .venv && make report"
    )


def _check_program(name: str, spec: KernelSpec) -> None:
    program = spec.argv[0] if spec.argv else ""
    if os.path.isabs(program) and not os.access(program, os.X_OK):
        raise MissingKernelError(
            f"The kernel {name!r} names a Python that is gone (was the folder moved?). "
            "Make the environment again: rm -r .venv && make report"
        )


def run(source: Path, target: Path, parameters: Mapping[str, Any], limits: Limits) -> Watch:
    """Run a notebook once by papermill, in a kernel of its own that is gone afterwards.

    Raises:
        MissingKernelError: no kernel can be started in this environment.
        OSError: the executed notebook cannot be written.
    """
    watch = Watch(limits)
    name = kernel_name()
    with tempfile.TemporaryDirectory(prefix="lodestar-", ignore_cleanup_errors=True) as folder:
        notes = Path(folder) / "notes.jsonl"
        surroundings = {prelude.NOTES_VARIABLE: str(notes), "IPYTHONDIR": folder}
        try:
            with _environment(surroundings):
                _by_papermill(source, target, parameters, name, watch, Path(folder))
        finally:
            _end_group(watch)
            _end_left_behind(str(notes), watch)
        _take_notes(notes, watch)
    return watch


def _by_papermill(
    source: Path,
    target: Path,
    parameters: Mapping[str, Any],
    name: str,
    watch: Watch,
    folder: Path,
) -> None:
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    manager = type("RunKernelManager", (OwnKernelManager,), {"watch": watch, "folder": folder})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        from pipeline.reporting.execution.saving import ENGINE

        try:
            papermill.execute_notebook(
                str(source),
                str(target),
                parameters=dict(parameters),
                engine_name=ENGINE,
                kernel_name=name,
                language="python",
                kernel_manager_class=manager,
                extra_arguments=[*KERNEL_ARGUMENTS],
                progress_bar=False,
                log_output=False,
                record_timing=False,
                allow_stdin=False,
                start_timeout=START_TIMEOUT_SECONDS,
                execution_timeout=math.ceil(watch.limits.cell_seconds),
                iopub_timeout=OUTPUT_TIMEOUT_SECONDS,
                shutdown_kernel="graceful",
                on_cell_start=watch.begin_cell,
                timeout_func=watch.seconds_for,
            )
        except CellTimeoutError:
            watch.stop("timeout", _which_limit(watch))
        except DeadKernelError:
            watch.stop("kernel_died", _how_it_died(watch))
        except OSError:
            raise
        except Exception as error:  # whatever a notebook does wrong, the gate says what
            watch.error = first_line(error) or type(error).__name__
            if watch.cell is None:
                watch.stop("kernel_start", f"its kernel did not start: {watch.error}")


def _which_limit(watch: Watch) -> str:
    took, limits = time.monotonic() - watch.began, watch.limits
    if took >= limits.notebook_seconds:
        minutes, setting = limits.notebook_seconds / 60, "run.notebook_timeout_minutes"
        return f"the notebook took more than {minutes:g} minutes ({setting} in params.yaml)"
    minutes, setting = limits.cell_seconds / 60, "run.cell_timeout_minutes"
    return f"it took more than {minutes:g} minutes ({setting} in params.yaml)"


def _how_it_died(watch: Watch) -> str:
    code = getattr(watch.process, "returncode", None)
    how = f" with exit code {code}" if code is not None else ""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            how = f" by signal {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        how += ", as a machine without free memory does"
    return f"its kernel died{how} (memory at most {peak_memory_mb():.0f} MB)"


def _take_notes(path: Path, watch: Watch) -> None:
    """Read what the kernel noted; a kernel without its guard proves nothing."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    seen = Counter[str]()
    for line in text.splitlines():
        try:
            note = json.loads(line)
        except json.JSONDecodeError:  # killed in the middle of a line
            continue
        seen[note["event"]] += 1
        if note["event"] == prelude.WARNINGS:
            watch.warnings = note["counts"]
        elif note["event"] == prelude.THREAD:
            watch.threads.append(note)
    if seen[prelude.TOO_MUCH_OUTPUT]:
        watch.stopped_by = "too_much_output"
        watch.stopped_because = "it shows too much; the rest was cut. Show a table's first rows"
    elif not seen[prelude.READY]:
        watch.stop("kernel_start", "its kernel did not load the guard that reports failures")


def _end_group(watch: Watch) -> None:
    """End what the kernel started and left behind; the kernel leads a process group of its own."""
    if watch.process is not None and watch.process.pid != os.getpgrp():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(watch.process.pid, signal.SIGKILL)


def _end_left_behind(notes: str, watch: Watch) -> None:
    """End what left the kernel's group; it began in the kernel's environment, with these notes.

    A forked kernel still shows the preload's environment; what it left is this process's.
    """
    if isinstance(watch.process, forked.Kernel):
        forked.end_descendants()
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_of_kernel = process.environ().get(prelude.NOTES_VARIABLE) == notes
            if is_of_kernel and process.pid != os.getpid():
                process.kill()


def peak_memory_mb() -> float:
    """Largest memory of any kernel that this process has run, also of one that was killed; MB."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (BYTES_PER_MB if sys.platform == "darwin" else KIB_PER_MB)


@contextlib.contextmanager
def steady_surroundings(root: Path, output: Path) -> Iterator[None]:
    """The same folder and environment variables for every run, and the caller's own afterwards.

    `output` is the folder that the notebook may write into.
    """
    folder = Path.cwd()
    code = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    own = {ROOT_VARIABLE: str(root), OUTPUT_VARIABLE: str(output.absolute()), "PYTHONPATH": code}
    with _environment(STEADY_ENVIRONMENT | own):
        os.chdir(root)
        try:
            yield
        finally:
            os.chdir(folder)


@contextlib.contextmanager
def _environment(extra: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
