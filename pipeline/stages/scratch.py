"""Where do rows wait while they are judged? A folder on disk that goes away with the run.

Events do not fit into memory, so every table is read into files of this folder, and what the engine
cannot hold goes there too. The subtle point: a run that was killed leaves its folder; the next run
takes it away, but never that of a run that goes on.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.settings import Paths

PREFIX = "ingest-"


@contextlib.contextmanager
def folder(paths: Paths, prefix: str = PREFIX) -> Iterator[Path]:
    """A folder of this process, removed at the end; those of processes that are gone go too."""
    for left in paths.build.glob(f"{prefix}*"):
        if not _is_running(left.name.removeprefix(prefix)):
            shutil.rmtree(left, ignore_errors=True)
    own = paths.build / f"{prefix}{os.getpid()}"
    is_new = not paths.build.exists()
    own.mkdir(parents=True, exist_ok=True)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        if is_new:
            with contextlib.suppress(OSError):  # others have put something there
                paths.build.rmdir()


def _is_running(number: str) -> bool:
    if not number.isdigit() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
