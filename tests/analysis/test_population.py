"""Population: who is counted and what was left out, on tables a reader can check."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import population

CUT_OFF = dt.date(2026, 9, 28)


def accounts_of(*rows):
    names = [
        "account_id",
        "first_paid_date",
        "is_customer",
        "mrr",
        "is_in_notice",
        "is_first_paid_known",
    ]
    frame = pd.DataFrame(list(rows), columns=names)
    return frame.assign(first_paid_date=pd.to_datetime(frame["first_paid_date"]))


@pytest.fixture
def accounts():
    return accounts_of(
        ("pays", "2025-01-01", True, 100.0, False, True),
        ("leaving", "2025-01-01", True, 50.0, True, True),
        ("left", "2025-01-01", False, 0.0, False, True),
        ("old", "2023-11-01", True, 30.0, False, False),
        ("trial", None, False, 0.0, False, True),
    )


def quality_of(*rows):
    names = ["table", "rule", "kind", "n", "n_of", "mrr_affected", "last_date"]
    frame = pd.DataFrame(list(rows), columns=names)
    return frame.assign(
        last_date=pd.to_datetime(frame["last_date"]),
        mrr_affected=frame["mrr_affected"].astype(float),
    )


@pytest.fixture
def quality():
    return quality_of(
        ("subscriptions", "used", "rows", 988, 1000, None, None),
        ("subscriptions", "end before start", "quarantined", 8, 1000, 12.0, None),
        ("subscriptions", "negative mrr", "quarantined", 2, 1000, 6.0, None),
        ("accounts", "used", "rows", 200, 200, None, None),
        ("tickets", "late", "late", 5, 90, None, None),
        ("usage", "table", "coverage", 0, 0, None, None),
        ("accounts", "segment", "coverage", 150, 200, None, None),
        ("tickets", "freshness", "freshness", 90, 90, None, "2026-10-28"),
        ("usage", "freshness", "freshness", 90, 90, None, "2026-09-30"),
        ("surveys", "freshness", "freshness", 0, 0, None, None),
    )


def test_every_account_is_in_exactly_one_group(accounts):
    table = population.counted(accounts).set_index("group")
    parts = table[table["is_part"]]
    assert parts["n"].to_dict() == {"customers": 3, "former customers": 1, "never paid": 1}
    assert parts["share"].sum() == pytest.approx(1.0)
    assert table.at["customers", "mrr"] == 180.0
    assert table.at["customers in notice", "mrr"] == 50.0
    assert table.loc["first paid day unknown, left out of age-based curves", "n"] == 1


def test_each_step_tells_what_it_took():
    steps = pd.DataFrame(
        {"table": ["spells", "spells"], "step": ["a", "b"], "reason": ["x", "y"],
         "n_before": [100, 90], "n_after": [90, 90], "mrr_affected": [10.0, 0.0]}
    )  # fmt: skip
    table = population.left_out(steps)
    assert table["n_left_out"].tolist() == [10, 0]
    assert table["share"].tolist() == [0.1, 0.0]


def test_a_step_that_adds_rows_is_no_exclusion():
    steps = pd.DataFrame({"table": ["spells"], "step": ["grow"], "n_before": [1], "n_after": [2]})
    with pytest.raises(ValueError, match="spells: grow"):
        population.left_out(steps)


def test_the_quarantine_is_weighed_in_rows_and_in_money(quality, accounts):
    table = population.trust(quality, accounts).set_index("table")
    assert table.at["subscriptions", "n_quarantined"] == 10
    assert table.at["subscriptions", "rows_share"] == 0.01
    assert table.at["all", "rows_share"] == pytest.approx(10 / 1200)
    assert table.at["all", "mrr_share"] == pytest.approx(18 / 180)
    assert table.at["accounts", "mrr_affected"] == 0.0


def test_more_money_touched_than_there_is_counts_as_all_of_it(accounts):
    bad = quality_of(("subscriptions", "rows", "rows", 10, 10, None, None),
                     ("subscriptions", "x", "quarantined", 1, 10, 999.0, None))  # fmt: skip
    assert population.trust(bad, accounts).set_index("table").at["all", "mrr_share"] == 1.0


def test_no_customer_leaves_the_money_share_open(quality, accounts):
    table = population.trust(quality, accounts.assign(mrr=0.0))
    assert table["mrr_share"].isna().all()


def test_a_missing_table_names_the_question_it_would_answer(quality):
    table = population.coverage(quality).set_index("subject")
    assert table.index.tolist() == ["usage", "accounts.segment"]
    assert table.at["usage", "is_missing"]
    assert table.at["usage", "question"] == "Does using the product go with staying?"
    assert table.at["accounts.segment", "share"] == 0.75


def test_the_oldest_table_comes_first(quality):
    table = population.freshness(quality, dt.date(2026, 10, 31))
    assert table["table"].tolist() == ["usage", "tickets"]
    assert table["days_before_as_of"].tolist() == [31, 3]


def returns_of(*rows):
    frame = pd.DataFrame(list(rows), columns=["lapse_date", "days_observed", "has_returned"])
    return frame.assign(lapse_date=pd.to_datetime(frame["lapse_date"]))


def test_returns_are_counted_to_the_day_and_unsettled_lapses_stay_out():
    lapses = [("2026-05-01", 7, True)] * 2 + [("2026-05-01", 8, True)] * 3
    lapses += [("2026-05-01", 100, False)] * 15 + [("2026-10-05", 3, True)] * 9
    table = population.returns_by_day(returns_of(*lapses), [7, 14, 30], CUT_OFF, 0.95)
    assert table["n"].tolist() == [20, 20, 20]
    assert table["returned_share"].tolist() == pytest.approx([0.10, 0.25, 0.25])
    assert (table["ci_low"] < table["returned_share"]).all()
    assert (table["ci_high"] > table["returned_share"]).all()


def test_a_lapse_watched_shorter_is_censored_and_no_proof_of_leaving():
    lapses = [("2026-05-01", 5, False)] * 10 + [("2026-05-01", 10, True)] * 5
    lapses += [("2026-05-01", 40, False)] * 5
    table = population.returns_by_day(returns_of(*lapses), [30, 60], CUT_OFF, 0.95).set_index("day")
    assert table.at[30, "returned_share"] == pytest.approx(0.5)  # of the ten still watched
    assert np.isnan(table.at[60, "returned_share"])
    assert table.at[60, "note"] == "no lapse was watched so long"


def test_too_few_lapses_are_told_as_k_of_n():
    lapses = returns_of(("2026-05-01", 5, True), ("2026-05-01", 9, True))
    table = population.returns_by_day(lapses, [7, 14], CUT_OFF, 0.95)
    assert table["returned_share"].isna().all()
    assert table["note"].tolist() == ["1 of 2", "2 of 2"]


def test_no_lapse_at_all_is_zero_of_zero():
    none = returns_of().astype({"has_returned": bool, "days_observed": float})
    assert population.returns_by_day(none, [7], CUT_OFF, 0.95).at[0, "note"] == "0 of 0"


def test_three_definitions_of_churn_disagree_in_plain_sight():
    n = 20
    accounts = accounts_of(*[(f"a{i}", "2025-01-01", i >= 2, 10.0, False, True) for i in range(n)])
    accounts = accounts.assign(is_flagged=[True] * 5 + [False] * 14 + [None])
    spells = pd.DataFrame({"account_id": ["a0", "a7"], "is_churn": [True, True]})
    table = population.churn_definitions(accounts, spells, ["is_flagged"]).set_index("definition")
    assert table["n_churned"].to_dict() == {
        "churned at least once": 2, "no longer a customer": 2, "is_flagged": 5,
    }  # fmt: skip
    assert table.at["is_flagged", "n_accounts"] == 19
    assert table.at["is_flagged", "n_still_customer"] == 3
    assert table.at["churned at least once", "n_still_customer"] == 1
    assert table.at["no longer a customer", "share"] == 0.1


def test_a_flat_file_has_one_definition_and_no_word_of_money_or_grace():
    accounts = accounts_of(*[(f"a{i}", "2025-01-01", i >= 2, None, False, True) for i in range(20)])
    spells = pd.DataFrame({"account_id": ["a0", "a1"], "is_churn": [True, True]})
    table = population.churn_definitions(accounts, spells, [], is_flat=True)
    assert table["definition"].tolist() == ["no longer a customer"]
    assert table["note"].tolist() == ["the file calls it churned"]


def test_a_definition_over_few_accounts_gives_no_share(accounts):
    spells = pd.DataFrame({"account_id": ["left"], "is_churn": [True]})
    table = population.churn_definitions(accounts, spells, [])
    assert table["share"].isna().all()
    assert table["note"].str.startswith("1 of 4").all()


def test_a_mark_that_is_not_there_or_no_flag_is_refused_by_name(accounts):
    spells = pd.DataFrame({"account_id": ["left"], "is_churn": [True]})
    with pytest.raises(ValueError, match="is_gone"):
        population.churn_definitions(accounts, spells, ["is_gone"])
    with pytest.raises(ValueError, match="neither true nor false"):
        population.churn_definitions(accounts.assign(mood="grim"), spells, ["mood"])


def test_a_question_that_waits_for_several_columns_is_asked_once():
    coverage = population.coverage(
        quality_of(
            ("usage", "recorded_at", "coverage", 0, 9, None, None),
            ("tickets", "recorded_at", "coverage", 0, 9, None, None),
            ("plays", "colour", "coverage", 0, 9, None, None),
            ("goals", "unit", "coverage", 5, 9, None, None),
        )
    )
    table = population.unanswered(coverage).set_index("not_given")["question"]
    assert table["tickets.recorded_at, usage.recorded_at"].startswith("What was known when")
    assert table["plays.colour"].startswith("No question")
    assert len(table) == 2
