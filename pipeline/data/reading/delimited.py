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
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from pipeline.data import store
from pipeline.data.reading import packed
from pipeline.data.reading.encodings import encoding_of, explained
from pipeline.data.reading.export import BLOCK_ROWS, Block, Export, after, named, texts, whole_block
from pipeline.data.reading.files import DataError, RawFile
from pipeline.settings import SourceTable

PLAIN_BYTES = 5_000_000
"""From this size on a file without quotes is read in blocks."""
BLOCK_BYTES = 1 << 24
LARGEST_CELL = 10_000_000
OTHER_SEPARATORS = ";\t|,"


@contextlib.contextmanager
def opened(file: RawFile, source: SourceTable, largest_mb: int) -> Iterator[Export]:
    """An open CSV file; in blocks where nothing can hide a line, else record by record.

    DataError names file and line: another encoding, quotes that do not close, a damaged archive.
    """
    csv.field_size_limit(LARGEST_CELL)
    encoding, has_mark = encoding_of(file, source, largest_mb)
    facts: dict[str, object] = {"encoding": encoding, "has_byte_order_mark": has_mark}
    if (names := _plain_header(file, source, encoding)) is not None:
        plain = Export(names, lambda places: _plain_blocks(file, source, names, places), facts)
        with explained(file, encoding, largest_mb):
            yield plain
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

    def __init__(self, file: RawFile, source: SourceTable, text: io.TextIOWrapper) -> None:
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


# Large files without quotes.


def _plain_header(file: RawFile, source: SourceTable, encoding: str) -> list[str] | None:
    """Column names of a large UTF-8 file that may be read in blocks; None when it may not."""
    if file.form != ".csv" or encoding != "utf-8" or file.path.stat().st_size < PLAIN_BYTES:
        return None
    with file.path.open("rb") as content:
        first = content.readline(LARGEST_CELL)
    if not _are_plain_lines(first, io.BytesIO()):
        return None
    header = first.decode("utf-8-sig").rstrip("\r\n")
    return _header(header.split(source.separator), 1, file, source) if header else None


def _are_plain_lines(first: bytes, content: BinaryIO) -> bool:
    """True when line n + 1 is record n: no quote, NUL, blank line, lone carriage return."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    before = b"\n"
    block = first
    while block:
        lines = before + block
        if b'"' in block or b"\x00" in block or b"\n\n" in lines or b"\n\r" in lines:
            return False
        ends = lines if not lines.endswith(b"\r") else lines[:-1]
        if ends.count(b"\r") != ends.count(b"\r\n"):
            return False
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            return False
        before = block[-1:]
        block = content.read(store.HASH_BLOCK)
    return before != b"\r" and not decoder.getstate()[0]


def _plain_blocks(
    file: RawFile, source: SourceTable, names: list[str], places: Sequence[int]
) -> Iterator[Block]:
    """Records in blocks; record by record when a line may not be one with the header's cells."""
    wanted = [names[place] for place in places]
    n_before = 0
    try:
        with file.path.open("rb") as content:
            if not _are_plain_lines(content.readline(LARGEST_CELL), content):
                raise pa.ArrowInvalid("quotes, blank lines or other bytes that hide a line")
        for rows in _plain_batches(file, source, names, wanted):
            n_after = n_before + rows.num_rows
            yield whole_block([rows[name] for name in wanted], range(n_before + 2, n_after + 2))
            n_before = n_after
    except pa.ArrowInvalid:
        with file.path.open(encoding="utf-8-sig", newline="") as text:
            records = _Records(file, source, text)
            records.header()
            yield from after(n_before, records.blocks(len(names), places))


def _plain_batches(
    file: RawFile, source: SourceTable, names: list[str], wanted: list[str]
) -> Iterator[pa.RecordBatch]:
    """The wanted columns of a file whose lines are its records; ArrowInvalid: one is not."""
    with pyarrow.csv.open_csv(
        file.path,
        pyarrow.csv.ReadOptions(column_names=names, skip_rows=1, block_size=BLOCK_BYTES),
        pyarrow.csv.ParseOptions(delimiter=source.separator, quote_char=False),
        pyarrow.csv.ConvertOptions(
            include_columns=wanted or names[:1],
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
        ),
    ) as batches:
        yield from batches
