"""What `ops/keep` keeps: data first, then git, then a tag for each report this code built."""

import json
from pathlib import Path

import pytest

from tests.ops import checkout

RECORDS_ITS_CALL = 'echo "$@" >> called\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A committed checkout in which a run has changed dvc.lock; dvc only records its calls."""
    place = tmp_path / "a folder 日本"
    checkout.lay_out(place)
    (place / "data" / "raw").mkdir(parents=True)
    for name in ("params.yaml", "dvc.lock", "code.py", "data/raw/acme.dvc"):
        (place / name).write_text("first\n", encoding="utf-8")
    (place / ".gitignore").write_text(
        (checkout.PROJECT / ".gitignore").read_text(encoding="utf-8") + "called\n",
        encoding="utf-8",
    )
    checkout.begin_git(place)
    checkout.make_ready(place)
    checkout.write_program(place / ".venv" / "bin" / "dvc", RECORDS_ITS_CALL)
    (place / "dvc.lock").write_text("second\n", encoding="utf-8")
    return place


def publish(place: Path, period: str, revision: int, built_on: str) -> None:
    """A report as far as `keep` reads it."""
    folder = place / "reports" / period
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "period": period, "revision": revision, "provenance": {"git_commit": built_on},
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(record), encoding="utf-8")


def test_the_pointer_of_a_companys_raw_data_may_enter_git(place: Path) -> None:
    (place / "data" / "raw" / "acme").mkdir()
    (place / "data" / "raw" / "acme" / "accounts.csv").write_text("x", encoding="utf-8")
    listed = checkout.run("git ls-files data/raw; git status --porcelain data/raw", place)
    assert listed.split() == ["data/raw/acme.dvc"]


def test_keep_pushes_the_data_and_commits_what_names_them(place: Path) -> None:
    (place / "data" / "raw" / "acme.dvc").write_text("second\n", encoding="utf-8")
    checkout.run("sh ops/keep", place)
    assert (place / "called").read_text(encoding="utf-8") == "push\n"
    changed = checkout.run("git show --name-only --format= HEAD", place).split()
    assert changed == ["data/raw/acme.dvc", "dvc.lock"]


def test_keep_works_from_another_folder(place: Path) -> None:
    checkout.run(["sh", str(place / "ops" / "keep")], place.parent)
    assert checkout.run("git status --porcelain", place) == ""


def test_each_report_that_this_commit_built_gets_a_tag_and_no_other(place: Path) -> None:
    publish(place, "2026-09", 2, built_on=checkout.head(place))
    publish(place, "2026-08", 1, built_on="0" * 40)
    checkout.run("sh ops/keep", place)
    assert checkout.tags(place) == ["report/2026-09/2"]
    named = checkout.run("git rev-parse report/2026-09/2^{commit}", place).strip()
    assert named == checkout.head(place), "the commit that holds dvc.lock as the run left it"


def test_a_second_call_changes_nothing(place: Path) -> None:
    publish(place, "2026-09", 1, built_on=checkout.head(place))
    checkout.run("sh ops/keep", place)
    before = checkout.head(place), checkout.tags(place)
    assert checkout.run("sh ops/keep", place) == ""
    assert (checkout.head(place), checkout.tags(place)) == before


def test_a_call_that_ended_before_its_tags_is_taken_up_by_the_next(place: Path) -> None:
    publish(place, "2026-09", 1, built_on=checkout.head(place))
    checkout.run("sh ops/keep", place)
    checkout.run("git tag --delete report/2026-09/1", place)
    checkout.run("sh ops/keep", place)
    assert checkout.tags(place) == ["report/2026-09/1"]


def test_nothing_is_committed_when_the_data_could_not_be_pushed(place: Path) -> None:
    before = checkout.head(place)
    checkout.write_program(place / ".venv" / "bin" / "dvc", "exit 1\n")
    done = checkout.call("sh ops/keep", place)
    assert done.returncode == 75
    assert "nothing was committed" in done.stderr
    assert checkout.head(place) == before


def test_code_that_nobody_committed_is_refused_by_name(place: Path) -> None:
    before = checkout.head(place)
    (place / "code.py").write_text("second\n", encoding="utf-8")
    done = checkout.call("sh ops/keep", place)
    assert done.returncode == 78
    assert done.stderr == "keep: commit or undo first: code.py\n"
    assert checkout.head(place) == before
    assert not (place / "called").exists()


def test_a_copy_without_git_is_told_so(place: Path) -> None:
    (place / ".git").rename(place / "no-git")
    done = checkout.call("sh ops/keep", place, GIT_CEILING_DIRECTORIES=str(place.parent))
    assert done.returncode == 78
    assert "no git commit" in done.stderr
