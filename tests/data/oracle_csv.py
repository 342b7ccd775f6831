"""A CSV reader by the letter of RFC 4180, slow and written without a look at the first one.

It knows whole files only, goes letter by letter, and gives up at the first thing that is not clear.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass


class RefusedError(Exception):
    """The file says nothing that can be trusted."""


@dataclass(frozen=True)
class Record:
    """The cells of one record and its first and last line."""

    first_line: int
    last_line: int
    cells: list[str]


def text_of(content: bytes, encoding: str) -> str:
    """The whole file as text; a byte-order mark says UTF-8 or UTF-16 where UTF-8 was declared."""
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise RefusedError("utf-32")
    marks = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    for mark, name in marks.items():
        if content.startswith(mark):
            if encoding not in ("utf-8", name):
                raise RefusedError("mark against declaration")
            encoding = "utf-8-sig" if name == "utf-8" else name
            break
    try:
        return content.decode(encoding)
    except UnicodeError as error:
        raise RefusedError(str(error)) from None


def records_of(text: str, separator: str) -> list[Record]:
    """Every record that is not a blank line."""
    found: list[Record] = []
    place, line = 0, 1
    while place < len(text):
        cells, end, end_line = _record(text, place, line, separator)
        is_blank = cells == [""] and '"' not in text[place:end]
        if not is_blank:
            found.append(Record(line, end_line, cells))
        width = _newline_at(text, end)
        place, line = end + width, end_line + 1
    return found


def _newline_at(text: str, place: int) -> int:
    if text.startswith("\r\n", place):
        return 2
    return 1 if text[place : place + 1] in ("\r", "\n") and place < len(text) else 0


def _record(text: str, place: int, line: int, separator: str) -> tuple[list[str], int, int]:
    """Cells from `place` on, where the record's newline stands, and on which line."""
    cells = []
    while True:
        if text.startswith('"', place):
            cell, place, line = _quoted(text, place + 1, line)
        else:
            start = place
            while place < len(text) and text[place] not in (separator, "\r", "\n"):
                place += 1
            cell = text[start:place]
        cells.append(cell)
        if place < len(text) and text[place] == separator:
            place += 1
            continue
        if place < len(text) and not _newline_at(text, place):
            raise RefusedError(f"line {line}: text after a quote")
        return cells, place, line


def _quoted(text: str, place: int, line: int) -> tuple[str, int, int]:
    parts = []
    while True:
        if place >= len(text):
            raise RefusedError("a quote is not closed")
        if text.startswith('""', place):
            parts.append('"')
            place += 2
        elif text[place] == '"':
            return "".join(parts), place + 1, line
        else:
            width = _newline_at(text, place) or 1
            line += bool(_newline_at(text, place))
            parts.append(text[place : place + width])
            place += width
