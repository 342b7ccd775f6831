import numpy as np
import pytest
from lifelines import CoxPHFitter
from statsmodels.duration.hazard_regression import PHReg

from pipeline.statistics.influence import robust_covariance, score_residuals
from tests.statistics.oracle import cases, late_subjects, needs_reference, subjects

EXACT = {"precision": 1e-12, "r_precision": 1e-14}


def fitted(rows, columns, strata=None):
    own = rows[["duration", "event", "entry", *columns, *([strata] if strata else [])]]
    return CoxPHFitter().fit(
        own, "duration", "event", entry_col="entry", strata=[strata] if strata else None,
        fit_options=EXACT,
    )  # fmt: skip


@needs_reference
def test_influence_equals_r_under_heavy_ties():
    people, expected = subjects("rossi"), cases("cox_residuals", "resid_rossi")
    columns = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
    rows = people.assign(duration=people["week"], event=people["arrest"], entry=0)
    fit = fitted(rows, columns)
    residuals = score_residuals(
        rows["duration"], rows["event"], rows[columns].to_numpy(float), fit.params_.to_numpy()
    )
    moved = residuals @ fit.variance_matrix_.to_numpy()
    names = [f"dfbeta_{name}" for name in columns]
    np.testing.assert_allclose(moved, expected[names].to_numpy(), atol=2e-9)
    assert np.abs(residuals.sum(axis=0)).max() < 1e-4


@needs_reference
@pytest.mark.parametrize("case", ["ag", "pwp", "pwp_gap"])
def test_errors_by_subject_of_recurrent_events_equal_r(case):
    people = subjects("bladder2")
    is_gap = case == "pwp_gap"
    rows = people.assign(
        duration=people["stop"] - (people["start"] if is_gap else 0),
        entry=0 if is_gap else people["start"],
    )
    columns, strata = ["rx", "number", "size"], None if case == "ag" else "enum"
    fit = fitted(rows, columns, strata)
    residuals = score_residuals(
        rows["duration"], rows["event"], rows[columns].to_numpy(float), fit.params_.to_numpy(),
        rows["entry"], rows[strata] if strata else None,
    )  # fmt: skip
    cov = robust_covariance(residuals, fit.variance_matrix_.to_numpy(), rows["id"])
    expected = cases("cox_coef", f"cox_bladder_{case}").set_index("term").loc[columns]
    np.testing.assert_allclose(fit.params_, expected["coef"], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), expected["robust_se"], rtol=1e-6)


def test_without_ties_statsmodels_gives_the_same_residuals_with_delayed_entry():
    late = late_subjects()
    covariates = late[["x", "z"]].to_numpy()
    happened = (late["cause"] > 0).to_numpy()
    coefficients = np.array([0.8, 0.1])
    ours = score_residuals(
        late["exit_untied"], happened, covariates, coefficients, late["entry_untied"]
    )
    model = PHReg(
        late["exit_untied"], covariates, status=happened, entry=late["entry_untied"] + 1e-9,
        ties="efron",
    )  # fmt: skip
    theirs = model.score_residuals(coefficients)
    times = late.loc[happened, "exit_untied"].to_numpy()
    seen = (times > late[["entry_untied"]].to_numpy()) & (times <= late[["exit_untied"]].to_numpy())
    is_exposed = seen.any(axis=1)  # statsmodels puts a subject who saw no event at risk of one
    np.testing.assert_allclose(ours[is_exposed], theirs[is_exposed], atol=1e-8)
    assert is_exposed.sum() == len(late) - 1
    assert not ours[~is_exposed].any()


def test_a_stratum_without_events_moves_nothing():
    residuals = score_residuals(
        [1, 2, 3, 1, 2], [1, 1, 0, 0, 0], np.arange(5.0)[:, None], [0.1], strata=list("aaabb")
    )
    assert residuals[3:].tolist() == [[0.0], [0.0]]
    assert residuals[:3].any()
