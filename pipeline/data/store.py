"""Where do tables live? The only module that opens data files; every write is atomic.

A file appears whole or not at all: it is written beside its place, flushed to disk and renamed.
Decimals are read as floats for analysis and stay decimals for the engine. A Parquet file of ours
carries a seal, the hash of all its other bytes, and is not read when it does not fit: a flipped bit
in Parquet reads as another number, without an error.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import itertools
import json
import math
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

PUBLISHED_DIGITS, ALL_DIGITS, MONEY_FROM = 13, 15, 1e9
"""Significant digits of a published number; from a thousand million on, all that a double holds."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins like this; OWASP, CSV injection."""
PLAIN_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?", re.ASCII)
HASH_BLOCK = 1 << 20
ROWS_TOGETHER = 1 << 18
"""Rows of a row group: a reader's memory and its share of the work on another core."""
SEAL = b"lodestar.sha256"
SEAL_LENGTH = 64
NO_SEAL = b"0" * SEAL_LENGTH
"""Stands in place of the seal while the file is hashed."""
SEALED = re.compile(re.escape(SEAL) + rb".{1,6}?([0-9a-f]{64})", re.DOTALL)


class MissingDataError(Exception):
    """A file that a step needs is not there (exit code 66)."""


class CorruptDataError(Exception):
    """A file cannot be read, or its content is not what was recorded (exit code 65)."""


@contextlib.contextmanager
def replacing(path: Path, *, only_if_changed: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    `only_if_changed`: a file with the same bytes is left alone, its time included.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        if only_if_changed and path.is_file() and sha256(path) == sha256(temporary):
            return
        temporary.replace(path)
        _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text; newlines as they stand."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(content: Any, path: Path) -> None:
    """Write JSON, sorted by key, no NaN: a missing number is null."""
    write_text(dump_json(content), path)


def dump_json(content: Any) -> str:
    """JSON text with sorted keys; NaN and infinity are refused."""
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read JSON; MissingDataError or CorruptDataError names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is not JSON: {error}") from None


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


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, levels: Sequence[str] = ()
) -> pa.Table:
    """Read one Parquet file of ours as an Arrow table; decimals stay decimals.

    `columns`: these only, else all; `levels`: texts kept by number. MissingDataError: it is not
    there. CorruptDataError: its seal does not fit.
    """
    check_seal(path)
    return read_foreign_parquet(path, columns, levels)


def read_foreign_parquet(
    path: Path, columns: Sequence[str] | None = None, levels: Sequence[str] = ()
) -> pa.Table:
    """Read a Parquet file that others may have written; a seal of ours is checked all the same.

    `columns`: these only, else all; `levels`: texts kept by number.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    if _place_of_seal(path):
        check_seal(path)
    with _named_by(path):
        content = pq.ParquetFile(
            path, page_checksum_verification=True, read_dictionary=list(levels)
        ).read(columns)
        content.validate(full=True)  # text that is not UTF-8, places beyond the end
    return content.replace_schema_metadata(None)


def foreign_parquet_batches(path: Path, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
    """As `read_foreign_parquet`, so many rows at a time."""
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
    with pq.ParquetWriter(path, first.schema, compression="lz4") as writer:
        for part in itertools.chain([first], parts):
            writer.write_table(part)


def parquet_names(path: Path) -> list[str]:
    """The columns of a Parquet file, in its order."""
    with _named_by(path):
        return list(pq.read_schema(path).names)


def parquet_texts(path: Path) -> list[str]:
    """The columns of a Parquet file that hold text."""
    if not path.is_file():
        return []
    with _named_by(path):
        return [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]


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
    content = read_parquet(path, columns, parquet_texts(path) if is_compact else ())
    for position, column in enumerate(content.schema):
        if pa.types.is_decimal(column.type):
            values = pc.cast(content.column(position), pa.float64())
            content = content.set_column(position, column.name, values)
        elif pa.types.is_date(column.type):
            values = pc.cast(content.column(position), pa.timestamp("us"))
            content = content.set_column(position, column.name, values)
        elif is_compact and pa.types.is_integer(column.type):
            values = pc.cast(content.column(position), _smallest(content.column(position)))
            content = content.set_column(position, column.name, values)
    if is_compact:
        rows = content.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
        del content
        pa.default_memory_pool().release_unused()  # else it keeps what millions of rows took
        return rows
    return content.to_pandas(date_as_object=False)


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
        if isinstance(safe[name].dtype, pd.CategoricalDtype):
            safe[name] = safe[name].astype(object)
        if pd.api.types.is_datetime64_any_dtype(safe[name]):
            safe[name] = safe[name].dt.strftime("%Y-%m-%d")
        elif safe[name].dtype == object or isinstance(safe[name].dtype, pd.StringDtype):
            safe[name] = safe[name].map(_defused)
    safe.columns = [_defused(name) for name in safe.columns]
    return safe.to_csv(index=False, lineterminator="\n", float_format=number_text)


def published_number(value: float) -> float:
    """A number as every artefact has it: the last bits differ from machine to machine, these not.

    Large ones, sums of money, keep what holds their cents.
    """
    digits = ALL_DIGITS if abs(value) >= MONEY_FROM else PUBLISHED_DIGITS
    return float(f"{value:.{digits}g}")


def number_text(value: float) -> str:
    """A published number as text, as a published table holds it."""
    return f"{published_number(value):.{ALL_DIGITS}g}"


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


def replace_folder(finished: Path, place: Path) -> None:
    """Put a finished folder where another may stand: flushed, then renamed, whole or not at all."""
    for folder in (finished, *(path for path in finished.rglob("*") if path.is_dir())):
        _flush_folder(folder)
    old = set_aside(place)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        finished.rename(place)
    except BaseException:
        recover_folder(place)
        raise
    _flush_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(place: Path) -> None:
    """After a crash between the two renames of `replace_folder`: the last folder comes back."""
    if set_aside(place).exists() and not place.exists():
        set_aside(place).rename(place)


def set_aside(place: Path) -> Path:
    """Where the last folder stands while another takes its place."""
    return place.with_name(f".{place.name}.old")


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return digest(path, hashlib.sha256())


def digest(path: Path, hashing: Any) -> str:
    """Hash of a file's bytes by a hashlib object."""
    with path.open("rb") as content:
        while block := content.read(HASH_BLOCK):
            hashing.update(block)
    return str(hashing.hexdigest())
