"""What a notebook holds after a fit: the library's own object, its summary in words, one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from statsmodels.genmod.generalized_linear_model import GLMResultsWrapper

from pipeline.analysis import drivers, survival
from pipeline.analysis import time_to_value as ttv
from pipeline.analysis.time_to_value import leaving

LIMITS = ["ci_low", "ci_high"]
N = 600


def at_risk(seed: int = 11) -> pd.DataFrame:
    """Spells whose segments leave at different rates; columns as of `spells_at_risk`."""
    draw = np.random.default_rng(seed)
    segment = np.where(np.arange(N) % 2 == 0, "smb", "mid")
    days = np.ceil(draw.exponential(np.where(segment == "smb", 200, 400)))
    return pd.DataFrame(
        {
            "account_id": [f"a{number}" for number in range(N)],
            "entry_days": 0.0,
            "duration_days": np.minimum(days, 365.0),
            "is_event": days <= 365,
            "segment": segment,
        }
    )


@pytest.fixture(scope="module")
def cox() -> survival.Regression:
    return survival.cox(at_risk(), ["segment"], confidence=0.9)


@pytest.fixture(scope="module")
def grouped() -> survival.Regression:
    return survival.grouped_time(at_risk(), ["segment"], confidence=0.9)


def numbers(fit: survival.Regression) -> pd.Series:
    return fit.ratios.set_index("level").loc[fit.labels[0].split(": ")[1]]


def test_a_cox_fit_holds_the_fitter_of_lifelines_with_the_ratios_we_show(cox):
    assert isinstance(cox.fitted, CoxPHFitter)
    own, shown = cox.fitted.summary.iloc[0], numbers(cox)
    theirs = own[["exp(coef)", "exp(coef) lower 90%", "exp(coef) upper 90%", "p"]]
    ours = shown[["hazard_ratio", *LIMITS, "p_value"]]
    np.testing.assert_allclose(theirs.to_numpy(float), ours.to_numpy(float), rtol=1e-9)


def test_its_summary_names_terms_in_words_and_leaves_the_fitter_as_it_was(cox, capsys):
    cox.print_summary(style="ascii")
    assert "segment: " in capsys.readouterr().out
    assert list(cox.summary().index) == cox.labels
    assert list(cox.fitted.params_.index) == ["x0"]


def test_a_grouped_fit_holds_the_results_of_statsmodels_with_the_ratios_we_show(grouped, capsys):
    assert isinstance(grouped.fitted, GLMResultsWrapper)
    low, high = np.exp(grouped.fitted.conf_int(alpha=0.1)[-1])
    shown = numbers(grouped)
    found = [np.exp(grouped.fitted.params[-1]), low, high]
    np.testing.assert_allclose(found, shown[["hazard_ratio", *LIMITS]].to_numpy(float), rtol=1e-9)
    grouped.print_summary()
    said = str(grouped.summary())
    assert grouped.labels[0] in said
    assert "baseline 1" in said
    assert "Generalized Linear Model" in capsys.readouterr().out


def test_a_fit_says_itself_in_one_line(cox, grouped):
    events = int(at_risk()["is_event"].sum())
    assert repr(cox) == f"Cox model: 600 accounts, {events} churns, 1 term, converged"
    assert repr(grouped).startswith("Grouped-time model: 600 accounts")


def test_what_was_not_fitted_says_why_and_has_no_summary():
    nobody = survival.cox(at_risk().assign(segment="smb"), ["segment"])
    assert "not fitted: no covariate with two levels to compare" in repr(nobody)
    for summary in (nobody.summary, nobody.print_summary):
        with pytest.raises(ValueError, match="There is no fit to summarise: no covariate"):
            summary()


def spans() -> pd.DataFrame:
    """Rows of leaving models: account_id, start, stop, event, exposure, segment."""
    rows = at_risk()
    return rows.assign(
        start=0.0,
        stop=rows["duration_days"],
        event=rows["is_event"],
        has_value=(np.arange(N) % 3 == 0).astype(float),
    )


def test_a_leaving_model_holds_its_fitter_and_a_tidy_row(capsys):
    model = leaving.leaving_model(spans(), "has_value", ["segment"], 0.95)
    assert np.exp(model.fitted.params_["has_value"]) == pytest.approx(model.hazard_ratio)
    row = model.ratios.iloc[0]
    assert (row["term"], row["hazard_ratio"]) == ("has_value", model.hazard_ratio)
    model.print_summary(style="ascii")
    assert "has_value" in capsys.readouterr().out
    assert repr(model).startswith("Model of leaving: 600 accounts")


def test_a_leaving_model_of_too_few_has_none():
    model = leaving.leaving_model(spans().assign(event=False), "has_value", ["segment"], 0.95)
    assert model.fitted is None
    assert "not fitted: too few for a model" in repr(model)
    with pytest.raises(ValueError, match="too few for a model"):
        model.print_summary()


def test_a_cause_model_holds_its_fitter(capsys):
    starters = at_risk().rename(columns={"duration_days": "days"})
    starters = starters.assign(outcome=np.where(starters["is_event"], 1, 0))
    models = ttv.cause_models(starters, ["segment"], 0.95)
    fitted = next(model for model in models.values() if model.fitted is not None)
    fitted.print_summary(style="ascii")
    assert "coef" in capsys.readouterr().out
    assert "1 term, converged" in repr(fitted)


def months(seed: int = 5) -> pd.DataFrame:
    """Account-months of which those with few usage days leave more often."""
    draw = np.random.default_rng(seed)
    usage = draw.integers(0, 20, 6 * N)
    return pd.DataFrame(
        {
            "account_id": [f"a{number}" for number in np.repeat(np.arange(N), 6)],
            "period": np.tile([f"2026-0{month}" for month in range(1, 7)], N),
            "tenure_months": np.tile(np.arange(6), N) + 3,
            "is_churn": draw.random(6 * N) < np.where(usage < 8, 0.10, 0.03),
            "usage_days": usage.astype(float),
        }
    )


def test_the_drivers_model_is_refitted_by_statsmodels_to_the_same_numbers():
    model = drivers.fit(months(), ["usage_days"], 5)
    again = model.refitted()
    np.testing.assert_allclose(again.params, model.fitted.params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(again.cov_params(), model.fitted.cov, rtol=1e-5, atol=1e-8)
    assert model.recipe.columns[0] in str(model.summary())
    assert repr(model).startswith("Grouped-time hazard model: 600 accounts")


def test_the_ratios_of_the_drivers_model_are_those_of_its_effects():
    model = drivers.fit(months(), ["usage_days"], 5)
    signs = pd.Series(1.0, index=model.recipe.columns)
    effects = drivers.effects(model, signs, 0.95, 0.1)
    wanted = effects.loc[effects["finding"] != drivers.REFERENCE, ["hazard_ratio", *LIMITS]]
    np.testing.assert_array_equal(model.ratios()[["hazard_ratio", *LIMITS]], wanted)


def test_a_penalised_model_has_no_library_behind_it():
    model = drivers.fit(months(), ["usage_days"], 300)
    assert model.is_penalised
    assert len(model.ratios()) == len(model.recipe.terms)
    with pytest.raises(ValueError, match="Firth's penalty is our own estimator"):
        model.summary()
