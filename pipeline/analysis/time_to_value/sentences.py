"""What do the numbers say in words? The answers of the chapter, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.analysis.time_to_value.incidence import MARK_DAYS
from pipeline.analysis.time_to_value.leaving import LeavingModel
from pipeline.analysis.wording import Words

MEDIAN = "median_time_to_value_days"
BY_LATE = f"value_by_day_{MARK_DAYS[-1]}_share"
BY_EARLY = f"value_by_day_{MARK_DAYS[0]}_share"


def answer(headline: pd.DataFrame, words: Words) -> str:
    """How soon, for all starters and for those of the last 12 months."""
    lines = headline.set_index("name").to_dict("index")
    everybody = _half_and_late(lines, "", words)
    if not everybody:
        return f"How soon customers get value cannot be said: {lines[BY_LATE]['note']}."
    latest = _half_and_late(lines, "_recent", words)
    if not latest:
        return f"Of all starters {everybody}."
    return f"Of all starters {everybody}. Of those who started in the last 12 months {latest}."


def _half_and_late(lines: Mapping[str, Mapping], suffix: str, words: Words) -> str:
    median, late = lines[MEDIAN + suffix], lines[BY_LATE + suffix]
    said = []
    if np.isfinite(median["estimate"]):
        span = words.interval(median["ci_low"], median["ci_high"], "count")
        said.append(f"half have value by day {words.count(median['estimate'])} ({span})")
    elif median["state"] == "not_reached":
        said.append("fewer than half reach value")
    if np.isfinite(late["estimate"]):
        span = words.interval(late["ci_low"], late["ci_high"], "share")
        said.append(f"{words.share(late['estimate'])} by day {MARK_DAYS[-1]} ({span})")
    return " and ".join(said)


def effect_answer(model: LeavingModel, words: Words) -> str:
    """Whether those with value leave less, at the same age."""
    if not model.converged:
        return f"Whether value goes with staying cannot be said: {model.note}."
    span = words.interval(model.ci_low, model.ci_high, "number")
    said = (
        f"At the same age, customers with value leave at {words.number(model.hazard_ratio)} times "
        f"the rate of those without ({span})"
    )
    return f"{said}; {model.note}." if model.note else f"{said}."


def explained_away(model: LeavingModel, values: tuple[float, float], words: Words) -> str:
    """How strong something unmeasured would have to be; `values` are the two E-values."""
    if not model.converged:
        return "Without a ratio there is nothing for something unmeasured to explain."
    ratio, limit = (words.number(value) for value in values)
    said = (
        "Something unmeasured that goes with both value and staying would have to multiply the "
        f"chance of each by {ratio} to explain the ratio alone"
    )
    if values[1] == 1:
        return f"{said}; the interval holds no effect already."
    return f"{said}, and by {limit} to bring the interval to no effect."


def curve_title(headline: pd.DataFrame, words: Words) -> str:
    """The two marks of the curve, for its title."""
    share = headline.set_index("name")["estimate"]
    if share[[BY_EARLY, BY_LATE]].isna().any():
        return "How soon customers get value"
    early, late = words.share(share[BY_EARLY]), words.share(share[BY_LATE])
    return f"{early} have value by day {MARK_DAYS[0]}, {late} by day {MARK_DAYS[-1]}"
