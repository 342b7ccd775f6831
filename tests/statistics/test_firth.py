import numpy as np
import pandas as pd
import pytest

from pipeline.statistics import cloglog, firth
from pipeline.statistics.firth import firth_logistic
from tests.statistics.oracle import cases, needs_reference, subjects


def test_one_proportion_is_shrunk_by_half_a_case_on_each_side():
    # With an intercept alone Firth's penalty is Jeffreys' prior: logit of (k + 1/2)/(n + 1).
    found = firth_logistic([1, 0, 0, 0], pd.DataFrame({"one": np.ones(4)}))
    np.testing.assert_allclose(found.loc["one", "coef"], np.log(1.5 / 3.5), rtol=1e-9)


@needs_reference
def test_coefficients_and_profile_limits_equal_r_although_the_groups_are_separated():
    people, expected = subjects("endometrial"), cases("firth", "firth_endometrial")
    design = people[["NV", "PI", "EH"]].assign(**{"(Intercept)": 1.0})[list(expected["term"])]
    found = firth_logistic(people["HG"], design)
    np.testing.assert_allclose(found["coef"], expected["coef"], rtol=1e-6)
    np.testing.assert_allclose(found["se"], expected["se_wald"], rtol=1e-6)
    np.testing.assert_allclose(found["ci_low"], expected["pl_lower"], rtol=1e-4)
    np.testing.assert_allclose(found["ci_high"], expected["pl_upper"], rtol=1e-4)
    np.testing.assert_allclose(found["p_value"], expected["plr_p"], rtol=1e-4)


def test_a_group_without_a_case_has_a_finite_coefficient():
    design = pd.DataFrame({"one": np.ones(40), "exposed": np.repeat([0.0, 1.0], [30, 10])})
    found = firth_logistic(np.r_[np.ones(12), np.zeros(28)], design)
    assert -5 < found.loc["exposed", "coef"] < -1
    assert found.loc["exposed", "ci_high"] < 0


def test_an_offset_takes_its_part_out_of_the_intercept():
    outcomes, one = [1, 0, 0, 1, 0], pd.DataFrame({"one": np.ones(5)})
    plain = firth_logistic(outcomes, one)
    shifted = firth_logistic(outcomes, one, offset=np.full(5, 0.7))
    np.testing.assert_allclose(shifted["coef"], plain["coef"] - 0.7, rtol=1e-8)
    np.testing.assert_allclose(shifted["ci_low"], plain["ci_low"] - 0.7, rtol=1e-6)


def test_columns_that_follow_from_each_other_and_odd_outcomes_are_refused():
    twice = pd.DataFrame({"one": np.ones(3), "two": 2 * np.ones(3)})
    with pytest.raises(ValueError, match="2 columns of the design have rank 1"):
        firth_logistic([0, 1, 1], twice)
    with pytest.raises(ValueError, match="1 outcomes are neither 0 nor 1"):
        firth_logistic([0, 1, 2], twice[["one"]])


def test_equal_rows_may_be_counted_in_place_of_written_out():
    draws = np.random.default_rng(3)
    cells = pd.DataFrame({"one": 1.0, "level": [0.0, 1.0] * 3, "days": [0.0, 1, 2, 3, 4, 5]})
    counts, outcomes = draws.integers(1, 30, 6), np.array([1, 0, 0, 1, 0, 0])
    counted = firth_logistic(outcomes, cells, counts=counts)
    written = cells.loc[cells.index.repeat(counts)]
    expected = firth_logistic(outcomes.repeat(counts), written)
    pd.testing.assert_frame_equal(counted, expected, rtol=1e-7)


def many_rows() -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """Outcomes, a design whose last column is 1 in row 7 alone, and an offset; 800 rows."""
    draws = np.random.default_rng(11)
    days, level = draws.normal(size=800), draws.integers(0, 2, 800)
    outcomes = (draws.random(800) < 0.1 + 0.1 * level).astype(float)
    rare = np.arange(800) == 7
    design = pd.DataFrame({"one": 1.0, "days": days, "level": level, "rare": rare.astype(float)})
    return outcomes, design, draws.normal(scale=0.2, size=800)


def starts_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, np.ndarray]]:
    """How many rows each fit had and where it began, as the fits come."""
    maximise, starts = firth._maximise, []

    def noted(model, start, held=None):
        starts.append((len(model.y), start.copy()))
        return maximise(model, start, held)

    monkeypatch.setattr(firth, "_maximise", noted)
    return starts


def test_a_fit_of_very_many_rows_begins_from_a_part_and_ends_where_it_would(monkeypatch):
    outcomes, design, offset = many_rows()
    design = design.drop(columns="rare")
    whole = firth_logistic(outcomes, design, offset=offset)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 200)
    starts = starts_of(monkeypatch)
    found = firth_logistic(outcomes, design, offset=offset)
    pd.testing.assert_frame_equal(found, whole, rtol=1e-7)
    (part, zero), (every, near) = starts[:2]
    assert (part, every, zero.any()) == (200, 800, False)
    assert np.abs(near - whole["coef"]).max() < 0.5


def test_a_part_that_lacks_a_level_is_not_begun_from(monkeypatch):
    outcomes, design, offset = many_rows()
    whole = firth_logistic(outcomes, design, offset=offset)
    monkeypatch.setattr(cloglog, "PILOT_ROWS", 200)
    starts = starts_of(monkeypatch)
    found = firth_logistic(outcomes, design, offset=offset)
    pd.testing.assert_frame_equal(found, whole, rtol=1e-7)
    assert (starts[0][0], starts[0][1].any()) == (800, False)
