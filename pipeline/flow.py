"""What is out of date? The words that the runner exchanges with DVC, and children it starts.

Reads dvc.yaml, dvc.lock and what DVC answers; makes whatever the stages make. The subtle points:
DVC turns every failure into exit 255, so a stage leaves its own exit code and message in a file;
and a child leads a process group, is bound to the run and holds its lock, so that it can be ended
whole, dies with the run, and nothing starts beside one that did not.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.bound_dvc import request
from pipeline.children import FAILURE_SUFFIX, FAILURE_VARIABLE, as_runner, facts_beside
from pipeline.data import disk
from pipeline.exits import CANNOT_CREATE, CANNOT_WRITE, CONFIGURATION, FAILED, NOT_NOW
from pipeline.lock import forget_cut_locks_of_dvc, is_quiet
from pipeline.preload.client import CAN_FORK, Forked, Preload
from pipeline.redaction import FOR_THE_RUNNER_ALONE
from pipeline.settings import ANNEX, CHAPTERS, SUMMARY, ConfigurationError

RUNNING_STAGE = re.compile(r"Running stage '([^']+)'")
POLL_SECONDS = 0.05
STOP_SECONDS = 10
BACK_OFF_SECONDS = 2.0
"""Wait before the second attempt; each further one waits twice as long."""
TRANSIENT = {"kernel_start": 10, "kernel_died": 1, "busy": 10, "io": 10}
"""Kinds of failure that may pass by themselves → most further attempts, within `run.retries`.

A kernel that died may have met a moment without memory, or want more than there is: once."""
DVC_IS_BUSY = ("Unable to acquire lock", "is busy, it is being blocked by")
"""Words of DVC when another one works in this folder; dvc/lock.py and dvc/rwlock.py."""
DISK_IS_FULL = ("No space left on device", "database or disk is full")
"""Words of DVC on a full disk: the system's, and those of SQLite, in which DVC keeps its notes."""
BAD_LOCK = "dvc_lock"
"""Kind of a failure: dvc.lock cannot be read."""
LOCK_IS_BAD = re.compile(r"dvc\.lock' (is invalid|validation failed)")
"""Words of DVC on a dvc.lock that is cut off; it writes that file in place, for half a second."""
KEPT_LOCK = "dvc.lock.whole"
"""Copy below build/ of the last dvc.lock that DVC could read."""
SLOW = ("drivers", "revenue", "survival", "time_to_value")
"""Chapters that begin first, the slowest before the others: then all cores end together."""
MOST_PRELOADS = 3
"""In one run: a further one is begun when the code changed under the last."""
COMMIT = ("commit", "--force")
NOT_INHERITED = ("PYTHONDONTWRITEBYTECODE",)
"""A caller's wish that would let each child of a run compile our code anew."""

Child = subprocess.Popen[str] | Forked


class StageFailedError(Exception):
    """A stage or chapter failed; `code` is the exit code it left, `error_class` its kind."""

    def __init__(self, message: str, code: int = FAILED, error_class: str = "stage_failed") -> None:
        super().__init__(message)
        self.code = code
        self.error_class = error_class


class RunTimeoutError(Exception):
    """The run took longer than `run.run_timeout_hours` allows (exit code 70)."""

    code = FAILED
    error_class = "run_timeout"


@dataclass(frozen=True)
class Task:
    """One chapter of one period, to be run by a process of its own."""

    chapter: str
    period: str

    @property
    def stage(self) -> str:
        """Its name in dvc.yaml."""
        return f"{self.chapter}@{self.period}"


@dataclass(frozen=True)
class Ended:
    """How a task ended: exit code 0, or another one, its kind, its place and the message."""

    task: Task
    code: int
    message: str
    seconds: float
    error_class: str = ""
    notebook: str | None = None
    cell: str | None = None
    log: Path | None = None
    attempts: int = 1
    peak_memory_mb: float | None = None
    warnings: tuple[Any, ...] = ()


@dataclass
class Attempt:
    """A task that waits for its turn, or for its next one."""

    task: Task
    number: int = 1
    not_before: float = 0.0
    began: float = 0.0

    @property
    def is_summary(self) -> bool:
        """It reads what the other chapters of its month keep."""
        return self.task.chapter == SUMMARY


@dataclass
class Flow:
    """DVC in one root; `held` are open files that every child keeps open, the run's lock.

    `hidden` names environment variables that no stage and no chapter gets to see. `n_unforked`
    counts the chapters that did not start as a fork of the run's preload, and `unforked` says why.
    """

    root: Path
    held: tuple[int, ...] = ()
    retries: int = 0
    hidden: tuple[str, ...] = ()
    unforked: str = ""
    n_unforked: int = 0
    _preloads: list[Preload] = field(default_factory=list)
    _children: list[Child] = field(default_factory=list)
    _dvc: subprocess.Popen[str] | None = None
    _look: futures.Future[set[str]] | None = None
    _asks: threading.Lock = field(default_factory=threading.Lock)
    _clock: threading.Timer | None = None
    _is_out_of_time: bool = False

    @property
    def log(self) -> Path:
        """Where children's words are kept."""
        folder = self.root / "build" / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def stale(self) -> set[str]:
        """Names of the stages that are not up to date; the first time what `look_aside` found."""
        if self._look is None:
            return self._stale()
        try:
            return self._look.result()
        finally:
            if self._look.done():  # else `close` waits for it
                self._look = None

    def look_aside(self) -> None:
        """Ask at once what is not up to date: DVC works while the caller loads what it needs."""
        self._dvc_that_waits()  # of this thread: a child dies with the thread that started it
        aside = futures.ThreadPoolExecutor(1)
        self._look = aside.submit(self._stale)
        aside.shutdown(wait=False)

    def forget_look(self) -> None:
        """Something has changed since `look_aside`: let it end, and forget what it found."""
        if self._look:
            futures.wait([self._look])
        self._look = None

    def reproduce(self, stages: Sequence[str], on_stage: Callable[[str], None]) -> None:
        """Run the stages that are out of date, in order; StageFailedError has the stage's words."""
        self._ask_dvc(["repro", *stages], on_stage)
        self._keep_lock()

    def record(self, stages: Iterable[str]) -> None:
        """Take what stands there now as the result of these stages."""
        if names := sorted(stages):
            self._ask_dvc([*COMMIT, *names])
            self._keep_lock()

    def _stale(self) -> set[str]:
        said = self._ask_dvc(["status", "--json"])
        self._keep_lock()
        answers = [line for line in said.splitlines() if line.startswith("{")]
        return set(json.loads(answers[-1]))

    def stale_by_kept_lock(self) -> set[str] | None:
        """What is not up to date by the last whole dvc.lock, put in the place of one cut off.

        None, and everything as it was, when there is no such copy or DVC cannot use it either.
        """
        lock, kept = self.root / "dvc.lock", self.root / "build" / KEPT_LOCK
        if not (lock.is_file() and kept.is_file()):
            return None
        cut = lock.read_bytes()
        disk.write_bytes(kept.read_bytes(), lock)
        try:
            return self.stale()
        except StageFailedError:
            disk.write_bytes(cut, lock)
            return None

    def _keep_lock(self) -> None:
        """Copy a dvc.lock that DVC has just read or written; what it makes later may be cut off."""
        lock, kept = self.root / "dvc.lock", self.root / "build" / KEPT_LOCK
        with contextlib.suppress(OSError):
            content = lock.read_bytes()
            if not kept.is_file() or kept.read_bytes() != content:
                disk.write_bytes(content, kept)

    def run_side_by_side(self, tasks: Sequence[Task], jobs: int) -> Iterator[Ended]:
        """Run tasks in fresh processes, at most `jobs` at a time; one result as each ends.

        A summary waits for the chapters of its own month, and is left out when one of them failed.
        A failure that may pass by itself is tried again, up to `retries` times, each time later.
        """
        waiting = [Attempt(task) for task in tasks]
        running: list[tuple[Attempt, Child]] = []
        try:
            while waiting or running:
                for attempt in _ready(waiting, running, jobs):
                    waiting.remove(attempt)
                    attempt.began = time.monotonic()
                    running.append((attempt, self._start(attempt.task)))
                for attempt, child in [pair for pair in running if pair[1].poll() is not None]:
                    running.remove((attempt, child))
                    self._children.remove(child)
                    self.check_time()
                    if isinstance(child, Forked) and child.is_lost:
                        is_quiet(self.root, POLL_SECONDS)
                        waiting.append(attempt)
                        continue
                    ended = self._ended(attempt, child)
                    if again := self._again(attempt, ended):
                        waiting.append(again)
                        continue
                    if ended.code:
                        waiting = _without_summary(waiting, attempt.task.period)
                    yield ended
                self.check_time()
                time.sleep(POLL_SECONDS)
        finally:
            self._end([child for _, child in running])

    def _again(self, attempt: Attempt, ended: Ended) -> Attempt | None:
        """The next attempt at a task whose failure may pass; None when there is none."""
        most = min(self.retries, TRANSIENT.get(ended.error_class, 0))
        if not ended.code or attempt.number > most:
            return None
        wait = BACK_OFF_SECONDS * 2 ** (attempt.number - 1)
        return Attempt(attempt.task, attempt.number + 1, time.monotonic() + wait)

    # Ending children.

    def end_after(self, seconds: float) -> None:
        """End all children when this much time has passed; what waits for them then fails."""
        self._clock = threading.Timer(seconds, self._out_of_time)
        self._clock.daemon = True
        self._clock.start()

    def _out_of_time(self) -> None:
        self._is_out_of_time = True
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for child in list(self._children):
                _signal_group(child, sign)
            time.sleep(STOP_SECONDS)

    def check_time(self) -> None:
        """RunTimeoutError when the time of the run is over."""
        if self._is_out_of_time:
            raise RunTimeoutError(
                "The run took longer than run.run_timeout_hours of params.yaml allows and was "
                "ended. Finished chapters stay; the next run goes on from there."
            )

    def close(self) -> None:
        """End the children that still run and what they started, and the clock; nothing writes."""
        if self._clock:
            self._clock.cancel()
        self._end(self._children)
        if self._look:
            futures.wait([self._look])
        if self._dvc:
            self._end_dvc(self._dvc)
        for preload in self._preloads:
            preload.close()

    def _end(self, children: Sequence[Child]) -> None:
        known = [child for child in children if child in self._children]  # others were ended
        left = [child for child in known if child.poll() != 0]  # the dead may leave orphans
        self._children = [child for child in self._children if child not in children]
        for child in left:
            if isinstance(child, Forked) and child.pid is None:
                child.preload.close()  # it would be forked only now
            _signal_group(child, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for child in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(until - time.monotonic(), 0))
        if left:
            is_quiet(self.root, max(until - time.monotonic(), 0))
        for child in left:
            _signal_group(child, signal.SIGKILL)
            child.wait()

    # Starting children.

    def warm_up(self) -> None:
        """Begin to load what chapters need, aside; the first chapter would else wait for it."""
        if not CAN_FORK:
            self.unforked = "this system cannot fork what it has loaded"
        elif not self._preloads or self._preloads[-1].is_outdated:
            if len(self._preloads) == MOST_PRELOADS:
                self.unforked = "the code keeps changing"
                return
            environment = self._environment(self.log / f"preload{FAILURE_SUFFIX}")
            log = self.log / "preload.log"
            self._preloads.append(Preload(self.root, environment, self.held, log))

    def _start(self, task: Task) -> Child:
        """Fork a process for a chapter, or start one afresh where that is not possible."""
        words = ["-m", "pipeline.cli", "chapter", task.chapter, task.period]
        log, failure = self._log_of(task), self._failure_of(task)
        _forget(failure)
        environment = self._environment(failure)
        self.warm_up()
        if self._preloads and (preload := self._preloads[-1]).why and not preload.is_outdated:
            self.unforked = preload.why
        if self.unforked:
            self.n_unforked += 1
            with log.open("w", encoding="utf-8") as said:
                nothing = subprocess.DEVNULL
                return self._child(words, environment, stdin=nothing, stdout=said, stderr=said)
        child = self._preloads[-1].fork(words, environment, log)
        self._children.append(child)
        return child

    def _ended(self, attempt: Attempt, child: Child) -> Ended:
        task, failure = attempt.task, _read_left(self._failure_of(attempt.task))
        facts = _read_left(facts_beside(self._failure_of(task)))
        standard = f"{task.stage} stopped with code {child.returncode}; see {self._log_of(task)}."
        ended = Ended(
            task,
            0,
            "",
            time.monotonic() - attempt.began,
            attempts=attempt.number,
            peak_memory_mb=facts.get("peak_memory_mb"),
            warnings=tuple(facts.get("warnings", ())),
        )
        if child.returncode == 0:
            return ended
        has_said = child.returncode in (CANNOT_CREATE, CANNOT_WRITE)  # and could leave no file
        code: int = child.returncode if has_said and child.returncode else FAILED
        return replace(
            ended,
            code=failure.get("code", code),
            message=failure.get("message", standard),
            error_class=failure.get("error_class", "process_died"),
            notebook=failure.get("notebook"),
            cell=failure.get("cell"),
            log=self._log_of(task),
        )

    def _log_of(self, task: Task) -> Path:
        return self.log / f"{task.chapter}-{task.period}.log"

    def _failure_of(self, task: Task) -> Path:
        return self.log / f"{task.chapter}-{task.period}{FAILURE_SUFFIX}"

    def _ask_dvc(self, words: list[str], on_stage: Callable[[str], None] | None = None) -> str:
        """Let DVC run a command and return what it said; StageFailedError when it failed."""
        with self._asks:  # one question at a time: `look_aside` has a thread of its own
            code, said = self._answer_of_dvc(words, on_stage)
        self.check_time()
        if code != 0:
            raise _stage_failure(words[0], self._failure_of_dvc, said)
        return "".join(said)

    def _answer_of_dvc(
        self, words: list[str], on_stage: Callable[[str], None] | None
    ) -> tuple[int | None, list[str]]:
        """The exit code of a command, None when DVC ended before it, and what was said."""
        failure = self._failure_of_dvc
        _forget(failure)
        dvc, end = self._dvc_that_waits(), uuid.uuid4().hex
        said: list[str] = []
        code = None
        assert dvc.stdin is not None
        assert dvc.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended: it has nothing more to say
                dvc.stdin.write(request(words, self._environment(failure), end))
                dvc.stdin.flush()
            with (self.log / "dvc.log").open("a", encoding="utf-8") as log:
                for line in dvc.stdout:
                    text, is_end, last = line.partition(end)
                    log.write(text)
                    said.append(text)
                    match = RUNNING_STAGE.search(text)
                    if match and on_stage:
                        on_stage(match[1])
                    if is_end:
                        code = int(last)
                        break
        finally:
            if code != 0:  # what it started may still run
                self._end_dvc(dvc)
        return code, said

    def _dvc_that_waits(self) -> subprocess.Popen[str]:
        """The DVC of this run; another one where it has ended.

        It runs the code beside this module, not that of a root laid out by another version.
        """
        if self._dvc and self._dvc.poll() is not None:
            self._end_dvc(self._dvc)
        if self._dvc is None:
            if self.held:
                forget_cut_locks_of_dvc(self.root)
            environment = self._environment(self._failure_of_dvc)
            self._dvc = self._child(
                ["-P", "-m", "pipeline.bound_dvc"],
                environment | {"PYTHONPATH": str(Path(__file__).parents[1])},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        return self._dvc

    @property
    def _failure_of_dvc(self) -> Path:
        return self.log / f"stage{FAILURE_SUFFIX}"

    def _end_dvc(self, dvc: subprocess.Popen[str]) -> None:
        self._end([dvc])
        for pipe in (dvc.stdin, dvc.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):  # it ended before it read all
                    pipe.close()
        self._dvc = None

    def _child(
        self, words: list[str], environment: Mapping[str, str], **streams: Any
    ) -> subprocess.Popen[str]:
        """Start a child that leads a process group of its own and is bound to this process."""
        child = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.root,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=self.held,
            process_group=0,
            **streams,
        )
        self._children.append(child)
        return child

    def _environment(self, failure: Path) -> dict[str, str]:
        own = Path(sys.executable).parent
        return (
            _without_addresses(os.environ, (*self.hidden, *NOT_INHERITED))
            | as_runner()
            | {
                "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONPATH": str(self.root),
                "PYTHONUTF8": "1",
                "DVC_NO_ANALYTICS": "true",
                FAILURE_VARIABLE: str(failure),
            }
        )


def _forget(failure: Path) -> None:
    """Remove what an earlier child left of its failure and its facts."""
    failure.unlink(missing_ok=True)
    facts_beside(failure).unlink(missing_ok=True)


def _without_addresses(environment: Mapping[str, str], hidden: Sequence[str]) -> dict[str, str]:
    for_the_runner = (*FOR_THE_RUNNER_ALONE, *hidden)
    return {name: text for name, text in environment.items() if name not in for_the_runner}


def _ready(
    waiting: Sequence[Attempt], running: Sequence[tuple[Attempt, Child]], jobs: int
) -> list[Attempt]:
    """Those whose turn it is: summaries of which all chapters have ended, then the others."""
    under_way = [*waiting, *(attempt for attempt, _ in running)]
    unread = {each.task.period for each in under_way if not each.is_summary}
    due = [attempt for attempt in waiting if attempt.not_before <= time.monotonic()]
    summaries = [each for each in due if each.is_summary and each.task.period not in unread]
    others = [each for each in due if not each.is_summary]
    return [*summaries, *others][: max(jobs - len(running), 0)]


def _without_summary(waiting: Sequence[Attempt], period: str) -> list[Attempt]:
    return [each for each in waiting if not (each.is_summary and each.task.period == period)]


def _signal_group(leader: Child, sign: signal.Signals) -> None:
    """Signal a child and all it started; a group that is gone, or not yet there, is as wanted."""
    if leader.pid is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, sign)


def leave_failure(code: int, message: str, path: Path, **where: Any) -> None:
    """Say how this process fails to the runner that started it.

    `where` may hold `error_class`, `notebook` and `cell`.
    """
    disk.write_json({"code": code, "message": message} | where, path)


def _read_left(path: Path) -> dict[str, Any]:
    """What a child left; nothing when it left none, or died while it wrote."""
    with contextlib.suppress(disk.MissingDataError, disk.CorruptDataError):
        left = disk.read_json(path)
        return left if isinstance(left, dict) else {}
    return {}


def _stage_failure(verb: str, failure: Path, said: Sequence[str]) -> StageFailedError:
    left = _read_left(failure)
    if left:
        kind = left.get("error_class", "stage_failed")
        return StageFailedError(left["message"], left["code"], kind)
    errors = [line.strip() for line in said if line.startswith("ERROR")] or list(said[-3:])
    text = f"dvc {verb} failed: {' '.join(errors).strip() or 'no message'}"
    if any(word in text for word in DVC_IS_BUSY):
        return StageFailedError(text, NOT_NOW, "busy")
    if any(word in text for word in DISK_IS_FULL):
        return StageFailedError(text, CANNOT_WRITE, "disk_full")
    if LOCK_IS_BAD.search("".join(said)):
        text = (
            "dvc.lock is cut off or no lock of DVC. Take the last good one "
            "(git checkout dvc.lock), then run again: what it does not know is built anew."
        )
        return StageFailedError(text, CONFIGURATION, BAD_LOCK)
    return StageFailedError(text)


# What DVC is to run.


def named_parameters(root: Path) -> list[str]:
    """Top keys of params.yaml that dvc.yaml names."""
    content = YAML(typ="safe", pure=True).load((root / "dvc.yaml").read_text(encoding="utf-8"))
    stages = content.get("stages", {}) if isinstance(content, dict) else {}
    if not stages:
        raise ConfigurationError(f"{root / 'dvc.yaml'} names no stage.")
    names = {
        str(name).split(".")[0] for stage in stages.values() for name in stage.get("params", [])
    }
    return sorted(names)


def jobs_here() -> int:
    """Chapters at a time where nobody says: one more than there are cores.

    A chapter uses none for a fifth of its time, while its kernel begins and ends.
    """
    return (os.cpu_count() or 1) + 1


def chapter_tasks(stale: Iterable[str], periods: Sequence[str]) -> list[Task]:
    """The stale chapters and annexes of these periods but the summary; slow ones first."""
    others = [name for name in CHAPTERS if name not in (*SLOW, SUMMARY)]
    names = [ANNEX, *SLOW, *others]
    tasks = [Task(name, period) for name in names for period in reversed(periods)]
    found = set(stale)
    return [task for task in tasks if task.stage in found]
