"""Which bytes are which letters? The declared encoding, a byte-order mark, and the first bad line.

An encoding is never guessed: a wrong guess reads, and every name is another. Only a message may say
what a line looks like.
"""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Iterator

from pipeline.data.reading import packed
from pipeline.data.reading.files import DataError, RawFile
from pipeline.settings import SourceTable

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks, the longer first: UTF-32's begins like UTF-16's."""
NOT_DECODED = "\udcff"
"""Stands for bytes that are no text, while the first line with such bytes is looked for."""
JAPANESE_LEADS = frozenset(range(0x81, 0xA0)) - {0x85, *range(0x91, 0x98), 0x99}
"""First bytes of kanji and kana in cp932 that no Western text in cp1252 is likely to hold."""


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """The sign in the place of what could not be decoded, and where to go on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return NOT_DECODED, error.end


codecs.register_error("lodestar-not-decoded", _stand_in)


def encoding_of(file: RawFile, source: SourceTable, largest_mb: int) -> tuple[str, bool]:
    """The encoding to read by, and whether a byte-order mark stands at the beginning."""
    declared = codecs.lookup(source.encoding).name.removesuffix("-sig")
    with packed.opened(file, largest_mb) as content:
        start = content.read(4)
    mark = next((name for mark, name in MARKS if start.startswith(mark)), None)
    if mark is None:
        return declared, False
    fits = mark in ("utf-8", "utf-16") and (declared == "utf-8" or declared.startswith(mark))
    if not fits:
        raise DataError(
            f"{file.name} begins with the byte-order mark of {mark}, and "
            f"source.tables.<table>.encoding says {source.encoding}. One of them is wrong: declare "
            "the file's encoding, or export as UTF-8."
        )
    return mark, True


@contextlib.contextmanager
def explained(file: RawFile, encoding: str, largest_mb: int) -> Iterator[None]:
    """DataError in place of a decoding error: file, first bad line, what it may be."""
    try:
        yield
    except UnicodeError:
        raise DataError(_encoding_message(file, encoding, largest_mb)) from None


def _encoding_message(file: RawFile, encoding: str, largest_mb: int) -> str:
    """Which line is the first that is no text in this encoding, and what it may be instead."""
    place, guess = "", ""
    with (
        contextlib.suppress(UnicodeError),
        packed.opened(file, largest_mb) as content,
        io.TextIOWrapper(
            content, encoding=encoding, errors="lodestar-not-decoded", newline=""
        ) as text,
    ):
        number = next((n for n, line in enumerate(text, 1) if NOT_DECODED in line), None)
        place = f"line {number} " if number else ""
        guess = _likely(file, number, largest_mb) if number else ""
    return (
        f"{file.name}: {place}is not {encoding}{guess}. "
        "Declare it as source.tables.<table>.encoding or export as UTF-8."
    )


def _likely(file: RawFile, number: int, largest_mb: int) -> str:
    """A guess at the encoding of one line, for the message only."""
    with packed.opened(file, largest_mb) as content:
        line = next((each for n, each in enumerate(content, 1) if n == number), b"")
    if b"\x00" in line:
        return "; it looks like utf-16"
    names = ("cp932", "cp1252") if JAPANESE_LEADS & set(line) else ("cp1252",)
    found = next((name for name in names if _decodes(line, name)), None)
    return f"; it looks like {found}" if found else ""


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
