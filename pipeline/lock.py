"""Is another run under way? One lock per root, taken before anything slow is loaded.

The lock belongs to an open file, so it ends with the last process that holds the file: a child that
outlives its run keeps the lock, and nothing starts beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FAILURE_VARIABLE = "LODESTAR_FAILURE"
"""Names the file in which a child of a run leaves its exit code and message."""


class BusyError(Exception):
    """Another run holds this root (exit code 75)."""


@contextlib.contextmanager
def locked(root: Path) -> Iterator[int]:
    """Hold the root's lock, as an open file to pass on; BusyError names who holds it."""
    path = root / "build" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 1000).decode("utf-8", "replace").strip()
        raise BusyError(
            f"Another run is under way here ({holder or 'it just began'}). "
            "Wait for it, then try again."
        ) from None
