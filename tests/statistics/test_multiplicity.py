import numpy as np

from pipeline.statistics.multiplicity import benjamini_hochberg, holm
from tests.statistics.oracle import cases, needs_reference


@needs_reference
def test_q_values_equal_r():
    expected = cases("multiplicity", "padjust")
    np.testing.assert_allclose(benjamini_hochberg(expected["p"]), expected["bh"], rtol=1e-8)


@needs_reference
def test_holms_p_values_equal_r():
    expected = cases("multiplicity", "padjust")
    np.testing.assert_allclose(holm(expected["p"]), expected["holm"], rtol=1e-8)


def test_holm_multiplies_by_what_is_left_and_never_falls():
    found = holm([0.04, np.nan, 0.01, 0.03])
    np.testing.assert_allclose(found, [0.06, np.nan, 0.03, 0.06])


def test_a_missing_p_value_stays_missing_and_does_not_count():
    found = benjamini_hochberg([0.01, np.nan, 0.04])
    np.testing.assert_allclose(found, [0.02, np.nan, 0.04])


def test_nothing_tested_gives_nothing():
    assert benjamini_hochberg([]).size == 0
    assert np.isnan(benjamini_hochberg([np.nan])).all()
