"""A company whose past does not hold still: late rows, rewritten history, another grace, new code.

Thirty accounts pay 100 a month each from February 2025. By hand, MRR at the end of August 2026:

1. as first published: 30 × 100 = 3,000. Account a03 is in a gap of 21 days, within the grace.
2. an expansion of 250 from 10 August is recorded on 20 October, after the close: 3,250.
3. the price of a02 turns out to have been 70 all along: 3,220.
4. the grace is 14 days instead of 30: a03 has lapsed, 3,120 from 29 customers.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting import publish
from pipeline.reporting.execution import execute
from pipeline.reporting.records import verify_report
from pipeline.settings import Paths, Period, Settings
from pipeline.stages import ingest, snapshot, usage

PROJECT = Path(__file__).parents[2]
AUGUST, OCTOBER = Period("2026-08"), Period("2026-10")
SECONDS = 900
pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS)]


class Company:
    """The company in a root of its own; each step changes what its exports say."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root, "acme")
        self.price = {f"a{number:02d}": "100" for number in range(1, 31)}
        self.further: list[str] = []
        self.choices: dict[str, Any] = {}
        shutil.copytree(PROJECT / "notebooks", root / "notebooks")
        shutil.copy(PROJECT / "requirements.lock", root)

    def subscriptions(self) -> Iterator[str]:
        yield "subscription_id,account_id,start_date,end_date,mrr,recorded_at"
        for account, mrr in self.price.items():
            end = "2026-08-20" if account == "a03" else ""
            yield f"s-{account},{account},2025-02-01,{end},{mrr},2025-02-01"
        yield "s-back,a03,2026-09-10,,100,2026-09-10"
        yield from self.further

    def report(self, period: Period, extract: str, chapters: str = "revenue") -> dict[str, Any]:
        """Stages, chapters and report of a period with data to a day; its record."""
        settings = self._settings(period, extract, chapters.split())
        accounts = ["account_id,signed_up_date", *(f"{one},2025-01-20" for one in self.price)]
        for name, lines in (("accounts", accounts), ("subscriptions", self.subscriptions())):
            store.write_text("\n".join(lines) + "\n", self.paths.raw / f"{name}.csv")
        for stage in (ingest, usage, snapshot):
            stage.run(settings, self.paths)
        if not publish.is_settled(period, self.paths):
            for name in reversed(settings.chapters):
                execute.run_chapter(name, period, settings, self.paths)
            publish.publish(period, settings, self.paths)
        return self.record(period)

    def _settings(self, period: Period, extract: str, chapters: list[str]) -> Settings:
        yaml = YAML()
        params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
        months = sorted({str(AUGUST), str(period)})
        params.update(company="acme", periods=months, chapters=chapters, annex="never")
        params.update(extract_date=extract, observation_start=None, **self.choices)
        with (self.root / "params.yaml").open("w", encoding="utf-8") as text:
            yaml.dump(params, text)
        return configuration.load(self.root)

    def record(self, period: Period) -> dict[str, Any]:
        path = self.paths.report(period) / "report.json"
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def bytes(self, period: Period) -> dict[str, bytes]:
        folder = self.paths.report(period)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def of_august(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a report restates of August, by figure."""
    return {row["metric"]: row for row in report["restatements"] if row["period"] == "2026-08"}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(tmp_path_factory.mktemp("late"))


def test_late_data_restate_the_right_figures_and_never_alter_a_report_in_force(
    company: Company,
) -> None:
    # 1. August closes on 4 October and is final.
    first = company.report(AUGUST, "2026-10-05")
    figures = {row["name"]: row["estimate"] for row in first["headline"]}
    assert (first["status"], first["revision"], first["restatements"]) == ("final", 1, [])
    assert (figures["mrr_end"], figures["customers_end"]) == (3000.0, 30)
    in_force = company.bytes(AUGUST)

    # 2. A row of August is recorded after its close: October restates it, August stays.
    company.further = ["s-late,a01,2026-08-10,,250,2026-10-20"]
    october = company.report(OCTOBER, "2026-10-31")
    assert october["restatements"] == [{
        "period": "2026-08", "metric": "mrr_end", "first_published": 3000.0,
        "first_status": "final", "now": 3250.0, "difference": 250.0, "reason": "late rows",
        "of_which": {"late rows": 250.0}, "since": {"period": "2026-10", "revision": 1},
    }]  # fmt: skip
    assert company.report(AUGUST, "2026-10-31") == first
    assert company.bytes(AUGUST) == in_force
    answer = verify_report.examine(AUGUST, configuration.load(company.root), company.paths)
    assert answer.is_good
    assert {line.name for line in answer.lines if line.finding == verify_report.CHANGED} >= {
        "subscriptions.csv"
    }

    # 3. History is rewritten under the final slice: August is revised and lists what moved.
    company.price["a02"] = "70"
    revised = company.report(AUGUST, "2026-10-31")
    assert (revised["status"], revised["revision"]) == ("revised", 2)
    own = of_august(revised)
    assert (own["mrr_end"]["now"], own["mrr_end"]["of_which"]) == (
        2970.0, {"rewritten history": -30.0},
    )  # fmt: skip
    assert own["mrr_start"]["difference"] == -30.0
    assert json.loads(in_force["report.json"]) == json.loads(
        company.bytes(AUGUST)["history/1.json"]
    )
    october = company.report(OCTOBER, "2026-10-31")
    row = of_august(october)["mrr_end"]
    assert (row["now"], row["of_which"]) == (
        3220.0, {"rewritten history": -30.0, "late rows": 250.0},
    )  # fmt: skip
    assert row["since"] == {"period": "2026-10", "revision": 2}

    # 4. Another grace is another definition; page one says so.
    company.choices = {"grace_days": 14}
    august = company.report(AUGUST, "2026-10-31")
    assert of_august(august)["mrr_end"]["of_which"] == {"new definition": -130.0}
    october = company.report(OCTOBER, "2026-10-31", "summary revenue")
    rows = of_august(october)
    assert (rows["mrr_end"]["now"], rows["mrr_end"]["of_which"]) == (
        3120.0, {"new definition": -130.0, "late rows": 250.0},
    )  # fmt: skip
    assert (rows["customers_end"]["first_published"], rows["customers_end"]["now"]) == (30, 29)
    page = company.bytes(OCTOBER)["index.html"].decode().replace("\u00a0", " ")
    section = page[page.index('id="restatements"') :]
    for said in ("USD 3,000", "USD 3,120", "new definition (down USD 130)", "October 2026"):
        assert said in section


def test_new_code_leaves_a_final_report_in_force_until_it_is_forced(company: Company) -> None:
    before = company.bytes(AUGUST)
    store.write_text("x = 1\n", company.root / "pipeline" / "new.py")
    company.report(AUGUST, "2026-10-31")
    assert company.bytes(AUGUST) == before
    settings = configuration.load(company.root)
    answer = verify_report.examine(AUGUST, settings, company.paths)
    findings = {line.name: line.finding for line in answer.lines}
    assert (findings["code and notebooks"], answer.is_as_published) == (verify_report.CHANGED, True)
