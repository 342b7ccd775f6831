"""Another grace: the months that the stages would have counted, from one slice."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.revenue.contrast import starters
from pipeline.analysis.revenue.graces import grace_months

AS_OF = dt.date(2024, 12, 31)
TABLES = ("spells", "returns", "mrr_ledger", "accounts")


def frames(company):
    spells, returns, ledger, accounts = (company.table("2024-12", name) for name in TABLES)
    return spells, returns, revenue.observed(ledger, dt.date(2023, 3, 1)), accounts


@pytest.mark.parametrize("grace_days", [0, 14, 30, 60, 90])
def test_account_months_are_those_that_the_stages_count_with_that_grace(gapped, grace_days):
    own = frames(gapped(30))
    _, _, ledger, accounts = frames(gapped(grace_days))
    found = grace_months(*own, grace_days, 30, AS_OF, AS_OF)
    expected = starters(ledger, accounts, "segment")
    expected = expected[expected["period"] <= found["period"].max()]
    columns = ["period", "account_id", "n", "is_lost", "mrr_start", "mrr_lost"]
    order = ["period", "account_id"]
    pd.testing.assert_frame_equal(
        found[columns].sort_values(order, ignore_index=True),
        expected[columns].sort_values(order, ignore_index=True),
    )
    last = found["period"].max()
    assert (
        last
        == {0: "2024-12", 14: "2024-12", 30: "2024-12", 60: "2024-10", 90: "2024-09"}[grace_days]
    )


def test_each_grace_speaks_of_its_own_month_and_all_of_one_in_common(gapped):
    own = frames(gapped(30))
    table = revenue.grace_rates(*own, revenue.GRACES, 30, AS_OF, AS_OF, 0.95)
    newest = table.drop_duplicates("grace_days").set_index("grace_days")
    assert newest["period"].to_dict() == {
        0: "2024-12", 14: "2024-12", 30: "2024-12", 60: "2024-10", 90: "2024-09",
    }  # fmt: skip
    assert newest["cut_off"].to_dict()[90] == "2024-10-02"
    common = table[table["is_common"]]
    assert common["period"].unique().tolist() == ["2024-09"]
    assert common["grace_days"].tolist() == list(revenue.GRACES)
    # Of seven accounts, `early` is lost in September whatever the grace: k of n, no rate.
    assert common["n_lost"].tolist() == [1] * 5
    assert common["gross_account_churn_rate"].isna().all()
    assert set(common["note"]) == {"1 of 6"}
    december = newest.loc[[0, 14, 30]]
    assert december["n_lost"].tolist() == [1, 1, 0]  # `late` comes back on day 21
    assert december["gross_mrr_churn_rate"].tolist()[2] == 0.0


def test_a_gap_that_the_grace_bridges_has_no_way_of_leaving_on_file(gapped):
    own = frames(gapped(30))
    months = grace_months(*own, 0, 30, AS_OF, AS_OF)
    lost = months[months["is_lost"] > 0].set_index(["account_id", "period"])["end_type"]
    assert lost["late", "2024-12"] == "unknown"
    assert lost["sixty", "2024-11"] == "voluntary"


def test_a_month_is_worth_what_it_opened_with_not_what_the_one_before_closed_with(gapped):
    spells, returns, ledger, accounts = frames(gapped(30))
    is_june = ledger["period"] == "2024-06"
    ledger = ledger.assign(mrr_start=ledger["mrr_start"].where(~is_june, ledger["mrr_start"] * 2))
    months = grace_months(spells, returns, ledger, accounts, 30, 30, AS_OF, AS_OF)
    june = months[months["period"] == "2024-06"].set_index("account_id")["mrr_start"]
    opened = ledger[is_june & (ledger["mrr_start"] > 0)].set_index("account_id")["mrr_start"]
    assert len(opened) > 1
    assert june.to_dict() == opened.to_dict()


def test_where_the_books_have_none_it_is_the_mrr_of_the_last_lapse_before_that_day(gapped):
    spells, returns, ledger, accounts = frames(gapped(30))
    name = ledger.loc[ledger["period"] == "2024-06", "account_id"].iloc[0]
    is_gap = (ledger["account_id"] == name) & ledger["period"].isin(
        ["2024-04", "2024-05", "2024-06"]
    )
    days = pd.to_datetime(["2024-06-01", "2024-04-20", "2024-05-10"]).astype("datetime64[us]")
    lapses = pd.DataFrame({"account_id": name, "lapse_date": days, "days_observed": 1,
                           "has_returned": False, "mrr_lost": [9.0, 7.0, 8.0]})  # fmt: skip
    months = grace_months(
        spells, pd.concat([returns, lapses]), ledger[~is_gap], accounts, 30, 30, AS_OF, AS_OF
    )
    own = months[months["account_id"] == name].set_index("period")["mrr_start"]
    assert own["2024-05"] == 7.0
    assert own["2024-06"] == 8.0


def test_no_settled_month_has_no_row():
    empty = pd.DataFrame({"period": ["2024-12"], "account_id": ["a"], "mrr_start": [1.0]})
    months = grace_months(empty, empty, empty, empty, 90, 30, AS_OF, dt.date(2024, 11, 30))
    assert months.empty
    assert np.array_equal(months.columns[:2], ["period", "account_id"])
