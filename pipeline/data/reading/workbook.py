"""What does an Excel sheet say? Typed cells as the text that a CSV export would have.

A day becomes ISO 8601 in either date system, a number keeps its digits, and the zeros that a format
like 00000 shows. A line is the row of the sheet. The subtle points: a formula that was never
computed and the cells below a merged one look empty, so both stop the reading.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipeline.data import store
from pipeline.data.reading.columnar import digits
from pipeline.data.reading.export import Block, Export, named, texts
from pipeline.data.reading.files import EXAMPLES, MEGABYTE, DataError, RawFile, too_large
from pipeline.settings import SourceTable

BLOCK_ROWS = 20_000
FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")
MERGED = re.compile(rb"<(?:\w+:)?mergeCell [^>]*ref=\"([A-Z]+[0-9]+:[A-Z]+[0-9]+)\"")
ZEROS = re.compile("0+")
LONGEST_TAG = 200
MIDNIGHT = dt.time()


@contextlib.contextmanager
def opened(file: RawFile, source: SourceTable, largest_mb: int) -> Iterator[Export]:
    """An open sheet, declared or the only one; its header is the first row that is not blank.

    DataError: no workbook, no such sheet, merged cells, formulas without a stored value.
    """
    _check_archive(file, largest_mb)
    with contextlib.ExitStack() as stack:
        workbook = _loaded(file, stack, shows_formulas=False)
        name = _sheet(workbook, file, source)
        has_formulas, merged = _scanned(file, workbook[name])
        rows = _rows(workbook[name], file, stack)
        if has_formulas:
            formulas = _loaded(file, stack, shows_formulas=True)
            rows = _computed(rows, _rows(formulas[name], file, stack), file)
        line, cells = next(((n, row) for n, row in rows if any(_texts(row, "."))), (1, ()))
        _check_merged(merged, line, file)
        header = named(_trimmed(_texts(cells, ".")), file, f"row {line}")
        yield Export(
            header, lambda places: _blocks(rows, len(header), places, source), {"sheet": name}
        )


def _check_archive(file: RawFile, largest_mb: int) -> None:
    try:
        with zipfile.ZipFile(file.path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, EOFError):
        raise DataError(
            f"{file.name} is no Excel workbook (.xlsx): damaged, locked with a password, or of the "
            "old form .xls. Save it again as .xlsx without a password."
        ) from None
    if unpacked > largest_mb * MEGABYTE:
        raise too_large(file, f"{unpacked / MEGABYTE:,.0f} MB unpacked", largest_mb)


def _loaded(file: RawFile, stack: contextlib.ExitStack, *, shows_formulas: bool) -> Any:
    import openpyxl  # a second of loading that exports in CSV do not need

    content = stack.enter_context(file.path.open("rb"))  # openpyxl leaves a damaged one open
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that are not cells
        try:
            workbook = openpyxl.load_workbook(
                content, read_only=True, data_only=not shows_formulas, keep_links=False
            )
        except Exception as error:  # of many kinds: whatever a damaged part makes of the reader
            raise _unreadable(file, error) from None
    stack.callback(workbook.close)
    return workbook


def _unreadable(file: RawFile, error: Exception) -> DataError:
    return DataError(
        f"{file.name} cannot be read as an Excel workbook ({error or type(error).__name__}). "
        "Save it again as .xlsx."
    )


def _sheet(workbook: Any, file: RawFile, source: SourceTable) -> str:
    names = [sheet.title for sheet in workbook.worksheets]
    shown = ", ".join(repr(name) for name in names)
    if source.sheet and source.sheet not in names:
        raise DataError(
            f"{file.name} has no sheet {source.sheet!r}; it has {shown}. "
            "Mend source.tables.<table>.sheet."
        )
    if not source.sheet and len(names) != 1:
        raise DataError(
            f"{file.name} has {len(names)} sheets: {shown}. "
            "Declare one as source.tables.<table>.sheet."
        )
    return source.sheet or names[0]


def _scanned(file: RawFile, sheet: Any) -> tuple[bool, list[str]]:
    """Whether the sheet has formulas, and its merged ranges, which the reader passes over."""
    has_formulas, merged, before = False, set(), b""
    for block in _content(file, sheet._worksheet_path):
        part = before + block
        has_formulas = has_formulas or FORMULA.search(part) is not None
        merged |= {found.decode() for found in MERGED.findall(part)}
        before = part[-LONGEST_TAG:]
    return has_formulas, sorted(merged)


def _content(file: RawFile, member: str) -> Iterator[bytes]:
    """The bytes of one part of the workbook, in blocks."""
    try:
        with zipfile.ZipFile(file.path) as archive, archive.open(member) as content:
            while block := content.read(store.HASH_BLOCK):
                yield block
    except Exception as error:  # of many kinds: whatever a damaged part makes of the reader
        raise _unreadable(file, error) from None


def _check_merged(merged: Sequence[str], header_line: int, file: RawFile) -> None:
    bad = [area for area in merged if int(re.findall("[0-9]+", area)[1]) >= header_line]
    if bad:
        raise DataError(
            f"{file.name}: {len(bad)} merged areas in the table: {', '.join(bad[:EXAMPLES])}. "
            "Only their first cell has a value, the others would be read as empty. "
            "Unmerge and fill them."
        )


def _rows(
    sheet: Any, file: RawFile, stack: contextlib.ExitStack
) -> Iterator[tuple[int, Sequence[Any]]]:
    """Rows of cells with their number in the sheet; the sheet is closed when the stack is."""
    sheet.reset_dimensions()  # what the file says of its own size may be wrong
    rows = sheet.iter_rows()
    stack.callback(rows.close)
    number = 0
    while True:
        number += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a day outside the calendar comes as #VALUE!
            try:
                row = next(rows)
            except StopIteration:
                return
            except Exception as error:  # of many kinds: whatever damaged XML makes of the reader
                raise _unreadable(file, error) from None
        yield number, row


def _computed(
    rows: Iterator[tuple[int, Sequence[Any]]],
    formulas: Iterator[tuple[int, Sequence[Any]]],
    file: RawFile,
) -> Iterator[tuple[int, Sequence[Any]]]:
    """The same rows; DataError names formulas that hold no value, by sheet row and column."""
    missing = []
    for (number, row), (_, written) in zip(rows, formulas, strict=True):
        missing += [
            f"{formula.coordinate} ({str(formula.value)[:40]})"
            for cell, formula in zip(row, written, strict=True)
            if formula.data_type == "f" and cell.value is None and cell.data_type != "str"
        ]
        if len(missing) >= EXAMPLES:
            break
        yield number, row
    if missing:
        raise DataError(
            f"{file.name}: formulas without a stored value: {', '.join(missing[:EXAMPLES])}. "
            "They would be read as empty. Open and save the workbook in Excel, or paste values."
        )


def _blocks(
    rows: Iterator[tuple[int, Sequence[Any]]],
    width: int,
    places: Sequence[int],
    source: SourceTable,
) -> Iterator[Block]:
    """Rows below the header as text, in blocks; blank rows are no records."""
    kept: list[list[str]] = []
    lines: list[int] = []
    for number, row in rows:
        cells = _trimmed(_texts(row, source.decimal))
        if not any(cells):
            continue
        kept.append(cells)
        lines.append(number)
        if len(kept) == BLOCK_ROWS:
            yield _block(kept, lines, width, places)
            kept, lines = [], []
    if kept:
        yield _block(kept, lines, width, places)


def _block(rows: list[list[str]], lines: list[int], width: int, places: Sequence[int]) -> Block:
    surplus = pa.array([max(len(row) - width, 0) for row in rows], pa.int32())
    cells = [texts([row[place] if place < len(row) else "" for row in rows]) for place in places]
    return Block(cells, pa.array(lines, pa.int64()), surplus)


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells at the end, which formatting alone makes."""
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _texts(row: Sequence[Any], decimal: str) -> list[str]:
    return [_text(cell, decimal) for cell in row]


def _text(cell: Any, decimal: str) -> str:
    """One typed cell as text."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value, cell.number_format, decimal)
    if isinstance(value, dt.datetime):
        return (value.date() if value.time() == MIDNIGHT else value).isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _number(value: int | float, number_format: str, decimal: str) -> str:
    if isinstance(value, int) or value.is_integer():
        text = str(int(value))
        shows_zeros = value >= 0 and ZEROS.fullmatch(number_format or "")
        return text.zfill(len(number_format)) if shows_zeros else text
    return digits(Decimal(repr(value))).replace(".", decimal)
