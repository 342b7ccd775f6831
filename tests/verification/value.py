"""Where value does nothing, does the chapter say so, and does the shortcut say otherwise? (C2)

The chapter's own functions on starters of the scenario `null_value`. The subtle point: "ever
reached value" is near 0.78 there only because who stays longer has longer to reach it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.time_to_value.exposure import (
    ever_reached_model,
    fast_model,
    landmark_model,
    time_varying_model,
)
from pipeline.stages.simulate.scenario import SCENARIOS
from tests.verification.results import CONFIDENCE, Check, of_rows, share_error, widened
from tests.verification.worlds import drawn, starters

ACCOUNTS = 2_000
MOST_DAYS = 730
ADJUST_FOR = ("segment", "touch_model")
LANDMARK_DAY = 60
NAMES = {
    "time_varying": "value from its day on",
    "landmark": f"value by day {LANDMARK_DAY}",
    "ever": "ever reached (biased)",
    "fast": "fast against slow (biased)",
}
RIGHT = ("time_varying", "landmark")


def replicate(generator: np.random.Generator) -> dict[str, float]:
    """Log hazard ratio of value and its limits, by the chapter and by the shortcut."""
    world = drawn(SCENARIOS["null_value"], ACCOUNTS, generator)
    people = starters(world, MOST_DAYS, since=int(world.accounts.start.min()))
    models = {
        "time_varying": time_varying_model(people, ADJUST_FOR, CONFIDENCE),
        "landmark": landmark_model(people, LANDMARK_DAY, ADJUST_FOR, CONFIDENCE),
        "ever": ever_reached_model(people, ADJUST_FOR, CONFIDENCE),
        "fast": fast_model(people, ADJUST_FOR, CONFIDENCE),
    }
    found = {"starters": len(people), "events": people["is_lost"].sum()}
    for name, model in models.items():
        for column in ("hazard_ratio", "ci_low", "ci_high"):
            found[f"{column}:{name}"] = float(np.log(getattr(model, column)))
    return found


def checks(replicates: pd.DataFrame) -> list[Check]:
    """C2: the chapter's effects cover 1, the shortcuts do not."""
    count = len(replicates)
    rows = pd.DataFrame([_row(replicates, method) for method in NAMES])
    low = 0.95 - widened(0.02, count)
    allowed = np.maximum(0.03, 3 * rows["monte_carlo_error"])
    is_right = rows["method"].isin([NAMES[name] for name in RIGHT])
    near = (rows["mean_log"].abs() < allowed) & (rows["covers_1"] >= low - 1e-9)
    biased = (rows["mean_log"].abs() > 0.10) & (rows["covers_1"] < 0.90)
    rows["held"] = near.where(is_right, biased)
    size = replicates[["starters", "events"]].mean()
    note = (
        f"{size['starters']:,.0f} starters followed for at most {MOST_DAYS} days, "
        f"{size['events']:.0f} churns on average. Truth: a ratio of 1. In the independent study "
        "ever reached gave 0.775 and fast against slow 1.157."
    )
    rule = (
        "the first two cover 1 in at least 93 % of runs and their mean log ratio lies within 0.03 "
        "of 0; the last two lie more than 0.10 off and cover 1 in less than 90 %"
    )
    return [of_rows("C2", "Value that does nothing", rule, rows, count, note)]


def _row(replicates: pd.DataFrame, method: str) -> dict[str, object]:
    estimate = replicates[f"hazard_ratio:{method}"]
    inside = (replicates[f"ci_low:{method}"] <= 0) & (replicates[f"ci_high:{method}"] >= 0)
    return {
        "method": NAMES[method],
        "mean_hazard_ratio": float(np.exp(estimate.mean())),
        "mean_log": float(estimate.mean()),
        "monte_carlo_error": float(estimate.std(ddof=1) / np.sqrt(len(estimate))),
        "covers_1": float(inside.mean()),
        "coverage_error": float(share_error(inside.mean(), len(estimate))),
    }
