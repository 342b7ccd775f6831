"""Does a root have a flow? A folder with nothing but params.yaml and data gets the project's.

Copies dvc.yaml, notebooks and code into a root that has none of its own, and keeps them up to date;
what a person changed or added there stays. A folder `.dvc` with our configuration is all that DVC
needs; `dvc init` would leave files of its own in place of ours, and then count compiled code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.data import store

LAID_OUT = (
    "dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock", "notebooks", "pipeline",
)  # fmt: skip
"""What a root without its own flow gets from the project."""
MARKER = "laid-out.json"


def lay_out(root: Path, project: Path) -> None:
    """Give a root that has no flow of its own what the flow needs, and keep it up to date."""
    marker = root / "build" / MARKER
    if root == project or ((root / "dvc.yaml").is_file() and not marker.is_file()):
        return
    before = store.read_json(marker).get("files", {}) if marker.is_file() else {}
    store.write_json({"files": _copied(project, root, before)}, marker)


def _copied(project: Path, root: Path, before: dict[str, str]) -> dict[str, str]:
    """Copy what the flow needs; files changed or added by hand in the root stay as they are.

    `before` and the result: the hash of each file that a lay-out wrote.
    """
    wanted = {path.relative_to(project).as_posix(): path for path in _needed(project)}
    for name in before.keys() - wanted.keys():
        if _stands_as(root / name, before[name]):
            (root / name).unlink()
    written = {}
    for name, path in sorted(wanted.items()):
        place = root / name
        if not place.is_file() or (name in before and _stands_as(place, before[name])):
            store.write_bytes(path.read_bytes(), place)
        if _stands_as(place, current := store.sha256(path)):
            written[name] = current
        elif name in before:
            written[name] = before[name]
    return written


def _needed(project: Path) -> Iterator[Path]:
    for name in LAID_OUT:
        place = project / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _stands_as(path: Path, sha256: str) -> bool:
    return path.is_file() and store.sha256(path) == sha256
