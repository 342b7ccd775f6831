"""What might this file be? A first look at an export of which nothing is declared yet.

Reads the head of raw exports (CSV plain, gz or zip, Parquet, Excel) or of a database's tables.
Makes one `Glimpse` per file, sheet or table, its cells as text. The subtle point: this is the one
place that guesses, and only `lodestar init` asks it; each guess is for a person to look at, and a
run uses `reading` alone.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.data.database import Connection, Relation
from pipeline.data.reading import DataError
from pipeline.data.store import CorruptDataError, MissingDataError
from pipeline.settings import ConfigurationError

ROWS = 20_000
"""Rows looked at in one export."""
CELLS, FEWEST_ROWS = 2_000_000, 200
"""Cells looked at in one export: of a wide one fewer rows, but never fewer than that."""
HEAD_BYTES = 32_000_000
"""Bytes unpacked of one export: enough for ROWS of wide rows, and no bomb."""
LARGEST_CELL = 1_000_000
DATABASE_SUFFIXES = (".sqlite", ".sqlite3", ".db", ".duckdb")
SEPARATORS = (",", ";", "\t", "|")
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
PACKED_SUFFIXES = (".gz", ".zip")
ENCODINGS = ("utf-8", "cp932", "cp1252")
"""Tried in this order; all but the first are a doubt, for the bytes alone cannot tell."""
BYTE_ORDER_MARKS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
MEMBER_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, CorruptDataError, ValueError)


class NoTableError(Exception):
    """A file that holds no table that could be read."""


@dataclass(frozen=True)
class Glimpse:
    """The first rows of one file or sheet, under the names it gives them."""

    file: str
    columns: dict[str, list[str]]
    sheet: str | None = None
    encoding: str = "utf-8"
    separator: str = ","
    is_of_database: bool = False
    """`file` is the name of a table or view."""
    is_typed: bool = False
    """Dates and numbers come as such: no format to declare."""
    is_whole: bool = True
    """Every row was looked at."""
    doubts: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows looked at."""
        return len(next(iter(self.columns.values()), []))


def glimpses(folder: Path) -> tuple[list[Glimpse], list[str]]:
    """What lies in a folder: its tables, and a sentence for each file that is none."""
    found: list[Glimpse] = []
    refused: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or any(part.startswith(".") for part in Path(name).parts):
            continue
        try:
            found += look(path, name)
        except NoTableError as error:
            refused.append(f"{name}: {error}")
    return found, refused


def look(path: Path, name: str) -> list[Glimpse]:
    """The tables of one file: one, or one per sheet; NoTableError says why there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((each for each in reversed(suffixes) if each not in PACKED_SUFFIXES), "")
    packed = suffixes[-1] if suffixes and suffixes[-1] in PACKED_SUFFIXES else ""
    try:
        if kind == ".parquet" and not packed:
            return [_parquet(path, name)]
        if kind == ".xlsx" and not packed:
            return list(_sheets(path, name))
        if kind in TEXT_SUFFIXES or packed == ".zip":
            return [_text(_head(path, packed), name, HEAD_BYTES)]
    except MEMBER_ERRORS as error:
        raise NoTableError(f"cannot be read ({_first_line(error)}). Export it again.") from None
    if kind in DATABASE_SUFFIXES:
        raise NoTableError(
            f"looks like a database. Write source: {{database: {{backend: sqlite, file: {name}}}}} "
            "(or duckdb) into params.yaml, then `lodestar init --database`."
        )
    raise NoTableError("no table that can be read: CSV (plain, gz, zip), Parquet or Excel (.xlsx).")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def tables(connection: Connection) -> tuple[list[Glimpse], list[str]]:
    """What lies in a database: its tables and views, and a sentence for each that is refused."""
    found: list[Glimpse] = []
    refused: list[str] = []
    for name in connection.tables():
        relation = Relation(name)
        try:
            columns = connection.columns(relation)
            wanted = rows_of(len(columns))
            parts = list(connection.rows(relation, columns, wanted))
        except (DataError, ConfigurationError, MissingDataError) as error:
            refused.append(f"{name}: {_first_line(error)}")
            continue
        text = pa.concat_tables(parts)
        cells = {
            each: [cell or "" for cell in text[each].to_pylist()] for each in text.column_names
        }
        whole = text.num_rows < wanted
        found.append(Glimpse(name, cells, is_of_database=True, is_typed=True, is_whole=whole))
    return found, refused


# Text.


def _head(path: Path, packed: str) -> bytes:
    if packed == ".gz":
        with gzip.open(path) as content:
            return content.read(HEAD_BYTES)
    if packed == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) != 1:
                raise NoTableError(f"holds {len(members)} files. Pack one file into one archive.")
            with archive.open(members[0]) as content:
                return content.read(HEAD_BYTES)
    with path.open("rb") as content:
        return content.read(HEAD_BYTES)


def _text(head: bytes, name: str, limit: int) -> Glimpse:
    if not head:
        raise NoTableError("is empty (0 bytes). Export it again.")
    is_cut = len(head) >= limit
    content, encoding = _decoded(head[: head.rfind(b"\n") + 1] if is_cut else head)
    separator = _separator(content)
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        rows, is_whole = _first_rows((row for row in reader if row), len(header))
    except csv.Error as error:
        raise NoTableError(f"line {reader.line_num}: {error}.") from None
    doubts = [] if encoding == "utf-8" else [_encoding_doubt(name, encoding)]
    doubts += [_width_doubt(name, header, rows)] if any(len(r) != len(header) for r in rows) else []
    columns = _named(header, rows)
    whole = is_whole and not is_cut
    return Glimpse(name, columns, None, encoding, separator, is_whole=whole, doubts=tuple(doubts))


def _decoded(head: bytes) -> tuple[str, str]:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head.decode(encoding, "replace"), encoding
    if b"\x00" in head:
        raise NoTableError("holds NUL bytes: no text, or UTF-16 without a mark. Export as UTF-8.")
    for encoding in ENCODINGS:
        try:
            return head.removeprefix(codecs.BOM_UTF8).decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise NoTableError(f"is none of {', '.join(ENCODINGS)}. Export it as UTF-8.")


def _encoding_doubt(name: str, encoding: str) -> str:
    return f"{name} is not UTF-8; {encoding} fits. Look at a name with an accent, or export again."


def _width_doubt(name: str, header: list[str], rows: list[list[str]]) -> str:
    odd = [place for place, row in enumerate(rows, 2) if len(row) != len(header)]
    return (
        f"{name}: {len(odd)} rows have more or fewer fields than the {len(header)} of the header "
        f"(the first is row {odd[0]}). They would go to quarantine."
    )


def _separator(content: str) -> str:
    """The separator that cuts the first lines into the most fields, equally many in each."""
    lines = content[:200_000].splitlines()[:50]

    def steady(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        usual = max(set(counts), key=counts.count, default=1)
        return (counts.count(usual) / len(counts) if usual > 1 else 0.0, usual)

    return max(SEPARATORS, key=steady)


def rows_of(width: int) -> int:
    """How many rows of so many columns are looked at."""
    return min(ROWS, max(FEWEST_ROWS, CELLS // max(width, 1)))


def _first_rows(rows: Iterable[list[str]], width: int) -> tuple[list[list[str]], bool]:
    """The rows that are looked at, and whether that is all."""
    kept: list[list[str]] = []
    for row in rows:
        if len(kept) == rows_of(width):
            return kept, False
        kept.append(row)
    return kept, True


def _named(header: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    if not any(header):
        raise NoTableError("has no header with column names.")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise NoTableError(f"names the column {twice[0]!r} twice. Export it with distinct names.")
    width = len(header)
    full = [(row + [""] * width)[:width] for row in rows]
    cells = zip(*full, strict=True) if full else [()] * width
    return {name: list(values) for name, values in zip(header, cells, strict=True)}


# Typed files.


def _parquet(path: Path, name: str) -> Glimpse:
    try:
        file = pq.ParquetFile(path)
        wanted = rows_of(len(file.schema_arrow))
        block = next(file.iter_batches(wanted), None)
        content = pa.Table.from_batches([] if block is None else [block], file.schema_arrow)
        n_rows = file.metadata.num_rows
    except pa.ArrowException as error:
        raise NoTableError(f"is no Parquet ({_first_line(error)}). Export it again.") from None
    columns = {
        column: [_cell(value) for value in content[column].to_pylist()]
        for column in content.column_names
    }
    return Glimpse(name, columns, is_typed=True, is_whole=n_rows <= wanted)


def _sheets(path: Path, name: str) -> Iterator[Glimpse]:
    """One export per sheet that has a header and a row."""
    import openpyxl  # a second of loading that a folder of CSV does not need

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (KeyError, *MEMBER_ERRORS) as error:
        raise NoTableError(f"is no Excel file ({_first_line(error)}).") from None
    try:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        several = len(sheets) > 1
        for title, sheet in sheets.items():
            lines = ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
            header = [cell.strip() for cell in next(lines, [])]
            while header and not header[-1]:
                header.pop()
            full = (row[: len(header)] for row in lines if any(row))
            rows, is_whole = _first_rows(full, len(header))
            if header and rows:
                columns = _named(header, rows)
                yield Glimpse(
                    name, columns, title if several else None, is_typed=True, is_whole=is_whole
                )
    finally:
        book.close()


def _cell(value: Any) -> str:
    """A typed cell as `reading` would write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    return str(value)
