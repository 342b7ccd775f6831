"""What does the chapter say first, and what of it may a flat file claim?

Works on the chapter's headline. The subtle point: in a flat file every account was placed so that
its tenure ends on the cut-off, so "the last 12 months", "a month earlier" and "a year earlier" are
no days of anybody; they are not available, and a median in months is one of the file's own months.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.analysis.wording import Words

BY_CALENDAR = "retention_12_months_recent"
NO_DATES = "a flat file has no dates"
NEAR_A_WHOLE_MONTH = 0.1
"""A month mark is up to this much longer than its number of mean months."""


def of_flat_file(headline: pd.DataFrame, tenure_unit: str | None) -> pd.DataFrame:
    """The chapter's headline with only what a flat file can tell.

    Args:
        headline: from `headline`: name, estimate, ci_low, ci_high, state, note, previous, year_ago.
        tenure_unit: days or months, the unit of the file's tenures; None: it is no flat file.

    Returns:
        The same rows; as given when it is no flat file.
    """
    if tenure_unit is None:
        return headline
    known = headline.assign(previous=np.nan, year_ago=np.nan)
    dated = known["name"] == BY_CALENDAR
    limits = ["estimate", "ci_low", "ci_high"]
    known.loc[dated, limits] = np.nan
    known.loc[dated, ["state", "note"]] = ["not_available", NO_DATES]
    if tenure_unit == "months":
        is_months = known["name"] == "median_lifetime_months"
        known.loc[is_months, limits] = known.loc[is_months, limits].map(_whole_months)
    return known


def say_answer(headline: pd.DataFrame, half: str, words: Words) -> str:
    """The chapter's answer in words; a flat file's without a calendar.

    `half`: the median lifetime in words.
    """
    said = headline.set_index("name")
    recent, ever = said.loc[BY_CALENDAR], said.loc["retention_12_months"]
    overall = f"{words.share(ever['estimate'])} {_around(ever, words)}".strip()
    if recent["note"] == NO_DATES:
        kept = f"Of all accounts, {overall} stay a year. "
        if np.isnan(ever["estimate"]):
            kept = f"How many stay a year cannot be said: {ever['note']}. "
        return (
            f"{kept}Median lifetime: {half}. Nothing is said of the last 12 months or of an "
            f"earlier month: {NO_DATES}."
        )
    return (
        f"At the leaving rates of the last 12 months {words.share(recent['estimate'])} of new "
        f"customers stay a year {_around(recent, words)}; over all time {overall}. "
        f"Median lifetime: {half}. A month earlier the first share was "
        f"{words.share(recent['previous'])}, a year earlier {words.share(recent['year_ago'])}."
    )


def say_curve(headline: pd.DataFrame, half: str, words: Words) -> str:
    """What the curve of everybody shows: the share after a year, or else the age of half."""
    kept = headline.set_index("name").loc["retention_12_months", "estimate"]
    if np.isnan(kept):
        return f"Median lifetime: {half}"
    return f"{words.share(kept)} are still customers after 12 months"


def say_causes(gone: Mapping[str, float], words: Words) -> str:
    """How much is gone by each cause after a year; nothing of causes where none is on file.

    `gone`: share gone by cause.
    """
    named = [share for cause, share in gone.items() if cause != "unknown"]
    if not any(share > 0 for share in named) and gone["unknown"] > 0:
        lost = words.share(gone["unknown"])
        return f"After 12 months {lost} have left; how they left is not on file"
    chosen, forced = words.share(gone["voluntary"]), words.share(gone["involuntary"])
    return f"After 12 months {chosen} have left by choice, {forced} not by choice"


def _around(row: pd.Series, words: Words) -> str:
    if np.isnan(row["ci_low"]) and np.isnan(row["ci_high"]):
        return ""
    return f"({words.interval(row['ci_low'], row['ci_high'], 'share')})"


def _whole_months(value: float) -> float:
    """The file's own month where a number stands on one of its marks."""
    whole = np.floor(value)
    return whole if value - whole < NEAR_A_WHOLE_MONTH else value
