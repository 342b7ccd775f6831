"""Revenue: literal ledgers in, numbers a reader can check by hand out."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.revenue.bench import annualised, customers_at
from pipeline.analysis.revenue.retention import rates
from pipeline.reporting import words
from pipeline.statistics.ratios import linearised_ratio
from tests.stages import company as hand

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
DAY = pd.Timestamp


def row(period, account, start, end, movement, **more):
    blank = {"fx": 0.0, "mrr_bridged": 0.0, "end_type": None, "is_due_for_renewal": False,
             "is_settled": True}  # fmt: skip
    told = {"period": period, "account_id": account, "movement": movement,
            "mrr_start": float(start), "mrr_end": float(end)}  # fmt: skip
    return told | blank | more


def ledger(*rows):
    names = list(row("", "", 0, 0, ""))
    return pd.DataFrame(list(rows), columns=names).astype(
        {"mrr_start": float, "mrr_end": float, "fx": float, "mrr_bridged": float,
         "is_due_for_renewal": object, "is_settled": bool}
    )  # fmt: skip


def many(period, n, start, end, movement, prefix, **more):
    return [row(period, f"{prefix}{i}", start, end, movement, **more) for i in range(n)]


def spells_of(*rows):
    names = ["account_id", "start_date", "lapse_date", "end_type", "end_reason"]
    frame = pd.DataFrame(list(rows), columns=names)
    return frame.assign(
        start_date=pd.to_datetime(frame["start_date"]),
        lapse_date=pd.to_datetime(frame["lapse_date"]),
    )


NO_SPELLS = spells_of()


@pytest.fixture(scope="module")
def thousand():
    """1000 customers, 150 leave, 50 join and stay, 5 join and leave."""
    return ledger(
        *many("2026-10", 850, 10, 10, "retained", "stays"),
        *many("2026-10", 150, 10, 0, "churn", "leaves"),
        *many("2026-10", 50, 0, 10, "new", "joins"),
        *many("2026-10", 5, 0, 0, "joined_and_left", "tries"),
    )


@pytest.fixture(scope="module")
def growing():
    """MRR 275,000 → 305,000, while the customers at start go from 275,000 to 265,000."""
    return ledger(
        *many("2026-10", 10, 2000, 0, "churn", "leaves"),
        *many("2026-10", 10, 1500, 1000, "contraction", "shrinks"),
        *many("2026-10", 10, 4000, 5500, "expansion", "grows"),
        *many("2026-10", 20, 10000, 10000, "retained", "stays"),
        row("2026-10", "back", 0, 2000, "reactivation"),
        *many("2026-10", 19, 0, 2000, "new", "joins"),
    )


def value_of(table, name, column="value", key="definition"):
    return table.set_index(key).at[name, column]


@pytest.mark.parametrize(
    ("definition", "value", "n"),
    [
        ("source_formula", 0.10, 1000),
        ("starters_lost", 0.15, 1000),
        ("joined_and_lost_included", 0.155, 1000),
        ("lost_over_start_plus_joined", 155 / 1055, 1055),
        ("source_prose_lost_over_acquired", 155 / 55, 55),
    ],
)
def test_each_account_definition_answers_the_1000_to_900_fixture_in_its_own_way(
    thousand, definition, value, n
):
    table = revenue.definitions(thousand, NO_SPELLS, "2026-10")
    assert value_of(table, definition) == pytest.approx(value, abs=1e-15)
    assert value_of(table, definition, "n") == n


def test_the_account_fixture_prints_as_its_source_does(thousand):
    values = revenue.definitions(thousand, NO_SPELLS, "2026-10").set_index("definition")["value"]
    shown = (100 * values).round(2)
    assert shown["joined_and_lost_included"] == 15.50
    assert shown["lost_over_start_plus_joined"] == 14.69
    assert shown["source_prose_lost_over_acquired"].round(1) == 281.8


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ("source_formula_revenue", -30000 / 275000),
        ("gross_mrr_churn", 25000 / 275000),
        ("net_mrr_churn_with_reactivation", 8000 / 275000),
        ("net_churn_of_starters", 10000 / 275000),
        ("quick_ratio_without_reactivation", 2.12),
        ("quick_ratio", 2.20),
    ],
)
def test_each_revenue_definition_answers_the_275000_to_305000_fixture_in_its_own_way(
    growing, definition, value
):
    # The fixture's start: 20,000 + 15,000 + 40,000 + 200,000.
    table = revenue.definitions(growing, NO_SPELLS, "2026-10")
    assert value_of(table, definition) == pytest.approx(value, abs=1e-15)


def test_the_source_formulas_are_headlines_beside_their_cohort_twins(thousand, growing):
    accounts = revenue.headline(thousand, "2026-10", 0.95).set_index("name")["estimate"]
    money = revenue.headline(growing, "2026-10", 0.95).set_index("name")["estimate"]
    assert accounts["account_churn_rate"] == 0.10
    assert accounts["gross_account_churn_rate"] == 0.15
    assert money["revenue_churn_rate"] == -30000 / 275000
    assert round(money["revenue_churn_rate"], 2) == -0.11
    assert money["gross_mrr_churn_rate"] == pytest.approx(25 / 275)
    assert money["gross_revenue_retention"] == pytest.approx(250 / 275)
    assert money["net_revenue_retention"] == pytest.approx(265 / 275)
    assert (money["mrr_start"], money["mrr_end"]) == (275000, 305000)


def test_the_source_formula_is_gross_churn_less_what_came_in(thousand):
    values = revenue.headline(thousand, "2026-10", 0.95).set_index("name")["estimate"]
    came_in = 50 / 1000
    assert values["account_churn_rate"] == pytest.approx(
        values["gross_account_churn_rate"] - came_in
    )


def test_thirty_days_look_back_from_the_end_of_the_month_and_bridge_nothing_past_it():
    paid = [(f"a{i}", "2026-01-05", None, None, None) for i in range(10)]
    spells = spells_of(
        *paid,
        ("on-the-day", "2026-10-02", None, None, None),  # starts on P1 − 30 d: counts from then on
        ("before", "2026-10-01", "2026-10-02", "voluntary", None),  # served until that morning
        ("gone", "2026-01-05", "2026-10-01", "voluntary", None),
        ("gone too", "2026-01-05", "2026-10-01", "voluntary", None),
    )
    assert customers_at(spells, DAY("2026-10-02")) == 11
    kept = ledger(
        *many("2026-10", 10, 5, 5, "retained", "a"),
        row("2026-10", "on-the-day", 0, 5, "new"),
        row("2026-10", "before", 0, 0, "joined_and_left"),
    )
    table = revenue.definitions(kept, spells, "2026-10")
    assert value_of(table, "source_formula_30_days") == 0.0
    assert value_of(table, "source_formula_30_days", "n") == 11


@pytest.fixture(scope="module")
def two_months():
    """Every movement once, two currencies' worth of revaluation, a gap within the grace."""
    return ledger(
        row("2026-09", "same", 100, 100, "retained"),
        row("2026-09", "more", 100, 130, "expansion"),
        row("2026-09", "less", 102, 62, "contraction", fx=1.5),
        row("2026-09", "gone", 100, 0, "churn", end_type="completed"),
        row("2026-09", "moved", 50, 0, "churn", end_type="administrative"),
        row("2026-09", "fresh", 0, 40, "new"),
        row("2026-09", "back", 0, 70, "reactivation"),
        row("2026-09", "brief", 0, 0, "joined_and_left"),
        row("2026-10", "same", 100, 100, "retained", mrr_bridged=100.0),
        row("2026-10", "more", 130, 130, "retained"),
        row("2026-10", "less", 61.5, 61.5, "retained", fx=-0.5),
        row("2026-10", "fresh", 40, 40, "retained"),
        row("2026-10", "back", 70, 0, "churn", end_type="voluntary"),
    )


def test_each_month_is_kept_what_its_own_customers_still_pay_whoever_came_beside_them(two_months):
    history = revenue.retention_history(two_months).set_index("period")
    start = 100 + 100 + 102 + 100 + 50
    assert history.at["2026-09", "gross_revenue_retention"] == (100 + 100 + 62) / start
    assert history.at["2026-09", "net_revenue_retention"] == (100 + 130 + 62) / start


def test_the_bridge_names_every_movement_and_chains_to_the_cent(two_months):
    bridge = revenue.bridge(two_months).set_index("period")
    september = bridge.loc["2026-09"]
    assert september.to_dict() == {
        "mrr_start": 450.5, "new": 40.0, "expansion": 30.0, "reactivation": 70.0,
        "contraction": 40.0, "churn": 150.0, "fx": 1.5, "mrr_end": 402.0, "bridged": 0.0,
        "of_which_completed": 100.0, "of_which_administrative": 50.0,
        "mrr_end_first_published": 402.0,
    }  # fmt: skip
    assert bridge.at["2026-10", "mrr_start"] == september["mrr_end"]
    assert bridge.at["2026-10", "bridged"] == 100.0


def test_the_account_bridge_counts_joined_and_left_beside_and_not_inside(two_months):
    bridge = revenue.account_bridge(two_months).set_index("period")
    columns = [
        "customers_start",
        "new",
        "reactivation",
        "churn",
        "joined_and_left",
        "customers_end",
    ]
    assert bridge.loc["2026-09", columns].tolist() == [5, 1, 1, 2, 1, 5]
    assert bridge.loc["2026-10", columns].tolist() == [5, 0, 0, 1, 0, 4]


def test_cents_that_floats_cannot_hold_still_chain():
    rows = [row("2026-09", f"a{i}", 0, 0.1, "new") for i in range(3)]
    rows += [row("2026-10", f"a{i}", 0.1, 0.2, "expansion") for i in range(3)]
    bridge = revenue.bridge(ledger(*rows))
    assert bridge["mrr_end"].tolist() == [0.3, 0.6]
    assert bridge["mrr_start"].tolist() == [0.0, 0.3]


def test_a_month_without_any_customer_is_a_row_of_zeros():
    rows = ledger(row("2026-07", "a", 10, 0, "churn"), row("2026-09", "a", 0, 10, "reactivation"))
    bridge = revenue.bridge(rows)
    assert bridge["period"].tolist() == ["2026-07", "2026-08", "2026-09"]
    assert bridge.loc[1, ["mrr_start", "churn", "mrr_end"]].tolist() == [0.0, 0.0, 0.0]


def test_a_movement_that_leads_nowhere_is_refused_by_name():
    broken = ledger(row("2026-10", "a", 100, 50, "retained"))
    with pytest.raises(ValueError, match=r"do not lead from start to end: 2026-10 \(off by 50\)"):
        revenue.bridge(broken)
    uncounted = ledger(row("2026-10", "a", 100, 0, "retained"))
    with pytest.raises(ValueError, match="accounts that moved"):
        revenue.account_bridge(uncounted)


def test_a_month_that_starts_elsewhere_than_the_last_one_ended_is_refused():
    rows = ledger(row("2026-09", "a", 0, 100, "new"), row("2026-10", "a", 90, 90, "retained"))
    with pytest.raises(ValueError, match="MRR at start is not the MRR that ended: 2026-10"):
        revenue.bridge(rows)


def test_no_customer_at_start_has_no_rate_and_says_so():
    first = ledger(*many("2026-10", 12, 0, 10, "new", "a"))
    table = revenue.headline(first, "2026-10", 0.95).set_index("name")
    for name in ("account_churn_rate", "gross_account_churn_rate", "net_revenue_retention"):
        assert np.isnan(table.at[name, "estimate"])
        assert table.at[name, "state"] == "not_available"
    assert table.at["quick_ratio", "note"] == "no losses"
    assert table.at["mrr_end", "estimate"] == 120


def test_an_empty_ledger_still_makes_every_headline():
    table = revenue.headline(ledger(), "2026-10", 0.95)
    assert len(table) == 13
    assert set(table.loc[table["estimate"].isna(), "state"]) == {"not_available"}
    assert revenue.bridge(ledger()).empty


def test_fewer_than_ten_customers_are_told_as_k_of_n():
    few = ledger(
        *many("2026-10", 7, 10, 10, "retained", "a"), *many("2026-10", 2, 10, 0, "churn", "b")
    )
    told = revenue.headline(few, "2026-10", 0.95).set_index("name").loc["gross_account_churn_rate"]
    assert np.isnan(told["estimate"])
    assert (told["n"], told["state"], told["note"]) == (9, "not_available", "2 of 9 customers lost")
    bench = revenue.definitions(few, NO_SPELLS, "2026-10")
    assert np.isnan(value_of(bench, "starters_lost"))


def test_sums_of_the_books_and_their_ratios_are_said_of_few_customers_too():
    few = ledger(
        *many("2026-10", 7, 10, 10, "retained", "a"), *many("2026-10", 2, 10, 0, "churn", "b")
    )
    told = revenue.headline(few, "2026-10", 0.95).set_index("name")
    assert told.at["account_churn_rate", "estimate"] == pytest.approx(2 / 9)
    assert told.at["net_revenue_retention", "estimate"] == pytest.approx(7 / 9)
    assert np.isnan(told.at["net_revenue_retention", "ci_low"])
    bench = revenue.definitions(few, NO_SPELLS, "2026-10")
    assert value_of(bench, "source_formula") == pytest.approx(2 / 9)


def test_a_few_giants_withhold_the_interval_and_never_the_value():
    rows = [row("2026-10", "giant", 10000, 9000, "contraction")]
    rows += many("2026-10", 40, 10, 10, "retained", "small")
    told = (
        revenue.headline(ledger(*rows), "2026-10", 0.95)
        .set_index("name")
        .loc["net_revenue_retention"]
    )
    assert told["estimate"] == pytest.approx(9400 / 10400)
    assert np.isnan(told["ci_low"])
    assert told["state"] == "fragile"
    assert told["note"].startswith("interval withheld; effective sample size 1")


def test_a_month_in_which_nobody_pays_less_claims_no_certainty():
    rows = many("2026-10", 60, 10, 10, "retained", "a")
    told = revenue.headline(ledger(*rows), "2026-10", 0.95).set_index("name")
    for name in ("gross_mrr_churn_rate", "gross_revenue_retention", "net_revenue_retention"):
        assert told.at[name, "estimate"] in (0.0, 1.0)
        assert told.loc[name, ["ci_low", "ci_high"]].isna().all()
        assert told.at[name, "note"].startswith("no interval: accounts agree")
    alone = revenue.headline(ledger(rows[0]), "2026-10", 0.95)
    assert not alone["note"].str.contains("nan").any()


def test_a_retention_of_all_but_everything_keeps_its_interval_below_one():
    rows = many("2026-10", 199, 10, 10, "retained", "a") + many(
        "2026-10", 1, 10, 9, "contraction", "b"
    )
    told = revenue.headline(ledger(*rows), "2026-10", 0.95).set_index("name")
    assert told.at["gross_revenue_retention", "ci_high"] == 1.0
    assert told.at["gross_mrr_churn_rate", "ci_low"] == 0.0
    assert told.at["gross_account_churn_rate", "ci_high"] > 0


def year_of(accounts, start="2025-11", n=12, **changes):
    """The same accounts in every month; `changes` maps a period to {account: (end, movement)}."""
    rows, now = [], dict(accounts)
    for month in pd.period_range(start, periods=n, freq="M").astype(str):
        changed = changes.get(month.replace("-", "_"), {})
        for account, first in list(now.items()):
            last, movement = changed.get(account, (first, "retained"))
            if first or last:
                rows.append(row(month, account, first, last, movement))
            now[account] = last
    return ledger(*rows)


def test_twelve_months_compare_two_snapshots_and_are_no_product_of_months():
    accounts = {f"a{i}": 10 for i in range(12)}
    rows = year_of(
        accounts,
        **{
            "2026_03": {"a0": (0, "churn"), "a1": (0, "churn")},
            "2026_05": {"a1": (30, "reactivation"), "a2": (25, "expansion")},
        },
    )
    told = revenue.headline(rows, "2026-10", 0.95).set_index("name")
    assert told.at["net_revenue_retention_12_months", "estimate"] == pytest.approx(145 / 120)
    assert told.at["gross_revenue_retention_12_months", "estimate"] == pytest.approx(110 / 120)
    assert told.at["net_revenue_retention_12_months", "n"] == 12


def test_twelve_months_are_not_available_before_there_are_twelve():
    rows = year_of({f"a{i}": 10 for i in range(12)}, start="2025-12", n=11)
    told = revenue.headline(rows, "2026-10", 0.95).set_index("name")
    assert told.at["net_revenue_retention_12_months", "state"] == "not_available"


@pytest.mark.parametrize("month", ["2026-01", "2025-10"])  # within the year, and before it
def test_exchange_rates_do_not_move_twelve_month_retention(month):
    rows = year_of({f"a{i}": 100 for i in range(10)}, start="2025-10", n=13)
    revalued = rows.assign(fx=np.where(rows["period"] == month, 10.0, 0.0))
    later = revalued["period"] >= month
    revalued.loc[later, ["mrr_start", "mrr_end"]] = 110.0
    told = revenue.headline(revalued, "2026-10", 0.95).set_index("name")
    assert told.at["net_revenue_retention_12_months", "estimate"] == pytest.approx(1.0, abs=1e-12)


def test_the_month_before_and_the_year_before_come_from_the_same_ledger():
    accounts = {f"a{i}": 10 for i in range(20)}
    rows = year_of(
        accounts, start="2025-10", n=13,
        **{"2025_10": {"a0": (0, "churn")}, "2026_09": {"a1": (0, "churn"), "a2": (0, "churn")}},
    )  # fmt: skip
    told = revenue.headline(rows, "2026-10", 0.95).set_index("name").loc["gross_account_churn_rate"]
    assert told["estimate"] == 0
    assert told["previous"] == pytest.approx(2 / 19)
    assert told["year_ago"] == pytest.approx(1 / 20)


def test_a_provisional_month_is_compared_with_nothing():
    rows = year_of({f"a{i}": 10 for i in range(20)}, start="2025-10", n=13)
    rows = rows.assign(is_settled=rows["period"] < "2026-10")
    told = revenue.headline(rows, "2026-10", 0.95)
    assert told[["previous", "year_ago"]].isna().all(axis=None)
    assert set(told.loc[told["estimate"].notna(), "state"]) == {"provisional"}


def test_months_before_observation_began_are_left_out():
    rows = year_of({"a": 10}, start="2025-10", n=3)
    assert revenue.observed(rows, dt.date(2025, 11, 1))["period"].unique().tolist() == [
        "2025-11",
        "2025-12",
    ]
    assert revenue.observed(rows, dt.date(2025, 11, 2))["period"].unique().tolist() == ["2025-12"]
    assert len(revenue.observed(rows, None)) == len(rows)


def accounts_of(**first_paid):
    frame = pd.DataFrame(
        {
            "account_id": list(first_paid),
            "first_paid_date": pd.to_datetime(list(first_paid.values())),
        }
    )
    return frame.astype({"account_id": object}).assign(is_first_paid_known=True)


def test_a_cohort_keeps_its_first_month_leavers_and_counts_those_who_come_back():
    starts = {f"a{i}": "2026-07-10" for i in range(10)} | {
        "late": "2026-08-02",
        "early": "2026-06-30",
    }
    rows = [
        row("2026-07", "a0", 0, 0, "joined_and_left"),
        row("2026-07", "early", 10, 10, "retained"),
    ]
    rows += [row("2026-07", f"a{i}", 0, 10, "new") for i in range(1, 10)]
    rows += [row("2026-08", f"a{i}", 10, 10, "retained") for i in range(2, 10)]
    rows += [row("2026-08", "a1", 10, 0, "churn"), row("2026-08", "late", 0, 5, "new")]
    rows += [row("2026-09", f"a{i}", 10, 20, "expansion") for i in range(2, 10)]
    rows += [row("2026-09", "a1", 0, 10, "reactivation")]
    rows += [row("2026-10", "a2", 20, 20, "retained", is_settled=False)]
    table = revenue.cohorts(ledger(*rows), accounts_of(**starts), dt.date(2026, 7, 1), 0.95)
    july = table[table["cohort"] == "2026-07"].set_index("age_months")
    assert july["n_start"].tolist() == [10, 10, 10]
    assert july["n"].tolist() == [9, 8, 9]
    assert july["retained_share"].tolist() == [0.9, 0.8, 0.9]
    assert july["mrr_share"].round(6).tolist() == [1.0, round(80 / 90, 6), round(170 / 90, 6)]
    assert july.at[0, "ci_low"] == pytest.approx(0.5958499, abs=1e-6)  # Wilson, 9 of 10
    august = table[table["cohort"] == "2026-08"]
    assert august["age_months"].tolist() == [0, 1]  # never after the cut-off
    assert august["retained_share"].isna().all()  # one account is no rate
    assert "2026-06" not in set(table["cohort"])  # before observation began


def test_what_an_intake_kept_is_said_of_the_newest_that_was_watched_a_year_or_longest():
    table = pd.DataFrame(
        [("2025-01", 12, 0.8, 0.9), ("2025-02", 12, 0.7, 1.1), ("2025-02", 13, 0.6, 1.0),
         ("2025-03", 11, 0.9, 0.9), ("2025-03", 0, 1.0, 1.0)],
        columns=["cohort", "age_months", "retained_share", "mrr_share"],
    )  # fmt: skip
    assert revenue.say_cohort(table, "retained_share", "Customers", words) == (
        "Customers won in February 2025: 70.0 % still there 12 months later"
    )
    younger = table.iloc[3:]
    assert revenue.say_cohort(younger, "mrr_share", "MRR", words).endswith("11 months later")
    unwatched = table.assign(mrr_share=np.nan)
    assert revenue.say_cohort(unwatched, "mrr_share", "MRR", words) == (
        "No intake was watched long enough to say what it kept"
    )


def test_the_newest_layer_is_a_share_of_all_that_is_paid_now():
    table = pd.DataFrame(
        [("2026-09", "2026", 90.0), ("2026-10", "2025", 60.0), ("2026-10", "2026", 20.0),
         ("2026-10", "not known", 20.0)],
        columns=["period", "paid_since", "mrr"],
    )  # fmt: skip
    assert revenue.say_layer(table, words) == "Customers who first paid in 2026 pay 20.0 % of MRR"
    undated = table[table["paid_since"] == "not known"]
    assert revenue.say_layer(undated, words) == "No customer's first paid day is known"


def test_renewals_divide_by_those_who_could_leave():
    rows = many("2026-10", 8, 10, 10, "retained", "due", is_due_for_renewal=True)
    rows += many("2026-10", 2, 30, 0, "churn", "lost", is_due_for_renewal=True)
    rows += many("2026-10", 90, 10, 10, "retained", "bound")
    rows += many("2026-10", 5, 10, 0, "churn", "no terms", is_due_for_renewal=None)
    told = revenue.renewals(ledger(*rows), 0.95).iloc[0]
    assert (told["n_due"], told["n_lost"], told["n_not_due"]) == (10, 2, 90)
    assert told["n_not_due_lost"] == 0
    assert told["lost_share"] == 0.2
    assert told["mrr_lost_share"] == pytest.approx(60 / 140)


def returns_of(*rows):
    names = ["account_id", "lapse_date", "days_observed", "has_returned", "mrr_lost"]
    frame = pd.DataFrame(list(rows), columns=names)
    return frame.assign(
        lapse_date=pd.to_datetime(frame["lapse_date"]),
        has_returned=frame["has_returned"].astype(bool),
    )


def history(n_back, n_gone, day=10):
    back = [(f"b{i}", "2026-01-05", day, True, 10.0) for i in range(n_back)]
    return back + [(f"g{i}", "2026-01-05", 200, False, 10.0) for i in range(n_gone)]


def lost_in_october(days):
    rows = ledger(*[row("2026-10", f"x{i}", 10, 0, "churn") for i in range(len(days))])
    return rows, [(f"x{i}", "2026-10-20", d, False, 10.0) for i, d in enumerate(days)]


def test_a_lapse_that_waited_longer_is_likelier_to_stay_lost():
    rows, now = lost_in_october([5, 15, 30])
    told = revenue.stay_lost(
        rows, returns_of(*history(20, 60), *now), "2026-10", dt.date(2026, 9, 28), 30, 0.95
    ).iloc[0]
    # A quarter came back, all on day 10: S(30)/S(5) = 0.75, and 1 after day 10.
    assert told["expected"] == pytest.approx(2.75)
    assert told["n_pending"] == 2
    assert told["ci_low"] < 2.75 < told["ci_high"] == 3.0


def test_under_twenty_returns_only_the_two_bounds_are_given():
    rows, now = lost_in_october([5, 15, 30])
    told = revenue.stay_lost(
        rows, returns_of(*history(19, 60), *now), "2026-10", dt.date(2026, 9, 28), 30, 0.95
    ).iloc[0]
    assert np.isnan(told["expected"])
    assert (told["method"], told["ci_low"], told["ci_high"]) == ("bounds", 1.0, 3.0)


def test_a_settled_month_expects_what_it_counted():
    rows, now = lost_in_october([31, 45])
    told = revenue.stay_lost(
        rows, returns_of(*now), "2026-10", dt.date(2026, 12, 1), 30, 0.95
    ).iloc[0]
    assert (told["method"], told["expected"]) == ("settled", 2.0)


def test_reasons_show_the_unknown_share_last_and_count_every_loss():
    rows = ledger(
        *[row("2026-10", a, 10, 0, "churn", end_type="voluntary") for a in ("a", "b", "c")],
        row("2026-09", "d", 20, 0, "churn", end_type="involuntary"),
        row("2026-10", "e", 20, 10, "contraction"),
        row("2025-10", "old", 20, 0, "churn", end_type="voluntary"),
    )
    spells = spells_of(
        ("a", "2025-01-01", "2026-10-03", "voluntary", "price"),
        ("b", "2025-01-01", "2026-10-09", "voluntary", None),
        ("c", "2025-01-01", "2026-10-31", "voluntary", None),
        ("d", "2025-01-01", "2026-09-09", "involuntary", "price"),
        ("old", "2024-01-01", "2025-10-09", "voluntary", "price"),
    )
    table = revenue.reasons(rows, spells, "2026-10")
    assert table["reason"].tolist() == ["price", "unknown"]
    assert table["n"].tolist() == [2, 2]
    assert table["share"].tolist() == [0.5, 0.5]
    assert table["mrr_share"].tolist() == [0.6, 0.4]
    assert table["n_this_month"].tolist() == [1, 2]
    ends = revenue.end_types(rows, "2026-10")
    assert ends.set_index("end_type")["n"].to_dict() == {"voluntary": 3, "involuntary": 1}


def test_the_largest_losses_mix_leaving_and_shrinking():
    rows = ledger(
        row("2026-10", "shrinks", 500, 100, "contraction"),
        row("2026-10", "leaves", 300, 0, "churn", end_type="voluntary"),
        row("2026-10", "small", 100, 0, "churn"),
        row("2026-09", "earlier", 900, 0, "churn"),
    )
    spells = spells_of(
        ("leaves", "2025-01-01", "2026-10-03", "voluntary", "price"),
        ("shrinks", "2023-05-01", "2024-01-01", "voluntary", None),
        ("shrinks", "2024-06-01", None, None, None),
        ("shrinks", "2026-10-01", None, None, None),  # began in the month: not what it had before
    )
    table = revenue.largest_losses(rows, spells, "2026-10", 2)
    assert table["paid_since"].tolist() == [DAY("2024-06-01"), DAY("2025-01-01")]
    assert table["account_id"].tolist() == ["shrinks", "leaves"]
    assert table["mrr_lost"].tolist() == [400.0, 300.0]
    assert table["loss_share"].tolist() == [0.5, 0.375]
    assert table["end_reason"].tolist()[1] == "price"


def steady(n_months, lost, n=400, last_lost=None, last_settled=True):
    rows = []
    for position, month in enumerate(
        pd.period_range("2025-01", periods=n_months, freq="M").astype(str)
    ):
        is_last = position == n_months - 1
        gone = last_lost if is_last and last_lost is not None else lost[position % len(lost)]
        settled = last_settled or not is_last
        rows += many(month, n - gone, 10, 10, "retained", "s", is_settled=settled)
        rows += many(month, gone, 10, 0, "churn", "l", is_settled=settled)
        rows += many(month, 20 + position % 3, 0, 10, "new", "n", is_settled=settled)
    return ledger(*rows)


CHURN = ["gross_account_churn_rate"]


def test_a_month_of_common_noise_is_within_its_usual_range_and_a_disaster_is_not():
    calm = revenue.signals(revenue.usual_range(steady(14, [8, 11, 9, 12]), CHURN, 12)).iloc[0]
    bad = revenue.signals(
        revenue.usual_range(steady(14, [8, 11, 9, 12], last_lost=40), CHURN, 12)
    ).iloc[0]
    assert calm["verdict"] == "within"
    assert calm["period"] == "2026-02"
    assert bad["verdict"] == "above"


def test_too_few_settled_months_say_so_and_draw_no_limit():
    table = revenue.usual_range(steady(11, [8, 11, 9, 12]), CHURN, 12)
    assert table["centre"].isna().all()
    assert revenue.signals(table).iloc[0]["verdict"] == "too_few_months"


def test_a_provisional_month_never_signals_and_moves_no_limit():
    settled = steady(13, [8, 11, 9, 12])
    with_first_look = steady(14, [8, 11, 9, 12], last_lost=60, last_settled=False)
    table = revenue.usual_range(with_first_look, CHURN, 12)
    assert not table["is_signal"].any()
    assert revenue.signals(table).iloc[0]["period"] == "2026-01"
    before = revenue.usual_range(settled, CHURN, 12)
    assert table["upper"].iloc[:13].tolist() == pytest.approx(before["upper"].tolist())


def test_a_month_with_many_renewals_is_expected_to_lose_more():
    rows = []
    for position, month in enumerate(pd.period_range("2025-01", periods=14, freq="M").astype(str)):
        due = 200 if position % 4 == 3 else 20
        gone = due // 10
        rows += many(month, due - gone, 10, 10, "retained", "d", is_due_for_renewal=True)
        rows += many(month, gone, 10, 0, "churn", "l", is_due_for_renewal=True)
        rows += many(month, 400 - due, 10, 10, "retained", "b")
    table = revenue.usual_range(ledger(*rows), CHURN, 12)
    assert table["value"].tolist() == pytest.approx([1.0] * 14)


def test_all_three_charts_are_drawn_and_a_chart_nobody_knows_is_refused():
    charts = ["gross_account_churn_rate", "gross_mrr_churn_rate", "customers_new"]
    table = revenue.usual_range(steady(14, [8, 11, 9, 12]), charts, 12)
    assert table.groupby("chart").size().to_dict() == dict.fromkeys(charts, 14)
    new = table[table["chart"] == "customers_new"]
    assert new["value"].iloc[:3].tolist() == [20.0, 21.0, 22.0]
    mrr = table[table["chart"] == "gross_mrr_churn_rate"]
    assert mrr["value"].iloc[0] == pytest.approx(8 / 400)
    with pytest.raises(ValueError, match="No chart rainfall"):
        revenue.usual_range(steady(1, [1]), ["rainfall"], 12)


def test_mix_and_rate_add_up_to_the_change_and_tell_a_shift_from_a_worsening():
    accounts = pd.DataFrame(
        {
            "account_id": [f"{g}{i}" for g in "sb" for i in range(200)],
            "segment": ["small"] * 200 + ["big"] * 200,
        }
    )

    def month(period, small, big):
        rows = many(period, small - small // 10, 10, 10, "retained", "s")
        rows += [row(period, f"s{199 - i}", 10, 0, "churn") for i in range(small // 10)]
        rows += many(period, big - big // 50, 10, 10, "retained", "b")
        return rows + [row(period, f"b{199 - i}", 10, 0, "churn") for i in range(big // 50)]

    table = revenue.mix_rate(
        ledger(*month("2026-09", 50, 150), *month("2026-10", 150, 50)), accounts, "segment"
    )
    churn = table[table["measure"] == "gross_account_churn_rate"].set_index("level")
    assert churn.at["all", "rate_before"] == pytest.approx(8 / 200)
    assert churn.at["all", "rate_now"] == pytest.approx(16 / 200)
    assert churn.at["all", "mix"] == pytest.approx(8 / 200)
    assert churn.at["all", "rate"] == pytest.approx(0, abs=1e-15)
    for _, rows in table.groupby("measure"):
        whole = rows[rows["level"] == "all"].iloc[0]
        assert whole["change"] == pytest.approx(whole["rate_now"] - whole["rate_before"], abs=1e-15)
        assert rows.loc[rows["level"] != "all", "change"].sum() == pytest.approx(whole["change"])


def test_a_level_that_is_new_this_month_enters_the_mix_only():
    accounts = pd.DataFrame({"account_id": ["a", "b"], "segment": ["old", None]})
    rows = ledger(row("2026-09", "a", 10, 10, "retained"), row("2026-10", "a", 10, 10, "retained"),
                  row("2026-10", "b", 10, 0, "churn"))  # fmt: skip
    table = revenue.mix_rate(rows, accounts, "segment")
    fresh = table[
        (table["level"] == "not recorded") & (table["measure"] == "gross_account_churn_rate")
    ].iloc[0]
    assert (fresh["mix"], fresh["rate"]) == (0.5, 0.0)
    assert np.isnan(fresh["rate_now"])  # one account is no rate


def test_mix_and_rate_wait_for_two_settled_months():
    rows = ledger(
        row("2026-09", "a", 10, 10, "retained"),
        row("2026-10", "a", 10, 10, "retained", is_settled=False),
    )
    assert revenue.mix_rate(rows, accounts_of(a="2026-01-01").assign(segment="x"), "segment").empty


def test_annualising_ten_percent_a_month_is_no_hundred_and_twenty():
    assert round(100 * annualised(0.10), 2) == 71.76
    assert round(100 * annualised(0.10, 365 / 30), 2) == 72.25


def test_customers_settle_where_as_many_leave_as_enter():
    table = revenue.arithmetic(steady(12, [10])).set_index("quantity")["value"]
    assert table["monthly_account_churn"] == 10 / 400
    assert table["entries_per_month"] == 21.0
    assert table["steady_state_customers"] == pytest.approx(21 / (10 / 400))


def left_limit_ledger(subscriptions, starts):
    """A second, slower derivation: MRR of each account at each left limit, no grace."""
    rows = []
    for first, last in itertools.pairwise(starts):
        for account, terms in subscriptions.groupby("account_id"):
            at = [
                terms.loc[
                    (terms["start_date"] < t)
                    & (terms["end_date"].isna() | (terms["end_date"] >= t)),
                    "mrr",
                ].sum()
                for t in (first, last)
            ]
            paid_before = ((terms["start_date"] < first) & (terms["mrr"] > 0)).any()
            inside = (
                (terms["start_date"] >= first) & (terms["start_date"] < last) & (terms["mrr"] > 0)
            ).any()
            if not (any(at) or inside):
                continue
            rows.append(row(str(first.to_period("M")), account, *at, moved(*at, paid_before)))
    return ledger(*rows)


def moved(start, end, paid_before):
    if start == 0:
        return "joined_and_left" if end == 0 else "reactivation" if paid_before else "new"
    if end == 0:
        return "churn"
    return "retained" if end == start else "expansion" if end > start else "contraction"


@pytest.fixture(scope="module")
def reference_ledger():
    path = REFERENCE / "data" / "ledger_subscriptions.csv"
    if not path.is_file():
        pytest.skip("shared reference numbers are not here")
    subscriptions = pd.read_csv(path, parse_dates=["start_date", "end_date"])
    return left_limit_ledger(subscriptions, [DAY(f"2025-0{m}-01") for m in (1, 2, 3, 4)])


def test_the_bridges_agree_with_r_on_the_fourteen_account_ledger(reference_ledger):
    expected = pd.read_csv(REFERENCE / "ledger.csv")
    expected = expected[(expected["case_id"] == "ledger_g0")].iloc[:3].reset_index(drop=True)
    bridge = revenue.bridge(reference_ledger)
    names = {"mrr_start": "mrr_open", "new": "mrr_new", "expansion": "mrr_expansion",
             "reactivation": "mrr_reactivation", "contraction": "mrr_contraction",
             "churn": "mrr_churn", "mrr_end": "mrr_close"}  # fmt: skip
    for ours, theirs in names.items():
        assert bridge[ours].tolist() == expected[theirs].tolist(), ours
    accounts = revenue.account_bridge(reference_ledger)
    names = {"customers_start": "customers_open", "new": "customers_new",
             "reactivation": "customers_reactivated", "churn": "customers_churned",
             "joined_and_left": "within_period_only",
             "customers_end": "customers_close"}  # fmt: skip
    for ours, theirs in names.items():
        assert accounts[ours].tolist() == expected[theirs].tolist(), ours


def test_the_rates_agree_with_r_where_ten_customers_make_a_rate(reference_ledger):
    expected = pd.read_csv(REFERENCE / "ledger.csv").iloc[0]
    ours = rates(reference_ledger).loc["2025-01"]
    names = {"account_churn_rate": "net_account_churn_brief",
             "revenue_churn_rate": "net_revenue_churn_brief",
             "gross_account_churn_rate": "logo_churn_gross",
             "gross_mrr_churn_rate": "revenue_churn_gross",
             "gross_revenue_retention": "grr", "net_revenue_retention": "nrr",
             "quick_ratio": "quick_ratio"}  # fmt: skip
    for name, theirs in names.items():
        assert ours[name] == pytest.approx(expected[theirs], rel=1e-12), name


def test_the_waterfall_leads_from_start_to_end_and_shows_currency_only_where_it_moved(two_months):
    bridges = revenue.bridge(two_months)
    steps = revenue.steps(bridges, "2026-09")
    sign = steps["kind"].map({"up": 1, "down": -1, "total": 0})
    whole = steps.set_index("step")["mrr"]
    assert whole["mrr_start"] + (sign * steps["mrr"]).sum() == whole["mrr_end"]
    assert steps.set_index("step").at["fx", "kind"] == "up"
    assert revenue.steps(bridges, "2026-10").set_index("step").at["fx", "kind"] == "down"
    plain = revenue.bridge(ledger(row("2026-09", "a", 1, 1, "retained")))
    assert "fx" not in set(revenue.steps(plain, "2026-09")["step"])


def test_who_joined_and_left_flowed_in_and_out(two_months):
    settled = revenue.months(two_months)["is_settled"]
    flows = revenue.flows(revenue.account_bridge(two_months), settled).set_index(["period", "flow"])
    assert flows.at[("2026-09", "in"), "n"] == 3
    assert flows.at[("2026-09", "out"), "n"] == 3
    assert not flows["is_provisional"].any()


def test_layers_add_up_to_the_mrr_at_the_end(two_months):
    accounts = accounts_of(
        same="2024-05-01", more="2025-02-01", less="2025-07-01", fresh="2026-09-04"
    )
    layers = revenue.layers(two_months, accounts)
    september = layers[layers["period"] == "2026-09"].set_index("paid_since")
    assert september["mrr"].to_dict() == {
        "2024": 100.0,
        "2025": 192.0,
        "2026": 40.0,
        "not known": 70.0,
    }
    assert september["n"].sum() == 5


def test_the_first_look_says_how_many_are_expected_to_stay_lost():
    rows, now = lost_in_october([5, 15, 30])
    rows = pd.concat([rows, ledger(*many("2026-10", 40, 10, 10, "retained", "s"))]).assign(
        is_settled=False
    )
    told = revenue.stay_lost(
        rows, returns_of(*history(20, 60), *now), "2026-10", dt.date(2026, 9, 28), 30, 0.95
    )
    note = revenue.headline(rows, "2026-10", 0.95, told).set_index("name")["note"]
    assert note["gross_account_churn_rate"] == "3 of 43; 3 expected to stay lost (2 to 3)"
    assert "stay lost" not in note["account_churn_rate"]


def test_the_movements_alone_end_in_their_net_change(two_months):
    moves = revenue.net_steps(revenue.steps(revenue.bridge(two_months), "2026-09"))
    assert moves["step"].tolist()[-1] == "net_change"
    assert moves["mrr"].tolist()[-1] == 401.5 - 450.0
    assert "total" not in set(moves["kind"].iloc[:-1])


def test_a_company_without_customers_has_tables_without_rows():
    nothing, nobody = ledger(), accounts_of().assign(segment=None)
    nobody = nobody.assign(is_first_paid_known=nobody["is_first_paid_known"].astype(bool))
    charts = revenue.usual_range(nothing, ["gross_account_churn_rate", "customers_new"], 12)
    bridges = revenue.account_bridge(nothing)
    for table in (
        charts,
        revenue.signals(charts),
        bridges,
        revenue.flows(bridges, revenue.months(nothing)["is_settled"]),
        revenue.cohorts(nothing, nobody, None, 0.95),
        revenue.layers(nothing, nobody),
        revenue.renewals(nothing, 0.95),
        revenue.reasons(nothing, NO_SPELLS, "2026-10"),
        revenue.end_types(nothing, "2026-10"),
        revenue.largest_losses(nothing, NO_SPELLS, "2026-10"),
        revenue.mix_rate(nothing, nobody, "segment"),
        revenue.retention_history(nothing),
    ):
        assert table.empty
    assert revenue.arithmetic(nothing)["value"].isna().all()
    assert (
        revenue.stay_lost(nothing, returns_of(), "2026-10", dt.date(2026, 9, 28), 30, 0.95).at[
            0, "n_lost"
        ]
        == 0
    )


def test_a_mix_by_nobody_knows_is_refused_and_one_nobody_recorded_is_empty():
    accounts = accounts_of(a="2026-01-01").assign(segment=None)
    rows = ledger(row("2026-09", "a", 1, 1, "retained"), row("2026-10", "a", 1, 1, "retained"))
    assert revenue.mix_rate(rows, accounts, "segment").empty
    with pytest.raises(ValueError, match=r"revenue\.mix_by names 'colour'"):
        revenue.mix_rate(rows, accounts, "colour")


def test_limits_stand_still_for_a_year_and_a_drift_does_not_carry_them_along():
    calm = [8, 11, 9, 12]
    drifting = steady(12, calm)
    later = []
    for position, month in enumerate(pd.period_range("2026-01", periods=10, freq="M").astype(str)):
        gone = 12 + position
        later += many(month, 400 - gone, 10, 10, "retained", "s")
        later += many(month, gone, 10, 0, "churn", "l")
    whole = pd.concat([drifting, ledger(*later)], ignore_index=True)
    table = revenue.usual_range(whole, CHURN, 12)
    assert table["is_baseline"].tolist() == [True] * 12 + [False] * 10
    assert table["centre"].iloc[-1] == pytest.approx(table["centre"].iloc[0])
    assert revenue.signals(table).iloc[0]["verdict"] in ("above", "run")
    # Had the whole past set the limits, the centre would have risen with the drift.
    before = revenue.usual_range(whole[whole["period"] < "2026-05"], CHURN, 12)
    assert before["upper"].iloc[0] == pytest.approx(table["upper"].iloc[0])


def test_payments_that_fail_are_charted_apart():
    rows = []
    for position, month in enumerate(pd.period_range("2025-01", periods=14, freq="M").astype(str)):
        failed = 3 + position % 3 if position < 13 else 40
        rows += many(month, 390 - failed, 10, 10, "retained", "s")
        rows += many(month, failed, 10, 0, "churn", "f", end_type="involuntary")
        rows += many(month, 10, 10, 0, "churn", "v", end_type="voluntary")
    table = revenue.usual_range(ledger(*rows), [revenue.INVOLUNTARY], 12)
    assert table["value"].iloc[0] == pytest.approx(100 * 3 / 400)
    assert revenue.signals(table).iloc[0]["verdict"] == "above"


def test_survivors_of_an_intake_are_those_who_never_left():
    rows = ledger(
        *many("2026-01", 10, 0, 10, "new", "a"),
        *many("2026-02", 8, 10, 10, "retained", "a"),
        row("2026-02", "a8", 10, 0, "churn"),
        row("2026-02", "a9", 10, 0, "churn"),
        *many("2026-03", 8, 10, 10, "retained", "a"),
        row("2026-03", "a9", 0, 10, "reactivation"),
    )
    accounts = pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(10)],
            "first_paid_date": DAY("2026-01-05"),
            "is_first_paid_known": True,
        }
    )
    table = revenue.cohorts(rows, accounts, None, 0.95)
    assert table["n"].tolist() == [10, 8, 9]
    assert table["n_survivors"].tolist() == [10, 8, 8]
    assert table["survivor_share"].tolist() == [1.0, 0.8, 0.8]


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="shared reference numbers are not here")
@pytest.mark.parametrize("grace_days", [0, 30])
def test_cohorts_and_ratios_through_the_stages_agree_with_r(tmp_path, grace_days):
    rows = pd.read_csv(REFERENCE / "data" / "ledger_subscriptions.csv", dtype=str)
    names = ["subscription_id", "account_id", "start_date", "end_date", "mrr"]
    files = {
        "accounts.csv": hand.accounts_of(*rows["account_id"].unique(), signed="2024-10-01"),
        "subscriptions.csv": rows[names].to_csv(index=False),
    }
    company = hand.write_company(
        tmp_path, files, periods=["2025-03"], extract_date="2025-12-31", grace_days=grace_days
    ).run()
    book, accounts = (company.table("2025-03", name) for name in ("mrr_ledger", "accounts"))
    cells = revenue.cohorts(book, accounts, None, 0.95).set_index(["cohort", "age_months"])
    expected = pd.read_csv(REFERENCE / "cohort.csv")
    expected = (
        expected[expected["grace_days"] == grace_days].set_index(["cohort", "k"]).sort_index()
    )
    both = cells.index.intersection(expected.index)
    assert len(both) == len(expected) == 20
    for ours, theirs in {"n_start": "cohort_size", "n": "active", "mrr": "mrr"}.items():
        assert cells.loc[both, ours].tolist() == expected.loc[both, theirs].tolist(), ours
    if grace_days:
        return
    errors = pd.read_csv(REFERENCE / "ledger_ratio_se.csv")
    wanted = errors[(errors["period_end"] == "2025-02-01") & (errors["measure"] == "nrr")].iloc[0]
    month = book[(book["period"] == "2025-01") & (book["mrr_start"] > 0)]
    found = linearised_ratio(month["mrr_end"], month["mrr_start"])
    assert (found.estimate, found.std_err) == pytest.approx(
        (wanted["ratio"], wanted["se_linearised"]), rel=1e-8
    )


def test_a_bridge_in_words_names_each_step_and_its_way():
    moves = pd.DataFrame(
        {"step": ["new", "churn", "net_change"], "mrr": [50.0, 20.0, 30.0],
         "kind": ["up", "down", "total"]}
    )  # fmt: skip
    assert revenue.say_bridge(moves, "USD", words) == "new USD 50 in and churn USD 20 out"
