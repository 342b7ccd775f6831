"""What does every export look like once it is open? A header, and cells as text, block by block.

Each form of file (CSV, Parquet, Excel) makes one of these; what follows does not ask which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pipeline.data.reading.files import DataError, RawFile

BLOCK_ROWS = 100_000
"""Records that are in memory at a time."""


@dataclass(frozen=True)
class Block:
    """Some records: the cells of the columns asked for, first lines, fields beyond the header."""

    cells: list[pa.Array | pa.ChunkedArray]
    lines: pa.Array
    surplus: pa.Array


@dataclass(frozen=True)
class Export:
    """An open file: its column names, its records, and how it was read.

    `blocks` takes the places of the wanted columns in the header, each once. `facts` goes to
    extract.json.
    """

    header: list[str]
    blocks: Callable[[Sequence[int]], Iterator[Block]]
    facts: dict[str, object] = field(default_factory=dict)


def named(cells: Sequence[str], file: RawFile, where: str) -> list[str]:
    """A header row as column names; DataError lists the names that stand twice, with places.

    A column without a name can be mapped by nobody; it is called by its place.
    """
    header = [cell.strip() or f"(column {place})" for place, cell in enumerate(cells, 1)]
    places: dict[str, list[str]] = {}
    for place, name in enumerate(header, 1):
        places.setdefault(name, []).append(str(place))
    twice = [
        f"column {name!r} stands at {' and '.join(found)}"
        for name, found in places.items()
        if len(found) > 1
    ]
    if twice:
        raise DataError(
            f"{file.name}: {where}: {'; '.join(twice)}. Nobody can tell which one is meant: "
            "rename or remove one in the export."
        )
    return header


def whole_block(cells: list[pa.Array | pa.ChunkedArray], lines: range) -> Block:
    """Records of one line each, none with more or fewer fields than the header."""
    numbers = pa.array(np.arange(lines.start, lines.stop), pa.int64())
    return Block(cells, numbers, pa.repeat(pa.scalar(0, pa.int32()), len(lines)))


def after(n_records: int, blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks without their first records."""
    for block in blocks:
        n_here = len(block.lines)
        if n_records < n_here:
            cells = [cell[n_records:] for cell in block.cells]
            yield Block(cells, block.lines[n_records:], block.surplus[n_records:])
        n_records = max(n_records - n_here, 0)


def gathered(blocks: Iterator[Block], n_rows: int) -> Iterator[Block]:
    """The same records in their order, at least so many to a block and fewer in the last."""
    waiting: list[Block] = []
    for block in blocks:
        waiting.append(block)
        if sum(len(each.lines) for each in waiting) >= n_rows:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: Sequence[Block]) -> Block:
    each = zip(*(block.cells for block in blocks), strict=True)
    cells = [
        pa.chunked_array([chunk for part in own for chunk in _chunks(part)], pa.string())
        for own in each
    ]
    lines = pa.concat_arrays([block.lines for block in blocks])
    return Block(cells, lines, pa.concat_arrays([block.surplus for block in blocks]))


def _chunks(cells: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]


def texts(values: Sequence[str | None]) -> pa.Array:
    """Cells as an Arrow column of text."""
    return pa.array(values, pa.string())
