"""What does the chapter stake its word on? One contrast, named before the data are read.

The subtle point: the contrast is the same whatever the data say. A check that fails is carried on
the card and makes it fragile; it never moves the contrast to a better-looking one.
"""

from __future__ import annotations

import pandas as pd

from pipeline.analysis import checks
from pipeline.analysis.checks import Check
from pipeline.analysis.time_to_value.exposure import LANDMARK, LANDMARK_DAY
from pipeline.analysis.time_to_value.leaving import LeavingModel
from pipeline.statistics.e_value import e_value, e_value_of_limit

POPULATION = (
    "Accounts first paid on or after the start of observation, first paid relationship, to the "
    "analysis cut-off"
)


def contrast(model: LeavingModel, primary_contrast: str) -> dict[str, object]:
    """The primary contrast of the chapter as a claim.

    Args:
        model: the model of that contrast, see `primary_model`.
        primary_contrast: "time_varying" or "landmark".

    Returns:
        name, statement, estimand, population, estimate, ci_low, ci_high, unit, p_value, n,
        n_events, checks. The estimate is a hazard ratio; below 1 goes with staying.
    """
    by_landmark = primary_contrast == LANDMARK
    name = f"value_by_day_{LANDMARK_DAY}" if by_landmark else "value_reached"
    statement = (
        f"ratio of the hazards of leaving after day {LANDMARK_DAY}, value by then against not"
        if by_landmark
        else "ratio of the hazards of leaving at the same age, value reached against not yet"
    )
    at = f"at day {LANDMARK_DAY}" if by_landmark else "at the same age"
    estimand = (
        f"Hazard ratio of churn neither administrative nor completed, between customers {at} alike "
        "in what was known at signing; an association"
    )
    return {
        "name": name, "statement": f"{statement}; below 1 goes with staying",
        "estimand": estimand,
        "population": _population(by_landmark), "estimate": model.hazard_ratio,
        "ci_low": model.ci_low, "ci_high": model.ci_high, "unit": "ratio",
        "p_value": model.p_value, "n": model.n, "n_events": model.n_events,
        "checks": list(model.checks),
    }  # fmt: skip


def headline_checks(headline: pd.DataFrame) -> dict[str, list[Check]]:
    """What was looked at for each headline: enough accounts that reached value.

    Args:
        headline: name, n_events (accounts with value), one row per headline.
    """
    return {
        row.name: [
            checks.enough_events(
                row.n_events, one="starter with value", several="starters with value"
            )
        ]
        for row in headline[["name", "n_events"]].itertuples(index=False)
    }


def unmeasured(model: LeavingModel) -> tuple[float, float]:
    """E-values of the ratio and of its limit nearer 1: what it takes to explain them away."""
    limit = e_value_of_limit(model.ci_low, model.ci_high, is_common_hazard=True)
    return e_value(model.hazard_ratio, is_common_hazard=True), limit


def _population(by_landmark: bool) -> str:
    return f"{POPULATION}; still customers after day {LANDMARK_DAY}" if by_landmark else POPULATION
