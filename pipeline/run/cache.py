"""Which objects of DVC's cache are damaged, and which does nobody need?

Reads the cache, dvc.lock and *.dvc files of today and of every commit, and the default remote where
it is a folder; changes nothing but a list of objects that were found sound. The subtle point: an
object that only an earlier commit names may be the only copy of what last year's report was made
from. It is free to go only when the remote holds it too; where history cannot be read, nobody can
tell, and all stay.
"""

from __future__ import annotations

import configparser
import contextlib
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from pipeline.data import store
from pipeline.settings import ConfigurationError, Paths

OBJECT = re.compile(r"\b([0-9a-f]{32})(\.dir)?\b", re.ASCII)
"""MD5 of an object as dvc.lock writes it; `.dir` is a list of further objects."""
VERIFIED = "cache-verified.json"
UNNAMED = "no dvc.lock, of today or in git, names them"
COPIED = "only an earlier commit names them, and the remote holds them"
ONLY_COPY = "an earlier report needs them and this is the only copy known"
UNTOLD = "git's history cannot be read whole, so an earlier report may need them"
NO_LOCK = "there is no dvc.lock that says what is needed"
SHARED = "the cache is a link, so other projects may share it"


@dataclass(frozen=True)
class Objects:
    """Objects that today's dvc.lock does not name; `goes`: nobody needs them here."""

    places: tuple[Path, ...]
    reason: str
    goes: bool


def damaged(paths: Paths, *, is_thorough: bool = False) -> list[Path]:
    """Objects whose bytes are not what their name says; DVC restores such a one without a word.

    Objects with the time and size at which they were found sound are not read again, unless
    `is_thorough`.
    """
    seen_in = paths.build / VERIFIED
    seen = {} if is_thorough else _seen_before(seen_in)
    sound, found = {}, []
    for name, path in sorted(_objects(paths.root).items()):
        facts = path.stat()
        mark = [facts.st_mtime_ns, facts.st_size]
        if seen.get(name) == mark or _md5(path) == name.removesuffix(".dir"):
            sound[name] = mark
        else:
            found.append(path)
    if sound != seen:
        store.write_json(sound, seen_in)
    return found


def _seen_before(path: Path) -> dict[str, list[int]]:
    """Objects found sound, with time and size; a list that cannot be read is made anew."""
    with contextlib.suppress(store.MissingDataError, store.CorruptDataError):
        seen = store.read_json(path)
        return seen if isinstance(seen, dict) else {}
    return {}


def _md5(path: Path) -> str:
    return store.digest(path, hashlib.md5(usedforsecurity=False))


def _objects(root: Path) -> dict[str, Path]:
    """The objects of the cache by name."""
    places = (root / ".dvc" / "cache" / "files" / "md5").glob("??/*")
    named = {f"{path.parent.name}{path.name}": path for path in places}
    return {name: path for name, path in named.items() if OBJECT.fullmatch(name)}


# What may go.


def not_needed_now(paths: Paths) -> Iterator[Objects]:
    """The objects that nothing of today names, and whether they may go.

    Raises:
        ConfigurationError: dvc.lock or a *.dvc file cannot be read.
    """
    found = _objects(paths.root)
    now = _named_now(paths.root)
    left = set(found) - _with_contents(now, found)
    if not left:
        return
    earlier = _named_earlier(paths.root)
    is_shared = (paths.root / ".dvc" / "cache").is_symlink()
    if is_shared or not now or earlier is None:
        reason = SHARED if is_shared else NO_LOCK if not now else UNTOLD
        yield Objects(_places(left, found), reason, goes=False)
        return
    old = left & _with_contents(earlier, found)
    folder = _remote_folder(paths.root)
    copied = {name for name in old if folder and _is_copied(name, found[name], folder)}
    kinds = ((left - old, UNNAMED, True), (copied, COPIED, True), (old - copied, ONLY_COPY, False))
    for names, reason, goes in kinds:
        if names:
            yield Objects(_places(names, found), reason, goes)


def _places(names: set[str], found: Mapping[str, Path]) -> tuple[Path, ...]:
    return tuple(found[name] for name in sorted(names))


def _named_now(root: Path) -> set[str]:
    """What dvc.lock and the *.dvc files name."""
    named: set[str] = set()
    for path in [root / "dvc.lock", *root.glob("*.dvc"), *(root / "data").rglob("*.dvc")]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        _must_be_yaml(text, path.name)
        named |= _names_in(text)
    return named


def _must_be_yaml(text: str, name: str) -> None:
    try:
        content = YAML(typ="safe", pure=False).load(text)
    except YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" at line {line + 1}" if line is not None else ""
        raise ConfigurationError(
            f"{name} cannot be read{where}, so nobody knows what is still needed: nothing was "
            "removed. After a merge take either side of it and run `lodestar run`."
        ) from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{name} is empty or no mapping: nothing was removed.")


def _named_earlier(root: Path) -> set[str] | None:
    """What any commit of any branch had in dvc.lock or a *.dvc file; None when git cannot tell."""
    places = [folder / ".git" for folder in (root, *root.parents)]
    repository = next((place for place in places if place.exists()), None)
    if repository is None:
        return set()
    words = ["git", "log", "--all", "-m", "-p", "--unified=0", "--format=", "--no-color",
             "--no-ext-diff", "--no-textconv", "--text", "--", "dvc.lock", "*.dvc"]  # fmt: skip
    try:
        shallow = _git(["git", "rev-parse", "--is-shallow-repository"], root)
        return None if shallow.strip() != "false" else _names_in(_git(words, root))
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(words: list[str], root: Path) -> str:
    said = subprocess.run(words, cwd=root, capture_output=True, check=True)
    return said.stdout.decode("utf-8", "replace")


def _names_in(text: str) -> set[str]:
    return {f"{found[1]}{found[2] or ''}" for found in OBJECT.finditer(text)}


def _with_contents(named: set[str], found: Mapping[str, Path]) -> set[str]:
    """The names, and those listed by the `.dir` objects among them."""
    listed = set()
    for name in named:
        if name.endswith(".dir") and name in found:
            listed |= _listed_by(found[name])
    return named | listed


def _listed_by(path: Path) -> set[str]:
    try:
        return {str(row["md5"]) for row in json.loads(path.read_text("utf-8"))}
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"The cache object {path.parent.name}{path.name} is damaged, so nobody knows what is "
            "still needed: nothing was removed. The next `lodestar run` sets it aside."
        ) from None


def _is_copied(name: str, path: Path, folder: Path) -> bool:
    """True when the folder of a remote holds the object, byte for byte."""
    copy = folder / "files" / "md5" / name[:2] / name[2:]
    return copy.is_file() and store.sha256(copy) == store.sha256(path)


def _remote_folder(root: Path) -> Path | None:
    """The folder of the default remote; None without one, and for a remote that is no folder."""
    config = configparser.ConfigParser(interpolation=None)
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    name = config.get("core", "remote", fallback=None)
    section = f"'remote \"{name}\"'"
    url = config.get(section, "url", fallback="") if config.has_section(section) else ""
    return root / ".dvc" / url if url and "://" not in url else None
