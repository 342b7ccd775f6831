"""What the annex asks of revenue: other choices, and the usual shortcuts."""

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.analysis.choices import LEDGER_COLUMNS, SPECIFICATION_COLUMNS
from pipeline.analysis.revenue.contrast import compared, starters
from tests.analysis.books import books, random_books

RATE = "gross_account_churn_rate"
TERMS = revenue.Terms(0.8, 0.1)


def notices(made, lead=1):
    """The state of notice at each month's start: given `lead` months before the lapse."""
    rows = made.ledger[made.ledger["mrr_start"] > 0][["period", "account_id"]]
    lapse = made.spells.set_index("account_id")["lapse_date"].dt.to_period("M")
    ahead = pd.PeriodIndex(rows["period"], freq="M") + lead
    return rows.assign(is_in_notice=np.asarray(ahead > lapse.reindex(rows["account_id"])))


def specifications(made, measure=RATE, ledger=None, lead=1):
    ledger = made.ledger if ledger is None else ledger
    return revenue.specifications(
        made.spells, made.returns, ledger, notices(made, lead), made.accounts, made.as_of,
        made.as_of, 30, measure, "segment", 0.95,
    )  # fmt: skip


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(3)
    kinds = rng.choice(["voluntary", "involuntary", "completed", "administrative"], 1200)
    one = random_books(21, n=1200)
    kinds = kinds[: len(one.spells)]
    gone = one.spells["lapse_date"].notna()
    spells = one.spells.assign(end_type=pd.Series(kinds).where(gone, None))
    kind = one.ledger["account_id"].map(spells.set_index("account_id")["end_type"])
    ledger = one.ledger.assign(end_type=kind.where(one.ledger["movement"] == "churn", None))
    return type(one)(spells, ledger, one.accounts, one.returns, one.as_of, one.observation_start)


def test_the_first_specification_is_the_primary_one_and_each_row_changes_one_choice(made):
    table = specifications(made)
    assert list(SPECIFICATION_COLUMNS) == [c for c in SPECIFICATION_COLUMNS if c in table]
    assert table["is_primary"].tolist() == [True] + [False] * (len(table) - 1)
    primary = revenue.contrast(made.ledger, made.accounts, RATE, "segment", 0.95)
    for name in ("estimate", "ci_low", "ci_high", "unit", "n", "n_events"):
        assert table[name].iloc[0] == primary[name]
    assert set(table["contrast"]) == {primary["name"]}
    assert table["specification"].iloc[0].startswith("Primary: ")
    assert table["specification"].str.len().max() < 45
    assert table["choice"].unique().tolist() == [
        "primary", "grace", "event", "mix", "sample", "measure", "interval",
    ]  # fmt: skip
    assert table["specification"].is_unique
    assert table["estimate"].notna().all()


def test_an_exit_that_is_no_event_is_counted_nowhere(made):
    table = specifications(made).set_index("specification")
    rows = starters(made.ledger, made.accounts, "segment")
    lost = rows[(rows["is_lost"] > 0) & (rows["period"] >= "2024-11")]
    for kind in ("completed", "administrative", "involuntary"):
        left = table.at[f"without {kind} exits", "n_events"]
        assert left == (lost["end_type"] != kind).sum()


def test_no_gap_anywhere_makes_every_grace_the_same_where_its_months_are(made):
    table = specifications(made).set_index("specification")
    assert table.at["0 days", "estimate"] == table["estimate"].iloc[0]
    rows = starters(made.ledger, made.accounts, "segment")
    earlier = compared(rows[rows["period"] <= "2026-08"], RATE, 0.95)
    assert table.at["60 days", "estimate"] == pytest.approx(earlier.difference.estimate)
    assert table.at["60 days", "note"] == "to 2026-08"


def test_a_notice_given_the_month_before_moves_the_loss_one_month_ahead(made):
    table = specifications(made, lead=1).set_index("specification")
    late = specifications(made, lead=0).set_index("specification")
    name = "dated on notice"
    assert late.at[name, "n_events"] == late["n_events"].iloc[0]
    # Lost from December 2024 on: in notice a month before, unless they were no customer yet.
    rows = starters(made.ledger, made.accounts, "segment")
    lost = rows[(rows["is_lost"] > 0) & (rows["period"] >= "2024-12")]
    months = rows.groupby("account_id")["n"].sum().reindex(lost["account_id"])
    assert table.at[name, "n_events"] == (months > 1).sum()


def test_too_short_books_leave_every_specification_blank_with_its_reason():
    short = random_books(22, n_months=20)
    table = specifications(short)
    assert table["estimate"].isna().all()
    assert table["note"].str.contains("24 in a row are needed").all()


def test_each_shortcut_stands_beside_the_number_it_is_taken_for(made):
    long = random_books(23, n=1500, n_months=60)
    table = revenue.bias_ledger(
        long.spells, long.ledger, long.accounts, "2028-10", long.as_of, long.as_of,
        long.observation_start, TERMS, 0.95, 5,
    )  # fmt: skip
    assert table.columns.tolist() == LEDGER_COLUMNS
    assert table["right_estimate"].notna().all()
    rows = table.set_index("shortcut")
    lifetimes = rows[rows["unit"] == "currency per account"]
    assert len(lifetimes) == 3
    head = revenue.headline(long.ledger, "2028-10", 0.95).set_index("name")["estimate"]
    net = rows.loc["customers at start less customers at end, over start"]
    assert net["wrong_estimate"] == head["account_churn_rate"]
    assert net["right_estimate"] == head["gross_account_churn_rate"]
    year = rows.loc["product of twelve monthly net retentions"]
    assert year["right_estimate"] == head["net_revenue_retention_12_months"]
    assert year["wrong_estimate"] != year["right_estimate"]


def test_the_mean_of_ragged_rows_is_far_from_the_curve_when_intakes_are_young():
    # Everybody leaves at a constant rate; most intakes were seen for a few months only.
    young = random_books(24, n=3000, n_months=14, hazard=0.06)
    table = revenue.bias_ledger(
        young.spells, young.ledger, young.accounts, "2024-12", young.as_of, young.as_of,
        young.observation_start, TERMS, 0.95, 5,
    ).set_index("shortcut")  # fmt: skip
    row = table.loc["mean of the newest cells of the cohort table"]
    assert row["wrong_estimate"] > row["right_ci_high"] + 0.1


def test_a_cell_where_nobody_left_has_a_wald_interval_without_width():
    still = books([0] * 40, [999] * 40, [10.0] * 40)
    row = revenue.bias_ledger(
        still.spells, still.ledger, still.accounts, "2026-10", still.as_of, still.as_of,
        still.observation_start, TERMS, 0.95, 5,
    ).set_index("shortcut").loc["width of Wald's interval in the smallest cell"]  # fmt: skip
    assert row["wrong_estimate"] == 0.0
    assert row["right_estimate"] == pytest.approx(0.0876, abs=1e-3)
