import time

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from pipeline.statistics.proportional_hazards import (
    TRANSFORMS,
    breslow_baseline,
    proportional_hazards_test,
    survival_at,
)
from tests.statistics.oracle import cases, late_answers, late_subjects, needs_reference, subjects

FITS = {
    "rossi": ("cox_rossi_efron", "week", "arrest"),
    "veteran": ("cox_veteran", "time", "status"),
}


def fitted(case_id: str) -> pd.Series:
    return cases("cox_coef", case_id).set_index("term")["coef"]


@needs_reference
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("data", list(FITS))
def test_the_score_test_equals_r_under_heavy_ties(data, transform):
    case_id, duration, event = FITS[data]
    people, coefficients = subjects(data), fitted(case_id)
    found = proportional_hazards_test(
        people[duration],
        people[event],
        people[list(coefficients.index)].to_numpy(),
        coefficients,
        transform=transform,
    )
    expected = cases("cox_zph", f"zph_{data}_{transform}")
    np.testing.assert_allclose(found["statistic"], expected["chisq"], rtol=1e-4)
    np.testing.assert_allclose(found["p_value"], expected["p"], rtol=1e-4)
    assert found["df"].tolist() == expected["df"].tolist()
    assert found["term"].iloc[-1] == "global"


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_with_delayed_entry_and_strata_the_score_test_equals_r(transform):
    late = late_subjects()
    found = proportional_hazards_test(
        late["exit"],
        late["cause"] > 0,
        late[["x", "z"]].to_numpy(),
        late_answers("cox")["value"],
        late["entry"],
        transform,
        late["stratum"],
    )
    expected = late_answers(f"zph_{transform}")
    np.testing.assert_allclose(found["statistic"], expected["value"], rtol=1e-4)


@needs_reference
def test_a_term_of_several_columns_is_one_test_with_their_degrees_of_freedom():
    people, coefficients = subjects("veteran"), fitted("cox_veteran")
    arguments = (people["time"], people["status"], people[list(coefficients.index)].to_numpy())
    found = proportional_hazards_test(*arguments, coefficients, terms=[0, 1, 2, 3, 4, 5, 5, 5])
    assert found["df"].tolist() == [1, 1, 1, 1, 1, 3, 8]
    all_in_one = proportional_hazards_test(*arguments, coefficients, terms=[0] * 8)
    assert all_in_one["statistic"].iloc[0] == pytest.approx(found["statistic"].iloc[-1])


def test_a_covariate_that_never_varies_has_no_test():
    found = proportional_hazards_test([1, 2, 3], [1, 1, 0], np.ones((3, 1)), [0.0])
    assert found["statistic"].isna().all()


def test_without_events_there_is_no_test():
    covariates = np.array([[0.0], [1.0], [2.0]])
    assert (
        proportional_hazards_test([1, 2, 3], [0, 0, 0], covariates, [0.0])["p_value"].isna().all()
    )


def test_an_unknown_transform_and_the_logarithm_of_0_are_refused():
    covariates = np.array([[0.0], [1.0]])
    with pytest.raises(ValueError, match="unknown transform 'sqrt': choose one of km"):
        proportional_hazards_test([1, 2], [1, 1], covariates, [0.0], transform="sqrt")
    with pytest.raises(ValueError, match="events at time 0 have no logarithm"):
        proportional_hazards_test([0, 2], [1, 1], covariates, [0.0], transform="log")


def test_an_effect_that_turns_around_is_found_and_a_constant_one_is_not():
    random = np.random.default_rng(23)
    x = np.repeat([0.0, 1.0], 1500)
    constant = random.exponential(np.where(x == 1, 5.0, 10.0))
    early = random.exponential(np.where(x == 1, 4.0, 10.0))
    turning = np.where((x == 1) & (early > 5), 5 + random.exponential(20.0, 3000), early)
    p_values = {}
    for name, life in (("constant", constant), ("turning", turning)):
        rows = pd.DataFrame({"time": life, "event": 1, "x": x})
        fit = CoxPHFitter().fit(rows, "time", "event")
        test = proportional_hazards_test(life, np.ones(3000), x[:, None], fit.params_)
        p_values[name] = test["p_value"].iloc[0]
    assert p_values["turning"] < 1e-6
    assert p_values["constant"] > 0.05


@needs_reference
def test_baseline_and_lookup_equal_r():
    people, coefficients = subjects("rossi"), fitted("cox_rossi_efron")
    score = people[list(coefficients.index)] @ coefficients
    times, baseline = breslow_baseline(people["week"], people["arrest"], None, score)
    profiles = subjects("rossi_profiles")[list(coefficients.index)] @ coefficients
    for row in cases("cox_predict", "pred_rossi_breslow").itertuples():
        found = survival_at(times, baseline, profiles[row.profile - 1], row.time)
        np.testing.assert_allclose(found[0, 0], row.surv, rtol=1e-6)


@needs_reference
def test_a_baseline_with_delayed_entry_equals_r_and_without_it_does_not():
    people = subjects("mgus2").dropna(subset=["hgb", "creat"])
    people = people[people["age_out"] > people["age_in"]]
    coefficients = fitted("cox_mgus2_lefttrunc")
    names = list(coefficients.index)
    score = people[names] @ coefficients
    profiles = subjects("mgus2_profiles")[names] @ coefficients
    expected = cases("cox_predict", "pred_mgus2_lefttrunc")
    naive = breslow_baseline(people["age_out"], people["death"], None, score)
    entered = breslow_baseline(people["age_out"], people["death"], people["age_in"], score)
    for row in expected.itertuples():
        found = survival_at(*entered, profiles[row.profile - 1], row.time)
        np.testing.assert_allclose(found[0, 0], row.surv, rtol=1e-3)
        assert survival_at(*naive, profiles[row.profile - 1], row.time) > 1.05 * row.surv


def test_between_two_events_survival_stays_where_it_was():
    found = survival_at(
        np.array([2.0, 4.0]), np.array([0.1, 0.3]), [0.0, np.log(2)], [1, 2, 3.9, 4]
    )
    np.testing.assert_allclose(found[0], np.exp([0, -0.1, -0.1, -0.3]))
    np.testing.assert_allclose(found[1], np.exp([0, -0.2, -0.2, -0.6]))


def test_beyond_follow_up_there_is_no_prediction():
    found = survival_at(np.array([2.0]), np.array([0.1]), 0.0, [5, 9], follow_up=5)
    assert np.isnan(found[0]).tolist() == [False, True]


def test_a_hundred_thousand_subjects_take_seconds():
    random = np.random.default_rng(2)
    covariates = random.normal(size=(10**5, 10))
    start = random.integers(0, 300, 10**5)
    end = start + random.exponential(400, 10**5) + 1e-6
    began = time.perf_counter()
    proportional_hazards_test(end, random.integers(0, 2, 10**5), covariates, np.zeros(10), start)
    assert time.perf_counter() - began < 20
