"""What does the chapter say on page one, and what was looked at before it is believed?

The subtle point: comparisons with a month and a year before are this report's own data cut earlier,
one vintage and one definition, never an old report's number.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from pipeline.analysis.checks import Check
from pipeline.analysis.reliability import MONTHS_PER_YEAR
from pipeline.analysis.survival.censoring import ALL_LEFT, AS_USED, NONE_LEFT, bounds
from pipeline.analysis.survival.readings import (
    Reading,
    days_to_anniversary,
    earlier_cut_off,
    median_lifetime,
    recent,
    recut,
    retention,
)
from pipeline.analysis.survival.risk_set import is_true

KNOWN_AGE, MOVED = "known age", "administrative exits"
MOST_OF_UNKNOWN_AGE = 0.05
"""Share of first relationships; beyond it those left out can move a curve visibly."""
HEADLINES = ("retention_12_months_recent", "retention_12_months", "median_lifetime_months")


def headline(
    at_risk: pd.DataFrame,
    *,
    cut_off: dt.date,
    observation_start: dt.date | None,
    is_final: bool,
    confidence: float,
) -> pd.DataFrame:
    """The chapter's headlines, with the same number a month and a year before.

    Args:
        at_risk: from `spells_at_risk`.
        cut_off: analysis cut-off of the slice.
        observation_start: first day observed; None: the first start.
        is_final: False: what stands may still move, the state says provisional.
        confidence: of the intervals.

    Returns:
        One row per headline: name, estimate, ci_low, ci_high, n, n_events, state, note, previous,
        year_ago. Comparisons are this slice cut earlier; blank where that lies before the
        observation.
    """
    first = pd.Timestamp(observation_start or at_risk["start_date"].min())
    rows = []
    for name, measure in _measures(confidence).items():
        spells = measure.spells_of(at_risk, cut_off)
        reading = measure.read(spells)
        if (
            measure.looks_back
            and pd.Timestamp(earlier_cut_off(cut_off, measure.looks_back)) < first
        ):
            parts = (f"observed only since {first.date()}", reading.note)
            reading = replace(reading, note="; ".join(part for part in parts if part))
        if not is_final and reading.state == "ok":
            reading = replace(reading, state="provisional")
        n_events = int((spells["is_event"] & (spells["duration_days"] <= measure.until)).sum())
        rows.append({"name": name, **asdict(reading), "n_events": n_events})
        for column, months in (("previous", 1), ("year_ago", 12)):
            then = earlier_cut_off(cut_off, months)
            is_seen = pd.Timestamp(earlier_cut_off(then, measure.looks_back)) >= first
            earlier = measure.spells_of(recut(at_risk, then), then)
            rows[-1][column] = measure.read(earlier).estimate if is_seen else np.nan
    return pd.DataFrame(rows)


def headline_checks(
    at_risk: pd.DataFrame,
    spells: pd.DataFrame,
    *,
    cut_off: dt.date,
    confidence: float,
) -> dict[str, list[Check]]:
    """What was looked at before a headline is believed.

    Args:
        at_risk: from `spells_at_risk`.
        spells: all spells of the slice (spell, is_age_known, is_followed).
        cut_off: analysis cut-off of the slice.
        confidence: of the intervals.

    Returns:
        Checks by headline. Known age: few first spells are left out because their age is not
        known. Administrative exits: retention stays inside its interval whatever became of them.
    """
    looked_at = {name: [_known_age(spells)] for name in HEADLINES}
    worlds = bounds(at_risk, cut_off, confidence).set_index("handling")
    used = worlds.loc[AS_USED]
    if np.isfinite(used["ci_low"]):
        low, high = worlds.loc[[ALL_LEFT, NONE_LEFT], "estimate"]
        inside = bool(used["ci_low"] <= low and high <= used["ci_high"])
        note = f"retention between {low:.3f} and {high:.3f}, whatever became of them"
        looked_at["retention_12_months"].append(Check(MOVED, inside, note))
    return looked_at


@dataclass(frozen=True)
class _Measure:
    """How a headline is read: its window, its spells, its reading, and the last day it counts."""

    looks_back: int
    spells_of: Callable[[pd.DataFrame, dt.date], pd.DataFrame]
    read: Callable[[pd.DataFrame], Reading]
    until: float


def _measures(confidence: float) -> dict[str, _Measure]:
    year = days_to_anniversary(MONTHS_PER_YEAR)

    def kept(spells: pd.DataFrame) -> Reading:
        return retention(spells, year, confidence)

    def as_they_are(spells: pd.DataFrame, _: dt.date) -> pd.DataFrame:
        return spells

    def half(spells: pd.DataFrame) -> Reading:
        return median_lifetime(spells, confidence)

    return {
        "retention_12_months": _Measure(0, as_they_are, kept, year),
        "retention_12_months_recent": _Measure(MONTHS_PER_YEAR, recent, kept, year),
        "median_lifetime_months": _Measure(0, as_they_are, half, np.inf),
    }


def _known_age(spells: pd.DataFrame) -> Check:
    first = spells[spells["spell"] == 1]
    n_unknown = int((~is_true(first["is_age_known"])).sum())
    share = n_unknown / len(first) if len(first) else 0.0
    note = f"{n_unknown} of {len(first)} first relationships are of unknown age and left out"
    return Check(KNOWN_AGE, share <= MOST_OF_UNKNOWN_AGE, note)
