"""What may be thrown away? Old run folders, leftovers and cache objects that nothing needs.

Reads build/runs/, build/log/, reports/ and what `cache` finds; removes from build/ and from DVC's
cache, and half-made leftovers. Raw data, reports and their history are never touched. The subtle
point: what may be the only copy of something stays, and the table says why.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import states
from pipeline.data import store
from pipeline.reporting import words
from pipeline.run import cache, manifest, recovery
from pipeline.settings import Paths, Settings

MONTH_IN_NAME = re.compile(r"(?<![0-9])[0-9]{4}-(0[1-9]|1[0-2])(?![0-9])", re.ASCII)
DVC_LOG = "dvc.log"
LARGEST_LOG_BYTES = 10_000_000
"""What DVC said in all runs is kept in one file; beyond this size it begins anew."""


@dataclass(frozen=True)
class Item:
    """Something that goes, or that stays for a reason.

    `places`: files and folders. `size`: bytes. `reason`: why it goes or stays, in words.
    """

    what: str
    places: tuple[Path, ...]
    size: int
    reason: str
    goes: bool = True


def prune(paths: Paths, settings: Settings, *, dry_run: bool = False) -> list[Item]:
    """Remove what nothing needs any more; what went and what stayed for a reason.

    The caller holds the root's lock: a run under way is using what looks left over.

    Args:
        paths: the root.
        settings: `run.keep_runs` newest run folders stay, and the last failed one of each period.
        dry_run: look only.

    Raises:
        ConfigurationError: dvc.lock cannot be read, so nobody knows what is needed; nothing went.
    """
    items = [
        *_runs(paths, settings),
        *_logs(paths, settings),
        *_leftovers(paths),
        *_objects(paths),
    ]
    if not dry_run:
        for place in (place for item in items if item.goes for place in item.places):
            _remove(place)
    return items


def lines(items: Sequence[Item], *, dry_run: bool) -> Iterator[str]:
    """A table of what went, or would go, and of what stays for a reason."""
    went = [item for item in items if item.goes]
    for item in went:
        yield f"{_megabytes(item.size)}  {item.what}: {item.reason}"
    total = sum(item.size for item in went)
    verb = "would go" if dry_run else "went"
    yield f"{_megabytes(total)}  {verb} in all" if went else "Nothing to remove."
    for item in items:
        if not item.goes:
            yield f"Kept ({_megabytes(item.size).strip()}): {item.what}: {item.reason}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10.1f} MB"


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _item(what: str, places: Sequence[Path], reason: str, *, goes: bool = True) -> Item:
    return Item(what, tuple(places), sum(map(_size, places)), reason, goes)


def _size(place: Path) -> int:
    files = [place] if place.is_file() else place.rglob("*")
    return sum(file.lstat().st_size for file in files if file.is_file())


# Runs and logs.


def _runs(paths: Paths, settings: Settings) -> Iterator[Item]:
    """Run folders beyond the newest, but for the last failed one of each period."""
    folders = [
        path
        for path in (paths.build / states.RUNS).glob("*")
        if manifest.RUN_ID.fullmatch(path.name) and not path.is_symlink()
    ]
    newest_first = sorted(folders, key=lambda path: path.name, reverse=True)
    needed = _still_told(newest_first)
    for folder in newest_first[settings.run.keep_runs :]:
        name = f"build/runs/{folder.name}"
        if folder.name in needed:
            yield _item(name, [folder], needed[folder.name], goes=False)
        else:
            reason = f"older than the newest {settings.run.keep_runs} runs"
            yield _item(name, [folder], reason)


def _still_told(newest_first: Sequence[Path]) -> dict[str, str]:
    """Run folders that stay whatever their age, and why."""
    needed: dict[str, str] = {}
    seen: set[str] = set()
    for folder in newest_first:
        content = _content(folder / states.MANIFEST)
        if content.get("state") == states.RUNNING:
            needed[folder.name] = "it says that it still runs; the next run puts that right"
        rows = [row for row in content.get("periods") or () if isinstance(row, dict)]
        for row in rows:
            if row.get("state") == states.FAILED and row.get("period") not in seen:
                seen.add(row["period"])
                needed.setdefault(folder.name, f"the last failed run of {row['period']}")
    return needed


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = store.read_json(path)
    except (store.CorruptDataError, store.MissingDataError):
        return {}
    return content if isinstance(content, dict) else {}


def _logs(paths: Paths, settings: Settings) -> Iterator[Item]:
    """What chapters of months no longer listed left behind, and DVC's words when there are many."""
    folder = paths.build / "log"
    files = sorted(path for path in folder.glob("*") if path.is_file())
    told = "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in (paths.build / states.RUNS).glob(f"*/{states.MANIFEST}")
    )
    for path in files:
        months = {found[0] for found in MONTH_IN_NAME.finditer(path.name)}
        is_gone = months and not months & set(settings.periods)
        name = f"build/log/{path.name}"
        if is_gone and path.name not in told:
            yield _item(name, [path], "of a month that params.yaml no longer lists")
        elif path.name == DVC_LOG and path.stat().st_size > LARGEST_LOG_BYTES:
            yield _item(name, [path], f"larger than {LARGEST_LOG_BYTES / 1e6:.0f} MB")


# Leftovers.


def _leftovers(paths: Paths) -> Iterator[Item]:
    """What killed runs left half-made; what stands aside goes only when another took its place."""
    for path in recovery.half_made(paths):
        yield _item(_name(path, paths), [path], "left half-made by a run that was killed")
    for old, place in recovery.set_aside(paths):
        if place.exists():
            yield _item(_name(old, paths), [old], f"{_name(place, paths)} took its place")
        else:
            reason = "the only copy; the next run puts it back"
            yield _item(_name(old, paths), [old], reason, goes=False)


def _name(path: Path, paths: Paths) -> str:
    return path.relative_to(paths.root).as_posix()


def _objects(paths: Paths) -> Iterator[Item]:
    for kind in cache.not_needed_now(paths):
        what = f"{words.counted(len(kind.places), 'object')} of .dvc/cache"
        yield _item(what, kind.places, kind.reason, goes=kind.goes)
