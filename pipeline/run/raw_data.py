"""Are the exports there, and can they be opened? What `lodestar doctor` says of the data.

Reads the raw folder, the headers of its files, the record of a database's extract and that of the
last build; makes nothing. The subtle point: a look is free of the network, so of a database it says
whether its address is set and what is kept of it, not whether it answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.checking import files
from pipeline.data import reading, store
from pipeline.exits import MISSING, is_foreseen
from pipeline.reporting.records.record import SAMPLE
from pipeline.run import finding
from pipeline.run.finding import Finding
from pipeline.settings import Paths, Settings
from pipeline.stages import extract, shapes


def looks(paths: Paths, settings: Settings) -> Iterator[Finding]:
    """What stands of the raw data, one look each."""
    if settings.source.database:
        yield from _database(paths, settings)
    yield from _exports(paths, settings)
    place = paths.ingest / "extract.json"
    if place.is_file():
        day = store.read_json(place).get("extract_date")
        yield finding.sound("last build", f"the data reached to {day}")


def _database(paths: Paths, settings: Settings) -> Iterator[Finding]:
    for name in files.unset_variables(settings):
        fix = f"Set {name} to the database's address, in the environment of the run."
        yield finding.stop("database", f"{name} is not set", fix)
        return
    place = paths.raw / extract.RECORD
    taken = store.read_json(place).get("taken_at") if place.is_file() else None
    kept = f"the extract of {taken} is kept" if taken else "no extract yet: a run takes the first"
    yield finding.sound("database", kept)


def _exports(paths: Paths, settings: Settings) -> Iterator[Finding]:
    where = f"data/raw/{settings.company}"
    is_made_later = settings.source.database and not (paths.raw / extract.RECORD).is_file()
    if settings.company == SAMPLE or is_made_later:
        yield finding.sound("raw data", f"a run makes {where}")
        return
    if not paths.raw.is_dir():
        fix = "Put the exports there, or correct `company` in params.yaml."
        yield finding.stop("raw data", f"{where} is not there", fix, MISSING)
        return
    found = files.stops(settings, paths)
    for stop in found:
        fix = "`lodestar check` says more."
        yield finding.stop("raw data", stop.message, fix, stop.code)
    if not found:
        yield finding.sound("raw data", _counted(paths, settings))


def _counted(paths: Paths, settings: Settings) -> str:
    try:
        mapped = shapes.completed(settings, paths.raw).source.tables
        tables = reading.find_all(mapped, paths.raw)
    except Exception as error:
        if not is_foreseen(error):
            raise
        tables = {}
    n_files = sum(map(len, tables.values()))
    n_tables = sum(map(bool, tables.values()))
    return f"{n_files} files of {n_tables} tables, their headers can be read"
