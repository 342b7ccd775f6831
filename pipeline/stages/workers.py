"""How does a stage use several cores where its tables are small? By processes beside it.

Reads and makes no table. The subtle points: what a worker could not do the stage does itself, so an
error is the stage's own to tell, and a worker that died costs time alone. Nothing passes between
them but how a worker ended, so nobody waits for a word. And a worker is a second in coming, so it
looks whether its stage still lives before it does anything.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import TypeVar

Thing = TypeVar("Thing")
LOG = logging.getLogger(__name__)


def share(work: Callable[[Thing], None], things: Sequence[Thing], n_processes: int) -> None:
    """Do the work for each thing, by so many processes, of which this is one.

    It may be begun twice for a thing, and must bear that. Raises what `work` raises in this
    process. A worker is sent its work and things, so both must be such as can be sent.
    """
    spawned = multiprocessing.get_context("spawn")  # a fork would share threads of libraries
    own, *others = [things[first::n_processes] for first in range(n_processes)]
    started: list[tuple[SpawnProcess, Sequence[Thing]]] = []
    try:
        for part in others:
            worker = spawned.Process(target=_work, args=(work, part), daemon=True)
            try:
                worker.start()
            except OSError as error:
                LOG.warning("No worker could be started: %s", error)
                own = [*own, *part]
            else:
                started.append((worker, part))
        for thing in own:
            work(thing)
        for worker, part in started:
            worker.join()
            if worker.exitcode:
                LOG.warning("A worker ended with %s, the stage does its part", worker.exitcode)
                for thing in part:
                    work(thing)
    finally:
        for worker, _ in started:
            worker.kill()
            worker.join()


def _work(work: Callable[[Thing], None], things: Sequence[Thing]) -> None:
    """A worker: from here on the stage alone hears Ctrl-C, and its end is the worker's, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_stage, daemon=True).start()
    for thing in things:
        if not _stage().is_alive():
            os._exit(1)
        try:
            work(thing)
        except Exception as error:
            LOG.warning("A worker stopped at %s", type(error).__name__)
            sys.exit(1)


def _end_with_stage() -> None:
    _stage().join()
    os._exit(1)


def _stage() -> BaseProcess:
    stage = multiprocessing.parent_process()
    assert stage is not None
    return stage
