"""Does a root have a flow? A folder with nothing but params.yaml and data gets the project's.

Copies dvc.yaml, notebooks and code into a root that has none of its own, and keeps them up to date;
what a person changed or added there stays. A folder `.dvc` with our configuration is all that DVC
needs; `dvc init` would leave files of its own in place of ours, and then count compiled code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.data import disk

PROJECT = Path(__file__).resolve().parents[1]
"""The folder of this code, with the flow that other roots are given."""
LAID_OUT = (
    "dvc.yaml", ".dvcignore", ".dvc/config", "requirements.lock", "notebooks", "pipeline",
)  # fmt: skip
"""What a root without its own flow gets from the project."""
LEFT_OUT = {"__pycache__", ".ipynb_checkpoints"}
"""What Python and JupyterLab leave beside our files."""
FLOW = "dvc.yaml"
"""Copied last: by it a root counts as laid out, and a lay-out that was killed begins again."""
MARKER = "laid-out.json"


def lay_out(root: Path, project: Path) -> None:
    """Give a root that has no flow of its own what the flow needs, and keep it up to date."""
    marker = root / "build" / MARKER
    if root == project or ((root / FLOW).is_file() and not is_laid_out(root)):
        return
    before = _laid_out(marker)
    if (written := _copied(project, root, before)) != before or not marker.is_file():
        disk.write_json({"files": written}, marker)


def is_laid_out(root: Path) -> bool:
    """True when a root has its flow from the project, and follows it."""
    return (root / "build" / MARKER).is_file()


def _laid_out(marker: Path) -> dict[str, str]:
    """What earlier lay-outs wrote; DataError when nobody can tell any more."""
    if not marker.is_file():
        return {}
    try:
        return dict(disk.read_json(marker)["files"])
    except (disk.CorruptDataError, KeyError, TypeError, ValueError):
        raise disk.CorruptDataError(
            f"build/{MARKER} is damaged: it told which files of this folder Lodestar laid out and "
            f"may replace. Remove it with {', '.join(LAID_OUT)}, but keep what you changed there "
            "yourself; the next run lays them out anew."
        ) from None


def _copied(project: Path, root: Path, before: dict[str, str]) -> dict[str, str]:
    """Copy what the flow needs; files changed or added by hand in the root stay as they are.

    `before` and the result: the hash of each file that a lay-out wrote.
    """
    wanted = {path.relative_to(project).as_posix(): path for path in _needed(project)}
    for name in before.keys() - wanted.keys():
        if _stands_as(root / name, before[name]):
            (root / name).unlink()
    written = {}
    for name, path in sorted(wanted.items(), key=lambda item: (item[0] == FLOW, item[0])):
        place, current = root / name, disk.sha256(path)
        stands = disk.sha256(place) if place.is_file() else None
        if stands != current and stands in (None, before.get(name)):
            disk.write_bytes(path.read_bytes(), place)
            stands = current
        if stands == current:
            written[name] = current
        elif name in before:
            written[name] = before[name]
    return written


def _needed(project: Path) -> Iterator[Path]:
    for name in LAID_OUT:
        place = project / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and not LEFT_OUT & set(path.parts):
                yield path


def _stands_as(path: Path, sha256: str) -> bool:
    return path.is_file() and disk.sha256(path) == sha256
