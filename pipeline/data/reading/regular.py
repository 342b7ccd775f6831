"""Which parts of a CSV file can be read all at once? Those in which every line is one whole record.

Reads some lines of UTF-8 bytes; makes their cells as text. A part is regular when no line is blank,
no line break, NUL or lone carriage return stands in a cell, and a quote only begins a cell, ends it
or stands twice in it. The subtle point: Arrow takes what is not (`a"b"c`, text after a closing
quote) in its own way and without a word, so this is proved on the bytes before Arrow sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

QUOTE, NEWLINE = b'"'[0], b"\n"[0]
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Arrow drops it at the start of whatever it reads; within a file it is a letter."""
LONGEST_LINE = 4
"""In blocks: a file with a longer line is not cut."""


class IrregularError(Exception):
    """The bytes cannot be cut, or say something else by Arrow than record by record."""


def parts(content: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    """The bytes about a block at a time, each part but the last ending with a line.

    A part ends outside quotes as far as counting quotes tells. IrregularError: a line is too long.
    """
    rest = b""
    while block := content.read(block_bytes):
        rest += block
        if end := _end(rest):
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > LONGEST_LINE * block_bytes:
            raise IrregularError("a line that is longer than some blocks")
    if rest:
        yield rest


def _end(part: bytes) -> int:
    """Where the last line ends before which quotes are even, or the last line; 0 without a line."""
    last = part.rfind(b"\n") + 1
    if part.count(b'"', 0, last) % 2 == 0:
        return last
    quotes, newlines = _places(part)
    even = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    return int(even[-1]) + 1 if len(even) else last


def is_regular(part: bytes, separator: str) -> bool:
    """True when line n is record n, by Arrow as record by record; it begins where a line does.

    Quotes are opening and closing in turn: an opening one must stand at the start of a cell or
    after a closing one (`""` in a cell), a closing one at the end of a cell or before an opening
    one, and before each line break their count is even. Cost: a few passes over the bytes.
    """
    if part.startswith((b"\n", b"\r", BYTE_ORDER_MARK)) or b"\x00" in part:
        return False
    if b"\n\n" in part or b"\n\r" in part or part.count(b"\r") != part.count(b"\r\n"):
        return False
    return _is_text(part) and (b'"' not in part or _has_regular_quotes(part, separator))


def _is_text(part: bytes) -> bool:
    if part.isascii():
        return True
    try:
        part.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _has_regular_quotes(part: bytes, separator: str) -> bool:
    quotes, newlines = _places(part)
    if len(quotes) % 2 or (np.searchsorted(quotes, newlines) % 2).any():
        return False
    is_border = np.zeros(256, bool)
    is_border[[QUOTE, NEWLINE, ord("\r"), ord(separator)]] = True
    opening, closing = quotes[::2], quotes[1::2]
    letters = np.frombuffer(part, np.uint8)
    before = letters[opening[int(opening[0] == 0) :] - 1]
    after = letters[closing[: len(closing) - int(closing[-1] == len(part) - 1)] + 1]
    return bool(is_border[before].all() and is_border[after].all())


def _places(part: bytes) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where the quotes and the line breaks stand."""
    letters = np.frombuffer(part, np.uint8)
    return np.flatnonzero(letters == QUOTE), np.flatnonzero(letters == NEWLINE)


def n_lines(part: bytes) -> int:
    """Lines of a regular part."""
    return part.count(b"\n") + (not part.endswith(b"\n"))


def cells(part: bytes, separator: str, width: int, places: Sequence[int]) -> list[pa.ChunkedArray]:
    """The cells of some columns of a regular part.

    IrregularError: a line has more or fewer cells than the header.
    """
    names = [str(place) for place in range(width)]
    wanted = [names[place] for place in places]
    try:
        rows = pyarrow.csv.read_csv(
            pa.py_buffer(part),
            pyarrow.csv.ReadOptions(
                column_names=names, block_size=len(part) + 1, use_threads=False
            ),
            pyarrow.csv.ParseOptions(delimiter=separator),
            pyarrow.csv.ConvertOptions(
                include_columns=wanted or names[:1],
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise IrregularError(str(error)) from None
    if rows.num_rows != n_lines(part):
        raise IrregularError("Arrow found other records than lines")
    return [rows[name] for name in wanted]
