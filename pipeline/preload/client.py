"""What does a run ask of its preload? A fork for each chapter, and how each of them ended.

Reads and makes no table. The subtle point: a fork is no child of the run, so its end is told by the
preload; a preload that dies takes its forks with it, and those are lost, not failed: the run starts
them again by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.children import STEADY_ENVIRONMENT, exit_code_when_ended

END_SECONDS = 2.0
"""How long an idle preload may take to leave when it is told to."""
LARGEST_READ = 65536
ONE_THREAD = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Arrow's allocator would start a thread as soon as it is loaded; jemalloc(3), TUNING."""
CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")
"""Elsewhere a fork of loaded libraries is not safe, or its end cannot be heard."""


@dataclass(eq=False)
class Forked:
    """A process that the preload forks; as `subprocess.Popen`, as far as a run needs one.

    `pid` is None until it is forked. `is_lost`: it did not come to an end of its own, for the
    preload died or refused.
    """

    preload: Preload
    pid: int | None = None
    returncode: int | None = None
    is_lost: bool = False

    def poll(self) -> int | None:
        """Its exit code, or None while it runs; below 0: the signal that ended it."""
        self.preload.hear()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, when it has ended; subprocess.TimeoutExpired after `timeout` seconds."""
        return exit_code_when_ended(self.poll, timeout)

    def lose(self) -> None:
        """It will not come to an end of its own."""
        if self.returncode is None:
            self.returncode, self.is_lost = -signal.SIGKILL, True


@dataclass
class Preload:
    """One process that has loaded what chapters need, and forks.

    `why` says why it forks no more, `is_outdated` that it is because the code has changed since.
    """

    root: Path
    environment: Mapping[str, str]
    held: tuple[int, ...]
    log: Path
    why: str = ""
    is_outdated: bool = False
    _forks: list[Forked] = field(default_factory=list)
    _heard: bytes = b""
    _is_alive: bool = True

    def __post_init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        words = [sys.executable, "-m", "pipeline.preload.process"]
        with theirs, self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*words, *map(str, (theirs.fileno(), *self.held))],
                cwd=self.root,
                env=dict(self.environment) | STEADY_ENVIRONMENT | ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(), *self.held),
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Number of the preload itself."""
        return self._process.pid

    def fork(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
        """A fork that runs `python` with these words; what it says stands in `log`."""
        forked = Forked(self)
        self._forks.append(forked)
        task = {"number": len(self._forks) - 1, "words": list(words), "log": str(log)}
        self._say(task | {"environment": dict(environment)})
        return forked

    def _say(self, task: dict[str, Any]) -> None:
        try:
            self._control.setblocking(True)
            self._control.sendall(json.dumps(task).encode() + b"\n")
            self._control.setblocking(False)
        except OSError:
            self._gone()

    def hear(self) -> None:
        """Take in what the preload has said since; no waiting."""
        while self._is_alive:
            try:
                said = self._control.recv(LARGEST_READ)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if not said:
                return self._gone()
            *lines, self._heard = (self._heard + said).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, told: dict[str, Any]) -> None:
        forked = self._forks[told["number"]]
        if "pid" in told:
            forked.pid = told["pid"]
        elif "code" in told:
            forked.returncode = told["code"]
        else:
            self.why, self.is_outdated = told["refused"], told["is_outdated"]
            forked.lose()

    def _gone(self) -> None:
        """It ended before the run did: whatever it forked is dead, or about to be."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._is_alive = False
        self.why = f"it ended with code {self._process.poll()}, see {self.log}"
        for forked in self._forks:
            forked.lose()

    def close(self) -> None:
        """End it, and with it every fork that still runs."""
        self._is_alive, self.why = False, self.why or "it was closed"
        self._control.close()
        self._process.terminate()
        self._process.wait()
        for forked in self._forks:
            forked.lose()
