"""What differs in data and code from the report before is marked, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import store
from pipeline.reporting.records import data_changes
from tests.reporting.test_publish import AUGUST, OCTOBER, SEPTEMBER, Month


def record(*rules: tuple, code: str = "a" * 64) -> dict:
    """A record of some rules: (table, rule, kind, n, n_of)."""
    columns = ("table", "rule", "kind", "n", "n_of")
    return {
        "quality": {"rules": [dict(zip(columns, rule, strict=True)) for rule in rules]},
        "provenance": {"code_sha256": code},
    }


ACCOUNTS = ("accounts", "used", "rows", 100, 100)


def moved(before: tuple, now: tuple) -> list[tuple]:
    rows = data_changes.between(record(ACCOUNTS, before), record(ACCOUNTS, now))
    return [(row["kind"], row["subject"], row["before"], row["now"]) for row in rows]


def industry(n: int | None) -> tuple:
    return ("accounts", "industry", "coverage", n, 100)


def required(n: int) -> tuple:
    return ("accounts", "required", "quarantined", n, 100)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (("surveys", "used", "rows", 0, 0), ("surveys", "used", "rows", 40, 40),
         [("given", "surveys", False, True)]),
        (industry(95), industry(60), [("filled", "accounts.industry", 0.95, 0.60)]),
        (industry(95), industry(90), []),
        (industry(0), industry(1), [("filled", "accounts.industry", 0.0, 0.01)]),
        (industry(None), industry(9), []),
        (required(0), required(3), [("set_aside", "accounts", 0.0, 0.03)]),
        (required(1), required(1), []),
    ],
)  # fmt: skip
def test_a_table_a_column_or_a_share_set_aside_that_moved_is_told(before, now, expected):
    assert moved(before, now) == expected


def test_other_code_is_told_and_said_by_the_first_digits_of_its_hash():
    rows = data_changes.between(record(ACCOUNTS), record(ACCOUNTS, code="b" * 64))
    assert [data_changes.say(row) for row in rows] == [
        {"What": "Code that computes", "Where": "all chapters", "Before": "a" * 12, "Now": "b" * 12}
    ]
    assert data_changes.between(record(ACCOUNTS), record(ACCOUNTS)) == []


def test_a_change_is_said_in_words():
    given = {"kind": "given", "subject": "surveys", "before": True, "now": False}
    assert list(data_changes.say(given).values()) == ["Table given", "surveys", "yes", "no"]
    filled = {"kind": "filled", "subject": "accounts.industry", "before": 0.95, "now": 0.6}
    assert list(data_changes.say(filled).values())[1:] == ["accounts.industry", "95.0 %", "60.0 %"]


def given(month: Month, n: int) -> None:
    """A source that gives n rows of surveys."""
    path = month.paths.snapshot(month.period) / "quality.parquet"
    names = store.read_frame(path).columns
    row = {"table": "surveys", "rule": "used", "kind": "rows", "n": n, "n_of": n}
    store.write_parquet(pd.DataFrame([dict.fromkeys(names) | row]), path)


def test_a_report_keeps_what_differs_from_the_report_before_and_says_it_on_page_one(tmp_path: Path):
    months = [Month(tmp_path, period) for period in (AUGUST, SEPTEMBER, OCTOBER)]
    for month, n in zip(months, (0, 5, 5), strict=True):
        given(month, n)
        month.publish()
    first, second, third = (month.report for month in months)
    assert (first["compared_with"], first["data_changes"]) == (None, [])
    assert second["compared_with"] == "2026-08"
    assert second["data_changes"] == [
        {"kind": "given", "subject": "surveys", "before": False, "now": True}
    ]
    assert (third["compared_with"], third["data_changes"]) == ("2026-09", [])
    page = (months[1].place / "index.html").read_text(encoding="utf-8")
    assert "Not all is as in the report of August 2026" in page
    assert "Not all is as" not in (months[1].place / "revenue.html").read_text(encoding="utf-8")


def test_a_report_built_again_is_compared_with_the_month_before_and_not_with_itself(tmp_path: Path):
    august, september = (Month(tmp_path, period) for period in (AUGUST, SEPTEMBER))
    august.publish()
    september.publish()
    given(september, 5)
    september.publish(force=True)
    assert september.report["compared_with"] == "2026-08"
