"""The search without a server: everything of every month from A to Z, light with ten years."""

import re
from typing import Any

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting.pages import find, html
from pipeline.reporting.records.contents import Entry

HOSTILE = "<script>alert(1)</script>"
MOST_BYTES = 1_500_000


def report(period: str, value: float = 0.5, **more: Any) -> dict[str, Any]:
    return {
        "period": period, "currency": "USD", "provenance": {"files": {}},
        "headline": [{"name": "net_revenue_retention", "chapter": "revenue", "estimate": value}],
    } | more  # fmt: skip


def entry(title: str, kind: str = "table", **more: str) -> Entry:
    return {
        "kind": kind, "chapter": "Revenue", "name": title, "title": title, "said": "",
        "href": "revenue.html#a",
    } | more  # fmt: skip


def heads(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", text)


def links(text: str) -> list[str]:
    return re.findall(r'href="(\d{4}-\d\d/[^"]*)"', text)


def test_entries_stand_from_a_to_z_each_under_its_letter() -> None:
    made = [entry("usual range"), entry("Bridge"), entry("12 months"), entry("bounds")]
    text = find.render([(report("2026-08", headline=[]) | {"headline": []}, made)], "Acme")
    assert heads(text) == ["0–9", "B", "U"]
    assert text.index(">bounds<") < text.index(">Bridge<") < text.index(">usual range<")


def test_one_thing_over_all_months_is_one_entry_that_leads_to_the_newest_first() -> None:
    months = ["2026-08", "2026-10", "2026-09"]
    text = find.render([(report(each, headline=[]), [entry("Bridge")]) for each in months], "Acme")
    assert text.count(">Bridge</a>") == 1
    assert [each[:7] for each in links(text)] == ["2026-10", "2026-10", "2026-09", "2026-08"]


def test_a_headline_tells_its_value_in_every_month() -> None:
    text = find.render([(report("2026-08", 0.971), []), (report("2026-09", 0.968), [])], "Acme")
    plain = re.sub("<[^>]*>", "", text).replace("\u00a0", " ")
    assert "2026: Sep 96.8 % Aug 97.1 %" in plain


def test_a_table_of_many_months_says_how_many_more_there_are() -> None:
    months = [f"{year}-{month:02d}" for year in (2024, 2025, 2026) for month in range(1, 13)]
    text = find.render([(report(each, headline=[]), [entry("Bridge")]) for each in months], "Acme")
    assert len(links(text)) == 1 + 1 + find.MONTHS_SHOWN
    assert "and 23 earlier months, from January 2024" in text


def test_no_text_of_a_report_becomes_markup_and_no_script_is_needed() -> None:
    hostile = entry(HOSTILE, said=HOSTILE, chapter=HOSTILE, href=f'"{HOSTILE}')
    text = find.render([(report("2026-08", currency=HOSTILE), [hostile])], HOSTILE)
    assert HOSTILE not in text
    assert "<script" not in text
    assert html.POLICY in text


def test_without_a_report_there_is_a_page_without_entries() -> None:
    assert heads(find.render([], "Acme")) == []


def test_f143_ten_years_of_everything_stay_light() -> None:
    months = [f"{year}-{month:02d}" for year in range(2017, 2027) for month in range(1, 13)]
    kinds = {"table": 60, "figure": 45, "definition": 60, "CSV": 90, "chapter": 7}
    things = [
        entry(f"{kind} of some length {number}", kind, said="What it said." * 4)
        for kind, many in kinds.items()
        for number in range(many)
    ]
    lines = [
        {"name": name, "chapter": line.chapter, "estimate": 123456.789}
        for name, line in HEADLINES.items()
    ]
    text = find.render([(report(each, headline=lines), things) for each in months], "Acme")
    assert len(text.encode()) < MOST_BYTES
    assert text.count("Jan</a>") > len(HEADLINES)
