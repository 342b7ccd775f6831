import numpy as np
import pytest
from scipy import stats

from pipeline.statistics.rates import dispersion, poisson_rate, poisson_trend


def test_a_rate_has_exact_limits_and_no_event_still_has_an_upper_one():
    found = poisson_rate(10, 1000.0)
    # Garwood's limits of 10 events: 4.795 and 18.390.
    np.testing.assert_allclose([found.ci_low, found.ci_high], [4.795e-3, 18.390e-3], rtol=1e-3)
    nothing = poisson_rate(0, 100.0)
    assert nothing.ci_low == 0.0
    assert nothing.ci_high == pytest.approx(-np.log(0.025) / 100)
    assert np.isnan(poisson_rate(0, 0.0).estimate)


def test_counts_that_follow_their_expectation_are_not_dispersed_and_doubled_noise_is():
    rng = np.random.default_rng(11)
    expected = np.full(200, 30.0)
    chance = dispersion(rng.poisson(expected), expected, 1, 0.95)
    shocked = dispersion(rng.poisson(expected * rng.gamma(10, 0.1, 200)), expected, 1, 0.95)
    assert chance.ci_low < 1 < chance.ci_high
    assert shocked.ci_low > 1.2


def test_a_trend_is_found_at_a_fixed_mix():
    rng = np.random.default_rng(12)
    months = np.tile(np.arange(24), 2)
    level = np.repeat(["large", "small"], 24)
    # The mix moves to the level that always loses more; each level's own rate falls by a tenth.
    exposure = np.where(level == "small", 1000 + 100 * months, 3400 - 100 * months)
    rate = np.where(level == "small", 0.05, 0.01) * 0.9 ** (months / 12)
    counts = rng.poisson(rate * exposure)
    ratio, spread = poisson_trend(counts, exposure, level, months / 12)
    crude, _ = poisson_trend(counts, exposure, np.repeat("all", 48), months / 12)
    assert ratio.ci_low < 0.9 < ratio.ci_high < 1.0
    assert crude.estimate > 1.0
    assert spread.ci_low < 1 < spread.ci_high


def test_shocks_widen_the_interval_of_the_trend():
    rng = np.random.default_rng(13)
    months = np.arange(36)
    shocked = rng.poisson(100 * rng.gamma(5, 0.2, 36))
    ratio, spread = poisson_trend(shocked, np.full(36, 1000.0), np.repeat("all", 36), months / 12)
    width = np.log(ratio.ci_high / ratio.ci_low)
    mean = shocked.mean()
    poisson = 2 * stats.norm.ppf(0.975) / np.sqrt(mean * ((months / 12 - 35 / 24) ** 2).sum())
    assert spread.estimate > 1.2
    assert width == pytest.approx(poisson * np.sqrt(spread.estimate), rel=0.2)


def test_without_events_or_time_there_is_no_trend():
    blank, _ = poisson_trend([0, 0], [10, 10], ["a", "a"], [0, 1])
    single, _ = poisson_trend([3], [10], ["a"], [0])
    assert np.isnan(blank.estimate)
    assert np.isnan(single.estimate)
