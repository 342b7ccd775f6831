"""What is inside a packed export? One CSV file as bytes, plain, gzip or the only member of a zip.

The subtle point: a small archive may unpack to more than a disk holds, so bytes are counted as
they come and the count, not what the archive says of itself, ends the reading.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, BinaryIO

from pipeline.data.reading.files import EXAMPLES, MEGABYTE, DataError, RawFile, too_large

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NOT_DATA = ("__MACOSX/", ".DS_Store")
"""What macOS adds to an archive."""
BROKEN = (
    EOFError, OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    NotImplementedError,
)  # fmt: skip
"""What a damaged archive makes of its reader."""
OF_CONTENT = (None, errno.EINVAL)
"""Numbers of an OSError that speaks of the bytes (bzip2, a place before the file's beginning)."""


class _Bounded(io.RawIOBase):
    """Bytes of a stream, up to a limit."""

    def __init__(self, inner: IO[bytes] | gzip.GzipFile, file: RawFile, largest_mb: int) -> None:
        self.inner, self.file, self.largest_mb = inner, file, largest_mb
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        buffer = memoryview(target)
        block = self.inner.read(len(buffer))
        self.count += len(block)
        if self.count > self.largest_mb * MEGABYTE:
            raise too_large(
                self.file, f"unpacked more than {self.largest_mb:,} MB", self.largest_mb
            )
        buffer[: len(block)] = block
        return len(block)


@contextlib.contextmanager
def opened(file: RawFile, largest_mb: int) -> Iterator[BinaryIO]:
    """The bytes of a CSV file, unpacked.

    DataError: the archive is damaged or cut off, locked, holds none or several files, or unpacks
    to more than `largest_mb`.
    """
    try:
        with contextlib.ExitStack() as stack:
            if file.form == ".csv.gz":
                inner: IO[bytes] | gzip.GzipFile = stack.enter_context(gzip.open(file.path))
            elif file.form == ".csv.zip":
                archive = stack.enter_context(zipfile.ZipFile(file.path))
                inner = stack.enter_context(archive.open(_only_member(archive, file)))
            else:
                yield stack.enter_context(file.path.open("rb"))
                return
            yield io.BufferedReader(_Bounded(inner, file, largest_mb), 1 << 16)
    except BROKEN as error:
        if getattr(error, "errno", None) not in OF_CONTENT:
            raise  # of the disk
        raise DataError(
            f"{file.name}: the archive is damaged or cut off ({error}). Copy it again, whole."
        ) from None


def _only_member(archive: zipfile.ZipFile, file: RawFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        if not member.is_dir() and not member.filename.startswith(NOT_DATA)
    ]
    if len(members) != 1:
        names = ", ".join(repr(member.filename) for member in members[:EXAMPLES])
        more = f" and {len(members) - EXAMPLES} more" if len(members) > EXAMPLES else ""
        raise DataError(
            f"{file.name} holds {len(members)} files{': ' if names else ''}{names}{more}. "
            "An archive must hold exactly one CSV file: unpack it, or pack each file by itself."
        )
    if members[0].flag_bits & 1:
        raise DataError(f"{file.name} is locked with a password. Unpack it.")
    if members[0].filename.lower().endswith((".xlsx", ".xlsm", ".xls", ".parquet", ".zip", ".gz")):
        raise DataError(
            f"{file.name} holds {members[0].filename!r}. Only a CSV file may be packed: unpack it."
        )
    return members[0]
