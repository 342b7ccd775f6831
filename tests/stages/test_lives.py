"""Kinds of customers' lives, each a literal table: subscription rows in, movements and spells out.

The words are GLOSSARY's: a gap of at most 30 days is bridged, a later return is a reactivation,
trials and free plans are never customers, and there is no pause state: a pause is a gap.
"""

from __future__ import annotations

import pytest

from tests.stages.company import Company, accounts_of, write_company

HEADER = "subscription_id,account_id,start_date,end_date,mrr,is_trial,end_type,plan,seats\n"
MONTHS = ["2025-01", "2025-02", "2025-03", "2025-04"]
LIVES = {
    "two that overlap": (
        ["2025-01-10,2025-03-10,100,,,,", "2025-02-10,,40,,,,"],
        ["new 100", "expansion 140", "contraction 40", "retained 40"],
        ["2025-01-10 open"],
    ),
    "one inside the other": (
        ["2025-01-10,,100,,,,", "2025-02-10,2025-03-10,40,,,,"],
        ["new 100", "expansion 140", "contraction 100", "retained 100"],
        ["2025-01-10 open"],
    ),
    "two of the same days": (
        ["2025-01-10,2025-03-10,100,,,,", "2025-01-10,2025-03-10,100,,,,"],
        ["new 200", "retained 200", "churn 0"],
        ["2025-01-10 2025-03-10"],
    ),
    "no length": (
        ["2025-01-10,2025-01-10,100,,,,", "2025-02-10,,40,,,,"],
        ["new 40", "retained 40", "retained 40"],
        ["2025-02-10 open"],
    ),
    "one day": (
        ["2025-01-10,2025-01-11,100,,,,"],
        ["joined_and_left 0"],
        ["2025-01-10 2025-01-11"],
    ),
    "a gap of the grace": (
        ["2025-01-10,2025-02-10,100,,,,", "2025-03-12,,100,,,,"],
        ["new 100", "retained 100", "retained 100", "retained 100"],
        ["2025-01-10 open"],
    ),
    "a gap of a day more": (
        ["2025-01-10,2025-02-10,100,,,,", "2025-03-13,,100,,,,"],
        ["new 100", "churn 0", "reactivation 100", "retained 100"],
        ["2025-01-10 2025-02-10", "2025-03-13 open"],
    ),
    "twice gone and twice back": (
        ["2025-01-01,2025-01-05,100,,,,", "2025-02-15,2025-02-20,100,,,,", "2025-04-01,,90,,,,"],
        ["joined_and_left 0", "joined_and_left 0", "reactivation 90"],
        ["2025-01-01 2025-01-05", "2025-02-15 2025-02-20", "2025-04-01 open"],
    ),
    "a change of plan on the day": (
        ["2025-01-10,2025-03-01,100,,,basic,5", "2025-03-01,,160,,,pro,8"],
        ["new 100", "retained 100", "expansion 160", "retained 160"],
        ["2025-01-10 open"],
    ),
    "a smaller plan after a week without": (
        ["2025-01-10,2025-02-20,100,,,pro,5", "2025-02-27,,60,,,basic,5"],
        ["new 100", "contraction 60", "retained 60", "retained 60"],
        ["2025-01-10 open"],
    ),
    "a trial that converts": (
        ["2025-01-10,2025-02-10,50,true,,,", "2025-02-10,,50,,,,"],
        ["new 50", "retained 50", "retained 50"],
        ["2025-02-10 open"],
    ),
    "a trial that does not": (["2025-01-10,2025-02-10,50,true,,,"], [], []),
    "free, then paid": (
        ["2025-01-10,2025-03-10,0,,,,", "2025-03-10,,20,,,,"],
        ["new 20", "retained 20"],
        ["2025-03-10 open"],
    ),
    "a pause billed at nothing": (
        ["2025-01-10,2025-02-10,80,,,,", "2025-02-10,2025-03-30,0,,,,", "2025-03-30,,80,,,,"],
        ["new 80", "churn 0", "reactivation 80", "retained 80"],
        ["2025-01-10 2025-02-10", "2025-03-30 open"],
    ),
    "a short pause": (
        ["2025-01-10,2025-02-10,80,,,,", "2025-02-10,2025-03-05,0,,,,", "2025-03-05,,80,,,,"],
        ["new 80", "retained 80", "retained 80", "retained 80"],
        ["2025-01-10 open"],
    ),
    "past due, then given up": (
        ["2025-01-10,2025-04-15,80,,involuntary,,"],
        ["new 80", "retained 80", "retained 80", "churn 0"],
        ["2025-01-10 2025-04-15"],
    ),
}
NAMES = {life: f"A{place:02d}" for place, life in enumerate(LIVES)}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    rows = [
        f"S{NAMES[life]}{place},{NAMES[life]},{row}"
        for life, (written, _, _) in LIVES.items()
        for place, row in enumerate(written)
    ]
    files = {
        "accounts.csv": accounts_of(*NAMES.values(), signed="2025-01-01"),
        "subscriptions.csv": HEADER + "\n".join(rows) + "\n",
    }
    root = tmp_path_factory.mktemp("lives")
    return write_company(root, files, periods=["2025-04"], extract_date="2025-12-31").run()


@pytest.mark.parametrize("life", LIVES)
def test_each_kind_of_life_moves_through_the_ledger_as_it_is_written(company, life):
    book = company.table("2025-04", "mrr_ledger")
    own = book[book["account_id"] == NAMES[life]].sort_values("period")
    found = [f"{row.movement} {row.mrr_end:g}" for row in own.itertuples()]
    assert found == LIVES[life][1]


@pytest.mark.parametrize("life", LIVES)
def test_each_kind_of_life_has_the_spells_as_they_are_written(company, life):
    spells = company.table("2025-04", "spells")
    own = spells[spells["account_id"] == NAMES[life]].sort_values("spell")
    dates = own[["start_date", "lapse_date"]].apply(lambda days: days.dt.strftime("%Y-%m-%d"))
    found = [f"{start} {end}" for start, end in dates.fillna("open").itertuples(index=False)]
    assert found == LIVES[life][2]


def test_a_customer_who_was_given_up_after_past_due_left_involuntarily(company):
    spells = company.table("2025-04", "spells").set_index("account_id")
    assert spells.loc[NAMES["past due, then given up"], "end_type"] == "involuntary"
