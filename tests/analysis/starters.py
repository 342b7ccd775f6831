"""Starters written by hand, and starters of a world whose truth is known."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from pipeline.analysis import time_to_value as chapter

CUT_OFF = dt.date(2026, 10, 31)
START = dt.date(2023, 11, 1)


def days(*texts: str | None) -> pd.Series:
    return pd.to_datetime(pd.Series(list(texts), dtype=object)).astype("datetime64[us]")


def made(rows: list[dict[str, object]]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Accounts, account-months and first spells from short rows: paid, value, lapse, end_type."""
    defaults = {
        "value": None, "lapse": None, "end_type": None, "segment": "SMB", "touch_model": "tech",
        "mrr": 100.0, "is_first_paid_known": True, "is_in_notice": False,
    }  # fmt: skip
    table = pd.DataFrame([defaults | row for row in rows])
    accounts = pd.DataFrame(
        {
            "account_id": [f"a{place:05d}" for place in range(len(table))],
            "first_paid_date": days(*table["paid"]),
            "first_value_date": days(*table["value"]),
            "is_first_paid_known": table["is_first_paid_known"],
            "segment": table["segment"],
            "touch_model": table["touch_model"],
            "is_in_notice": table["is_in_notice"],
            "is_customer": table["lapse"].isna(),
            "mrr": table["mrr"].where(table["lapse"].isna(), 0.0),
        }
    )
    spells = pd.DataFrame(
        {
            "account_id": accounts["account_id"],
            "spell": 1,
            "lapse_date": days(*table["lapse"]),
            "end_type": table["end_type"],
            "mrr_lost": table["mrr"].where(table["lapse"].notna()),
            "is_churn": table["lapse"].notna(),
            "is_age_known": table["is_first_paid_known"],
        }
    )
    months = pd.DataFrame({"account_id": accounts["account_id"], "has_value": True})
    return accounts, months, spells[accounts["first_paid_date"].notna()]


def followed(rows: list[dict[str, object]], cut_off: dt.date = CUT_OFF, **options) -> pd.DataFrame:
    return chapter.starters(*made(rows), cut_off, START, **options)


def world(n: int, value_rate: float, leaving_rate: float, ratio: float, seed: int) -> pd.DataFrame:
    """Starters whose hazard of leaving is multiplied by `ratio` from the day of value on."""
    rates = np.full(n, value_rate), np.full(n, leaving_rate)
    return world_of(*rates, ratio, np.random.default_rng(seed))


def world_of(
    value_rate: np.ndarray, leaving_rate: np.ndarray, ratio: float, draws: np.random.Generator
) -> pd.DataFrame:
    """The same with rates a day of each account's own."""
    n = len(value_rate)
    value = draws.exponential(1 / value_rate, n)
    before = draws.exponential(1 / leaving_rate, n)
    after = value + draws.exponential(1 / (leaving_rate * ratio), n)
    leaves = np.ceil(np.where(before < value, before, after))
    value_day = np.ceil(value)
    followed_days = draws.integers(366, 1096, n)
    end = np.minimum(leaves, followed_days)
    is_out = leaves <= followed_days
    is_reached = (value_day < end) | ((value_day == end) & ~is_out)
    return pd.DataFrame(
        {
            "account_id": [f"a{place:06d}" for place in range(n)],
            "first_paid_date": pd.Timestamp(CUT_OFF) - pd.to_timedelta(followed_days, unit="D"),
            "start_quarter": "2024-Q1",
            "followed_days": followed_days,
            "end_day": end.astype("int64"),
            "value_day": np.where(is_reached, value_day, np.nan),
            "days": np.where(is_reached, value_day, end).astype("int64"),
            "outcome": np.select([is_reached, is_out], [1, 2], 0),
            "is_lost": is_out,
        }
    )
