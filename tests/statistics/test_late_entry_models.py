"""Models of subjects that enter late, tied and clustered: R's answers stand in tests/oracles."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from pipeline.statistics import grouped_hazard
from pipeline.statistics.censored_prediction import concordance
from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.influence import robust_covariance, score_residuals
from pipeline.statistics.log_rank import log_rank
from pipeline.statistics.proportional_hazards import breslow_baseline
from tests.statistics.oracle import OWN, at_times, late_subjects

NEWTON = {"precision": 1e-12, "r_precision": 1e-14}


def answers(quantity: str) -> pd.DataFrame:
    stored = pd.read_csv(OWN / "late_models.csv", dtype={"term": str})
    return stored[stored["quantity"] == quantity].set_index("term")


def accounts() -> pd.DataFrame:
    late = late_subjects()
    return late.assign(event=(late["cause"] > 0) * 1, account=np.arange(len(late)) // 3)


def stratified_fit() -> tuple[pd.DataFrame, CoxPHFitter]:
    rows = accounts()
    columns = ["entry", "exit", "event", "x", "z", "stratum"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = CoxPHFitter().fit(
            rows[columns], "exit", "event", entry_col="entry", strata=["stratum"],
            fit_options=NEWTON,
        )  # fmt: skip
    return rows, fitter


@pytest.mark.parametrize("term", ["plain", "strata"])
def test_the_log_rank_test_with_entry_strata_and_ties_equals_r(term):
    rows = accounts()
    strata = rows["stratum"] if term == "strata" else None
    found = log_rank(rows["exit"], rows["event"], rows["group"], rows["entry"], strata)
    assert found.statistic == pytest.approx(answers("log_rank").loc[term, "value"], rel=1e-8)


def test_a_stratified_cox_model_with_entry_equals_r_with_plain_and_clustered_errors():
    rows, fitter = stratified_fit()
    np.testing.assert_allclose(fitter.params_, answers("cox")["value"], rtol=1e-6)
    np.testing.assert_allclose(fitter.standard_errors_, answers("cox_se")["value"], rtol=1e-6)
    score = score_residuals(
        rows["exit"], rows["event"], rows[["x", "z"]].to_numpy(), fitter.params_,
        rows["entry"], rows["stratum"],
    )  # fmt: skip
    cov = fitter.variance_matrix_.to_numpy()
    moved = np.column_stack([answers(f"dfbeta_{name}")["value"] for name in ("x", "z")])
    np.testing.assert_allclose(score @ cov, moved, atol=1e-7)
    robust = np.sqrt(np.diag(robust_covariance(score, cov, rows["account"])))
    np.testing.assert_allclose(robust, answers("cox_robust_se")["value"], rtol=1e-6)
    c = concordance(
        rows["exit"], rows["event"], rows[["x", "z"]] @ fitter.params_, rows["entry"],
        rows["stratum"],
    )  # fmt: skip
    assert c == pytest.approx(answers("cox_concordance")["value"].iloc[0], rel=1e-8)


def test_a_baseline_with_entry_under_ties_equals_r():
    rows, coefficients = accounts(), answers("one")["value"]
    score = rows[["x", "z"]] @ coefficients
    times, baseline = breslow_baseline(rows["exit"], rows["event"], rows["entry"], score)
    for profile, covariates in (("1", [0.0, 0.0]), ("2", [0.5, 1.0])):
        expected = answers("breslow").loc[profile]
        held = np.searchsorted(times, expected["time"], side="right") - 1
        hazard = baseline[held] * np.exp(covariates @ coefficients.to_numpy())
        np.testing.assert_allclose(hazard, expected["value"], rtol=1e-8)


def test_a_grouped_time_model_of_late_accounts_equals_r_with_plain_and_clustered_errors():
    rows = accounts()
    lived = (rows["exit"] - rows["entry"]).astype(int)
    months = rows.loc[rows.index.repeat(lived)].reset_index(drop=True)
    months["end"] = np.concatenate(
        [np.arange(a + 1, b + 1) for a, b in zip(rows["entry"], rows["exit"], strict=True)]
    )
    left = (months["end"] == months["exit"]) & (months["event"] == 1)
    band = pd.get_dummies(pd.cut(months["end"], [0, 2, 4, 8, 100]), dtype=float)
    band.columns = [f"band {k}" for k in range(4)]
    design = pd.concat([band, months[["x", "z"]].astype(float)], axis=1)
    assert len(design) == answers("grouped_rows")["value"].iloc[0]
    plain = grouped_hazard.fit(left * 1, design, None)
    robust = grouped_hazard.fit(left * 1, design, months["account"])
    np.testing.assert_allclose(plain.params, answers("grouped")["value"], rtol=1e-6)
    for found, name in ((plain, "grouped_se"), (robust, "grouped_robust_se")):
        errors = np.sqrt(np.diag(found.cov))
        np.testing.assert_allclose(errors, answers(name)["value"], rtol=1e-6)
    # R's package sandwich takes the expected information; the difference is small.
    np.testing.assert_allclose(errors, answers("grouped_expected_se")["value"], rtol=0.01)


def test_incidences_by_group_with_tied_causes_equal_those_of_cmprsk():
    stored = pd.read_csv(OWN / "competing_groups.csv")
    incidences = stored[stored["quantity"] == "incidence"]
    late = late_subjects()
    for (group, cause), expected in incidences.groupby(["group", "cause"]):
        mine = late[late["group"] == int(group)]
        curves = aalen_johansen(mine["exit"], mine["cause"])
        found = at_times(curves[curves["cause"] == cause], expected["time"])
        np.testing.assert_allclose(found["estimate"], expected["value"], rtol=1e-8)
        # cmprsk's variance is another formula for the same thing.
        np.testing.assert_allclose(found["std_err"] ** 2, expected["variance"], rtol=0.15)
