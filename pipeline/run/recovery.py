"""What did a killed run leave behind? It is put in order before the next one begins.

Reads and mends build/runs/, reports/, data/processed/ and .dvc/tmp while the run's lock is held and
nobody writes; so whatever looks half-made is left over. The last reports stay as they are.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline import lock
from pipeline.data import store
from pipeline.reporting import publish
from pipeline.run import cache, manifest
from pipeline.settings import Paths

ASIDE = "damaged"
"""Folder below build/ for cache objects that are not what their name says."""


def recover(
    paths: Paths,
    own: str | None = None,
    *,
    mends_index: bool = True,
    let_dvc_end: Callable[[], None] = lambda: None,
) -> list[str]:
    """Put in order what runs before `own` left; one sentence for each thing done.

    `mends_index` False: what readers open is left to the next run that publishes. `let_dvc_end`
    waits until no DVC of this run works.
    """
    said = [
        f"The run {run_id} was interrupted; this one goes on from there."
        for run_id in manifest.mark_interrupted(paths, own)
    ]
    if said:  # whoever has the number of that run now
        let_dvc_end()
        lock.forget_locks_of_dvc(paths.root)
    for old, place in set_aside(paths):
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            store.recover_folder(place)
            said.append(f"{_name(place, paths)}: the last one came back after a crash.")
    said += [f"{_name(path, paths)}: half-made, removed." for path in half_made(paths)]
    remove_half_made(paths)
    said += _move_damaged(paths)
    is_in_use = paths.reports.is_dir() and any(paths.reports.glob(f"*/{publish.FILE_NAME}"))
    if mends_index and is_in_use and publish.write_index(paths):
        said.append("The index did not say what reports and runs say: written again.")
    return said


def half_made(paths: Paths) -> list[Path]:
    """Folders and files that were being built, when nobody is writing."""
    places = [
        *paths.reports.glob(f"*{store.BUILDING}"),
        *paths.processed.glob(f"*/.*{store.BUILDING}"),
    ]
    for room in (paths.reports, paths.processed):
        places += room.rglob(".*.part")
    for pattern in (".*.part", "log/.*.part", "runs/*/.*.part"):
        places += paths.build.glob(pattern)
    places += [*paths.root.glob(".*.part"), *paths.raw.glob(".*.parquet.*.part")]
    return sorted(place for place in places if not set(place.parents) & set(places))


def remove_half_made(paths: Paths) -> None:
    """Remove what was being built; nobody may be writing."""
    for place in half_made(paths):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def set_aside(paths: Paths) -> list[tuple[Path, Path]]:
    """Reports and folders of chapters that stand aside, each with the place it had."""
    found = sorted([*paths.reports.glob(".*.old"), *paths.processed.glob("*/.*.old")])
    return [(old, old.with_name(old.name.removeprefix(".").removesuffix(".old"))) for old in found]


def _move_damaged(paths: Paths) -> list[str]:
    said = []
    with contextlib.suppress(OSError):
        for path in cache.damaged(paths):
            target = paths.build / ASIDE / f"{path.parent.name}{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            said.append(f"{_name(target, paths)}: a damaged object of the cache was set aside.")
    return said


def _name(path: Path, paths: Paths) -> str:
    return path.relative_to(paths.root).as_posix()
