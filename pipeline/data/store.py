"""Where do tables live? The only module that opens data files; every write is atomic.

A file appears whole or not at all (`disk` has how, and text, bytes, JSON and folders; all of it
stands here too). Decimals are read as floats for analysis and stay decimals for the engine. A
Parquet file of ours carries a seal, the hash of all its other bytes, and is not read when it does
not fit: a flipped bit in Parquet reads as another number, without an error. Frames come and go,
yet pandas is loaded by those who make one, not by this.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import itertools
import math
import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.data.disk import (
    BUILDING,
    HASH_BLOCK,
    CorruptDataError,
    MissingDataError,
    digest,
    dump_json,
    read_json,
    recover_folder,
    replace_folder,
    replacing,
    set_aside,
    sha256,
    write_bytes,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ALL_DIGITS",
    "BUILDING",
    "FORMULA_STARTS",
    "HASH_BLOCK",
    "MONEY_FROM",
    "NO_SEAL",
    "PLAIN_NUMBER",
    "PUBLISHED_DIGITS",
    "ROWS_TOGETHER",
    "SEAL",
    "SEALED",
    "SEAL_LENGTH",
    "TEXT_DTYPES",
    "CorruptDataError",
    "MissingDataError",
    "appending",
    "check_seal",
    "column_names",
    "digest",
    "dump_json",
    "foreign_parquet_batches",
    "number_text",
    "of_one_size",
    "parquet_cuts",
    "parquet_names",
    "parquet_size",
    "published_csv",
    "published_number",
    "read_frame",
    "read_json",
    "read_parquet",
    "read_published_rows",
    "recover_folder",
    "replace_folder",
    "replacing",
    "seal",
    "set_aside",
    "sha256",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_parquet",
    "write_parquet_parts",
    "write_published_csv",
    "write_text",
    "write_unsealed_parts",
]

PUBLISHED_DIGITS, ALL_DIGITS, MONEY_FROM = 13, 15, 1e9
"""Significant digits of a published number; from a thousand million on, all that a double holds."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins like this; OWASP, CSV injection."""
PLAIN_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?", re.ASCII)
TEXT_DTYPES = ("object", "string", "str")
"""Names of pandas' types of columns that may hold text."""
ROWS_TOGETHER = 1 << 18
"""Rows of a row group: a reader's memory and its share of the work on another core."""
READERS = 2
"""Columns of a table to be made small that are read at the same time, each on a core."""
SEAL = b"lodestar.sha256"
SEAL_LENGTH = 64
NO_SEAL = b"0" * SEAL_LENGTH
"""Stands in place of the seal while the file is hashed."""
SEALED = re.compile(re.escape(SEAL) + rb".{1,6}?([0-9a-f]{64})", re.DOTALL)


def write_parquet(frame: pd.DataFrame | pa.Table, path: Path) -> None:
    """Write one Parquet file and seal it; same rows, same bytes."""
    content = (
        frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    )
    content = content.replace_schema_metadata(None)
    with replacing(path) as temporary:
        with _parquet_writer(temporary, content.schema) as writer:
            writer.write_table(content, row_group_size=ROWS_TOGETHER)
        _seal(temporary)


def write_parquet_parts(parts: Iterator[pa.Table], path: Path) -> None:
    """As `write_parquet`, for tables of one schema one after the other; at least one."""
    with appending(path) as append:
        for part in parts:
            append(part.replace_schema_metadata(None))


def of_one_size(parts: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows, so many to a part and the last one shorter; one empty part for no rows."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(part)
        while sum(map(len, waiting)) > rows:
            together = pa.concat_tables(waiting)
            yield together.slice(0, rows).combine_chunks()
            waiting = [together.slice(rows)]
    yield pa.concat_tables(waiting).combine_chunks()


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file of ours as an Arrow table; decimals stay decimals.

    `columns`: these only, else all. MissingDataError: it is not there. CorruptDataError: its seal
    does not fit.
    """
    check_seal(path)
    with _named_by(path):
        return _content(path, columns)


def _content(
    source: Path | pa.NativeFile, columns: Sequence[str] | None, is_alone: bool = True
) -> pa.Table:
    """Columns of a file; `is_alone` False: others read beside, so that this takes one core."""
    file = pq.ParquetFile(source, page_checksum_verification=True)
    content = file.read(columns, use_threads=is_alone)
    content.validate(full=True)  # text that is not UTF-8, places beyond the end
    return content.replace_schema_metadata(None)


def foreign_parquet_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """So many rows at a time of a file that others may have written; a seal of ours is checked.

    `columns`: these only.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    if _place_of_seal(path):
        check_seal(path)
    with _named_by(path):
        content = pq.ParquetFile(path, page_checksum_verification=True)
        for batch in content.iter_batches(rows, columns=list(columns)):
            batch.validate(full=True)
            yield pa.Table.from_batches([batch]).replace_schema_metadata(None)


def write_unsealed_parts(parts: Iterator[pa.Table], path: Path) -> None:
    """Write tables of one schema as one Parquet file that only this run reads: without a seal."""
    first = next(parts)
    with pq.ParquetWriter(path, first.schema, compression="lz4", write_statistics=False) as writer:
        for part in itertools.chain([first], parts):
            writer.write_table(part)


def parquet_names(path: Path) -> list[str]:
    """The columns of a Parquet file, in its order."""
    with _named_by(path):
        return list(pq.read_schema(path).names)


def parquet_size(path: Path) -> tuple[int, int]:
    """Rows and columns of a Parquet file, from its footer alone."""
    with _named_by(path):
        found = pq.read_metadata(path)
        return found.num_rows, found.num_columns


def parquet_cuts(path: Path, column: str, rows_at_once: int) -> list[str]:
    """Values of a text column that cut a file into slices of about so many rows; maybe none.

    Slices are cut where row groups begin, so a file sorted by the column is read about once; in
    any other order the slices are as whole, and cost more.
    """
    with _named_by(path):
        found = pq.read_metadata(path)
    place = found.schema.names.index(column)
    cuts, n_rows = [], 0
    for group in range(found.num_row_groups):
        own = found.row_group(group)
        statistics = own.column(place).statistics
        if n_rows + own.num_rows > rows_at_once and n_rows and statistics:
            cuts.append(str(statistics.min))
            n_rows = 0
        n_rows += own.num_rows
    return sorted(set(cuts))


@contextlib.contextmanager
def _named_by(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptDataError(
            f"{path} cannot be read as Parquet ({error}). Export it again or run `dvc checkout`."
        ) from None


def check_seal(path: Path) -> None:
    """CorruptDataError when a Parquet file of ours is not, byte by byte, what was written."""
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    place = _place_of_seal(path)
    if place and _sealed_hash(path, place) == _bytes_at(path, place):
        return
    raise CorruptDataError(
        f"{path} is not what was written: {'its hash does not fit' if place else 'it has no seal'}."
        " A bit may have flipped, or another program wrote there. Delete it and run again, or run "
        "`dvc checkout`."
    )


def seal(path: Path) -> str:
    """The hash that a Parquet file of ours bears: it names the content, and costs one look."""
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    place = _place_of_seal(path)
    if place is None:
        check_seal(path)
    return _bytes_at(path, place or 0).decode()


def _seal(path: Path) -> None:
    """Write the hash of a file into its own footer, where as many zeros stand."""
    place = _place_of_seal(path)
    if place is None:
        raise CorruptDataError(f"{path}: the place of the seal was not written.")
    seal = _sealed_hash(path, place)
    with path.open("r+b") as content:
        content.seek(place)
        content.write(seal)


def _place_of_seal(path: Path) -> int | None:
    """Where the 64 digits of the seal stand; None when the file has none."""
    with path.open("rb") as content:
        if os.fstat(content.fileno()).st_size == 0:
            return None
        with mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            key = whole.rfind(SEAL)
            found = SEALED.match(whole, key) if key >= 0 else None
            return found.start(1) if found else None


def _sealed_hash(path: Path, place: int) -> bytes:
    """The hash of a file as if zeros stood in place of its seal."""
    hashing = hashlib.sha256()
    with path.open("rb") as content:
        left = place
        while left and (block := content.read(min(left, HASH_BLOCK))):
            hashing.update(block)
            left -= len(block)
        content.seek(SEAL_LENGTH, os.SEEK_CUR)
        hashing.update(NO_SEAL)
        while block := content.read(HASH_BLOCK):
            hashing.update(block)
    return hashing.hexdigest().encode()


def _bytes_at(path: Path, place: int) -> bytes:
    with path.open("rb") as content:
        content.seek(place)
        return content.read(SEAL_LENGTH)


def column_names(path: Path) -> list[str]:
    """The columns of one Parquet file, without its rows."""
    return list(pq.read_schema(path).names)


def read_frame(
    path: Path, columns: Sequence[str] | None = None, is_compact: bool = False
) -> pd.DataFrame:
    """Read one Parquet file for analysis: decimals as floats, days as datetime64.

    `columns`: these only, else all. `is_compact`: texts as categories, whole numbers in the
    smallest type that holds them, for a table of millions of rows.

    Returns:
        One row per row of the file, columns as it declares them.
    """
    if is_compact:
        content = _compact(path, columns)
        rows = content.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
        del content
        pa.default_memory_pool().release_unused()  # else it keeps what millions of rows took
        return rows
    content = read_parquet(path, columns)
    for place, name in enumerate(content.column_names):
        content = content.set_column(place, name, _for_analysis(content.column(place)))
    return content.to_pandas(date_as_object=False)


def _compact(path: Path, columns: Sequence[str] | None) -> pa.Table:
    """Texts by number, numbers small. A column at a time: few are ever held at full size.

    All are read from one open file, so that another one in its place mixes nothing.
    """
    check_seal(path)
    with _named_by(path), pa.memory_map(str(path)) as file:

        def compact(name: str) -> pa.ChunkedArray:
            column = _for_analysis(_content(file, [name], is_alone=False).column(0))
            if pa.types.is_string(column.type):
                return pc.dictionary_encode(column)
            return column.cast(_smallest(column)) if pa.types.is_integer(column.type) else column

        there = pq.read_schema(file).names
        asked = there if columns is None else dict.fromkeys(columns)
        names = [name for name in asked if name in there]
        with futures.ThreadPoolExecutor(READERS) as readers:
            return pa.table(list(readers.map(compact, names)), names=names)


def _for_analysis(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return column.cast(pa.timestamp("us")) if pa.types.is_date(column.type) else column


def _smallest(values: pa.ChunkedArray) -> pa.DataType:
    """The smallest type that holds whole numbers exactly; with blanks, a float."""
    span = pc.min_max(values).as_py()
    largest = max(abs(span["min"] or 0), abs(span["max"] or 0))
    if values.null_count:
        return pa.float32() if largest <= 2**24 else pa.float64()
    fitting = [kind for kind in (pa.int8(), pa.int16(), pa.int32())
               if largest < 2 ** (kind.bit_width - 1)]  # fmt: skip
    return fitting[0] if fitting else pa.int64()


def write_csv(frame: pd.DataFrame | pa.Table, path: Path) -> None:
    """Write UTF-8 CSV as received exports look: header, comma; missing is empty."""
    content = (
        frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    )
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with replacing(path) as temporary:
        pyarrow.csv.write_csv(content, temporary, options)


@contextlib.contextmanager
def appending(path: Path, *, only_if_changed: bool = False) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends tables of one schema to a CSV or Parquet file; whole at the end."""
    with (
        replacing(path, only_if_changed=only_if_changed) as temporary,
        contextlib.ExitStack() as stack,
    ):
        writers: list[pyarrow.csv.CSVWriter | pq.ParquetWriter] = []
        is_parquet = path.suffix == ".parquet"
        grouped = {"row_group_size": ROWS_TOGETHER} if is_parquet else {}

        def append(rows: pa.Table) -> None:
            if not writers:
                writers.append(stack.enter_context(_writer(temporary, rows.schema, path.suffix)))
            writers[0].write_table(rows, **grouped)

        yield append
        stack.close()
        if writers and is_parquet:
            _seal(temporary)


def _writer(
    temporary: Path, schema: pa.Schema, suffix: str
) -> pyarrow.csv.CSVWriter | pq.ParquetWriter:
    if suffix == ".parquet":
        return _parquet_writer(temporary, schema)
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    return pyarrow.csv.CSVWriter(temporary, schema, write_options=options)


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer whose footer has room for the seal."""
    writer = pq.ParquetWriter(path, schema, compression="zstd", store_schema=False)
    writer.add_key_value_metadata({SEAL.decode(): NO_SEAL.decode()})
    return writer


def published_csv(frame: pd.DataFrame) -> str:
    """CSV text for readers: published numbers, ISO dates, no cell that a spreadsheet runs."""
    safe = frame.copy()
    for name in safe.columns:
        if safe[name].dtype.name == "category":
            safe[name] = safe[name].astype(object)
        if safe[name].dtype.kind == "M":
            safe[name] = safe[name].dt.strftime("%Y-%m-%d")
        elif safe[name].dtype.name in TEXT_DTYPES:
            safe[name] = safe[name].map(_defused)
    safe.columns = [_defused(name) for name in safe.columns]
    return safe.to_csv(index=False, lineterminator="\n", float_format=number_text)


def published_number(value: float) -> float:
    """A number as every artefact has it: the last bits differ from machine to machine, these not.

    Large ones, sums of money, keep what holds their cents.
    """
    return float(number_text(value))


def number_text(value: float) -> str:
    """A published number as text, as a published table holds it."""
    digits = ALL_DIGITS if abs(value) >= MONEY_FROM else PUBLISHED_DIGITS
    return f"{value:.{digits}g}"


def _defused(cell: Any) -> Any:
    if isinstance(cell, float) and math.isfinite(cell):
        return number_text(cell)
    if (
        not isinstance(cell, str)
        or not cell.startswith(FORMULA_STARTS)
        or PLAIN_NUMBER.fullmatch(cell)
    ):
        return cell
    return f"'{cell}"


def write_published_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a published table."""
    write_text(published_csv(frame), path)


def read_published_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a published table as text, column by column; MissingDataError names the file."""
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
