"""Quantiles of counted values are those of the values written out."""

import numpy as np
import pytest

from pipeline.statistics.counted_values import quantiles
from pipeline.statistics.spline import restricted_cubic

SHARES = [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0]


@pytest.mark.parametrize("n_values", [1, 5, 200])
def test_quantiles_of_counted_values_are_those_of_the_values_written_out(n_values):
    draws = np.random.default_rng(20261122)
    values, n = draws.normal(size=n_values), draws.integers(1, 9, n_values)
    found = quantiles(values, n.astype(float), SHARES)
    assert found == pytest.approx(np.quantile(np.repeat(values, n), SHARES), abs=1e-14)


def test_the_bends_of_counted_values_are_those_of_the_values_written_out():
    draws = np.random.default_rng(20261123)
    values, n = draws.normal(size=60), draws.integers(1, 9, 60)
    counted = restricted_cubic(values, n.astype(float))
    assert np.repeat(counted, n, axis=0) == pytest.approx(restricted_cubic(np.repeat(values, n)))
