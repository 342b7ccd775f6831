"""How wrong would the usual shortcuts have been? The revenue rows of the bias ledger.

Reads spells, mrr_ledger and accounts. The subtle point: a shortcut stands beside the number it is
taken for, on the same customers and months, so that the difference is the error and nothing else.
"""

from __future__ import annotations

import datetime as dt
from statistics import NormalDist

import numpy as np
import pandas as pd

from pipeline.analysis.choices import LEDGER_COLUMNS
from pipeline.analysis.reliability import MONTHS_PER_YEAR, SMALLEST_N, YEAR_DAYS
from pipeline.analysis.revenue.cohorts import cohorts
from pipeline.analysis.revenue.contrast import starters
from pipeline.analysis.revenue.ledger import shift
from pipeline.analysis.revenue.lifetime_value import Terms, lifetime_headline, revenue_over_churn
from pipeline.analysis.revenue.retention import headline, rates
from pipeline.statistics.life_table import kaplan_meier
from pipeline.statistics.proportions import wilson

CHAPTER_NAME = "revenue"
SMALL_CELLS = "acquisition_channel"
"""The smallest level of this column is the cell whose interval is shown both ways."""


def bias_ledger(
    spells: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, period: str,
    cut_off: dt.date, as_of: dt.date, observation_start: dt.date | None, terms: Terms,
    confidence: float, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Each shortcut of this chapter beside the number it is taken for.

    Args:
        spells: all spells of the slice.
        mrr_ledger: observed months.
        accounts: account_id, first_paid_date, is_first_paid_known, acquisition_cost.
        period: the month.
        cut_off: analysis cut-off.
        as_of: as-of date.
        observation_start: the first day observed.
        terms: margin and discount of the lifetime value.
        confidence: of the intervals.
        seed: of the draws of accounts.

    Returns:
        one row per shortcut: LEDGER_COLUMNS.
    """
    value = lifetime_headline(spells, mrr_ledger, accounts, cut_off, as_of, terms, confidence, seed)
    rows = [
        *_lifetimes(value.iloc[0], revenue_over_churn(spells, mrr_ledger, cut_off, terms)),
        *_net_for_gross(headline(mrr_ledger, period, confidence).set_index("name")),
        *_product_of_months(mrr_ledger, period, confidence),
        *_mean_of_rows(spells, mrr_ledger, accounts, observation_start, confidence),
        *_wald(mrr_ledger, accounts, confidence),
    ]
    return pd.DataFrame(rows).assign(chapter=CHAPTER_NAME).reindex(columns=LEDGER_COLUMNS)


def _row(
    shortcut: str, right: str, wrong: float, estimate: float, limits: tuple[float, float],
    unit: str, n: int, note: str = "",
) -> dict[str, object]:  # fmt: skip
    return {"shortcut": shortcut, "right": right, "wrong_estimate": float(wrong),
            "right_estimate": float(estimate), "right_ci_low": float(limits[0]),
            "right_ci_high": float(limits[1]), "unit": unit, "n": int(n),
            "note": note}  # fmt: skip


def _lifetimes(right: pd.Series, wrong: dict[str, float]) -> list[dict[str, object]]:
    limits = (right["ci_low"], right["ci_high"])
    return [
        _row(f"margin per account over the churn of {ages}", "value over 36 months from the curve",
             value, right["estimate"], limits, "currency per account", right["n"],
             "a rate that never falls, and no horizon")
        for ages, value in wrong.items()
    ]  # fmt: skip


def _net_for_gross(said: pd.DataFrame) -> list[dict[str, object]]:
    """The source's two formulas, taken for what was lost."""
    pairs = [("account_churn_rate", "gross_account_churn_rate", "customers"),
             ("revenue_churn_rate", "gross_mrr_churn_rate", "MRR")]  # fmt: skip
    return [
        _row(f"{what} at start less {what} at end, over start", f"{what} at start that were lost",
             said.at[wrong, "estimate"], said.at[right, "estimate"],
             (said.at[right, "ci_low"], said.at[right, "ci_high"]), "share", said.at[right, "n"],
             "what was sold hides what was lost")
        for wrong, right, what in pairs
    ]  # fmt: skip


def _product_of_months(
    mrr_ledger: pd.DataFrame, period: str, confidence: float
) -> list[dict[str, object]]:
    name = "net_revenue_retention_12_months"
    said = headline(mrr_ledger, period, confidence).set_index("name").loc[name]
    monthly = rates(mrr_ledger, period)["net_revenue_retention"]
    year = monthly[monthly.index >= shift(period, 1 - MONTHS_PER_YEAR)]
    if len(year) < MONTHS_PER_YEAR or np.isnan(said["estimate"]):
        return []
    return [
        _row("product of twelve monthly net retentions", "customers of 12 months ago, then and now",
             year.prod(), said["estimate"], (said["ci_low"], said["ci_high"]), "share", said["n"],
             "each month has another base: those won since are in it")
    ]  # fmt: skip


def _mean_of_rows(
    spells: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame,
    observation_start: dt.date | None, confidence: float,
) -> list[dict[str, object]]:  # fmt: skip
    """Each intake's newest cell, averaged, and read as retention after a year."""
    cells = cohorts(mrr_ledger, accounts, observation_start, confidence)
    newest = cells.dropna(subset="retained_share").sort_values("age_months")
    newest = newest.drop_duplicates("cohort", keep="last")
    first = spells[(spells["spell"] == 1) & spells["is_age_known"] & spells["is_followed"]]
    happened = first["is_churn"].astype(bool) & (first["end_type"] != "administrative")
    curve = kaplan_meier(
        first["duration_days"], happened.astype(int), first["entry_days"], confidence
    )
    within = curve[curve["time"] <= YEAR_DAYS]
    if newest.empty or within.empty or within["at_risk"].iloc[-1] < SMALLEST_N:
        return []
    last = within.iloc[-1]
    return [
        _row("mean of the newest cells of the cohort table", "curve with delayed entry, 12 months",
             newest["retained_share"].mean(), last["estimate"], (last["ci_low"], last["ci_high"]),
             "share", len(first), f"{len(newest)} intakes, seen {newest['age_months'].min()} to "
             f"{newest['age_months'].max()} months")
    ]  # fmt: skip


def _wald(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, confidence: float
) -> list[dict[str, object]]:
    """The interval of the smallest cell's churn both ways: Wald's vanishes where nobody left."""
    rows = starters(mrr_ledger, accounts, SMALL_CELLS)
    month = rows[rows["period"] == rows["period"].max()]
    cells = month.groupby("level")["is_lost"].agg(["sum", "size"])
    cells = cells[cells["size"] >= SMALLEST_N]
    if cells.empty:
        return []
    level = cells["size"].idxmin()
    lost, n = int(cells.at[level, "sum"]), int(cells.at[level, "size"])
    rate, low, high = wilson(lost, n, confidence)
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * float(np.sqrt(rate * (1 - rate) / n))
    note = f"{level}: {lost} of {n} customers; Wald {rate - half:.3f} to {rate + half:.3f}"
    return [_row("width of Wald's interval in the smallest cell", "width of Wilson's interval",
                 2 * half, high - low, (np.nan, np.nan), "share", n, note)]  # fmt: skip
