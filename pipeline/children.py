"""Does a child outlive its run? It must not: an orphan would write beside the next run.

A run tells its children by environment variables who it is and where to leave how they ended. Each
child asks Linux for a signal when its parent dies, and looks every half second whether the run and
the DVC above it live, because between them and a stage stands a shell.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from pipeline.lock import Process, parent_of

RUNNER_VARIABLE = "LODESTAR_RUNNER"
"""Names the process of the run to everything that it starts."""
FAILURE_VARIABLE = "LODESTAR_FAILURE"
"""Names the file in which a child of a run leaves its exit code and message."""
FAILURE_SUFFIX = ".failure.json"
STAGE_VARIABLE = "DVC_STAGE"
"""DVC names the stage by it to the command that it starts."""
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent dies."""
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2): orphans of what this process started become its own children."""
LOOK_SECONDS = 0.5
POLL_SECONDS = 0.02
FIRST_FILE = 3
"""Number of the first open file after standard input, output and error."""
STEADY_ENVIRONMENT = {
    "MPLBACKEND": "Agg",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Of every kernel, and of what it is forked from: most of them hold from the start or never.

Threads are one each: chapters run side by side, and a sum's order must not depend on cores. Only
`store.read_frame` takes more, to read."""


def as_runner() -> dict[str, str]:
    """The environment variable by which children know this process as their run."""
    return {RUNNER_VARIABLE: json.dumps(asdict(Process.of(os.getpid())))}


def bind() -> None:
    """End this process as soon as the run, or the DVC, that started it is gone."""
    if RUNNER_VARIABLE not in os.environ and STAGE_VARIABLE not in os.environ:
        return
    die_with_parent()
    above = [Process.of(dvc)] if (dvc := _dvc_above()) is not None else []
    if said := os.environ.get(RUNNER_VARIABLE):
        above.append(Process(**json.loads(said)))
    if not all(process.is_alive() for process in above):
        _end()
    threading.Thread(target=_watch, args=(above,), daemon=True, name="watch-above").start()


def _watch(above: list[Process]) -> None:
    while all(process.is_alive() for process in above):
        time.sleep(LOOK_SECONDS)
    _end()


def _dvc_above() -> int | None:
    """The process that started this stage: the nearest one above that is in no stage itself.

    Some shells stay between the two (dash does, bash does not). None outside a stage.
    """
    if STAGE_VARIABLE not in os.environ:
        return None
    pid = os.getppid()
    while pid > 1 and _is_in_stage(pid):
        pid = parent_of(pid)
    return pid


def _is_in_stage(pid: int) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # no /proc, or gone between the two looks
        return False
    return any(words.startswith(f"{STAGE_VARIABLE}=".encode()) for words in variables)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux for SIGKILL at the parent's death; other systems know no such thing.

    `parent`: the process that must be it; when it is not, it died before we could ask.
    """
    _control_process(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent not in (None, os.getppid()):
        _end()


def adopt_orphans() -> None:
    """Ask Linux for the orphans of this process's children, so that none of them is lost."""
    _control_process(PR_SET_CHILD_SUBREAPER, 1)


def _control_process(what: int, value: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0)


def close_files(kept: Iterable[int]) -> None:
    """Close all open files but standard input, output and error, and these."""
    first = FIRST_FILE
    for file in sorted(kept):
        os.closerange(first, file)
        first = file + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def exit_code_when_ended(poll: Callable[[], int | None], timeout: float | None) -> int:
    """The exit code that `poll` tells in the end; subprocess.TimeoutExpired after the seconds."""
    until = time.monotonic() + (float("inf") if timeout is None else timeout)
    while (code := poll()) is None:
        if time.monotonic() >= until:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        time.sleep(POLL_SECONDS)
    return code


def leave(code: int) -> NoReturn:
    """End this process as Python does, but for taking apart a thousand modules, which costs 0.2 s.

    As ever it waits for threads, does what was registered for the end and empties the streams.
    """
    threading._shutdown()  # type: ignore[attr-defined] # what Python itself calls; bpo-39812
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or nobody listens any more
            stream.flush()
    os._exit(code)


def facts_beside(failure: Path) -> Path:
    """Where a chapter leaves what it took, from the file that its failure would stand in."""
    return failure.with_name(failure.name.removesuffix(FAILURE_SUFFIX) + ".facts.json")
