"""Which periods have a snapshot."""

import datetime as dt
from pathlib import Path

from pipeline.data import slice as slices
from pipeline.settings import Paths, Period


def test_periods_are_those_whose_slice_stands_from_the_oldest_on(tmp_path: Path):
    paths = Paths(tmp_path, "sample")
    assert slices.periods(paths) == []
    for name in ("2026-10", "2025-12"):
        cut = slices.Slice(Period(name), dt.date(2026, 11, 3), None, 30, 3)
        slices.write(cut, paths.snapshot(Period(name)))
    paths.snapshot(Period("2026-11")).mkdir()
    assert slices.periods(paths) == ["2025-12", "2026-10"]
