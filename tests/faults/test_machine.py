"""Faults 146 to 149: another locale, time zone, hash seed, path or working directory.

A tiny company goes through the stages on machines that differ; every file must come out with the
same bytes. The first machine is the measure of the others.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[2]
LOCALES = {
    "C": None,
    "de_DE.UTF-8": ("de_DE", "UTF-8"),
    "ja_JP.EUC-JP": ("ja_JP", "EUC-JP"),  # text without a named encoding would be EUC-JP here
    "POSIX": None,
}
"""Name → what `localedef` makes it from; decimal comma, other month names, another encoding."""
ZONES = (None, "Asia/Tokyo", "America/St_Johns")
"""None: TZ is not set."""
HASH_SEEDS = ("0", "1", "4711")
PERIOD = "2026-06"
BUILD_SECONDS = 900
LONG_NAME = "Kundenerfolg Überblick 日本語 レポート " * 2

STAGES = """
import sys
from pathlib import Path
from pipeline import settings
from pipeline.stages import ingest, snapshot, usage
own = settings.load(Path(sys.argv[1]))
paths = settings.Paths(Path(sys.argv[1]), own.company)
for stage in (ingest, usage, snapshot):
    stage.run(own, paths)
"""
SAYS = """
from pipeline import cli
from pipeline.run import Progress
@cli.app.command()
def probe() -> None:
    Progress().say("\\u00c4cme \\u682a")
cli.main(["probe"])
"""
PAGES = """
from pipeline.reporting import publish
from pipeline.reporting.execution import execute
from pipeline.settings import Period
for name in ("population", "summary", "annex"):
    execute.run_chapter(name, Period(sys.argv[2]), own, paths)
publish.publish(Period(sys.argv[2]), own, paths)
"""


@dataclass(frozen=True)
class Machine:
    """What differs between two computers that run the same months."""

    locale: str
    zone: str | None
    hash_seed: str

    def environment(self, locales: Path) -> dict[str, str]:
        """Its variables; text is not UTF-8 by Python's own decree."""
        zone = {"TZ": self.zone} if self.zone else {}
        return zone | {
            "PATH": os.environ["PATH"],
            "HOME": str(locales.parent),
            "LC_ALL": self.locale,
            "LOCPATH": str(locales),
            "PYTHONHASHSEED": self.hash_seed,
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
        }


MACHINES = [
    Machine(locale, zone, HASH_SEEDS[(row + column) % len(HASH_SEEDS)])
    for (row, locale), (column, zone) in itertools.product(enumerate(LOCALES), enumerate(ZONES))
]
CROSSED = [
    pytest.param(machine, marks=[] if number in (4, 8, 9) else pytest.mark.slow)
    for number, machine in enumerate(MACHINES)
    if number > 0
]
"""Each locale, zone and seed always; each with each in the slow tests."""
WITH_PAGES = [MACHINES[0], MACHINES[4], MACHINES[8]]
"""They differ in locale, zone and hash seed, each from each."""


@pytest.fixture(scope="module")
def locales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of locales that need not be installed."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").is_file():
        pytest.skip("the sources of locales (Debian: locales) are not installed")
    folder = tmp_path_factory.mktemp("machines") / "locales"
    folder.mkdir()
    for name, made_from in LOCALES.items():
        if made_from:
            language, encoding = made_from
            words = ["localedef", "-i", language, "-f", encoding, str(folder / name)]
            subprocess.run(words, check=True, capture_output=True)
    return folder


def lay_out_company(root: Path) -> None:
    """Eighteen months of sixty accounts with names from three alphabets."""
    yaml = YAML()
    params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    params.update(
        company="acme", company_name="Äcme 株式会社", periods=[PERIOD], timezone="Asia/Tokyo",
        chapters=["summary", "population"], observation_start=None,
    )  # fmt: skip
    with (root / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    raw = root / "data" / "raw" / "acme"
    raw.mkdir(parents=True)
    for name, lines in (("accounts", accounts()), ("subscriptions", subscriptions())):
        (raw / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copytree(PROJECT / "notebooks", root / "notebooks")
    shutil.copy(PROJECT / "requirements.lock", root)


def accounts() -> Iterator[str]:
    """One row per account."""
    yield "account_id,signed_up_date,name,segment"
    segments = ("Größe XL", "中小企業", "small")
    for number in range(60):
        day = f"2025-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
        yield f"a{number:02d},{day},Zoë & Söhne {number},{segments[number % 3]}"


def subscriptions() -> Iterator[str]:
    """One row per account; each fourth ends after a while."""
    yield "subscription_id,account_id,start_date,end_date,mrr"
    for number in range(60):
        month, day = number % 12 + 1, number % 28 + 1
        end = f"2026-{number % 7 + 1:02d}-{day:02d}" if number % 4 == 0 else ""
        yield f"s{number:02d},a{number:02d},2025-{month:02d}-{day:02d},{end},{100 + number}.50"
    yield "s99,a01,2026-07-31,2026-08-31,1.00"  # the data reach beyond the close


def run_on(machine: Machine, root: Path, locales: Path) -> None:
    """The stages there, and the pages too where they are asked for."""
    root.mkdir(parents=True)
    lay_out_company(root)
    code = STAGES + PAGES if machine in WITH_PAGES else STAGES
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), PERIOD],
        cwd=root, env=machine.environment(locales), stdin=subprocess.DEVNULL,
        capture_output=True, timeout=BUILD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{machine}\n{done.stderr.decode('utf-8', 'replace')}"


def tables_of(root: Path) -> dict[str, str]:
    """Hash of every file that the stages made."""
    return {
        name: value
        for folder in ("data/processed/ingest", "data/processed/usage", "data/processed/snapshot")
        for name, value in hashes(root, root / folder).items()
    }


def pages_of(root: Path) -> dict[str, Any]:
    """Hash of every file of the report and of the executed notebooks; the record in full."""
    report = root / "reports" / PERIOD
    record = json.loads((report / "report.json").read_text(encoding="utf-8"))
    for name in record["provenance"]["build_fields"]:
        where = record["provenance"] if name.startswith("provenance.") else record
        where.pop(name.rpartition(".")[2], None)
    found = hashes(root, report) | hashes(root, root / "data" / "processed" / "population")
    found.pop(f"reports/{PERIOD}/report.json")
    return {**found, "record": record}


def hashes(root: Path, folder: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(locales: Path) -> Callable[[Machine], Path]:
    """The tiny company on a machine, built when it is first asked for."""

    @cache
    def root_on(machine: Machine) -> Path:
        root = locales.parent / f"{MACHINES.index(machine):02d}" / "root"
        run_on(machine, root, locales)
        return root

    return root_on


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("machine", CROSSED, ids=str)
def test_f146_tables_are_the_same_under_every_locale_and_time_zone(
    built: Callable[[Machine], Path], machine: Machine
) -> None:
    expected = tables_of(built(MACHINES[0]))
    assert any(name.startswith("data/processed/snapshot") for name in expected)
    assert tables_of(built(machine)) == expected


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("machine", WITH_PAGES[1:], ids=str)
def test_f146_f147_a_report_is_the_same_under_another_locale_zone_and_hash_seed(
    built: Callable[[Machine], Path], machine: Machine
) -> None:
    assert pages_of(built(machine)) == pages_of(built(WITH_PAGES[0]))


def test_f147_every_hash_seed_meets_every_time_zone_and_every_page() -> None:
    met = {(machine.hash_seed, machine.zone) for machine in MACHINES}
    assert met == set(itertools.product(HASH_SEEDS, ZONES))
    for part in ("locale", "zone", "hash_seed"):
        assert len({getattr(machine, part) for machine in WITH_PAGES}) == len(WITH_PAGES)


def test_f146_a_name_that_the_terminal_cannot_write_ends_no_run(locales: Path) -> None:
    environment = MACHINES[0].environment(locales)
    done = subprocess.run(
        [sys.executable, "-c", SAYS], env=environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode("ascii")
    assert done.stdout == rb"\xc4cme \u682a" + b"\n"


# The real command, in a path with spaces and Japanese, from another folder.


@pytest.fixture(scope="module")
def elsewhere(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small company in such a path; a chapter and a report of its newest month are gone."""
    root = tmp_path_factory.mktemp("elsewhere") / LONG_NAME.strip() / LONG_NAME.strip() / "root"
    left_out = shutil.ignore_patterns("log", "runs", "tmp", "__pycache__")
    shutil.copytree(test_root, root, ignore=left_out)
    newest = max(path.name for path in (root / "reports").glob("[0-9]*"))
    for folder in (f"data/processed/population/{newest}", f"reports/{newest}"):
        shutil.rmtree(root / folder)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--root", str(root), "run"],
        cwd="/", env=os.environ | {"PYTHONPATH": str(PROJECT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.mark.timeout(BUILD_SECONDS)
def test_f148_f149_a_report_is_the_same_in_a_long_path_with_spaces_and_japanese_from_elsewhere(
    elsewhere: Path, test_root: Path
) -> None:
    assert len(str(elsewhere).encode()) > 200
    reports = sorted((test_root / "reports").glob("[0-9]*"))
    for report in reports:
        expected = hashes(test_root, report)
        found = hashes(elsewhere, elsewhere / "reports" / report.name)
        assert {k: v for k, v in found.items() if not k.endswith("report.json")} == {
            k: v for k, v in expected.items() if not k.endswith("report.json")
        }


def test_f149_nothing_is_written_where_the_command_was_typed(elsewhere: Path) -> None:
    assert [name for name in ("build", "reports", "params.yaml") if Path("/", name).exists()] == []
    assert (elsewhere / "build").is_dir()
