"""Is churn rising or falling, at one mix of customers, and per day at risk?

Reads mrr_ledger, spells and accounts. Makes revenue.standardised and revenue.trend. The subtle
point: a mix that moves towards customers who always leave more looks like a trend; at a fixed mix
it is none.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import FEWEST_EVENTS, MONTHS_PER_YEAR, SMALLEST_N
from pipeline.analysis.revenue.contrast import starters
from pipeline.analysis.revenue.ledger import over, shift
from pipeline.statistics.proportions import newcombe, wilson
from pipeline.statistics.rates import Rate, poisson_rate, poisson_trend

PER_DAYS = 1000.0
POINTS = 100.0
"""Percentage points in a share of one."""
LONG_WINDOW = 24
"""Months of the trend: two years, so that each season is in it twice."""
STANDARDISED_COLUMNS = (
    "period", "n", "n_lost", "crude", "standardised", "ci_low", "ci_high",
)  # fmt: skip


def standardised(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, by: str, confidence: float
) -> pd.DataFrame:
    """Gross account churn of each settled month as it was, and at the mix of all of them together.

    Args:
        mrr_ledger: observed months.
        accounts: account_id and the column `by`.
        by: column whose mix is held fixed.
        confidence: of the interval of the standardised share (Wilson on its effective n).

    Returns:
        one row per settled month: period, n, n_lost, crude, standardised, ci_low, ci_high. Shares
        are missing in a month of fewer than SMALLEST_N customers; the standardised one also where
        a level of the mix is empty. No rows while no settled month began with a customer.
    """
    rows = starters(mrr_ledger, accounts, by)
    if rows.empty:
        return pd.DataFrame(columns=list(STANDARDISED_COLUMNS))
    counted = rows.groupby(["period", "level"])[["is_lost", "n"]].sum().unstack(fill_value=0.0)
    lost, base = counted["is_lost"], counted["n"]
    mix = base.sum() / base.to_numpy().sum()
    rate = lost / base.where(base > 0)
    level = (rate * mix).sum(axis=1, skipna=False)
    variance = (mix**2 * rate * (1 - rate) / base.where(base > 0)).sum(axis=1)
    effective = (level * (1 - level) / variance.where(variance > 0)).fillna(base.sum(axis=1))
    known = level.notna() & (base.sum(axis=1) >= SMALLEST_N)
    _, low, high = wilson((level * effective).where(known, 0.0), effective.where(known, 0.0),
                          confidence)  # fmt: skip
    table = pd.DataFrame(
        {"n": base.sum(axis=1).astype("int64"), "n_lost": lost.sum(axis=1).astype("int64"),
         "crude": over(lost.sum(axis=1), base.sum(axis=1)), "standardised": level,
         "ci_low": low, "ci_high": high}
    )  # fmt: skip
    shares = ["crude", "standardised", "ci_low", "ci_high"]
    table[shares] = table[shares].where(table["n"] >= SMALLEST_N)
    return table.reset_index()


def trend(
    mrr_ledger: pd.DataFrame, spells: pd.DataFrame, accounts: pd.DataFrame, by: str,
    cut_off: dt.date, confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """How fast customers leave per day at risk, whether that changes, and how months spread.

    Args:
        mrr_ledger: observed months.
        spells: start_date, lapse_date, entry_days; those that joined within a month included.
        accounts: account_id and the column `by`.
        by: column whose mix is held fixed.
        cut_off: analysis cut-off; days at risk end there.
        confidence: of the intervals (exact Poisson; Newcombe; Poisson regression, widened by the
            root of the dispersion where that exceeds 1.2).

    Returns:
        one row per quantity: quantity, estimate, ci_low, ci_high, unit, n_events, note.
    """
    rows = starters(mrr_ledger, accounts, by)
    if rows.empty:
        return pd.DataFrame(columns=["quantity", "estimate", "ci_low", "ci_high", "unit",
                                     "n_events", "note"])  # fmt: skip
    last = rows["period"].max()
    lapses = [
        _per_days(spells, shift(last, 1 - months), last, cut_off, confidence, name)
        for months, name in ((1, "month"), (MONTHS_PER_YEAR, "year"))
    ]
    return pd.DataFrame([*lapses, _year_on_year(rows, last, confidence),
                         *_slopes(rows, last, by, confidence)])  # fmt: skip


def _row(quantity: str, rate: Rate, unit: str, n_events: float, note: str) -> dict[str, object]:
    return {"quantity": quantity, "estimate": rate.estimate, "ci_low": rate.ci_low,
            "ci_high": rate.ci_high, "unit": unit, "n_events": int(n_events),
            "note": note}  # fmt: skip


def _per_days(
    spells: pd.DataFrame, first: str, last: str, cut_off: dt.date, confidence: float, name: str
) -> dict[str, object]:
    """Lapses per 1,000 account-days of some months; a day at risk is a day that was paid."""
    opens = pd.Period(first, freq="M").start_time
    closes = min(pd.Period(shift(last, 1), freq="M").start_time,
                 pd.Timestamp(cut_off) + pd.Timedelta(days=1))  # fmt: skip
    seen_from = spells["start_date"] + pd.to_timedelta(spells["entry_days"], unit="D")
    begins = seen_from.clip(lower=opens)
    ends = spells["lapse_date"].fillna(closes).clip(upper=closes)
    days = (ends - begins).dt.days.clip(lower=0).sum()
    is_lapse = (spells["lapse_date"] >= opens) & (spells["lapse_date"] < closes)
    is_lapse &= spells["lapse_date"] > seen_from
    rate = poisson_rate(int(is_lapse.sum()), days / PER_DAYS, confidence)
    note = f"{days:,.0f} account-days, {first} to {last}; with those that joined in it"
    return _row(f"lapses_per_1000_account_days_{name}", rate, "per 1,000 account-days",
                is_lapse.sum(), note)  # fmt: skip


def _year_on_year(rows: pd.DataFrame, last: str, confidence: float) -> dict[str, object]:
    """The newest settled month less the same month a year before."""
    now, then = (rows[rows["period"] == month] for month in (last, shift(last, -MONTHS_PER_YEAR)))
    counts = [int(part["is_lost"].sum()) for part in (now, then)]
    name, unit = "churn_on_the_year_before", "points"
    if min(len(now), len(then)) < SMALLEST_N:
        return _row(name, Rate(*[np.nan] * 3), unit, sum(counts), "no such month to compare with")
    found = newcombe(counts[0], len(now), counts[1], len(then), confidence)
    note = f"{last} less {shift(last, -MONTHS_PER_YEAR)}; the mix as it was"
    return _row(name, Rate(*(POINTS * float(value) for value in found)), unit, sum(counts), note)


def _slopes(rows: pd.DataFrame, last: str, by: str, confidence: float) -> list[dict[str, object]]:
    """The yearly ratio of churn at a fixed mix, as it was, and the spread of months around it."""
    window = rows[rows["period"] > shift(last, -LONG_WINDOW)]
    cells = window.groupby(["period", "level"])[["is_lost", "n"]].sum().reset_index()
    whole = cells.groupby("period")[["is_lost", "n"]].sum().reset_index().assign(level="all")
    n_events, n_months = cells["is_lost"].sum(), cells["period"].nunique()
    fits = [
        poisson_trend(
            part["is_lost"], part["n"], part["level"],
            pd.PeriodIndex(part["period"], freq="M").astype("int64") / MONTHS_PER_YEAR, confidence,
        )
        for part in (cells, whole)
    ]  # fmt: skip
    if n_months < MONTHS_PER_YEAR or n_events < FEWEST_EVENTS:
        return []
    note = f"{n_months} settled months to {last}"
    return [
        _row("yearly_ratio_at_one_mix", fits[0][0], "ratio", n_events, f"{note}, mix of {by} held"),
        _row("yearly_ratio_as_it_was", fits[1][0], "ratio", n_events, f"{note}, mix moving"),
        _row("dispersion_of_months", fits[1][1], "ratio", n_events,
             f"{note}; above 1.2 months share shocks"),
    ]  # fmt: skip
