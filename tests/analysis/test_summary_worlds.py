"""The verdict of three companies, from their ledgers to the sentence.

One grows and is quiet; one loses far more customers in a month than chance explains; one shrinks
and is too young to say what is usual, and in the end has no customer to divide by.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis import revenue, summary
from pipeline.reporting import words

CHARTS = list(("gross_account_churn_rate", "gross_mrr_churn_rate", "customers_new"))
MONTHS_NEEDED = 12
RETURNS = pd.DataFrame(
    {"account_id": pd.Series(dtype=object), "lapse_date": pd.Series(dtype="datetime64[ns]"),
     "days_observed": pd.Series(dtype=float), "has_returned": pd.Series(dtype=bool)}
)  # fmt: skip
OWNERS = {"revenue": "Revenue"}
LOST = [8, 11, 9, 12]


def company(
    n_months: int,
    customers: int,
    *,
    new: int,
    lost: list[int],
    last_lost: int | None = None,
    growth: float = 0.0,
    is_last_settled: bool = True,
) -> pd.DataFrame:
    """A ledger in which each month wins `new` and loses the next of `lost`, the longest-paying."""
    names = pd.period_range("2025-01", periods=n_months, freq="M").astype(str)
    paying: dict[str, float] = {f"a{place}": 10.0 for place in range(customers)}
    rows, made = [], customers
    for position, period in enumerate(names):
        is_last = position == n_months - 1
        n_lost = lost[position % len(lost)] if not is_last or last_lost is None else last_lost
        gone = list(paying)[:n_lost]
        fresh = [f"a{made + place}" for place in range(new)]
        made += new
        for account, before in paying.items():
            after = 0.0 if account in gone else before * (1 + growth)
            movement = "churn" if account in gone else "expansion" if growth else "retained"
            rows.append((period, account, before, after, movement))
        rows += [(period, account, 0.0, 10.0, "new") for account in fresh]
        kept = {name: mrr * (1 + growth) for name, mrr in paying.items() if name not in gone}
        paying = kept | dict.fromkeys(fresh, 10.0)
    ledger = pd.DataFrame(
        rows, columns=["period", "account_id", "mrr_start", "mrr_end", "movement"]
    )
    return ledger.assign(
        fx=0.0, mrr_bridged=0.0, is_due_for_renewal=True,
        end_type=np.where(ledger["movement"] == "churn", "voluntary", None),
        is_settled=(ledger["period"] != names[-1]) | is_last_settled,
    )  # fmt: skip


def sentence(ledger: pd.DataFrame) -> str:
    """What page one says of revenue, in the last month of a ledger."""
    period = ledger["period"].max()
    staying = revenue.stay_lost(ledger, RETURNS, period, dt.date(2026, 12, 31), 30, 0.95)
    lines = revenue.headline(ledger, period, 0.95, staying).assign(chapter="revenue")
    ranges = revenue.signals(revenue.usual_range(ledger, CHARTS, MONTHS_NEEDED))
    facts = summary.verdict(lines, ranges, OWNERS, period)
    said = summary.sentences(facts, words)
    assert said["owner"].tolist() == ["Revenue"]
    return said["sentence"].iloc[0]


def test_a_company_that_grows_and_is_quiet():
    said = sentence(company(14, 400, new=12, lost=LOST, growth=0.06))
    assert said.startswith("The customers of a year ago pay more: ")
    assert "within the usual range like all of the last 12 months" in said
    assert "above" not in said


def test_a_company_in_which_a_month_is_far_outside_of_what_chance_explains():
    said = sentence(company(14, 400, new=10, lost=LOST, last_lost=60))
    assert "customers lost this month: " in said
    assert "above the usual range (1 of the last 12 months was not as usual)" in said
    assert "MRR lost above the usual range" in said


def test_a_month_that_is_not_settled_leaves_the_word_to_the_one_before():
    said = sentence(company(14, 400, new=10, lost=LOST, last_lost=60, is_last_settled=False))
    assert "; January 2026, the newest settled month, was within the usual range" in said
    assert "above the usual range" not in said


def test_a_company_that_shrinks_and_is_too_young_to_say_what_is_usual():
    said = sentence(company(7, 200, new=0, lost=[20]))
    assert said.startswith("The customers of the month before pay less: 75.0 % of what they did")
    assert said.endswith(
        "customers lost this month: 25.0 %, too few settled months to say whether that is usual."
    )


def test_a_company_that_has_nobody_left_says_why_there_is_no_rate():
    leaving = company(2, 60, new=0, lost=[30])
    anew = company(1, 0, new=5, lost=[0]).assign(period="2025-03")
    said = sentence(pd.concat([leaving, anew], ignore_index=True))
    assert said.startswith("What the customers we had pay now cannot be said yet: ")
    assert "nan" not in said
    assert "customers lost this month" not in said


def test_a_share_that_has_no_interval_is_said_and_not_judged():
    said = sentence(company(2, 12, new=0, lost=[0], last_lost=12))
    assert said.startswith("The customers of the month before pay 0.0 % of what they did; ")


def test_new_customers_on_one_side_of_their_level_for_months_are_heard_of():
    quiet = company(13, 400, new=10, lost=LOST)
    names = pd.period_range("2026-02", periods=10, freq="M").astype(str)
    busier = [company(1, 400, new=16, lost=LOST).assign(period=period) for period in names]
    said = sentence(pd.concat([quiet, *busier], ignore_index=True))
    assert "new customers above the usual" in said
