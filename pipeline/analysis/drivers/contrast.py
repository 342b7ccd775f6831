"""What does the chapter stake its word on? One driver, named before the data are read.

Works on the fitted model, its effects and its checks. The subtle point: a hard check that fails
blanks the number, a soft one makes it fragile; which is which stands in the code, not in the
notebook.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis import checks as standard
from pipeline.analysis.checks import Check
from pipeline.analysis.drivers import leaks
from pipeline.analysis.drivers.effects import primary_row
from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.drivers.soundness import ON_HELD_OUT

LAG, IN_MODEL = "holds when a month older", "in the model"
OF_A_CONTRAST = (
    standard.CONVERGENCE, standard.SEPARATION, standard.RANK, standard.EVENTS, leaks.LEAKAGE,
    standard.PROPORTIONAL_HAZARDS,
    *(f"{standard.CALIBRATION}: {what}" for what in ON_HELD_OUT.values()),
)  # fmt: skip


def contrast(
    model: DriverModel,
    effects: pd.DataFrame,
    driver: str,
    of_model: list[Check],
) -> dict[str, Any]:
    """The chapter's primary contrast: one driver, adjusted for the others.

    Args:
        model: from `fit`.
        effects: from `effects`.
        driver: the one named in params.yaml before the data were read; of several levels the most
            frequent after the reference.
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
        "statement": f"ratio of the hazards of leaving next month, {what}: {_compared(row)}; "
        "below 1 goes with staying",
        "estimand": "Ratio of the monthly hazards of leaving at equal tenure, calendar quarter and "
        "other drivers; an association.",
        "population": "Account-months of settled months whose tenure is known; completed and "
        "administrative exits are no event.",
        "unit": "ratio", "null": 1.0, "n": model.n_accounts, "n_events": model.n_events,
    }  # fmt: skip
    if row is not None:
        own = [*own, _lag(row)]
    elif model.fitted is not None:
        own = [*own, Check(IN_MODEL, False, f"{driver} is not in the model", is_hard=True)]
    names = {"estimate": "hazard_ratio", "ci_low": "ci_low", "ci_high": "ci_high",
             "p_value": "p_value"}  # fmt: skip
    known = None if standard.stopped_by(own) else row
    numbers = {key: float(known[name]) if known else np.nan for key, name in names.items()}
    return {**told, **numbers, "checks": own}


def _compared(row: dict[str, Any] | None) -> str:
    if row is None:
        return "not in the model"
    return f"{row['level']} against {row['reference']}" if row["level"] else str(row["unit"])


def _lag(row: dict[str, Any]) -> Check:
    """Half of an effect gone when it is read a month earlier may be leaving that caused it."""
    ratio, older = row["hazard_ratio"], row["lagged_hazard_ratio"]
    if older != older:
        return Check(LAG, False, "not looked at")
    note = f"{ratio:.2f}, and {older:.2f} when read a month earlier"
    if row["is_halved_by_lag"]:
        note += ": leaving may come first, until shown otherwise"
    return Check(LAG, not row["is_halved_by_lag"], note)
