"""Fed as raw files, made-up spells come out of the published tables as R's numbers."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import survival
from tests.stages.company import write_company
from tests.statistics.oracle import OWN, late_answers, late_subjects

FIRST_DAY = dt.date(2022, 1, 1)
PERIOD = "2025-06"
END_TYPES = np.array(["administrative", "voluntary", "involuntary"])
Z = 1.959963984540054


def at_risk_from_raw(folder, rows: pd.DataFrame, strata: list[str]) -> pd.DataFrame:
    """The rows (entry, exit, cause 0, 1, 2 and the strata) written as exports and read again.

    An account of entry 30 has paid for 30 days when the observation begins. A censored one leaves
    by an administrative exit, on its own day.
    """
    ids = [f"a{number:04d}" for number in range(len(rows))]
    start = pd.Timestamp(FIRST_DAY) - pd.to_timedelta(rows["entry"].astype(int), unit="D")
    accounts = pd.DataFrame({"account_id": ids, "signed_up_date": start.dt.date} | {
        name: rows[name].to_numpy() for name in strata
    })  # fmt: skip
    subscriptions = pd.DataFrame(
        {"subscription_id": [f"s-{name}" for name in ids], "account_id": ids,
         "start_date": start.dt.date,
         "end_date": (start + pd.to_timedelta(rows["exit"].astype(int), unit="D")).dt.date,
         "mrr": "100.00", "currency": "USD", "end_type": END_TYPES[rows["cause"].astype(int)]}
    )  # fmt: skip
    company = write_company(
        folder,
        {"accounts.csv": accounts.to_csv(index=False),
         "subscriptions.csv": subscriptions.to_csv(index=False)},
        periods=[PERIOD], observation_start=FIRST_DAY.isoformat(), extract_date="2025-09-30",
    ).run()  # fmt: skip
    spells = company.table(PERIOD, "spells")
    return survival.spells_at_risk(spells, company.table(PERIOD, "accounts"), strata)


@pytest.fixture(scope="module")
def tied(tmp_path_factory) -> pd.DataFrame:
    return at_risk_from_raw(tmp_path_factory.mktemp("tied"), late_subjects(), [])


def test_curves_with_late_entry_are_those_of_r(tied):
    curves = survival.curves(tied, [], 0.95).set_index("time_days")
    answers = late_answers("km")
    published = {"estimate": "estimate", "ci_low": "ci_low", "ci_high": "ci_high",
                 "at_risk": "n_at_risk"}  # fmt: skip
    for term, column in published.items():
        expected = answers[answers["term"] == term].set_index("time")["value"]
        np.testing.assert_allclose(curves.loc[expected.index, column], expected, rtol=1e-8)


def test_incidence_with_late_entry_and_ties_between_causes_is_that_of_r(tied):
    incidence = survival.cumulative_incidence(tied, [], 0.95)
    answers = late_answers("cif")
    for term, cause in (("1", "voluntary"), ("2", "involuntary")):
        expected = answers[answers["term"] == term].set_index("time")["value"]
        own = incidence[incidence["cause"] == cause].set_index("time_days")["estimate"]
        np.testing.assert_allclose(own.loc[expected.index], expected, rtol=1e-8, atol=1e-12)


def test_the_stratified_log_rank_with_late_entry_is_that_of_r(tmp_path):
    late = late_subjects()
    # The test sees the order of the times only, so their ranks as days give the same numbers.
    times = np.unique(late[["entry_untied", "exit_untied"]].to_numpy())
    ranks = {
        side: np.searchsorted(times, late[f"{side}_untied"].to_numpy())
        for side in ("entry", "exit")
    }
    rows = late.assign(
        **ranks,
        segment=late["group"].map({0: "one", 1: "two", 2: "three"}),
        touch_model=late["stratum"].map({0: "high", 1: "low"}),
    )
    at_risk = at_risk_from_raw(tmp_path, rows, ["segment", "touch_model"])
    tests = survival.tests(at_risk, ["segment"], "touch_model").set_index("test")
    expected = late_answers("log_rank").set_index("term")["value"]
    assert tests.loc["log_rank", "statistic"] == pytest.approx(expected["plain"], rel=1e-6)
    assert tests.loc["log_rank_stratified", "statistic"] == pytest.approx(
        expected["strata"], rel=1e-6
    )


def test_cox_and_grouped_time_with_late_entry_are_those_of_r(tmp_path):
    spells = pd.read_csv(OWN / "survival_models_spells.csv")
    rows = spells.rename(columns={"entry_days": "entry", "duration_days": "exit", "event": "cause"})
    rows = rows.assign(segment=rows["size"], touch_model=rows["touch"])
    at_risk = at_risk_from_raw(tmp_path, rows, ["segment", "touch_model"])
    names = ["segment", "touch_model"]
    fits = [survival.cox(at_risk, names), survival.grouped_time(at_risk, names)]
    ratios = survival.hazard_ratios(fits, is_grouped=False).set_index(["model", "term", "level"])
    expected = pd.read_csv(OWN / "survival_models.csv").set_index(["model", "term"])
    for model in ("cox", "grouped"):
        for term, level in (("size", "large"), ("size", "small"), ("touch", "tech")):
            column = {"size": "segment", "touch": "touch_model"}[term]
            row, r = ratios.loc[(model, column, level)], expected.loc[(model, term + level)]
            assert np.log(row["hazard_ratio"]) == pytest.approx(r["coef"], rel=1e-6)
            error = np.log(row["ci_high"] / row["ci_low"]) / (2 * Z)
            assert error == pytest.approx(r["se"], rel=1e-6)
