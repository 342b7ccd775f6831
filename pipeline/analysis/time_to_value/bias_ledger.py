"""How wrong would the usual shortcuts have been this time, each beside the right number?

The subtle point: a shortcut is not always far off. The ledger says how far it was here, so that
nobody concludes from one lucky quarter that it is safe.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pipeline.analysis.choices import LEDGER_COLUMNS
from pipeline.analysis.time_to_value.exposure import (
    ever_reached_model,
    fast_model,
    time_varying_model,
)
from pipeline.analysis.time_to_value.incidence import (
    ALL,
    curve_of,
    percentile_of,
    share_by,
    supported_days,
)
from pipeline.analysis.time_to_value.starters import VALUE
from pipeline.statistics.life_table import kaplan_meier

CHAPTER = "time_to_value"
LEDGER_DAYS = (90, 365)


def bias_ledger(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> pd.DataFrame:
    """The size of each error had we used the shortcut.

    Args:
        starters: see `starters`.
        adjust_for: covariates known at signing.
        confidence: level of the intervals of the right numbers.

    Returns:
        One row per shortcut: LEDGER_COLUMNS; unit "ratio", "days" or "share"; note says why a
        number is blank.
    """
    names = list(adjust_for)
    rows = [*_ratios(starters, names, confidence), _mean(starters, confidence)]
    rows += [_complement(starters, day, confidence) for day in LEDGER_DAYS]
    found = [(CHAPTER, *row) for row in rows]
    return pd.DataFrame(found, columns=LEDGER_COLUMNS)


def _ratios(starters: pd.DataFrame, names: list[str], confidence: float) -> list[tuple]:
    right = time_varying_model(starters, names, confidence)
    numbers = right.hazard_ratio, right.ci_low, right.ci_high, "ratio"
    shortcuts = {
        "hazard ratio of ever having reached value": ever_reached_model,
        "hazard ratio of the fast against the slow, among those with value": fast_model,
    }
    rows = []
    for words, model in shortcuts.items():
        wrong = model(starters, names, confidence)
        note = right.note or wrong.note
        said = "hazard ratio of value against not yet, at the same age"
        rows.append((words, said, wrong.hazard_ratio, *numbers, right.n, note))
    return rows


def _mean(starters: pd.DataFrame, confidence: float) -> tuple:
    words = "mean days to value of those who got there"
    right = "median of the incidence of value against churn, all starters"
    curve = curve_of(starters, ALL, ALL, confidence)
    if curve.empty:
        return words, right, np.nan, np.nan, np.nan, np.nan, "days", 0, "nobody started"
    days, low, high, n, note = percentile_of(curve, 0.5)
    return words, right, starters["value_day"].mean(), days, low, high, "days", n, note


def _complement(starters: pd.DataFrame, day: int, confidence: float) -> tuple:
    words = f"one minus Kaplan–Meier of value at day {day}, leavers taken as still on their way"
    right = f"incidence of value at day {day}, leavers in the denominator"
    curve = curve_of(starters, ALL, ALL, confidence)
    if curve.empty:
        return words, right, np.nan, np.nan, np.nan, np.nan, "share", 0, "nobody started"
    share, low, high, _, n, note = share_by(curve, day, supported_days(starters))
    wrong = np.nan
    if not note:
        waiting = kaplan_meier(starters["days"], starters["outcome"] == VALUE, None, confidence)
        held = waiting["time"].searchsorted(day, side="right") - 1
        wrong = 1 - float(waiting["estimate"].iloc[held]) if held >= 0 else 0.0
    return words, right, wrong, share, low, high, "share", n, note
