"""How much of each month's intake is still there?

Reads mrr_ledger and accounts. Makes revenue.cohorts and revenue.layers. The subtle point: a cell
that was not observed whole is left out, never shown as zero, and rows of unequal follow-up are
never averaged.
"""

from __future__ import annotations

import datetime as dt

import pandas as pd

from pipeline.analysis.reliability import MONTHS_PER_YEAR, SMALLEST_N
from pipeline.analysis.revenue.ledger import MONEY, MONEY_DIGITS, PLACE, over, rate_index
from pipeline.analysis.wording import Words
from pipeline.statistics.proportions import wilson

NOT_KNOWN = "not known"


def cohorts(
    mrr_ledger: pd.DataFrame,
    accounts: pd.DataFrame,
    observation_start: dt.date | None,
    confidence: float,
) -> pd.DataFrame:
    """How much of each month's intake is still there, month after month.

    Args:
        mrr_ledger: observed months; only settled ones enter.
        accounts: account_id, first_paid_date, is_first_paid_known.
        observation_start: cohorts before it are not shown: their early leavers were never seen.
        confidence: of the Wilson interval of retained_share.

    Returns:
        one row per cohort and age, the columns of revenue.cohorts, plus mrr, n_survivors and
        survivor_share. Age k is the snapshot k months after the cohort month ends; returners count
        in n and not among the survivors, who never left. Shares are missing for a cohort of fewer
        than SMALLEST_N accounts.
    """
    members = _members(accounts, observation_start)
    settled = mrr_ledger.loc[mrr_ledger["is_settled"], [*PLACE, "movement", *MONEY]]
    ages = _ages(members["cohort"], settled["period"])
    cohort = members.set_index("account_id")["cohort"].reindex(settled["account_id"])
    paid = pd.DataFrame(
        {
            "cohort": cohort.to_numpy(),
            "period": settled["period"],
            "mrr": settled["mrr_end"] / rate_index(settled),
            "is_survivor": ~_has_left(settled),
        }
    )
    counted = (
        paid[paid["mrr"] > 0]
        .groupby(["cohort", "period"])
        .agg(n=("mrr", "size"), n_survivors=("is_survivor", "sum"), mrr=("mrr", "sum"))
    )
    table = ages.merge(counted.reset_index(), how="left", on=["cohort", "period"])
    n_start = members["cohort"].value_counts()
    table = table.fillna({"n": 0, "n_survivors": 0, "mrr": 0.0})
    table = table.astype({"n": "int64", "n_survivors": "int64"})
    table = table.assign(
        n_start=table["cohort"].map(n_start).astype("int64"), mrr=table["mrr"].round(MONEY_DIGITS)
    )
    return _cohort_shares(table, confidence).drop(columns="period")


def layers(mrr_ledger: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """Which year's customers does today's MRR come from?

    Returns:
        one row per period and year of first payment: period, paid_since ("not known" where the
        first paid day is not), n, mrr (at the end of the month).
    """
    known = accounts[accounts["is_first_paid_known"] & accounts["first_paid_date"].notna()]
    year = known.set_index("account_id")["first_paid_date"].dt.year.astype(str)
    paid = mrr_ledger.loc[mrr_ledger["mrr_end"] > 0, [*PLACE, "mrr_end"]]
    since = paid["account_id"].map(year).fillna(NOT_KNOWN).rename("paid_since")
    table = paid.groupby(["period", since])["mrr_end"].agg(n="size", mrr="sum").reset_index()
    return table.round({"mrr": MONEY_DIGITS})


def say_cohort(cohorts: pd.DataFrame, measure: str, what: str, words: Words) -> str:
    """What the newest intake that was watched for a year, or for longest, has kept.

    Args:
        cohorts: the rows of `cohorts`.
        measure: retained_share or mrr_share.
        what: what the share is of: customers, MRR.
        words: how numbers are said.
    """
    aged = cohorts[cohorts["age_months"].between(1, MONTHS_PER_YEAR) & cohorts[measure].notna()]
    if aged.empty:
        return "No intake was watched long enough to say what it kept"
    row = aged.sort_values(["age_months", "cohort"]).iloc[-1]
    age = words.counted(row["age_months"], "month")
    kept = words.share(row[measure])
    return f"{what} won in {words.month(row['cohort'])}: {kept} still there {age} later"


def say_layer(layers: pd.DataFrame, words: Words) -> str:
    """What the newest year's customers pay of the newest month's MRR."""
    now = layers[layers["period"] == layers["period"].max()]
    dated = now[now["paid_since"] != NOT_KNOWN].sort_values("paid_since")
    if dated.empty:
        return "No customer's first paid day is known"
    newest = dated.iloc[-1]
    paid = words.share(newest["mrr"] / now["mrr"].sum())
    return f"Customers who first paid in {newest['paid_since']} pay {paid} of MRR"


def _has_left(settled: pd.DataFrame) -> pd.Series:
    """Whether the account of each row had left at some time by the end of the month."""
    ordered = settled.sort_values(["account_id", "period"])
    has_left = ordered["movement"].isin(["churn", "joined_and_left", "reactivation"])
    return has_left.groupby(ordered["account_id"]).cummax().reindex(settled.index)


def _members(accounts: pd.DataFrame, observation_start: dt.date | None) -> pd.DataFrame:
    known = accounts[accounts["is_first_paid_known"] & accounts["first_paid_date"].notna()]
    month = known["first_paid_date"].dt.to_period("M")
    members = pd.DataFrame({"account_id": known["account_id"], "cohort": month.astype(str)})
    if observation_start is None:
        return members
    return members[month.dt.start_time >= pd.Timestamp(observation_start)]


def _ages(cohort: pd.Series, periods: pd.Series) -> pd.DataFrame:
    """One row per cohort and settled month from the cohort's own month on."""
    pairs = pd.MultiIndex.from_product(
        [sorted(cohort.unique()), sorted(periods.unique())], names=["cohort", "period"]
    ).to_frame(index=False)
    pairs = pairs[pairs["period"] >= pairs["cohort"]].reset_index(drop=True)
    order = {name: _ordinal(name) for name in {*pairs["cohort"], *pairs["period"]}}
    age = pairs["period"].map(order) - pairs["cohort"].map(order)
    return pairs.assign(age_months=age.astype("int64"))


def _ordinal(period: str) -> int:
    return pd.Period(period, freq="M").ordinal


def _cohort_shares(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    first = table["mrr"].where(table["age_months"] == 0).groupby(table["cohort"]).transform("first")
    _, low, high = wilson(table["n"].to_numpy(), table["n_start"].to_numpy(), confidence)
    shares = pd.DataFrame(
        {"retained_share": table["n"] / table["n_start"], "ci_low": low, "ci_high": high,
         "mrr_share": over(table["mrr"], first),
         "survivor_share": table["n_survivors"] / table["n_start"]}, index=table.index,
    )  # fmt: skip
    shown = shares.where(table["n_start"] >= SMALLEST_N)
    return pd.concat(
        [
            table[["cohort", "age_months", "n_start", "n"]],
            shown,
            table[["mrr", "n_survivors", "period"]],
        ],
        axis=1,
    )
