"""Why does a customer's story stop being seen, and could that hide who would have left?

Tables made: survival.censoring, survival.bounds. The subtle point: a customer still paid at the
cut-off stops by the calendar, which tells nothing of it. One who moved elsewhere in our books may
have been about to leave, or safer than most, so retention is also given as if either were so.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import DAYS_PER_MONTH, SMALLEST_N
from pipeline.analysis.survival.readings import days_to_anniversary, retention
from pipeline.analysis.survival.risk_set import by_level
from pipeline.statistics import life_table

AS_USED, ALL_LEFT, NONE_LEFT = (
    "as used: censored on the day of exit",
    "all administrative exits counted as leaving that day",
    "all administrative exits counted as staying to the cut-off",
)


def censoring(at_risk: pd.DataFrame, strata: list[str], confidence: float) -> pd.DataFrame:
    """How each group's stories end, and how long it was followed (Kaplan–Meier of censoring).

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the log-log limits of the median follow-up.

    Returns:
        One row per stratum and level: stratum, level, n, n_left, n_still_paid, n_administrative,
        administrative_share (of n), followed_months (median time until censoring, leaving
        censored), ci_low, ci_high. Blank shares and medians under ten accounts.

    Source: Schemper and Smith (1996), Controlled Clinical Trials 17: 343.
    """
    rows = []
    for stratum, level, spells in by_level(at_risk, strata):
        moved, left = spells["is_administrative"], spells["is_event"]
        median = _follow_up(spells, confidence)
        rows.append(
            {"stratum": stratum, "level": level, "n": len(spells), "n_left": int(left.sum()),
             "n_still_paid": int((~left & ~moved).sum()), "n_administrative": int(moved.sum()),
             "administrative_share": moved.mean() if len(spells) >= SMALLEST_N else np.nan,
             "followed_months": median[0], "ci_low": median[1], "ci_high": median[2]}
        )  # fmt: skip
    return pd.DataFrame(rows)


def bounds(
    at_risk: pd.DataFrame, cut_off: dt.date, confidence: float, months: int = 12
) -> pd.DataFrame:
    """Retention if administrative exits had all left, or had all stayed to the cut-off.

    Args:
        at_risk: from `spells_at_risk`.
        cut_off: analysis cut-off of the slice.
        confidence: of the intervals.
        months: the mark.

    Returns:
        One row per handling: handling, months, estimate, ci_low, ci_high, n, n_administrative.
    """
    moved = at_risk["is_administrative"]
    to_cut_off = (pd.Timestamp(cut_off) - at_risk["start_date"]).dt.days
    longer = np.maximum(at_risk["duration_days"], to_cut_off)
    worlds = {
        AS_USED: at_risk,
        ALL_LEFT: at_risk.assign(is_event=at_risk["is_event"] | moved),
        NONE_LEFT: at_risk.assign(duration_days=at_risk["duration_days"].where(~moved, longer)),
    }
    rows = []
    for handling, spells in worlds.items():
        found = retention(spells, days_to_anniversary(months), confidence)
        rows.append(
            {"handling": handling, "months": months, "estimate": found.estimate,
             "ci_low": found.ci_low, "ci_high": found.ci_high, "n": found.n,
             "n_administrative": int(moved.sum())}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _follow_up(spells: pd.DataFrame, confidence: float) -> tuple[float, ...]:
    """Median months until censoring with its limits; blank under ten accounts."""
    if len(spells) < SMALLEST_N:
        return (np.nan, np.nan, np.nan)
    curve = life_table.kaplan_meier(
        spells["duration_days"].to_numpy(float),
        ~spells["is_event"].to_numpy(bool),
        spells["entry_days"].to_numpy(float),
        confidence,
    )
    return tuple(days / DAYS_PER_MONTH for days in life_table.quantile(curve, 0.5))
