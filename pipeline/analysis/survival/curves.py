"""How many are still customers at each age, by group, and when do they leave?

Tables made: survival.curves, survival.levels, survival.hazard_by_tenure_month. The subtle point: a
curve that forgets how long older customers had stayed before they were observed reads far too high;
every curve here allows for delayed entry.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import DAYS_PER_MONTH, SMALLEST_N, fewest_at_risk
from pipeline.analysis.survival.readings import (
    at_risk_on,
    curve_of,
    days_to_anniversary,
    month_edges,
    retention,
)
from pipeline.analysis.survival.risk_set import by_level
from pipeline.statistics import life_table

CURVE_COLUMNS = [
    "stratum", "level", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk", "n_events",
    "n_censored",
]  # fmt: skip


def curves(at_risk: pd.DataFrame, strata: list[str], confidence: float) -> pd.DataFrame:
    """Kaplan–Meier curves with delayed entry: everybody, then each level of each stratum.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the log-log limits.

    Returns:
        One row per stratum, level and time with an event or a censoring: the columns of
        survival.curves. Under ten accounts the estimate is blank and the counts stand.

    Source: Kaplan and Meier (1958), JASA 53: 457.
    """
    blocks = [
        curve_of(level_spells, confidence)
        .rename(columns={"time": "time_days", "at_risk": "n_at_risk", "events": "n_events",
                         "censored": "n_censored"})
        .assign(stratum=stratum, level=level)
        for stratum, level, level_spells in by_level(at_risk, strata)
    ]  # fmt: skip
    counts = {"n_at_risk": "int64", "n_events": "int64", "n_censored": "int64"}
    return stacked(blocks, CURVE_COLUMNS).astype(counts)


def levels(
    at_risk: pd.DataFrame, strata: list[str], confidence: float, months: int = 12
) -> pd.DataFrame:
    """What each level's curve says at one month mark.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the interval.
        months: the mark.

    Returns:
        One row per stratum and level: stratum, level, months, n, n_followed (at risk at the mark:
        a young group is not), n_events, estimate, ci_low, ci_high, note.
    """
    rows = []
    for stratum, level, level_spells in by_level(at_risk, strata):
        mark = days_to_anniversary(months)
        reading = retention(level_spells, mark, confidence)
        rows.append(
            {"stratum": stratum, "level": level, "months": months, "n": reading.n,
             "n_followed": at_risk_on(level_spells, mark),
             "n_events": int(level_spells["is_event"].sum()), "estimate": reading.estimate,
             "ci_low": reading.ci_low, "ci_high": reading.ci_high, "note": reading.note}
        )  # fmt: skip
    return pd.DataFrame(rows)


def hazard_by_tenure_month(at_risk: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Leaving rate by month of tenure: exits over the account-months spent in it.

    Args:
        at_risk: from `spells_at_risk`.
        confidence: of the exact Poisson interval.

    Returns:
        One row per month of tenure: tenure_month, n_at_risk (accounts seen in it),
        exposure_months, n_events, hazard, ci_low, ci_high (events per account-month; blank from
        fewer than ten accounts). Month k ends on the longest possible k-th anniversary, so that a
        lapse on any k-th anniversary falls in month k.
    """
    entry, exits = at_risk["entry_days"].to_numpy(), at_risk["duration_days"].to_numpy()
    edges = month_edges(int(exits.max()) if len(exits) else 0)
    bands = life_table.hazard_by_band(
        exits, at_risk["is_event"].to_numpy(bool), entry, edges, confidence
    )
    seen = np.array([int(((entry < high) & (exits > low)).sum()) for low, high in pairwise(edges)])
    rates = bands[["hazard", "ci_low", "ci_high"]].mul(DAYS_PER_MONTH)
    rates = rates.where(pd.Series(seen >= SMALLEST_N, index=rates.index), np.nan)
    return pd.DataFrame(
        {
            "tenure_month": np.arange(1, len(edges)),
            "n_at_risk": seen,
            "exposure_months": bands["exposure"].to_numpy() / DAYS_PER_MONTH,
            "n_events": bands["events"].to_numpy().astype("int64"),
        }
    ).join(rates)


def supported(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at which enough accounts are at risk to be drawn: ten, or 5 % of the most.

    Args:
        rows: with n_at_risk, such as `hazard_by_tenure_month` or one stratum of incidence.

    Returns:
        The same rows without those of a thin risk set.
    """
    least = fewest_at_risk(rows["n_at_risk"].max() if len(rows) else 0)
    return rows[rows["n_at_risk"] >= least].reset_index(drop=True)


def stacked(blocks: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Frames below each other, cut to the columns; none gives an empty frame with them.

    Returns:
        The same rows, block after block.
    """
    filled = [block[columns] for block in blocks if len(block)]
    if not filled:
        return pd.DataFrame({column: pd.Series(dtype=float) for column in columns})
    return pd.concat(filled, ignore_index=True)
