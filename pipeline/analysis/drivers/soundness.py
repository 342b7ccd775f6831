"""Would a reviewer believe the model? What was looked at.

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
from pipeline.analysis.drivers.effects import primary_row
from pipeline.analysis.drivers.model import DriverModel
from pipeline.statistics.design_rows import column_of

COLLINEARITY, GAIN = "collinearity", "better than one rate"
ON_HELD_OUT = {"observed_over_expected": "observed over expected", "calibration_slope": "slope"}


def checks(
    model: DriverModel,
    inflation: pd.DataFrame,
    validation: pd.DataFrame,
    monitored: pd.DataFrame,
    shapes: pd.DataFrame,
    effects: pd.DataFrame,
    driver: str,
    confidence: float,
) -> list[Check]:
    """What was looked at before the effects are believed.

    Args:
        model: from `fit`.
        inflation: from `vif`.
        validation: from `held_against`.
        monitored: from `leaks.monitor`.
        shapes: from `functional_form`.
        effects: from `effects`.
        driver: of the primary contrast; its ratio is asked to hold at every tenure.
        confidence: 1 less the level of that test.

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
        *_proportional(model, primary_row(effects, driver), confidence),
    ]


def _collinearity(inflation: pd.DataFrame) -> Check:
    high = inflation[inflation["is_high"].astype(bool)]
    pairs = [f"{row.driver} and {row.closest}" for row in high.itertuples()]
    note = f"cannot be told apart: {'; '.join(pairs)}" if pairs else ""
    return Check(COLLINEARITY, not pairs, note)


def _held_out(validation: pd.DataFrame) -> list[Check]:
    """Calibration on the months kept out, and whether the model gains on one rate."""
    limits = validation.set_index("measure")[["ci_low", "ci_high"]].astype(float)
    limits = limits.reindex([*ON_HELD_OUT, "gain_over_one_rate"])
    low, high = limits.loc["gain_over_one_rate"]
    seen = f"{low:.2%} to {high:.2%}".replace("%", " %") if low == low else "no interval"
    note = f"gain in the scaled Brier score on months kept out {seen}; above 0 is asked for"
    return [
        *(standard.calibration(span["ci_low"], span["ci_high"], what=ON_HELD_OUT[measure])
          for measure, span in limits.loc[[*ON_HELD_OUT]].iterrows()),
        Check(GAIN, bool(low > 0), note if len(validation) else "no months kept out"),
    ]  # fmt: skip


def _proportional(model: DriverModel, row: dict[str, Any] | None, confidence: float) -> list[Check]:
    """Does the contrast's ratio drift with tenure? The column times log tenure, added."""
    if row is None:
        return []
    terms = model.recipe.terms
    column = terms.loc[
        (terms["driver"] == row["driver"]) & (terms["level"] == row["level"]), "column"
    ].iloc[0]
    if model.is_penalised:
        return [standard.proportional_hazards(np.nan, confidence)]
    log_tenure = np.log1p(model.months.rows["tenure_months"].to_numpy(float))
    product = column_of(model.design, column) * (
        log_tenure - np.average(log_tenure, weights=model.months.n)
    )
    if np.ptp(product) == 0:
        return [standard.proportional_hazards(np.nan, confidence)]
    return [standard.proportional_hazards(form.added(model, product[:, None])[1], confidence)]
