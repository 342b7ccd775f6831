"""How does a file appear whole or not at all? It is written beside its place, flushed and renamed.

Text, bytes, JSON and folders; `store` has tables as well and offers all of this too. The subtle
point: this loads nothing but the standard library. Whoever asks whether anything has to be done
(the command line, `flow`, `root`) needs no tables for it, and they load for half a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HASH_BLOCK = 1 << 20
BUILDING = ".building"
"""Ends the name of a folder that is filled aside and then put in place by `replace_folder`."""


class MissingDataError(Exception):
    """A file that a step needs is not there (exit code 66)."""


class CorruptDataError(Exception):
    """A file cannot be read, or its content is not what was recorded (exit code 65)."""


def free_mb(folder: Path) -> int:
    """Megabytes that are free where a folder stands."""
    return shutil.disk_usage(folder).free >> 20


@contextlib.contextmanager
def replacing(path: Path, *, only_if_changed: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    `only_if_changed`: a file with the same bytes is left alone, its time included. What is BUILDING
    has its folders flushed once, when it is whole: `replace_folder` does that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        if only_if_changed and path.is_file() and sha256(path) == sha256(temporary):
            return
        temporary.replace(path)
        if not any(part.endswith(BUILDING) for part in path.parent.parts):
            _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text; newlines as they stand."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(content: Any, path: Path) -> None:
    """Write JSON, sorted by key, no NaN: a missing number is null."""
    write_text(dump_json(content), path)


def dump_json(content: Any) -> str:
    """JSON text with sorted keys; NaN and infinity are refused."""
    return json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read JSON; MissingDataError or CorruptDataError names the file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptDataError(f"{path} is not JSON: {error}") from None


def replace_folder(finished: Path, place: Path) -> None:
    """Put a finished folder where another may stand: flushed, then renamed, whole or not at all."""
    for folder in (finished, *(path for path in finished.rglob("*") if path.is_dir())):
        _flush_folder(folder)
    old = set_aside(place)
    if place.exists():
        shutil.rmtree(old, ignore_errors=True)
        place.rename(old)
    try:
        finished.rename(place)
    except BaseException:
        recover_folder(place)
        raise
    _flush_folder(place.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(place: Path) -> None:
    """After a crash between the two renames of `replace_folder`: the last folder comes back."""
    if set_aside(place).exists() and not place.exists():
        set_aside(place).rename(place)


def set_aside(place: Path) -> Path:
    """Where the last folder stands while another takes its place."""
    return place.with_name(f".{place.name}.old")


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return digest(path, hashlib.sha256())


def digest(path: Path, hashing: Any) -> str:
    """Hash of a file's bytes by a hashlib object."""
    with path.open("rb") as content:
        while block := content.read(HASH_BLOCK):
            hashing.update(block)
    return str(hashing.hexdigest())
