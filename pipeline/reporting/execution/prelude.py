"""What does papermill not see? The guard that a notebook's kernel loads before its first cell.

An IPython extension: reads no table and makes none; it notes what happens as JSON lines in the file
that `NOTES_VARIABLE` names. The subtle point: a notebook may end well although a thread failed, a
model warned or a cell left by `quit()`; nothing of that reaches the saved notebook in a form that
can be trusted, so it is noted here, in the kernel, at the moment it happens.
"""

from __future__ import annotations

import atexit
import collections
import json
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.children import die_with_parent

NOTES_VARIABLE = "LODESTAR_NOTES"
"""Names the file in which the kernel notes what happens."""
READY, THREAD, WARNINGS, TOO_MUCH_OUTPUT = "ready", "thread", "warnings", "too_much_output"
MOST_CELL_OUTPUT, MOST_NOTEBOOK_OUTPUT = 5_000_000, 20_000_000
"""Characters. The largest cell of a shipped chapter shows half a million, a chapter two."""
MOST_THREADS_NOTED = 20
KERNEL_FOLDER = "ipykernel_"
"""Part of the path under which ipykernel knows the source of a cell."""
NO_SHELL = "a chapter runs no shell command: its failure would not be seen (`!`, `!!`, `%sx`)"
NO_NETWORK = "a chapter asks nothing over the network: it reads the period's snapshot alone"
ASKING = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
          "socket.gethostbyname", "socket.gethostbyaddr", "socket.bind")  # fmt: skip
"""Events of Python's own audit, before anything leaves the machine; PEP 578."""
LAST_ANSWER_SECONDS = 2.0
"""How long the answer to the order to end may take: less than a kernel is given to end."""
NO_EXIT = "a cell called exit or quit: the cells after it would not run"


class TooMuchOutputError(BaseException):
    """A cell or notebook shows more than a reader can use; `except Exception` does not hide it."""


class ShellRefusedError(Exception):
    """A cell tried to run a shell command."""


class NetworkRefusedError(Exception):
    """A cell tried to reach another program or machine."""


class Notes:
    """One JSON line for each thing that happened, on disk at once."""

    def __init__(self, path: str) -> None:
        self._lines = logging.Logger("notes")
        self._lines.addHandler(logging.FileHandler(path, encoding="utf-8"))

    def add(self, event: str, **fields: Any) -> None:
        """Append one line."""
        self._lines.info(json.dumps({"event": event} | fields))


def load_ipython_extension(shell: Any) -> None:
    """Put the guard in place; called by IPython when the kernel starts."""
    notes = Notes(os.environ[NOTES_VARIABLE])
    die_with_parent()
    note_threads(notes, shell)
    note_warnings(notes, shell)
    limit_output(notes, shell)
    refuse_exit_and_shell(shell)
    refuse_network()
    if shell.kernel.control_thread is not None:
        answer_before_end(shell.kernel.control_thread)
    notes.add(READY)


def answer_before_end(control_thread: threading.Thread) -> None:
    """Let the thread that hears the order to end answer it before ipykernel closes its sockets.

    At the end of Python the newest call comes first, and the sockets registered theirs earlier.
    The other way round that thread waits for one that has stopped, and 2.5 seconds later
    jupyter_client ends the kernel by a signal.
    """
    atexit.register(control_thread.join, LAST_ANSWER_SECONDS)


def note_threads(notes: Notes, shell: Any) -> None:
    """Note each exception that ends a thread, with the number of the cell that began last."""
    shown, count, cell_number = threading.excepthook, 0, 0

    def begin_cell(*_: Any) -> None:
        nonlocal cell_number
        cell_number += 1

    def noted(failure: threading.ExceptHookArgs) -> None:
        nonlocal count
        count += 1
        if failure.exc_type is not SystemExit and count <= MOST_THREADS_NOTED:
            said = f"{failure.exc_type.__name__}: {failure.exc_value}"
            notes.add(THREAD, error=said[:1000], cell_number=cell_number)
        shown(failure)

    shell.events.register("pre_run_cell", begin_cell)
    threading.excepthook = noted


def note_warnings(notes: Notes, shell: Any) -> None:
    """Note how often each class of warning was given; a place that repeats itself shows once.

    What is shown names no path: folders differ from machine to machine, the notebook must not.
    """
    shown, places = warnings.showwarning, set()
    counts: collections.Counter[str] = collections.Counter()
    written: dict[str, int] = {}

    def noted(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any
    ) -> None:
        counts[category.__name__] += 1
        if (category, filename, lineno) not in places:
            places.add((category, filename, lineno))
            write()
            here = "cell" if KERNEL_FOLDER in filename else os.path.basename(filename)
            shown(message, category, here, lineno, *rest)

    def write(*_: Any) -> None:
        if counts != written:
            written.update(counts)
            notes.add(WARNINGS, counts=written)

    warnings.showwarning = noted  # type: ignore[assignment] # file and line are handed on as given
    warnings.simplefilter("always", append=True)
    shell.events.register("post_run_cell", write)


def limit_output(notes: Notes, shell: Any) -> None:
    """Stop a cell that shows more than the limits, whichever way it shows it."""
    meter = Meter(notes)
    shell.events.register("pre_run_cell", meter.begin_cell)
    for stream in (sys.stdout, sys.stderr):
        stream.write = meter.limited(stream.write, str.__len__)  # type: ignore[method-assign]
    publisher, hook = shell.display_pub, shell.displayhook
    publisher.publish = meter.limited(publisher.publish, length_of)
    hook.write_format_data = meter.limited(hook.write_format_data, length_of)


def length_of(bundle: Mapping[str, Any]) -> int:
    """Characters of what a cell displays, over all its forms."""
    return sum(len(form) for form in bundle.values() if isinstance(form, str | bytes))


class Meter:
    """How much the cell and the notebook have shown; past a limit it raises, then kills."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._in_cell = self._in_notebook = 0
        self._has_raised = False

    def begin_cell(self, *_: Any) -> None:
        """Count from nought for a new cell."""
        self._in_cell = 0

    def limited(self, show: Callable[..., Any], length: Callable[[Any], int]) -> Callable[..., Any]:
        """`show`, counted before it shows; what does not fit is cut (text) or left out."""

        def counted(*given: Any, **named: Any) -> Any:
            content = given[0] if given else named["data"]
            room = min(MOST_CELL_OUTPUT - self._in_cell, MOST_NOTEBOOK_OUTPUT - self._in_notebook)
            size = length(content)
            self._in_cell += size
            self._in_notebook += size
            if size <= room:
                return show(*given, **named)
            if isinstance(content, str) and room > 0:
                show(content[:room])
            return self._stop()

        return counted

    def _stop(self) -> None:
        """Raise in the cell; a thread, or a cell that goes on all the same, costs the kernel."""
        is_cell = threading.current_thread() is threading.main_thread()
        if is_cell and not self._has_raised:
            self._has_raised = True
            self._notes.add(TOO_MUCH_OUTPUT)
            raise TooMuchOutputError(
                f"more than {MOST_CELL_OUTPUT // 10**6} million characters from a cell or "
                f"{MOST_NOTEBOOK_OUTPUT // 10**6} million from a notebook; the rest was cut"
            )
        self._notes.add(TOO_MUCH_OUTPUT)
        is_leader = os.getpgrp() == os.getpid()  # a kernel is; then what it started ends with it
        (os.killpg if is_leader else os.kill)(os.getpid(), signal.SIGKILL)


def refuse_exit_and_shell(shell: Any) -> None:
    """Turn `quit()` and shell commands, whose failure nobody would see, into errors of the cell."""

    def refuse_exit() -> None:
        raise SystemExit(NO_EXIT)

    def refuse_shell(*_: Any, **__: Any) -> None:
        raise ShellRefusedError(NO_SHELL)

    shell.ask_exit = refuse_exit
    shell.system = shell.system_raw = shell.system_piped = shell.getoutput = refuse_shell


def refuse_network() -> None:
    """Refuse every socket that leads anywhere but to a file of this machine; nothing undoes it."""

    def refuse(event: str, given: tuple[Any, ...]) -> None:
        if event not in ASKING:
            return
        is_file = isinstance(given[0], socket.socket) and given[0].family == socket.AF_UNIX
        if not is_file:
            raise NetworkRefusedError(NO_NETWORK)

    sys.addaudithook(refuse)
