"""Is another run under way? One lock per root, taken before anything slow is loaded.

The lock belongs to an open file, so it ends with the last process that holds the file, whatever
the file says: text left by a dead process is harmless. DVC passes no open file on to the stages it
starts, so everything that writes for a stage also holds a second file, shared; a run begins only
when nobody holds that one. A process is known by number, start time and boot, never by number
alone, because numbers come back.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import functools
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE_FIELD, PARENT_FIELD, START_FIELD = 3, 4, 22
"""What stands where in /proc/<pid>/stat; the start in clock ticks since boot; proc(5)."""
PATIENCE_SECONDS = 0.6
"""How long a run waits for children of a killed one to be gone."""


class BusyError(Exception):
    """Another run holds this root (exit code 75)."""

    error_class = "busy"


@dataclass(frozen=True)
class Process:
    """One process of one machine since one boot."""

    pid: int
    process_start: int | None
    boot_id: str
    host: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number on this machine now."""
        return cls(pid, start_of(pid), boot_id(), socket.gethostname())

    @property
    def is_here(self) -> bool:
        """True when its machine is this one."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """True while it runs; one on another machine is taken to run, for nobody here can tell."""
        if not self.is_here:
            return True
        started = start_of(self.pid)
        return started is not None and (started, boot_id()) == (self.process_start, self.boot_id)


def start_of(pid: int) -> int | None:
    """When a process of this machine began, in clock ticks since boot; None when there is none.

    Without /proc a living process has start 0: its number must do.
    """
    try:
        fields = _fields_of(pid)
    except OSError:
        if BOOT_ID.exists():
            return None
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return 0
        return None
    return None if fields[STATE_FIELD] in ("Z", "X") else int(fields[START_FIELD])


def parent_of(pid: int) -> int:
    """The number of a process's parent; 0 when it has none, is gone, or there is no /proc."""
    try:
        return int(_fields_of(pid)[PARENT_FIELD])
    except OSError:
        return 0


def _fields_of(pid: int) -> dict[int, str]:
    """What /proc/<pid>/stat says after the name, by field number; OSError without such a file."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    after_name = words.rpartition(")")[2].split()  # a name may hold blanks and brackets
    return dict(enumerate(after_name, STATE_FIELD))


@functools.cache
def boot_id() -> str:
    """A name for this start of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


# The lock of a run.


def lock_file(root: Path) -> Path:
    """Where the lock of a root is, and who took it last."""
    return root / "build" / "lock"


@contextlib.contextmanager
def locked(root: Path) -> Iterator[int]:
    """Hold the root's lock, as an open file to pass on; BusyError names who holds it."""
    path = lock_file(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _take(handle, path)
        if not is_quiet(root, PATIENCE_SECONDS):
            raise BusyError(
                "A stage or chapter still writes here: of a run that was killed, or started by "
                "hand. Wait for it, then try again."
            )
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        holder = asdict(Process.of(os.getpid())) | {"started_at": now.isoformat()}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder, sort_keys=True).encode(), 0)
        try:
            yield handle
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def last_holder(root: Path) -> tuple[Process, str] | None:
    """The process that the lock's text names, and since when; None when it names nobody."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        said = json.loads(lock_file(root).read_text(encoding="utf-8"))
        since = said.pop("started_at")
        return Process(**said), since
    return None


def _could_take(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take(handle: int, path: Path) -> None:
    if _could_take(handle, fcntl.LOCK_EX):
        return
    found = last_holder(path.parents[1])
    if found is None:
        raise BusyError("Another run is under way here (it just began). Wait, then try again.")
    holder, since = found
    who = f"process {holder.pid} on {holder.host}, since {since}"
    if holder.is_alive():
        raise BusyError(f"Another run is under way here ({who}). Wait for it, then try again.")
    raise BusyError(
        f"A child of a run that is gone still works here ({who}). Wait for it, or find it with "
        f"`fuser {path}` and end it, then try again."
    )


@contextlib.contextmanager
def held_alone(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file of one thing that only one process may make; BusyError says which."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _could_take(handle, fcntl.LOCK_EX):
            raise BusyError(
                f"{what} is being made by another process. Wait for it, or choose another name."
            )
        yield
    finally:
        os.close(handle)


def forget_locks_of_dvc(root: Path) -> None:
    """Remove DVC's list of who reads and writes what; a process that is gone holds none of them.

    Only for who holds the root's lock, while no DVC of its own works: that would miss its entry.
    """
    _locks_of_dvc(root).unlink(missing_ok=True)


def forget_cut_locks_of_dvc(root: Path) -> None:
    """Remove DVC's list of who reads and writes what if it cannot be read.

    DVC writes it in place. One that died while it did, or met a full disk, would stop every later
    one. Only for who holds the root's lock.
    """
    with contextlib.suppress(FileNotFoundError):
        try:
            json.loads(_locks_of_dvc(root).read_bytes())
        except ValueError:
            forget_locks_of_dvc(root)


def _locks_of_dvc(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "rwlock"


# What writes for a stage.


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Say that this process writes for a stage; no run begins until it is done."""
    handle = _open_writers(root)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def is_quiet(root: Path, seconds: float) -> bool:
    """Wait until no stage or chapter writes here; False when one still does after `seconds`."""
    handle = _open_writers(root)
    try:
        until = time.monotonic() + seconds
        while not _could_take(handle, fcntl.LOCK_EX):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True
    finally:
        os.close(handle)


def _open_writers(root: Path) -> int:
    path = root / "build" / "writers"
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
