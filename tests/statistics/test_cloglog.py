import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import Binomial, links

from pipeline.statistics import cloglog, grouped_hazard


@pytest.fixture(scope="module")
def months() -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Events, design and account of 1200 rows of 200 accounts."""
    draws = np.random.default_rng(20261122)
    design = pd.DataFrame({"one": 1.0, "x": draws.normal(size=1200)})
    share = -np.expm1(-np.exp(-2 + 0.5 * design["x"].to_numpy()))
    return (draws.random(1200) < share).astype(float), design, np.repeat(np.arange(200), 6)


def test_quick_clustered_errors_equal_those_of_the_regression(months):
    events, design, accounts = months
    slow = grouped_hazard.fit(events, design, accounts)
    quick = cloglog.scoring(events, design.to_numpy())
    quick = cloglog.clustered(events, design.to_numpy(), quick, accounts)
    np.testing.assert_allclose(quick.cov, slow.cov.to_numpy(), rtol=1e-6)
    likelihood = cloglog.log_likelihood(events, design.to_numpy(), quick.params)
    assert likelihood == pytest.approx(slow.log_likelihood, rel=1e-9)


def test_estimating_equations_with_independence_give_the_same_coefficients_and_errors(months):
    events, design, accounts = months
    family = Binomial(link=links.CLogLog())
    found = sm.GEE(events, design, groups=accounts, family=family).fit(ctol=1e-10)
    quick = cloglog.scoring(events, design.to_numpy())
    quick = cloglog.clustered(events, design.to_numpy(), quick, accounts)
    np.testing.assert_allclose(quick.params, found.params, rtol=1e-6)
    # GEE takes expected information where the regression takes what was observed.
    expected = np.sqrt(np.diag(found.cov_params()))
    np.testing.assert_allclose(np.sqrt(np.diag(quick.cov)), expected, rtol=2e-2)


def test_a_coefficient_that_ran_away_does_not_stop_the_others_early():
    draws = np.random.default_rng(11)
    days, is_rare = draws.normal(size=20_000), np.arange(20_000) < 2
    events = (draws.random(20_000) < -np.expm1(-np.exp(-3 + 0.5 * days))) & ~is_rare
    design = np.column_stack([np.ones(20_000), days, is_rare])
    alone = cloglog.scoring(events[~is_rare], design[~is_rare, :2])
    found = cloglog.scoring(events, design, np.append(alone.params + 0.002, -3e6))
    np.testing.assert_allclose(found.params[:2], alone.params, atol=1e-10)


def test_a_fit_of_very_many_rows_begun_from_a_part_ends_where_the_others_do(monkeypatch):
    draws = np.random.default_rng(12)
    design = np.column_stack([np.ones(30_000), draws.normal(size=(30_000, 2))])
    events = draws.random(30_000) < -np.expm1(-np.exp(design @ [-3, 0.5, -0.2]))
    whole = cloglog.scoring(events, design)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 10_000)
    begun = cloglog.scoring(events, design)
    np.testing.assert_allclose(begun.params, whole.params, rtol=1e-9)
    np.testing.assert_allclose(begun.cov, whole.cov, rtol=1e-7)


def test_a_level_that_nobody_in_the_first_part_left_from_is_fitted_on_the_whole(monkeypatch):
    draws = np.random.default_rng(13)
    number, days = np.arange(40_000), draws.normal(size=40_000)
    is_rare = number % 200 < 2
    events = (draws.random(40_000) < -np.expm1(-np.exp(-3 + 0.5 * days))) & ~is_rare
    events[[201, 401]] = True  # every fourth row, from 0 on, holds none of these
    design = pd.DataFrame({"one": 1.0, "days": days, "is_rare": is_rare})
    counts = np.where(is_rare, 1.0, 1000.0)  # as far from each other as in millions of rows
    whole = cloglog.scoring(events, design, None, counts)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 10_000)
    begun = cloglog.scoring(events, design, None, counts)
    np.testing.assert_allclose(begun.params, whole.params, rtol=1e-7)


def test_a_few_large_values_do_not_keep_a_fit_of_many_rows_from_settling(monkeypatch):
    draws = np.random.default_rng(14)
    large = np.where(np.arange(400_000) % 200 == 0, 200.0, 0.0)
    events = draws.random(400_000) < -np.expm1(-np.exp(-4 + np.log(3) * large / 200))
    design, start = np.column_stack([np.ones(400_000), large]), np.array([-4.0, 0.0])
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 500_000)
    whole = cloglog.scoring(events, design, start)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 300_000)
    found = cloglog.scoring(events, design, start)
    assert found.converged
    np.testing.assert_allclose(found.params, whole.params, rtol=1e-7)
