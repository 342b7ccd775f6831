"""Faults 129 to 145 and 150 to 154: disks, locks, caches, clocks and readers, seen from outside.

Each test breaks one thing that a month's run stands on: the disk is full or read-only, another run
is under way, the cache lies, the clock goes back. The last good reports stay byte for byte, the
exit code says whose turn it is, and once the thing is mended the next run ends well. Locale, time
zone, hash seed, odd paths and other working directories (146 to 149) are in test_machine.py.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting import publish
from pipeline.reporting.privacy import small_numbers
from pipeline.reporting.records import record
from pipeline.settings import ANNEX, CHAPTERS, Paths, Period
from tests.faults.running import (
    PROJECT,
    Company,
    copied,
    listening,
    mounted,
    wait_for,
)

pytestmark = pytest.mark.timeout(900)

FAILED, CANNOT_CREATE, CANNOT_WRITE, NOT_NOW, CONFIGURATION = 70, 73, 74, 75, 78
OCTOBER, AUGUST = "2026-10", "2026-08"
SUMMARY = "00_summary.ipynb"
ROOM_MB = 120
"""Size of a disk that holds the small company, its cache and little else."""
LEFT_KB = 1500
"""What is left on it when it is nearly full: enough for a manifest, too little for a chapter."""
REFUSED_WITHIN = 1.0
INDEX_LIMIT = 200_000
PATIENCE = 90
"""Seconds that a run with nothing to do never needs, though a machine be busy."""


@pytest.fixture
def company(test_root: Path, tmp_path: Path) -> Iterator[Company]:
    """A copy of the small company for one test."""
    with copied(test_root, tmp_path / "company") as made:
        yield made


def said_by(done: subprocess.CompletedProcess[str]) -> str:
    """All that a command said."""
    return done.stdout + done.stderr


def new_words(company: Company) -> None:
    """Work for the next run: other words in the summary, so that October is published anew."""
    company.poison(SUMMARY, "answer = 'other words'")


# Disks.


@pytest.fixture
def small_disk(test_root: Path, tmp_path: Path) -> Iterator[Company]:
    """The small company on a disk that it nearly fills."""
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={ROOM_MB}m", "tmpfs") as disk,
        copied(test_root, disk / "company") as made,
    ):
        yield made


def fill(company: Company, left_kb: int) -> Path:
    """Take the disk of a company but for a little; the file to remove afterwards."""
    ballast = company.root.parent / "ballast"
    free = shutil.disk_usage(company.root).free - left_kb * 1024
    ballast.write_bytes(b"\0" * free)
    return ballast


def test_f129_a_run_does_not_begin_on_a_disk_that_is_nearly_full(small_disk: Company) -> None:
    new_words(small_disk)
    before = small_disk.reports | small_disk.bytes_of("data")
    fill(small_disk, LEFT_KB)
    done = small_disk.lodestar("run")
    assert done.returncode == CANNOT_WRITE, said_by(done)
    assert "MB" in done.stderr
    assert small_disk.reports | small_disk.bytes_of("data") == before


def test_f129_a_disk_that_fills_during_a_run_destroys_nothing(
    small_disk: Company, test_root: Path
) -> None:
    small_disk.replace("params.yaml", "free_disk_mb: 500", "free_disk_mb: 0")
    new_words(small_disk)
    before = small_disk.reports
    ballast = fill(small_disk, LEFT_KB)
    done = small_disk.lodestar("run")
    assert done.returncode == CANNOT_WRITE, said_by(done)
    assert re.search("No space left|disk is full", said_by(done))
    assert small_disk.reports == before
    ballast.unlink()
    again = small_disk.lodestar("run")
    assert again.returncode == 0, said_by(again)
    assert small_disk.leftovers == []
    assert small_disk.manifest["state"] == "done"


@pytest.mark.parametrize(
    ("folder", "words"), [("reports", "reports cannot be written"), ("", "Read-only file system")]
)
def test_f130_a_read_only_folder_is_named_and_loses_nothing(
    company: Company, folder: str, words: str
) -> None:
    new_words(company)
    before = company.bytes_of("reports", "data")
    place = company.root / folder
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        done = company.lodestar("run")
    assert done.returncode == CANNOT_CREATE, said_by(done)
    assert words in said_by(done)
    assert "Traceback" not in said_by(done)
    assert company.bytes_of("reports", "data") == before


# Two runs at once, and locks that nobody holds.

SLOW_STAGE = "\nimport time\nfrom pathlib import Path\nPath('slow').touch()\ntime.sleep(600)\n"


def test_f131_f132_any_second_run_is_refused_at_once_and_told_who_holds_the_lock(
    company: Company,
) -> None:
    company.append("pipeline/stages/ingest/__init__.py", SLOW_STAGE)
    runner = company.start("run")
    wait_for((company.root / "slow").is_file, 300, "the slow stage")
    taken = []
    for words in (["run"], ["run", "--period", AUGUST], ["run", "--force"], ["prune"], ["run"]):
        began = time.monotonic()
        done = company.lodestar(*words)
        taken.append(time.monotonic() - began)
        assert done.returncode == NOT_NOW, words
        assert f"process {runner.pid} on {os.uname().nodename}, since 20" in done.stderr
    assert min(taken) < REFUSED_WITHIN, taken
    assert runner.poll() is None
    runner.kill()
    runner.wait()
    company.wait_until_calm()


def test_f131_a_stage_that_outlives_its_runner_by_hand_keeps_others_out(company: Company) -> None:
    company.append("pipeline/stages/ingest/__init__.py", SLOW_STAGE)
    environment = company.environment({"PYTHONPATH": str(company.root)})
    words = ["stage", "ingest"]
    alone = subprocess.Popen(
        company.command(words), cwd=company.root, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        wait_for((company.root / "slow").is_file, 300, "the slow stage")
        assert company.lodestar("run").returncode == NOT_NOW
    finally:
        alone.kill()
        alone.wait()


def test_f133_a_lock_left_by_the_dead_stops_nobody(company: Company) -> None:
    taken_again = os.getpid()  # a number that lives again, as another process
    holders = [
        f'{{"boot_id": "another", "host": "{os.uname().nodename}", "pid": {taken_again}, '
        '"process_start": 1, "started_at": "2026-10-01T06:00:01+00:00"}',
        "\0\0\0 no words at all",
    ]
    before = company.bytes_of("reports", "data")
    for holder in holders:
        store.write_text(holder, company.root / "build" / "lock")
        done = company.lodestar("run")
        assert done.returncode == 0, said_by(done)
    assert company.bytes_of("reports", "data") == before


def test_f133_a_manifest_of_a_number_that_lives_again_reads_as_interrupted(
    company: Company,
) -> None:
    company.lodestar("run")
    path = next((company.root / "build" / "runs").glob("*/run.json"))
    manifest = store.read_json(path)
    alive = {"state": "running", "pid": os.getpid(), "process_start": 1, "ended_at": None}
    store.write_json(manifest | alive, path)
    assert "interrupted" in said_by(company.lodestar("status"))
    company.lodestar("run")
    assert store.read_json(path)["state"] == "interrupted"


# Stages, DVC and its cache.

EARLY = "\nraise RuntimeError('the moon is full')\n"
LATE = """
_run = run


def run(settings, paths):
    _run(settings, paths)
    (paths.ingest / "extract.json").write_text('{"extract_date": "2026-10-31", "rows": {}}')
    raise RuntimeError("the moon is full")
"""


@pytest.mark.parametrize(
    "fault",
    [EARLY, pytest.param(LATE, marks=pytest.mark.slow)],
    ids=["f134_early", "f135_late"],
)
def test_f134_f135_a_stage_that_fails_early_or_late_changes_no_report(
    company: Company, fault: str
) -> None:
    before, contents = company.reports, company.contents
    stage = company.root / "pipeline" / "stages" / "ingest" / "__init__.py"
    code = stage.read_text(encoding="utf-8")
    company.append("pipeline/stages/ingest/__init__.py", fault)
    done = company.lodestar("run")
    assert done.returncode == FAILED, said_by(done)
    assert "the moon is full" in said_by(done)
    assert company.reports == before
    run_id = company.manifest["run_id"]
    assert run_id in (company.root / "reports" / "index.html").read_text(encoding="utf-8")
    assert run_id in said_by(company.lodestar("status"))
    store.write_text(code, stage)
    again = company.lodestar("run")
    assert again.returncode == 0, said_by(again)
    assert company.contents == contents


def test_f136_a_merge_conflict_in_dvc_lock_is_explained(company: Company) -> None:
    path = company.root / "dvc.lock"
    good, before = path.read_text(encoding="utf-8"), company.reports
    store.write_text(f"<<<<<<< ours\n{good}=======\n{good}>>>>>>> theirs\n", path)
    done = company.lodestar("run")
    assert done.returncode == CONFIGURATION, said_by(done)
    assert "dvc.lock holds the marks of a merge" in said_by(done)
    assert "git checkout --ours dvc.lock" in said_by(done)
    assert company.reports == before


def cached_copy(company: Company, name: str) -> Path:
    """The cache's copy of a file."""
    content = (company.root / name).read_bytes()
    for path in (company.root / ".dvc" / "cache").rglob("*"):
        if path.is_file() and path.read_bytes() == content:
            return path
    pytest.fail(f"the cache holds no copy of {name}")


@pytest.mark.slow
def test_f137_a_cache_that_lies_is_never_believed(company: Company) -> None:
    name = f"data/processed/snapshot/{OCTOBER}/accounts.parquet"
    contents = company.contents
    cached = cached_copy(company, name)
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.chmod(0o644)
    cached.write_bytes(content)
    shutil.rmtree(company.root / "data" / "processed" / "snapshot")
    done = company.lodestar("run")
    assert done.returncode == 0, said_by(done)
    assert company.contents == contents


def test_f138_what_a_report_is_made_with_is_a_dependency_of_every_stage() -> None:
    text = (PROJECT / "dvc.yaml").read_text(encoding="utf-8")
    stages = YAML(typ="safe", pure=True).load(text)["stages"]
    always = {"requirements.lock", "pipeline/settings.py", "pipeline/data"}
    for name, stage in stages.items():
        assert always <= set(stage["deps"]), name
        if name in (*CHAPTERS, ANNEX, "report"):
            assert "pipeline/reporting" in stage["deps"], name
    packages = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    assert "\nmatplotlib==" in packages  # pictures are set in the font that comes with it


# Between publishing and the index; clocks; readers' mistakes.


def test_f139_an_index_that_a_crash_left_behind_is_written_at_the_next_start(
    company: Company,
) -> None:
    index = company.root / "reports" / "index.html"
    good = index.read_bytes()
    index.write_bytes(good.replace(b"October 2026", b"September 2026"))
    done = company.lodestar("run")
    assert done.returncode == 0, said_by(done)
    assert index.read_bytes() == good


def test_f139_a_report_between_its_two_renames_comes_back_at_the_next_start(
    company: Company,
) -> None:
    before = company.reports
    place = company.root / "reports" / OCTOBER
    place.rename(store.set_aside(place))
    done = company.lodestar("run")
    assert done.returncode == 0, said_by(done)
    assert company.reports == before


def test_f140_the_newest_month_is_the_one_with_the_latest_name_whatever_the_clock_said(
    company: Company,
) -> None:
    index = company.root / "reports" / "index.html"
    good = index.read_bytes()
    for age, name in enumerate([AUGUST, OCTOBER]):
        for path in (company.root / "reports" / name).rglob("*"):
            os.utime(path, (1e9 - 1e6 * age, 1e9 - 1e6 * age))
    index.unlink()
    assert company.lodestar("run").returncode == 0
    assert index.read_bytes() == good


def publish_at(company: Company, year: int) -> publish.Publication:
    """Publish October anew while the clock says the first of a year."""
    done = company.lodestar("chapter", "summary", OCTOBER)
    assert done.returncode == 0, said_by(done)
    settings, paths = configuration.load(company.root), Paths(company.root, "sample")
    now = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    return publish.publish(Period(OCTOBER), settings, paths, force=True, now=now)


def test_f140_a_clock_that_goes_back_is_said_and_what_came_last_stands(company: Company) -> None:
    new_words(company)
    first = publish_at(company, 2099)
    done = company.lodestar("doctor")
    assert done.returncode == 0, said_by(done)
    assert "clock is before the newest report" in said_by(done)
    company.replace(f"notebooks/{SUMMARY}", "other words", "still others")
    second = publish_at(company, 2020)
    assert (first.is_new, second.is_new) == (True, True)
    assert second.revision >= first.revision
    newest = publish.all_reports(Paths(company.root, "sample"))[0]
    assert newest["period"] == OCTOBER
    assert newest["provenance"]["built_at"].startswith("2020-01-01")


def test_f141_a_report_deleted_by_hand_is_noticed_and_built_again(company: Company) -> None:
    before = company.contents
    shutil.rmtree(company.root / "reports" / AUGUST)
    assert "not published" in said_by(company.lodestar("status"))
    done = company.lodestar("run")
    assert done.returncode == 0, said_by(done)
    assert company.contents == before


def objects_needed(company: Company) -> set[str]:
    """Names of the cache's objects that dvc.lock leads to."""
    lock = (company.root / "dvc.lock").read_text(encoding="utf-8")
    named = set(re.findall(r"md5: ([0-9a-f]{32}(?:\.dir)?)", lock))
    cache = company.root / ".dvc" / "cache" / "files" / "md5"
    folders = [cache / name[:2] / name[2:] for name in named if name.endswith(".dir")]
    inside = [file["md5"] for path in folders if path.is_file() for file in store.read_json(path)]
    return named.union(inside)


def objects_kept(company: Company) -> set[str]:
    """Names of the cache's objects."""
    cache = company.root / ".dvc" / "cache" / "files" / "md5"
    return {path.parent.name + path.name for path in cache.glob("??/*")}


def test_f142_pruning_never_takes_the_only_copy(company: Company) -> None:
    before = company.bytes_of("reports", "data")
    everything = company.bytes_of("reports", "data", ".dvc/cache")
    needed = objects_needed(company) & objects_kept(company)
    assert needed
    seen = company.lodestar("prune", "--dry-run")
    assert seen.returncode == 0, said_by(seen)
    assert company.bytes_of("reports", "data", ".dvc/cache") == everything
    shutil.rmtree(company.root / "data" / "processed" / "snapshot")  # the cache's is the only copy
    done = company.lodestar("prune")
    assert done.returncode == 0, said_by(done)
    assert needed <= objects_kept(company)
    again = company.lodestar("run")
    assert again.returncode == 0, said_by(again)
    assert company.bytes_of("reports", "data") == before


def test_f143_ten_years_of_months_are_one_light_page_grouped_by_year(
    test_root: Path, tmp_path: Path
) -> None:
    report = store.read_json(test_root / "reports" / OCTOBER / "report.json")
    for back in range(120):
        name = str(Period(OCTOBER).shift(-back))
        month = record.sealed(report | {"period": name})
        store.write_json(month, tmp_path / "reports" / name / "report.json")
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    publish.write_index(Paths(tmp_path, "sample"))
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert page.count('scope="row"') >= 120
    years = re.findall(r'id="year-(\d{4})"', page)
    assert years == [str(year) for year in range(2026, 2015, -1)]
    assert len(page.encode()) < INDEX_LIMIT


# Who is told.


@pytest.mark.parametrize(
    "how", ["slow", *(pytest.param(how, marks=pytest.mark.slow) for how in ("gone", "broken"))]
)
def test_f144_a_dead_slow_or_broken_endpoint_changes_neither_the_end_nor_the_hour(
    company: Company, how: str
) -> None:
    answer, delay = (500, 0) if how == "broken" else (200, 2 * PATIENCE)
    before = company.reports
    with listening(answer, delay) as endpoint:
        if how == "gone":
            endpoint.server_close()
        began = time.monotonic()
        done = company.lodestar("run", **endpoint.variables)
        taken = time.monotonic() - began
    assert done.returncode == 0, said_by(done)
    assert taken < PATIENCE
    assert company.reports == before


# test_f145 stands with the poisoned run in test_running.py, whose failure somebody is told of.


# Readers.


def test_f150_f151_a_report_asks_for_nothing_and_runs_nothing(test_root: Path) -> None:
    pages = sorted((test_root / "reports").rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "default-src 'none'" in text
        assert not re.search(r"""(src|href)=["']?(https?:)?//""", text), page
        assert "@media print" in text
        assert 'name="viewport"' in text


def test_f152_a_month_whose_every_group_is_suppressed_has_words_in_place_of_pictures(
    company: Company,
) -> None:
    company.replace("params.yaml", "min_cell: 0 ", "min_cell: 1000000 ")
    done = company.lodestar("chapter", "population", OCTOBER)
    assert done.returncode == 0, said_by(done)
    place = company.root / "data" / "processed" / "population" / OCTOBER
    pictures = [path.read_text(encoding="utf-8") for path in place.rglob("*.svg")]
    assert set(pictures) == {small_numbers.WITHHELD["picture"]}
    assert small_numbers.WITHHELD["title"] in (place / "notebook.ipynb").read_text(encoding="utf-8")


@pytest.mark.slow
def test_f153_a_company_in_its_first_month_gets_a_report_without_an_earlier_one(
    tmp_path: Path,
) -> None:
    accounts, subscriptions = (
        ["account_id,signed_up_date"],
        ["subscription_id,account_id,start_date,end_date,mrr"],
    )
    for number in range(60):
        day = dt.date(2026, 10, 2) + dt.timedelta(number % 20)
        end = "" if number % 7 else day + dt.timedelta(5)
        accounts.append(f"a{number:03d},{day}")
        subscriptions.append(f"s{number:03d},a{number:03d},{day},{end},{100 + number}")
    raw = tmp_path / "data" / "raw" / "acme"
    store.write_text("\n".join([*accounts, ""]), raw / "accounts.csv")
    store.write_text("\n".join([*subscriptions, ""]), raw / "subscriptions.csv")
    params = {
        "company": "acme",
        "company_name": "Acme",
        "periods": [OCTOBER],
        "chapters": ["summary", "population", "revenue"],
        "extract_date": "2026-10-31",
    }
    store.write_json(params, tmp_path / "params.yaml")  # JSON is YAML
    done = Company(tmp_path).lodestar("run")
    assert done.returncode == 0, said_by(done)
    check_no_earlier_month(tmp_path / "reports" / OCTOBER)


def test_f153_the_oldest_report_leads_to_none_before_it(test_root: Path) -> None:
    page = (test_root / "reports" / AUGUST / "index.html").read_text(encoding="utf-8")
    assert "Previous" not in page[: page.index('<main id="content"')]


def check_no_earlier_month(report: Path) -> None:
    """A report of a first month compares with nothing and shows no missing number as one."""
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "Previous" not in page[: page.index('<main id="content"')]
    assert "nan" not in re.sub(r"<[^>]*>", " ", page).lower().split()
    headline = store.read_json(report / "report.json")["headline"]
    assert headline
    assert {row["previous"] for row in headline if row["unit"] == "share"} == {None}
    assert {row["year_ago"] for row in headline} == {None}


def test_f154_the_previous_report_is_the_one_that_is_there(test_root: Path) -> None:
    page = (test_root / "reports" / OCTOBER / "index.html").read_text(encoding="utf-8")
    assert f'href="../{AUGUST}/index.html"' in page
    assert "../2026-09/" not in page
