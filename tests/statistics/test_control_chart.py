import numpy as np
import pytest

from pipeline.statistics.control_chart import laney_p_chart, laney_u_chart


def test_limits_are_those_done_by_hand():
    # centre 0.1, binomial sigma 0.03; z = 0, 1, -1, 0: ranges 1, 2, 1, mean 4/3; over 2/√π.
    chart = laney_p_chart([10, 13, 7, 10], [100] * 4, [True] * 4)
    sigma_z = 4 / 3 / (2 / np.sqrt(np.pi))
    np.testing.assert_allclose(chart["centre"], 0.1)
    np.testing.assert_allclose(chart["sigma_z"], sigma_z)
    np.testing.assert_allclose(chart["upper"], 0.1 + 3 * 0.03 * sigma_z)
    np.testing.assert_allclose(chart["lower"], 0)


def test_months_outside_the_baseline_do_not_move_the_limits():
    base = [True] * 12 + [False]
    events = [10, 12, 9, 11, 8, 10, 12, 9, 10, 11, 9, 10]
    quiet = laney_p_chart([*events, 10], [100] * 13, base)
    loud = laney_p_chart([*events, 60], [100] * 13, base)
    np.testing.assert_allclose(quiet["upper"], loud["upper"])
    assert quiet["signal"].tolist() == [""] * 13
    assert loud["signal"].tolist() == [""] * 12 + ["beyond"]


def test_eight_months_on_one_side_are_a_signal_and_seven_are_not():
    base = [True] * 12 + [False] * 8
    events = [8, 12] * 6 + [11] * 8
    signals = laney_p_chart(events, [100] * 20, base)["signal"].tolist()
    # The twelfth month is above the centre too: the run is eight long in the nineteenth.
    assert signals == [""] * 18 + ["run"] * 2


def test_large_groups_that_vary_by_more_than_chance_get_wider_limits():
    random = np.random.default_rng(41)
    n = np.full(60, 200_000)
    steady = random.binomial(n, 0.03)
    restless = random.binomial(n, 0.03 * np.exp(random.normal(0, 0.1, 60)))
    every = np.ones(60, dtype=bool)
    assert 0.7 < laney_p_chart(steady, n, every)["sigma_z"].iloc[0] < 1.4
    chart = laney_p_chart(restless, n, every)
    assert chart["sigma_z"].iloc[0] > 5
    assert (chart["signal"] == "beyond").sum() <= 2


def test_too_few_months_and_months_without_anybody_have_no_limits():
    chart = laney_p_chart([1, 2, 0], [10, 10, 0], [True, False, True])
    assert chart[["centre", "lower", "upper"]].isna().all(axis=None)
    assert chart["signal"].tolist() == ["", "", ""]
    assert np.isnan(chart["share"].iloc[2])


def test_months_without_a_single_event_do_not_signal():
    chart = laney_p_chart([0, 0, 0], [10, 10, 10], [True] * 3)
    assert (chart["upper"] == 0).all()
    assert (chart["signal"] == "").all()


def test_a_rate_chart_is_the_share_chart_of_rare_events():
    events, exposure = [4, 7, 5, 6, 9, 5, 4, 8], [10, 12, 11, 12, 14, 10, 9, 13]
    every = [True] * 8
    rare = 1e9
    by_rate = laney_u_chart(events, exposure, every)
    by_share = laney_p_chart(events, [rare * time for time in exposure], every)
    for column in ("centre", "lower", "upper"):
        assert by_rate[column].to_numpy() == pytest.approx(rare * by_share[column].to_numpy())
    assert by_rate["sigma_z"].to_numpy() == pytest.approx(by_share["sigma_z"].to_numpy())


def test_a_rate_far_above_its_centre_is_beyond_and_may_exceed_one():
    chart = laney_u_chart([4, 6, 5, 6, 5, 40], [2.0] * 6, [True] * 5 + [False])
    assert chart["centre"].iloc[0] == 2.6
    assert chart["signal"].tolist() == [""] * 5 + ["beyond"]
