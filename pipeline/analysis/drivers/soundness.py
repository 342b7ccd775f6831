"""Would a reviewer believe the model? Its checks, and the chapter's primary contrast with them.

Works on what the other modules found. The subtle point: a hard check that fails blanks the number,
a soft one makes it fragile; which is which stands here, not in the notebook.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis import checks as standard
from pipeline.analysis.checks import Check
from pipeline.analysis.drivers import form, leaks
from pipeline.analysis.drivers.effects import REFERENCE
from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.levels import NOT_MEASURED

COLLINEARITY, GAIN, LAG = "collinearity", "better than one rate", "holds when a month older"
ON_HELD_OUT = {"observed_over_expected": "observed over expected", "calibration_slope": "slope"}
OF_A_CONTRAST = (
    standard.CONVERGENCE, standard.SEPARATION, standard.RANK, standard.EVENTS, leaks.LEAKAGE,
    *(f"{standard.CALIBRATION}: {what}" for what in ON_HELD_OUT.values()),
)  # fmt: skip


def checks(
    model: DriverModel,
    inflation: pd.DataFrame,
    validation: pd.DataFrame,
    monitored: pd.DataFrame,
    shapes: pd.DataFrame,
) -> list[Check]:
    """What was looked at before the effects are believed.

    Args:
        model: from `fit`.
        inflation: from `vif`.
        validation: from `held_against`.
        monitored: from `leaks.monitor`.
        shapes: from `functional_form`.

    Returns:
        The checks; without a model, only why there is none.
    """
    leak = leaks.check(monitored)
    if model.fitted is None:
        why = Check(standard.EVENTS, False, model.reason, is_hard=True)
        return [leak] if not leak.passed else [why, leak]
    n_terms = len(model.recipe.terms)
    return [
        standard.convergence(model.fitted.converged or model.is_penalised),
        standard.events_per_parameter(model.n_events, n_terms, model.least, model.is_penalised),
        standard.separation(model.recipe.separated, model.is_penalised),
        standard.rank(model.recipe.dependent),
        _collinearity(inflation),
        leak,
        *_held_out(validation),
        form.check(shapes),
    ]


def contrast(
    model: DriverModel,
    effects: pd.DataFrame,
    driver: str,
    confidence: float,
    of_model: list[Check],
) -> dict[str, Any]:
    """The chapter's primary contrast: one driver, adjusted for the others.

    Args:
        model: from `fit`.
        effects: from `effects`.
        driver: the one named in params.yaml before the data were read; of several levels the most
            frequent after the reference.
        confidence: of the interval and of the test of proportional hazards.
        of_model: from `checks`.

    Returns:
        name, statement, estimand, population, estimate (ratio), ci_low, ci_high, unit, p_value, n
        (accounts), n_events, checks, null. The estimate is blank when there is no model, no such
        driver, or a hard check failed.
    """
    row = primary_row(effects, driver)
    own = [check for check in of_model if check.name in OF_A_CONTRAST or check.is_hard]
    what = driver.replace("_", " ").removeprefix("has ").removeprefix("is ")
    told = {
        "name": driver,
        "statement": f"hazard of leaving next month, {what}: {_compared(row)}",
        "estimand": "Ratio of the monthly hazards of leaving at equal tenure, calendar quarter and "
        "other drivers; an association.",
        "population": "Account-months of settled months whose tenure is known; completed and "
        "administrative exits are no event.",
        "unit": "ratio", "null": 1.0, "n": model.n_accounts, "n_events": model.n_events,
    }  # fmt: skip
    if row is not None:
        own = [*own, _proportional(model, row, confidence), _lag(row)]
    elif model.fitted is not None:
        own = [*own, Check(standard.RANK, False, f"{driver} is not in the model", is_hard=True)]
    is_blank = row is None or bool(standard.stopped_by(own))
    names = {"estimate": "hazard_ratio", "ci_low": "ci_low", "ci_high": "ci_high",
             "p_value": "p_value"}  # fmt: skip
    numbers = {key: np.nan if is_blank else float(row[name]) for key, name in names.items()}
    return {**told, **numbers, "checks": own}


def primary_row(effects: pd.DataFrame, driver: str) -> dict[str, Any] | None:
    """The effect of a driver: of several levels, the most frequent after the reference."""
    own = effects[
        (effects["driver"] == driver)
        & (effects["verdict"] != REFERENCE)
        & (effects["level"] != NOT_MEASURED)
    ]
    if not len(own):
        return None
    return own.sort_values("n_months", ascending=False, kind="stable").iloc[0].to_dict()


def _compared(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not in the model"
    return f"{row['level']} against {row['reference']}" if row["level"] else str(row["unit"])


def _collinearity(inflation: pd.DataFrame) -> Check:
    high = inflation[inflation["is_high"].astype(bool)]
    pairs = [f"{row.driver} and {row.closest}" for row in high.itertuples()]
    note = f"cannot be told apart: {'; '.join(pairs)}" if pairs else ""
    return Check(COLLINEARITY, not pairs, note)


def _held_out(validation: pd.DataFrame) -> list[Check]:
    """Calibration on the months kept out, and whether the model gains on one rate."""
    limits = validation.set_index("measure")[["ci_low", "ci_high"]].astype(float)
    limits = limits.reindex([*ON_HELD_OUT, "gain_over_one_rate"])
    gain = limits.loc["gain_over_one_rate", "ci_low"]
    note = "gain in the scaled Brier score on months kept out: interval above 0"
    return [
        *(standard.calibration(*limits.loc[measure], what=what)
          for measure, what in ON_HELD_OUT.items()),
        Check(GAIN, bool(gain > 0), note if len(validation) else "no months kept out"),
    ]  # fmt: skip


def _proportional(model: DriverModel, row: dict[str, Any], confidence: float) -> Check:
    """Does the ratio drift with tenure? The column times log tenure, added."""
    terms = model.recipe.terms
    column = terms.loc[
        (terms["driver"] == row["driver"]) & (terms["level"] == row["level"]), "column"
    ].iloc[0]
    if model.is_penalised:
        return standard.proportional_hazards(np.nan, confidence)
    log_tenure = np.log1p(model.rows["tenure_months"].to_numpy(float))
    product = model.design[column].to_numpy() * (log_tenure - log_tenure.mean())
    if np.ptp(product) == 0:
        return standard.proportional_hazards(np.nan, confidence)
    return standard.proportional_hazards(form.added(model, product[:, None])[1], confidence)


def _lag(row: dict[str, Any]) -> Check:
    """Half of an effect gone when it is read a month earlier may be leaving that caused it."""
    ratio, older = row["hazard_ratio"], row["lagged_hazard_ratio"]
    if older != older:
        return Check(LAG, False, "not looked at")
    note = f"{ratio:.2f}, and {older:.2f} when read a month earlier"
    if row["is_halved_by_lag"]:
        note += ": leaving may come first, until shown otherwise"
    return Check(LAG, not row["is_halved_by_lag"], note)
