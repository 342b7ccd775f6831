"""The reference ledger, from raw rows through the stages to the tables of the revenue chapter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import revenue
from pipeline.statistics.ratios import linearised_ratio
from tests.stages.company import Company, accounts_of, write_company

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="no reference numbers in ../shared/reference"
)
LAST = "2025-03"


@pytest.fixture(scope="module", params=[0, 30])
def company(request, tmp_path_factory) -> tuple[int, Company]:
    rows = pd.read_csv(REFERENCE / "data" / "ledger_subscriptions.csv", dtype=str)
    columns = ["subscription_id", "account_id", "start_date", "end_date", "mrr"]
    files = {
        "accounts.csv": accounts_of(*rows["account_id"].unique(), signed="2024-09-20"),
        "subscriptions.csv": rows[columns].to_csv(index=False),
    }
    root = tmp_path_factory.mktemp(f"grace{request.param}")
    params = {"periods": [LAST], "extract_date": "2025-12-31", "grace_days": request.param}
    return request.param, write_company(root, files, **params).run()


@needs_reference
def test_every_cohort_and_age_has_the_accounts_and_the_money_of_r(company):
    grace, built = company
    expected = pd.read_csv(REFERENCE / "cohort.csv", dtype={"cohort": str})
    expected = expected[expected["case_id"] == f"cohort_g{grace}"].set_index(["cohort", "k"])
    book, accounts = (built.table(LAST, name) for name in ("mrr_ledger", "accounts"))
    found = revenue.cohorts(book, accounts, None, 0.95).set_index(["cohort", "age_months"])
    found = found.loc[expected.index]
    assert found["n_start"].tolist() == expected["cohort_size"].tolist()
    assert found["n"].tolist() == expected["active"].tolist()
    assert found["mrr"].tolist() == expected["mrr"].tolist()


@needs_reference
def test_the_quarter_as_a_whole_has_the_rates_of_r(company):
    grace, built = company
    expected = pd.read_csv(REFERENCE / "ledger.csv")
    expected = expected[expected["case_id"] == f"ledger_g{grace}"].iloc[3]
    book = built.table(LAST, "mrr_ledger")
    opened = book[book["period"] == "2025-01"].set_index("account_id")["mrr_start"]
    closed = book[book["period"] == LAST].set_index("account_id")["mrr_end"]
    start = opened[opened > 0]
    kept = closed.reindex(start.index).fillna(0.0)
    net = linearised_ratio(kept, start)
    gross = linearised_ratio(np.minimum(kept, start), start)
    assert net.estimate == pytest.approx(expected["nrr"], rel=1e-12)
    assert gross.estimate == pytest.approx(expected["grr"], rel=1e-12)
    assert (kept == 0).sum() == expected["customers_churned"]
    assert len(start) == expected["customers_open"]
    assert (closed > 0).sum() == expected["customers_close"]


def book_of(n_start: int, n_end: int, start: float, end: float) -> pd.DataFrame:
    """One month: so many customers at its start and end, the money spread evenly."""
    n = max(n_start, n_end)
    here, stays = np.arange(n) < n_start, np.arange(n) < n_end
    return pd.DataFrame(
        {"period": "2026-06", "account_id": [f"a{k:04d}" for k in range(n)],
         "mrr_start": np.where(here, start / n_start, 0.0),
         "mrr_end": np.where(stays, end / n_end, 0.0), "fx": 0.0, "mrr_bridged": 0.0,
         "is_settled": True, "is_observed": True, "end_type": None,
         "movement": np.where(stays, "expansion", "churn")}
    )  # fmt: skip


@needs_reference
def test_the_two_worked_examples_of_the_formula_come_out_as_in_r():
    customers, money = pd.read_csv(REFERENCE / "brief_formula.csv").itertuples()
    book = book_of(int(customers.day1), int(customers.day30), money.day1, money.day30)
    n_start, n_end = ((book[column] > 0).sum() for column in ("mrr_start", "mrr_end"))
    assert (n_start - n_end) / n_start == pytest.approx(customers.churn, rel=1e-12)
    sums = revenue.bridge(book).iloc[0]
    churn = (sums["mrr_start"] - sums["mrr_end"]) / sums["mrr_start"]
    assert churn == pytest.approx(money.churn, rel=1e-12)
    assert round(100 * churn, 1) == -10.9  # the source rounds to -11
