"""Where do tables live? The only module that opens data files; every write is atomic.

A file appears whole or not at all: it is written beside its place, flushed to disk and renamed.
Decimals are read as floats for analysis and stay decimals for the engine.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
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


class MissingDataError(Exception):
    """A file that a step needs is not there (exit code 66)."""


class CorruptDataError(Exception):
    """A file cannot be read, or its content is not what was recorded (exit code 65)."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
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
    """Write one Parquet file; same rows, same bytes."""
    content = (
        frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    )
    content = content.replace_schema_metadata(None)
    with replacing(path) as temporary:
        pq.write_table(content, temporary, compression="zstd", store_schema=False)


def read_parquet(path: Path) -> pa.Table:
    """Read one Parquet file as an Arrow table; decimals stay decimals."""
    if not path.is_file():
        raise MissingDataError(f"{path} is missing.")
    try:
        return pq.read_table(path, partitioning=None)
    except pa.ArrowException as error:
        raise CorruptDataError(
            f"{path} cannot be read as Parquet ({error}). Export it again or run `dvc checkout`."
        ) from None


def read_frame(path: Path) -> pd.DataFrame:
    """Read one Parquet file for analysis: decimals as floats, days as datetime64."""
    content = read_parquet(path)
    for position, column in enumerate(content.schema):
        if pa.types.is_decimal(column.type):
            values = pc.cast(content.column(position), pa.float64())
            content = content.set_column(position, column.name, values)
        elif pa.types.is_date(column.type):
            values = pc.cast(content.column(position), pa.timestamp("us"))
            content = content.set_column(position, column.name, values)
    return content.to_pandas(date_as_object=False)


def write_csv(frame: pd.DataFrame | pa.Table, path: Path) -> None:
    """Write UTF-8 CSV as received exports look: header, comma; missing is empty."""
    content = (
        frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    )
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    with replacing(path) as temporary:
        pyarrow.csv.write_csv(content, temporary, options)


@contextlib.contextmanager
def appending(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends tables of one schema to a CSV or Parquet file; whole at the end."""
    with replacing(path) as temporary, contextlib.ExitStack() as stack:
        writers: list[pyarrow.csv.CSVWriter | pq.ParquetWriter] = []

        def append(rows: pa.Table) -> None:
            if not writers:
                writers.append(stack.enter_context(_writer(temporary, rows.schema, path.suffix)))
            writers[0].write_table(rows)

        yield append


def _writer(
    temporary: Path, schema: pa.Schema, suffix: str
) -> pyarrow.csv.CSVWriter | pq.ParquetWriter:
    if suffix == ".parquet":
        return pq.ParquetWriter(temporary, schema, compression="zstd", store_schema=False)
    options = pyarrow.csv.WriteOptions(quoting_style="needed")
    return pyarrow.csv.CSVWriter(temporary, schema, write_options=options)


def published_csv(frame: pd.DataFrame) -> str:
    """CSV text for readers: published numbers, ISO dates, no cell that a spreadsheet runs."""
    safe = frame.copy()
    for name in safe.columns:
        if pd.api.types.is_datetime64_any_dtype(safe[name]):
            safe[name] = safe[name].dt.strftime("%Y-%m-%d")
        elif safe[name].dtype == object or isinstance(safe[name].dtype, pd.StringDtype):
            safe[name] = safe[name].map(_defused)
    return safe.to_csv(index=False, lineterminator="\n", float_format=_number_text)


def published_number(value: float) -> float:
    """A number as every artefact has it: the last bits differ from machine to machine, these not.

    Large ones, sums of money, keep what holds their cents.
    """
    digits = ALL_DIGITS if abs(value) >= MONEY_FROM else PUBLISHED_DIGITS
    return float(f"{value:.{digits}g}")


def _number_text(value: float) -> str:
    return f"{published_number(value):.{ALL_DIGITS}g}"


def _defused(cell: Any) -> Any:
    if isinstance(cell, float) and math.isfinite(cell):
        return _number_text(cell)
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
