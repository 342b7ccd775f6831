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


def say_at_start(at_start: pd.Series, words: Words) -> str:
    """How many had value before they paid: a row of `at_start`."""
    if not at_start["n"]:
        return "How many had value on the first paid day cannot be said: there is no starter."
    said = words.with_interval(at_start["share"], at_start["ci_low"], at_start["ci_high"])
    starters = words.counted(at_start["n"], "starter")
    return f"Value on or before the first paid day, of {starters}: {said}."


def say_trend(trend: pd.Series, words: Words) -> str:
    """Newest against oldest quarter: a row of `trend`."""
    if not trend["oldest"]:
        return f"Not available: {trend['direction']}."
    limits = (100 * trend["ci_low"], 100 * trend["ci_high"])
    return (
        f"{trend['oldest']} to {trend['newest']}: {words.change(trend['difference'])} "
        f"({words.interval(*limits, 'points')}), {trend['direction']}."
    )


def say_overdue(at_stake: pd.Series, after_days: int, currency: str, words: Words) -> str:
    """Who waits, and what they pay: a row of `stakes`."""
    if np.isnan(at_stake["n"]):
        return "Who waits for value cannot be said: the company records no milestones."
    return (
        f"{words.counted(at_stake['n'], 'customer')} paid for more than {after_days} days without "
        f"value: {words.money(at_stake['mrr'], currency)} a month, "
        f"{words.share(at_stake['mrr_share'])} of all MRR."
    )


def curve_title(headline: pd.DataFrame, words: Words) -> str:
    """The two marks of the curve, for its title."""
    share = headline.set_index("name")["estimate"]
    if share[[BY_EARLY, BY_LATE]].isna().any():
        return "How soon customers get value"
    early, late = words.share(share[BY_EARLY]), words.share(share[BY_LATE])
    return f"{early} have value by day {MARK_DAYS[0]}, {late} by day {MARK_DAYS[-1]}"


def say_groups(shares: pd.DataFrame, day: int, words: Words) -> str:
    """The level that most, and the one that fewest, have value in by a day, for a title.

    `shares` are rows of `shares_by_day` with `who`, the group and level in words.
    """
    known = shares[shares["day"] == day].dropna(subset=["value_share"]).sort_values("value_share")
    if len(known) < 2:
        return f"Value by day {day}: too few starters to compare groups"
    first, last = known.iloc[-1], known.iloc[0]
    return (
        f"Value by day {day}: most in {first['who']} ({words.share(first['value_share'])}), "
        f"fewest in {last['who']} ({words.share(last['value_share'])})"
    )
