"""What does a CSV file say, letter by letter? Records as text, each with the line it begins on.

Separator and encoding are declared, never guessed; only a byte-order mark may say UTF-8 or UTF-16
by itself. The subtle point: an open quote swallows rows and can be closed by a later one, so that
the record looks whole. Lines that would each be a record by themselves betray it.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data.reading import packed, regular
from pipeline.data.reading.encodings import encoding_of, explained
from pipeline.data.reading.export import (
    BLOCK_ROWS,
    Block,
    Export,
    after,
    gathered,
    named,
    texts,
    whole_block,
)
from pipeline.data.reading.files import DataError, RawFile
from pipeline.settings import SourceTable

WHOLE_BYTES = 50_000
"""Below this size a file is read whole, record by record."""
BLOCK_BYTES = 1 << 20
"""Bytes of a part; what is odd in one makes this many slow."""
LARGEST_CELL = 10_000_000
OTHER_SEPARATORS = ";\t|,"


@contextlib.contextmanager
def opened(file: RawFile, source: SourceTable, largest_mb: int) -> Iterator[Export]:
    """An open CSV file; by parts, each at once where nothing hides a line, else record by record.

    DataError names file and line: another encoding, quotes that do not close, a damaged archive.
    """
    csv.field_size_limit(LARGEST_CELL)
    encoding, has_mark = encoding_of(file, source, largest_mb)
    facts: dict[str, object] = {"encoding": encoding, "has_byte_order_mark": has_mark}
    if (names := _header_line(file, source, encoding)) is not None:
        width = len(names)
        with explained(file, encoding, largest_mb):
            yield Export(names, lambda places: _blocks_of_parts(file, source, width, places), facts)
        return
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    with (
        explained(file, encoding, largest_mb),
        packed.opened(file, largest_mb) as content,
        io.TextIOWrapper(content, encoding=codec, newline="") as text,
    ):
        records = _Records(file, source, text)
        header = _header(records.header(), records.first_line, file, source)
        yield Export(header, lambda places: records.blocks(len(header), places), facts)


class _Records:
    """Records of an open CSV text, checked against its physical lines."""

    def __init__(self, file: RawFile, source: SourceTable, text: Iterable[str]) -> None:
        self.file, self.source, self.text = file, source, text
        self.lines: list[str] = []
        self.first_line = 1
        self.reader = csv.reader(self._remembered(), delimiter=source.separator, strict=True)

    def _remembered(self) -> Iterator[str]:
        """The physical lines, keeping those of the record that is being read."""
        for line in self.text:
            self.lines.append(line)
            yield line

    def header(self) -> list[str]:
        """The first record that is not blank; `first_line` says where it begins."""
        for record in self._records():
            if record:
                return record
        return []

    def blocks(self, width: int, places: Sequence[int]) -> Iterator[Block]:
        """Records after the header, in blocks; blank lines are no records."""
        rows: list[list[str]] = []
        lines: list[int] = []
        is_first = True
        for row in self._records():
            if not row:
                continue
            if len(self.lines) > 1 and not self.source.line_breaks:
                self._check_swallowed(width)
            if is_first and len(row) > width:
                raise self._shifted(row, width)
            is_first = False
            rows.append(row)
            lines.append(self.first_line)
            if len(rows) == BLOCK_ROWS:
                yield _block(rows, lines, width, places)
                rows, lines = [], []
        if rows:
            yield _block(rows, lines, width, places)

    def _records(self) -> Iterator[list[str]]:
        while True:
            self.first_line = self.reader.line_num + 1
            self.lines.clear()
            try:
                row = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._broken(error) from None
            yield row

    def _broken(self, error: csv.Error) -> DataError:
        """A record that breaks off, told by the line on which its last quote opens."""
        opens = self.first_line + _line_of_open_quote(self.lines, self.source.separator)
        found = self.reader.line_num
        if "field larger" in str(error):
            what = f"a cell has more than {LARGEST_CELL:,} characters; is its quote never closed?"
        elif "unexpected end" in str(error):
            what = f"a quote opens here and is not closed by the end of the file (line {found})"
        elif found > opens:
            what = f"a quote opens here and is closed on line {found} in the middle of a cell"
        else:
            what = "text follows a closing quote"
        return DataError(
            f"{self.file.name}: line {opens}: {what}. The rows after it cannot be told apart. "
            'Mend the quotes: a quote inside a quoted cell is written twice ("").'
        )

    def _check_swallowed(self, width: int) -> None:
        """A record over several lines of which more than one would be a record by itself."""
        separator = self.source.separator
        whole = sum(line.count(separator) == width - 1 for line in self.lines)
        if width > 1 and whole > 1:
            raise DataError(
                f"{self.file.name}: line {self.first_line}: the record that begins here runs to "
                f"line {self.reader.line_num}, and {whole} of its {len(self.lines)} lines look "
                "like records of their own: a quote that is not closed swallows rows. Mend the "
                "quote; where cells hold such lines, set source.tables.<table>.line_breaks: true."
            )

    def _shifted(self, row: list[str], width: int) -> DataError:
        """More cells than names in the first record: every cell may stand under a wrong name."""
        return DataError(
            f"{self.file.name}: line {self.first_line}: the first record has {len(row)} cells and "
            f"the header {width} names, so no cell is sure to stand under its name. "
            "Name every column, or quote the cells that hold a separator."
        )


def _block(rows: list[list[str]], lines: list[int], width: int, places: Sequence[int]) -> Block:
    counts = [len(row) for row in rows]
    if any(count != width for count in counts):
        rows = [(row + [""] * width)[:width] for row in rows]
    cells = list(zip(*rows, strict=True))
    surplus = pa.array([count - width for count in counts], pa.int32())
    return Block([texts(cells[place]) for place in places], pa.array(lines, pa.int64()), surplus)


def _header(cells: list[str], line: int, file: RawFile, source: SourceTable) -> list[str]:
    if len(cells) == 1 and source.separator not in cells[0]:
        for separator in OTHER_SEPARATORS:
            if separator in cells[0]:
                raise DataError(
                    f"{file.name}: line {line}: one column; the separator looks like "
                    f"{separator!r}. Declare it as source.tables.<table>.separator."
                )
    return named(cells, file, f"line {line}")


def _line_of_open_quote(lines: Sequence[str], separator: str) -> int:
    """How many lines after the first the last quoted cell of these begins."""
    state, opened_on = "start", 0
    for number, line in enumerate(lines):
        for letter in line:
            if state == "quoted":
                state = "closing" if letter == '"' else state
            elif letter == '"' and state in ("start", "closing"):  # two quotes: the cell goes on
                opened_on = number if state == "start" else opened_on
                state = "quoted"
            else:
                state = "start" if letter in (separator, "\n", "\r") else "plain"
    return opened_on


# Larger files, part by part.


def _header_line(file: RawFile, source: SourceTable, encoding: str) -> list[str] | None:
    """Column names of a UTF-8 file that may be read part by part; None when it may not."""
    if file.form != ".csv" or encoding != "utf-8" or not source.separator.isascii():
        return None
    if file.path.stat().st_size < WHOLE_BYTES:
        return None
    with file.path.open("rb") as content:
        first = content.readline(LARGEST_CELL).removeprefix(codecs.BOM_UTF8)
    if not first.endswith(b"\n") or not regular.is_regular(first, source.separator):
        return None
    (cells,) = csv.reader([first.decode()], delimiter=source.separator, strict=True)
    return _header(cells, 1, file, source)


def _blocks_of_parts(
    file: RawFile, source: SourceTable, width: int, places: Sequence[int]
) -> Iterator[Block]:
    """Records after the header; the whole file record by record where a part cannot stand alone.

    Such a part is in error, or a cell goes on in the next one: only the whole file tells which.
    """
    n_before = 0
    try:
        for block in gathered(_pieces(file, source, width, places), BLOCK_ROWS):
            yield block
            n_before += len(block.lines)
    except (regular.IrregularError, UnicodeError, DataError):
        with file.path.open(encoding="utf-8-sig", newline="") as text:
            records = _Records(file, source, text)
            records.header()
            yield from after(n_before, records.blocks(width, places))


def _pieces(
    file: RawFile, source: SourceTable, width: int, places: Sequence[int]
) -> Iterator[Block]:
    """The records of each part, all at once where it is regular, else record by record."""
    n_before = 1
    with file.path.open("rb") as content:
        content.readline(LARGEST_CELL)
        for part in regular.parts(content, BLOCK_BYTES):
            if (cells := _at_once(part, source, width, places)) is not None:
                n_after = n_before + regular.n_lines(part)
                yield whole_block(cells, range(n_before + 1, n_after + 1))
                n_before = n_after
                continue
            with io.StringIO(part.decode("utf-8"), newline="") as text:
                records = _Records(file, source, text)
                for block in records.blocks(width, places):
                    yield Block(block.cells, pc.add(block.lines, n_before), block.surplus)
            n_before += records.reader.line_num


def _at_once(
    part: bytes, source: SourceTable, width: int, places: Sequence[int]
) -> list[pa.ChunkedArray] | None:
    """The cells of a part whose lines are records with the header's number of cells, else None."""
    if len(part) > LARGEST_CELL or not regular.is_regular(part, source.separator):
        return None
    try:
        return regular.cells(part, source.separator, width, places)
    except regular.IrregularError:
        return None
