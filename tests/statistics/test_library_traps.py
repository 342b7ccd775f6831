"""Traps of the libraries, kept as tests: each still bites, and our route around it is right.

A test that fails here after an upgrade is good news to read before the code is changed: the library
may have been repaired, and our own estimator may have become unnecessary.
"""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from importlib.metadata import requires

import lifelines
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
from lifelines.statistics import (
    difference_of_restricted_mean_survival_time_test,
    logrank_test,
)
from lifelines.utils import restricted_mean_survival_time
from packaging.requirements import Requirement
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import CumIncidenceRight, survdiff

from pipeline.statistics.censored_prediction import concordance
from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.influence import score_residuals
from pipeline.statistics.life_table import kaplan_meier
from pipeline.statistics.log_rank import log_rank
from pipeline.statistics.proportional_hazards import breslow_baseline, survival_at
from pipeline.statistics.restricted_mean import restricted_mean
from pipeline.statistics.risk_intervals import risk_intervals
from tests.statistics.oracle import (
    at_times,
    cases,
    late_answers,
    late_subjects,
    needs_reference,
    subjects,
)

BLOOD = ["male", "hgb", "creat"]


def late_patients() -> tuple[pd.DataFrame, CoxPHFitter]:
    people = subjects("mgus2").dropna(subset=BLOOD)
    people = people[people["age_out"] > people["age_in"]]
    rows = people[[*BLOOD, "age_in", "age_out", "death"]]
    return people, CoxPHFitter().fit(rows, "age_out", "death", entry_col="age_in")


@needs_reference
def test_t1_lifelines_predicts_as_if_nobody_had_entered_late_and_ours_does_not():
    people, fitter = late_patients()
    profiles = subjects("mgus2_profiles")
    expected = cases("cox_predict", "pred_mgus2_lefttrunc")
    expected = expected[expected["profile"] == 1].set_index("time")["surv"]
    theirs = fitter.predict_survival_function(profiles.iloc[[0]], times=[90.0]).iloc[0, 0]
    assert theirs > 3 * expected[90]
    score = people[BLOOD] @ fitter.params_[BLOOD]
    baseline = breslow_baseline(people["age_out"], people["death"], people["age_in"], score)
    ours = survival_at(*baseline, profiles[BLOOD] @ fitter.params_[BLOOD], [90.0])[0, 0]
    assert ours == pytest.approx(expected[90], rel=1e-3)


@needs_reference
def test_t2_lifelines_draws_a_line_between_two_events_and_ours_stays_on_the_step():
    people = subjects("rossi").query("week % 10 == 0")
    fitter = CoxPHFitter().fit(people[["week", "arrest", "prio"]], "week", "arrest")
    profile = pd.DataFrame({"prio": [1.0]})
    at_10, between, at_20 = fitter.predict_cumulative_hazard(profile, times=[10, 15, 20]).iloc[:, 0]
    assert between == pytest.approx((at_10 + at_20) / 2, rel=1e-6)
    score = people[["prio"]] @ fitter.params_
    baseline = breslow_baseline(people["week"], people["arrest"], None, score)
    hazard = -np.log(survival_at(*baseline, fitter.params_["prio"], [10, 15, 20]))[0]
    np.testing.assert_allclose(hazard, [at_10, at_10, at_20], rtol=1e-6)


@needs_reference
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_t3_the_variance_of_a_restricted_mean_in_lifelines_is_that_of_one_life():
    people = subjects("lung").query("sex == 1")
    fitted = KaplanMeierFitter().fit(people["time"], people["dead"])
    _, variance = restricted_mean_survival_time(fitted, t=365, return_variance=True)
    ours = restricted_mean(people["time"], people["dead"], None, 365)
    assert np.sqrt(variance) > 10 * ours.std_err
    assert difference_of_restricted_mean_survival_time_test(fitted, fitted, 365) is None


@needs_reference
def test_t4_lifelines_breaks_ties_between_causes_by_chance_and_ours_is_exact():
    people = subjects("mgus2")
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in (1, 2):
            fitter = AalenJohansenFitter(seed=seed)
            found.append(fitter.fit(people["etime"], people["event"], event_of_interest=1))
    first, second = (fit.cumulative_density_.iloc[-1, 0] for fit in found)
    assert first != second
    limits = found[0].confidence_interval_.iloc[len(found[0].confidence_interval_) // 2]
    assert limits.filter(like="upper").iloc[0] < limits.filter(like="lower").iloc[0]
    ours = [aalen_johansen(people["etime"], people["event"]) for _ in range(2)]
    pd.testing.assert_frame_equal(*ours)
    assert (ours[0]["ci_low"] < ours[0]["ci_high"]).all() or ours[0]["ci_low"].isna().any()


@needs_reference
def test_t5_score_residuals_of_lifelines_are_on_another_scale_and_ours_add_up_to_0():
    terms = list(cases("cox_coef", "cox_rossi_efron")["term"])
    people = subjects("rossi")
    rows = people[[*terms, "week", "arrest"]]
    fitter = CoxPHFitter().fit(rows, "week", "arrest")
    theirs = fitter.compute_residuals(rows, kind="score").sort_index()[terms]
    ours = score_residuals(
        people["week"], people["arrest"], people[terms].to_numpy(float), fitter.params_
    )
    agreement = [np.corrcoef(theirs[term], ours[:, k])[0, 1] for k, term in enumerate(terms)]
    assert min(agreement) < 0.9
    np.testing.assert_allclose(ours.sum(axis=0), 0, atol=1e-3)


# T6 (residuals under ties) and T7 (the test of proportional hazards): test_cox_reference.py.


@needs_reference
def test_t8_lifelines_counts_pairs_that_were_never_at_risk_together():
    people, fitter = late_patients()
    ours = concordance(
        people["age_out"], people["death"], people[BLOOD] @ fitter.params_[BLOOD], people["age_in"]
    )
    expected = cases("cox_fit", "cox_mgus2_lefttrunc")["concordance"].iloc[0]
    assert ours == pytest.approx(expected, rel=1e-4)
    assert fitter.concordance_index_ < expected - 0.03


def test_t9_no_library_tests_with_strata_and_late_entry_together_and_ours_does():
    assert not {"strata", "entry"} & set(inspect.signature(logrank_test).parameters)
    late = late_subjects()
    arguments = late["exit_untied"], (late["cause"] > 0).astype(int), late["group"]
    with pytest.raises((ValueError, IndexError, TypeError)):
        survdiff(*arguments, strata=late["stratum"], entry=late["entry_untied"])
    expected = late_answers("log_rank").set_index("term").loc["strata", "value"]
    found = log_rank(*arguments, late["entry_untied"], late["stratum"])
    assert found.statistic == pytest.approx(expected, rel=1e-8)


@needs_reference
def test_t10_statsmodels_has_a_split_account_at_risk_twice_at_the_split():
    rows, expected = subjects("heart"), cases("cox_coef", "cox_heart_tv")
    expected = expected.set_index("term")["coef"]
    assert inspect.signature(PHReg).parameters["ties"].default == "breslow"

    def transplant(entry: pd.Series) -> float:
        fit = PHReg(
            rows["stop"], rows[list(expected.index)], rows["event"], entry=entry, ties="efron"
        )
        return float(fit.fit().params[list(expected.index).index("transplant")])

    assert abs(transplant(rows["start"]) - expected["transplant"]) > 0.04
    assert transplant(rows["start"] + 1e-6) == pytest.approx(expected["transplant"], abs=1e-8)


# T11 (log-logistic lives stop early): test_regression_reference.py.


def test_t12_weights_that_are_not_counts_change_the_limits_of_lifelines():
    times, events = np.arange(1.0, 31), np.tile([1, 0], 15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, half = (
            KaplanMeierFitter().fit(times, events, weights=np.full(30, weight))
            for weight in (1.0, 0.5)
        )
    shares = whole.survival_function_, half.survival_function_
    np.testing.assert_allclose(*shares)
    low, wide = (fit.confidence_interval_.iloc[20, 0] for fit in (whole, half))
    assert low - wide > 0.05
    ours = kaplan_meier(times, events)  # takes no weights: resampling accounts is the route
    assert at_times(ours, pd.Series([20.0]))["ci_low"].iloc[0] == pytest.approx(low)


def test_t13_the_library_with_other_tie_rules_is_no_part_of_the_suite():
    assert importlib.util.find_spec("sksurv") is None


def test_t14_lifelines_still_keeps_pandas_below_3():
    needs = [Requirement(text) for text in requires("lifelines") or []]
    bound = next(need for need in needs if need.name == "pandas").specifier
    assert "2.3.3" in bound
    assert "3.0.0" not in bound, "lifelines takes pandas 3: raise the bound in pyproject.toml"


def test_t15_no_library_has_fine_and_gray_or_firth():
    names = {name.lower() for name in dir(lifelines) + dir(lifelines.statistics) + dir(sm)}
    wanted = {"fine", "gray", "firth", "multistate"}
    assert not {name for name in names for word in wanted if word in name}


# T16 (clustered errors of lifelines forget late entry): test_cox_reference.py.


def test_lifelines_takes_negative_durations_and_odd_codes_and_ours_refuses_them():
    fitted = KaplanMeierFitter().fit([-1, 2, 3], [2, 0, 2])
    assert len(fitted.survival_function_)
    with pytest.raises(ValueError, match="1 durations are missing, infinite or negative"):
        risk_intervals([-1, 2, 3], [1, 0, 1])
    with pytest.raises(ValueError, match="2 events are neither 0 nor 1"):
        kaplan_meier([1, 2, 3], [2, 0, 2])


def test_all_censored_lifelines_claims_certainty_and_ours_gives_no_interval():
    limits = KaplanMeierFitter().fit([3, 4, 5], [0, 0, 0]).confidence_interval_
    assert (limits == 1).all(axis=None)
    assert kaplan_meier([3, 4, 5], [0, 0, 0])[["ci_low", "ci_high"]].isna().all(axis=None)


def test_incidence_of_statsmodels_knows_no_entry_and_ours_does():
    assert "entry" not in inspect.signature(CumIncidenceRight).parameters
    late = late_subjects()
    blind = CumIncidenceRight(late["exit"].to_numpy(), late["cause"].to_numpy())
    ours = aalen_johansen(late["exit"], late["cause"], late["entry"])
    end = ours[ours["cause"] == 1]["estimate"].iloc[-1]
    assert abs(blind.cinc[0][-1] - end) > 0.005


def test_separation_is_only_a_warning_in_lifelines():
    rows = pd.DataFrame({"time": range(1, 41), "event": [1] * 20 + [0] * 20})
    rows["quiet"] = (rows["event"] == 0) * 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitter = CoxPHFitter().fit(rows, "time", "event")
    assert caught
    assert abs(fitter.params_["quiet"]) > 10
