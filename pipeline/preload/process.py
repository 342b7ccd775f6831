"""What has to be loaded once? The preload of a run: libraries and our own code, and then forks.

As a program, `python -m pipeline.preload.process FILE…`: the first open file is where the run asks,
the others are its lock. Reads no table and makes none. The subtle points: a process may only be
forked while it has one thread and no open connection, so nothing is loaded that starts one, and it
looks before each fork; and code that has changed since it was loaded is never run.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from pipeline.children import adopt_orphans, close_files, die_with_parent, leave

LIBRARIES = (
    "matplotlib.pyplot", "seaborn", "lifelines", "great_tables", "papermill", "nbclient",
)  # fmt: skip
KERNEL = ("ipykernel.debugger", "ipykernel.ipkernel", "ipykernel.kernelapp")
OWN = ("pipeline.reporting", "pipeline.cli")
"""Before the libraries: the first says what these need not load."""
ROOMS = ("pipeline.statistics", "pipeline.analysis", "pipeline.reporting")
"""Everything below them is loaded."""
OWN_CODE = Path(__file__).parents[1]
OUTDATED = "the code has changed since it was loaded"
LARGEST_READ = 65536
THREADS = Path("/proc/self/task")

State = dict[str, tuple[int, int]]


def main() -> None:
    """Load, and fork a process for each task; return in such a fork alone, after its task."""
    control, *held = map(int, sys.argv[1:])
    die_with_parent()
    before = code_state()
    load()
    task = Server(control, tuple(held), before).serve()
    if task is None:
        return
    from pipeline.reporting.execution import forked

    forked.hold()
    sys.argv = ["python", *task["words"][2:]]
    sys.modules.pop(task["words"][1], None)  # it is run anew, as the program
    try:
        runpy.run_module(task["words"][1], run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            leave(ended.code)
        raise


def load() -> None:
    """Import what chapters import; what cannot be imported fails where it is needed."""
    gc.disable()  # nothing of it goes; looking for what might takes half a second
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*OWN, *LIBRARIES):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        with contextlib.suppress(Exception):
            import_kernel()
        for room in ROOMS:
            with contextlib.suppress(Exception):
                package = importlib.import_module(room)
                for found in pkgutil.walk_packages(package.__path__, f"{room}.", lambda _: None):
                    with contextlib.suppress(Exception):
                        importlib.import_module(found.name)
        with contextlib.suppress(Exception):
            compile_form()
    gc.enable()
    gc.collect()
    gc.freeze()  # what is shared with the forks is not walked, and so not copied


def import_kernel() -> None:
    """Import what a kernel is made of, without its debugger: nobody debugs these."""
    if is_new := "debugpy" not in sys.modules:
        sys.modules["debugpy"] = None  # type: ignore[assignment]
    for name in KERNEL:
        importlib.import_module(name)
    if is_new:
        del sys.modules["debugpy"]  # a chapter may still ask for it


def compile_form() -> None:
    """Let nbformat compile what it asks of notebooks; every chapter would else do so anew."""
    import nbformat.v4

    nbformat.validate(nbformat.v4.new_notebook())


def code_state() -> State:
    """Time of change and size of each of our own modules, by path."""
    facts = {str(path): path.stat() for path in OWN_CODE.rglob("*.py")}
    return {name: (each.st_mtime_ns, each.st_size) for name, each in facts.items()}


class Server:
    """Forks what the run asks for, and tells it how each fork ended."""

    def __init__(self, control: int, held: tuple[int, ...], before: State) -> None:
        self._control = socket.socket(fileno=control)
        self._held = held
        self._before = before
        self._asked = b""
        self._forks: dict[int, tuple[int, int]] = {}  # file → number of the task, process

    def serve(self) -> dict[str, Any] | None:
        """The task, in a fork; None in the preload itself, when the run asks no more."""
        ear, preload = selectors.DefaultSelector(), os.getpid()
        ear.register(self._control, selectors.EVENT_READ)
        while True:
            for key, _ in ear.select():
                if key.fd in self._forks:
                    ear.unregister(key.fd)
                    self._ended(key.fd)
                    continue
                asked = self._control.recv(LARGEST_READ)
                if not asked:
                    return None
                *lines, self._asked = (self._asked + asked).split(b"\n")
                for line in lines:
                    task = json.loads(line)
                    if (file := self._fork(task)) is None:
                        continue
                    if file == 0:
                        ear.close()  # by their owners, who would later close them once more
                        self._control.close()
                        become(task, preload, self._held)
                        return dict(task)
                    ear.register(file, selectors.EVENT_READ)

    def _fork(self, task: dict[str, Any]) -> int | None:
        """The file that tells the end of a fork; 0 in the fork itself, None when refused."""
        if why := self._why_not():
            is_outdated = why == OUTDATED
            self._tell(task, refused=why, is_outdated=is_outdated)
            return None
        pid = os.fork()
        if pid == 0:
            return 0
        with contextlib.suppress(OSError):  # the fork has done so, or is gone
            os.setpgid(pid, pid)
        file = os.pidfd_open(pid)
        self._forks[file] = task["number"], pid
        self._tell(task, pid=pid)
        return file

    def _why_not(self) -> str:
        """Why nothing may be forked now; empty when all is well."""
        if code_state() != self._before:
            return OUTDATED
        if (n_threads := len(list(THREADS.iterdir()))) > 1:
            return f"it has {n_threads} threads, and may fork only with one"
        return ""

    def _ended(self, file: int) -> None:
        number, pid = self._forks.pop(file)
        os.close(file)
        _, status = os.waitpid(pid, 0)
        self._tell({"number": number}, code=os.waitstatus_to_exitcode(status))

    def _tell(self, task: dict[str, Any], **said: Any) -> None:
        self._control.sendall(json.dumps({"number": task["number"]} | said).encode() + b"\n")


def become(task: dict[str, Any], preload: int, held: tuple[int, ...]) -> None:
    """Make this fork what a process started afresh would be: group, files, environment."""
    os.setpgid(0, 0)
    die_with_parent(preload)
    adopt_orphans()
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    close_files(held)
    os.environ.clear()
    os.environ.update(task["environment"])
    time.tzset()


if __name__ == "__main__":
    main()
