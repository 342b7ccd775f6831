"""What would `ingest` make of the raw data? Counts, and examples of what it would set aside.

Reads the raw tables; what `ingest` makes goes to build/check/ and is removed again, so neither the
tables in place nor the quarantine change.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.data import store
from pipeline.settings import Paths, Settings
from pipeline.stages import ingest

EXAMPLES = 5


@dataclass(frozen=True)
class ElsewherePaths(Paths):
    """Raw data where they are; whatever is made goes to another folder."""

    elsewhere: Path

    @property
    def processed(self) -> Path:
        return self.elsewhere / "processed"

    @property
    def quarantine(self) -> Path:
        return self.elsewhere / "quarantine"


def lines(settings: Settings, paths: Paths) -> list[str]:
    """How far the data reach, and per table its rows, its bad rows and the first few of those."""
    aside = paths.build / "check"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        copy = ElsewherePaths(paths.root, paths.company, aside)
        ingest.run(settings, copy)
        extract = store.read_json(copy.ingest / "extract.json")
        said = [f"The data of {settings.company_name} reach to {extract['extract_date']}."]
        for table, count in extract["rows"].items():
            said += _table_lines(table, count, copy.quarantine / f"{table}.csv")
        return said
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _table_lines(table: str, count: int, listing: Path) -> Iterator[str]:
    bad = store.read_published_rows(listing) if listing.is_file() else []
    yield f"{table}: {count:,} rows, {len(bad):,} to quarantine"
    for row in bad[:EXAMPLES]:
        where = f"{row['file']} line {row['line']}, {row['column']}"
        yield f"  {where}: {row['rule']}: {row['value']}"
    if len(bad) > EXAMPLES:
        yield f"  and {len(bad) - EXAMPLES:,} more"
