"""Which account-months does the model learn from, and what was known before each?

Works on account_months with attributes at signing from accounts. The subtle point: where a company
records no notice, customers who have made up their mind cannot be told from others, and usage that
falls because they leave looks like a reason. Features are then taken one month earlier.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from pipeline.analysis.drivers.registry import refuse, refuse_ids

MONTHLY = (
    "period", "account_id", "tenure_months", "is_age_known", "is_settled", "is_churn",
    "is_in_notice", "mrr",
)  # fmt: skip
"""Columns of account_months that the chapter needs beside its candidates."""
MANAGER = "csm_id"
MOST_MONTHS = 1_000_000
"""More than there are months since year 0: an account times it, plus the month, is a key."""
BLACKOUT_MONTHS = 1
"""Further lag of every feature where no notice is on file."""


def driver_rows(
    account_months: pd.DataFrame,
    accounts: pd.DataFrame,
    candidates: list[str],
    refused: Collection[str] = (),
) -> pd.DataFrame:
    """Account-months with the candidates that stand in `accounts` joined on.

    Args:
        account_months: one row per account and month.
        accounts: one row per account, attributes as they were at signing.
        candidates: names of drivers.
        refused: names of attributes that hold today's value.

    Returns:
        One row per account and month; `csm_id` at signing stands beside where it is known.

    Raises:
        LeakageError: a candidate may know what a past month could not; see `registry.refuse`.
    """
    refuse(candidates, account_months.columns, accounts.columns, refused)
    refuse_ids(accounts, candidates)
    wanted = dict.fromkeys([*candidates, MANAGER])
    joined = [name for name in wanted if name in accounts and name not in account_months]
    return account_months.merge(
        accounts[["account_id", *joined]], on="account_id", how="left", validate="many_to_one"
    )


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows the model may learn from: outcome settled, age known.

    Returns:
        One row per account and settled month, with the columns given.

    Raises:
        ValueError: an outcome is neither 0 nor 1.
    """
    kept = rows[rows["is_settled"] & rows["is_age_known"] & rows["is_churn"].notna()]
    is_known = kept["is_churn"].isin([0, 1])
    if not is_known.all():
        odd = sorted(map(str, kept.loc[~is_known, "is_churn"].unique()))[:5]
        raise ValueError(
            f"{int((~is_known).sum())} outcomes in is_churn are neither 0 nor 1 ({', '.join(odd)})."
            " Map them before the model reads them: it would take any text for a churn."
        )
    found = kept.set_axis(pd.RangeIndex(len(kept))).copy(deep=False)
    found["is_churn"] = found["is_churn"].astype(bool)
    return found


def not_used(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the account-months that the model does not learn from.

    Args:
        rows: from `driver_rows`.

    Returns:
        One row per reason: reason, n (account-months).
    """
    is_next = rows["is_churn"].isna()
    open_still = ~is_next & ~rows["is_settled"]
    unknown = ~is_next & rows["is_settled"] & ~rows["is_age_known"]
    reasons = {
        "the month to come, which is forecast": is_next,
        "outcome not settled by the analysis cut-off": open_still,
        "first paid day unknown, so the tenure is unknown": unknown,
    }
    return pd.DataFrame(
        {"reason": list(reasons), "n": [int(mask.sum()) for mask in reasons.values()]}
    )


def blackout_months(rows: pd.DataFrame) -> int:
    """By how many months more features must be lagged: none where notices are on file, else one.

    Args:
        rows: from `driver_rows`; is_in_notice marks customers who had asked to cancel.
    """
    has_notice = "is_in_notice" in rows and bool(rows.loc[rows["is_settled"], "is_in_notice"].any())
    return 0 if has_notice else BLACKOUT_MONTHS


def lagged(rows: pd.DataFrame, candidates: list[str], months: int) -> pd.DataFrame:
    """The same rows with the candidates as they stood some months earlier.

    Args:
        rows: from `driver_rows`.
        candidates: names of drivers; what never changes within an account stays.
        months: how many calendar months earlier; 0 changes nothing.

    Returns:
        One row per account and month as before, with `is_lag_known`: false where the account was
        no customer then, so that its changing candidates are blank.
    """
    if months == 0:
        same = rows.copy(deep=False)  # millions of rows are not written twice
        same["is_lag_known"] = True
        return same
    changing = [name for name in candidates if name in rows and _changes(rows, name)]
    own = pd.factorize(rows["account_id"])[0] * MOST_MONTHS + month_number(rows["period"])
    at = pd.Index(own).get_indexer(own - months)
    is_known = at >= 0
    earlier = {
        name: rows[name].take(np.where(is_known, at, 0)).set_axis(rows.index)
        .where(is_known).infer_objects()
        for name in changing
    }  # fmt: skip
    return rows.assign(**earlier, is_lag_known=is_known)


def month_number(periods: pd.Series) -> np.ndarray:
    """Months counted from year 0, of texts YYYY-MM."""
    position, names = pd.factorize(periods)
    numbers = [int(str(name)[:4]) * 12 + int(str(name)[5:7]) - 1 for name in names]
    return np.array(numbers, dtype=np.int64)[position]


def _changes(rows: pd.DataFrame, name: str) -> bool:
    codes = pd.factorize(rows[name])[0]
    spread = pd.Series(codes).groupby(rows["account_id"].to_numpy())
    return bool((spread.max() != spread.min()).any())
