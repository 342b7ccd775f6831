"""Which files are the exports? Regular files of a sane size inside the company's raw folder.

Reads the folder; makes the list of files of each raw table. The subtle points: a table has one
form, so that a CSV file and its Parquet copy are never counted twice; and a path is looked at
before it is opened, so that a named pipe cannot make a run wait for ever.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data import store
from pipeline.data.schema import RAW, Table
from pipeline.settings import SourceTable

FORMS = (".csv", ".csv.gz", ".csv.zip", ".parquet", ".xlsx")
"""What a table's export may end in when no file is declared."""
EXAMPLES = 5
MEGABYTE = 1_000_000
EMPTY_NOTE = "The file is empty (0 bytes); the table counts as not given."
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class DataError(Exception):
    """The raw data cannot be used as they stand (exit code 65)."""


class ChangingFileError(Exception):
    """An export is being written while it is read (its `code` is the exit code, 75)."""

    code = 75
    error_class = "busy"


@dataclass(frozen=True)
class RawFile:
    """One file as received; `name` is its path below the raw folder."""

    path: Path
    name: str

    @property
    def form(self) -> str:
        """What it is by its name: .csv, .csv.gz, .csv.zip, .parquet or .xlsx."""
        name = self.path.name.lower()
        if name.endswith(".zip"):
            return ".csv.zip"
        if name.endswith(".gz"):
            return ".csv.gz"
        if name.endswith((".xlsx", ".xlsm")):
            return ".xlsx"
        return ".parquet" if name.endswith((".parquet", ".pq")) else ".csv"


def find_files(table: Table, source: SourceTable | None, folder: Path) -> list[RawFile]:
    """The files of one raw table, in the order of their names; empty when there is none.

    DataError: a file lies outside the folder, is no regular file, or the table comes in two forms.
    """
    declared = source.file if source else None
    if declared:
        _check_declared(f"source.tables.{table.name}.file", declared, folder)
    is_extracted = source is not None and (source.table or source.query)
    forms = (".parquet",) if is_extracted else FORMS
    patterns = [declared] if declared else [f"{table.name}{form}" for form in forms]
    found = sorted({path for pattern in patterns for path in _matching(pattern, folder)})
    for path in found:
        _check_place(path, folder)
    files = [RawFile(path, path.relative_to(folder).as_posix()) for path in found]
    if not declared and len(files) > 1:
        raise DataError(
            f"{table.name} comes in {len(files)} forms: {', '.join(file.name for file in files)}. "
            "Each row would be counted once per form. Keep one, or name it as "
            f"source.tables.{table.name}.file."
        )
    return files


def find_named(place: str, declared: str, folder: Path) -> RawFile | None:
    """An export that feeds no table of its own (a lookup, mergers, marks); None: not there.

    `place` is the setting that declares it. DataError as in `find_files`.
    """
    _check_declared(place, declared, folder)
    path = folder / declared
    if not path.is_symlink() and not path.exists():
        return None
    _check_place(path, folder)
    return RawFile(path, declared)


def _check_declared(place: str, declared: str, folder: Path) -> None:
    if Path(declared).is_absolute() or ".." in Path(declared).parts:
        raise DataError(
            f"{place}: {declared!r} lies outside {folder}. Copy the export into that folder."
        )


def _matching(pattern: str, folder: Path) -> list[Path]:
    """The file of exactly this name, be it a link to nothing or named like a pattern; else all."""
    exact = folder / pattern
    return [exact] if exact.is_symlink() or exact.exists() else list(folder.glob(pattern))


def _check_place(path: Path, folder: Path) -> None:
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        mode = path.stat().st_mode if is_inside else 0
    except (OSError, RuntimeError):  # RuntimeError: a link to itself, before Python 3.13
        raise DataError(f"{path} is a link to nothing. Copy the export into {folder}.") from None
    if not is_inside:
        raise DataError(f"{path} lies outside {folder}. Copy the export into that folder.")
    kind = next((word for holds, word in KINDS if holds(mode)), None)
    if kind:
        raise DataError(f"{path} is {kind}, not a file. Put the export in its place.")


def find_all(tables: dict[str, SourceTable], folder: Path) -> dict[str, list[RawFile]]:
    """Files of every raw table; MissingDataError lists all required ones that are not there.

    An empty file of an optional table counts as not given; `empty_files` names it.
    """
    found = {name: find_files(table, tables.get(name), folder) for name, table in RAW.items()}
    missing = [
        f"{folder / (_declared(tables, name) or f'{name}.csv')}{_nearest_file(name, folder)}"
        for name, table in RAW.items()
        if not found[name] and (table.is_required or _declared(tables, name))
    ]
    if missing:
        raise store.MissingDataError(
            f"{len(missing)} exports are expected and not there:\n  " + "\n  ".join(missing)
        )
    return {
        name: [file for file in files if not _is_left_out(name, file)]
        for name, files in found.items()
    }


def empty_files(tables: dict[str, SourceTable], folder: Path) -> list[dict[str, object]]:
    """Facts of the files of 0 bytes that stand for an optional table: they count as not given."""
    found = {name: find_files(table, tables.get(name), folder) for name, table in RAW.items()}
    return [
        {"table": name, "file": file.name, "bytes": 0, "note": EMPTY_NOTE}
        for name, files in found.items()
        for file in files
        if _is_left_out(name, file)
    ]


def without_rows(table: Table, source: SourceTable | None, found: Sequence[RawFile]) -> str:
    """What is wrong with a table without rows; nothing where it is declared that it may be."""
    names = ", ".join(file.name for file in found[:EXAMPLES])
    if table.is_required:
        return f"{names}: 0 rows. A company without {table.name} has no report."
    if source and source.allow_empty:
        return ""
    return (
        f"{names}: 0 rows of {table.name}, a header only. An export that broke off looks like "
        f"that. Export it again, take the file away, or set source.tables.{table.name}"
        ".allow_empty: true."
    )


def _declared(tables: dict[str, SourceTable], name: str) -> str | None:
    return tables[name].file if name in tables else None


def _is_left_out(name: str, file: RawFile) -> bool:
    return not RAW[name].is_required and file.path.stat().st_size == 0


def _nearest_file(name: str, folder: Path) -> str:
    """The file that may have been meant, whatever its case or ending."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    stems = {each.lower().split(".")[0]: each for each in reversed(there)}
    near = difflib.get_close_matches(name, list(stems), 1)
    return f" (is it {stems[near[0]]!r}? Name it as source.tables.{name}.file)" if near else ""


def check_size(file: RawFile, largest_mb: int) -> None:
    """DataError when a file is empty or larger than `source.largest_file_mb`."""
    size = file.path.stat().st_size
    if size == 0:
        raise DataError(f"{file.name} is empty (0 bytes). Export it again.")
    if size > largest_mb * MEGABYTE:
        raise too_large(file, f"{size / MEGABYTE:,.0f} MB", largest_mb)


def too_large(file: RawFile, size: str, largest_mb: int) -> DataError:
    """The error for a file that is larger than `source.largest_file_mb`, packed or unpacked."""
    return DataError(
        f"{file.name}: {size} is more than source.largest_file_mb allows ({largest_mb:,} MB). "
        "Is it the right file? Export fewer rows or months per file, or raise the limit."
    )
