"""E-values against printed ones."""

import math

import pytest

from pipeline.statistics.e_value import e_value, e_value_of_limit
from tests.statistics.oracle import cases, needs_reference


def test_a_ratio_of_3_9_needs_7_26():
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)  # VanderWeele & Ding (2017), table 2


@needs_reference
def test_ratios_and_limits_agree_with_r():
    for row in cases("evalue", "evalue_basic").query("type != 'OR_common'").itertuples():
        is_common = row.type == "HR_common"
        assert e_value(row.est, is_common) == pytest.approx(row.e_value, rel=1e-8)
        found = e_value_of_limit(row.lo, row.hi, is_common)
        assert found == pytest.approx(row.e_value_ci, rel=1e-8)


def test_an_interval_that_holds_one_needs_nothing():
    assert e_value_of_limit(0.9, 4.0) == 1.0


def test_a_missing_ratio_has_no_e_value():
    assert math.isnan(e_value(math.nan, is_common_hazard=True))
