"""Who waits for value, and who left without it?"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis.time_to_value.parts import part_of, proportion_of
from pipeline.analysis.time_to_value.starters import (
    candidates_of,
    months_before,
    steps_of,
)


def overdue(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    as_of: dt.date,
    observation_start: dt.date | None,
    overdue_after_days: int,
) -> pd.DataFrame:
    """Customers who have paid for longer than they should without value, most revenue first.

    Facts at the as-of date. Gives one row per customer: account_id, segment, touch_model,
    first_paid_date, days_waiting, mrr, is_in_notice.
    """
    candidates = candidates_of(accounts, spells)
    keep = candidates["is_customer"].eq(True) & candidates["first_value_date"].isna()
    for _, _, passes in steps_of(candidates, accounts, account_months, as_of, observation_start):
        keep &= passes
    waiting = (pd.Timestamp(as_of) - candidates["first_paid_date"]).dt.days
    late = candidates.assign(days_waiting=waiting)[keep & (waiting > overdue_after_days)]
    late = late.assign(days_waiting=late["days_waiting"].astype("int64"))
    kept = [
        "account_id", "segment", "touch_model", "first_paid_date", "days_waiting", "mrr",
        "is_in_notice",
    ]  # fmt: skip
    order = ["mrr", "account_id"]
    return late[kept].sort_values(order, ascending=[False, True], ignore_index=True)


def stakes(overdue: pd.DataFrame, accounts: pd.DataFrame, *, is_known: bool = True) -> pd.DataFrame:
    """How many wait and how much they pay: one row for all: n, mrr, mrr_share (of all MRR).

    Blank, and not 0, where the company records no milestones.
    """
    if not is_known:
        return pd.DataFrame([dict.fromkeys(("n", "mrr", "mrr_share"), np.nan)])
    total, waiting = accounts["mrr"].sum(), overdue["mrr"].sum()
    share = waiting / total if total else np.nan
    return pd.DataFrame([{"n": len(overdue), "mrr": waiting, "mrr_share": share}])


def lost_without_value(starters: pd.DataFrame, cut_off: dt.date, confidence: float) -> pd.DataFrame:
    """Share of the last 12 months' losses that never had value, beside the share of exposure.

    Gives one row per measure, of lost customers, lost MRR and customer days: what, without_value,
    total, share, ci_low, ci_high (customers only; the others are sums), n (accounts).
    """
    window = pd.Timestamp(months_before(cut_off, 12))
    lost = starters[starters["is_lost"] & (starters["lapse_date"] > window)]
    never = lost["value_day"].isna()
    opened = (window - starters["first_paid_date"]).dt.days.clip(lower=0)
    waited = starters["value_day"].fillna(np.inf).clip(upper=starters["end_day"])
    days = (starters["end_day"] - opened).clip(lower=0)
    without = (waited - opened).clip(lower=0)
    customers = proportion_of("lost customers", int(never.sum()), len(lost), confidence)
    money = lost["mrr_lost"].fillna(0.0)
    rows = [
        customers,
        part_of("lost MRR", money[never].sum(), money.sum(), len(lost)),
        part_of("customer days", without.sum(), days.sum(), int((days > 0).sum())),
    ]  # fmt: skip
    return pd.DataFrame(rows).rename(columns={"k": "without_value"})
