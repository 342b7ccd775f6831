"""Would another reasonable choice have said something else? One change at a time.

Reads spells, returns, mrr_ledger, account_months and accounts. Makes the revenue rows of the
annex's specification curve. The subtle point: a longer grace settles less, so its two years end
earlier; its row says to which month it speaks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.analysis import choices
from pipeline.analysis.reliability import LARGEST_SHARE
from pipeline.analysis.revenue.contrast import (
    MEASURES,
    UNIT,
    WINDOW,
    Compared,
    compared,
    contrast_name,
    level_by_account,
    starters,
)
from pipeline.analysis.revenue.graces import grace_months
from pipeline.analysis.revenue.ledger import shift
from pipeline.statistics.proportions import newcombe

CHAPTER_NAME = "revenue"


def specifications(
    spells: pd.DataFrame, returns: pd.DataFrame, mrr_ledger: pd.DataFrame,
    account_months: pd.DataFrame, accounts: pd.DataFrame, as_of: dt.date, cut_off: dt.date,
    grace_days: int, measure: str, by: str, confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """The primary contrast, and what it would be with one choice changed.

    Args:
        spells: all spells of the slice.
        returns: all its lapses.
        mrr_ledger: observed months, see `observed`.
        account_months: period, account_id, is_in_notice; for churn dated on the notice.
        accounts: account_id and the column `by`.
        as_of: as-of date.
        cut_off: analysis cut-off of the slice.
        grace_days: the slice's grace.
        measure: the primary contrast, a name of MEASURES.
        by: column whose mix is held fixed.
        confidence: of the intervals.

    Returns:
        one row per specification, the primary one first: chapter, contrast, choice, specification,
        estimate, ci_low, ci_high, unit, n, n_events, is_primary, note (why blank; or what the row
        speaks of).
    """
    primary = starters(mrr_ledger, accounts, by)
    tried = [("primary", choices.primary(f"every exit, one mix of {by}"), primary)]
    for grace in choices.GRACES_DAYS:
        if grace != grace_days:
            frames = (spells, returns, mrr_ledger, accounts)
            rows = grace_months(*frames, grace, grace_days, as_of, cut_off, by)
            tried.append(("grace", choices.days(grace), rows))
    tried += _samples(primary, mrr_ledger, account_months, accounts, by)
    table = [_row(*one, measure, confidence) for one in tried]
    other = next(name for name in MEASURES if name != measure)
    table.append(_row("measure", MEASURES[other][2], primary, other, confidence))
    table.append(_independent(primary, confidence))
    found = pd.DataFrame(table)
    found.insert(0, "chapter", CHAPTER_NAME)
    found.insert(1, "contrast", contrast_name(measure))
    return found.assign(is_primary=found["choice"] == "primary")


def _samples(
    primary: pd.DataFrame, mrr_ledger: pd.DataFrame, account_months: pd.DataFrame,
    accounts: pd.DataFrame, by: str,
) -> Iterator[tuple[str, str, pd.DataFrame]]:  # fmt: skip
    """Other events and other customers: choice, in words, and the rows to count."""
    for end_type in ("completed", "administrative", "involuntary"):
        is_type = primary["end_type"].eq(end_type) & (primary["is_lost"] > 0)
        kept = primary.assign(is_lost=primary["is_lost"].where(~is_type, 0.0),
                              mrr_lost=primary["mrr_lost"].where(~is_type, 0.0))  # fmt: skip
        yield "event", choices.without(end_type), kept
    yield "event", choices.ON_NOTICE, _by_notice(primary, account_months)
    yield "mix", "as it was in each year", primary.assign(level="all")
    largest = primary.groupby("account_id")["mrr_start"].max()
    below = largest[largest <= largest.quantile(1 - LARGEST_SHARE)].index
    small = primary[primary["account_id"].isin(below)]
    yield "sample", choices.WITHOUT_LARGEST, small
    yield "sample", "those due for renewal only", primary[primary["is_due"]]
    yield (
        "sample",
        "with those that left in their first month",
        _with_brief(primary, mrr_ledger, accounts, by),
    )


def _row(
    choice: str, words: str, rows: pd.DataFrame, measure: str, confidence: float
) -> dict[str, object]:
    found = compared(rows, measure, confidence)
    numbers = found.difference
    limits = (numbers.estimate, numbers.ci_low, numbers.ci_high) if numbers else [np.nan] * 3
    parts = (f"to {found.last}" if numbers else "", found.note)
    note = "; ".join(part for part in parts if part)
    return _told(choice, words, limits, found, note)


def _told(
    choice: str, words: str, limits: tuple | list, found: Compared, note: str
) -> dict[str, object]:
    return {"choice": choice, "specification": words, "estimate": limits[0], "ci_low": limits[1],
            "ci_high": limits[2], "unit": UNIT, "n": found.n, "n_events": found.n_events,
            "note": note}  # fmt: skip


def _independent(primary: pd.DataFrame, confidence: float) -> dict[str, object]:
    """Newcombe's interval, as if every account-month were another account."""
    found = compared(primary, "gross_account_churn_rate", confidence)
    words = "months independent, mix as it was"
    if found.difference is None:
        return _told("interval", words, [np.nan] * 3, found, found.note)
    seen = primary[primary["period"] >= found.first]
    is_second = seen["period"] > shift(found.last, -WINDOW)
    counts = [(int(part["is_lost"].sum()), len(part)) for part in (seen[is_second],
                                                                  seen[~is_second])]  # fmt: skip
    limits = [float(value) for value in newcombe(*counts[0], *counts[1], confidence)]
    return _told("interval", words, limits, found, f"to {found.last}; accounts, not MRR")


def _by_notice(primary: pd.DataFrame, account_months: pd.DataFrame) -> pd.DataFrame:
    """Customers not in notice at the start; lost when they gave notice or left in the month.

    The state at the end of a month is that at the start of the next one.
    """
    state = account_months[["period", "account_id", "is_in_notice"]]
    opened = primary.merge(state, how="left", on=["period", "account_id"])
    later = state.assign(
        period=(pd.PeriodIndex(state["period"], freq="M") - 1).astype(str),
        is_noticed=state["is_in_notice"].astype(bool),
    )[["period", "account_id", "is_noticed"]]
    both = opened.merge(later, how="left", on=["period", "account_id"])
    was_free = ~both["is_in_notice"].eq(True)
    has_gone = (both["is_lost"] > 0) | both["is_noticed"].eq(True)
    lost = both["mrr_lost"].where(~both["is_noticed"].eq(True), both["mrr_start"])
    return both.assign(is_lost=has_gone.astype(float), mrr_lost=lost)[was_free][primary.columns]


def _with_brief(
    primary: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame, by: str
) -> pd.DataFrame:
    """The account-months with those whose whole spell lies within a month: at risk and lost."""
    is_brief = mrr_ledger["is_settled"] & (mrr_ledger["movement"] == "joined_and_left")
    brief = mrr_ledger[is_brief]
    if brief.empty:
        return primary
    level = level_by_account(accounts, by).reindex(brief["account_id"]).to_numpy()
    rows = brief[["period", "account_id"]].assign(
        level=level, n=1.0, is_lost=1.0, mrr_start=0.0, mrr_lost=0.0, is_due=False
    )
    return pd.concat([primary, rows], ignore_index=True)
