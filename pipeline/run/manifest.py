"""What did each run do? One file per run, from which status, index and notifications follow.

Makes build/runs/<run-id>/run.json: written as `running` before anything else is done, replaced
whole at each step. It holds no data value: names, states, times, hashes and messages. The subtle
point: a `running` manifest whose process is gone (number, start time, boot) reads as `interrupted`,
and the next run writes that down.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.flow import Ended
from pipeline.lock import Process
from pipeline.redaction import redacted
from pipeline.run import journal
from pipeline.run.journal import LOG_NAME, Journal
from pipeline.settings import Paths
from pipeline.states import (
    FAILED,
    GOOD,
    INTERRUPTED,
    MANIFEST,
    PUBLISHED,
    RUNNING,
    RUNS,
    STATES_OF_RUNS,
)

SCHEMA_VERSION = 1
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}", re.ASCII)
STAMP = "%Y%m%dT%H%M%SZ"
NEEDED = {"run_id", "state", "started_at", "periods", "error", "tasks", "log"}
IN_PERIOD = {"period", "state", "error"}
"""Fields that readers of a manifest, and of a period in it, count on."""


@dataclass
class Manifest:
    """The manifest of the run that is under way; every change is on disk when a call returns."""

    root: Path
    content: dict[str, Any]
    is_kept: bool = True
    """False: of a run that leaves no trace of its own."""

    @property
    def run_id(self) -> str:
        """UTC start to the second and six hexadecimal digits; ids rise from run to run."""
        return str(self.content["run_id"])

    @property
    def folder(self) -> Path:
        """Where the run keeps its manifest and log."""
        return self.paths.build / RUNS / self.run_id

    @property
    def paths(self) -> Paths:
        """Paths of the run's root and company."""
        return Paths(self.root, str(self.content["company"] or ""))

    @property
    def journal(self) -> Journal:
        """The run's log."""
        if not self.is_kept:
            return Journal(Path(os.devnull), self.run_id)
        return journal.of_run(self.run_id, self.paths)

    @property
    def has_worked(self) -> bool:
        """True when a stage or chapter has run, or a report was published."""
        is_new = any(row["state"] == PUBLISHED for row in self.content["periods"])
        return is_new or bool(self.content["tasks"])

    def note(self, **fields: Any) -> None:
        """Set fields."""
        self.content |= fields
        if self.is_kept:
            store.write_json(self.content, self.folder / MANIFEST)

    def task(self, ended: Ended) -> None:
        """Add how a stage or chapter ended."""
        facts = {
            "stage": ended.task.stage,
            "seconds": round(ended.seconds, 1),
            "peak_memory_mb": ended.peak_memory_mb,
            "code": ended.code,
            "attempts": ended.attempts,
            "warnings": list(ended.warnings),
        }
        self.note(tasks=[*self.content["tasks"], facts])
        tell = self.journal.error if ended.code else self.journal.info
        tell("task", **facts, error_class=ended.error_class or None)

    def stage(self, name: str, seconds: float, code: int) -> None:
        """Add a stage that DVC ran, and how it ended."""
        facts = {"stage": name, "seconds": round(seconds, 1), "peak_memory_mb": None, "code": code}
        facts |= {"attempts": 1, "warnings": []}
        self.note(tasks=[*self.content["tasks"], facts])
        (self.journal.error if code else self.journal.info)("task", **facts)

    def period(
        self,
        name: str,
        state: str,
        *,
        status: str | None = None,
        revision: int | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Set how a period came out of this run; the last word counts."""
        others = [row for row in self.content["periods"] if row["period"] != name]
        row = {
            "period": name, "state": state, "status": status, "revision": revision,
            "error": dict(error) if error else None,
        }  # fmt: skip
        self.note(periods=sorted([*others, row], key=lambda each: str(each["period"])))
        (self.journal.error if state == FAILED else self.journal.info)("period", **row)

    def failure(
        self, kind: str, code: int, message: str, *, log: Path | None = None, **where: Any
    ) -> dict[str, Any]:
        """The facts of an error as a manifest holds them, with no path of this machine."""
        lines = message.strip().splitlines() or [kind]
        return {
            "class": kind,
            "code": code,
            "notebook": where.get("notebook"),
            "cell": where.get("cell"),
            "message": redacted(self._without_root(lines[0])),
            "log": self._without_root(str(log)) if log else None,
        }

    def end(self, state: str, error: Mapping[str, Any] | None = None) -> None:
        """Write the last word on this run."""
        self.note(state=state, error=dict(error) if error else None, ended_at=_now())
        tell = self.journal.info if state in GOOD else self.journal.error
        tell("run_ended", state=state, error=self.content["error"])

    def _without_root(self, text: str) -> str:
        return text.replace(f"{self.root}{os.sep}", "")


def begin(
    paths: Paths,
    command: Sequence[str],
    now: dt.datetime | None = None,
    *,
    is_kept: bool = True,
) -> Manifest:
    """Write the manifest of a run that begins, as `running`."""
    start = now or dt.datetime.now(dt.UTC)
    run_id = f"{_stamp(paths, start)}-{secrets.token_hex(3)}"
    content = {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "state": RUNNING,
        "command": redacted(list(command)),
        "started_at": start.replace(microsecond=0).isoformat(),
        "ended_at": None,
        **asdict(Process.of(os.getpid())),
        "company": paths.company or None,
        "extract_date": None,
        "periods": [],
        "error": None,
        "tasks": [],
        "log": f"build/runs/{run_id}/{LOG_NAME}",
        **_hashes(paths),
    }
    manifest = Manifest(paths.root, content, is_kept)
    manifest.note()
    manifest.journal.info("run_began", command=content["command"], pid=content["pid"])
    return manifest


def _stamp(paths: Paths, start: dt.datetime) -> str:
    """The start as it stands in the run's id; after the last run's, though the clock went back."""
    stamp = f"{start:{STAMP}}"
    last = max((path.parent.name.partition("-")[0] for path in _files(paths)), default="")
    with contextlib.suppress(ValueError, OverflowError):  # no time that a clock ever showed
        if last >= stamp:
            return f"{dt.datetime.strptime(last, STAMP) + dt.timedelta(seconds=1):{STAMP}}"
    return stamp


def _hashes(paths: Paths) -> dict[str, Any]:
    notebooks = sorted(paths.notebooks.glob("*.ipynb"))
    return {
        "lock_sha256": _hash(paths.root / "requirements.lock"),
        "params_sha256": _hash(paths.params),
        "notebooks": {path.name: store.sha256(path) for path in notebooks},
    }


def _hash(path: Path) -> str | None:
    return store.sha256(path) if path.is_file() else None


def _now() -> str:
    return dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat()


# Reading them.


def read_all(paths: Paths) -> list[dict[str, Any]]:
    """The manifests of this root, oldest first; a dead `running` one reads as `interrupted`.

    Runs of another company are left out; those that failed before they knew theirs are not.
    """
    found = [_read(path) for path in _files(paths)]
    return [run for run in found if run and run.get("company") in (paths.company, None)]


def mark_interrupted(paths: Paths, own: str | None = None) -> list[str]:
    """Write down which runs ended without a last word; their ids.

    The caller, whose run is `own`, holds the root's lock: whatever else reads `running` has ended,
    on this machine or on one whose name is gone.
    """
    found = []
    for path in _files(paths):
        run = _read(path)
        if run and path.parent.name != own and store.read_json(path)["state"] == RUNNING:
            store.write_json(_without_last_word(run), path)
            found.append(str(run["run_id"]))
    return found


def _files(paths: Paths) -> list[Path]:
    """Manifests by the time in their name, which a copied or touched file keeps."""
    found = (paths.build / RUNS).glob(f"*/{MANIFEST}")
    return sorted(path for path in found if RUN_ID.fullmatch(path.parent.name))


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(
        store.CorruptDataError, store.MissingDataError, OSError, KeyError, TypeError
    ):
        run: dict[str, Any] = store.read_json(path)
        if not _is_manifest(run):
            return None
        is_dead = run["state"] == RUNNING and not _process(run).is_alive()
        return _without_last_word(run) if is_dead else run
    return None


def _without_last_word(run: dict[str, Any]) -> dict[str, Any]:
    error = {
        "class": INTERRUPTED,
        "code": None,
        "notebook": None,
        "cell": None,
        "message": "The run ended without a last word: it was killed, or the machine stopped.",
        "log": run["log"],
    }
    return run | {"state": INTERRUPTED, "error": error}


def _is_manifest(run: Any) -> bool:
    """True when it has what its readers count on; a file that anybody damaged says nothing."""
    return (
        isinstance(run, dict)
        and run.keys() >= NEEDED
        and run["state"] in STATES_OF_RUNS
        and isinstance(run["error"], dict | None)
        and isinstance(run["tasks"], list)
        and all(isinstance(row, dict) and row.keys() >= IN_PERIOD for row in run["periods"])
    )


def _process(run: Mapping[str, Any]) -> Process:
    return Process(run["pid"], run["process_start"], run["boot_id"], run["host"])
