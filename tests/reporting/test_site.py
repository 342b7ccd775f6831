"""What binds reports together: ways between months, months side by side, a list for the search."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting.pages import site
from pipeline.reporting.pages.page import Page
from pipeline.reporting.records import record
from pipeline.settings import Paths, Period, Settings

OCTOBER = Period("2026-10")


def settings_of(**changes: Any) -> Settings:
    content = {
        "company": "acme", "company_name": "Acme",
        "periods": ["2026-06", "2026-08", "2026-09", "2026-10"],
        "chapters": ["summary", "revenue"], "annex": "quarterly",
    }  # fmt: skip
    return configuration.parse(content | changes)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, "acme")


def put(paths: Paths, period: str, *pages: str) -> None:
    for page in pages:
        store.write_text("<h1>A page</h1>", paths.reports / period / page)


def ways(name: str, paths: Paths, period: Period = OCTOBER) -> dict[str, Any]:
    return site.ways(name, period, settings_of(), paths)


def report(period: str, estimate: float, **more: Any) -> dict[str, Any]:
    line = {
        "name": "mrr_end", "chapter": "revenue", "label": "MRR", "unit": "currency per month",
        "estimate": estimate, "ci_low": None, "ci_high": None, "n": 7, "state": "exact",
        "note": "", "previous": 950.0, "year_ago": None,
    }  # fmt: skip
    content = {
        "period": period, "company": "acme", "as_of": f"{period}-30", "status": "final",
        "analysis_cut_off": f"{period}-30", "revision": 1, "currency": "USD", "plan": {},
        "chapters": ["summary", "revenue"], "headline": [line],
        "provenance": {"code_sha256": "c", "lock_sha256": "l"},
    }  # fmt: skip
    return record.sealed(content | more)


def front(period: str) -> Page:
    return Page("Acme", period, "summary", "Summary", "final", 1, "2026-10-30", "2026-10-30")


def write(paths: Paths, period: str = "2026-10") -> Path:
    folder = paths.reports / f"{period}.building"
    store.write_text("<h1>How much?</h1>", folder / "revenue.html")
    site.write(folder, report(period, 1000.0), front(period), settings_of(), paths)
    return folder


# Ways.


def test_a_chapter_leads_to_itself_in_the_report_before(paths: Paths) -> None:
    put(paths, "2026-09", "index.html", "revenue.html")
    found = ways("revenue", paths)
    assert found["previous_href"] == "../2026-09/index.html"
    assert found["same_href"] == "../2026-09/revenue.html"
    assert found["next_href"] == "../index.html#2026-10"


def test_a_report_that_is_not_there_yet_is_looked_for_in_the_index(paths: Paths) -> None:
    put(paths, "2026-08", "index.html", "revenue.html")
    found = ways("revenue", paths)
    assert found["previous_href"] == "../index.html#2026-09"
    assert "same_href" not in found


def test_the_annex_leads_to_the_last_annex_and_a_chapter_no_further_than_one_report(
    paths: Paths,
) -> None:
    put(paths, "2026-06", "index.html", "annex.html", "survival.html")
    put(paths, "2026-09", "index.html")
    assert ways("annex", paths)["same_href"] == "../2026-06/annex.html"
    assert "same_href" not in ways("survival", paths)


def test_the_first_report_leads_to_none_before_it(paths: Paths) -> None:
    assert "previous_href" not in ways("revenue", paths, Period("2026-06"))


# Side by side.


def test_a_report_is_set_beside_what_was_published_of_the_month_before(paths: Paths) -> None:
    store.write_json(report("2026-09", 900.0), paths.reports / "2026-09" / "history" / "1.json")
    store.write_json(
        report("2026-09", 940.0, revision=2, status="revised"),
        paths.reports / "2026-09" / "report.json",
    )
    folder = write(paths)
    rows = store.read_published_rows(folder / "compare.csv")
    assert [row["period"] for row in rows] == ["2026-09", "2025-10"]
    assert [rows[0][name] for name in ("estimate", "recomputed", "change")] == ["1000", "950", "50"]
    assert (rows[0]["first_estimate"], rows[0]["in_force_estimate"]) == ("900", "940")
    text = (folder / "compare.html").read_text(encoding="utf-8")
    assert "revised, revision 2" in text
    assert 'href="compare.csv"' in text


def test_what_another_company_or_a_strange_hand_wrote_is_not_set_beside(paths: Paths) -> None:
    other = report("2026-09", 900.0, company="zenith")
    store.write_json(other, paths.reports / "2026-09" / "report.json")
    altered = report("2025-10", 900.0) | {"status": "altered"}
    store.write_json(altered, paths.reports / "2025-10" / "report.json")
    rows = store.read_published_rows(write(paths) / "compare.csv")
    assert [row["first_estimate"] for row in rows] == ["", ""]


# Search.


def test_what_the_pages_of_a_report_hold_is_found_over_all_months(paths: Paths) -> None:
    folder = write(paths)
    store.replace_folder(folder, paths.reports / "2026-10")
    text = site.search_page([report("2026-10", 1000.0)], paths)
    assert "How much?" in text
    assert 'href="2026-10/revenue.html"' in text


def test_a_report_of_older_code_is_found_by_its_headlines(paths: Paths) -> None:
    text = site.search_page([report("2026-09", 1000.0)], paths)
    assert ">MRR</a>" in text
