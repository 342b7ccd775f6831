"""How a file and a folder appear: whole, flushed, and flushed no more often than that takes."""

import os
from collections import Counter
from pathlib import Path

import pytest

from pipeline.data import disk


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was flushed to disk, in order."""
    found: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda at: found.append(Path(f"/proc/self/fd/{at}").readlink())
    )
    return found


def test_a_file_is_flushed_and_then_the_folder_that_names_it(
    tmp_path: Path, flushed: list[Path]
) -> None:
    disk.write_text("1", tmp_path / "a.txt")
    assert [path.suffix or path for path in flushed] == [".part", tmp_path]


def test_a_folder_that_is_built_aside_is_flushed_once_and_before_it_is_put_in_place(
    tmp_path: Path, flushed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    building, place = tmp_path / f".2026-10{disk.BUILDING}", tmp_path / "2026-10"
    names = ("report.json", "tables/a.csv", "tables/b.csv")
    for name in names:
        disk.write_text(name, building / name)
    n_before = []
    rename = Path.rename
    monkeypatch.setattr(
        Path, "rename", lambda old, new: [n_before.append(len(flushed)), rename(old, new)][1]
    )
    disk.replace_folder(building, place)
    folders = [path for path in flushed if path.suffix != ".part"]
    assert len(flushed) - len(folders) == len(names)
    assert Counter(folders) == {building: 1, building / "tables": 1, tmp_path: 1}
    assert n_before == [len(flushed) - 1]
    assert sorted(path.name for path in (place / "tables").iterdir()) == ["a.csv", "b.csv"]
