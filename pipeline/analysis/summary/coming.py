"""What moved, what may still come back, and who is next?

Works on revenue's bridge and stay_lost and on the snapshot's accounts. Makes summary.coming and
at_risk. The subtle point: nobody is counted twice, and a customer without a stated term is in
notice or in no row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.wording import Words


def movements(bridge: pd.DataFrame) -> pd.DataFrame:
    """The month's bridge as it adds up: what was lost has a minus.

    Takes revenue's bridge (step, mrr, kind). Gives one row per step: step, mrr.
    """
    if bridge.empty:
        return pd.DataFrame(columns=["step", "mrr"])
    signed = bridge["mrr"].where(bridge["kind"] != "down", -bridge["mrr"])
    return pd.DataFrame({"step": bridge["step"], "mrr": signed})


def in_one_row(moves: pd.DataFrame, month: str) -> pd.DataFrame:
    """The month's movements side by side: one row for the month, a column per step."""
    if moves.empty:
        return pd.DataFrame(columns=["month"])
    row = moves.set_index("step")["mrr"]
    return pd.DataFrame([{"month": month, **row}])


def ends_earlier(cut_off: dt.date, as_of: dt.date, words: Words) -> list[str]:
    """Which tiles end before the month does: one sentence, none once the month is settled."""
    if cut_off >= as_of:
        return []
    return [
        f"Tiles that show a change end on {words.day(cut_off)}, the analysis cut-off: what "
        "happened since is not settled. The others reach the end of the month and may still move."
    ]


def still_pending(stay_lost: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """Whether losses of the month may still come back: one sentence, none without revenue.

    Takes revenue's stay_lost (n_lost, mrr_lost, n_pending, meaning).
    """
    return pd.Series(
        [_say_pending(row, words, currency) for row in stay_lost.to_dict("records")], dtype=object
    )


def _say_pending(row: Mapping[str, Any], words: Words, currency: str) -> str:
    if pd.isna(row["n_pending"]):
        return "Too few customers were lost to say how many may still come back."
    if not row["n_pending"]:
        return "Every lapse of the month is settled: none of its losses can come back as a gap."
    lost = f"{words.counted(row['n_lost'], 'customer')} lost in the month"
    paid = f"with MRR of {words.money(row['mrr_lost'], currency)}"
    return f"{lost}, {paid}, {words.count(row['n_pending'])} within the grace: {row['meaning']}."


def coming(
    accounts: pd.DataFrame,
    as_of: dt.date,
    horizon_days: int,
    *,
    knows_notice: bool = True,
    knows_terms: bool = True,
) -> pd.DataFrame:
    """Customers who asked to leave, and those whose stated commitment ends soon.

    Takes accounts (is_customer, is_in_notice, term_ends_on, mrr at P1). Nobody is counted twice; a
    customer without a stated term is in notice or in no row.
    Gives one row per reason and one for either: what, n, mrr, mrr_share (of all MRR). What
    the source does not tell is blank and not 0; there is no row when it tells neither.
    """
    if not (knows_notice or knows_terms):
        return pd.DataFrame(columns=["what", "n", "mrr", "mrr_share"])
    customers = accounts[accounts["is_customer"].astype(bool)]
    reason = _reason(customers, as_of, horizon_days)
    total = customers["mrr"].sum()
    parts = [
        ("in notice", reason == "in notice"),
        (f"commitment ends within {horizon_days} days", reason == "commitment ends"),
        ("either", reason != ""),
    ]
    rows = [(what, int(is_in.sum()), customers.loc[is_in, "mrr"].sum()) for what, is_in in parts]
    table = pd.DataFrame(rows, columns=["what", "n", "mrr"])
    table = table.assign(mrr_share=table["mrr"] / total if total else np.nan)
    untold = [not knows_notice, not knows_terms, False]
    if any(untold):
        table = table.astype({"n": "float64"})
        table.loc[untold, ["n", "mrr", "mrr_share"]] = np.nan
    return table


def say_at_risk(coming: pd.DataFrame, horizon_days: int, words: Words, currency: str) -> pd.Series:
    """How many customers are in notice or due, and their MRR: one sentence, none without rows.

    Takes the rows of `coming`.
    """
    either = coming[coming["what"] == "either"]
    return pd.Series(
        [
            f"{words.counted(row['n'], 'customer')} with MRR of "
            f"{words.money(row['mrr'], currency)} ({words.share(row['mrr_share'])} of all) asked "
            f"to leave or can leave within {words.count(horizon_days)} days."
            for row in either.to_dict("records")
        ],
        dtype=object,
    )


def say_overdue(overdue: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """How many customers still wait for value, and their MRR: one sentence, none without rows.

    Takes time to value's overdue (n, mrr, mrr_share).
    """
    return pd.Series(
        [
            f"{words.counted(row['n'], 'customer')} with MRR of "
            f"{words.money(row['mrr'], currency)} ({words.share(row['mrr_share'])} of all) should "
            "have had value by now and have not."
            for row in overdue.to_dict("records")
        ],
        dtype=object,
    )


def say_forecast(forecast: pd.DataFrame, words: Words, currency: str) -> pd.Series:
    """Next month's losses, and the newest forecast that can be held against what happened.

    Takes drivers' forecast (target_period, customers_expected, customers_low, customers_high,
    customers_observed, mrr_expected, mrr_low, mrr_high). Gives at most two sentences.
    """
    return pd.Series(
        [_say_forecast(row, words, currency) for row in reversed(forecast.to_dict("records"))],
        dtype=object,
    )


def _say_forecast(row: Mapping[str, Any], words: Words, currency: str) -> str:
    low, high = row["customers_low"], row["customers_high"]
    expected = words.counted(row["customers_expected"], "customer")
    said = f"{expected} expected to leave ({words.interval(low, high, 'accounts')})"
    month = words.month(str(row["target_period"]))
    if pd.isna(row["customers_observed"]):
        span = words.interval(row["mrr_low"], row["mrr_high"], "currency per month", currency)
        paid = words.money(row["mrr_expected"], currency)
        return f"{month}: {said}, with MRR of {paid} ({span})."
    found = row["customers_observed"]
    left = (
        f"{words.count(found)} left, {'inside' if low <= found <= high else 'outside'} that range"
    )
    return f"The newest forecast that can be checked, {month}: {said}; {left}."


def at_risk(
    accounts: pd.DataFrame, as_of: dt.date, horizon_days: int, n_shown: int = 10
) -> pd.DataFrame:
    """The largest of them: account_id, why, date (of the notice or the end of term), mrr.

    One row per customer in notice or at the end of its term within `horizon_days`, the largest
    `n_shown` by mrr (at P1) first.
    """
    customers = accounts[accounts["is_customer"].astype(bool)]
    listed = customers.assign(why=_reason(customers, as_of, horizon_days))
    listed = listed[listed["why"] != ""]
    is_notice = listed["why"] == "in notice"
    listed = listed.assign(date=listed["notice_date"].where(is_notice, listed["term_ends_on"]))
    ordered = listed.sort_values(["mrr", "account_id"], ascending=[False, True])
    return ordered[["account_id", "why", "date", "mrr"]].head(n_shown).reset_index(drop=True)


def _reason(customers: pd.DataFrame, as_of: dt.date, horizon_days: int) -> pd.Series:
    until = pd.Timestamp(as_of) + pd.Timedelta(days=horizon_days)
    ends = customers["term_ends_on"]
    is_due = (ends > pd.Timestamp(as_of)) & (ends <= until)
    is_notice = customers["is_in_notice"].astype(bool)
    named = np.select([is_notice, is_due], ["in notice", "commitment ends"], "")
    return pd.Series(named, index=customers.index, dtype=object)
