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
LOOK_AT = 2_000_000
"""Rows in which a change is looked for first."""
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
    own = accounts[["account_id", *joined]]
    if not isinstance(account_months["account_id"].dtype, pd.CategoricalDtype):
        return account_months.merge(own, on="account_id", how="left", validate="many_to_one")
    return _joined(account_months, own.set_index("account_id", verify_integrity=True))


def _joined(account_months: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """The same for texts kept by number: nothing is copied, months are in their order."""
    codes, found = numbered(account_months["account_id"])
    place = accounts.index.astype(object).get_indexer(pd.Index(found, dtype=object))[codes]
    rows, periods = account_months.copy(deep=False), account_months["period"]
    if rows["is_churn"].dtype == object:  # blank in the month to come
        rows["is_churn"] = rows["is_churn"].astype(np.float32)
    if isinstance(periods.dtype, pd.CategoricalDtype):
        months = sorted(periods.cat.categories)
        rows["period"] = periods.cat.set_categories(months, ordered=True)
    is_known = bool((place >= 0).all())
    for name in accounts:
        values = accounts[name]
        if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "string":
            values = values.astype("category")
        if is_known:
            values = values.take(place)
        else:
            values = values.take(np.where(place < 0, 0, place)).where(place >= 0)
        rows[name] = values.to_numpy() if values.dtype != "category" else values.array
    return rows


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows the model may learn from: outcome settled, age known.

    Returns:
        One row per account and settled month, with the columns given.

    Raises:
        ValueError: an outcome is neither 0 nor 1.
    """
    kept = rows[is_usable(rows)]
    is_known = kept["is_churn"].isin([0, 1])
    if not is_known.all():
        odd = sorted(map(str, kept.loc[~is_known, "is_churn"].unique()))[:5]
        raise ValueError(
            f"{int((~is_known).sum())} outcomes in is_churn are neither 0 nor 1 ({', '.join(odd)})."
            " Map them before the model reads them: it would take any text for a churn."
        )
    found = kept.copy(deep=False)
    found.index = pd.RangeIndex(len(kept))  # set_axis would copy millions of rows
    found["is_churn"] = found["is_churn"].astype(bool)
    return found


def is_usable(rows: pd.DataFrame) -> np.ndarray:
    """Rows whose outcome is settled and whose age is known."""
    return (rows["is_settled"] & rows["is_age_known"] & rows["is_churn"].notna()).to_numpy(bool)


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
    account = numbered(rows["account_id"])[0]
    changing = [name for name in candidates if name in rows and _changes(rows[name], account)]
    at = earlier_place(rows, months)
    is_known = at >= 0
    earlier = {
        name: rows[name].take(np.where(is_known, at, 0)).set_axis(rows.index)
        .where(is_known).infer_objects()
        for name in changing
    }  # fmt: skip
    return rows.assign(**earlier, is_lag_known=is_known)


def earlier_place(rows: pd.DataFrame, months: int) -> np.ndarray:
    """Where each row's account stands some months earlier; -1 where it was no customer then."""
    if not len(rows):
        return np.zeros(0, dtype=np.int32)
    account = numbered(rows["account_id"])[0].astype(np.int64)
    month = month_number(rows["period"])
    span = int(month.max() - month.min()) + 1 + months
    places = np.full((int(account.max()) + 1) * span, -1, dtype=np.int32)
    own = account  # in place: each such number is eight bytes a row
    own *= span
    own += month - (month.min() - months)
    there = np.arange(len(rows), dtype=np.int32)
    places[own] = there
    if (places[own] != there).any():
        raise ValueError("An account has two rows in one month; account_months has one.")
    own -= months
    return places[own]


def numbered(values: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """The level of each value by number, -1 where it is blank, and the levels.

    What is kept by number already, flags and small whole numbers are not looked up value by value;
    a level may then have no value.
    """
    kind = values.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(), values.cat.categories
    if kind == np.dtype(bool):
        return values.to_numpy().view(np.int8), pd.Index([False, True])
    if kind in (np.int8, np.int16) and len(values):
        low, high = int(values.min()), int(values.max())
        return values.to_numpy() - np.int32(low), pd.Index(np.arange(low, high + 1))
    codes, levels = pd.factorize(values)
    small = next(kind for kind in (np.int16, np.int32) if len(levels) < np.iinfo(kind).max)
    return codes.astype(small), pd.Index(levels)


def month_number(periods: pd.Series) -> np.ndarray:
    """Months counted from year 0, of texts YYYY-MM."""
    position, names = numbered(periods)
    numbers = [int(str(name)[:4]) * 12 + int(str(name)[5:7]) - 1 for name in names]
    return np.array(numbers, dtype=np.int32)[position]


def _changes(values: pd.Series, account: np.ndarray) -> bool:
    """Whether a column takes two values in one account; the first rows nearly always tell."""
    codes = numbered(values)[0]
    for n in (min(LOOK_AT, len(codes)), len(codes)):
        first = np.zeros(int(account.max(initial=-1)) + 1, dtype=codes.dtype)
        first[account[:n]] = codes[:n]
        if (first[account[:n]] != codes[:n]).any():
            return True
    return False
