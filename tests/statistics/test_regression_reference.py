"""Do the regressions that we call answer as R does? Libraries called as the chapters call them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines import LogLogisticAFTFitter, LogNormalAFTFitter, WeibullAFTFitter
from scipy import stats
from statsmodels.discrete.discrete_model import NegativeBinomial
from statsmodels.stats.outliers_influence import variance_inflation_factor

from pipeline.analysis import drivers
from pipeline.statistics import cloglog, grouped_hazard
from tests.statistics.oracle import cases, needs_reference, subjects

BACTERIA = ["week", "active", "hi"]
PIMA = ["npreg", "glu", "bmi", "ped", "older"]
QUINE = ["ethN", "male", "slow", "F1", "F2", "F3"]
CELLS = ["trt2", "karno", "cell_smallcell", "cell_adeno", "cell_large"]


def design_of(people: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return sm.add_constant(people[names].astype(float), has_constant="add")


def person_periods() -> tuple[pd.Series, pd.DataFrame]:
    rows = subjects("veteran_person_period")
    baseline = pd.get_dummies(rows["pgroup"], prefix="period", dtype=float)
    return rows["event"], pd.concat([baseline, rows[CELLS].astype(float)], axis=1)


def assert_equals(found, case_id: str) -> None:
    """Coefficients, errors, and whatever fit statistics R has for the case."""
    expected = cases("glm_coef", case_id)
    np.testing.assert_allclose(found.params, expected["coef"], rtol=1e-6, atol=2e-7)
    np.testing.assert_allclose(found.bse, expected["se"], rtol=1e-6)
    fits = cases("glm_fit", case_id)
    for fit in fits.itertuples():
        ours = [found.llf, found.deviance, found.null_deviance, found.aic, found.pearson_chi2]
        theirs = [fit.loglik, fit.deviance, fit.null_deviance, fit.aic, fit.pearson_chi2]
        # R's null deviance of a model without intercept is that of no model at all.
        kept = [0, 1, 3, 4] if case_id == "cloglog_vet" else [0, 1, 2, 3, 4]
        np.testing.assert_allclose(np.array(ours)[kept], np.array(theirs)[kept], rtol=1e-6)
        assert found.bic_llf == pytest.approx(fit.bic, rel=1e-6)
        assert found.pearson_chi2 / found.df_resid == pytest.approx(fit.dispersion, rel=1e-6)


@needs_reference
def test_grouped_time_regressions_with_both_links_equal_r():
    events, design = person_periods()
    for link, case_id in (("cloglog", "cloglog_vet"), ("logit", "logit_vet")):
        found = sm.GLM(
            events, design, sm.families.Binomial(grouped_hazard.LINKS[link]())
        ).fit(maxiter=100, tol=1e-12)  # fmt: skip
        assert_equals(found, case_id)
        ours = grouped_hazard.fit(events, design, None, link=link)
        np.testing.assert_allclose(ours.params, found.params, rtol=1e-6, atol=1e-8)


@needs_reference
def test_the_fast_fit_finds_the_coefficients_of_r():
    events, design = person_periods()
    found = cloglog.scoring(events, design.to_numpy())
    expected = cases("glm_coef", "cloglog_vet")
    assert found.converged
    np.testing.assert_allclose(found.params, expected["coef"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(found.cov)), expected["se"], rtol=1e-6)


@needs_reference
def test_the_fast_fit_and_the_slow_one_have_the_likelihood_of_r_on_many_rows():
    # The fit statistics of sim_cloglog; its coefficients are held in test_grouped_hazard.
    known = ["account_id", "segment", "touch", "null_cont", "null_bin", "null_region"]
    rows = subjects("sim_account_cycles").merge(subjects("sim_accounts")[known], on="account_id")
    cycle = pd.cut(rows["cycle"], [0, 3, 6, 12, 24, 99], labels=False)
    names = ["value_at_start", "usage_lag", "tickets_lag", "play_active", "null_cont", "null_bin"]
    parts = [
        pd.get_dummies(cycle, prefix="cycle", dtype=float),
        pd.get_dummies(rows["segment"], dtype=float)[["MM", "ENT"]],
        pd.get_dummies(rows["touch"], dtype=float)[["low", "high"]],
        rows[names].astype(float),
        pd.get_dummies(rows["null_region"], prefix="region", dtype=float).iloc[:, 1:],
    ]
    design, expected = pd.concat(parts, axis=1), cases("glm_fit", "sim_cloglog").iloc[0]
    slow = grouped_hazard.fit(rows["churned"], design, None)
    fast = cloglog.scoring(rows["churned"], design.to_numpy())
    assert slow.log_likelihood == pytest.approx(expected["loglik"], rel=1e-8)
    assert 2 * design.shape[1] - 2 * slow.log_likelihood == pytest.approx(expected["aic"], rel=1e-8)
    np.testing.assert_allclose(fast.params, slow.params, rtol=1e-6, atol=1e-8)
    model_based = np.sqrt(np.diag(slow.cov))
    np.testing.assert_allclose(np.sqrt(np.diag(fast.cov)), model_based, rtol=1e-5)


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "options"),
    [
        ("logit_bact_model", {}),
        ("logit_bact_HC0", {"cov_type": "HC0"}),
        ("logit_bact_CR0", {"cov_type": "cluster", "correct": False}),
        ("logit_bact_CR1", {"cov_type": "cluster", "correct": True}),
    ],
)
def test_each_kind_of_error_of_a_logistic_model_equals_r(case_id, options):
    rows = subjects("bacteria")
    keywords = dict(options)
    if "correct" in keywords:
        groups = rows["id"].to_numpy()
        keywords["cov_kwds"] = {"groups": groups, "use_correction": keywords.pop("correct")}
    model = sm.GLM(rows["y"], design_of(rows, BACTERIA), sm.families.Binomial())
    assert_equals(model.fit(tol=1e-12, **keywords), case_id)


@needs_reference
def test_our_factor_for_few_clusters_is_the_named_one_and_not_the_smaller():
    rows = subjects("bacteria")
    ours = grouped_hazard.fit(rows["y"], design_of(rows, BACTERIA), rows["id"], link="logit")
    errors = np.sqrt(np.diag(ours.cov))
    np.testing.assert_allclose(errors, cases("glm_coef", "logit_bact_CR1")["se"], rtol=1e-6)
    n, k = len(rows), 4
    plain = cases("glm_coef", "logit_bact_CR0_G")["se"]
    np.testing.assert_allclose(errors / np.sqrt((n - 1) / (n - k)), plain, rtol=1e-6)


@needs_reference
def test_estimating_equations_equal_r():
    rows = subjects("bacteria")
    for case_id, structure, rtol in (
        ("gee_bact_ind", sm.cov_struct.Independence(), 1e-6),
        ("gee_bact_exch", sm.cov_struct.Exchangeable(), 3e-2),
    ):
        found = sm.GEE(
            rows["y"], design_of(rows, BACTERIA), rows["id"],
            family=sm.families.Binomial(), cov_struct=structure,
        ).fit()  # fmt: skip
        expected = cases("gee", case_id)
        np.testing.assert_allclose(found.params, expected["coef"], rtol=rtol)
        np.testing.assert_allclose(found.bse, expected["robust_se"], rtol=rtol)


@needs_reference
def test_a_logistic_model_and_its_inflation_factors_equal_r():
    people = subjects("pima_train")
    model = sm.GLM(people["y"], design_of(people, PIMA), sm.families.Binomial())
    assert_equals(model.fit(tol=1e-12), "logit_pima")
    expected = cases("vif", "vif_pima").set_index("term")["vif"]
    design = design_of(people, list(expected.index)).to_numpy()
    found = [variance_inflation_factor(design, k + 1) for k in range(len(expected))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@needs_reference
def test_counts_equal_r_with_and_without_overdispersion():
    people = subjects("quine")
    design = design_of(people, QUINE)
    plain = sm.GLM(people["days"], design, sm.families.Poisson())
    assert_equals(plain.fit(tol=1e-12), "pois_quine")
    quasi, expected = plain.fit(tol=1e-12, scale="X2"), cases("glm_coef", "qpois_quine")
    np.testing.assert_allclose(quasi.bse, expected["se"], rtol=1e-6)
    mixed = NegativeBinomial(people["days"], design).fit(disp=0, maxiter=200)
    expected, theta = cases("glm_coef", "nb_quine"), cases("nb_theta", "nb_quine").iloc[0]
    np.testing.assert_allclose(mixed.params[:-1], expected["coef"], rtol=1e-4, atol=1e-6)
    assert mixed.params["alpha"] == pytest.approx(theta["alpha"], rel=1e-5)
    assert mixed.llf == pytest.approx(theta["loglik"], rel=1e-9)
    assert 2 * (len(QUINE) + 2) - 2 * mixed.llf == pytest.approx(theta["aic"], rel=1e-9)
    # R holds theta fixed for the errors; statsmodels does not: up to 3 % apart.
    np.testing.assert_allclose(mixed.bse[:-1], expected["se"], rtol=3.1e-2)


LUNG = ("lung_complete_case", "time", "dead", ["age", "sex", "ph.ecog"])
ROSSI = ("rossi", "week", "arrest", ["fin", "age", "race", "wexp", "mar", "paro", "prio"])


def accelerated(case_id: str, fitter, people: tuple) -> tuple[pd.Series, pd.DataFrame, object]:
    data, time, event, names = people
    rows = subjects(data)[[time, event, *names]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fitter().fit(rows, time, event)
    location = fit.params_.index.get_level_values(0)[0]
    found = fit.params_[location].reindex(["Intercept", *names])
    return found, cases("aft", case_id), fit


@needs_reference
@pytest.mark.parametrize(
    ("case_id", "fitter", "people"),
    [
        ("aft_lung_weibull", WeibullAFTFitter, LUNG),
        ("aft_lung_lognormal", LogNormalAFTFitter, LUNG),
        ("aft_rossi_weibull", WeibullAFTFitter, ROSSI),
    ],
)
def test_accelerated_lives_equal_r(case_id, fitter, people):
    found, expected, fit = accelerated(case_id, fitter, people)
    names = ["(Intercept)", *people[3]]
    theirs = expected.set_index("term").loc[names, "estimate"]
    np.testing.assert_allclose(found, theirs, rtol=1e-4, atol=1e-6)
    assert fit.log_likelihood_ == pytest.approx(expected["loglik"].iloc[0], rel=1e-9)
    sigma = fit.params_.filter(like="sigma_")
    shape = fit.params_[~fit.params_.index.get_level_values(0).isin(["mu_", "lambda_"])].iloc[0]
    scale = np.exp(shape if len(sigma) else -shape)
    assert scale == pytest.approx(expected["scale"].iloc[0], rel=1e-4)


@needs_reference
def test_constant_hazards_as_an_accelerated_life_equal_r():
    # An exponential life is a Poisson count with the follow-up as exposure, signs turned.
    data, time, event, names = LUNG
    rows, expected = subjects(data), cases("aft", "aft_lung_exponential")
    model = sm.GLM(
        rows[event], design_of(rows, names), sm.families.Poisson(), offset=np.log(rows[time])
    )
    found = model.fit(tol=1e-12)
    theirs = expected[expected["term"] != "Log(scale)"]
    np.testing.assert_allclose(-found.params, theirs["estimate"], rtol=1e-6)
    np.testing.assert_allclose(found.bse, theirs["se"], rtol=1e-6)


@needs_reference
def test_log_logistic_lives_of_lifelines_may_stop_early():
    found, expected, fit = accelerated("aft_lung_loglogistic", LogLogisticAFTFitter, LUNG)
    theirs = expected.set_index("term").loc[["(Intercept)", *LUNG[3]], "estimate"]
    np.testing.assert_allclose(found, theirs, rtol=3e-2)
    assert fit.log_likelihood_ < expected["loglik"].iloc[0] + 1e-9


@needs_reference
def test_the_bands_of_a_calibration_hold_the_counts_of_r():
    people, expected = subjects("pima_test_predictions"), cases("hosmer_lemeshow", "hl_pima")
    rank = people["p"].rank(method="first")
    edges = np.quantile(rank, np.linspace(0, 1, 11))
    people = people.assign(band=np.searchsorted(edges[1:-1], rank, side="left") + 1)
    bands = people.groupby("band").agg(n=("y", "size"), observed=("y", "sum"), awaited=("p", "sum"))
    assert bands["n"].tolist() == expected["n"].tolist()
    assert bands["observed"].tolist() == expected["observed"].tolist()
    np.testing.assert_allclose(bands["awaited"], expected["expected"], rtol=1e-8)
    left = bands["awaited"] * (1 - bands["awaited"] / bands["n"])
    statistic = ((bands["observed"] - bands["awaited"]) ** 2 / left).sum()
    assert statistic == pytest.approx(expected["chisq_total"].iloc[0], rel=1e-8)
    # New data, so ten bands are ten degrees of freedom, none spent on fitting.
    p_value = stats.chi2.sf(statistic, 10)
    assert p_value == pytest.approx(expected["p_df_g"].iloc[0], rel=1e-8)
    ours = drivers.calibration(people["p"].to_numpy(), people["y"].to_numpy(), 0.95)
    assert np.abs(ours["n"] - expected["n"]).max() <= 1  # a row at an edge may fall either way
    assert np.abs(ours["n_events"] - expected["observed"]).max() <= 1
    assert ours["n"].sum() == expected["n"].sum()
