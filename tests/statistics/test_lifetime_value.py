import numpy as np
import pytest

from pipeline.statistics.lifetime_value import (
    Lives,
    complete_case_value,
    cumulative_value,
    days_to_repay,
    payment_by_day,
    survival_by_day,
)
from pipeline.statistics.restricted_mean import restricted_mean
from tests.statistics.oracle import cases, late_subjects, needs_reference, subjects


def lives(exits, events, entry=None, per_day=1.0):
    exits = np.asarray(exits, dtype=np.int64)
    entry = np.zeros(len(exits), np.int64) if entry is None else np.asarray(entry, np.int64)
    days = (exits - entry)[:, None].astype(float)
    return Lives(
        entry, exits, np.asarray(events, bool), days * per_day, days, np.array([exits.max() + 1])
    )


def people(data, stratum):
    rows = subjects(data)
    name, _, level = stratum.partition("=")
    return rows[rows[name].astype(str) == level]


@needs_reference
@pytest.mark.parametrize("case_id", ["rmst_lung_sex", "ltv_lung", "ltv_lung_nodisc"])
def test_the_value_of_whole_days_equals_r(case_id):
    for row in cases("rmst_ltv", case_id).itertuples():
        mine = people("lung", row.stratum)
        one = lives(mine["time"], mine["dead"])
        survival, _ = survival_by_day(one, int(row.tau))
        value = cumulative_value(survival, row.margin, row.delta)[int(row.tau)]
        np.testing.assert_allclose(value, row.value, rtol=1e-8)


@needs_reference
def test_the_day_a_cost_is_repaid_equals_r():
    for row in cases("payback", "payback_lung").itertuples():
        mine = people("lung", row.stratum)
        survival, _ = survival_by_day(lives(mine["time"], mine["dead"]), int(row.horizon))
        value = cumulative_value(survival, row.margin, row.delta)
        found = days_to_repay(value, row.cac, row.delta)
        np.testing.assert_allclose(found, row.payback_survival_adjusted, rtol=1e-8)


def test_late_entry_makes_the_same_curve_as_the_restricted_mean():
    rows = late_subjects()
    time, entry = np.ceil(rows["exit"]).astype(int), np.floor(rows["entry"]).astype(int)
    event = (rows["cause"] > 0).to_numpy()
    horizon = int(time.max() * 0.8)
    survival, _ = survival_by_day(lives(time, event, entry), horizon)
    expected = restricted_mean(time, event, entry, horizon)
    np.testing.assert_allclose(cumulative_value(survival, 1.0)[horizon], expected.estimate)


def test_a_constant_hazard_and_margin_give_the_geometric_sum_within_the_interval():
    # LTV(K) = m (1 − e^(−hK)) / (1 − e^(−h)) for m a month paid in advance, hazard h a month.
    rng = np.random.default_rng(20260115)
    hazard, months, margin = 0.05, 24, 70.0
    cycles = 1 + rng.geometric(1 - np.exp(-hazard), 4000) - 1
    exits, events = 30 * np.minimum(cycles, 36), cycles <= 36
    survival, _ = survival_by_day(lives(exits, events), 30 * months)
    value = cumulative_value(survival, margin / 30)[-1]
    truth = margin * (1 - np.exp(-hazard * months)) / (1 - np.exp(-hazard))
    interval = restricted_mean(exits, events, None, 30 * months, margin=margin / 30)
    assert value == pytest.approx(interval.estimate)
    assert interval.ci_low < truth < interval.ci_high


def test_discount_is_exact_within_a_day():
    survival = np.ones(10)
    discount = 0.01
    value = cumulative_value(survival, 2.0, discount)
    assert value[5] == pytest.approx(2 * (1 - np.exp(-0.05)) / 0.01)
    cost = 2 * (1 - np.exp(-discount * 3.7)) / discount
    assert days_to_repay(value, cost, discount) == pytest.approx(3.7)
    assert days_to_repay(value, 0.0, discount) == 0.0
    assert days_to_repay(value, 1e6, discount) == np.inf


def test_payment_is_that_of_those_still_there_and_the_last_band_goes_on():
    # Two pay 1 a day, one 4; the cheap ones leave after day 10.
    one = Lives(
        entry=np.zeros(3, np.int64), exit=np.array([10, 10, 20]), is_event=np.ones(3, bool),
        paid=np.array([[10.0, 0, 0], [10, 0, 0], [40, 40, 0]]),
        days=np.array([[10.0, 0, 0], [10, 0, 0], [10, 10, 0]]), band_ends=np.array([10, 20, 30]),
    )  # fmt: skip
    assert payment_by_day(one, 30).tolist() == [2.0] * 10 + [4.0] * 20
    assert payment_by_day(one, 2, [0, 1, 1]).tolist() == [2.5, 2.5]


def test_a_band_in_which_nobody_is_seen_pays_what_the_band_before_does_or_else_the_first():
    one = Lives(
        entry=np.zeros(2, np.int64), exit=np.array([30, 30]), is_event=np.ones(2, bool),
        paid=np.array([[0.0, 20, 0, 90], [0, 60, 0, 0]]),
        days=np.array([[0.0, 10, 0, 10], [0, 10, 0, 0]]), band_ends=np.array([10, 20, 30, 40]),
    )  # fmt: skip
    assert payment_by_day(one, 50).tolist() == [4.0] * 30 + [9.0] * 20
    assert payment_by_day(one, 50, [0, 0]).tolist() == [0.0] * 50


def test_each_row_of_weights_is_a_draw_of_its_own():
    one = Lives(
        entry=np.zeros(2, np.int64), exit=np.array([30, 30]), is_event=np.ones(2, bool),
        paid=np.array([[10.0, 20, 0], [0, 60, 30]]), days=np.array([[10.0, 10, 0], [0, 10, 10]]),
        band_ends=np.array([10, 20, 30]),
    )  # fmt: skip
    draws = [[1, 1], [2, 0], [0, 3], [0, 0]]
    found = payment_by_day(one, 30, draws)
    assert found.tolist() == [payment_by_day(one, 30, draw).tolist() for draw in draws]
    assert found[1].tolist() == [1.0] * 10 + [2.0] * 20
    assert found[2].tolist() == [6.0] * 20 + [3.0] * 10


def test_weights_count_subjects():
    exits, events = [3, 5, 5, 8], [1, 0, 1, 1]
    twice = lives(np.repeat(exits, 2), np.repeat(events, 2))
    once = lives(exits, events)
    np.testing.assert_allclose(
        survival_by_day(once, 8, [2, 2, 2, 2])[0], survival_by_day(twice, 8)[0]
    )
    np.testing.assert_allclose(survival_by_day(once, 8)[1], [4, 4, 4, 3, 3, 1, 1, 1])


def test_complete_cases_are_weighted_by_the_chance_not_to_be_censored():
    # By hand: one of four is censored on day 4, three are at risk of it after the event on day 2.
    found = complete_case_value([2, 4, 6, 8], [1, 0, 1, 0], [20, 40, 60, 70], 7)
    # P(not censored by 6, by 7) = 2/3: 20 + (60 + 70) · 3/2, over 4.
    assert found.estimate == pytest.approx((20 + 130 * 1.5) / 4)
    # A tie on day 4: the event leaves first, two are at risk of the censoring after it.
    tied = complete_case_value([2, 4, 4, 8], [1, 1, 0, 0], [20, 40, 40, 70], 7)
    assert tied.estimate == pytest.approx((20 + 40 + 70 * 2) / 4)
    blank = complete_case_value([2, 4], [1, 0], [20, 40], 7)
    assert np.isnan(blank.estimate)


def test_complete_cases_find_the_truth_that_the_plain_mean_misses():
    rng = np.random.default_rng(7)
    lifetime, censored = rng.exponential(300, 20000), rng.uniform(0, 900, 20000)
    time = np.minimum(lifetime, censored)
    value = np.minimum(time, 365)
    truth = 300 * (1 - np.exp(-365 / 300))
    found = complete_case_value(time, lifetime <= censored, value, 365)
    assert found.ci_low < truth < found.ci_high
    assert value.mean() < 0.9 * truth
