"""Do the books add up, and do enough accounts carry each rate? The checks behind the headlines.

Reads mrr_ledger and accounts. The subtle point: a bridge closes to the cent or it hides a movement;
there is no nearly.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis import checks
from pipeline.analysis.revenue.contrast import level_by_account
from pipeline.analysis.revenue.ledger import MONEY_DIGITS, months, year_pairs
from pipeline.analysis.revenue.losses import UNKNOWN
from pipeline.analysis.revenue.retention import LOW_EFFECTIVE_N, YEARLY
from pipeline.statistics.ratios import linearised_ratio

TO_THE_CENT = 0.5 * 10**-MONEY_DIGITS
MONTHLY_RATIOS = ("gross_mrr_churn_rate", "gross_revenue_retention", "net_revenue_retention")
BOOKS = {
    "bridge": ("mrr_start", "mrr_end", "revenue_churn_rate", "quick_ratio", *MONTHLY_RATIOS),
    "chain of months": ("mrr_start", "mrr_end", *YEARLY),
    "accounts": ("customers_start", "customers_end", "account_churn_rate",
                 "gross_account_churn_rate"),
    "gross retention no more than net, nor than all": MONTHLY_RATIOS,
    "segments to the total": ("gross_account_churn_rate", "gross_mrr_churn_rate"),
    "ways of leaving to churn": ("gross_account_churn_rate",),
}  # fmt: skip
"""What should add up → the headlines that rest on it."""


def headline_checks(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, period: str, by: str
) -> dict[str, list[checks.Check]]:
    """What was looked at before each headline of the chapter is believed.

    Args:
        mrr_ledger: observed months.
        accounts: account_id and, where there is one, the column `by`.
        period: the month.
        by: column whose levels should add up to the whole.

    Returns:
        headline → checks: the identities of the books (hard), and, softly, that enough accounts
        carry the money of a revenue ratio and enough losses the share of customers lost.
    """
    gaps = _gaps(mrr_ledger, accounts, period, by)
    found: dict[str, list[checks.Check]] = {}
    for what, names in BOOKS.items():
        for name in names:
            found.setdefault(name, []).append(checks.identity(what, gaps[what], TO_THE_CENT))
    month = mrr_ledger[(mrr_ledger["period"] == period) & (mrr_ledger["mrr_start"] > 0)]
    for name in MONTHLY_RATIOS:
        found[name].append(_carried_by(month["mrr_start"]))
    year = year_pairs(mrr_ledger, period)
    if year is not None and len(year):
        for name in YEARLY:
            found[name].append(_carried_by(year["mrr_then"]))
    lost = int(month["mrr_end"].eq(0).sum())
    found["gross_account_churn_rate"].append(checks.enough_events(lost))
    return found


def _carried_by(mrr: pd.Series) -> checks.Check:
    effective_n = linearised_ratio(mrr, mrr).effective_n
    return checks.effective_sample_size(effective_n, LOW_EFFECTIVE_N)


def _gaps(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, period: str, by: str
) -> dict[str, float]:
    """The largest difference of each identity: over all months, the last two of this month."""
    sums = months(mrr_ledger, period)
    came = sums["new"] + sums["expansion"] + sums["reactivation"]
    bridged = sums["mrr_start"] + came - sums["contraction"] - sums["churn"] - sums["mrr_end"]
    chained = (sums["mrr_start"] - sums["fx"] - sums["mrr_end"].shift()).iloc[1:]
    moved = sums["customers_start"] + sums["n_new"] + sums["n_reactivation"] - sums["n_churn"]
    excess = np.maximum(sums["kept"] - sums["mrr_start"], sums["kept"] - sums["carried"])
    return {
        "bridge": _largest(bridged),
        "chain of months": _largest(chained),
        "accounts": _largest(moved - sums["customers_end"]),
        "gross retention no more than net, nor than all": max(float(excess.max()), 0.0),
        **_parts(mrr_ledger, accounts, period, by, sums.loc[period]),
    }


def _parts(
    mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, period: str, by: str, sums: pd.Series
) -> dict[str, float]:
    month = mrr_ledger[mrr_ledger["period"] == period]
    level = level_by_account(accounts, by).reindex(month["account_id"]).to_numpy()
    lost = month["mrr_start"].where(month["movement"] == "churn", 0.0)
    less = (month["mrr_start"] - month["mrr_end"]).where(month["movement"] == "contraction", 0.0)
    by_level = (lost + less).groupby(level).sum().sum()
    by_type = lost.groupby(month["end_type"].fillna(UNKNOWN)).sum().sum()
    return {
        "segments to the total": abs(float(by_level - sums["churn"] - sums["contraction"])),
        "ways of leaving to churn": abs(float(by_type - sums["churn"])),
    }


def _largest(gap: pd.Series) -> float:
    return float(gap.abs().max()) if len(gap) else 0.0
