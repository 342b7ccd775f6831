"""What does a Parquet file say? Typed cells as the text that a CSV export would have.

Days and moments become ISO 8601 (a moment with a zone in UTC), decimals keep every digit, lists and
structures become JSON. A line is the number of the row. The subtle point: a flipped bit reads as
another number, so a hash that is recorded for the file is compared before anything is read.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import store
from pipeline.data.reading.export import BLOCK_ROWS, Block, Export, named, whole_block
from pipeline.data.reading.files import DataError, RawFile
from pipeline.settings import SourceTable

DATABASE_EXTRACT = "extract-of-database.json"
"""Beside the files that were taken from a database: their hashes."""
LISTED = re.compile(r"[0-9a-f]{64}", re.ASCII)


@contextlib.contextmanager
def opened(file: RawFile, source: SourceTable, largest_mb: int) -> Iterator[Export]:
    """A Parquet file, its hash compared; DataError when it is damaged, CorruptDataError likewise.

    `largest_mb` has been compared with its size on disk.
    """
    _check_hash(file)
    names = store.parquet_names(file.path)

    def blocks(places: Sequence[int]) -> Iterator[Block]:
        wanted = [names[place] for place in places]
        n_before = 0
        for content in store.foreign_parquet_batches(file.path, wanted or names[:1], BLOCK_ROWS):
            cells = [
                _as_text(content[name], source.decimal, f"{file.name}: column {name!r}")
                for name in wanted
            ]
            n_after = n_before + content.num_rows
            yield whole_block(cells, range(n_before + 1, n_after + 1))
            n_before = n_after

    yield Export(named(names, file, "columns"), blocks)


def _check_hash(file: RawFile) -> None:
    """Compare with `<file>.sha256` beside it, and with what the extract of a database recorded."""
    beside = file.path.with_name(f"{file.path.name}.sha256")
    recorded = {}
    if beside.is_file():
        found = LISTED.search(beside.read_text(encoding="utf-8", errors="replace").lower())
        recorded[beside.name] = found[0] if found else None
    extract = file.path.with_name(DATABASE_EXTRACT)
    if extract.is_file():
        tables = store.read_json(extract).get("tables", {})
        if facts := tables.get(file.path.name.removesuffix(".parquet")):
            recorded[extract.name] = facts.get("sha256")
    if not recorded:
        return
    current = store.sha256(file.path)
    for name, sha256 in recorded.items():
        if sha256 != current:
            raise DataError(
                f"{file.name}: its content is not what {name} recorded (SHA-256 {current[:12]}…, "
                f"recorded {str(sha256)[:12]}…). It was damaged or changed since: take the "
                "extract or copy the file again."
            )


def _as_text(cells: pa.ChunkedArray, decimal: str, where: str) -> pa.ChunkedArray:
    """One column as text; a missing value stays missing."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return _as_text(cells.cast(kind.value_type), decimal, where)
    if pa.types.is_nested(kind):
        values = [None if cell is None else _json(cell) for cell in cells.to_pylist()]
        return pa.chunked_array([values], pa.string())
    if _is_binary(kind):
        raise DataError(
            f"{where} holds bytes, not text, so nobody can say what they mean. "
            "Export it as text, or map another column."
        )
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        values = [None if cell is None else str(cell) for cell in cells.to_pylist()]
        return pa.chunked_array([values], pa.string())
    if pa.types.is_timestamp(kind) and kind.tz:
        cells = cells.cast(pa.timestamp(kind.unit, "UTC"))
    text = pc.cast(cells, pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _as_digits(text, decimal)
    return text


def _is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _as_digits(text: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    """Numbers without an exponent, with the declared decimal mark; nan and inf stay words."""
    if pc.any(pc.match_substring_regex(text, r"[0-9][eE]")).as_py():
        values = [
            digits(Decimal(cell)) if _has_exponent(cell) else cell for cell in text.to_pylist()
        ]
        text = pa.chunked_array([values], pa.string())
    return pc.replace_substring(text, ".", decimal) if decimal != "." else text


def _has_exponent(cell: str | None) -> bool:
    return re.search("[0-9][eE]", cell or "") is not None


def digits(number: Decimal) -> str:
    """A number written out, without an exponent."""
    return format(number, "f")


def _json(cell: object) -> str:
    return json.dumps(cell, ensure_ascii=False, default=str)
