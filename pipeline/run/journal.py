"""What happened, line by line? The log of one run, for machines; no secret ever stands in it.

Makes build/runs/<run-id>/log.jsonl: one JSON object a line, each with the run's id, a time in UTC,
a level and an event. The subtle point: a log that cannot be written costs no run.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.redaction import redacted
from pipeline.settings import Paths
from pipeline.states import RUNS

LOG_NAME = "log.jsonl"
INFO, WARNING, ERROR = "info", "warning", "error"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Journal:
    """The log of one run."""

    path: Path
    run_id: str
    now: Callable[[], dt.datetime] = _now

    def info(self, event: str, **fields: Any) -> None:
        """Something happened as it should."""
        self._write(INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that somebody should know and that stops nothing."""
        self._write(WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something that stops a period or the run."""
        self._write(ERROR, event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        time = self.now().isoformat(timespec="milliseconds")
        line = {**fields, "run_id": self.run_id, "time": time, "level": level, "event": event}
        text = json.dumps(redacted(line), ensure_ascii=False, sort_keys=True, default=str)
        with contextlib.suppress(OSError):  # a full disk is told by what needs the disk
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as log:
                log.write(f"{text}\n")


def of_run(run_id: str, paths: Paths) -> Journal:
    """The log of a run below this root."""
    return Journal(paths.build / RUNS / run_id / LOG_NAME, run_id)
