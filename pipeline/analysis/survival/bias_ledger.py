"""How wrong would the usual shortcuts have been on these customers?

Each row puts a shortcut beside the right number, on the same spells. The subtle point: the errors
do not cancel. Forgetting delayed entry reads retention too high; counting only those who have left
reads it far too low.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.choices import LEDGER_COLUMNS
from pipeline.analysis.reliability import DAYS_PER_MONTH, SMALLEST_N
from pipeline.analysis.survival.readings import (
    Reading,
    days_to_anniversary,
    recent,
    retention,
)
from pipeline.analysis.survival.risk_set import CAUSES
from pipeline.statistics import competing_risks, life_table

CHAPTER = "survival"
RETENTION = "12-month retention, Kaplan–Meier with delayed entry"
AT_LAST_YEARS_RATES = "12-month retention at last year's rates"


def bias_ledger(at_risk: pd.DataFrame, *, cut_off: dt.date, confidence: float) -> pd.DataFrame:
    """The size of each shortcut's error beside the right number.

    Args:
        at_risk: from `spells_at_risk` (no strata are needed).
        cut_off: analysis cut-off of the slice.
        confidence: of the right numbers' intervals.

    Returns:
        One row per shortcut: LEDGER_COLUMNS, in shares. Blank where the right number is, with its
        note.
    """
    year = days_to_anniversary(12)
    right = retention(at_risk, year, confidence)
    last_year = recent(at_risk, cut_off)
    at_rates = retention(last_year, year, confidence)
    monthly = _monthly_rate(last_year)
    without_entry = retention(at_risk.assign(entry_days=0), year, confidence)
    gone = at_risk[at_risk["is_event"]]
    rows = [
        ("delayed entry ignored: older customers counted as watched from day one", RETENTION,
         without_entry.estimate, right),
        ("only those who have left are counted", RETENTION,
         (gone["duration_days"] > year).mean() if len(gone) else np.nan, right),
        ("12 times the average monthly churn of the last year", AT_LAST_YEARS_RATES,
         1 - 12 * monthly, at_rates),
        ("the average monthly churn of the last year, compounded 12 times", AT_LAST_YEARS_RATES,
         (1 - monthly) ** 12, at_rates),
        ("one minus a curve that censors other causes: gone by choice in 12 months",
         "cumulative incidence of voluntary exits (Aalen–Johansen)",
         1 - _cause_alone(at_risk, year, confidence), _incidence(at_risk, year, confidence)),
    ]  # fmt: skip
    return pd.DataFrame([_row(*row) for row in rows], columns=LEDGER_COLUMNS)


def _row(shortcut: str, right: str, wrong: float, reading: Reading) -> dict[str, object]:
    is_known = np.isfinite(reading.estimate)
    return {
        "chapter": CHAPTER, "shortcut": shortcut, "right": right,
        "wrong_estimate": wrong if is_known else np.nan, "right_estimate": reading.estimate,
        "right_ci_low": reading.ci_low, "right_ci_high": reading.ci_high, "unit": "share",
        "n": reading.n, "note": reading.note,
    }  # fmt: skip


def _monthly_rate(spells: pd.DataFrame) -> float:
    """Leavings per account-month."""
    months = (spells["duration_days"] - spells["entry_days"]).sum() / DAYS_PER_MONTH
    return float(spells["is_event"].sum() / months) if months else np.nan


def _cause_alone(at_risk: pd.DataFrame, day: int, confidence: float) -> float:
    """Share who would not have left by choice by an age, other causes censored."""
    alone = at_risk.assign(is_event=at_risk["is_event"] & at_risk["cause"].eq(CAUSES[0]))
    curve = life_table.kaplan_meier(
        alone["duration_days"].to_numpy(float),
        alone["is_event"].to_numpy(bool),
        alone["entry_days"].to_numpy(float),
        confidence,
    )
    past = curve[curve["time"] <= day]
    return float(past["estimate"].iloc[-1]) if len(past) else 1.0


def _incidence(at_risk: pd.DataFrame, day: int, confidence: float) -> Reading:
    """Share gone by choice by an age, other causes competing."""
    kept = retention(at_risk, day, confidence)
    is_own = at_risk["is_event"] & at_risk["cause"].eq(CAUSES[0])
    if not np.isfinite(kept.estimate) or int(is_own.sum()) < SMALLEST_N:
        few = f"{int(is_own.sum())} exits by choice"
        return Reading(n=len(at_risk), state="not_available", note=kept.note or few)
    codes = np.where(is_own, 1, np.where(at_risk["is_event"], 2, 0))
    curves = competing_risks.aalen_johansen(
        at_risk["duration_days"].to_numpy(float),
        codes,
        at_risk["entry_days"].to_numpy(float),
        confidence,
    )
    past = curves[(curves["cause"] == 1) & (curves["time"] <= day)].iloc[-1]
    return Reading(past["estimate"], past["ci_low"], past["ci_high"], len(at_risk))
