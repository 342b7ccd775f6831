"""What do the exports say, letter by letter? Files as received, as text with file and line.

Reads CSV (plain, gzip, zip), Parquet and Excel files below data/raw/<company>; makes one table of
text per raw table. Nothing is guessed here: separator, encoding and column names are declared.
Every cell stays text until `ingest` reads it by kind, so that a bad row can be shown as it was
written. The subtle point: a file may be written while it is read, so its hash is taken before and
after.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import store
from pipeline.data.reading import columnar, columns, delimited, files, workbook
from pipeline.data.reading.export import Export
from pipeline.data.reading.files import (
    EXAMPLES,
    ChangingFileError,
    DataError,
    RawFile,
    empty_files,
    find_all,
    find_files,
    find_named,
    without_rows,
)
from pipeline.data.reading.seen import check_unchanged, remember
from pipeline.data.schema import RAW, Table
from pipeline.settings import Source, SourceTable

__all__ = [
    "EXAMPLES", "FIELDS", "FILE", "LINE", "NUL_SHOWN",
    "ChangingFileError", "DataError", "RawFile", "Read",
    "check_headers", "check_rows", "check_unchanged", "empty_files", "find_all", "find_files",
    "find_named", "opened", "read", "read_in_parts", "read_text", "read_whole", "remember",
    "without_rows",
]  # fmt: skip

FILE, LINE, FIELDS = "source_file", "source_line", "source_fields"
NUL_SHOWN = "\u2400"
"""Stands for a NUL byte in a cell, which many programs take for its end; `ingest` refuses it."""
LARGEST_FILE_MB = Source().largest_file_mb
HEADER_BYTES = 50_000
"""No header alone is as long as that."""
FORMS = {".parquet": columnar.opened, ".xlsx": workbook.opened}
"""How a file is opened by its form; all others are CSV."""
Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Read:
    """What was read of one table: its rows as text, and one dictionary of facts per file.

    Facts: file, sha256, bytes, rows, extra_columns (nobody asked for them), and what the form of
    the file adds: encoding and has_byte_order_mark, or sheet.
    """

    text: pa.Table
    facts: list[dict[str, object]]


@contextlib.contextmanager
def opened(
    file: RawFile, source: SourceTable | None, largest_mb: int = LARGEST_FILE_MB
) -> Iterator[Export]:
    """An open export: its header and its records; DataError names what is wrong and where."""
    files.check_size(file, largest_mb)
    with FORMS.get(file.form, delimited.opened)(
        file, source or SourceTable(), largest_mb
    ) as export:
        yield export


def check_headers(source: Source, found: Mapping[str, Sequence[RawFile]]) -> None:
    """DataError lists what is wrong with the headers of all files of all tables at once."""
    problems: list[str] = []
    for name, own in found.items():
        table = source.tables.get(name)
        for file in own:
            try:
                with opened(file, table, source.largest_file_mb) as export:
                    problems += columns.problems(
                        export.header, RAW[name], table, file, source.strict
                    )
            except (DataError, store.CorruptDataError) as error:
                problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))


def check_rows(source: Source, found: Mapping[str, Sequence[RawFile]]) -> None:
    """DataError lists all tables that came as headers alone, before the others take minutes."""
    problems = [
        files.without_rows(RAW[name], source.tables.get(name), own)
        for name, own in found.items()
        if own and not any(_has_rows(file, name, source) for file in own)
    ]
    if any(problems):
        raise DataError("\n".join(problem for problem in problems if problem))


def _has_rows(file: RawFile, name: str, source: Source) -> bool:
    """False for a header alone; what cannot be read may have rows, and the reading names it."""
    if file.path.stat().st_size > HEADER_BYTES:
        return True
    with (
        contextlib.suppress(DataError, store.CorruptDataError),
        opened(file, source.tables.get(name), source.largest_file_mb) as export,
    ):
        return any(len(block.lines) for block in export.blocks([]))
    return True


def read_text(table: Table, source: SourceTable | None, found: Sequence[RawFile]) -> pa.Table:
    """All files of one table as text: our columns that the files have, then file, line, fields.

    One row per record. `source_fields` counts its fields beyond (above 0) or short of (below 0)
    the header. DataError names the missing columns, the file and the line.
    """
    return read(table, source, found).text


def read_whole(table: Table, source: SourceTable, file: RawFile) -> pa.Table:
    """As `read_text`, for an export without a quarantine: DataError names lines of other length."""
    text = read_text(table, source, [file])
    lines = text.filter(pc.not_equal(text[FIELDS], 0))[LINE].to_pylist()
    if lines:
        raise DataError(
            f"{file.name}: {len(lines)} lines have more or fewer fields than the header: "
            f"{', '.join(str(line) for line in lines[:EXAMPLES])}. Quote cells that hold the "
            "separator or a line break."
        )
    return text


def read(
    table: Table,
    source: SourceTable | None,
    found: Sequence[RawFile],
    *,
    largest_mb: int = LARGEST_FILE_MB,
    is_strict: bool = False,
) -> Read:
    """As `read_text`, with the facts of each file.

    DataError: a file cannot be read, or lacks columns. ChangingFileError: it is being written.
    """
    parts, facts = read_in_parts(
        table,
        source,
        found,
        lambda _, parts: pa.concat_tables(parts),
        largest_mb=largest_mb,
        is_strict=is_strict,
    )
    return Read(pa.concat_tables(parts, promote_options="default"), facts)


def read_in_parts(
    table: Table,
    source: SourceTable | None,
    found: Sequence[RawFile],
    take: Callable[[RawFile, Iterator[pa.Table]], Taken],
    *,
    largest_mb: int = LARGEST_FILE_MB,
    is_strict: bool = False,
) -> tuple[list[Taken], list[dict[str, object]]]:
    """Read as `read` does, some rows of a file at a time: what `take` made of each, and its facts.

    `take` gets the file and its rows, the first part empty; it is called once more for a file that
    changed meanwhile, and what it made before does not count.
    """
    taken, facts = [], []
    for file in found:
        own: dict[str, object] = {}
        parts = partial(_file_parts, file, table, source, largest_mb, is_strict, own)
        reading = _settled(file, parts, take)
        taken.append(reading[0])
        facts.append({"file": file.name, "sha256": reading[1]} | own)
    return taken, facts


def _settled(
    file: RawFile,
    parts: Callable[[], Iterator[pa.Table]],
    take: Callable[[RawFile, Iterator[pa.Table]], Taken],
) -> tuple[Taken, str]:
    """Read a file whose content is the same before and after; once more when it changed."""
    for _ in range(2):
        before = store.sha256(file.path)
        failure: Exception | None = None
        try:
            taken = take(file, parts())
        except (DataError, store.CorruptDataError) as error:  # perhaps of a file half written
            failure = error
        if file.path.is_file() and store.sha256(file.path) == before:
            if failure is not None:
                raise failure
            return taken, before
    raise ChangingFileError(
        f"{file.name} changes while it is read: it is being written. Its rows would be a mixture "
        "of two exports. Wait until the export has ended and run again."
    )


def _file_parts(
    file: RawFile,
    table: Table,
    source: SourceTable | None,
    largest_mb: int,
    is_strict: bool,
    facts: dict[str, object],
) -> Iterator[pa.Table]:
    """The rows of one file, part by part, the first part empty; its facts when all are read."""
    n_rows = 0
    with opened(file, source, largest_mb) as export:
        columns.check(export.header, table, source, file, is_strict)
        choice = columns.choose(export.header, table, source)
        places = sorted(set(choice.places))
        schema = pa.schema([*((name, pa.string()) for name in choice.ours), *PLACE_TYPES])
        yield schema.empty_table()
        for block in export.blocks(places):
            cell = dict(zip(places, block.cells, strict=True))
            own = [cell[place] for place in choice.places]
            name = pa.repeat(file.name, len(block.lines))
            rows = pa.table([*own, name, block.lines, block.surplus], schema=schema)
            n_rows += rows.num_rows
            yield _with_legible_cells(rows, source)
    facts |= {"bytes": file.path.stat().st_size, "rows": n_rows}
    facts |= {"extra_columns": choice.extra} | export.facts


PLACE_TYPES = ((FILE, pa.string()), (LINE, pa.int64()), (FIELDS, pa.int32()))


def _with_legible_cells(text: pa.Table, source: SourceTable | None) -> pa.Table:
    """Declared words for nothing become empty, no other word does; NUL bytes become visible."""
    words = pa.array(source.null_values if source else [], pa.string())
    for place, name in enumerate(text.column_names[: -len(PLACE_TYPES)]):
        cells = text.column(place)
        if len(words):
            is_word = pc.is_in(pc.utf8_trim_whitespace(cells), words)
            cells = pc.if_else(is_word, pa.scalar("", pa.string()), cells)
        if pc.any(pc.match_substring(cells, "\x00")).as_py():
            cells = pc.replace_substring(cells, "\x00", NUL_SHOWN)
        text = text.set_column(place, name, cells)
    return text
