"""Who is followed, from which day, to what? One row per customer whose start was seen.

Reads accounts, spells and account_months (only to tell whether milestones are recorded).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from pipeline.analysis.levels import named, text_levels

MANY = 100_000
"""Rows from which they are counted by kind and day where that is as good: fits, bootstrap, ids."""
VALUE, CHURN = 1, 2
"""Codes of the two events; 0 is censored."""
START_QUARTER = "start_quarter"
NOT_A_LOSS = ("administrative", "completed")
"""Ends that say nothing about dissatisfaction; GLOSSARY, end type."""
READ_OF_ACCOUNTS = (
    "account_id", "first_paid_date", "first_value_date", "is_first_paid_known", "mrr",
)  # fmt: skip
KNOWN_LATER = frozenset(
    ("first_value_date", "is_customer", "mrr", "is_in_notice", "notice_date", "term_ends_on")
)
"""Columns of accounts on what came after signing: as covariates they would hold the future."""


def has_milestones(accounts: pd.DataFrame, account_months: pd.DataFrame) -> bool:
    """Say whether the company records milestones at all.

    `account_months.has_value` is blank when the table is not there.
    """
    reached = accounts["first_value_date"].notna().any()
    return bool(reached or account_months["has_value"].notna().any())


def starters(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    cut_off: dt.date,
    observation_start: dt.date | None,
    groups: Iterable[str] = (),
) -> pd.DataFrame:
    """Follow each new customer from the first paid day to value, to churn or to the cut-off.

    Days are whole days since the first paid day; value on or before that day is day 0. Value on
    the day of the lapse or later came too late. Gives one row per account whose start was seen:
    account_id, first_paid_date, start_quarter, the groups, followed_days (to the cut-off),
    end_day (lapse or cut-off), value_day (blank: not reached by end_day), days and outcome
    (VALUE, CHURN or 0) for the incidence, is_lost (churn that is neither administrative nor
    completed), end_type (of a churn by the cut-off), lapse_date, mrr_lost, mrr_last (paid now, or
    the day before the lapse).

    Raises:
        ValueError: a group is no column of accounts, or says what came after signing.
    """
    groups = _known_at_signing(groups, accounts)
    candidates = candidates_of(accounts[list(dict.fromkeys([*READ_OF_ACCOUNTS, *groups]))], spells)
    keep = pd.Series(True, index=candidates.index)
    for _, _, passes in steps_of(candidates, accounts, account_months, cut_off, observation_start):
        keep &= passes
    seen = _followed(candidates[keep], pd.Timestamp(cut_off))
    for name in groups:
        values = seen[name]
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            seen[name] = named(text_levels(values))
    own = [
        "account_id", "first_paid_date", START_QUARTER, "followed_days", "end_day", "value_day",
        "days", "outcome", "is_lost", "end_type", "lapse_date", "mrr_lost", "mrr_last",
    ]  # fmt: skip
    ordered = seen[[*own, *groups]].reset_index(drop=True)
    if not ordered["account_id"].is_monotonic_increasing:
        ordered = ordered.sort_values("account_id", ignore_index=True)
    is_many = len(ordered) >= MANY  # accounts are counted over and over: by number, not by text
    return ordered.astype({"account_id": "category"}) if is_many else ordered


def _known_at_signing(groups: Iterable[str], accounts: pd.DataFrame) -> list[str]:
    """The groups without repetition; refused when unknown or known too late."""
    asked = [name for name in dict.fromkeys(groups) if name != START_QUARTER]
    where = "in time_to_value.groups and time_to_value.adjust_for."
    unknown = [name for name in asked if name not in accounts.columns]
    if unknown:
        raise ValueError(
            f"accounts have no column {', '.join(unknown)}: name columns of the table accounts "
            f"{where}"
        )
    later = [name for name in asked if name in KNOWN_LATER]
    if later:
        raise ValueError(
            f"{', '.join(later)} is what came after signing: compared by it, who stays "
            f"longer looks better whatever the cause. Name only what was known at signing {where}"
        )
    return asked


def exclusions(
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    spells: pd.DataFrame,
    cut_off: dt.date,
    observation_start: dt.date | None,
) -> pd.DataFrame:
    """Count who is left out, one row per step: step, reason, n_before, n_after, mrr_affected."""
    candidates = candidates_of(accounts, spells)
    left = pd.Series(True, index=candidates.index)
    rows = []
    for step, reason, passes in steps_of(
        candidates, accounts, account_months, cut_off, observation_start
    ):
        dropped = candidates[left & ~passes]
        rows.append((step, reason, int(left.sum()), int((left & passes).sum()), dropped.mrr.sum()))
        left &= passes
    return pd.DataFrame(rows, columns=["step", "reason", "n_before", "n_after", "mrr_affected"])


def candidates_of(accounts: pd.DataFrame, spells: pd.DataFrame) -> pd.DataFrame:
    """All accounts with their first spell beside them: one row per account."""
    first = spells.loc[
        spells["spell"] == 1,
        ["account_id", "lapse_date", "end_type", "mrr_lost", "is_churn", "is_age_known"],
    ]
    return accounts.merge(first, on="account_id", how="left", validate="one_to_one")


def steps_of(
    candidates: pd.DataFrame,
    accounts: pd.DataFrame,
    account_months: pd.DataFrame,
    cut_off: dt.date,
    observation_start: dt.date | None,
) -> Iterator[tuple[str, str, pd.Series]]:
    """Each condition of being followed: name, why others are left out, who passes."""
    started = candidates["first_paid_date"]
    on_file = has_milestones(accounts, account_months)
    known = candidates["is_first_paid_known"].eq(True) & candidates["is_age_known"].eq(True)
    since = pd.Timestamp(observation_start) if observation_start else pd.Timestamp.min
    yield "ever paid", "never paid: no clock to start", started.notna()
    yield "start known", "paying when the billing data begin: first paid day unknown", known
    yield "start observed", "first paid before observation began", started >= since
    yield "started by the cut-off", "not settled yet", started <= pd.Timestamp(cut_off)
    milestones = pd.Series(on_file, index=candidates.index)
    yield "milestones on file", "the company records no milestones", milestones


def _followed(candidates: pd.DataFrame, cut_off: pd.Timestamp) -> pd.DataFrame:
    started = candidates["first_paid_date"]
    is_out = candidates["is_churn"].eq(True) & (candidates["lapse_date"] <= cut_off)
    followed = (cut_off - started).dt.days
    end = (candidates["lapse_date"] - started).dt.days.where(is_out, followed)
    value = (candidates["first_value_date"] - started).dt.days.clip(lower=0)
    is_reached = (value < end) | ((value == end) & ~is_out)
    cause = candidates["end_type"].astype(object).where(candidates["end_type"].notna(), "unknown")
    is_competing = is_out & (cause != "administrative")
    quarter = _quarters(started)
    return candidates.assign(
        start_quarter=quarter,
        followed_days=followed.astype("int64"),
        end_day=end.astype("int64"),
        value_day=value.where(is_reached).astype("float64"),
        days=value.where(is_reached, end).astype("int64"),
        outcome=np.select([is_reached, is_competing], [VALUE, CHURN], 0),
        is_lost=is_out & ~cause.isin(NOT_A_LOSS),
        end_type=cause.where(is_out),
        mrr_last=candidates["mrr_lost"].where(is_out, candidates["mrr"]),
    )


def _quarters(days: pd.Series) -> pd.Series:
    """Names of calendar quarters, 2026-Q1, made once per quarter."""
    number = days.dt.year.to_numpy() * 4 + days.dt.quarter.to_numpy() - 1
    codes, found = pd.factorize(number)
    names = np.array([f"{int(each) // 4}-Q{int(each) % 4 + 1}" for each in found], dtype=object)
    return pd.Series(names[codes] if len(codes) else names, index=days.index, dtype=object)


def months_before(day: dt.date, months: int) -> dt.date:
    """The same day `months` earlier; the last day of a month stays a last day."""
    moment = pd.Timestamp(day)
    if moment.is_month_end:
        return (moment - pd.offsets.MonthEnd(months)).date()
    return (moment - pd.DateOffset(months=months)).date()


def recent(starters: pd.DataFrame, cut_off: dt.date) -> pd.DataFrame:
    """Keep those first paid in the 12 months to the cut-off.

    Returns:
        The same rows, of those accounts alone: one row per account.
    """
    since = pd.Timestamp(months_before(cut_off, 12))
    return starters[starters["first_paid_date"] > since]
