"""What does each definition of churn say about the same month?

Reads mrr_ledger and spells. Makes revenue.definitions and revenue.arithmetic. The subtle point: the
source's formulas are net of new customers: they fall, below 0 too, while many customers leave and
those who were there pay less in all.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import MONTHS_PER_YEAR, SMALLEST_N
from pipeline.analysis.revenue.ledger import months, shift

ACCOUNT_SHARES = (
    "starters_lost", "joined_and_lost_included", "lost_over_start_plus_joined",
    "source_prose_lost_over_acquired",
)  # fmt: skip
POINT = 0.01
"""One percentage point."""


def definitions(mrr_ledger: pd.DataFrame, spells: pd.DataFrame, period: str) -> pd.DataFrame:
    """Every definition of churn side by side, so that none is picked in silence.

    Args:
        mrr_ledger: observed months.
        spells: for the customers 30 days before the end; start_date, lapse_date.
        period: the month.

    Returns:
        one row per definition: definition, value, unit (share, ratio), n (the
        denominator's accounts), note. Value is
        missing where the denominator is 0, and for a share of accounts (source formulas are sums
        of the books and stay) where it holds fewer than SMALLEST_N.
    """
    sums = months(mrr_ledger, period).loc[period]
    n_start, mrr_start = sums["customers_start"], sums["mrr_start"]
    end = pd.Period(shift(period, 1), freq="M").start_time
    n_30 = customers_at(spells, end - pd.Timedelta(days=30))
    n_end, lost_starters = sums["customers_end"], sums["n_churn"]
    lost, joined = (
        lost_starters + sums["n_joined_and_left"],
        sums["n_new"] + sums["n_joined_and_left"],
    )
    out = sums["churn"] + sums["contraction"]
    grown, back = sums["expansion"], sums["reactivation"]
    rows = [
        ("source_formula", n_start - n_end, n_start, n_start, "net of new customers"),
        ("source_formula_30_days", n_30 - n_end, n_30, n_30, "over the last 30 days of the month"),
        ("starters_lost", lost_starters, n_start, n_start, "customers at start that left"),
        ("joined_and_lost_included", lost, n_start, n_start, "with those that joined and left"),
        ("lost_over_start_plus_joined", lost, n_start + joined, n_start + joined,
         "everybody who could leave"),
        ("source_prose_lost_over_acquired", lost, joined, joined,
         "lost over acquired, as the source's prose says; may exceed 1"),
        ("source_formula_revenue", mrr_start - sums["mrr_end"], mrr_start, n_start,
         "net of new MRR; negative: revenue grew"),
        ("gross_mrr_churn", out, mrr_start, n_start, "churned and contracted MRR"),
        ("net_mrr_churn_with_reactivation", out - grown - back, mrr_start, n_start,
         "expansion and reactivation offset"),
        ("net_churn_of_starters", out - grown, mrr_start, n_start, "1 − net revenue retention"),
        ("quick_ratio_without_reactivation", sums["new"] + grown, out, n_start, "gained over lost"),
        ("quick_ratio", sums["new"] + back + grown, out, n_start, "gained over lost"),
    ]  # fmt: skip
    return pd.DataFrame([_definition(*row) for row in rows])


def _definition(name: str, above: float, below: float, n: int, note: str) -> dict[str, object]:
    is_rate = not name.startswith("quick_ratio")
    unit = "share" if is_rate else "ratio"
    value = above / below if below else np.nan
    if below and name in ACCOUNT_SHARES and n < SMALLEST_N:
        value = np.nan
        note = f"{above:g} of {below:g}; {note}"
    elif not below:
        note = f"{'nothing to divide by' if is_rate else 'no losses'}; {note}"
    return {"definition": name, "value": float(value), "unit": unit, "n": int(n),
            "note": note}  # fmt: skip


def customers_at(spells: pd.DataFrame, day: pd.Timestamp) -> int:
    """Customers at the left limit of a day: started before it and not lapsed before it."""
    has_started = spells["start_date"] < day
    is_served = spells["lapse_date"].isna() | (spells["lapse_date"] >= day)
    return int(spells.loc[has_started & is_served, "account_id"].nunique())


def annualised(monthly_rate: float, periods_per_year: float = MONTHS_PER_YEAR) -> float:
    """What a rate of one period would lose in a year if it stayed: 1 − (1 − rate)^periods."""
    return 1 - (1 - monthly_rate) ** periods_per_year


def arithmetic(mrr_ledger: pd.DataFrame, window: int = MONTHS_PER_YEAR) -> pd.DataFrame:
    """Arithmetic if the mean rates of the last settled months stayed; nothing here is a forecast.

    Args:
        mrr_ledger: observed months.
        window: how many settled months the means are taken over.

    Returns:
        one row per quantity: quantity, value, unit, months (settled months behind it). Value is
        missing where the months held fewer than SMALLEST_N customers; the steady state also where
        nobody was lost.
    """
    sums = months(mrr_ledger)
    recent = sums[sums["is_settled"]].tail(window)
    totals, n = recent.select_dtypes("number").sum(), len(recent)
    if n == 0 or totals["customers_start"] < SMALLEST_N * n:
        churn = lost = entries = base = np.nan
    else:
        churn = totals["n_churn"] / totals["customers_start"]
        lost = (totals["churn"] + totals["contraction"]) / totals["mrr_start"]
        entries = (totals["n_new"] + totals["n_reactivation"]) / n
        base = recent["mrr_end"].iloc[-1]
    left, left_with_less = (base * (1 - annualised(rate)) for rate in (lost, max(lost - POINT, 0)))
    rows = [
        ("monthly_account_churn", churn, "share"),
        ("yearly_account_churn", annualised(churn), "share"),
        ("entries_per_month", entries, "accounts"),
        ("steady_state_customers", entries / churn if churn else np.nan, "accounts"),
        ("mrr_left_after_12_months", left, "currency per month"),
        ("mrr_kept_by_one_point_less_churn", left_with_less - left, "currency per month"),
    ]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"]).assign(months=n)
