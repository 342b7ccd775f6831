"""Page one: three worlds give three verdicts, and an absent chapter leaves no gap."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import summary
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words
from pipeline.reporting.records import claims as claim_cards

AS_OF = dt.date(2026, 10, 31)
MONTH = "2026-10"
OWNERS = {"revenue": "Revenue", "survival": "Customer success", "time_to_value": "Onboarding"}
RETENTION = "net_revenue_retention_12_months"
LOST = "gross_account_churn_rate"
STAY = "retention_12_months_recent"
VALUE = "value_by_day_90_share_recent"
MEDIAN = "median_time_to_value_days_recent"


def headlines(**values: tuple[float, float, float, float]) -> pd.DataFrame:
    """Rows from name=(estimate, ci_low, ci_high, year_ago)."""
    rows = [
        {
            "name": name,
            "chapter": HEADLINES[name].chapter,
            "estimate": estimate,
            "ci_low": low,
            "ci_high": high,
            "n": 500.0,
            "state": "ok",
            "note": "",
            "previous": np.nan,
            "year_ago": before,
        }
        for name, (estimate, low, high, before) in values.items()
    ]
    return pd.DataFrame(rows)


def chart(verdict: str, period: str = "2026-10") -> pd.DataFrame:
    verdicts = {"chart": ["customers_new", LOST], "verdict": ["within", verdict]}
    return pd.DataFrame(verdicts).assign(period=period)


GROWING = headlines(
    **{
        RETENTION: (1.08, 1.03, 1.13, 1.02),
        LOST: (0.012, 0.008, 0.018, 0.02),
        STAY: (0.86, 0.84, 0.88, 0.80),
        VALUE: (0.80, 0.77, 0.83, 0.70),
        MEDIAN: (21.0, 19.0, 24.0, 30.0),
    }
)
SHRINKING = headlines(
    **{
        RETENTION: (0.90, 0.86, 0.94, 0.97),
        LOST: (0.05, 0.04, 0.06, 0.02),
        STAY: (0.70, 0.68, 0.72, 0.80),
        VALUE: (0.45, 0.42, 0.48, 0.60),
        MEDIAN: (np.nan, np.nan, np.nan, 60.0),
    }
)
LEVEL = headlines(
    **{
        RETENTION: (1.01, 0.97, 1.05, 1.00),
        LOST: (0.020, 0.015, 0.026, 0.021),
        STAY: (0.80, 0.78, 0.82, 0.81),
        VALUE: (0.71, 0.68, 0.74, 0.70),
        MEDIAN: (29.0, 24.0, 33.0, 31.0),
    }
)


def said(lines: pd.DataFrame, ranges: pd.DataFrame) -> list[str]:
    return summary.sentences(summary.verdict(lines, ranges, OWNERS, MONTH), words)[
        "sentence"
    ].tolist()


# The verdict.


@pytest.mark.parametrize(
    ("lines", "range_", "directions"),
    [
        (GROWING, "below", ["grew", "better", "better"]),
        (SHRINKING, "above", ["shrank", "worse", "worse"]),
        (LEVEL, "within", ["held", "unchanged", "unchanged"]),
    ],
)
def test_three_worlds_give_three_verdicts(lines, range_, directions):
    facts = summary.verdict(lines, chart(range_), OWNERS, MONTH)
    assert facts["direction"].tolist() == directions
    assert facts["owner"].tolist() == ["Revenue", "Customer success", "Onboarding"]
    assert facts["range"].iloc[0] == range_


def test_a_growing_company_reads_so():
    assert said(GROWING, chart("below")) == [
        "The customers of a year ago pay more: 108.0 % of what they did (103.0 % to 113.0 %); "
        "customers lost this month: 1.2 %, below the usual range.",
        "At last year's rates 86.0 % stay 12 months (84.0 % to 88.0 %); better than a year ago "
        "(80.0 %).",
        "80.0 % of new customers have value by day 90 (77.0 % to 83.0 %), half by day 21; better "
        "than a year ago (70.0 %).",
    ]


def test_a_shrinking_company_reads_so():
    assert said(SHRINKING, chart("above")) == [
        "The customers of a year ago pay less: 90.0 % of what they did (86.0 % to 94.0 %); "
        "customers lost this month: 5.0 %, above the usual range.",
        "At last year's rates 70.0 % stay 12 months (68.0 % to 72.0 %); worse than a year ago "
        "(80.0 %).",
        "45.0 % of new customers have value by day 90 (42.0 % to 48.0 %), half do not get there; "
        "worse than a year ago (60.0 %).",
    ]


def test_a_level_company_reads_so():
    first, second, third = said(LEVEL, chart("within"))
    assert "pay about as much: 101.0 % of what they did" in first
    assert first.endswith("2.0 %, within the usual range.")
    assert "no clear change from a year ago (81.0 %)" in second
    assert "no clear change from a year ago (70.0 %)" in third


@pytest.mark.parametrize(
    ("range_", "words_"),
    [
        ("too_few_months", "too few settled months to say whether that is usual"),
        ("run", "on one side of the usual level for months"),
    ],
)
def test_the_usual_range_is_always_told(range_, words_):
    assert words_ in said(LEVEL, chart(range_))[0]


def test_a_month_that_is_not_settled_leaves_the_word_to_the_newest_that_is():
    assert said(LEVEL, chart("within", "2026-08"))[0].endswith(
        "2.0 %; August 2026, the newest settled month, was within the usual range."
    )


def test_without_the_chart_nothing_is_said_of_the_usual_range():
    assert said(LEVEL, pd.DataFrame(columns=["chart", "verdict"]))[0].endswith("2.0 %.")
    assert said(LEVEL, pd.DataFrame())[0].endswith("2.0 %.")


def test_without_12_months_of_data_the_month_speaks():
    lines = headlines(
        net_revenue_retention=(0.97, 0.95, 0.99, np.nan), **{RETENTION: (np.nan,) * 4}
    )
    lines.loc[lines["name"] == RETENTION, "state"] = "not_available"
    assert (
        "customers of the month before pay less: 97.0 % of what they did"
        in said(lines, pd.DataFrame())[0]
    )


def test_an_absent_chapter_has_no_sentence():
    lines = LEVEL[LEVEL["chapter"] == "survival"]
    facts = summary.verdict(lines, pd.DataFrame(), OWNERS, MONTH)
    assert facts["chapter"].tolist() == ["survival"]
    assert summary.verdict(lines.iloc[:0], pd.DataFrame(), OWNERS, MONTH).empty
    assert summary.sentences(
        summary.verdict(lines.iloc[:0], pd.DataFrame(), {}, MONTH), words
    ).empty


def test_what_is_not_available_is_said_with_its_reason():
    lines = LEVEL.assign(state="not_available", estimate=np.nan, note="fewer than ten at risk")
    assert said(lines, pd.DataFrame()) == [
        "What the customers we had pay now cannot be said yet.",
        "How many stay a year cannot be said yet: fewer than ten at risk.",
        "How soon customers get value cannot be said yet: fewer than ten at risk.",
    ]


def test_without_a_year_ago_nothing_is_compared():
    facts = summary.verdict(LEVEL.assign(year_ago=np.nan), chart("within"), OWNERS, MONTH)
    assert facts["direction"].tolist()[1:] == ["no_comparison", "no_comparison"]


# Tiles.


def test_tiles_and_pairs_name_headlines_that_exist_and_no_source_formula_stands_alone():
    paired = [name for pair in summary.SOURCE_PAIRS for name in pair]
    assert set(summary.TILES) | set(paired) <= set(HEADLINES)
    assert not {"account_churn_rate", "revenue_churn_rate"} & set(summary.TILES)
    assert all(len(pair) == 2 for pair in summary.SOURCE_PAIRS)


# What moved, and what may still come back.


def test_what_was_lost_has_a_minus_so_that_the_rows_add_up_to_the_last():
    bridge = pd.DataFrame(
        {
            "step": ["mrr_start", "new", "churn", "mrr_end"],
            "mrr": [100.0, 30.0, 20.0, 110.0],
            "kind": ["total", "up", "down", "total"],
        }
    )
    table = summary.movements(bridge)
    assert table["mrr"].tolist() == [100.0, 30.0, -20.0, 110.0]
    assert table["mrr"].iloc[:-1].sum() == table["mrr"].iloc[-1]
    assert summary.movements(pd.DataFrame()).columns.tolist() == ["step", "mrr"]


@pytest.mark.parametrize(
    ("n_pending", "said_"),
    [
        (3, "1,200 customers lost in the month, with MRR of USD 50, 3 within the grace: so many."),
        (0, "Every lapse of the month is settled: none of its losses can come back as a gap."),
        (None, "Too few customers were lost to say how many may still come back."),
    ],
)
def test_only_a_month_with_pending_lapses_speaks_of_losses_that_may_come_back(n_pending, said_):
    row = {"n_lost": 1200, "mrr_lost": 50.0, "n_pending": n_pending, "meaning": "so many"}
    assert summary.still_pending(pd.DataFrame([row]), words, "USD").tolist() == [said_]
    assert summary.still_pending(pd.DataFrame(), words, "USD").empty


# Coming, and who is at risk.


def accounts(*rows: tuple[bool, str | None, str | None, float]) -> pd.DataFrame:
    """Customers from (is_in_notice, notice_date, term_ends_on, mrr); mrr 0 is no customer."""
    table = pd.DataFrame(rows, columns=["is_in_notice", "notice_date", "term_ends_on", "mrr"])
    return table.assign(
        account_id=[f"a{place}" for place in range(len(table))],
        is_customer=table["mrr"] > 0,
        notice_date=pd.to_datetime(table["notice_date"]),
        term_ends_on=pd.to_datetime(table["term_ends_on"]),
    )


BOOK = accounts(
    (True, "2026-10-05", "2026-11-05", 100.0),
    (False, None, "2026-11-01", 40.0),
    (False, None, "2027-01-29", 10.0),
    (False, None, "2027-01-30", 400.0),
    (False, None, None, 50.0),
    (False, None, "2026-11-01", 0.0),
)


def test_coming_counts_notice_and_stated_ends_and_nobody_twice():
    table = summary.coming(BOOK, AS_OF, 90)
    assert table["what"].tolist() == ["in notice", "commitment ends within 90 days", "either"]
    assert table["n"].tolist() == [1, 2, 3]
    assert table["mrr"].tolist() == [100.0, 50.0, 150.0]
    assert table["mrr_share"].tolist() == pytest.approx([100 / 600, 50 / 600, 150 / 600])


def test_what_the_source_does_not_tell_is_blank_and_not_nobody():
    table = summary.coming(BOOK, AS_OF, 90, knows_terms=False).set_index("what")
    assert table.loc["in notice", "n"] == 1
    assert table.loc["commitment ends within 90 days"].isna().all()
    assert summary.coming(BOOK, AS_OF, 90, knows_notice=False, knows_terms=False).empty


def test_those_at_risk_come_with_the_most_revenue_first_and_the_day_that_matters():
    table = summary.at_risk(BOOK, AS_OF, 90, n_shown=2)
    assert table["account_id"].tolist() == ["a0", "a1"]
    assert table["why"].tolist() == ["in notice", "commitment ends"]
    assert table["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-10-05", "2026-11-01"]


def test_a_company_without_customers_has_nothing_coming():
    table = summary.coming(BOOK.iloc[5:], AS_OF, 90)
    assert table["n"].tolist() == [0, 0, 0]
    assert table["mrr_share"].isna().all()
    assert summary.at_risk(BOOK.iloc[5:], AS_OF, 90).empty


# Why.


def test_the_top_reasons_keep_the_unknown_share_in_sight_and_sum_to_all():
    counts = {"price": 5, "unknown": 9, "product": 4, "support": 3, "merger": 2, "other tool": 1}
    reasons = pd.DataFrame(
        {"reason": list(counts), "n": list(counts.values()), "mrr_lost": 10.0}
    ).assign(share=lambda rows: rows["n"] / 24, mrr_share=1 / 6)
    table = summary.top_reasons(reasons)
    assert table["reason"].tolist() == ["price", "product", "support", "other reasons", "unknown"]
    assert table["n"].tolist() == [5, 4, 3, 3, 9]
    assert table["share"].sum() == pytest.approx(1)
    few = summary.top_reasons(reasons.iloc[:2])
    assert few["reason"].tolist() == ["price", "unknown"]


def test_rows_of_an_absent_chapter_are_empty_and_keep_their_columns():
    nothing = pd.DataFrame()
    assert summary.top_reasons(nothing).columns.tolist()[0] == "reason"
    assert summary.shown(nothing, ["driver", "n"]).columns.tolist() == ["driver", "n"]
    some = pd.DataFrame({"n": [1, 2, 3], "x": 0})
    assert summary.shown(some, ["n"], 2).to_dict("list") == {"n": [1, 2]}


# Can it be trusted?


def test_the_quarantine_is_said_in_rows_and_in_money():
    trust = pd.DataFrame([{"rows_share": 0.00123, "mrr_affected": 4000.0, "mrr_share": 0.02}])
    assert summary.trusted(trust, words, "EUR").tolist() == [
        "The quarantine holds 0.123 % of the rows received and touches at most EUR 4,000 of MRR "
        "(2.0 %)."
    ]
    assert summary.trusted(pd.DataFrame(), words, "EUR").empty


def test_the_gravest_problem_comes_first_and_mere_counts_are_left_out():
    quality = pd.DataFrame(
        [
            ("usage", "same_row_again", "merged", 900, 1000, 5000.0),
            ("subscriptions", "day_unreadable", "quarantined", 1, 50, 70.0),
            ("tickets", "unknown_account", "quarantined", 3, 60, np.nan),
            ("accounts", "rows", "rows", 10, 10, np.nan),
            ("surveys", "score_out_of_range", "quarantined", 0, 60, np.nan),
        ],
        columns=["table", "rule", "kind", "n", "n_of", "mrr_affected"],
    )
    table = summary.data_quality(quality)
    assert table["table"].tolist() == ["subscriptions", "tickets", "usage"]
    assert table["mrr_affected"].tolist() == [70.0, 0.0, 5000.0]


def test_a_badge_says_which_check_failed():
    models = pd.DataFrame(
        [
            ("survival", "Cox", 100, 50, True, "proportional hazards", False, "p = 0.01"),
            ("survival", "Cox", 100, 50, True, "events per parameter", True, ""),
            ("drivers", "cloglog", 100, 50, True, "calibration", True, ""),
            ("time_to_value", "Cox", 20, 1, False, "events per parameter", False, "1 event"),
            ("time_to_value", "trial", 20, 1, False, "", True, ""),
        ],
        columns=["chapter", "name", "n", "n_events", "converged", "check", "passed", "note"],
    )
    assert summary.badges(models)["badge"].tolist() == [
        "read with care: proportional hazards",
        "checks held",
        "no model: 1 event",
        "no model: too little to fit",
    ]
    assert summary.badges(models.iloc[:0]).empty


def test_where_there_is_no_model_page_one_says_why():
    rows = pd.DataFrame({"reason": ["too few for a model: 2 churns for 9 terms"]})
    said = summary.unclaimed(rows).tolist()
    assert said == ["No driver is claimed: too few for a model: 2 churns for 9 terms."]
    assert summary.unclaimed(pd.DataFrame()).empty


# Claims.

CARD = {
    "chapter": "survival", "kind": "contrast", "name": "segment", "statement": "SMB against mid",
    "estimand": "A difference.", "population": "All.", "cut_off": "2026-09-28", "unit": "months",
    "estimate": -1.25, "ci_low": -2.0, "ci_high": -0.5, "null": 0.0, "p_value": 0.01, "n": 500,
    "n_events": 60, "verdict": "supported", "reasons": [],
}  # fmt: skip
CARDS = pd.DataFrame([
    CARD | {"kind": "headline", "name": "quick_ratio", "statement": "Quick ratio", "unit": "ratio",
            "p_value": np.nan, "verdict": "fragile", "reasons": ["rank: one left out"],
            "estimate": 2.0, "ci_low": np.nan, "ci_high": np.nan},
    CARD,
    CARD | {"chapter": "drivers", "p_value": 0.04, "unit": "ratio", "estimate": np.nan,
            "ci_low": np.nan, "ci_high": np.nan, "verdict": "not identified",
            "reasons": ["4 events for 3 terms"]},
    CARD | {"chapter": "revenue", "p_value": 0.03},
])  # fmt: skip


def test_primary_contrasts_come_first_and_share_one_error_rate():
    table = summary.claims(CARDS, ["survival", "drivers"])
    assert table["chapter"].tolist() == ["survival", "drivers", "revenue", "survival"]
    np.testing.assert_allclose(table["p_adjusted"], [0.02, 0.04, np.nan, np.nan])
    assert table["failed"].tolist() == ["", "4 events for 3 terms", "", "rank: one left out"]


def test_a_claim_is_shown_in_the_words_of_its_unit_or_says_that_it_is_not_identified():
    table = summary.contrasts(summary.claims(CARDS, ["survival"]), words, "EUR")
    assert table.loc[0, ["estimate", "interval", "p_adjusted"]].tolist() == [
        "−1.3 months", "−2.0 to −0.5 months", "0.010",
    ]  # fmt: skip
    assert table.loc[1, ["estimate", "interval", "p_adjusted", "failed"]].tolist() == [
        "not identified", "", "", "4 events for 3 terms",
    ]  # fmt: skip


def test_only_headlines_that_are_not_supported_are_listed_as_doubtful():
    table = summary.doubtful(summary.claims(CARDS, []), words, "EUR")
    assert table["claim"].tolist() == ["Quick ratio"]
    assert table["interval"].tolist() == [""]


def test_figures_of_a_month_that_is_only_not_settled_are_counted_and_not_listed():
    waiting = CARDS.head(1).assign(reasons=[[claim_cards.NOT_SETTLED]])
    table = summary.claims(waiting, [])
    assert summary.doubtful(table, words, "EUR").empty
    assert "1 fragile, 1 of these only because the month is not settled, and" in (
        summary.say_claims(table, words)
    )


def test_a_headline_keeps_its_usual_decimals_and_a_small_contrast_gets_one_more():
    small = CARDS.head(2).assign(unit="share", estimate=-0.0074, ci_low=np.nan, ci_high=np.nan)
    table = summary.claims(small, [])
    assert summary.doubtful(table, words, "EUR")["estimate"].tolist() == ["−0.7 %"]
    assert summary.contrasts(table, words, "EUR")["estimate"].tolist() == ["−0.74 %"]


def test_the_claims_are_counted_by_verdict():
    assert summary.say_claims(summary.claims(CARDS, []), words) == (
        "Of 4 claims on these pages 2 are supported, 1 fragile and 1 not identified."
    )


def test_no_chapter_leaves_no_claim():
    table = summary.claims(CARDS.iloc[:0], ["survival"])
    assert summary.contrasts(table, words, "EUR").empty
    assert summary.doubtful(table, words, "EUR").empty


def test_a_month_that_is_not_settled_says_which_tiles_end_before_it() -> None:
    cut_off, as_of = dt.date(2026, 9, 28), dt.date(2026, 10, 31)
    assert "end on 28 September 2026" in summary.ends_earlier(cut_off, as_of, words)[0]
    assert summary.ends_earlier(as_of, as_of, words) == []
