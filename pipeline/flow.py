"""What is out of date? The words that the runner exchanges with DVC, and children it starts.

Reads dvc.yaml, dvc.lock and what DVC answers; makes whatever the stages make. The subtle points:
DVC turns every failure into exit 255, so a stage leaves its own exit code and message in a file;
and children hold the run's lock, so that nothing starts beside an orphan.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.data import store
from pipeline.lock import FAILURE_VARIABLE
from pipeline.settings import ANNEX, CHAPTERS, SUMMARY, ConfigurationError

RUNNING_STAGE = re.compile(r"Running stage '([^']+)'")
SOFTWARE_ERROR = 70
POLL_SECONDS = 0.05
STOP_SECONDS = 10
LAID_OUT = (
    "dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock", "notebooks", "pipeline",
)  # fmt: skip
"""What a root without its own flow gets from the project."""
MARKER = "laid-out.json"


class StageFailedError(Exception):
    """A stage or chapter failed; `code` is the exit code it left."""

    def __init__(self, message: str, code: int = SOFTWARE_ERROR) -> None:
        super().__init__(message)
        self.code = code


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
    """How a task ended: exit code 0, or another one and the message."""

    task: Task
    code: int
    message: str
    seconds: float


@dataclass
class Flow:
    """DVC in one root; `held` are open files that every child keeps open, the run's lock."""

    root: Path
    held: tuple[int, ...] = ()
    _children: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """Where children's words are kept."""
        folder = self.root / "build" / "log"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def stale(self) -> set[str]:
        """Names of the stages that are not up to date."""
        said = self._dvc(["status", "--json"])
        return set(json.loads(said[said.index("{") : said.rindex("}") + 1]))

    def reproduce(self, stages: Sequence[str], on_stage: Callable[[str], None]) -> None:
        """Run the stages that are out of date, in order; StageFailedError has the stage's words."""
        self._dvc(["repro", *stages], on_stage)

    def record(self, stages: Iterable[str]) -> None:
        """Take what stands there now as the result of these stages."""
        names = sorted(stages)
        if names:
            self._dvc(["commit", "--force", *names])

    def run_side_by_side(self, tasks: Sequence[Task], jobs: int) -> Iterator[Ended]:
        """Run tasks in fresh processes, at most `jobs` at a time; one result as each ends."""
        waiting, running = list(tasks), {}
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    task = waiting.pop(0)
                    running[task] = (self._start(task), time.monotonic())
                for task, (child, began) in list(running.items()):
                    if child.poll() is not None:
                        del running[task]
                        yield self._ended(task, child, time.monotonic() - began)
                time.sleep(POLL_SECONDS)
        finally:
            self.stop()

    def stop(self) -> None:
        """End the children that still run."""
        for child in self._children:
            if child.poll() is None:
                child.terminate()
        for child in self._children:
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._children.clear()

    def _start(self, task: Task) -> subprocess.Popen[str]:
        words = ["-m", "pipeline.cli", "chapter", task.chapter, task.period]
        with self._log_of(task).open("w", encoding="utf-8") as log:
            return self._child(words, self._failure_of(task), stdout=log, stderr=log)

    def _ended(self, task: Task, child: subprocess.Popen[str], seconds: float) -> Ended:
        if child.returncode == 0:
            return Ended(task, 0, "", seconds)
        failure = _read_failure(self._failure_of(task))
        standard = f"{task.stage} stopped with code {child.returncode}; see {self._log_of(task)}."
        code = failure.get("code", SOFTWARE_ERROR)
        return Ended(task, code, failure.get("message", standard), seconds)

    def _log_of(self, task: Task) -> Path:
        return self.log / f"{task.chapter}-{task.period}.log"

    def _failure_of(self, task: Task) -> Path:
        return self.log / f"{task.chapter}-{task.period}.failure.json"

    def _dvc(self, words: list[str], on_stage: Callable[[str], None] | None = None) -> str:
        """Run DVC and return what it said; StageFailedError when it failed."""
        failure = self.log / "stage.failure.json"
        said = []
        child = self._child(
            ["-m", "dvc", *words], failure, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert child.stdout is not None
        try:
            with (self.log / "dvc.log").open("a", encoding="utf-8") as log:
                for line in child.stdout:
                    log.write(line)
                    said.append(line)
                    match = RUNNING_STAGE.search(line)
                    if match and on_stage:
                        on_stage(match[1])
            code = child.wait()
        finally:
            child.stdout.close()
            self.stop()
        if code:
            raise _stage_failure(words[0], failure, said)
        return "".join(said)

    def _child(self, words: list[str], failure: Path, **streams: Any) -> subprocess.Popen[str]:
        failure.unlink(missing_ok=True)
        own = Path(sys.executable).parent
        child = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.root,
            env=os.environ
            | {
                "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONPATH": str(self.root),
                "PYTHONUTF8": "1",
                "DVC_NO_ANALYTICS": "true",
                FAILURE_VARIABLE: str(failure),
            },
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=self.held,
            **streams,
        )
        self._children.append(child)
        return child


def leave_failure(code: int, message: str, path: Path) -> None:
    """Say how this process fails to the runner that started it."""
    store.write_json({"code": code, "message": message}, path)


def _read_failure(path: Path) -> dict[str, Any]:
    return store.read_json(path) if path.is_file() else {}


def _stage_failure(verb: str, failure: Path, said: Sequence[str]) -> StageFailedError:
    left = _read_failure(failure)
    if left:
        return StageFailedError(left["message"], left["code"])
    errors = [line.strip() for line in said if line.startswith("ERROR")] or list(said[-3:])
    return StageFailedError(f"dvc {verb} failed: {' '.join(errors).strip() or 'no message'}")


# The root.


def lay_out(root: Path, project: Path) -> None:
    """Give a root that has no flow of its own what the flow needs, and keep it up to date."""
    marker = root / "build" / MARKER
    if root == project or ((root / "dvc.yaml").is_file() and not marker.is_file()):
        return
    if not (root / ".dvc").is_dir():
        words = [sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"]
        subprocess.run(words, cwd=root, check=True, capture_output=True)
    before = store.read_json(marker).get("files", {}) if marker.is_file() else {}
    store.write_json({"files": _copied(project, root, before)}, marker)


def _copied(project: Path, root: Path, before: dict[str, str]) -> dict[str, str]:
    """Copy what the flow needs; files changed or added by hand in the root stay as they are.

    `before` and the result: the hash of each file that a lay-out wrote.
    """
    wanted = {path.relative_to(project).as_posix(): path for path in _needed(project)}
    for name in before.keys() - wanted.keys():
        if _stands_as(root / name, before[name]):
            (root / name).unlink()
    written = {}
    for name, path in sorted(wanted.items()):
        place = root / name
        if not place.is_file() or (name in before and _stands_as(place, before[name])):
            store.write_bytes(path.read_bytes(), place)
        if _stands_as(place, current := store.sha256(path)):
            written[name] = current
        elif name in before:
            written[name] = before[name]
    return written


def _needed(project: Path) -> Iterator[Path]:
    for name in LAID_OUT:
        place = project / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _stands_as(path: Path, sha256: str) -> bool:
    return path.is_file() and store.sha256(path) == sha256


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


def chapter_tasks(stale: Iterable[str], periods: Sequence[str]) -> list[Task]:
    """The stale chapters and annexes of these periods but the summary; slow ones first."""
    names = [ANNEX, *(name for name in reversed(CHAPTERS) if name != SUMMARY)]
    tasks = [Task(name, period) for name in names for period in reversed(periods)]
    found = set(stale)
    return [task for task in tasks if task.stage in found]
