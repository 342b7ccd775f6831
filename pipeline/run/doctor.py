"""Can a run go well here? What is looked at before anything is started.

Reads the environment, params.yaml's company, dvc.lock, the cache and the folders; changes nothing
but a list of cache objects that were found sound. The subtle point: a finding stops a run only when
the run would fail anyway or its numbers could not be trusted; the rest is said and goes on.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline import lock
from pipeline.data import disk
from pipeline.exits import CANNOT_CREATE, CANNOT_WRITE
from pipeline.reporting import publish, words
from pipeline.reporting.execution import kernel
from pipeline.reporting.records.record import VERSIONS
from pipeline.run import cache
from pipeline.run.finding import Finding, sound, stop, warning
from pipeline.settings import KEY_VARIABLE, SAMPLE, Paths, Settings

LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
"""What git leaves in a file that two branches changed."""
NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "afs", "fuse.sshfs"}
"""Of /proc/mounts: locks of one machine may not hold on another."""
SET_UP_AGAIN = "Run: rm -r .venv && make report"


def examine(paths: Paths, settings: Settings, *, is_thorough: bool = False) -> list[Finding]:
    """Look at everything that a run needs; the findings, sound ones too.

    `is_thorough` also reads every object of the cache again, loads the fonts and opens the raw
    data: seconds, which a run does without.
    """
    return [
        _kernel(),
        _environment(paths),
        _disk(paths, settings),
        *_folders(paths),
        *_readable(paths),
        _cache(paths, is_thorough),
        _lock(paths),
        _pseudonyms(paths.company),
        _clock(paths),
        *([_fonts()] if is_thorough else []),
        *(_raw_data(paths, settings) if is_thorough else []),
    ]


def fatal(findings: list[Finding]) -> list[Finding]:
    """The findings that stop a run."""
    return [finding for finding in findings if finding.is_fatal and not finding.ok]


def lines(findings: list[Finding]) -> Iterator[str]:
    """The findings as a person reads them."""
    for finding in findings:
        mark = "ok  " if finding.ok else "STOP" if finding.is_fatal else "warn"
        yield f"{mark}  {finding.name}: {finding.message}"
        if not finding.ok and finding.fix:
            yield f"      {finding.fix}"


# The environment.


def _kernel() -> Finding:
    try:
        name = kernel.kernel_name()
    except kernel.MissingKernelError as error:
        return stop("kernel", str(error))  # says what to do
    return sound("kernel", f"{name} is installed")


def _environment(paths: Paths) -> Finding:
    listing = paths.root / "requirements.lock"
    if not listing.is_file() and not (paths.root / "dvc.yaml").is_file():
        return sound("environment", "the first run lays out the flow of this folder")
    if not listing.is_file():
        fix = "Restore it: git checkout requirements.lock"
        return stop("environment", "requirements.lock is missing", fix)
    wanted: dict[str, set[str]] = {}
    for name, version in LOCKED.findall(listing.read_text(encoding="utf-8")):
        wanted.setdefault(_plain(name), set()).add(version)
    wrong = [
        f"{name} {version}"
        for name, version in _installed()
        if name in wanted and version not in wanted[name]
    ]
    if not wrong:
        return sound("environment", "in step with requirements.lock")
    counted = words.counted(len(wrong), "package")
    message = f"not as in requirements.lock: {counted}, {', '.join(wrong[:5])}"
    if any(each.split()[0] in map(_plain, VERSIONS) for each in wrong):
        message += "; the reports would name libraries they were not made with"
        return stop("environment", message, SET_UP_AGAIN)
    return warning("environment", message, SET_UP_AGAIN)


def _installed() -> Iterator[tuple[str, str]]:
    """Name and version of every installed package, from the names of their folders."""
    for place in {Path(entry) for entry in sys.path if entry.endswith("site-packages")}:
        for folder in place.glob("*.dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            yield _plain(name), version


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _raw_data(paths: Paths, settings: Settings) -> Iterator[Finding]:
    from pipeline.run import raw_data  # it loads the stages: seconds, which a run does without

    yield from raw_data.looks(paths, settings)


def _fonts() -> Finding:
    from matplotlib import font_manager

    from pipeline.reporting.figures.drawing import BASE_FONT, FURTHER_FONTS

    here = {font.name for font in font_manager.fontManager.ttflist}
    if BASE_FONT not in here:
        return warning("fonts", f"{BASE_FONT} is missing", SET_UP_AGAIN)
    if not here & set(FURTHER_FONTS):
        message = "no font for Japanese here; readers' machines draw such names"
        return warning("fonts", message, "Install one, e.g. fonts-noto-cjk.")
    return sound("fonts", "Latin and Japanese")


# The machine.


def _disk(paths: Paths, settings: Settings) -> Finding:
    wanted = settings.run.free_disk_mb
    free = disk.free_mb(paths.root)
    if free < wanted:
        message = f"{free:,} MB of disk are free, run.free_disk_mb of params.yaml asks {wanted:,}"
        fix = "Free some: `lodestar prune --dry-run` says what may go."
        return stop("disk", message, fix, CANNOT_WRITE)
    return sound("disk", f"{free:,} MB are free")


def _folders(paths: Paths) -> Iterator[Finding]:
    """One finding per folder that cannot be written; one when all can."""
    wanted = [paths.build, paths.reports, paths.processed, paths.root / ".dvc", paths.root]
    bad = [folder for folder in wanted if not os.access(_standing(folder), os.W_OK | os.X_OK)]
    for folder in bad:
        name = folder.relative_to(paths.root).as_posix()
        fix = "Give the user of the run the right to write there, or mount it for writing."
        yield stop("folders", f"{name} cannot be written", fix, CANNOT_CREATE)
    if not bad:
        yield sound("folders", "can be written")


def _standing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return folder if folder.exists() else _standing(folder.parent)


def _lock(paths: Paths) -> Finding:
    kind = _file_system(paths.root)
    if kind in NETWORK_FILE_SYSTEMS:
        message = f"the folder lies on {kind}: a run on another machine may not see the lock"
        return warning("lock", message, "Run from one machine only.")
    found = lock.last_holder(paths.root)
    if found and not found[0].is_alive():
        holder, since = found
        message = f"a run was killed: process {holder.pid}, since {since}; its lock is free"
        return warning("lock", message, "Nothing to do: the next run tidies up.")
    if found and found[0].pid != os.getpid():
        message = f"a run is under way: process {found[0].pid} on {found[0].host}"
        return sound("lock", message)
    return sound("lock", "free")


def _file_system(root: Path) -> str:
    """Kind of the file system that holds a folder, from /proc/mounts; empty where unknown."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = [line.split()[1:3] for line in mounts]
    holding = [(Path(place), kind) for place, kind in found if root.is_relative_to(place)]
    return max(holding, key=lambda pair: len(pair[0].parts), default=(root, ""))[1]


def _pseudonyms(company: str) -> Finding:
    if company == SAMPLE:
        return sound("pseudonyms", "the sample company has nobody to hide")
    if os.environ.get(KEY_VARIABLE):
        return sound("pseudonyms", f"{KEY_VARIABLE} is set")
    message = f"{KEY_VARIABLE} is not set: pseudonyms are stable, but not secret"
    return warning("pseudonyms", message, "Set it to a long random text, and keep it.")


def _clock(paths: Paths) -> Finding:
    """The clock decides nothing; one that went back makes build times read strangely."""
    built = [report["provenance"]["built_at"] for report in publish.all_reports(paths)]
    newest = max(map(dt.datetime.fromisoformat, built), default=None)
    if newest and newest > dt.datetime.now(dt.UTC):
        message = f"this machine's clock is before the newest report, built {newest.isoformat()}"
        fix = "Set the clock; reports are ordered by period and revision all the same."
        return warning("clock", message, fix)
    return sound("clock", "after the newest report")


# What DVC keeps.


def _readable(paths: Paths) -> Iterator[Finding]:
    """dvc.lock and the files beside it: no conflict of a merge left, nothing cut off."""
    for name in ("params.yaml", "dvc.yaml", "dvc.lock"):
        path = paths.root / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        if CONFLICT.search(text):
            message = f"{name} holds the marks of a merge that was not resolved"
            fix = f"Edit {name}, and commit it."
            if name == "dvc.lock":
                fix = "Take either side (git checkout --ours dvc.lock), then run again: what the "
                fix += "other side built is noticed and built anew."
            yield stop(name, message, fix)
        elif name == "dvc.lock" and text and not text.startswith("schema:"):
            fix = "Take the last good one (git checkout dvc.lock), then run again."
            yield stop(name, f"{name} is not a lock of DVC", fix)
        else:
            yield sound(name, "readable" if text else "not there yet")


def _cache(paths: Paths, is_thorough: bool) -> Finding:
    try:
        damaged = cache.damaged(paths, is_thorough=is_thorough)
    except OSError as error:
        return warning("cache", f"cannot be read: {error.strerror}")
    if damaged:
        message = f"{words.counted(len(damaged), 'damaged object')} in DVC's cache"
        fix = "Nothing to do: the next run sets them aside and builds what they held anew."
        return warning("cache", message, fix)
    return sound("cache", "sound")
