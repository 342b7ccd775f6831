import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from pipeline.statistics.restricted_mean import restricted_mean, restricted_mean_difference
from tests.statistics.oracle import cases, needs_reference, subjects


def test_the_area_under_a_curve_of_two_steps_is_the_one_done_by_hand():
    # S = 1 until 2, 3/4 until 4, 3/8 afterwards: 2 + 1.5 + 0.375 · 6 = 5.75.
    found = restricted_mean([2, 3, 4, 12], [1, 0, 1, 0], None, 10)
    np.testing.assert_allclose(found.estimate, 5.75)


def test_margin_scales_and_discount_shrinks_the_area_as_calculus_says():
    # Nobody leaves: 3 · ∫₀^5 e^(−0.1 u) du = 30 (1 − e^(−0.5)).
    found = restricted_mean([9, 9], [0, 0], None, 5, margin=3, discount=0.1)
    np.testing.assert_allclose(found.estimate, 30 * (1 - np.exp(-0.5)))


CASES = [
    ("rmst_lung_sex", "lung", "time", "dead", "sex"),
    ("rmst_veteran", "veteran", "time", "status", "trt"),
    ("rmst_rossi", "rossi", "week", "arrest", "fin"),
    ("ltv_lung", "lung", "time", "dead", "sex"),
    ("ltv_lung_nodisc", "lung", "time", "dead", "sex"),
]


@needs_reference
@pytest.mark.parametrize(("case_id", "data", "time", "event", "stratum"), CASES)
def test_value_error_and_limits_equal_r(case_id, data, time, event, stratum):
    people = subjects(data)
    for row in cases("rmst_ltv", case_id).itertuples():
        mine = people[people[stratum].astype(str) == row.stratum.partition("=")[2]]
        found = restricted_mean(
            mine[time], mine[event], None, row.tau, margin=row.margin, discount=row.delta
        )
        np.testing.assert_allclose(
            [found.estimate, found.std_err, found.ci_low, found.ci_high],
            [row.value, row.se, row.lower, row.upper],
            rtol=1e-8,
        )


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "data", "time", "event", "stratum"),
    [
        ("rmstd_lung", "lung", "time", "dead", "sex"),
        ("rmstd_veteran", "veteran", "time", "status", "trt"),
        ("rmstd_rossi", "rossi", "week", "arrest", "fin"),
    ],
)
def test_the_difference_of_two_groups_equals_r(case_id, data, time, event, stratum):
    people = subjects(data)
    for row in cases("rmst_diff", case_id).itertuples():
        second, first = (
            people[people[stratum].astype(str) == side.partition("=")[2]]
            for side in row.contrast.split(" - ")
        )
        found = restricted_mean_difference(
            (first[time], first[event], None), (second[time], second[event], None), row.tau
        )
        np.testing.assert_allclose(
            [found.estimate, found.std_err, found.ci_low, found.ci_high],
            [row.diff, row.se, row.lower, row.upper],
            rtol=1e-8,
        )


@needs_reference
@pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
def test_the_variance_that_lifelines_returns_is_not_that_of_the_estimate():
    people = subjects("lung").query("sex == 1")
    fitted = KaplanMeierFitter().fit(people["time"], people["dead"])
    area, variance = restricted_mean_survival_time(fitted, t=365, return_variance=True)
    ours = restricted_mean(people["time"], people["dead"], None, 365)
    np.testing.assert_allclose(ours.estimate, area, rtol=1e-8)
    assert np.sqrt(variance) > 10 * ours.std_err


def test_delayed_entry_enters_the_risk_sets():
    early = restricted_mean([4, 10, 10], [1, 0, 0], [0, 0, 0], 10)
    late = restricted_mean([4, 10, 10], [1, 0, 0], [0, 0, 5], 10)
    np.testing.assert_allclose(early.estimate, 4 + 6 * 2 / 3)
    np.testing.assert_allclose(late.estimate, 4 + 6 * 1 / 2)


def test_a_horizon_that_nobody_was_followed_to_has_no_value():
    found = restricted_mean([2, 3, 4], [1, 0, 0], None, 10)
    assert np.isnan(found.estimate)
    assert np.isnan(found.ci_high)


def test_once_all_have_left_a_later_horizon_adds_nothing():
    assert restricted_mean([2, 4], [1, 1], None, 100).estimate == 3


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Exponential lives of mean 10: RMST(12) = 10 (1 − e^(−1.2)).
    random = np.random.default_rng(5)
    truth, hits, runs = 10 * (1 - np.exp(-1.2)), 0, 400
    for _ in range(runs):
        life, seen = random.exponential(10, 200), random.uniform(6, 30, 200)
        found = restricted_mean(np.minimum(life, seen), life <= seen, None, 12)
        hits += found.ci_low <= truth <= found.ci_high
    assert 0.92 <= hits / runs <= 0.98
