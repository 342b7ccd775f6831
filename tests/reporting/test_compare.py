"""Side by side: each number beside the month and the year before, recomputed and as published."""

from typing import Any

import pandas as pd
import pytest

from pipeline.reporting.pages import compare

HOSTILE = "<script>alert(1)</script>"


def line(name: str, estimate: float | None, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "chapter": "revenue", "label": name, "unit": "share", "estimate": estimate,
        "ci_low": None, "ci_high": None, "n": 100, "state": "ok", "note": "", "previous": None,
        "year_ago": None,
    } | more  # fmt: skip


def report(period: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    as_of = {"2026-09": "2026-09-30", "2026-10": "2026-10-31", "2025-10": "2025-10-31"}[period]
    return {
        "period": period, "as_of": as_of, "analysis_cut_off": as_of, "status": "final",
        "revision": 1, "currency": "USD", "chapters": ["revenue", "survival"],
        "headline": list(lines), "plan": {"grace_days": 30},
        "provenance": {"code_sha256": "c", "lock_sha256": "l"},
    } | more  # fmt: skip


def rows(now: dict[str, Any], *earlier: dict[str, Any], **more: Any) -> pd.DataFrame:
    published: dict[str, list[dict[str, Any]]] = {}
    for each in earlier:
        published.setdefault(each["period"], []).append(each)
    return compare.rows(now, compare.earlier_of(now["period"], published), **more)


def text_of(now: dict[str, Any], *earlier: dict[str, Any]) -> str:
    published = {each["period"]: [each] for each in earlier}
    months = compare.earlier_of(now["period"], published)
    return compare.body(now, months, compare.rows(now, months))


CHURN, STAY = "gross_account_churn_rate", "retention_12_months_recent"


# Which numbers.


def test_a_report_is_set_beside_the_calendar_month_and_the_year_before() -> None:
    found = [(each.against, each.period) for each in compare.earlier_of("2026-01", {})]
    assert found == [("the month before", "2025-12"), ("the year before", "2025-01")]


def test_every_headline_has_one_row_per_earlier_month() -> None:
    found = rows(report("2026-10", line(CHURN, 0.02), line(STAY, 0.7)))
    assert found[["period", "name"]].values.tolist() == [
        ["2026-09", CHURN], ["2026-09", STAY], ["2025-10", CHURN], ["2025-10", STAY]
    ]  # fmt: skip


def test_the_change_is_from_the_number_recomputed_from_this_reports_data() -> None:
    now = report("2026-10", line(CHURN, 0.02, previous=0.03, year_ago=0.01))
    found = rows(now, report("2026-09", line(CHURN, 0.09)))
    assert found["recomputed"].tolist() == [0.03, 0.01]
    assert found["change"].round(12).tolist() == [-0.01, 0.01]
    assert found["change_against"].tolist() == ["recomputed", "recomputed"]


def test_what_the_earlier_report_said_at_first_and_says_now_stand_beside_it() -> None:
    first = report("2026-09", line(CHURN, 0.05, n=90), status="provisional")
    second = report("2026-09", line(CHURN, 0.04, n=91), revision=2)
    found = rows(report("2026-10", line(CHURN, 0.02, previous=0.03)), first, second).iloc[0]
    assert (found["first_estimate"], found["first_n"], found["first_status"]) == (
        0.05, 90, "provisional"
    )  # fmt: skip
    assert (found["in_force_estimate"], found["in_force_n"]) == (0.04, 91)
    assert (found["in_force_status"], found["in_force_revision"]) == ("final", 2)


# Comparisons of equal age.


def unsettled(period: str, cut_off: str, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    return report(period, *lines, status="provisional", analysis_cut_off=cut_off, **more)


@pytest.mark.parametrize(
    ("cut_off", "change"), [("2026-09-30", None), ("2026-08-28", -0.03), ("2026-08-29", None)]
)
def test_a_month_that_is_not_settled_is_compared_only_with_a_report_of_its_age(
    cut_off: str, change: float | None
) -> None:
    now = unsettled("2026-10", "2026-09-28", line(CHURN, 0.02, state="provisional"))
    found = rows(now, unsettled("2026-09", cut_off, line(CHURN, 0.05))).iloc[0]
    if change is None:
        assert pd.isna(found["change"])
    else:
        assert found["change"] == pytest.approx(change)
        assert found["change_against"] == "first published"


def test_reports_under_different_plans_are_not_compared_as_published() -> None:
    now = unsettled("2026-10", "2026-09-28", line(CHURN, 0.02))
    other = unsettled("2026-09", "2026-08-28", line(CHURN, 0.05), plan={"grace_days": 60})
    assert pd.isna(rows(now, other).iloc[0]["change"])


def test_an_estimate_of_settled_time_may_be_compared_in_a_month_that_is_not_settled() -> None:
    now = unsettled("2026-10", "2026-09-28", line(STAY, 0.7, chapter="survival"))
    found = rows(now, report("2026-09", line(STAY, 0.6, chapter="survival"))).iloc[0]
    assert found["change"] == pytest.approx(0.1)


def test_the_page_says_not_comparable_yet_and_names_a_report_that_is_not_there() -> None:
    now = unsettled("2026-10", "2026-09-28", line(CHURN, 0.02, state="provisional"))
    text = text_of(now, unsettled("2026-09", "2026-09-28", line(CHURN, 0.05)))
    assert "not comparable yet" in text
    assert "there was no report of October 2025" in text
    assert text.count("<h1") == 1


# What may differ.


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "late rows or rewritten history"),
        ({"provenance": {"code_sha256": "other"}}, "new code"),
        ({"plan": {"grace_days": 60}}, "new definition"),
        ({"plan": {"grace_days": 30, "survival.strata": ["a"]}}, "late rows or rewritten history"),
        (
            {"plan": {"grace_days": 30, "revenue.mix_by": "a"}},
            "new definition",
        ),
        (
            {"plan": {"grace_days": 30, "fit.discount": 1}},
            "new definition",
        ),
    ],
)
def test_a_number_that_moved_names_what_may_have_moved_it(changes: dict, said: str) -> None:
    now = report("2026-10", line(CHURN, 0.02, previous=0.03))
    found = rows(now, report("2026-09", line(CHURN, 0.04), **changes))
    assert found.iloc[0]["differs"] == said


@pytest.mark.parametrize(
    ("cut_off", "published", "said"),
    [
        ("2026-10-31", "2026-09-30", "late rows or rewritten history"),
        ("2026-09-28", "2026-09-30", "another cut-off"),
        ("2026-09-28", "2026-08-28", "facts known since the first look"),
    ],
)
def test_a_number_of_settled_time_may_differ_because_it_ends_on_another_day(
    cut_off: str, published: str, said: str
) -> None:
    now = report("2026-10", line(STAY, 0.7, previous=0.6), analysis_cut_off=cut_off)
    status = "final" if published == "2026-09-30" else "provisional"
    before = report("2026-09", line(STAY, 0.5), analysis_cut_off=published, status=status)
    assert rows(now, before).iloc[0]["differs"] == said


def test_what_moved_since_a_first_look_may_be_what_was_learnt_since() -> None:
    now = report("2026-10", line(CHURN, 0.02, previous=0.03))
    first_look = unsettled("2026-09", "2026-09-28", line(CHURN, 0.04))
    assert rows(now, first_look).iloc[0]["differs"] == "facts known since the first look"


def test_a_number_that_a_reader_sees_unmoved_names_nothing() -> None:
    now = report("2026-10", line(CHURN, 0.02, previous=0.0300001))
    other = report("2026-09", line(CHURN, 0.03), plan={"grace_days": 60})
    assert rows(now, other).iloc[0]["differs"] == ""


def test_definitions_and_code_that_differ_stand_above_the_table() -> None:
    other = report(
        "2026-09", line(CHURN, 0.04), plan={"grace_days": 60}, provenance={"code_sha256": "x"}
    )
    text = text_of(report("2026-10", line(CHURN, 0.02)), other)
    assert "differ in grace_days" in text
    assert "<dt>Code</dt><dd>another version</dd>" in text
    assert "<dt>Libraries</dt><dd>another version</dd>" in text


# Small numbers and hostile text.


def test_an_earlier_figure_of_too_few_accounts_is_not_told_again() -> None:
    now = report("2026-10", line(CHURN, 0.02))
    few = report("2026-09", line(CHURN, 0.5, n=4, ci_low=0.1, ci_high=0.9))
    hidden = rows(now, few, min_cell=10).iloc[0]
    assert (
        hidden[[name for name in hidden.index if name.startswith(("first_", "in_"))]].isna().all()
    )
    assert rows(now, few).iloc[0]["first_estimate"] == 0.5


def test_a_headline_that_is_suppressed_here_is_suppressed_beside() -> None:
    now = report("2026-10", line(CHURN, None, state="suppressed"))
    assert pd.isna(rows(now, report("2026-09", line(CHURN, 0.5))).iloc[0]["first_estimate"])
    assert ">suppressed<" in text_of(now)


def test_no_text_of_a_record_becomes_markup() -> None:
    now = report("2026-10", line(CHURN, 0.02, note=HOSTILE), currency=HOSTILE)
    other = report("2026-09", line(CHURN, 0.02), plan={HOSTILE: 1}, status=HOSTILE)
    assert HOSTILE not in text_of(now, other)
