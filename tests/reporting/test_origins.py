"""Where numbers come from, as the pages say it."""

import re
from typing import Any

from pipeline.data.schema.headlines import HEADLINES
from pipeline.reporting.pages import origins

MOVED: dict[str, Any] = {
    "period": "2026-06", "metric": "mrr_end", "first_status": "provisional",
    "first_published": 90000.0, "now": 88766.5, "difference": -1233.5, "reason": "late rows",
    "of_which": {"late rows": -1233.5}, "since": {"period": "2026-09", "revision": 2},
}  # fmt: skip
HASH = "0123456789abcdef" * 4


def cells(markup: str) -> list[str]:
    found = re.findall(r"<td[^>]*>(.*?)</td>", markup.replace("\u00a0", " "), re.DOTALL)
    return [re.sub(r"<[^>]*>", "", cell) for cell in found]


def test_a_restatement_says_first_and_now_why_and_since_which_report() -> None:
    said = origins.restated([MOVED], "USD")
    assert "1 figure is no longer what was first published" in said
    assert HEADLINES["mrr_end"].label in said
    assert cells(said)[-6:] == [
        "USD 90,000", "provisional", "USD 88,767", "down USD 1,234", "late rows",
        "September 2026, revision 2",
    ]  # fmt: skip


def test_several_reasons_are_said_with_what_each_did() -> None:
    both = {"rewritten history": -1000.0, "late rows": -233.5}
    said = origins.restated([MOVED | {"of_which": both}], "USD")
    assert cells(said)[-2] == ("rewritten history (down USD 1,000) and late rows (down USD 233.50)")


def test_a_figure_that_came_or_went_is_said_in_words() -> None:
    gone = {"now": None, "difference": None, "reason": "new code", "of_which": {"new code": None}}
    assert cells(origins.restated([MOVED | gone], "USD"))[-4:-1] == [
        "not available", "not available", "new code",
    ]  # fmt: skip


def test_a_row_of_an_earlier_report_without_reason_or_date_can_still_be_read() -> None:
    old = {key: MOVED[key] for key in list(MOVED)[:6]}
    assert cells(origins.restated([old], "USD"))[-2:] == ["down USD 1,234", "later facts"]


def test_every_input_is_named_with_its_rows_and_hash() -> None:
    files = {"accounts.csv": {"sha256": HASH, "n_rows": 1389}, "slice.json": {"sha256": HASH}}
    said = origins.made_from({"Raw files": files})
    assert cells(said) == ["1,389", HASH[:12], "–", HASH[:12]]
    assert "accounts.csv" in said
    assert origins.made_from({"Raw files": {}}) == ""


def test_a_file_name_cannot_bring_markup_into_the_page() -> None:
    said = origins.made_from({"Raw files": {"<b>x</b>.csv": {"sha256": HASH, "n_rows": 1}}})
    assert "<b>" not in said
    assert "&lt;b&gt;" in said


def test_what_differs_from_build_to_build_is_named_and_not_shown() -> None:
    said = origins.build_note()
    assert 'href="report.json"' in said
    assert [name in said for name in ("git_commit", "versions", "built_at", "seconds")] == [
        True
    ] * 4
