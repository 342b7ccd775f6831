import numpy as np
import pandas as pd
import pytest

from pipeline.statistics.grouped_hazard import fit
from pipeline.statistics.marginal_effects import average_marginal_effects
from tests.statistics.oracle import cases, needs_reference, subjects


def errors(fitted) -> np.ndarray:
    return np.sqrt(np.diag(fitted.cov))


def sample_rows(n_accounts: int, seed: int) -> pd.DataFrame:
    """Account-months of accounts that share a frailty-free cloglog hazard; truth 0.5 and -0.8."""
    random = np.random.default_rng(seed)
    accounts = pd.DataFrame(
        {
            "account": np.arange(n_accounts),
            "x": random.normal(size=n_accounts).round(3),
            "z": random.integers(0, 2, n_accounts),
        }
    )
    rows = accounts.loc[accounts.index.repeat(12)].reset_index(drop=True)
    hazard = 1 - np.exp(-np.exp(-2.5 + 0.5 * rows["x"] - 0.8 * rows["z"]))
    rows["event"] = (random.random(len(rows)) < hazard).astype(int)
    earlier = rows.groupby("account")["event"].cumsum() - rows["event"]
    return rows[earlier == 0].assign(one=1.0).reset_index(drop=True)


def design_of(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["one", "x", "z"]].astype(float)


@needs_reference
def test_the_cloglog_fit_equals_r_on_person_periods():
    rows = subjects("veteran_person_period")
    names = ["trt2", "karno", "cell_smallcell", "cell_adeno", "cell_large"]
    design = pd.concat([pd.get_dummies(rows["pgroup"], dtype=float), rows[names]], axis=1)
    fitted = fit(rows["event"], design.astype(float), None)
    expected = cases("glm_coef", "cloglog_vet")
    np.testing.assert_allclose(fitted.params, expected["coef"], rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(errors(fitted), expected["se"], rtol=1e-6)
    likelihood = cases("glm_fit", "cloglog_vet")["loglik"].iloc[0]
    assert fitted.log_likelihood == pytest.approx(likelihood, rel=1e-8)
    assert fitted.converged


@needs_reference
def test_the_cloglog_fit_equals_r_on_simulated_account_cycles():
    names = ["account_id", "segment", "touch", "null_cont", "null_bin", "null_region"]
    rows = subjects("sim_account_cycles").merge(subjects("sim_accounts")[names], on="account_id")
    cycle = pd.cut(rows["cycle"], [0, 3, 6, 12, 24, 99], labels=False)
    blocks = [pd.get_dummies(cycle, prefix="cycle", dtype=float)]
    for column, levels in (("segment", ["MM", "ENT"]), ("touch", ["low", "high"])):
        blocks.append(pd.DataFrame({level: (rows[column] == level) * 1.0 for level in levels}))
    plain = ["value_at_start", "usage_lag", "tickets_lag", "play_active", "null_cont", "null_bin"]
    regions = pd.get_dummies(rows["null_region"], prefix="region", dtype=float).iloc[:, 1:]
    design = pd.concat([*blocks, rows[plain].astype(float), regions], axis=1)
    fitted = fit(rows["churned"], design, None)
    expected = cases("glm_coef", "sim_cloglog")
    np.testing.assert_allclose(fitted.params, expected["coef"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(errors(fitted), expected["se"], rtol=1e-6)


@needs_reference
def test_errors_clustered_by_subject_equal_r():
    rows = subjects("bacteria")
    design = rows[["week", "active", "hi"]].astype(float)
    design.insert(0, "(Intercept)", 1.0)
    fitted = fit(rows["y"], design, rows["id"], link="logit")
    expected = cases("glm_coef", "logit_bact_CR1")
    np.testing.assert_allclose(fitted.params, expected["coef"], rtol=1e-6)
    np.testing.assert_allclose(errors(fitted), expected["se"], rtol=1e-6)
    assert fitted.n_groups == rows["id"].nunique()


@needs_reference
def test_average_marginal_effects_equal_r():
    people, expected = subjects("pima_train"), cases("ame", "ame_pima")
    design = people[["npreg", "glu", "bmi", "ped", "older"]].astype(float)
    design.insert(0, "(Intercept)", 1.0)
    fitted = fit(people["y"], design, None, link="logit")
    slopes = average_marginal_effects(fitted, design, ["npreg", "glu", "bmi", "ped"])
    steps = average_marginal_effects(fitted, design, ["older"], kind="discrete")
    found = pd.concat([slopes, steps], ignore_index=True)
    for ours, theirs in (("ame", "ame"), ("std_err", "se")):
        np.testing.assert_allclose(found[ours], expected[theirs], rtol=1e-6)
    np.testing.assert_allclose(found["p_value"], expected["p"], rtol=1e-4)
    np.testing.assert_allclose(found["ci_low"], expected["lower"], atol=1e-7)
    np.testing.assert_allclose(found["ci_high"], expected["upper"], atol=1e-7)


@pytest.mark.parametrize("kind", ["dydx", "discrete"])
def test_effect_and_error_are_those_of_numeric_derivatives(kind):
    rows = sample_rows(400, seed=3)
    design, column = design_of(rows), "x" if kind == "dydx" else "z"
    fitted = fit(rows["event"], design, rows["account"])

    def effect(params: np.ndarray) -> float:
        def risk(frame: pd.DataFrame) -> float:
            return float((1 - np.exp(-np.exp(frame.to_numpy() @ params))).mean())

        if kind == "discrete":
            return risk(design.assign(z=1.0)) - risk(design.assign(z=0.0))
        h = 1e-5
        return (risk(design.assign(x=design["x"] + h)) - risk(design.assign(x=design["x"] - h))) / (
            2 * h
        )

    at, h = fitted.params.to_numpy(), 1e-4
    gradient = [(effect(at + step) - effect(at - step)) / (2 * h) for step in h * np.eye(3)]
    found = average_marginal_effects(fitted, design, [column], kind).iloc[0]
    assert found["ame"] == pytest.approx(effect(at), rel=1e-6)
    expected = np.sqrt(np.array(gradient) @ fitted.cov.to_numpy() @ np.array(gradient))
    assert found["std_err"] == pytest.approx(expected, rel=1e-4)


def test_the_other_dummies_of_a_factor_are_held_at_0_on_both_sides():
    design = pd.DataFrame(
        {"one": 1.0, "b": [0, 1, 0, 0, 1, 0], "c": [0, 0, 1, 1, 0, 0]}, dtype=float
    )
    rows = pd.concat([design] * 40, ignore_index=True)
    chance = 0.2 + 0.5 * rows["b"] + 0.3 * rows["c"]
    events = (np.random.default_rng(8).random(len(rows)) < chance).astype(int)
    fitted = fit(events, rows, None)
    found = average_marginal_effects(fitted, rows, ["b"], "discrete", siblings={"b": ["c"]})
    risks = [events[rows["b"] == 1].mean(), events[(rows["b"] == 0) & (rows["c"] == 0)].mean()]
    assert found["ame"].iloc[0] == pytest.approx(risks[0] - risks[1], abs=1e-8)


def test_weights_stand_for_repeated_rows():
    rows = sample_rows(200, seed=4)
    twice = pd.concat([rows, rows[rows["z"] == 1]], ignore_index=True)
    weighted = fit(rows["event"], design_of(rows), None, weights=1.0 + rows["z"].to_numpy())
    repeated = fit(twice["event"], design_of(twice), None)
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-7)
    np.testing.assert_allclose(weighted.cov, repeated.cov, rtol=1e-6)


def test_the_true_log_hazard_ratios_are_found():
    rows = sample_rows(6000, seed=5)
    fitted = fit(rows["event"], design_of(rows), rows["account"])
    distance = (fitted.params - [-2.5, 0.5, -0.8]) / errors(fitted)
    assert (distance.abs() < 3).all()
    assert (errors(fitted) < 0.06).all()


def test_a_level_without_an_event_is_reported_as_not_converged():
    rows = sample_rows(200, seed=6)
    design = design_of(rows).assign(rare=(rows["event"] == 0) & (rows["x"] > 0.8)).astype(float)
    fitted = fit(rows["event"], design, rows["account"])
    assert not fitted.converged


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_a_level_at_which_everybody_leaves_is_not_converged_and_says_nothing_beside(link):
    rows = sample_rows(200, seed=6)
    every = (rows["event"] == 1) & (rows["x"] > 0.5)
    design = design_of(rows).assign(every=every).astype(float)
    fitted = fit(rows["event"], design, rows["account"], link=link)  # warnings are errors
    assert not fitted.converged


def test_columns_that_follow_from_others_and_missing_values_are_refused():
    rows = sample_rows(50, seed=7)
    with pytest.raises(ValueError, match=r"1 columns of the design are 0 or follow .*empty"):
        fit(rows["event"], design_of(rows).assign(empty=0.0), None)
    with pytest.raises(ValueError, match="1 columns of the design are 0 or follow"):
        fit(rows["event"], design_of(rows).assign(both=rows["z"] + 1.0), None)
    with pytest.raises(ValueError, match="1 rows have a missing or infinite covariate"):
        fit(rows["event"], design_of(rows).assign(x=[np.nan, *rows["x"][1:]]), None)


def test_an_unknown_kind_of_effect_is_refused():
    rows = sample_rows(50, seed=9)
    fitted = fit(rows["event"], design_of(rows), None)
    with pytest.raises(ValueError, match="unknown kind 'slope'"):
        average_marginal_effects(fitted, design_of(rows), ["x"], "slope")
