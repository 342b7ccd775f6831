"""Who left, why, could they leave at all, and who may still come back?

Reads mrr_ledger, spells and returns. Makes revenue.renewals, stay_lost, reasons, end_types and
largest_losses. The subtle point: on a book of annual contracts a monthly rate is diluted by those
who could not leave.
"""

from __future__ import annotations

import datetime as dt
from statistics import NormalDist

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.revenue.ledger import opening_days, over, shift, span
from pipeline.statistics.life_table import kaplan_meier
from pipeline.statistics.proportions import wilson

SMALLEST_RETURNS = 20
"""Below so many returns on file the share that stays lost is given as two bounds."""
UNKNOWN = "unknown"


def renewals(mrr_ledger: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Of those who could leave because they were due for renewal, how many did?

    Returns:
        one row per period: n_due, n_lost, lost_share with Wilson interval, mrr_due, mrr_lost,
        mrr_lost_share, n_not_due, n_not_due_lost. Shares are missing under SMALLEST_N due; a
        customer whose source has no terms is neither due nor not due.
    """
    starters = mrr_ledger[mrr_ledger["mrr_start"] > 0]
    is_due, is_lost = starters["is_due_for_renewal"].eq(True), starters["mrr_end"] == 0
    is_not_due = starters["is_due_for_renewal"].eq(False)
    counted = pd.DataFrame(
        {
            "n_due": is_due,
            "n_lost": is_due & is_lost,
            "mrr_due": starters["mrr_start"].where(is_due, 0.0),
            "mrr_lost": starters["mrr_start"].where(is_due & is_lost, 0.0),
            "n_not_due": is_not_due,
            "n_not_due_lost": is_not_due & is_lost,
        }
    )
    table = (
        counted.groupby(starters["period"])
        .sum()
        .reindex(span(mrr_ledger["period"], None), fill_value=0)
    )
    _, low, high = wilson(table["n_lost"].to_numpy(), table["n_due"].to_numpy(), confidence)
    shares = pd.DataFrame(
        {"lost_share": over(table["n_lost"], table["n_due"]), "ci_low": low, "ci_high": high,
         "mrr_lost_share": over(table["mrr_lost"], table["mrr_due"])}, index=table.index,
    )  # fmt: skip
    return table.join(shares.where(table["n_due"] >= SMALLEST_N)).reset_index()


def stay_lost(
    mrr_ledger: pd.DataFrame, returns: pd.DataFrame, period: str, cut_off: dt.date,
    grace_days: int, confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Of the customers lost in a provisional month, how many will not be back within the grace?

    The chance that a lapse stays lost is S(grace) / S(days so far), S from the return times of
    settled lapses (Kaplan–Meier; Greenwood's variance). The interval adds the chance of each lapse
    to the error of the curve, taken as common to all.

    Returns:
        One row for the month: n_lost, mrr_lost, n_pending, expected, ci_low, ci_high, mrr_expected,
        method (curve, bounds, settled), meaning (in words). Under SMALLEST_RETURNS returns on file
        `expected` is missing and the limits are the two bounds.
    """
    lost = _lost_now(mrr_ledger, returns, period)
    pending = lost["days_observed"] < grace_days
    row = {
        "n_lost": len(lost),
        "mrr_lost": lost["mrr_start"].sum(),
        "n_pending": int(pending.sum()),
    }
    if not pending.any():
        return _stay_lost_row(row, len(lost), 0.0, row["mrr_lost"], "settled")
    settled = returns[returns["lapse_date"] <= pd.Timestamp(cut_off)]
    if settled["has_returned"].sum() < SMALLEST_RETURNS:
        bounds = {
            "expected": np.nan,
            "ci_low": float((~pending).sum()),
            "ci_high": float(len(lost)),
        }
        told = f"between {bounds['ci_low']:.0f} and {bounds['ci_high']:.0f} will stay lost"
        made = bounds | {"mrr_expected": np.nan, "method": "bounds", "meaning": told}
        return pd.DataFrame([row | made])
    stays, error = _chance_to_stay_lost(settled, lost["days_observed"], grace_days)
    spread = float(np.sqrt((stays * (1 - stays)).sum() + (stays * error).sum() ** 2))
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * spread
    return _stay_lost_row(row, stays.sum(), half, (stays * lost["mrr_start"]).sum(), "curve")


def _stay_lost_row(
    row: dict, expected: float, half: float, mrr_expected: float, method: str
) -> pd.DataFrame:
    low, high = np.clip([expected - half, expected + half], 0.0, row["n_lost"])
    told = f"{expected:.0f} expected to stay lost ({low:.0f} to {high:.0f})"
    told = "every lapse is settled" if method == "settled" else told
    made = {"expected": float(expected), "ci_low": low, "ci_high": high,
            "mrr_expected": float(mrr_expected), "method": method,
            "meaning": told}  # fmt: skip
    return pd.DataFrame([row | made])


def _lost_now(mrr_ledger: pd.DataFrame, returns: pd.DataFrame, period: str) -> pd.DataFrame:
    """The month's churned accounts with the days since their last lapse."""
    is_lost = (mrr_ledger["period"] == period) & (mrr_ledger["movement"] == "churn")
    lapsed = returns[returns["lapse_date"].dt.to_period("M").astype(str) == period]
    last = lapsed.sort_values("lapse_date").drop_duplicates("account_id", keep="last")
    lost = mrr_ledger.loc[is_lost, ["account_id", "mrr_start"]]
    joined = lost.merge(last[["account_id", "days_observed"]], how="left", on="account_id")
    return joined.fillna({"days_observed": 0})


def _chance_to_stay_lost(
    settled: pd.DataFrame, days: pd.Series, grace_days: int
) -> tuple[pd.Series, pd.Series]:
    curve = kaplan_meier(
        settled["days_observed"].to_numpy(float), settled["has_returned"].to_numpy(bool)
    )
    curve = curve[curve["time"] <= grace_days]
    at_risk, returned = curve["at_risk"].to_numpy(float), curve["events"].to_numpy(float)
    left = np.maximum(at_risk - returned, 1.0)
    survival = np.append(1.0, np.cumprod(1 - returned / np.maximum(at_risk, 1.0)))
    variance = np.append(0.0, np.cumsum(returned / (np.maximum(at_risk, 1.0) * left)))
    position = np.searchsorted(curve["time"], days.clip(upper=grace_days), side="right")
    stays = pd.Series(survival[-1] / survival[position], index=days.index)
    return stays, pd.Series(np.sqrt(variance[-1] - variance[position]), index=days.index)


def reasons(
    mrr_ledger: pd.DataFrame, spells: pd.DataFrame, period: str, window: int = 12
) -> pd.DataFrame:
    """Why did customers leave, in the source's own words, with the unknown share in plain sight?

    Args:
        mrr_ledger: observed months.
        spells: account_id, lapse_date, end_type, end_reason.
        period: the last month looked at.
        window: how many months are looked at.

    Returns:
        one row per reason, most frequent first and `unknown` last: reason, n, share (of all losses,
        unknown included), mrr_lost, mrr_share, n_this_month.
    """
    lost = losses(mrr_ledger, spells, shift(period, 1 - window), period)
    lost = lost[lost["movement"] == "churn"]
    reason = lost["end_reason"].fillna(UNKNOWN)
    counted = pd.DataFrame(
        {
            "n": 1,
            "mrr_lost": lost["mrr_lost"],
            "n_this_month": (lost["period"] == period).astype(int),
        }
    )
    table = counted.groupby(reason.rename("reason")).sum().reset_index()
    table = table.assign(
        share=table["n"] / max(len(lost), 1),
        mrr_share=over(table["mrr_lost"], pd.Series(lost["mrr_lost"].sum(), index=table.index)),
        is_unknown=table["reason"] == UNKNOWN,
    )
    ordered = table.sort_values(["is_unknown", "n", "reason"], ascending=[True, False, True])
    names = ["reason", "n", "share", "mrr_lost", "mrr_share", "n_this_month"]
    return ordered[names].reset_index(drop=True)


def end_types(mrr_ledger: pd.DataFrame, period: str, window: int = 12) -> pd.DataFrame:
    """How did customers leave? The ledger counts every exit; each type stands beside.

    Returns:
        one row per end type: end_type, n, share, mrr_lost, n_this_month.
    """
    is_lost = (mrr_ledger["movement"] == "churn") & mrr_ledger["period"].between(
        shift(period, 1 - window), period
    )
    lost = mrr_ledger[is_lost]
    counted = pd.DataFrame(
        {
            "n": 1,
            "mrr_lost": lost["mrr_start"],
            "n_this_month": (lost["period"] == period).astype(int),
        }
    )
    table = counted.groupby(lost["end_type"].fillna(UNKNOWN)).sum().reset_index()
    table = table.assign(share=table["n"] / max(len(lost), 1))
    ordered = table.sort_values(["n", "end_type"], ascending=[False, True]).reset_index(drop=True)
    return ordered[["end_type", "n", "share", "mrr_lost", "n_this_month"]]


def losses(mrr_ledger: pd.DataFrame, spells: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    """Every account and month with less MRR at the end than at the start.

    Returns:
        one row per period and account: period, account_id, movement (churn, contraction),
        mrr_start, mrr_lost, end_type, end_reason, paid_since.
    """
    is_loss = mrr_ledger["movement"].isin(["churn", "contraction"]) & mrr_ledger["period"].between(
        first, last
    )
    lost = mrr_ledger[is_loss]
    lapsed = spells.assign(period=spells["lapse_date"].dt.to_period("M").astype(str))
    lapsed = lapsed.sort_values("lapse_date").drop_duplicates(["account_id", "period"], keep="last")
    known = lapsed[["account_id", "period", "end_reason"]]
    joined = lost.merge(known, how="left", on=["account_id", "period"])
    joined = joined.assign(
        mrr_lost=joined["mrr_start"] - joined["mrr_end"], paid_since=_paid_since(joined, spells)
    )
    names = ["period", "account_id", "movement", "mrr_start", "mrr_lost", "end_type",
             "end_reason", "paid_since"]  # fmt: skip
    return joined[names]


def _paid_since(lost: pd.DataFrame, spells: pd.DataFrame) -> pd.Series:
    """First day of the spell that each account was in at the start of the month."""
    opening = opening_days(lost["period"]).astype(spells["start_date"].dtype)
    asked = pd.DataFrame({"account_id": lost["account_id"].to_numpy(), "day": opening})
    asked["place"] = range(len(asked))
    found = pd.merge_asof(
        asked.sort_values("day", kind="stable"),
        spells[["account_id", "start_date"]].sort_values("start_date", kind="stable"),
        left_on="day", right_on="start_date", by="account_id", allow_exact_matches=False,
    )  # fmt: skip
    return found.sort_values("place")["start_date"].set_axis(lost.index)


def largest_losses(
    mrr_ledger: pd.DataFrame, spells: pd.DataFrame, period: str, k: int = 5
) -> pd.DataFrame:
    """The k accounts that lost most MRR in the month, churn and contraction alike.

    Returns:
        one row per account, largest first: the columns of `losses`, plus loss_share (of the month's
        lost MRR).
    """
    lost = losses(mrr_ledger, spells, period, period)
    total = lost["mrr_lost"].sum()
    ordered = lost.sort_values(["mrr_lost", "account_id"], ascending=[False, True]).head(k)
    return ordered.assign(loss_share=ordered["mrr_lost"] / total).reset_index(drop=True)
