import numpy as np
import pytest
from scipy import stats

from pipeline.statistics.ratios import leave_one_out_range, linearised_ratio, top_share
from tests.statistics.oracle import cases, needs_reference, subjects

OPENED = [100.0, 200.0, 300.0, 400.0]
CLOSED = [100.0, 150.0, 330.0, 0.0]


@needs_reference
def test_ratio_and_error_equal_r_on_the_reference_ledger():
    rows = subjects("ledger_subscriptions")
    rows["end_date"] = rows["end_date"].fillna("9999-12-31")
    for expected in cases("ledger_ratio_se", "ledger_se").itertuples():
        sums = {
            date: rows[(rows["start_date"] < date) & (rows["end_date"] >= date)]
            .groupby("account_id")["mrr"]
            .sum()
            for date in (expected.period_start, expected.period_end)
        }
        opened = sums[expected.period_start]
        opened = opened[opened > 0]
        closed = sums[expected.period_end].reindex(opened.index, fill_value=0.0)
        kept = closed if expected.measure == "nrr" else np.minimum(opened, closed)
        found = linearised_ratio(kept, opened)
        np.testing.assert_allclose(found.estimate, expected.ratio, rtol=1e-8)
        np.testing.assert_allclose(found.std_err, expected.se_linearised, rtol=1e-8)


def test_the_interval_is_students_with_the_effective_n_less_1():
    found = linearised_ratio(CLOSED, OPENED, confidence=0.9)
    assert found.estimate == pytest.approx(0.58)
    assert found.effective_n == pytest.approx(1000**2 / 300_000)
    reach = stats.t.ppf(0.95, found.effective_n - 1) * found.std_err
    assert (found.ci_low, found.ci_high) == pytest.approx((0.58 - reach, 0.58 + reach))


def test_a_ratio_of_nothing_is_missing_and_one_account_has_no_interval():
    assert np.isnan(linearised_ratio([], []).estimate)
    assert np.isnan(linearised_ratio([5.0], [0.0]).estimate)
    alone = linearised_ratio([5.0], [10.0])
    assert alone.estimate == 0.5
    assert alone.effective_n == 1
    assert np.isnan(alone.ci_low)


def test_an_account_without_a_value_or_below_0_is_refused():
    with pytest.raises(ValueError, match=r"2 accounts .* \(rows \[0, 2\]\)"):
        linearised_ratio([np.nan, 1, 1], [1, 1, -1])
    with pytest.raises(ValueError, match="2 numerators and 1 denominators"):
        linearised_ratio([1, 2], [1])


def test_leaving_out_one_account_moves_the_ratio_between_two_ends():
    assert leave_one_out_range(CLOSED, OPENED) == pytest.approx((250 / 700, 580 / 600))
    assert np.isnan(leave_one_out_range([1.0], [2.0])).all()


def test_the_largest_accounts_hold_their_share_of_the_total():
    assert top_share(OPENED, 2) == pytest.approx(0.7)
    assert top_share(OPENED, 9) == 1
    assert np.isnan(top_share([], 5))


def test_with_many_accounts_the_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(31)
    hits, runs = 0, 500
    for _ in range(runs):
        opened = random.lognormal(5, 0.7, 150)
        closed = opened * (random.random(150) < 0.9)
        found = linearised_ratio(closed, opened)
        hits += found.ci_low <= 0.9 <= found.ci_high
    assert 0.91 <= hits / runs <= 0.98
