"""What do a million accounts cost? Each chapter that estimates, run whole, in a fresh process.

The company is the sample company's newest month in copies (`company`), so the same questions are
answered at every size. Time and memory are of the whole command: papermill, the kernel that the
notebook runs in, figures, tables and the gate.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.data import store
from tests import checked_cells
from tests.bench import company
from tests.bench.growth import Series
from tests.bench.row import Command, Row, Sides

CHAPTERS = ("survival", "drivers", "time_to_value")
LARGE, SMALL = 1_000_000, 100_000
QUICK_LARGE, QUICK_SMALL = 2_000, 1_000
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000, 1_000_000), (1_000, 2_000)
MOST_SECONDS, MOST_MB = 60.0, 4096.0
PLACE = checked_cells.PROJECT / "build" / "bench" / "companies"
NOTE = (
    "The sample company's newest month, each account in copies. Ties and copies make intervals too "
    "narrow; the work is that of so many accounts."
)


def chapter_command(name: str, accounts: int) -> Command:
    """One chapter of a company of so many accounts, as `lodestar chapter` runs it."""
    root = _company(accounts)
    period = _source().name
    argv = [sys.executable, "-m", "pipeline.cli", "--root", str(root), "chapter", name, period]
    return Command(argv, cwd=checked_cells.PROJECT)


def _source() -> Path:
    checked_cells.prepare()
    return max((checked_cells.ROOT / "data" / "processed" / "snapshot").iterdir())


def _company(accounts: int) -> Path:
    """Its root; the snapshot is made once, notebooks and choices are as they are now."""
    root, source = PLACE / str(accounts), _source()
    stamp, current = root / "made-from", store.sha256(source / "accounts.parquet")
    if not stamp.is_file() or stamp.read_text() != current:
        company.root_of(source, accounts, root, checked_cells.PROJECT)
        stamp.write_text(current)
    else:
        company.lay_out(root, checked_cells.PROJECT, source.name)
    return root


def _row(name: str) -> Row:
    def make(is_quick: bool) -> Sides:
        large, small = (QUICK_LARGE, QUICK_SMALL) if is_quick else (LARGE, SMALL)
        return Sides(chapter_command(name, large), chapter_command(name, small), note=NOTE)

    return Row(
        f"chapter {name}, 1e6 accounts / 1e5", None, make,
        goal="at most 60 s and 4 GB on 2 cores; the ratio shows growth, 10 is proportional",
        most_seconds=MOST_SECONDS, most_mb=MOST_MB, kind="chapter",
    )  # fmt: skip


def _series(name: str) -> Series:
    return Series(name, "accounts", SIZES, QUICK_SIZES, lambda size: chapter_command(name, size))


ROWS = [_row(name) for name in CHAPTERS]
SERIES = [_series(name) for name in CHAPTERS]
