import numpy as np
import pytest

from pipeline.statistics.standardised import standardised_survival

BASELINE = np.eye(2)[[0, 0, 1]]
PARAMS = np.array([-3.0, -2.5, 0.7, -0.4])
ONE = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
NONE = ONE * [0.0, 1.0]


def covariance() -> np.ndarray:
    root = np.random.default_rng(20261121).normal(0, 0.1, (4, 4))
    return root @ root.T


def by_hand(params: np.ndarray, world: np.ndarray) -> float:
    """Mean over subjects of the product of staying in each interval."""
    staying = []
    for subject in world:
        chances = [np.exp(-np.exp(row @ params[:2] + subject @ params[2:])) for row in BASELINE]
        staying.append(np.prod(chances))
    return float(np.mean(staying))


def test_survival_is_the_mean_over_subjects_of_the_product_over_intervals():
    found = standardised_survival(PARAMS, covariance(), BASELINE, [NONE, ONE])
    assert found["estimate"].tolist() == pytest.approx(
        [by_hand(PARAMS, NONE), by_hand(PARAMS, ONE)]
    )
    assert np.isnan(found["difference"].iloc[0])
    assert found["difference"].iloc[1] == pytest.approx(
        by_hand(PARAMS, ONE) - by_hand(PARAMS, NONE)
    )


def test_errors_are_those_of_a_numerical_gradient():
    found = standardised_survival(PARAMS, covariance(), BASELINE, [NONE, ONE])
    steps = np.eye(4) * 1e-6
    slopes = np.array([
        [(by_hand(PARAMS + step, world) - by_hand(PARAMS - step, world)) / 2e-6 for step in steps]
        for world in (NONE, ONE)
    ])  # fmt: skip
    expected = np.sqrt([slope @ covariance() @ slope for slope in slopes])
    assert found["std_err"].tolist() == pytest.approx(expected, rel=1e-6)
    apart = slopes[1] - slopes[0]
    error = np.sqrt(apart @ covariance() @ apart)
    assert found["difference_std_err"].iloc[1] == pytest.approx(error, rel=1e-6)


def test_limits_stay_between_0_and_1_and_hold_the_estimate():
    found = standardised_survival(PARAMS, covariance() * 25, BASELINE, [NONE, ONE])
    assert (found["ci_low"] > 0).all()
    assert (found["ci_high"] < 1).all()
    assert found["estimate"].between(found["ci_low"], found["ci_high"]).all()


def test_weights_count_subjects():
    twice = standardised_survival(PARAMS, covariance(), BASELINE, [ONE[:2]], [1, 2])
    rows = standardised_survival(PARAMS, covariance(), BASELINE, [ONE])
    assert twice["estimate"].iloc[0] == pytest.approx(rows["estimate"].iloc[0])
    assert twice["std_err"].iloc[0] == pytest.approx(rows["std_err"].iloc[0])
