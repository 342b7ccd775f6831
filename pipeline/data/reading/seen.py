"""Is an export still what it was when it was last read? Its hash, where nobody wrote it since.

Reads and makes one small file beside what `ingest` makes. The subtle point: a file that was written
again has another time, and may say what it likes. One with the same size and time and another hash
was not written: its bits fell over, and a wrong number of it would look like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.data import store
from pipeline.data.reading.files import EXAMPLES, DataError, RawFile


def check_unchanged(record: Path, files: Iterable[RawFile]) -> None:
    """DataError names exports whose content changed although nobody wrote them."""
    before = store.read_json(record) if record.is_file() else {}
    changed = [
        file.name
        for file in files
        if (known := before.get(file.name))
        and _stamp(file) == [known["bytes"], known["mtime_ns"]]
        and store.sha256(file.path) != known["sha256"]
    ]
    if changed:
        raise DataError(
            f"{len(changed)} exports changed although nobody wrote them: "
            f"{', '.join(changed[:EXAMPLES])}. Their size and time are those of the last reading, "
            "their content is not: the disk may be failing. Copy them again, or `touch` them if "
            "the change is yours."
        )


def remember(record: Path, files: Iterable[RawFile], hashes: Mapping[str, object]) -> None:
    """Keep size, time and hash of the exports that were read; `hashes` are those of the reading."""
    stamps = {file.name: _stamp(file) for file in files if file.name in hashes}
    store.write_json(
        {
            name: {"bytes": stamp[0], "mtime_ns": stamp[1], "sha256": hashes[name]}
            for name, stamp in stamps.items()
        },
        record,
    )


def _stamp(file: RawFile) -> list[int]:
    facts = file.path.stat()
    return [facts.st_size, facts.st_mtime_ns]
