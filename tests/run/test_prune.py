"""Pruning: what nothing needs goes, the only copy of anything stays and says why."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.run import cache, prune
from pipeline.run.prune import Item
from pipeline.settings import ConfigurationError, Paths, Settings

ACME = {"company": "acme", "company_name": "Acme", "periods": ["2026-09", "2026-10"],
        "chapters": ["summary"], "run": {"keep_runs": 2}}  # fmt: skip
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": os.devnull}  # fmt: skip


@pytest.fixture
def settings() -> Settings:
    return configuration.parse(ACME)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, "acme")


def file(path: Path, text: str = "content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def run_of(paths: Paths, day: int, state: str = "done", **periods: str) -> str:
    run_id = f"202611{day:02d}T060001Z-aaaaaa"
    rows = [{"period": f"2026-{name[1:]}", "state": how} for name, how in periods.items()]
    content = {"state": state, "periods": rows}
    file(paths.build / "runs" / run_id / "run.json", json.dumps(content))
    file(paths.build / "runs" / run_id / "log.jsonl")
    return run_id


def runs_left(paths: Paths) -> list[int]:
    return sorted(int(path.name[6:8]) for path in (paths.build / "runs").iterdir())


def kept(items: list[Item]) -> dict[str, str]:
    return {item.what: item.reason for item in items if not item.goes}


def gone(items: list[Item]) -> list[str]:
    return [item.what for item in items if item.goes]


# Runs, logs, leftovers.


def test_the_newest_runs_stay_and_the_last_failed_one_of_each_period(
    paths: Paths, settings: Settings
) -> None:
    run_of(paths, 1, "failed", p09="failed", p10="failed")
    run_of(paths, 2, "failed", p09="published", p10="failed")
    for day in (3, 4, 5, 6):
        run_of(paths, day, p09="in_force", p10="published")
    items = prune.prune(paths, settings)
    assert runs_left(paths) == [1, 2, 5, 6]
    assert sorted(kept(items).values()) == [
        "the last failed run of 2026-09", "the last failed run of 2026-10",
    ]  # fmt: skip


def test_a_run_that_says_it_still_runs_and_a_folder_that_is_no_run_stay(
    paths: Paths, settings: Settings
) -> None:
    run_of(paths, 1, "running")
    for day in (2, 3, 4):
        run_of(paths, day)
    file(paths.build / "runs" / "notes" / "mine.txt")
    prune.prune(paths, settings)
    assert (paths.build / "runs" / "notes" / "mine.txt").is_file()
    (paths.build / "runs" / "notes" / "mine.txt").unlink()
    (paths.build / "runs" / "notes").rmdir()
    assert runs_left(paths) == [1, 3, 4]


def test_logs_of_months_no_longer_listed_go_unless_a_run_that_stays_names_them(
    paths: Paths, settings: Settings
) -> None:
    log = paths.build / "log"
    for name in ("revenue-2026-09.log", "revenue-2024-01.log", "fit-2024-02.log", "traceback.txt"):
        file(log / name)
    run_of(paths, 1, "failed")
    told = paths.build / "runs" / "20261101T060001Z-aaaaaa" / "run.json"
    file(told, json.dumps({"state": "failed", "error": {"log": "build/log/fit-2024-02.log"}}))
    prune.prune(paths, settings)
    left = sorted(path.name for path in log.iterdir())
    assert left == ["fit-2024-02.log", "revenue-2026-09.log", "traceback.txt"]


def test_what_dvc_said_goes_when_it_is_large(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = file(paths.build / "log" / "dvc.log")
    assert prune.prune(paths, settings) == []
    monkeypatch.setattr(prune, "LARGEST_LOG_BYTES", 3)
    prune.prune(paths, settings)
    assert not log.exists()


def test_f142_what_was_half_made_goes_and_a_report_set_aside_stays_while_its_place_is_empty(
    paths: Paths, settings: Settings
) -> None:
    report = file(paths.reports / "2026-09" / "index.html")
    history = file(paths.reports / "2026-09" / "history" / "1.json")
    raw = file(paths.root / "data" / "raw" / "acme" / "accounts.csv")
    table = file(paths.processed / "revenue" / "2026-09" / "tables" / "x.csv")
    only = file(paths.reports / ".2026-10.old" / "index.html")
    other = file(paths.reports / ".2026-09.old" / "index.html")
    half = file(paths.reports / "2026-10.building" / "index.html")
    parts = [file(paths.reports / ".index.html.a.part"), file(table.with_name(".x.csv.b.part"))]
    items = prune.prune(paths, settings)
    assert [path.exists() for path in (report, history, raw, table, only)] == [True] * 5
    assert [path.exists() for path in (other, half, *parts)] == [False] * 4
    assert kept(items) == {"reports/.2026-10.old": "the only copy; the next run puts it back"}


def test_a_dry_run_says_the_same_and_removes_nothing(paths: Paths, settings: Settings) -> None:
    for day in (1, 2, 3, 4):
        run_of(paths, day)
    file(paths.reports / "2026-10.building" / "index.html", "x" * 2_000_000)
    would = prune.prune(paths, settings, dry_run=True)
    assert runs_left(paths) == [1, 2, 3, 4]
    said = list(prune.lines(would, dry_run=True))
    assert said[-1].split(maxsplit=1)[1] == "MB  would go in all"
    left = "reports/2026-10.building: left half-made by a run that was killed"
    assert said[-2] == f"       2.0 MB  {left}"
    assert prune.prune(paths, settings) == would
    assert list(prune.lines(prune.prune(paths, settings), dry_run=False)) == ["Nothing to remove."]


# DVC's cache.


class Cache:
    """A cache of DVC's with a few objects, and the lock that names some of them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, text: str, suffix: str = "") -> str:
        name = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + suffix
        file(self.place(name), text)
        return name

    def folder(self, *names: str) -> str:
        rows = [{"md5": name, "relpath": f"{name}.csv"} for name in names]
        return self.add(json.dumps(rows), ".dir")

    def place(self, name: str, where: str = ".dvc/cache") -> Path:
        return self.root / where / "files" / "md5" / name[:2] / name[2:]

    def lock(self, *names: str) -> None:
        outs = "".join(f"    - path: {name}\n      md5: {name}\n" for name in names)
        file(self.root / "dvc.lock", f"schema: '2.0'\nstages:\n  a:\n    outs:\n{outs}")

    def commit(self) -> None:
        for words in (["init", "-q"], ["add", "dvc.lock"], ["commit", "-qm", "one"]):
            subprocess.run(["git", *words], cwd=self.root, check=True, env=os.environ | IDENTITY)

    def stands(self, *names: str) -> list[bool]:
        return [self.place(name).exists() for name in names]


@pytest.fixture
def objects(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_objects_that_dvc_lock_names_stay_with_the_contents_of_their_folders(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    one, inside, unnamed = objects.add("one"), objects.add("inside"), objects.add("unnamed")
    held, lost = objects.folder(inside), objects.folder(unnamed)
    objects.lock(one, held)
    items = prune.prune(paths, settings)
    assert objects.stands(one, inside, held, unnamed, lost) == [True, True, True, False, False]
    assert [(item.what, item.reason) for item in items] == [
        ("2 objects of .dvc/cache", cache.UNNAMED)
    ]


def test_what_a_dvc_file_names_stays(objects: Cache, paths: Paths, settings: Settings) -> None:
    raw = objects.add("raw")
    objects.lock(objects.add("one"))
    file(paths.root / "data" / "raw" / "acme.dvc", f"outs:\n- md5: {raw}\n  path: acme\n")
    prune.prune(paths, settings)
    assert objects.stands(raw) == [True]


def test_f142_an_object_that_only_an_earlier_commit_names_stays_as_the_only_copy(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    old, inside, new, never = (objects.add(each) for each in ("old", "inside", "new", "never"))
    folder = objects.folder(inside)
    objects.lock(old, folder)
    objects.commit()
    objects.lock(new)
    items = prune.prune(paths, settings)
    assert objects.stands(old, inside, folder, new, never) == [True, True, True, True, False]
    assert kept(items) == {"3 objects of .dvc/cache": cache.ONLY_COPY}
    assert "Kept (0.0 MB): 3 objects" in "\n".join(prune.lines(items, dry_run=False))


def test_f142_a_lock_that_git_shows_as_binary_still_names_what_it_names(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    file(paths.root / ".gitattributes", "dvc.lock -diff\n")
    old = objects.add("old")
    objects.lock(old)
    objects.commit()
    objects.lock(objects.add("new"))
    prune.prune(paths, settings)
    assert objects.stands(old) == [True]


def test_a_damaged_list_of_a_folder_stops_pruning_before_anything_goes(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    inside, unnamed = objects.add("inside"), objects.add("unnamed")
    held = objects.folder(inside)
    objects.lock(held)
    objects.place(held).write_text("[{")
    with pytest.raises(ConfigurationError, match="is damaged"):
        prune.prune(paths, settings)
    assert objects.stands(inside, unnamed) == [True, True]


@pytest.mark.parametrize("url", ["{root}/remote", "../remote"])
def test_an_earlier_object_goes_when_the_remote_folder_holds_the_same_bytes(
    objects: Cache, paths: Paths, settings: Settings, url: str
) -> None:
    old, other = objects.add("old"), objects.add("other")
    objects.lock(old, other)
    objects.commit()
    objects.lock(objects.add("new"))
    config = f"[core]\n    remote = far\n['remote \"far\"']\n    url = {url}\n"
    file(paths.root / ".dvc" / "config", config.format(root=paths.root))
    file(objects.place(old, "remote"), "old")
    file(objects.place(other, "remote"), "damaged on its way")
    items = prune.prune(paths, settings)
    assert objects.stands(old, other) == [False, True]
    assert kept(items) == {"1 object of .dvc/cache": cache.ONLY_COPY}


def test_f142_a_remote_that_is_no_folder_here_proves_nothing(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    old = objects.add("old")
    objects.lock(old)
    objects.commit()
    objects.lock(objects.add("new"))
    config = "[core]\n    remote = far\n['remote \"far\"']\n    url = s3://bucket/path\n"
    file(paths.root / ".dvc" / "config", config)
    prune.prune(paths, settings)
    assert objects.stands(old) == [True]


def test_f136_a_lock_with_conflict_marks_stops_pruning_before_anything_goes(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    run_of(paths, 1)
    run_of(paths, 2)
    run_of(paths, 3)
    unnamed = objects.add("unnamed")
    file(
        paths.root / "dvc.lock", "stages:\n<<<<<<< ours\n  a: 1\n=======\n  a: 2\n>>>>>>> theirs\n"
    )
    with pytest.raises(ConfigurationError, match=r"dvc\.lock cannot be read at line \d+"):
        prune.prune(paths, settings)
    assert (objects.stands(unnamed), runs_left(paths)) == ([True], [1, 2, 3])


def test_f142_without_a_lock_or_with_a_history_that_cannot_be_read_every_object_stays(
    objects: Cache, paths: Paths, settings: Settings
) -> None:
    unnamed = objects.add("unnamed")
    assert kept(prune.prune(paths, settings)) == {"1 object of .dvc/cache": cache.NO_LOCK}
    objects.lock(objects.add("one"))
    (paths.root / ".git").mkdir()  # no repository that git can read
    assert kept(prune.prune(paths, settings)) == {"1 object of .dvc/cache": cache.UNTOLD}
    assert objects.stands(unnamed) == [True]


def test_f142_a_cache_that_is_a_link_may_be_shared_and_stays(
    tmp_path: Path, settings: Settings
) -> None:
    shared = Cache(tmp_path / "shared")
    name = shared.add("unnamed")
    own = Cache(tmp_path / "own")
    own.lock("0" * 32)
    (own.root / ".dvc").mkdir()
    (own.root / ".dvc" / "cache").symlink_to(shared.root / ".dvc" / "cache")
    items = prune.prune(Paths(own.root, "acme"), settings)
    assert list(kept(items).values()) == [cache.SHARED]
    assert shared.stands(name) == [True]
