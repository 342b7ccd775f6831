"""Who counts as having value, and from which day? One model for each way of saying it.

The subtle point: whether value was *ever* reached says as much about how long an account stayed as
about value. Two ways here respect time (from the day on, as known at a landmark); two do not, and
are made only to be shown beside them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipeline.analysis.time_to_value.leaving import LeavingModel, leaving_model

TIME_VARYING, LANDMARK = "time_varying", "landmark"
LANDMARK_DAY = 60
"""The landmark of the primary contrast, when it is one."""


def start_stop(starters: pd.DataFrame) -> pd.DataFrame:
    """Split each account at the day of value, so that nobody has value before it came.

    Gives one row per account and state of value, one or two in all: start, stop (days, at risk
    after start and up to stop), event (lost at stop), has_value (0, then 1), and the starters'
    other columns.
    """
    value = starters["value_day"].fillna(np.inf)
    has_later_part = value < starters["end_day"]
    before = starters.assign(
        start=0.0,
        stop=np.minimum(value, starters["end_day"]),
        event=starters["is_lost"] & ~has_later_part,
        has_value=0.0,
    )
    after = starters.assign(
        start=starters["value_day"],
        stop=starters["end_day"].astype("float64"),
        event=starters["is_lost"],
        has_value=1.0,
    )[has_later_part]
    parts = pd.concat([before[before["stop"] > 0], after], ignore_index=True)
    return parts.sort_values(["account_id", "start"], ignore_index=True)


def at_landmark(starters: pd.DataFrame, day: int) -> pd.DataFrame:
    """Those still at risk after a day, by what was true that day; the clock restarts there.

    Gives one row per account followed beyond the day: start, stop (days since the landmark),
    event, by_landmark (1: value by the end of the day), and the starters' other columns.
    """
    at_risk = starters[starters["end_day"] > day]
    return at_risk.assign(
        start=0.0,
        stop=(at_risk["end_day"] - day).astype("float64"),
        event=at_risk["is_lost"],
        by_landmark=(at_risk["value_day"] <= day).astype(float),
    )


def time_varying_model(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Hazard of leaving with value against not yet, at the same age, adjusted at signing.

    Args:
        starters: account_id, end_day, value_day (days since the first paid day; blank: not
            reached), is_lost, and the covariates.
        adjust_for: covariates known at signing.
        confidence: level of the interval.
    """
    return leaving_model(start_stop(starters), "has_value", adjust_for, confidence)


def landmark_model(
    starters: pd.DataFrame, day: int, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Hazard of leaving after a day, value by then against not by then (perhaps later)."""
    return leaving_model(at_landmark(starters, day), "by_landmark", adjust_for, confidence)


def primary_model(
    starters: pd.DataFrame, primary_contrast: str, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """The model of the chapter's primary contrast: "time_varying", or "landmark" at day 60."""
    if primary_contrast == LANDMARK:
        return landmark_model(starters, LANDMARK_DAY, adjust_for, confidence)
    return time_varying_model(starters, adjust_for, confidence)


def ever_reached_model(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Misleading: value at any time, as if it had been known at the start."""
    rows = _from_start(starters)
    rows = rows.assign(ever=rows["value_day"].notna().astype(float))
    return leaving_model(rows, "ever", adjust_for, confidence)


def fast_model(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Misleading: the faster half against the slower, among those who reached value at all."""
    rows = _from_start(starters)
    rows = rows[rows["value_day"].notna()]
    is_fast = rows["value_day"] <= rows["value_day"].median()
    return leaving_model(rows.assign(fast=is_fast.astype(float)), "fast", adjust_for, confidence)


def _from_start(starters: pd.DataFrame) -> pd.DataFrame:
    rows = starters[starters["end_day"] > 0]
    return rows.assign(start=0.0, stop=rows["end_day"].astype("float64"), event=rows["is_lost"])
