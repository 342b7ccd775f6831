"""Git and a DVC remote are enough to build a report again; raw data of a company travel too."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.data import store
from pipeline.root import lay_out
from tests.ops import checkout
from tests.ops.test_schedules import cron_line

OPERATIONS = (checkout.PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
SETTLED, NEWEST = "2026-08", "2026-10"
NOT_IN_GIT = ("build", "reports", "tmp", "__pycache__")
BUILD_SECONDS = 1200


@dataclass(frozen=True)
class Kept:
    """The small company after cron's line: where it stands, what its log said."""

    place: Path
    began: str
    log: str


def report_of(place: Path, period: str) -> dict[str, Any]:
    return json.loads((place / "reports" / period / "report.json").read_text(encoding="utf-8"))


def files_of(place: Path, period: str) -> dict[str, bytes]:
    """Every file of a report but its record, whose build fields differ."""
    folder = place / "reports" / period
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "report.json"
    }


def said(report: dict[str, Any]) -> dict[str, Any]:
    """A record without what it declares to differ between two builds."""
    fields = report["provenance"]["build_fields"]
    whole = {key: value for key, value in report.items() if key not in fields}
    kept = {
        key: value
        for key, value in report["provenance"].items()
        if f"provenance.{key}" not in fields
    }
    return {**whole, "provenance": kept}


def commands_below(heading: str) -> list[str]:
    """The lines of the first block of commands below a heading of docs/operations.md."""
    _, _, rest = OPERATIONS.partition(f"\n{heading}\n")
    block = re.search(r"^```sh\n(.*?)^```", rest, re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.fixture(scope="module")
def kept(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The small company in a repository; cron's line has published and kept it."""
    place = tmp_path_factory.mktemp("kept") / "a folder 日本"
    shutil.copytree(test_root, place, ignore=shutil.ignore_patterns(*NOT_IN_GIT))
    checkout.lay_out(place)
    checkout.make_ready(place)
    dvc = place / ".venv" / "bin" / "dvc"
    checkout.run([str(dvc), "remote", "add", "--default", "storage", "../../remote"], place)
    checkout.begin_git(place, "dvc.lock")
    began = checkout.head(place)
    done = checkout.call(cron_line()[1], place.parent, LODESTAR_FOLDER=str(place))
    log = (place / "build" / "cron.log").read_text(encoding="utf-8")
    assert done.returncode == 0, log
    return Kept(place, began, log)


@pytest.mark.timeout(BUILD_SECONDS)
def test_a_run_from_crons_bare_environment_gives_the_same_report(
    kept: Kept, test_root: Path
) -> None:
    for period in (SETTLED, NEWEST):
        assert files_of(kept.place, period) == files_of(test_root, period)
        assert said(report_of(kept.place, period)) == said(report_of(test_root, period))


def test_the_commit_that_keeps_a_report_changes_no_code_and_bears_its_tag(kept: Kept) -> None:
    changed = checkout.run(["git", "diff", "--name-only", kept.began, "HEAD"], kept.place)
    assert changed.split() == ["dvc.lock"]
    assert checkout.tags(kept.place) == [f"report/{SETTLED}/1", f"report/{NEWEST}/1"]
    assert checkout.run("git status --porcelain", kept.place) == ""


@pytest.fixture(scope="module")
def rebuilt(kept: Kept) -> Iterator[Path]:
    """A later commit changed code and settings; then the commands of the page, one by one."""
    notebook = kept.place / "notebooks" / "01_population.ipynb"
    notebook.write_text(notebook.read_text("utf-8").replace("Who is", "Whoever is"), "utf-8")
    params = kept.place / "params.yaml"
    params.write_text(params.read_text("utf-8").replace("Sample Company", "Later Company"), "utf-8")
    checkout.commit(kept.place, "Later")
    folder = kept.place
    for command in commands_below("### Build an old report again"):
        words = command.replace("2025-10", SETTLED)
        if words.startswith("cd "):
            folder = (folder / words.removeprefix("cd ")).resolve()
            checkout.make_ready(folder)
        else:
            said_now = checkout.run(words, folder)
    (folder / "said").write_text(said_now, encoding="utf-8")
    yield folder
    checkout.run(["git", "worktree", "remove", "--force", str(folder)], kept.place)


@pytest.mark.timeout(BUILD_SECONDS)
def test_an_old_report_is_built_again_byte_for_byte_from_git_and_the_remote(
    kept: Kept, rebuilt: Path
) -> None:
    for period in (SETTLED, NEWEST):
        assert files_of(rebuilt, period) == files_of(kept.place, period)
        assert said(report_of(rebuilt, period)) == said(report_of(kept.place, period))


def test_after_a_pull_a_run_builds_nothing_but_the_pages(rebuilt: Path) -> None:
    steps = re.findall(r"^ *\d+ s  (.*)$", (rebuilt / "said").read_text(encoding="utf-8"), re.M)
    assert [step for step in steps if not step.startswith("report ")] == []
    assert len(steps) == 2


def test_a_root_without_a_flow_of_its_own_gets_our_words_on_what_dvc_ignores(
    tmp_path: Path,
) -> None:
    lay_out(tmp_path, checkout.PROJECT)
    for name in (".dvcignore", ".dvc/config"):
        assert (tmp_path / name).read_bytes() == (checkout.PROJECT / name).read_bytes()


# Raw data of a company.

EXPORTS = {
    "accounts.csv": "account_id,signed_up_date\n1,2026-01-05\n2,2026-02-05\n",
    "subscriptions.csv": (
        "subscription_id,account_id,start_date,end_date,mrr\n"
        "a,1,2026-01-05,,100.00\nb,2,2026-02-05,2026-05-01,50.00\n"
    ),
}


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """A checkout of a company with two exports and the first stage of the flow."""
    place = tmp_path / "acme 日本"
    checkout.lay_out(place)
    for name in ("pipeline", "dvc.yaml", "params.yaml"):
        source, target = checkout.PROJECT / name, place / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, target)
    yaml = YAML()
    params = yaml.load((place / "params.yaml").read_text(encoding="utf-8"))
    params.update(company="acme", company_name="Acme")
    with (place / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    raw = place / "data" / "raw" / "acme"
    raw.mkdir(parents=True)
    for name, content in EXPORTS.items():
        (raw / name).write_text(content, encoding="utf-8")
    checkout.make_ready(place)
    return place


@pytest.mark.timeout(BUILD_SECONDS)
def test_raw_data_and_what_ingest_made_of_them_travel_through_the_remote(acme: Path) -> None:
    for command in commands_below("## Keep what a report was made from"):
        if command.startswith(".venv/bin/dvc "):
            words = command.replace("<address>", "../../remote").replace("<company>", "acme")
            checkout.run(words, acme)
    path = f"{Path(sys.executable).parent}:{checkout.BARE['PATH']}"
    repro = ".venv/bin/dvc repro ingest"
    accounts = acme / "data" / "raw" / "acme" / "accounts.csv"
    accounts.write_text(EXPORTS["accounts.csv"] + "3,2026-03-05\n", encoding="utf-8")
    checkout.run(repro, acme, PATH=path)
    checkout.run(".venv/bin/dvc push ingest data/raw/acme.dvc", acme)
    checkout.begin_git(acme)
    checkout.run(["git", "clone", "--quiet", str(acme), "clone"], acme.parent)
    clone = acme.parent / "clone"
    checkout.make_ready(clone)
    checkout.run(".venv/bin/dvc pull ingest data/raw/acme.dvc", clone)
    for folder in ("data/raw/acme", "data/processed/ingest"):
        found = {path.name: store.sha256(path) for path in (clone / folder).iterdir()}
        assert found == {path.name: store.sha256(path) for path in (acme / folder).iterdir()}
    stale = checkout.run(".venv/bin/dvc status --json ingest data/raw/acme.dvc", clone)
    assert json.loads(stale) == {}
