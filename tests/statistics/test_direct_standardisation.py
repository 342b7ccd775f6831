import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from pipeline.statistics.direct_standardisation import standardised_difference


def test_two_levels_are_weighted_by_their_share_of_both_groups():
    # Level a: 2 of 10 then 1 of 20; level b: 6 of 10 then 3 of 10. a is 30 of 50.
    level = ["a"] * 30 + ["b"] * 20
    second = [False] * 10 + [True] * 20 + [False] * 10 + [True] * 10
    lost = [1] * 2 + [0] * 8 + [1] * 1 + [0] * 19 + [1] * 6 + [0] * 4 + [1] * 3 + [0] * 7
    found = standardised_difference(range(50), second, level, lost, np.ones(50))
    assert found.first == pytest.approx(0.6 * 0.2 + 0.4 * 0.6)
    assert found.second == pytest.approx(0.6 * 0.05 + 0.4 * 0.3)
    variance = sum(
        weight**2 * (p * (1 - p) / n)
        for weight, p, n in [(0.6, 0.2, 10), (0.6, 0.05, 20), (0.4, 0.6, 10), (0.4, 0.3, 10)]
    )
    assert found.std_err == pytest.approx(np.sqrt(50 / 49 * variance))
    assert found.effective_n == 50
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.estimate) / found.std_err, 49))


def test_the_error_is_that_of_a_cluster_robust_regression():
    rng = np.random.default_rng(5)
    subject = np.repeat(np.arange(80), 12)
    second = np.tile(np.arange(12) >= 6, 80)
    bent = np.repeat(rng.normal(0, 0.15, 80), 12)
    lost = (rng.random(960) < np.clip(0.3 + bent, 0, 1)).astype(float)
    found = standardised_difference(subject, second, np.repeat("all", 960), lost, np.ones(960))
    fit = sm.OLS(lost, sm.add_constant(second.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": subject, "use_correction": False}
    )
    assert found.estimate == pytest.approx(fit.params[1])
    assert found.std_err == pytest.approx(fit.bse[1] * np.sqrt(80 / 79))


def test_a_level_that_one_group_lacks_is_read_together_with_its_like_or_not_at_all():
    level = ["a"] * 20 + ["old"] * 5 + ["new"] * 5
    second = [False] * 10 + [True] * 10 + [False] * 5 + [True] * 5
    lost = [1] * 4 + [0] * 6 + [1] * 2 + [0] * 8 + [1] * 5 + [0] * 5
    found = standardised_difference(range(30), second, level, lost, np.ones(30))
    assert found.first == pytest.approx(2 / 3 * 0.4 + 1 / 3 * 1.0)
    assert found.second == pytest.approx(2 / 3 * 0.2)
    lone = standardised_difference(range(25), second[:25], level[:25], lost[:25], np.ones(25))
    assert lone.first == pytest.approx(9 / 15)


def test_a_group_without_anybody_has_no_difference():
    found = standardised_difference(range(4), [True] * 4, ["a"] * 4, [1, 0, 0, 0], np.ones(4))
    assert np.isnan(found.estimate)
    assert found.effective_n == 0.0


def test_one_giant_leaves_an_effective_size_near_one_and_a_wide_interval():
    size = np.array([1000.0] + [1.0] * 50)
    found = standardised_difference(
        np.tile(np.arange(51), 2), np.repeat([False, True], 51), ["all"] * 102,
        np.tile(size * 0.1, 2) * np.repeat([1, 1.5], 51), np.tile(size, 2),
    )  # fmt: skip
    assert found.effective_n == pytest.approx(1.1, abs=0.02)


@pytest.mark.parametrize("is_clustered", [True, False])
def test_the_interval_covers_no_difference_when_accounts_differ_and_months_do_not(is_clustered):
    rng = np.random.default_rng(20260115)
    n, months, covered = 200, 12, 0
    second = np.tile(np.arange(months) >= months // 2, n)
    subject = np.repeat(np.arange(n), months)
    in_group = second if is_clustered else np.repeat(np.arange(n) < n // 2, months)
    for _ in range(300):
        own = np.repeat(rng.beta(0.5, 4, n), months)
        lost = (rng.random(n * months) < own).astype(float)
        found = standardised_difference(
            subject, in_group, np.repeat("all", n * months), lost, np.ones(n * months)
        )
        covered += found.ci_low <= 0 <= found.ci_high
    assert 0.92 <= covered / 300 <= 0.98
