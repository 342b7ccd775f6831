"""What share did we keep, this month and over 12 months, and how sure is that?

Reads mrr_ledger. Makes the headlines and revenue.retention_history. The subtle point: the month is
a census and its rates are facts; the interval says what the same month would give if it ran again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.revenue.ledger import coded, months, over, shift, year_pairs
from pipeline.statistics.proportions import wilson
from pipeline.statistics.ratios import (
    RatioEstimate,
    leave_one_out_range,
    linearised_ratio,
    top_share,
)

SMALLEST_EFFECTIVE_N = 20.0
"""Below this effective sample size a revenue interval is withheld; GLOSSARY, small numbers."""
LOW_EFFECTIVE_N = 100.0
"""Below this the interval of a revenue ratio covers less than it says; GLOSSARY, small numbers."""
RATES = (
    "account_churn_rate", "revenue_churn_rate", "gross_account_churn_rate", "gross_mrr_churn_rate",
    "gross_revenue_retention", "net_revenue_retention",
)  # fmt: skip
YEARLY = ("gross_revenue_retention_12_months", "net_revenue_retention_12_months")
AMOUNTS = ("mrr_start", "mrr_end", "customers_start", "customers_end")


def rates(mrr_ledger: pd.DataFrame, through: str | None = None) -> pd.DataFrame:
    """Every rate of every month, recomputed from this slice: one vintage, one definition.

    Returns:
        one row per period (the index): the names of RATES, quick_ratio, AMOUNTS, is_settled. The
        share of customers lost is missing in a month that began with fewer than SMALLEST_N; sums
        of the books and their ratios never are.
    """
    sums = months(mrr_ledger, through)
    n_start, mrr_start = sums["customers_start"], sums["mrr_start"]
    gained = sums["new"] + sums["reactivation"] + sums["expansion"]
    table = pd.DataFrame(
        {
            "account_churn_rate": over(n_start - sums["customers_end"], n_start),
            "revenue_churn_rate": over(mrr_start - sums["mrr_end"], mrr_start),
            "gross_account_churn_rate": over(sums["n_churn"], n_start),
            "gross_mrr_churn_rate": 1 - over(sums["kept"], mrr_start),
            "gross_revenue_retention": over(sums["kept"], mrr_start),
            "net_revenue_retention": over(sums["carried"], mrr_start),
        }
    )
    lost = table["gross_account_churn_rate"].where(n_start >= SMALLEST_N)
    return table.assign(
        gross_account_churn_rate=lost,
        quick_ratio=over(gained, sums["churn"] + sums["contraction"]),
        **{name: sums[name] for name in (*AMOUNTS, "is_settled")},
    )


def retention_history(mrr_ledger: pd.DataFrame) -> pd.DataFrame:
    """Gross and net retention of every month and of the 12 months to it.

    Returns:
        one row per period: gross_revenue_retention, net_revenue_retention, their …_12_months
        (missing until the ledger reaches back a year), is_settled.
    """
    monthly = rates(mrr_ledger)[["gross_revenue_retention", "net_revenue_retention", "is_settled"]]
    rows = coded(mrr_ledger)
    yearly = pd.DataFrame(
        [_yearly(rows, period) for period in monthly.index],
        index=monthly.index, columns=list(YEARLY), dtype=float,
    )  # fmt: skip
    return monthly.join(yearly).reset_index()


def _yearly(mrr_ledger: pd.DataFrame, period: str) -> tuple[float, float]:
    pairs = year_pairs(mrr_ledger, period)
    if pairs is None or not len(pairs):
        return np.nan, np.nan
    then = pairs["mrr_then"].sum()
    kept = np.minimum(pairs["mrr_then"], pairs["mrr_now"]).sum()
    return kept / then, pairs["mrr_now"].sum() / then


def headline(
    mrr_ledger: pd.DataFrame,
    period: str,
    confidence: float,
    staying_lost: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The month's headlines with their ranges, beside the month before and the year before.

    Args:
        mrr_ledger: observed months only, see `observed`.
        period: the report's month, YYYY-MM.
        confidence: of the ranges "if the same month ran again".
        staying_lost: the row of `stay_lost`, said beside the customers lost in a provisional month.

    Returns:
        one row per headline: name, estimate, ci_low, ci_high, n, n_events (of a share of accounts),
        state, note, previous, year_ago. A provisional month is compared with nothing.
    """
    values = rates(mrr_ledger, period)
    is_settled, looked_at = bool(values.at[period, "is_settled"]), coded(mrr_ledger)
    rows = [
        *(_rate_row(looked_at, period, name, values, confidence) for name in RATES),
        *(_yearly_row(looked_at, period, name, confidence) for name in YEARLY),
        _quick_row(values.loc[period]),
        *(_amount_row(values.loc[period], name, looked_at, period) for name in AMOUNTS),
    ]
    table = pd.DataFrame(rows)
    for column, back in (("previous", -1), ("year_ago", -12)):
        earlier = _values_of(looked_at, values, shift(period, back)) if is_settled else {}
        table[column] = table["name"].map(earlier).astype(float)
    if is_settled:
        return table
    is_lost = table["name"] == "gross_account_churn_rate"
    return table.assign(
        state=table["state"].mask(table["estimate"].notna(), "provisional"),
        note=table["note"] + np.where(is_lost, _staying(staying_lost), ""),
    )


def _staying(staying_lost: pd.DataFrame | None) -> str:
    return "" if staying_lost is None else f"; {staying_lost['meaning'].iloc[0]}"


def _values_of(mrr_ledger: pd.DataFrame, values: pd.DataFrame, period: str) -> dict[str, float]:
    if period not in values.index:
        return {}
    yearly = dict(zip(YEARLY, _yearly(mrr_ledger, period), strict=True))
    return {**values.loc[period].drop("is_settled").to_dict(), **yearly}


def _row(
    name: str,
    estimate: float,
    n: int,
    state: str = "exact",
    note: str = "",
    limits: Sequence[float] = (np.nan, np.nan),
    n_events: float = np.nan,
) -> dict[str, object]:
    low, high = (float(limit) for limit in limits)
    return {"name": name, "estimate": float(estimate), "ci_low": low, "ci_high": high, "n": int(n),
            "n_events": n_events, "state": state, "note": note}  # fmt: skip


def _rate_row(
    mrr_ledger: pd.DataFrame, period: str, name: str, values: pd.DataFrame, confidence: float
) -> dict[str, object]:
    starters = mrr_ledger[(mrr_ledger["period"] == period) & (mrr_ledger["mrr_start"] > 0)]
    n, lost = len(starters), int((starters["mrr_end"] == 0).sum())
    if n == 0:
        return _row(name, np.nan, 0, "not_available", "no customer at the start of the month")
    estimate = values.at[period, name]
    if name in ("account_churn_rate", "revenue_churn_rate"):
        return _row(name, estimate, n, note="source formula, net of new customers")
    if name == "gross_account_churn_rate":
        if n < SMALLEST_N:
            return _row(name, np.nan, n, "not_available", f"{lost} of {n} customers lost")
        _, low, high = wilson(lost, n, confidence)
        return _row(name, estimate, n, "ok", f"{lost} of {n}", (low, high), lost)
    return _ratio_row(name, starters["mrr_start"], starters["mrr_end"], confidence)


def _yearly_row(
    mrr_ledger: pd.DataFrame, period: str, name: str, confidence: float
) -> dict[str, object]:
    pairs = year_pairs(mrr_ledger, period)
    if pairs is None:
        return _row(name, np.nan, 0, "not_available", "fewer than 12 months of data")
    if len(pairs) == 0:
        return _row(name, np.nan, 0, "not_available", "no customer 12 months ago")
    return _ratio_row(name, pairs["mrr_then"], pairs["mrr_now"], confidence)


def _ratio_row(name: str, then: pd.Series, now: pd.Series, confidence: float) -> dict[str, object]:
    """A revenue ratio with its linearised interval, withheld when a few accounts decide it."""
    numerator = _numerator(name, then, now)
    ratio: RatioEstimate = linearised_ratio(numerator, then.to_numpy(), confidence)
    note = _concentration(numerator, then.to_numpy(), ratio)
    if ratio.effective_n < SMALLEST_EFFECTIVE_N:
        return _row(name, ratio.estimate, len(then), "fragile", f"interval withheld; {note}")
    if not ratio.std_err > 0:  # it would claim to be certain
        return _row(name, ratio.estimate, len(then), "ok", f"no interval: accounts agree; {note}")
    ceiling = np.inf if name.startswith("net_") else 1.0
    low, high = np.clip([ratio.ci_low, ratio.ci_high], 0.0, ceiling)
    return _row(name, ratio.estimate, len(then), "ok", note, (low, high))


def _numerator(name: str, then: pd.Series, now: pd.Series) -> np.ndarray:
    if name.startswith("net_"):
        return now.to_numpy()
    kept = np.minimum(then, now).to_numpy()
    return then.to_numpy() - kept if name == "gross_mrr_churn_rate" else kept


def _concentration(numerator: np.ndarray, then: np.ndarray, ratio: RatioEstimate) -> str:
    low, high = leave_one_out_range(numerator, then)
    reliability = ", low reliability" if ratio.effective_n < LOW_EFFECTIVE_N else ""
    span = f"; without any one account {100 * low:.1f} % to {100 * high:.1f} %"
    return (
        f"effective sample size {ratio.effective_n:.0f}{reliability}; five largest accounts hold "
        f"{100 * top_share(then, 5):.1f} %{span if np.isfinite(low) else ''}"
    )


def _quick_row(values: pd.Series) -> dict[str, object]:
    if np.isnan(values["quick_ratio"]):
        return _row("quick_ratio", np.nan, values["customers_start"], "not_available", "no losses")
    return _row("quick_ratio", values["quick_ratio"], values["customers_start"])


def _amount_row(
    values: pd.Series, name: str, mrr_ledger: pd.DataFrame, period: str
) -> dict[str, object]:
    n = values["customers_start" if name.endswith("start") else "customers_end"]
    fx = mrr_ledger.loc[mrr_ledger["period"] == period, "fx"].sum()
    note = f"after a currency effect of {fx:,.2f}" if name == "mrr_start" and fx else ""
    return _row(name, values[name], n, note=note)
