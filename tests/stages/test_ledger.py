"""Month marks and movements: R's ledger to the cent, and every branch by hand."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.data.reading import DataError
from tests.stages.company import accounts_of, write_company

REFERENCE = Path(__file__).parents[2].parent / "shared" / "reference"
HEADER = "subscription_id,account_id,start_date,end_date,mrr,currency,end_type\n"
MOVEMENT_COUNTS = {
    "new": "customers_new",
    "reactivation": "customers_reactivated",
    "churn": "customers_churned",
    "joined_and_left": "within_period_only",
}


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the folder shared is not there")
@pytest.mark.parametrize("grace", [0, 30])
def test_three_months_of_movements_equal_the_ledger_computed_in_r(tmp_path, grace):
    rows = pd.read_csv(REFERENCE / "data" / "ledger_subscriptions.csv", dtype=str)
    columns = ["subscription_id", "account_id", "start_date", "end_date", "mrr"]
    company = write_company(
        tmp_path,
        {
            "accounts.csv": accounts_of(*rows["account_id"].unique(), signed="2024-09-01"),
            "subscriptions.csv": rows[columns].to_csv(index=False),
        },
        periods=["2025-03"],
        extract_date="2025-12-31",
        grace_days=grace,
    ).run()
    book = company.table("2025-03", "mrr_ledger")
    expected = pd.read_csv(REFERENCE / "ledger.csv", dtype={"period_start": str})
    expected = expected[expected["case_id"] == f"ledger_g{grace}"].head(3)
    for row in expected.to_dict("records"):
        month = book[book["period"] == row["period_start"][:7]]
        assert month["mrr_start"].sum() == row["mrr_open"]
        assert month["mrr_end"].sum() == row["mrr_close"]
        counts = month["movement"].value_counts()
        for movement, column in MOVEMENT_COUNTS.items():
            assert counts.get(movement, 0) == row[column], (row["period_start"], movement)
        change = (month["mrr_end"] - month["mrr_start"]).groupby(month["movement"]).sum()
        for movement in ("new", "reactivation", "expansion", "contraction", "churn"):
            assert abs(change.get(movement, 0)) == row[f"mrr_{movement}"]


def ledger(tmp_path, rows, period="2025-03", **params):
    params = {"extract_date": "2025-12-31", "periods": [period]} | params
    names = sorted({row.split(",")[1] for row in rows})
    files = {"accounts.csv": accounts_of(*names), "subscriptions.csv": HEADER + "\n".join(rows)}
    book = write_company(tmp_path, files, **params).run().table(period, "mrr_ledger")
    columns = ["period", "account_id", "mrr_start", "mrr_end", "fx", "movement", "mrr_bridged"]
    return [tuple(row) for row in book[columns].itertuples(index=False)]


def test_what_takes_effect_on_the_first_belongs_to_the_month_that_begins(tmp_path):
    rows = ["S1,A,2025-02-01,2025-03-01,100,,", "S2,B,2025-01-15,2025-02-28,50,,"]
    assert ledger(tmp_path, rows) == [
        ("2025-01", "B", 0, 50, 0, "new", 0),
        ("2025-02", "A", 0, 100, 0, "new", 0),
        ("2025-02", "B", 50, 0, 0, "churn", 0),
        ("2025-03", "A", 100, 0, 0, "churn", 0),
    ]


def test_in_a_gap_within_the_grace_the_old_mrr_counts_as_bridged(tmp_path):
    rows = ["S1,A,2025-01-15,2025-02-20,100,,", "S2,A,2025-03-10,,120,,"]
    assert ledger(tmp_path, rows) == [
        ("2025-01", "A", 0, 100, 0, "new", 0),
        ("2025-02", "A", 100, 100, 0, "retained", 100),
        ("2025-03", "A", 100, 120, 0, "expansion", 0),
    ]


def test_a_return_in_the_next_month_bridges_a_lapse_of_a_closed_month(tmp_path):
    rows = ["S1,A,2025-01-15,2025-03-20,100,,", "S2,A,2025-04-10,,80,,"]
    assert ledger(tmp_path, rows)[-1] == ("2025-03", "A", 100, 100, 0, "retained", 100)


def test_before_the_return_is_known_a_provisional_month_counts_the_lapse_as_lost(tmp_path):
    rows = ["S1,A,2025-01-15,2025-03-20,100,,", "S2,A,2025-04-10,,80,,"]
    found = ledger(tmp_path, rows, extract_date="2025-04-05")
    assert found[-1] == ("2025-03", "A", 100, 0, 0, "churn", 0)


def test_an_account_that_joins_and_leaves_within_a_month_stands_in_the_ledger_once(tmp_path):
    rows = ["S1,A,2025-03-03,2025-03-20,70,,", "S2,B,2025-01-01,,10,,"]
    assert ("2025-03", "A", 0, 0, 0, "joined_and_left", 0) in ledger(tmp_path, rows)


RATES = {"EUR": {"2025-01": 1.0, "2025-02": 1.1, "2025-03": 1.2}}


def test_a_foreign_currency_moves_by_fx_alone_when_its_price_stands_still(tmp_path):
    rows = ["S1,A,2025-01-15,,100,EUR,", "S2,B,2025-01-15,,100,,"]
    assert ledger(tmp_path, rows, fx=RATES) == [
        ("2025-01", "A", 0, 100, 0, "new", 0),
        ("2025-01", "B", 0, 100, 0, "new", 0),
        ("2025-02", "A", 110, 110, 10, "retained", 0),
        ("2025-02", "B", 100, 100, 0, "retained", 0),
        ("2025-03", "A", 120, 120, 10, "retained", 0),
        ("2025-03", "B", 100, 100, 0, "retained", 0),
    ]


def test_a_month_is_not_moved_by_the_next_month_s_rate(tmp_path):
    rows = ["S1,A,2025-01-15,,100,EUR,"]
    later = {"EUR": RATES["EUR"] | {"2025-04": 9.9}}
    assert ledger(tmp_path / "with", rows, fx=later) == ledger(tmp_path / "less", rows, fx=RATES)


def test_a_converted_amount_is_rounded_as_written_decimals_are(tmp_path):
    """0.50 at 1.0815 is 0.54075: half away from zero, where binary fractions fall below."""
    rows = ["S1,A,2025-01-15,,0.50,EUR,"]
    rates = {"EUR": {month: 1.0815 for month in RATES["EUR"]}}
    assert round(ledger(tmp_path, rows, fx=rates)[-1][2], 6) == 0.5408


def test_what_a_lapse_cost_is_in_the_company_s_currency(tmp_path):
    rows = ["S1,A,2025-01-15,2025-02-20,100,EUR,", "S2,A,2025-03-10,,120,EUR,"]
    rows += ["S3,B,2025-01-15,2025-03-20,100,EUR,"]
    company = write_company(
        tmp_path,
        {
            "accounts.csv": accounts_of("A", "B"),
            "subscriptions.csv": HEADER + "\n".join(rows),
        },
        periods=["2025-03"],
        extract_date="2025-12-31",
        fx=RATES,
    ).run()
    book = company.table("2025-03", "mrr_ledger").set_index(["period", "account_id"])
    assert book.loc[("2025-02", "A"), ["mrr_end", "mrr_bridged"]].tolist() == [110, 110]
    assert company.table("2025-03", "spells")["mrr_lost"].dropna().tolist() == [120]


def test_a_month_without_a_rate_stops_the_run(tmp_path):
    rows = ["S1,A,2025-01-15,,100,EUR,"]
    with pytest.raises(DataError, match="no rate for EUR in 2025-03"):
        ledger(tmp_path, rows, fx={"EUR": {"2025-01": 1.0, "2025-02": 1.1, "2025-04": 1.2}})


def test_a_currency_without_rates_stops_the_run_and_names_the_row(tmp_path):
    with pytest.raises(DataError, match=r"subscriptions.csv line 3: EUR"):
        ledger(tmp_path, ["S1,A,2025-01-15,,100,,", "S2,B,2025-01-15,,100,EUR,"])
