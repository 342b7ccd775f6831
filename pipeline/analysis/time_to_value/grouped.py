"""The effect of value once more with time in months: another model for the same ratio.

The complementary log-log regression on account-months has the same hazard ratios as Cox when time
is grouped. The subtle point: an account has value in a month only if it had it when the month
began.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis import checks
from pipeline.analysis.reliability import DAYS_PER_MONTH
from pipeline.analysis.time_to_value.covariates import coded, independent
from pipeline.analysis.time_to_value.leaving import LeavingModel, too_little
from pipeline.statistics.grouped_hazard import fit

EVENTS_PER_BAND = 15
"""A month of age with fewer losses joins the next, or its level would run away."""


def grouped_model(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Hazard ratio of value against not yet, in months of age, errors clustered by account.

    Args:
        starters: account_id, end_day, value_day (days), is_lost, and the covariates.
        adjust_for: covariates known at signing.
        confidence: level of the interval.

    Source: Prentice & Gloeckler (1978), Biometrics 34: 57.
    """
    rows = account_ages(starters)
    n, n_events = rows["account_id"].nunique(), int(rows["event"].sum())
    missing = too_little(rows, "has_value")
    if missing:
        blank = np.nan, np.nan, np.nan
        return LeavingModel(*blank, n, n_events, missing[0].note, checks=missing)
    own = rows[["has_value"]].join(_bands(rows))
    beside = coded(rows, adjust_for).columns
    design = own.join(beside[independent(beside, own)])
    found = fit(rows["event"], design, rows["account_id"])
    looked = (checks.convergence(found.converged),)
    if not found.converged:
        blank, why = (np.nan, np.nan, np.nan), checks.stopped_by(looked)
        return LeavingModel(*blank, n, n_events, why, checks=looked)
    log_ratio = found.params["has_value"]
    error = float(np.sqrt(found.cov.loc["has_value", "has_value"]))
    reach = stats.norm.ppf((1 + confidence) / 2) * error
    ratio, low, high = np.exp([log_ratio, log_ratio - reach, log_ratio + reach])
    p_value = float(2 * stats.norm.sf(abs(log_ratio) / error))
    terms = tuple(design.columns)
    return LeavingModel(
        float(ratio), float(low), float(high), n, n_events, "", terms, looked, p_value
    )


def account_ages(starters: pd.DataFrame) -> pd.DataFrame:
    """One row per account and month of age: age (0, 1, …), event, has_value at its beginning."""
    followed = starters[starters["end_day"] > 0]
    count = np.ceil(followed["end_day"] / DAYS_PER_MONTH).astype("int64").to_numpy()
    rows = followed.loc[followed.index.repeat(count)].reset_index(drop=True)
    age = np.concatenate([np.arange(each) for each in count]) if len(count) else np.zeros(0, int)
    is_last = age == np.repeat(count, count) - 1
    return rows.assign(
        age=age,
        event=rows["is_lost"] & is_last,
        has_value=(rows["value_day"] <= age * DAYS_PER_MONTH).astype("float64"),
    )


def _bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Indicator columns of age, neighbouring months joined until each band has enough losses."""
    losses = rows.groupby("age")["event"].sum().sort_index()
    band, gathered, place = {}, 0, 0
    for age, count in losses.items():
        band[age] = place
        gathered += int(count)
        if gathered >= EVENTS_PER_BAND:
            place, gathered = place + 1, 0
    last = place if gathered >= EVENTS_PER_BAND or place == 0 else place - 1
    bands = rows["age"].map(band).clip(upper=last)
    return pd.DataFrame(
        {f"band {each}": (bands == each).astype("float64") for each in range(last + 1)},
        index=rows.index,
    )
