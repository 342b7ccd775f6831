"""What happened to every account and its MRR, month by month?

Reads mrr_ledger. Makes the sums of each month and the two bridges. The subtle point: a month's
money is at its opening rate; `fx` alone leads there from the end of the month before.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MONEY_DIGITS = 4
"""Money is kept to four decimals, so that a bridge chains exactly in print."""
PLACE, MONEY = ("account_id", "period"), ("mrr_start", "mrr_end", "fx")
"""Columns that say which row it is, and those that `year_pairs` and `rate_index` compute with."""
MOVEMENTS = ("new", "expansion", "reactivation", "contraction", "churn", "joined_and_left")


def observed(mrr_ledger: pd.DataFrame, observation_start: dt.date | None) -> pd.DataFrame:
    """The ledger from the first month that was seen whole.

    Before it only those who stayed long enough to be seen are on file, and nobody seems to leave.

    Args:
        mrr_ledger: one row per account and month, with `period`.
        observation_start: first day of the first month seen whole; None: all were.

    Returns:
        The same rows, from that month on.
    """
    if observation_start is None:
        return mrr_ledger
    return mrr_ledger[opening_days(mrr_ledger["period"]) >= pd.Timestamp(observation_start)]


def opening_days(periods: pd.Series) -> pd.DatetimeIndex:
    """The first day of the month of each row; each month is read once, for reading one is slow."""
    place, names = pd.factorize(periods)
    return pd.PeriodIndex(names, freq="M").start_time.take(place)


def months(mrr_ledger: pd.DataFrame, through: str | None = None) -> pd.DataFrame:
    """What happened, month by month; every later figure is a ratio of these sums.

    Args:
        mrr_ledger: one row per month and account; money at the month's opening rate.
        through: last month wanted, when it may have no customer at all.

    Returns:
        one row per period (the index), without gaps: accounts and MRR by movement, `kept`
        (Σ min(start, end)) and `carried` (Σ end) of the customers at start, is_settled.
    """
    first, last = mrr_ledger["mrr_start"], mrr_ledger["mrr_end"]
    moves = mrr_ledger["movement"].astype("category")  # texts compare slowly
    moved = {name: np.flatnonzero(moves == name) for name in MOVEMENTS}
    starters, change = np.flatnonzero(first > 0), last - first
    month, names = pd.factorize(mrr_ledger["period"])

    def count(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(month[rows], minlength=len(names))

    def add(values: pd.Series, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray:
        summed = values.iloc[rows].groupby(month[rows]).sum()
        return summed.reindex(range(len(names)), fill_value=0.0).to_numpy()

    sums = {  # column by column: one frame of them all would hold the ledger twice again
        "customers_start": count(starters),
        "customers_end": count(np.flatnonzero(last > 0)),
        **{f"n_{name}": count(moved[name]) for name in ("new", "reactivation", "churn")},
        "n_joined_and_left": count(moved["joined_and_left"]),
        "mrr_start": add(first),
        **{name: add(change, moved[name]) for name in ("new", "expansion", "reactivation")},
        **{name: add(-change, moved[name]) for name in ("contraction", "churn")},
        "fx": add(mrr_ledger["fx"]),
        "mrr_end": add(last),
        "bridged": add(mrr_ledger["mrr_bridged"]),
        "kept": add(np.minimum(first, last)),
        "carried": add(last, starters),
    }
    types = mrr_ledger["end_type"].iloc[moved["churn"]]
    for end_type in ("completed", "administrative"):
        rows = moved["churn"][types == end_type]
        sums[f"n_{end_type}"], sums[end_type] = count(rows), add(first, rows)
    summed = pd.DataFrame(sums, pd.Index(names, name="period", dtype=object))
    settled = mrr_ledger["is_settled"].groupby(month).all().to_numpy(dtype=bool)
    every = span(summed.index, through)
    money = summed.select_dtypes("float").columns
    filled = summed.reindex(every, fill_value=0).round(dict.fromkeys(money, MONEY_DIGITS))
    is_settled = pd.Series(settled, summed.index).reindex(every, fill_value=True)
    return filled.assign(is_settled=is_settled.astype(bool))


def span(periods: pd.Series | pd.Index, through: str | None) -> pd.Index:
    """Every month from the first in the ledger to the last, or through a later one."""
    names = [*periods.unique(), *([through] if through else [])]
    if not names:
        return pd.Index([], name="period", dtype=object)
    every = pd.period_range(min(names), max(names), freq="M")
    return pd.Index([str(month) for month in every], name="period", dtype=object)


def bridge(mrr_ledger: pd.DataFrame, through: str | None = None) -> pd.DataFrame:
    """MRR from month to month: start + new + … − churn + fx = end, to the last decimal.

    Returns:
        one row per period, the columns of revenue.mrr_bridge; `mrr_end_first_published` is this
        report's own value until the publisher knows an earlier one.

    Raises:
        ValueError: a month's movements do not lead from its start to its end.
    """
    sums = months(mrr_ledger, through)
    moved = sums["new"] + sums["expansion"] + sums["reactivation"]
    expected = sums["mrr_start"] + moved - sums["contraction"] - sums["churn"]
    gap = (expected - sums["mrr_end"]).abs()
    _refuse(gap[gap > 0.5 * 10**-MONEY_DIGITS], "the movements do not lead from start to end")
    table = sums.assign(mrr_start=(sums["mrr_start"] - sums["fx"]).round(MONEY_DIGITS))
    _refuse_broken_chain(table)
    names = ["mrr_start", "new", "expansion", "reactivation", "contraction", "churn", "fx",
             "mrr_end", "bridged"]  # fmt: skip
    return (
        table[names]
        .assign(
            of_which_completed=table["completed"],
            of_which_administrative=table["administrative"],
            mrr_end_first_published=table["mrr_end"],
        )
        .reset_index()
    )


def steps(bridges: pd.DataFrame, period: str) -> pd.DataFrame:
    """One month of `bridge` as the steps of a waterfall.

    Returns:
        one row per step, in order: step, mrr (never negative), kind (total, up, down). The currency
        effect appears only where there is one.
    """
    month = bridges.set_index("period").loc[period]
    kinds = {"mrr_start": "total", "fx": "up" if month["fx"] >= 0 else "down", "new": "up",
             "expansion": "up", "reactivation": "up", "contraction": "down", "churn": "down",
             "mrr_end": "total"}  # fmt: skip
    rows = pd.DataFrame({"step": list(kinds), "kind": list(kinds.values())})
    rows.insert(1, "mrr", rows["step"].map(month).abs().astype(float))
    return rows[(rows["step"] != "fx") | (rows["mrr"] > 0)].reset_index(drop=True)


def net_steps(waterfall: pd.DataFrame) -> pd.DataFrame:
    """The movements alone, to their net change: beside the whole MRR they would be too thin to see.

    Args:
        waterfall: the rows of `steps`.

    Returns:
        The same rows of kind up and down, then `net_change` of kind total (negative when MRR fell).
    """
    moved = waterfall[waterfall["kind"] != "total"]
    signed = moved["mrr"].where(moved["kind"] == "up", -moved["mrr"]).sum()
    net = {"step": "net_change", "mrr": round(float(signed), MONEY_DIGITS), "kind": "total"}
    return pd.concat([moved, pd.DataFrame([net])], ignore_index=True)


def flows(bridges: pd.DataFrame, settled: pd.Series) -> pd.DataFrame:
    """Customers that came in and went out, month by month: the leaky bucket.

    Args:
        bridges: the rows of `account_bridge`.
        settled: is_settled by period, see `months`.

    Returns:
        one row per period and flow: period, flow (in, out), n, is_provisional. Those that joined
        and left within a month enter both.
    """
    inflow = bridges["new"] + bridges["reactivation"] + bridges["joined_and_left"]
    outflow = bridges["churn"] + bridges["joined_and_left"]
    both = pd.concat(
        [
            bridges[["period"]].assign(flow="in", n=inflow),
            bridges[["period"]].assign(flow="out", n=outflow),
        ],
        ignore_index=True,
    )
    return both.assign(is_provisional=~both["period"].map(settled).astype(bool))


def account_bridge(mrr_ledger: pd.DataFrame, through: str | None = None) -> pd.DataFrame:
    """Customers from month to month: start + new + reactivation − churn = end.

    Returns:
        one row per period, the columns of revenue.account_bridge. `joined_and_left` stands beside
        and enters no movement.

    Raises:
        ValueError: a month's movements do not lead from its start to its end.
    """
    sums = months(mrr_ledger, through)
    expected = sums["customers_start"] + sums["n_new"] + sums["n_reactivation"] - sums["n_churn"]
    gap = expected - sums["customers_end"]
    _refuse(gap[gap != 0], "the accounts that moved do not lead from start to end")
    names = {"customers_start": "customers_start", "n_new": "new",
             "n_reactivation": "reactivation", "n_churn": "churn",
             "n_joined_and_left": "joined_and_left", "customers_end": "customers_end",
             "n_completed": "of_which_completed",
             "n_administrative": "of_which_administrative"}  # fmt: skip
    return sums[list(names)].rename(columns=names).reset_index()


def _refuse(gap: pd.Series, what: str) -> None:
    if len(gap):
        named = ", ".join(f"{month} (off by {value:g})" for month, value in gap.head(5).items())
        raise ValueError(
            f"In {len(gap)} month(s) {what}: {named}. A bridge that does not close would hide a "
            "movement. Look at mrr_ledger for these months."
        )


def _refuse_broken_chain(table: pd.DataFrame) -> None:
    gap = (table["mrr_start"] - table["mrr_end"].shift()).iloc[1:]
    _refuse(gap[gap.abs() > 0.5 * 10**-MONEY_DIGITS], "MRR at start is not the MRR that ended")


def year_pairs(mrr_ledger: pd.DataFrame, period: str) -> pd.DataFrame | None:
    """The customers of 12 months before the end of a period: their MRR then and now.

    Returns:
        one row per account: mrr_then, mrr_now (0 for those that left), both at the rate of then;
        None when the ledger does not reach back so far.
    """
    opening = shift(period, -11)
    if not len(mrr_ledger) or mrr_ledger["period"].min() > opening:
        return None
    index = rate_index(mrr_ledger)
    is_then = (mrr_ledger["period"] == opening) & (mrr_ledger["mrr_start"] > 0)
    then = mrr_ledger[is_then].assign(rate_then=index[is_then]).set_index("account_id")
    is_now = mrr_ledger["period"] == period
    now = (mrr_ledger["mrr_end"] / index)[is_now].set_axis(mrr_ledger.loc[is_now, "account_id"])
    mrr_now = now.reindex(then.index).fillna(0.0) * then["rate_then"]
    return pd.DataFrame({"mrr_then": then["mrr_start"], "mrr_now": mrr_now})


def coded(mrr_ledger: pd.DataFrame) -> pd.DataFrame:
    """Place and money of the ledger's rows, with months that compare fast: for many looks at one.

    Args:
        mrr_ledger: observed months.

    Returns:
        The same rows: the columns of PLACE and MONEY, `period` as an ordered category.
    """
    rows = mrr_ledger[[*PLACE, *MONEY]]
    return rows.assign(period=pd.Categorical(rows["period"], ordered=True))


def rate_index(mrr_ledger: pd.DataFrame) -> pd.Series:
    """Per row, how far exchange rates moved the account's money since its first month's opening.

    One where nothing was ever revalued; a month that begins without MRR leaves it as it was.
    """
    if not mrr_ledger["fx"].any():
        return pd.Series(1.0, index=mrr_ledger.index)
    ordered = mrr_ledger.sort_values(["account_id", "period"])
    before = ordered["mrr_start"] - ordered["fx"]
    step = (ordered["mrr_start"] / before.where(before > 0)).where(ordered["mrr_start"] > 0)
    opening = step.fillna(1.0).groupby(ordered["account_id"]).cumprod()
    return opening.reindex(mrr_ledger.index)


def shift(period: str, by: int) -> str:
    """The month `by` months later; earlier when negative."""
    return str(pd.Period(period, freq="M") + by)


def over(numerator: pd.Series, denominator: pd.Series) -> pd.Series:
    """A ratio of two columns; missing where there is nothing to divide by."""
    return numerator / denominator.where(denominator != 0)
