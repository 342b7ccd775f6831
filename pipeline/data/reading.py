"""What do the exports say, letter by letter? Files as received, as text with file and line.

Nothing is guessed here: separator, encoding and column names are declared. Every cell stays text
until `ingest` reads it by kind, so that a bad row can be shown as it was written.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipeline.data import store
from pipeline.data.schema import RAW, Table
from pipeline.settings import SourceTable

FILE, LINE, FIELDS = "source_file", "source_line", "source_fields"
BLOCK_ROWS = 200_000
EXAMPLES = 5
PLAIN_BYTES = 5_000_000
LARGEST_CELL = 10_000_000


class DataError(Exception):
    """The raw data cannot be used as they stand (exit code 65)."""


@dataclass(frozen=True)
class RawFile:
    """One file as received."""

    path: Path
    name: str


def find_files(table: Table, source: SourceTable | None, folder: Path) -> list[RawFile]:
    """The files of one raw table, in the order of their names; empty when there is none."""
    patterns = (
        [source.file] if source and source.file else [f"{table.name}.csv", f"{table.name}.parquet"]
    )
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    outside = [path for path in found if not path.resolve().is_relative_to(folder.resolve())]
    if outside:
        raise DataError(f"{outside[0]} lies outside {folder}. Copy the export into that folder.")
    return [RawFile(path, path.relative_to(folder).as_posix()) for path in sorted(found)]


def find_all(tables: dict[str, SourceTable], folder: Path) -> dict[str, list[RawFile]]:
    """Files of every raw table; MissingDataError lists all required ones that are not there."""
    found = {name: find_files(table, tables.get(name), folder) for name, table in RAW.items()}
    missing = [
        str(folder / (tables[name].file if name in tables and tables[name].file else f"{name}.csv"))
        for name, table in RAW.items()
        if not found[name] and (table.is_required or (name in tables and tables[name].file))
    ]
    if missing:
        raise store.MissingDataError(
            "These exports are expected and not there:\n  " + "\n  ".join(missing)
        )
    return found


def read_text(table: Table, source: SourceTable | None, files: list[RawFile]) -> pa.Table:
    """All files of one table as text: our columns that the files have, then file, line, fields.

    One row per record. `source_fields` counts its fields beyond (above 0) or short of (below 0)
    the header. DataError names the missing columns, the file and the line.
    """
    return pa.concat_tables(
        [_renamed(_file_text(file, source), table, source, file) for file in files],
        promote_options="default",
    )


def _file_text(file: RawFile, source: SourceTable | None) -> pa.Table:
    if file.path.stat().st_size == 0:
        raise DataError(f"{file.name} is empty (0 bytes). Export it again.")
    if file.path.suffix == ".parquet":
        return _parquet_text(file)
    return _csv_text(file, source or SourceTable())


def _parquet_text(file: RawFile) -> pa.Table:
    content = store.read_parquet(file.path)
    columns = {name: pc.cast(content[name], pa.string()) for name in content.column_names}
    lines = pa.array(range(1, content.num_rows + 1), pa.int64())
    return pa.table(columns | _places(file, lines, pa.array([0] * len(lines), pa.int32())))


def _csv_text(file: RawFile, source: SourceTable) -> pa.Table:
    """Records of a CSV file; the block reader where nothing can hide a line, else row by row."""
    csv.field_size_limit(LARGEST_CELL)
    plain = _plain_text(file, source)
    if plain is not None:
        return plain
    encoding = (
        "utf-8-sig" if source.encoding.lower().replace("_", "-") == "utf-8" else source.encoding
    )
    try:
        with file.path.open(encoding=encoding, newline="") as lines:
            reader = csv.reader(lines, delimiter=source.separator, strict=True)
            header = _header(next(reader, []), file, source)
            blocks = [_block(header, rows, file) for rows in _blocks(reader)]
    except UnicodeDecodeError:
        raise DataError(_encoding_message(file, source.encoding)) from None
    except csv.Error as error:
        raise DataError(f"{file.name}: line {reader.line_num}: {error}. Mend the quotes.") from None
    return pa.concat_tables(blocks) if blocks else _block(header, ([], [], []), file)


def _plain_text(file: RawFile, source: SourceTable) -> pa.Table | None:
    """A large UTF-8 file without quotes, blank lines or odd rows: record n is line n + 1.

    None when the file is small or any of this does not hold.
    """
    if file.path.stat().st_size < PLAIN_BYTES or source.encoding.lower() not in ("utf-8", "utf8"):
        return None
    lines = 0
    with file.path.open("rb") as content:
        header = content.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
        while block := content.read(store.HASH_BLOCK):
            if b'"' in block or b"\x00" in block:
                return None
            lines += block.count(b"\n")
    names = _header(header.split(source.separator), file, source)
    try:
        text = pyarrow.csv.read_csv(
            file.path,
            pyarrow.csv.ReadOptions(column_names=names, skip_rows=1),
            pyarrow.csv.ParseOptions(delimiter=source.separator, quote_char=False),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if '"' in header or text.num_rows != lines:
        return None
    places = pa.array(range(2, text.num_rows + 2), pa.int64())
    whole = pa.array([0] * text.num_rows, pa.int32())
    columns = {name: text[name] for name in names}
    return pa.table(columns | _places(file, places, whole))


def _header(cells: list[str], file: RawFile, source: SourceTable) -> list[str]:
    header = [cell.strip() for cell in cells]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        places = [str(place) for place, name in enumerate(header, 1) if name == twice[0]]
        raise DataError(
            f"{file.name}: line 1: column {twice[0]!r} stands at {' and '.join(places)}."
        )
    if len(header) == 1 and source.separator not in header[0]:
        for separator in ";\t|":
            if separator in header[0]:
                raise DataError(
                    f"{file.name}: line 1: one column; the separator looks like {separator!r}. "
                    "Declare it as source.tables.<table>.separator."
                )
    return header


def _blocks(reader: csv.reader) -> Iterator[tuple[list[list[str]], list[int], list[int]]]:
    """Records with their first line and field count, in blocks; blank lines are skipped."""
    rows: list[list[str]] = []
    lines: list[int] = []
    line = reader.line_num + 1
    for row in reader:
        if row:
            rows.append(row)
            lines.append(line)
        line = reader.line_num + 1
        if len(rows) == BLOCK_ROWS:
            yield rows, lines, [len(row) for row in rows]
            rows, lines = [], []
    if rows:
        yield rows, lines, [len(row) for row in rows]


def _block(
    header: list[str], block: tuple[list[list[str]], list[int], list[int]], file: RawFile
) -> pa.Table:
    rows, lines, counts = block
    width = len(header)
    if any(count != width for count in counts):
        rows = [(row + [""] * width)[:width] for row in rows]
    cells = zip(*rows, strict=True) if rows else [()] * width
    columns = {
        name: pa.array(values, pa.string()) for name, values in zip(header, cells, strict=True)
    }
    surplus = pa.array([count - width for count in counts], pa.int32())
    return pa.table(columns | _places(file, pa.array(lines, pa.int64()), surplus))


def _places(file: RawFile, lines: pa.Array, surplus: pa.Array) -> dict[str, pa.Array]:
    names = pa.array([file.name] * len(lines), pa.string())
    return {FILE: names, LINE: lines, FIELDS: surplus}


def _encoding_message(file: RawFile, encoding: str) -> str:
    with file.path.open("rb") as content:
        for number, line in enumerate(content, 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError:
                likely = next((name for name in ("cp932", "utf-16") if _decodes(line, name)), None)
                guess = f"; it looks like {likely}" if likely else ""
                return (
                    f"{file.name}: line {number} is not {encoding}{guess}. "
                    "Declare it as source.tables.<table>.encoding or export as UTF-8."
                )
    return f"{file.name} is not {encoding}."


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _renamed(text: pa.Table, table: Table, source: SourceTable | None, file: RawFile) -> pa.Table:
    """Only the columns that are mapped to ours, under our names."""
    mapped = _mapping(table, source)
    found_elsewhere = set(source.lookup) if source else set()
    missing = [
        f"{ours} (as {mapped[ours]!r}{_nearest(mapped[ours], text.column_names)})"
        for ours in mapped
        if mapped[ours] not in text.column_names
        and (ours in table.required_columns or (source and ours in source.columns))
        and ours not in found_elsewhere
    ]
    if missing:
        raise DataError(
            f"{file.name}: missing columns: {', '.join(missing)}. "
            f"The file has: {', '.join(text.column_names[:-3])}. "
            f"Map them in source.tables.{table.name}.columns."
        )
    present = {ours: theirs for ours, theirs in mapped.items() if theirs in text.column_names}
    return text.select([*present.values(), FILE, LINE, FIELDS]).rename_columns(
        [*present, FILE, LINE, FIELDS]
    )


def _mapping(table: Table, source: SourceTable | None) -> dict[str, str]:
    """Ours → theirs: declared columns, attributes and the columns that lookups go by."""
    mapped = {ours: ours for ours in table.columns}
    if source:
        mapped |= source.columns
        mapped |= {
            name: kept.column or name for name, kept in source.attributes.items() if not kept.file
        }
        mapped |= {kept.by: mapped.get(kept.by, kept.by) for kept in source.lookup.values()}
    return mapped


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
