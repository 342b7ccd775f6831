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
