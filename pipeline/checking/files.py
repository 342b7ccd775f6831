"""Which exports are missing, cannot be opened or lack columns? All of them at once.

Reads the headers of the raw files; makes one `Stop` per thing that a run would stop for. The subtle
point: a missing file does not hide a missing column of another, so that a person mends all in one
go.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.data import reading
from pipeline.data.reading import DataError, RawFile, columns
from pipeline.data.schema import RAW
from pipeline.data.store import CorruptDataError, MissingDataError
from pipeline.exits import exit_code_of
from pipeline.settings import Paths, Settings
from pipeline.stages import shapes


@dataclass(frozen=True)
class Stop:
    """One thing for which a run would stop: its exit code, and what was found and what to do."""

    code: int
    message: str
    table: str = ""


def stops(settings: Settings, paths: Paths) -> list[Stop]:
    """What is wrong with the files of a company; empty when every header can be read.

    `paths.raw` is the folder of the exports, or of the extract of a database.
    """
    try:
        settings = shapes.completed(settings, paths.raw)
    except DataError as error:
        return [Stop(exit_code_of(error), str(error))]
    found = [*_missing(settings, paths)]
    for name in RAW:
        for file in _files(name, settings, paths, found):
            found += _of_header(name, file, settings)
    return found


def _missing(settings: Settings, paths: Paths) -> Iterator[Stop]:
    """Every expected file that is not there, in the words of a run."""
    try:
        reading.find_all(settings.source.tables, paths.raw)
    except MissingDataError as error:
        yield Stop(exit_code_of(error), str(error))
    except DataError:
        return  # said of its own table


def _files(name: str, settings: Settings, paths: Paths, found: list[Stop]) -> list[RawFile]:
    """The files of one table that hold anything; what is wrong with them is added to `found`."""
    try:
        files = reading.find_files(RAW[name], settings.source.tables.get(name), paths.raw)
    except DataError as error:
        found.append(Stop(exit_code_of(error), str(error), name))
        return []
    return [file for file in files if RAW[name].is_required or file.path.stat().st_size]


def _of_header(name: str, file: RawFile, settings: Settings) -> list[Stop]:
    source = settings.source.tables.get(name)
    table = shapes.as_received(RAW[name], settings)
    mapped = shapes.without_numbers(source)
    try:
        with reading.opened(file, mapped, settings.source.largest_file_mb) as export:
            wrong = columns.problems(export.header, table, mapped, file, settings.source.strict)
    except (DataError, CorruptDataError, OSError) as error:
        return [Stop(exit_code_of(error), str(error), name)]
    return [Stop(exit_code_of(DataError()), sentence, name) for sentence in wrong]


def unset_variables(settings: Settings) -> list[str]:
    """Environment variables that the company's database needs and that are empty or not set."""
    declared = settings.source.database
    asked = [declared.url] if declared and declared.url else []
    return [name for name in asked if not os.environ.get(name, "").strip()]
