"""What would the gross rates be under another grace?

Reads spells, returns, mrr_ledger and accounts. Makes revenue.grace_rates and the account-months
that the specification curve counts. The subtle point: each grace settles up to a day of its own, so
a longer one speaks of an earlier month; rates of different months are not a sensitivity.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.analysis.grace import UNKNOWN, cut_off_of, respelled
from pipeline.analysis.levels import NOT_MEASURED
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.revenue.contrast import level_by_account
from pipeline.statistics.proportions import wilson


def grace_rates(
    spells: pd.DataFrame, returns: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame,
    graces: Sequence[int], grace_days: int, as_of: dt.date, cut_off: dt.date, confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """The two gross rates under each grace, in the newest month that it settles, and in one month.

    Args:
        spells: all spells of the slice.
        returns: all its lapses.
        mrr_ledger: observed months.
        accounts: account_id.
        graces: days.
        grace_days: the slice's own grace.
        as_of: as-of date.
        cut_off: analysis cut-off of the slice.
        confidence: of the Wilson interval.

    Returns:
        one row per grace and month: grace_days, cut_off, period, is_common (the month that every
        grace settles), n, n_lost, gross_account_churn_rate, ci_low, ci_high, gross_mrr_churn_rate,
        n_voluntary, n_involuntary, n_other, note. A gap that the slice's grace bridges has no end
        type on file and is in n_other. Rates are missing under SMALLEST_N customers.
    """
    made = {
        days: grace_months(spells, returns, mrr_ledger, accounts, days, grace_days, as_of, cut_off)
        for days in dict.fromkeys(graces)
    }
    newest = {days: rows["period"].max() for days, rows in made.items() if len(rows)}
    common = min(newest.values(), default=None)
    found = []
    for days, last in newest.items():
        own_cut = cut_off_of(days, grace_days, as_of, cut_off)
        for period in dict.fromkeys([last, common]):
            rows = made[days][made[days]["period"] == period]
            told = {"grace_days": days, "cut_off": own_cut.isoformat(), "period": period,
                    "is_common": period == common}  # fmt: skip
            found.append(told | _rates(rows, confidence))
    return pd.DataFrame(found)


def grace_months(
    spells: pd.DataFrame, returns: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame,
    grace: int, grace_days: int, as_of: dt.date, cut_off: dt.date, by: str = "",
) -> pd.DataFrame:  # fmt: skip
    """The customers at the start of each month that a grace settles, and what was lost of them.

    Args:
        spells: all spells of the slice; with the six that follow, see `grace_rates`.
        returns: all its lapses.
        mrr_ledger: observed months; they are the months looked at.
        accounts: account_id and, where there is one, the column `by`.
        grace: days.
        grace_days: the slice's own grace.
        as_of: as-of date.
        cut_off: analysis cut-off of the slice.
        by: column whose levels make the mix.

    Returns:
        one row per month and customer, the columns of `starters` without is_due. In a gap the MRR
        of the lapse goes on.
    """
    own_cut = cut_off_of(grace, grace_days, as_of, cut_off)
    months = pd.PeriodIndex(sorted(mrr_ledger["period"].unique()), freq="M")
    months = months[months.end_time.normalize() <= pd.Timestamp(own_cut)]
    if not len(months):
        return pd.DataFrame(columns=["period", "account_id", "level", "n", "is_lost", "mrr_start",
                                     "mrr_lost", "end_type"])  # fmt: skip
    own = respelled(spells, returns, grace, own_cut)
    who, names = pd.factorize(own["account_id"], sort=True)
    marks = months.start_time.append((months[-1:] + 1).start_time)
    there = _present(own, who, len(names), marks)
    account, month = np.nonzero(there[:, :-1])
    value = _value_at(names, marks, mrr_ledger, returns)
    first, last = value[account, month], value[account, month + 1] * there[account, month + 1]
    is_lost = ~there[account, month + 1]
    level = level_by_account(accounts, by).reindex(names).fillna(NOT_MEASURED).to_numpy()
    rows = pd.DataFrame(
        {"period": months.astype(str)[month], "account_id": names[account], "n": 1.0,
         "is_lost": is_lost.astype(float), "mrr_start": first,
         "mrr_lost": np.clip(first - last, 0, None), "level": level[account]}
    )  # fmt: skip
    end_type = np.full(len(rows), None, dtype=object)
    end_type[is_lost] = _end_types(rows[is_lost], own)
    return rows.assign(end_type=end_type)


def _present(own: pd.DataFrame, who: NDArray, n: int, marks: pd.DatetimeIndex) -> NDArray[np.bool_]:
    """Accounts × marks: a customer at the left limit of the day."""
    start, end = own["start_date"].to_numpy(), own["lapse_date"].to_numpy()
    there = np.zeros((n, len(marks)), dtype=bool)
    for place, day in enumerate(marks.to_numpy()):
        served = (start < day) & (np.isnat(end) | (end >= day))
        there[who[served], place] = True
    return there


def _value_at(
    names: pd.Index, marks: pd.DatetimeIndex, mrr_ledger: pd.DataFrame, returns: pd.DataFrame
) -> NDArray[np.float64]:
    """Accounts × marks: MRR by the books; where they have none, that of the last lapse before."""
    value = _value_of_lapses(names, marks, returns)
    month, periods = pd.factorize(mrr_ledger["period"])
    opens = pd.PeriodIndex(periods, freq="M").start_time
    closes = (pd.PeriodIndex(periods, freq="M") + 1).start_time
    account = names.get_indexer(mrr_ledger["account_id"])
    # what a month opened with stands over what the month before closed with
    for days, booked in ((closes, mrr_ledger["mrr_end"]), (opens, mrr_ledger["mrr_start"])):
        place = marks.get_indexer(days)[month]
        is_known = (account >= 0) & (place >= 0) & (booked.to_numpy() > 0)
        value[account[is_known], place[is_known]] = booked.to_numpy()[is_known]
    return value


def _value_of_lapses(
    names: pd.Index, marks: pd.DatetimeIndex, returns: pd.DataFrame
) -> NDArray[np.float64]:
    """Accounts × marks: the MRR of the last lapse before, 0 where there was none."""
    lapsed = returns.sort_values("lapse_date", kind="stable")
    account = names.get_indexer(lapsed["account_id"])
    mark = marks.searchsorted(lapsed["lapse_date"], side="right")
    is_seen = (account >= 0) & (mark < len(marks))
    lapse = np.full((len(names), len(marks)), -1)
    np.maximum.at(lapse, (account[is_seen], mark[is_seen]), np.flatnonzero(is_seen))
    lapse = np.maximum.accumulate(lapse, axis=1)
    lost = np.append(lapsed["mrr_lost"].to_numpy(dtype=float), 0.0)  # at -1: none
    return np.nan_to_num(lost[lapse])


def _end_types(lost: pd.DataFrame, own: pd.DataFrame) -> NDArray:
    """How each lost customer left: the type of its last lapse in the month."""
    lapsed = own[own["lapse_date"].notna()].sort_values("lapse_date")
    lapsed = lapsed.assign(period=lapsed["lapse_date"].dt.to_period("M").astype(str))
    lapsed = lapsed.drop_duplicates(["account_id", "period"], keep="last")
    known = lost.merge(lapsed[["account_id", "period", "end_type"]], how="left",
                       on=["account_id", "period"])["end_type"]  # fmt: skip
    return known.fillna(UNKNOWN).to_numpy()


def _rates(rows: pd.DataFrame, confidence: float) -> dict[str, object]:
    n, lost = len(rows), rows[rows["is_lost"] > 0]
    rate, low, high = wilson(len(lost), n, confidence)
    is_enough = n >= SMALLEST_N
    mrr = rows["mrr_start"].sum()
    types = lost["end_type"].value_counts()
    named = {kind: int(types.get(kind, 0)) for kind in ("voluntary", "involuntary")}
    return {
        "n": n, "n_lost": len(lost),
        "gross_account_churn_rate": rate if is_enough else np.nan,
        "ci_low": low if is_enough else np.nan, "ci_high": high if is_enough else np.nan,
        "gross_mrr_churn_rate": rows["mrr_lost"].sum() / mrr if mrr else np.nan,
        "n_voluntary": named["voluntary"], "n_involuntary": named["involuntary"],
        "n_other": len(lost) - sum(named.values()),
        "note": "" if is_enough else f"{len(lost)} of {n}",
    }  # fmt: skip
