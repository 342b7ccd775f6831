import time

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from pipeline.statistics.competing_risks import aalen_johansen, incidence_quantile
from pipeline.statistics.life_table import kaplan_meier
from tests.statistics.oracle import (
    at_times,
    cases,
    late_answers,
    late_subjects,
    needs_reference,
    subjects,
)


def test_four_subjects_and_two_causes_give_the_incidence_done_by_hand():
    curves = aalen_johansen([1, 2, 2, 3], [1, 1, 2, 0])
    first, second = (curves[curves["cause"] == cause] for cause in (1, 2))
    np.testing.assert_allclose(first["estimate"], [1 / 4, 1 / 2, 1 / 2])
    np.testing.assert_allclose(second["estimate"], [0, 1 / 4, 1 / 4])
    assert first["at_risk"].tolist() == [4, 3, 1]
    assert second["events"].tolist() == [0, 1, 0]


@needs_reference
@pytest.mark.parametrize("case_id", ["cif_mgus2", "cif_mgus2_sex", "sim_ttv_cif"])
def test_incidence_error_and_limits_equal_r(case_id):
    if case_id == "sim_ttv_cif":
        accounts = subjects("sim_accounts")
        people = accounts[accounts["entry_cycle"] == 0]
        durations, causes = "ttv_time", "ttv_event"
    else:
        people, durations, causes = subjects("mgus2"), "etime", "event"
    for (group, cause), expected in cases("cif", case_id).groupby(["group", "cause"]):
        mine = people if group == "all" else people[people["sex"] == group]
        curves = aalen_johansen(mine[durations], mine[causes])
        found = at_times(curves[curves["cause"] == cause], expected["time"])
        np.testing.assert_allclose(found["estimate"], expected["cif"], rtol=1e-8)
        np.testing.assert_allclose(found["std_err"], expected["se_ij"], rtol=1e-8)
        np.testing.assert_allclose(found["ci_low"], expected["lower_loglog"], rtol=1e-8)
        np.testing.assert_allclose(found["ci_high"], expected["upper_loglog"], rtol=1e-8)


@needs_reference
@pytest.mark.parametrize("case_id", ["cif_mgus2", "cif_mgus2_sex"])
def test_the_jackknife_error_is_near_that_of_cmprsk_and_1_minus_km_is_what_r_gives(case_id):
    people = subjects("mgus2")
    for (group, cause), expected in cases("cif", case_id).groupby(["group", "cause"]):
        mine = people if group == "all" else people[people["sex"] == group]
        curves = aalen_johansen(mine["etime"], mine["event"])
        found = at_times(curves[curves["cause"] == cause], expected["time"])
        np.testing.assert_allclose(found["std_err"], expected["se_aalen_cmprsk"], rtol=3e-2)
        wrong = kaplan_meier(mine["etime"], mine["event"] == cause)
        wrong = 1 - at_times(wrong, expected["time"])["estimate"]
        np.testing.assert_allclose(wrong, expected["one_minus_km_wrong"], rtol=1e-8)
        assert (wrong >= found["estimate"] - 1e-12).all()


@needs_reference
def test_incidence_and_error_with_delayed_entry_equal_r():
    people = subjects("mgus2")
    people = people[people["age_in"] >= 60].assign(
        age_event=lambda rows: rows["age_in"] + rows["etime"] / 12
    )
    people = people[people["age_event"] > people["age_in"]]
    curves = aalen_johansen(people["age_event"], people["event"], people["age_in"])
    for cause, expected in cases("cif_left_truncated", "cif_mgus2_lefttrunc").groupby("cause"):
        found = at_times(curves[curves["cause"] == cause], expected["time"])
        np.testing.assert_allclose(found["estimate"], expected["cif"], rtol=1e-8)
        np.testing.assert_allclose(found["std_err"], expected["se_ij"], rtol=1e-6)


def test_incidence_and_error_with_delayed_entry_and_tied_causes_equal_r():
    late = late_subjects()
    curves = aalen_johansen(late["exit"], late["cause"], late["entry"])
    for quantity, column in (("cif", "estimate"), ("cif_se", "std_err")):
        for cause, expected in late_answers(quantity).groupby("term"):
            found = at_times(curves[curves["cause"] == int(cause)], expected["time"])[column]
            np.testing.assert_allclose(found, expected["value"], rtol=1e-8, atol=1e-10)


def test_without_delayed_entry_statsmodels_agrees():
    late = late_subjects()
    theirs = CumIncidenceRight(late["exit"].to_numpy(), late["cause"].to_numpy())
    curves = aalen_johansen(late["exit"], late["cause"])
    for cause in (1, 2):
        mine = curves[(curves["cause"] == cause) & curves["time"].isin(theirs.times)]
        np.testing.assert_allclose(mine["estimate"], theirs.cinc[cause - 1], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(mine["std_err"], theirs.cinc_se[cause - 1], rtol=1e-6, atol=1e-9)


def test_with_one_cause_the_incidence_is_1_minus_the_kaplan_meier_curve():
    late = late_subjects()
    one = aalen_johansen(late["exit"], late["cause"] > 0, late["entry"])
    curve = kaplan_meier(late["exit"], late["cause"] > 0, late["entry"])
    np.testing.assert_allclose(one["estimate"], 1 - curve["estimate"], atol=1e-12)


def test_incidences_and_staying_add_up_to_1():
    late = late_subjects()
    curves = aalen_johansen(late["exit"], late["cause"], late["entry"])
    gone = curves.groupby("time")["estimate"].sum().to_numpy()
    curve = kaplan_meier(late["exit"], late["cause"] > 0, late["entry"])
    np.testing.assert_allclose(gone + curve["estimate"], 1, atol=1e-12)


@needs_reference
def test_taking_the_other_cause_for_censoring_overstates_a_cause():
    people = subjects("mgus2")
    expected = cases("cif", "cif_mgus2").query("cause == 1 and time == 240").iloc[0]
    wrong = kaplan_meier(people["etime"], people["event"] == 1)
    inflated = 1 - at_times(wrong, pd.Series([240.0]))["estimate"].iloc[0]
    np.testing.assert_allclose(inflated, expected["one_minus_km_wrong"], rtol=1e-8)
    assert inflated > 2 * expected["cif"]


def test_the_order_of_the_subjects_changes_nothing():
    late = late_subjects()
    shuffled = late.sample(frac=1, random_state=7)
    pd.testing.assert_frame_equal(
        aalen_johansen(late["exit"], late["cause"], late["entry"]),
        aalen_johansen(shuffled["exit"], shuffled["cause"], shuffled["entry"]),
    )


def test_a_declared_cause_without_a_case_has_a_curve_at_0_without_an_interval():
    curves = aalen_johansen([1, 2, 3], [1, 0, 0], n_causes=2)
    second = curves[curves["cause"] == 2]
    assert (second["estimate"] == 0).all()
    assert second[["ci_low", "ci_high"]].isna().all(axis=None)


@pytest.mark.parametrize("n", [7, 10, 22, 38])  # the sum of 7 steps is 1, of the others just below
def test_an_incidence_that_has_reached_everybody_has_no_interval(n):
    last = aalen_johansen(np.arange(1, n + 1), np.ones(n, int)).iloc[-1]
    assert last["estimate"] == pytest.approx(1)
    assert last[["ci_low", "ci_high"]].isna().all()


def test_a_cause_that_was_not_declared_is_refused():
    with pytest.raises(ValueError, match="cause 3 was found but only 2"):
        aalen_johansen([1, 2], [3, 0], n_causes=2)


def test_nobody_gives_no_rows():
    assert aalen_johansen([], []).empty


def test_the_median_is_the_first_day_on_which_half_got_there():
    curves = aalen_johansen([3, 5, 8, 9], [1, 1, 2, 0])
    first = curves[curves["cause"] == 1]
    estimate, low, high = incidence_quantile(first, 0.5)
    assert estimate == 5
    assert low == 3
    assert np.isnan(high)
    assert np.isnan(incidence_quantile(first, 0.9)[0])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Two exponential causes of rate 0.06 and 0.04: F1(10) = 0.6 (1 - e^-1). Half enter late.
    random = np.random.default_rng(11)
    truth, hits, runs, n = 0.6 * (1 - np.exp(-1)), 0, 300, 600
    for _ in range(runs):
        life = random.exponential(10, n)
        start = random.uniform(0, 5, n) * (random.random(n) < 0.5)
        seen = life > start
        cause = np.where(random.random(n) < 0.6, 1, 2)
        curves = aalen_johansen(life[seen], cause[seen], start[seen])
        row = at_times(curves[curves["cause"] == 1], pd.Series([10.0])).iloc[0]
        hits += row["ci_low"] <= truth <= row["ci_high"]
    assert 0.92 <= hits / runs <= 0.98


def test_a_million_subjects_take_seconds():
    random = np.random.default_rng(3)
    start = random.integers(0, 700, 10**6) * (random.random(10**6) < 0.5)
    end = start + random.integers(1, 700, 10**6)
    began = time.perf_counter()
    aalen_johansen(end, random.integers(0, 4, 10**6), start)
    assert time.perf_counter() - began < 30
