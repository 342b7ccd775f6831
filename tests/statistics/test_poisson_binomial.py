import numpy as np
import pytest
from scipy import stats

from pipeline.statistics import poisson_binomial
from pipeline.statistics.poisson_binomial import distribution, quantile
from tests.statistics.oracle import cases, needs_reference, subjects


@needs_reference
def test_the_distribution_of_sixty_unequal_chances_equals_r():
    expected = cases("poisson_binomial", "poisbin_60").iloc[0]
    p = subjects("poisson_binomial_p")["p"].to_numpy()
    chances = distribution(p)
    k = np.arange(len(chances))
    mean = chances @ k
    assert mean == pytest.approx(expected["mean"], rel=1e-8)
    assert chances @ (k - mean) ** 2 == pytest.approx(expected["var"], rel=1e-8)
    levels = {"q025": 0.025, "q05": 0.05, "q50": 0.5, "q95": 0.95, "q975": 0.975}
    assert list(quantile(chances, list(levels.values()))) == [expected[name] for name in levels]
    assert chances[0] == pytest.approx(expected["p0"], rel=1e-8)
    assert chances[int(mean)] == pytest.approx(expected["p_at_mean_floor"], rel=1e-8)


def test_equal_chances_are_binomial():
    np.testing.assert_allclose(
        distribution([0.3] * 7), stats.binom.pmf(np.arange(8), 7, 0.3), rtol=1e-12
    )


def test_nobody_at_risk_loses_nobody():
    assert list(distribution([])) == [1.0]
    assert list(quantile(distribution([]), [0.025, 0.975])) == [0, 0]


def test_a_chance_outside_nought_and_one_is_refused():
    with pytest.raises(ValueError, match="2 of 3 probabilities are not between 0 and 1"):
        distribution([0.2, 1.2, np.nan])


def test_many_events_have_the_distribution_that_few_of_the_same_chances_build_up():
    p = np.random.default_rng(20261122).uniform(0, 0.05, 12_000)
    found = distribution(p)
    halves = np.convolve(distribution(p[:4_000]), distribution(p[4_000:8_000]))
    expected = np.convolve(halves, distribution(p[8_000:]))  # each short enough for plain steps
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert len(found) == 12_001


def test_very_many_events_have_the_distribution_that_blocks_of_them_build_up(monkeypatch):
    p = np.random.default_rng(20261124).beta(1, 40, 60_000)
    found = distribution(p)
    monkeypatch.setattr(poisson_binomial, "VERY_MANY", 10**9)
    np.testing.assert_allclose(found, distribution(p), atol=2e-14)
    levels = [0.001, 0.025, 0.1, 0.5, 0.9, 0.975, 0.999]
    assert list(quantile(found, levels)) == list(quantile(distribution(p), levels))


@pytest.mark.parametrize("chance", [0.0, 1e-6, 0.9, 1.0])
def test_very_many_equal_chances_are_binomial_however_rare_or_sure(chance):
    found = distribution(np.full(50_001, chance))
    np.testing.assert_allclose(found, stats.binom.pmf(np.arange(50_002), 50_001, chance), atol=1e-9)
