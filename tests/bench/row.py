"""What is a row of the bench? A subject and its peer, and what the ratio of their times may be.

Each part of the project keeps its rows in a module of its own here, as a list `ROWS`. A side is a
function called in the bench's own process, or a `Command` run in a fresh one where memory counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """A program for a fresh process; `env` stands beside the surroundings of the bench."""

    argv: list[str]
    cwd: Path | None = None
    env: dict | None = None


class Seconds(float):
    """What a side returns that clocked itself; its own word then counts, not the bench's clock."""


Side = Callable[[], object] | Command


@dataclass(frozen=True)
class Sides:
    """What is held against what.

    `peer` None: nothing does the same, only the subject is shown. `limit`: what the machine cannot
    go below, such as a raw scan of the same columns. `note`: what a reader must know of the two.
    """

    subject: Side
    peer: Side | None
    limit: Side | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One row of the table.

    `name` holds subject, size and peer in words. `target`: what the ratio subject / peer must not
    exceed; None: it is only shown. `make` prepares both sides; told True, of a tiny size that shows
    that the row runs. `goal`: what is promised, in words. `needs`: words among those of
    `measure.NEEDS`; where one is missing the row is skipped, counted and named. `is_of_memory`:
    the ratio of their peak memories must not exceed `target`, either. `most_seconds` and `most_mb`:
    what the subject's own time and peak memory must not exceed. `kind`: rows that the
    same code makes share it, and of those a quick bench runs one.
    """

    name: str
    target: float | None
    make: Callable[[bool], Sides]
    goal: str = ""
    needs: str = ""
    most_seconds: float | None = None
    most_mb: float | None = None
    is_of_memory: bool = False
    kind: str = ""
