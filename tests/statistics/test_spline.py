import numpy as np
import pytest

from pipeline.statistics.spline import KNOTS, restricted_cubic


def test_bends_are_straight_beyond_the_outer_knots():
    x = np.linspace(0, 100, 1001)
    bends = restricted_cubic(x)
    assert bends.shape == (1001, len(KNOTS) - 2)
    low, high = np.quantile(x, [KNOTS[0], KNOTS[-1]])
    second = np.diff(bends, n=2, axis=0)
    outside = (x[1:-1] < low - 0.2) | (x[1:-1] > high + 0.2)
    assert np.abs(second[outside]).max() < 1e-9
    assert np.abs(second[~outside]).max() > 1e-6


def test_a_count_with_few_values_has_fewer_bends_or_none():
    assert restricted_cubic([0, 1] * 20).shape == (40, 0)
    assert restricted_cubic(np.arange(40) % 3).shape == (40, 1)
    assert restricted_cubic([]).shape == (0, 0)


def test_the_bends_and_the_line_are_independent():
    x = np.random.default_rng(20261121).gamma(2, 3, 500)
    design = np.column_stack([np.ones(500), x, restricted_cubic(x)])
    assert np.linalg.matrix_rank(design) == pytest.approx(5)
