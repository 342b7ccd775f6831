import numpy as np
import pytest

from pipeline.statistics.proportions import newcombe, wilson
from tests.statistics.oracle import cases, needs_reference


@needs_reference
def test_wilson_limits_equal_r():
    expected = cases("proportions", "wilson_basic")
    found = wilson(expected["x"], expected["n"])
    np.testing.assert_allclose(found.estimate, expected["p"], rtol=1e-8)
    np.testing.assert_allclose(found.ci_low, expected["wilson_lower"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.ci_high, expected["wilson_upper"], rtol=1e-8)


@needs_reference
def test_newcombe_limits_equal_r():
    for row in cases("two_proportions", "newcombe_basic").itertuples():
        found = newcombe(row.x1, row.n1, row.x2, row.n2)
        np.testing.assert_allclose(found, [row.diff, row.lower, row.upper], rtol=1e-8)


def test_a_share_of_nobody_is_missing_and_not_0():
    found = wilson([0, 1], [0, 2])
    assert np.isnan(found.estimate).tolist() == [True, False]
    assert np.isnan(found.ci_high).tolist() == [True, False]
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(newcombe(0, 0, 1, 2)).all()


def test_none_and_all_reach_their_limit_exactly():
    _, low, high = wilson([0, 500], [500, 500])
    assert low[0] == 0.0
    assert high[1] == 1.0


def test_a_single_share_gives_numbers():
    estimate, low, high = wilson(3, 10)
    assert estimate == 0.3
    assert 0 < low < 0.3 < high < 1


def test_a_part_that_exceeds_its_whole_is_refused():
    with pytest.raises(ValueError, match=r"1 counts .* \(first: 5 of 4\)"):
        wilson([1, 5], [2, 4])


def test_more_confidence_gives_a_wider_interval():
    assert wilson(3, 10, 0.99).ci_low < wilson(3, 10, 0.9).ci_low
    assert newcombe(3, 10, 1, 9, 0.99).ci_high > newcombe(3, 10, 1, 9, 0.9).ci_high
