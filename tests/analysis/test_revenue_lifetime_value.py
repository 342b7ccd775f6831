"""What a new customer is worth: done by hand, and with what stands in the way said."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.revenue.lifetime_value import revenue_over_churn
from pipeline.analysis.revenue.lives import lives_of
from pipeline.reporting import words
from pipeline.statistics import bootstrap
from tests.analysis.books import books, random_books

SEED = 20260115
FREE = revenue.Terms(1.0, 0.0)
MARGIN = revenue.Terms(0.8, 0.10)
A_DAY = 30.4375
"""MRR that is one a day."""


def told(made, terms=FREE, cut_off=None, accounts=None):
    cut_off = cut_off or made.as_of
    rows = made.accounts if accounts is None else accounts
    return revenue.lifetime_headline(
        made.spells, made.ledger, rows, cut_off, cut_off, terms, 0.95, SEED
    ).set_index("name")


def stay(n, cost=np.nan, n_months=60):
    """n accounts that pay one a day and never leave, from the first month on."""
    made = books([0] * n, [999] * n, [A_DAY] * n, n_months=n_months)
    recent = made.accounts["first_paid_date"].where(
        pd.Series(range(n)) < n / 2, pd.Timestamp(made.as_of) - pd.Timedelta(days=100)
    )
    return made, made.accounts.assign(first_paid_date=recent, acquisition_cost=cost)


def test_the_sentence_ends_where_the_numbers_end():
    known = pd.Series({"estimate": 900.0, "ci_low": 800.0, "ci_high": 990.0, "note": ""})
    blank = pd.Series(
        {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "note": "3 events for 1 term"}
    )
    assert revenue.say_lifetime(blank, blank, blank, "revenue", "USD", words) == (
        "What a new customer is worth cannot be said: 3 events for 1 term."
    )
    assert revenue.say_lifetime(known, blank, blank, "revenue", "USD", words) == (
        "A new customer is worth USD 900 over 36 months (USD 800 to 990), of revenue. What it "
        "cost to win cannot be set against it: 3 events for 1 term."
    )


def test_nobody_leaves_and_the_value_is_the_discounted_margin():
    made, accounts = stay(40, cost=200.0)
    found = told(made, MARGIN, accounts=accounts)
    rate = np.log(1.1) / 365.25
    value = 0.8 * (1 - np.exp(-rate * 1096)) / rate
    assert found.at["ltv_36_months", "estimate"] == pytest.approx(value)
    assert found.at["ltv_to_cac", "estimate"] == pytest.approx(value / 200)
    days = -np.log(1 - 200 * rate / 0.8) / rate
    assert found.at["cac_payback_months", "estimate"] == pytest.approx(days / 30.4375)
    assert found["state"].tolist() == ["ok"] * 3
    assert found["n"].tolist() == [40] * 3


def test_the_margin_is_that_of_those_still_there():
    # Half pay one a day and leave in month 3, half pay three a day and stay.
    n = 100
    mrr = np.repeat([A_DAY, 3 * A_DAY], n // 2)
    made = books([0] * n, np.repeat([3, 999], n // 2), mrr, n_months=60)
    lapse = (made.spells["lapse_date"].iloc[0] - made.spells["start_date"].iloc[0]).days
    value = 2 * lapse + 0.5 * 3 * (1096 - lapse)
    found = told(made).loc["ltv_36_months"]
    assert found["estimate"] == pytest.approx(value, rel=2e-3)
    assert found["ci_low"] < value < found["ci_high"]


def test_a_life_pays_on_the_days_it_was_seen_and_one_within_a_month_what_it_left_with():
    made = books([0, 0, 0], [999] * 3, [300.0] * 3, n_months=2)
    spells = made.spells.assign(
        entry_days=[0, 20, 0], duration_days=[60, 60, 12], mrr_lost=[np.nan, np.nan, 90.0]
    )
    is_brief = made.ledger["account_id"] == "a00002"
    opened = (made.ledger["period"] == "2023-11") & ~is_brief
    booked = made.ledger["mrr_end"].where(~is_brief, 0.0)
    ledger = made.ledger.assign(mrr_start=booked.where(~opened, 0.0), mrr_end=booked)
    found = lives_of(spells, ledger, made.as_of)
    assert found.days[:, :2].tolist() == [[30.0, 30.0], [10.0, 30.0], [12.0, 0.0]]
    assert found.paid[:, :2].tolist() == [[9000.0, 9000.0], [3000.0, 9000.0], [1080.0, 0.0]]


def test_few_at_risk_leave_no_value_and_the_note_says_how_far_it_goes():
    made = books([0] * 25 + [12] * 10, [999] * 35, [A_DAY] * 35, n_months=30)
    found = told(made).loc["ltv_36_months"]
    assert np.isnan(found["estimate"])
    assert np.isnan(found["ci_low"])
    assert found["state"] == "not_available"
    assert "before month 36; 911 by month 30" in found["note"]


def test_without_a_margin_the_value_is_one_of_revenue_and_says_so():
    made, _ = stay(30)
    found = told(made, revenue.Terms(None, 0.0)).loc["ltv_36_months"]
    assert found["estimate"] == pytest.approx(1096)
    assert found["note"] == "of revenue, no margin is set"


def test_a_cost_known_for_too_few_new_accounts_is_compared_with_nothing():
    made, accounts = stay(80)
    costs = np.where(np.arange(80) < 70, 100.0, np.nan)  # of the newest forty, thirty have a cost
    found = told(made, accounts=accounts.assign(acquisition_cost=costs))
    assert found["state"].tolist() == ["ok", "not_available", "not_available"]
    assert "30 of 40 accounts won in 12 months have a cost" in found.at["ltv_to_cac", "note"]
    costs = np.where(np.arange(80) < 72, 100.0, np.nan)
    found = told(made, accounts=accounts.assign(acquisition_cost=costs))
    assert found["state"].tolist() == ["ok"] * 3


def test_a_cost_that_three_years_do_not_repay_is_not_reached():
    made, accounts = stay(40, cost=5000.0)
    found = told(made, accounts=accounts).loc["cac_payback_months"]
    assert np.isnan(found["estimate"])
    assert found["state"] == "not_reached"


def test_the_months_before_are_the_same_slice_cut_earlier():
    made = random_books(3, n=900, n_months=60)
    found = told(made)
    for column, cut in (
        ("previous", dt.date(2028, 9, 30)),
        ("year_ago", dt.date(2027, 10, 31)),
    ):
        expected = told(made, cut_off=cut)["estimate"]
        assert found.at["ltv_36_months", column] == pytest.approx(expected["ltv_36_months"])


def test_an_earlier_cut_knows_nothing_of_what_came_later():
    whole = random_books(3, n=900, n_months=60)
    cut = dt.date(2028, 4, 30)
    last = "2028-04"
    hidden = whole.spells.assign(
        lapse_date=whole.spells["lapse_date"].where(whole.spells["lapse_date"] <= str(cut))
    )
    then = hidden[hidden["start_date"] <= str(cut)]
    duration = (then["lapse_date"].fillna(pd.Timestamp(cut)) - then["start_date"]).dt.days
    then = then.assign(duration_days=duration, is_churn=then["lapse_date"].notna())
    terms = (cut, cut, FREE, 0.95, SEED)
    early = revenue.lifetime_headline(
        then, whole.ledger[whole.ledger["period"] <= last], whole.accounts, *terms
    )
    pd.testing.assert_frame_equal(early.set_index("name"), told(whole, cut_off=cut))


def test_the_interval_depends_on_the_seed_and_on_no_order_of_rows():
    made = random_books(4, n_months=60)
    shuffled = made.spells.sample(frac=1, random_state=1)
    args = (made.ledger, made.accounts, made.as_of, made.as_of, MARGIN, 0.95)
    first = revenue.lifetime_headline(made.spells, *args, SEED)
    again = revenue.lifetime_headline(shuffled, *args, SEED)
    other = revenue.lifetime_headline(made.spells, *args, SEED + 1)
    pd.testing.assert_frame_equal(first, again)
    assert first["estimate"].iloc[0] == other["estimate"].iloc[0]
    assert first["ci_low"].iloc[0] != other["ci_low"].iloc[0]


def test_a_provisional_slice_says_so():
    made = random_books(5, n=900, n_months=60)
    found = revenue.lifetime_headline(
        made.spells, made.ledger, made.accounts, made.as_of - dt.timedelta(days=33), made.as_of,
        FREE, 0.95, SEED,
    )  # fmt: skip
    assert found["state"].iloc[0] == "provisional"


def test_the_table_says_the_headline_and_complete_cases_agree_with_it():
    made = random_books(6, n=2000, n_months=60)
    args = (made.spells, made.ledger, made.accounts, made.as_of, made.as_of, FREE, 0.95, SEED)
    table = revenue.lifetime_value(*args, "segment")
    whole = table[table["level"] == "all"].set_index("horizon_months")
    head = revenue.lifetime_headline(*args).iloc[0]
    for column in ("estimate", "ci_low", "ci_high"):
        assert whole.at[36, column] == head[column]
    assert table["level"].drop_duplicates().tolist() == ["all", "large", "small"]
    assert all(check.passed for check in revenue.lifetime_checks(table)["ltv_36_months"])
    assert whole["by_complete_cases"].notna().all()
    off = table.assign(by_complete_cases=2 * table["by_complete_cases"])
    assert not all(check.passed for check in revenue.lifetime_checks(off)["ltv_36_months"])


def test_accounts_drawn_in_small_blocks_give_the_same_value(monkeypatch):
    made = random_books(6, n=300, n_months=60)
    args = (made.spells, made.ledger, made.accounts, made.as_of, made.as_of, FREE, 0.95, SEED)
    whole = revenue.lifetime_headline(*args)
    monkeypatch.setattr(bootstrap, "MOST_COUNTS", 1_000)

    pd.testing.assert_frame_equal(revenue.lifetime_headline(*args), whole)


def test_a_constant_hazard_gives_the_closed_form():
    made = random_books(7, n=3000, n_months=60, hazard=0.05)
    small = made.accounts["segment"] == "small"
    names = made.accounts.loc[small, "account_id"]
    ledger = made.ledger[made.ledger["account_id"].isin(names)]
    spells = made.spells[made.spells["account_id"].isin(names)]
    found = revenue.lifetime_headline(
        spells, ledger, made.accounts[small], made.as_of, made.as_of, FREE, 0.95, SEED
    ).iloc[0]
    truth = 100 * (1 - 0.95**36) / 0.05
    assert found["ci_low"] < truth < found["ci_high"]


def test_margin_over_churn_promises_what_nobody_has_seen():
    # Those who survive the first months stay: the hazard falls.
    rng = np.random.default_rng(8)
    starts = rng.integers(0, 60, 1500)
    lapses = starts + np.where(rng.random(1500) < 0.4, rng.integers(1, 6, 1500), 999)
    made = books(starts, lapses, [A_DAY] * 1500, n_months=60)
    wrong = revenue_over_churn(made.spells, made.ledger, made.as_of, FREE)
    right = told(made).at["ltv_36_months", "estimate"]
    assert wrong["all months"] > 1.5 * right
    assert wrong["the first month"] < right  # the same shortcut, the other way


def test_no_account_at_all_has_no_value():
    made = random_books(9, n=40, n_months=12)
    found = revenue.lifetime_headline(
        made.spells.iloc[:0], made.ledger.iloc[:0], made.accounts.iloc[:0], made.as_of,
        made.as_of, FREE, 0.95, SEED,
    )  # fmt: skip
    assert found["estimate"].isna().all()
    assert found["state"].tolist() == ["not_available"] * 3
