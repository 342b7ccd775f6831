"""Does the Cox model that we call answer as R does? lifelines called as the chapters call it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.statistics import proportional_hazard_test
from statsmodels.duration.hazard_regression import PHReg

from pipeline.statistics.censored_prediction import concordance
from pipeline.statistics.influence import robust_covariance, score_residuals
from pipeline.statistics.proportional_hazards import breslow_baseline, survival_at
from tests.statistics.oracle import cases, needs_reference, subjects

NEWTON = {"precision": 1e-12, "r_precision": 1e-14}
TIED_SANDWICH = 3e-2
"""lifelines' sandwich under tied events is an approximation of R's."""


@dataclass(frozen=True)
class Case:
    data: str
    time: str
    event: str
    entry: str | None = None
    stratum: str | None = None
    cluster: str | None = None
    by_row: bool = False

    @property
    def is_robust(self) -> bool:
        return self.by_row or self.cluster is not None


LUNG = ("lung_complete_case", "time", "dead")
CASES = {
    "cox_lung_efron": Case(*LUNG),
    "cox_lung_cluster": Case(*LUNG, cluster="inst"),
    "cox_lung_robust": Case(*LUNG, by_row=True),
    "cox_rossi_efron": Case("rossi", "week", "arrest"),
    "cox_veteran": Case("veteran", "time", "status"),
    "cox_veteran_strat": Case("veteran", "time", "status", stratum="celltype"),
    "cox_mgus2_lefttrunc": Case("mgus2", "age_out", "death", entry="age_in"),
    "cox_heart_tv": Case("heart", "stop", "event", entry="start"),
    "cox_heart_tv_cluster": Case("heart", "stop", "event", entry="start", cluster="id"),
    "cox_bladder_ag": Case("bladder2", "stop", "event", entry="start", cluster="id"),
    "cox_bladder_pwp": Case("bladder2", "stop", "event", "start", "enum", "id"),
    "cox_bladder_pwp_gap": Case("bladder2", "gap", "event", None, "enum", "id"),
    "cox_mgus2_cs1": Case("mgus2", "etime", "pcm"),
    "cox_mgus2_cs2": Case("mgus2", "etime", "died"),
    "sim_cox": Case("sim_account_cycles", "cycle", "churned", entry="before"),
}
ROUNDED = {"cox_mgus2_lefttrunc": 1e-3}
"""R joins ages that differ by rounding only (its timefix); lifelines does not."""


def people_of(name: str) -> pd.DataFrame:
    people = subjects(name)
    if name == "bladder2":
        return people.assign(gap=people["stop"] - people["start"])
    if name == "mgus2":
        return people.assign(pcm=people["event"] == 1, died=people["event"] == 2)
    if name == "sim_account_cycles":
        known = subjects("sim_accounts").set_index("account_id")
        people = people.join(known[["segment", "touch", "null_cont", "null_bin"]], on="account_id")
        levels = {"MM": "segment", "ENT": "segment", "low": "touch", "high": "touch"}
        dummies = {level: (people[column] == level) * 1 for level, column in levels.items()}
        return people.assign(before=people["cycle"] - 1, **dummies)
    return people


def fitted(case_id: str, **options: object) -> tuple[Case, pd.DataFrame, list[str], CoxPHFitter]:
    """The fit of a case with model-based errors, unless the options ask for others."""
    case, terms = CASES[case_id], list(cases("cox_coef", case_id)["term"])
    people = people_of(case.data).dropna(subset=terms)
    people = people[people[case.time] > (people[case.entry] if case.entry else -1)]
    people = people.reset_index(drop=True)
    extra = [name for name in (case.entry, case.stratum, options.get("cluster_col")) if name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitter = CoxPHFitter().fit(
            people[[*terms, case.time, case.event, *extra]],
            case.time,
            case.event,
            entry_col=case.entry,
            strata=[case.stratum] if case.stratum else None,
            fit_options=NEWTON,
            **options,
        )
    return case, people, terms, fitter


def score_of(case: Case, people: pd.DataFrame, fitter: CoxPHFitter) -> np.ndarray:
    terms = list(fitter.params_.index)
    return score_residuals(
        people[case.time],
        people[case.event],
        people[terms].to_numpy(float),
        fitter.params_,
        people[case.entry] if case.entry else None,
        people[case.stratum] if case.stratum else None,
    )


def clustered(case: Case, people: pd.DataFrame, fitter: CoxPHFitter) -> np.ndarray:
    """Our clustered errors of a fit."""
    score = score_of(case, people, fitter)
    clusters = people[case.cluster] if case.cluster else np.arange(len(people))
    return np.sqrt(np.diag(robust_covariance(score, fitter.variance_matrix_.to_numpy(), clusters)))


@needs_reference
@pytest.mark.parametrize("case_id", list(CASES))
def test_coefficients_errors_likelihoods_and_concordance_equal_r(case_id):
    case, people, terms, fitter = fitted(case_id)
    expected = cases("cox_coef", case_id).set_index("term").loc[terms]
    fit = cases("cox_fit", case_id).iloc[0]
    rtol = ROUNDED.get(case_id, 1e-6)
    coefficients = fitter.params_.loc[terms]
    np.testing.assert_allclose(coefficients, expected["coef"], rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(fitter.standard_errors_.loc[terms], expected["se"], rtol=rtol)
    if case.is_robust:
        np.testing.assert_allclose(
            clustered(case, people, fitter), expected["robust_se"], rtol=1e-6
        )
    likelihood_ratio = fitter.log_likelihood_ratio_test().test_statistic
    ours = [fitter.log_likelihood_, likelihood_ratio, fitter.AIC_partial_]
    np.testing.assert_allclose(ours, [fit["loglik"], fit["lr"], fit["aic"]], rtol=rtol)
    assert len(people) == fit["n"]
    assert people[case.event].sum() == fit["nevent"]
    found = concordance(
        people[case.time],
        people[case.event],
        people[terms] @ expected["coef"],
        people[case.entry] if case.entry else None,
        people[case.stratum] if case.stratum else None,
    )
    assert found == pytest.approx(fit["concordance"], rel=max(rtol, 1e-6))


@needs_reference
@pytest.mark.parametrize("case_id", ["cox_lung_breslow", "cox_rossi_breslow"])
def test_with_breslow_ties_statsmodels_equals_r(case_id):
    data, time, event = {"lung": LUNG, "rossi": ("rossi", "week", "arrest")}[case_id.split("_")[1]]
    expected, fit = cases("cox_coef", case_id), cases("cox_fit", case_id).iloc[0]
    people = subjects(data)
    found = PHReg(people[time], people[list(expected["term"])], people[event], ties="breslow").fit()
    np.testing.assert_allclose(found.params, expected["coef"], rtol=1e-6)
    np.testing.assert_allclose(found.bse, expected["se"], rtol=1e-6)
    assert found.llf == pytest.approx(fit["loglik"], rel=1e-6)


@needs_reference
@pytest.mark.parametrize("case_id", ["cox_lung_efron", "cox_rossi_efron", "cox_veteran_strat"])
def test_with_efron_ties_statsmodels_agrees_with_r_too(case_id):
    case, expected = CASES[case_id], cases("cox_coef", case_id)
    people = subjects(case.data)
    strata = people[case.stratum].factorize()[0] if case.stratum else None
    found = PHReg(
        people[case.time], people[list(expected["term"])], people[case.event],
        strata=strata, ties="efron",
    ).fit()  # fmt: skip
    np.testing.assert_allclose(found.params, expected["coef"], rtol=1e-5)
    np.testing.assert_allclose(found.bse, expected["se"], rtol=1e-5)


@needs_reference
def test_the_efron_baseline_of_r_lies_between_the_breslow_baseline_and_3_percent():
    people, coefficients = subjects("rossi"), cases("cox_coef", "cox_rossi_efron")
    score = people[list(coefficients["term"])] @ coefficients["coef"].to_numpy()
    baseline = breslow_baseline(people["week"], people["arrest"], None, score)
    profiles = subjects("rossi_profiles")[list(coefficients["term"])]
    profiles = profiles @ coefficients["coef"].to_numpy()
    for row in cases("cox_predict", "pred_rossi_efron").itertuples():
        found = -np.log(survival_at(*baseline, profiles[row.profile - 1], row.time)[0, 0])
        assert row.cumhaz * 0.97 < found < row.cumhaz * (1 + 1e-9)  # Efron's steps are larger


@needs_reference
def test_linear_predictor_and_influence_equal_r_under_heavy_ties():
    case, people, terms, fitter = fitted("cox_rossi_efron")
    expected = cases("cox_residuals", "resid_rossi")
    score = people[terms] @ fitter.params_.loc[terms]
    np.testing.assert_allclose(score, expected["lp"], rtol=1e-5)
    shift = score_of(case, people, fitter) @ fitter.variance_matrix_.to_numpy()
    theirs = expected[[f"dfbeta_{term}" for term in fitter.params_.index]]
    np.testing.assert_allclose(shift, theirs, atol=1e-8)


@needs_reference
def test_martingale_and_deviance_residuals_are_rs_up_to_the_tied_baseline():
    case, people, _, fitter = fitted("cox_rossi_efron")
    expected = cases("cox_residuals", "resid_rossi")
    event = people[case.event].to_numpy()
    baseline = breslow_baseline(people[case.time], event, None, expected["lp"])
    followed = -np.log(survival_at(*baseline, 0.0, people[case.time])[0])
    residual = event - np.exp(expected["lp"]) * followed
    np.testing.assert_allclose(residual, expected["martingale"], atol=0.011)
    squared = -2 * (residual + event * np.log(np.where(event == 1, 1 - residual, 1.0)))
    np.testing.assert_allclose(
        np.sign(residual) * np.sqrt(squared), expected["deviance"], atol=0.09
    )
    rows = people[[*fitter.params_.index, case.time, case.event]]
    theirs = fitter.compute_residuals(rows, kind="martingale").sort_index()["martingale"]
    np.testing.assert_allclose(theirs, residual, atol=1e-4)


@needs_reference
def test_without_ties_the_score_residuals_are_those_of_statsmodels():
    _, people, terms, _ = fitted("cox_rossi_efron")
    untied = people["week"] + np.linspace(0, 0.9, len(people))
    model = PHReg(untied, people[terms], people["arrest"], ties="efron").fit()
    found = score_residuals(untied, people["arrest"], people[terms].to_numpy(float), model.params)
    np.testing.assert_allclose(found, model.score_residuals, atol=1e-8)


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "term", "ratio"),
    [("cox_bladder_ag", "rx", 0.79), ("cox_bladder_pwp", "size", 1.44)],
)
def test_clustered_errors_of_lifelines_forget_that_rows_enter_late(case_id, term, ratio):
    _, _, _, fitter = fitted(case_id, cluster_col="id")
    expected = cases("cox_coef", case_id).set_index("term")["robust_se"]
    assert fitter.standard_errors_[term] / expected[term] == pytest.approx(ratio, abs=0.01)


@needs_reference
def test_without_entry_clustered_errors_of_lifelines_are_near_those_of_r():
    for case_id, options in (
        ("cox_lung_cluster", {"cluster_col": "inst"}),
        ("cox_lung_robust", {"robust": True}),
        ("cox_bladder_pwp_gap", {"cluster_col": "id"}),
    ):
        _, _, terms, fitter = fitted(case_id, **options)
        expected = cases("cox_coef", case_id).set_index("term").loc[terms, "robust_se"]
        np.testing.assert_allclose(
            fitter.standard_errors_.loc[terms], expected, rtol=TIED_SANDWICH * 1.1
        )


@needs_reference
def test_schoenfeld_residuals_equal_r():
    _, people, terms, fitter = fitted("cox_rossi_efron")
    found = fitter.compute_residuals(
        people[[*terms, "week", "arrest"]], kind="schoenfeld"
    ).sort_index()
    expected = cases("cox_schoenfeld", "schoenfeld_rossi")
    weeks = people.loc[found.index, "week"].to_numpy()
    np.testing.assert_allclose(
        found[terms].groupby(weeks).sum(), expected.groupby("time")[terms].sum(), atol=1e-5
    )


@needs_reference
@pytest.mark.parametrize("transform", ["identity", "log"])
@pytest.mark.parametrize("data", ["rossi", "veteran"])
def test_lifelines_makes_the_old_test_of_proportional_hazards_and_not_the_score_test(
    data, transform
):
    _, people, terms, fitter = fitted({"rossi": "cox_rossi_efron"}.get(data, "cox_veteran"))
    case = CASES[{"rossi": "cox_rossi_efron"}.get(data, "cox_veteran")]
    rows = people[[*terms, case.time, case.event]]
    found = proportional_hazard_test(fitter, rows, time_transform=transform).summary
    classic = cases("cox_zph", f"zph_{data}_classic_{transform}").set_index("term")
    score = cases("cox_zph", f"zph_{data}_{transform}").set_index("term")
    statistic = found["test_statistic"].loc[terms]
    np.testing.assert_allclose(statistic, classic.loc[terms, "chisq"], rtol=1e-4)
    assert (np.abs(statistic / score.loc[terms, "chisq"] - 1) > 0.1).any()


@needs_reference
@pytest.mark.parametrize("transform", ["km", "rank"])
@pytest.mark.parametrize("data", ["rossi", "veteran"])
def test_the_old_test_and_the_score_test_of_r_differ_enough_to_matter(data, transform):
    classic = cases("cox_zph", f"zph_{data}_classic_{transform}").set_index("term")["chisq"]
    score = cases("cox_zph", f"zph_{data}_{transform}").set_index("term")["chisq"]
    assert (np.abs(classic / score - 1) > 0.1).any()


@needs_reference
def test_the_slope_of_the_linear_predictor_on_held_out_subjects_equals_r():
    people, lp = subjects("lung_split_test"), subjects("lung_split_test_predictions")["lp"]
    expected = cases("calibration_slope", "calslope_lung").iloc[0]
    rows = people[["time", "dead"]].assign(lp=lp)
    fitter = CoxPHFitter().fit(rows, "time", "dead", fit_options=NEWTON)
    assert fitter.params_["lp"] == pytest.approx(expected["slope"], rel=1e-6)
    assert fitter.standard_errors_["lp"] == pytest.approx(expected["slope_se"], rel=1e-6)
    train = subjects("lung_split_train")
    names = ["age", "sex", "ph.ecog", "wt.loss"]
    score = CoxPHFitter().fit(train[[*names, "time", "dead"]], "time", "dead", fit_options=NEWTON)
    own = train[names] @ score.params_[names]
    shift = np.median(people[names] @ score.params_[names] - lp)
    baseline = breslow_baseline(train["time"], train["dead"], None, own - shift)
    hazard = -np.log(survival_at(*baseline, 0.0, people["time"])[0]) * np.exp(lp)
    assert people["dead"].sum() == expected["observed"]
    # R's Efron baseline; ours is Breslow's.
    assert hazard.sum() == pytest.approx(expected["expected"], rel=2e-2)


@needs_reference
def test_ever_transplanted_as_if_known_at_the_start_is_as_wrong_as_in_r():
    people, expected = subjects("jasa"), cases("immortal_time", "immortal_naive")
    expected = expected.set_index("term")
    people = people.assign(time=people["futime"].where(people["futime"] > 0, 0.5))
    rows = people[["time", "fustat", *expected.index]]
    found = CoxPHFitter().fit(rows, "time", "fustat", fit_options=NEWTON)
    np.testing.assert_allclose(found.params_[expected.index], expected["coef"], rtol=1e-6)
    right = cases("immortal_time", "immortal_tv").set_index("term").loc["transplant", "hr"]
    assert found.hazard_ratios_["transplant"] < 0.2 < 0.9 < right
