"""How is a row measured? Its sides in turn within one run, so that a busy machine slows them alike.

One round that does not count, then five: subject, peer, limit, subject, peer, limit … The ratio is
the median of the rounds' own ratios. The subtle point: where a round takes minutes, fewer are run,
down to the first alone, and the result says how many.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.row import Command, Row, Seconds, Side, Sides

PROJECT = Path(__file__).parents[2]
FRESH = Path(__file__).with_name("fresh.py")
ROUNDS = ((60.0, 5), (180.0, 3))
"""Up to so many seconds a round, so many rounds; beyond, the first round alone counts."""
LAST_LINES = 12
NEEDS = {
    "Rscript": lambda: shutil.which("Rscript") is not None,
    "java": lambda: shutil.which("java") is not None,
    "pyspark": lambda: importlib.util.find_spec("pyspark") is not None,
}


class SideFailedError(Exception):
    """A program of a row ended with another code than 0; holds its last lines."""


@dataclass(frozen=True)
class Taken:
    """What one call took. `peak_mb` None: it ran in the bench's own process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float | None = None


Round = dict[str, Taken]


def missing(row: Row) -> list[str]:
    """The needs of a row that this machine does not have."""
    return [need for need in row.needs.split() if not NEEDS[need]()]


def measured(sides: Sides, log: Path, *, is_quick: bool) -> dict[str, Any]:
    """Run the sides in turn and summarise; SideFailedError when a program fails."""
    named = {"subject": sides.subject, "peer": sides.peer, "limit": sides.limit}
    present = {name: side for name, side in named.items() if side is not None}
    rounds = [_round(present, log)]
    wanted = 1 if is_quick else _rounds(sum(taken.seconds for taken in rounds[0].values()))
    if wanted > 1:
        rounds = [_round(present, log) for _ in range(wanted)]
    return summary(rounds)


def _rounds(seconds: float) -> int:
    return next((count for most, count in ROUNDS if seconds <= most), 1)


def _round(sides: dict[str, Side], log: Path) -> Round:
    return {name: once(side, log) for name, side in sides.items()}


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians of each side, and the median, least and largest of the rounds' own ratios."""
    found: dict[str, Any] = {"rounds": len(rounds)}
    for name in rounds[0]:
        found[name] = _medians([each[name] for each in rounds])
    for name, key in (("peer", "ratio"), ("limit", "limit_ratio")):
        if name in rounds[0]:
            ratios = [each["subject"].seconds / each[name].seconds for each in rounds]
            found[key] = statistics.median(ratios)
            found[f"{key}_low"], found[f"{key}_high"] = min(ratios), max(ratios)
    return found


def _medians(calls: list[Taken]) -> dict[str, float]:
    peaks = [taken.peak_mb for taken in calls if taken.peak_mb is not None]
    medians = {
        "seconds": statistics.median(taken.seconds for taken in calls),
        "cpu_seconds": statistics.median(taken.cpu_seconds for taken in calls),
    }
    return medians | ({"peak_mb": statistics.median(peaks)} if peaks else {})


def once(side: Side, log: Path) -> Taken:
    """Call a side once; what a program prints goes to the end of its log."""
    if isinstance(side, Command):
        return _program(side, log)
    gc.collect()
    began, worked = time.perf_counter(), time.process_time()
    answer = side()
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    return Taken(float(answer) if isinstance(answer, Seconds) else seconds, cpu)


def _program(command: Command, log: Path) -> Taken:
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("a", encoding="utf-8") as output:
        answer, began = Path(folder) / "answer.json", log.stat().st_size
        launched = subprocess.run(
            [sys.executable, "-S", "-E", str(FRESH), str(answer), *command.argv],
            cwd=command.cwd or PROJECT, env=os.environ | (command.env or {}),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        )  # fmt: skip
        found = json.loads(answer.read_text()) if launched.returncode == 0 else {"code": None}
    if found.pop("code") != 0:
        raise SideFailedError(last_lines(log, began) or f"{command.argv[0]} did not start.")
    return Taken(**found)


def last_lines(log: Path, begin: int = 0) -> str:
    """The end of what was printed since a place in a log."""
    text = log.read_bytes()[begin:].decode("utf-8", errors="replace")
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])


def verdict(row: Row, found: dict[str, Any]) -> str:
    """Was what the row promises held? shown, when it promises nothing; else met or missed."""
    peaks = [found.get(side, {}).get("peak_mb") for side in ("subject", "peer")]
    of_memory = peaks[0] / peaks[1] if row.is_of_memory and all(peaks) else None
    pairs = [
        (row.target, found.get("ratio")),
        (row.target, of_memory),
        (row.most_seconds, found["subject"]["seconds"]),
        (row.most_mb, found["subject"].get("peak_mb")),
    ]
    held = [value <= most for most, value in pairs if most is not None and value is not None]
    return "shown" if not held else "met" if all(held) else "missed"
