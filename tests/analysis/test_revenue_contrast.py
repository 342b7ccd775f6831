"""The primary contrast of revenue, its trend, and what it rests on."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.checks import stopped_by
from pipeline.analysis.revenue.contrast import compared, starters
from pipeline.statistics import bootstrap
from tests.analysis.books import FIRST, books, random_books

RATE = "gross_account_churn_rate"


def test_the_contrast_is_the_newest_settled_year_less_the_one_before_at_one_mix():
    made = random_books(1, n=1500)
    found = revenue.contrast(made.ledger, made.accounts, RATE, "segment", 0.95)
    rows = starters(made.ledger, made.accounts, "segment")
    rows = rows[rows["period"] >= "2024-11"]
    rates = rows.groupby(["level", rows["period"] > "2025-10"])["is_lost"].mean().unstack()
    mix = rows["level"].value_counts(normalize=True)
    assert found["estimate"] == pytest.approx(((rates[True] - rates[False]) * mix).sum())
    assert (found["unit"], found["null"]) == ("difference of shares", 0.0)
    assert found["name"] == f"{RATE}, year on year"
    assert found["n_events"] == int(rows["is_lost"].sum())
    assert found["n"] == rows["account_id"].nunique()
    assert "to 2026-10 less the 12 to 2025-10" in found["statement"]
    assert stopped_by(found["checks"]) == ""


def test_books_without_change_have_no_difference_and_a_rising_hazard_is_seen():
    still = revenue.contrast(*ledger_of(random_books(2, n=3000)), RATE, "segment", 0.95)
    assert still["ci_low"] < 0 < still["ci_high"]
    # From month 24 on everybody leaves twice as fast.
    made = random_books(2, n=3000)
    rng = np.random.default_rng(2)
    starts = rng.integers(-6, 36, 4000)
    slow, fast = rng.geometric(0.02, 4000), rng.geometric(0.04, 4000)
    lapses = np.where(starts + slow < 24, starts + slow, np.maximum(starts, 24) + fast)
    seen = lapses > 0
    worse = books(starts[seen], lapses[seen], np.full(seen.sum(), 10.0))
    found = revenue.contrast(worse.ledger, worse.accounts, RATE, "segment", 0.95)
    assert found["ci_low"] > 0
    assert found["estimate"] == pytest.approx(0.02, abs=0.005)
    assert made.as_of == dt.date(2026, 10, 31)


def ledger_of(made):
    return made.ledger, made.accounts


def test_a_mix_that_moves_is_no_difference_and_unstandardised_it_looks_like_one():
    # `small` leaves ten times as often, and in the second year there are five times as many.
    rng = np.random.default_rng(4)
    starts = np.concatenate([np.zeros(2000, int), np.full(400, 0), np.full(2500, 24)])
    level = np.array(["large"] * 2000 + ["small"] * 2900)
    lives = rng.geometric(np.where(level == "large", 0.005, 0.05))
    made = books(starts, starts + lives, np.full(4900, 10.0), level)
    rows = starters(made.ledger, made.accounts, "segment")
    held = compared(rows, RATE, 0.95).difference
    moving = compared(rows.assign(level="all"), RATE, 0.95).difference
    assert held.ci_low < 0 < held.ci_high
    assert moving.ci_low > 0.005


def test_twenty_three_settled_months_are_too_few_and_the_reason_stands_in_place_of_the_number():
    made = random_books(5, n_months=23)
    found = revenue.contrast(made.ledger, made.accounts, RATE, "segment", 0.95)
    assert np.isnan(found["estimate"])
    assert stopped_by(found["checks"]) == "23 settled months; 24 in a row are needed"
    empty = revenue.contrast(made.ledger.iloc[:0], made.accounts, RATE, "segment", 0.95)
    assert np.isnan(empty["estimate"])


def test_a_provisional_month_is_in_neither_year():
    made = random_books(6, n_months=26)
    first_look = made.ledger.assign(is_settled=made.ledger["period"] < "2025-11")
    found = revenue.contrast(first_look, made.accounts, RATE, "segment", 0.95)
    assert "to 2025-10 less the 12 to 2024-10" in found["statement"]


def test_months_that_share_a_shock_widen_the_interval_and_fail_the_check():
    made = random_books(7, n=2500)
    calm = compared(starters(made.ledger, made.accounts, "segment"), RATE, 0.95)
    rows = starters(made.ledger, made.accounts, "segment")
    is_bad = rows["period"].isin([str(FIRST + k) for k in (14, 20, 26, 32)])
    rng = np.random.default_rng(8)
    shocked = rows.assign(
        is_lost=np.where(is_bad, (rng.random(len(rows)) < 0.15).astype(float), rows["is_lost"])
    )
    found = compared(shocked, RATE, 0.95)
    assert calm.spread_low < 1
    assert found.spread_low > 1.2
    assert found.difference.std_err > 2 * calm.difference.std_err


def test_lost_revenue_is_compared_out_of_revenue():
    made = random_books(9, n=1500)
    found = revenue.contrast(made.ledger, made.accounts, "gross_mrr_churn_rate", "segment", 0.95)
    rows = starters(made.ledger, made.accounts, "segment")
    rows = rows[rows["period"] >= "2024-11"].assign(now=lambda r: r["period"] > "2025-10")
    sums = rows.groupby(["level", "now"])[["mrr_lost", "mrr_start"]].sum()
    rates = (sums["mrr_lost"] / sums["mrr_start"]).unstack()
    mix = rows.groupby("level")["mrr_start"].sum() / rows["mrr_start"].sum()
    assert found["estimate"] == pytest.approx(((rates[True] - rates[False]) * mix).sum())


def test_one_giant_account_leaves_the_year_on_year_change_of_revenue_without_limits():
    made = random_books(12)
    months = made.ledger.groupby("account_id").size()
    is_giant = made.ledger["account_id"] == months.idxmax()
    scale = np.where(is_giant, 1e6, 1.0)
    money = {name: made.ledger[name] * scale for name in ("mrr_start", "mrr_end")}
    ledger = made.ledger.assign(**money)
    found = revenue.contrast(ledger, made.accounts, "gross_mrr_churn_rate", "segment", 0.95)
    assert np.isfinite(found["estimate"])
    assert np.isnan([found["ci_low"], found["ci_high"], found["p_value"]]).all()
    told = compared(starters(ledger, made.accounts, "segment"), "gross_mrr_churn_rate", 0.95)
    assert told.note == "interval withheld: effective sample size 1"


def test_standardised_churn_is_the_crude_one_where_the_mix_stands_still():
    made = books(
        [0] * 200, np.r_[np.arange(100) % 30 + 1, np.full(100, 99)], [10.0] * 200, n_months=31
    )
    table = revenue.standardised(made.ledger, made.accounts, "segment", 0.95)
    # The first month has nobody at its start, so there is no row of it.
    assert table["period"].tolist() == [str(FIRST + k) for k in range(1, 31)]
    assert table["standardised"].tolist() == pytest.approx(table["crude"].tolist())
    assert (table["ci_low"] <= table["standardised"]).all()
    assert (table["standardised"] <= table["ci_high"]).all()


def test_before_a_settled_month_began_with_a_customer_there_is_no_standardised_churn():
    made = books([0] * 20, [9] * 20, [10.0] * 20, n_months=1)
    table = revenue.standardised(made.ledger, made.accounts, "segment", 0.95)
    assert table.empty
    assert {"period", "crude", "standardised"} <= set(table.columns)
    assert revenue.trend(
        made.ledger, pd.DataFrame(), made.accounts, "segment", made.as_of, 0.95
    ).empty


def test_lapses_are_counted_against_days_at_risk_with_those_that_joined_in_the_month():
    spells = pd.DataFrame(
        {
            "start_date": pd.to_datetime(["2023-01-01", "2026-10-11", "2026-10-02", "2026-01-01"]),
            "lapse_date": pd.to_datetime([None, None, "2026-10-12", "2026-10-01"]),
            "entry_days": [304, 0, 0, 0],
        }
    )
    made = random_books(10)
    table = revenue.trend(
        made.ledger, spells, made.accounts, "segment", made.as_of, 0.95
    ).set_index("quantity")
    # 31 days, 21 days, 10 days, none: two lapses (one on the first day of the month).
    month = table.loc["lapses_per_1000_account_days_month"]
    assert month["n_events"] == 2
    assert month["estimate"] == pytest.approx(2 / 0.062)
    assert month["note"].startswith("62 account-days")


def test_the_trend_is_a_ratio_per_year_at_one_mix_with_the_spread_beside_it():
    made = random_books(14, n=4000)
    table = revenue.trend(
        made.ledger, made.spells, made.accounts, "segment", made.as_of, 0.95
    ).set_index("quantity")
    slope, spread = table.loc["yearly_ratio_at_one_mix"], table.loc["dispersion_of_months"]
    assert slope["ci_low"] < 1 < slope["ci_high"]
    assert 0.5 < spread["estimate"] < 1.8
    year = table.loc["churn_on_the_year_before"]
    rates = revenue.standardised(made.ledger, made.accounts, "segment", 0.95).set_index("period")
    moved = rates.at["2026-10", "crude"] - rates.at["2025-10", "crude"]
    assert year["estimate"] == pytest.approx(100 * moved)
    blank = revenue.trend(
        made.ledger.iloc[:0], made.spells, made.accounts, "segment", made.as_of, 0.95
    )
    assert blank.empty


def test_the_books_add_up_and_a_movement_that_hides_something_stops_the_headline():
    made = random_books(12)
    good = revenue.headline_checks(made.ledger, made.accounts, "2026-10", "segment")
    assert all(not stopped_by(checks) for checks in good.values())
    assert set(good) >= {"mrr_end", "gross_account_churn_rate", "net_revenue_retention_12_months"}
    rows = made.ledger.copy()
    at = rows.index[(rows["period"] == "2026-10") & (rows["movement"] == "retained")][0]
    rows.loc[at, "mrr_end"] += 0.01
    bad = revenue.headline_checks(rows, made.accounts, "2026-10", "segment")
    assert stopped_by(bad["mrr_end"]) == "bridge does not add up: off by 0.01"
    assert stopped_by(bad["customers_end"]) == ""
    alone = revenue.headline_checks(made.ledger, made.accounts.iloc[:5], "2026-10", "segment")
    assert "segments to the total" in stopped_by(alone["gross_account_churn_rate"])


def test_few_losses_and_a_giant_leave_a_headline_without_support():
    calm = books([0] * 40, [999] * 38 + [35] * 2, [10.0] * 39 + [9000.0])
    found = revenue.headline_checks(calm.ledger, calm.accounts, "2026-10", "segment")
    failed = {name: [c.name for c in checks if not c.passed] for name, checks in found.items()}
    assert failed["gross_account_churn_rate"] == ["enough events"]
    assert failed["net_revenue_retention"] == ["effective sample size"]
    assert failed["mrr_end"] == []


def test_the_largest_accounts_hold_the_share_that_can_be_counted():
    made = books([0] * 100, [999] * 100, [100.0] * 5 + [10.0] * 95)
    table = revenue.concentration(made.ledger, "2026-10").set_index("largest")
    assert table.at["5 accounts", "share_of_mrr"] == pytest.approx(500 / 1450)
    assert table.at["top 50%", "share_of_mrr"] == pytest.approx(950 / 1450)
    assert table["n"].tolist() == [5, 1, 5, 10, 20, 50]
    few = books([0] * 9, [999] * 9, [1.0] * 9)
    assert revenue.concentration(few.ledger, "2026-10").empty


def test_drawing_accounts_again_agrees_with_the_linearised_interval():
    made = random_books(13, n=2500)
    table = revenue.intervals(made.ledger, "2026-10", 0.95, 7)
    wide = table.pivot(index="measure", columns="method", values=["ci_low", "ci_high"])
    name = "gross_revenue_retention_12_months"
    assert wide.at[name, ("ci_low", "bootstrap")] == pytest.approx(
        wide.at[name, ("ci_low", "linearised")], abs=0.01
    )
    net = table[table["measure"] == "account_churn_rate"].iloc[0]
    head = revenue.headline(made.ledger, "2026-10", 0.95).set_index("name")
    assert net["estimate"] == head.at["account_churn_rate", "estimate"]
    assert net["ci_low"] < net["estimate"] < net["ci_high"]
    giant = books([0] * 40, [999] * 40, [10.0] * 39 + [90000.0])
    withheld = revenue.intervals(giant.ledger, "2026-10", 0.95, 7).set_index("measure")
    assert withheld.loc["net_revenue_retention", "ci_low"].isna().all()
    assert withheld.loc["net_revenue_retention", "note"].eq("interval withheld").all()


def test_accounts_drawn_in_small_blocks_give_the_same_interval(monkeypatch):
    ledger = random_books(13, n=300).ledger
    whole = revenue.intervals(ledger, "2026-10", 0.95, 7)
    monkeypatch.setattr(bootstrap, "MOST_COUNTS", 1_000)
    pd.testing.assert_frame_equal(revenue.intervals(ledger, "2026-10", 0.95, 7), whole)
