"""Who stayed how long, what did each pay at which age, and what did the new ones cost?

Reads spells, mrr_ledger and accounts; makes what a lifetime value is computed from. The subtle
point: a mark knows an account's MRR at the ends of a month, so within a month it is taken as that
of its start, and the age of a month is that of its middle.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.analysis.reliability import DAYS_PER_MONTH
from pipeline.analysis.revenue.ledger import opening_days
from pipeline.statistics.lifetime_value import Lives

LONGEST = 1096
"""36 months in days, the longest possible anniversary; GLOSSARY, month marks."""
ADMINISTRATIVE = "administrative"


@dataclass(frozen=True)
class Population:
    """First spells as lives, and the cost of the accounts won in the 12 months to a day.

    `account_ids` and `cost` hold the lives first, then the accounts too new to have a life; cost is
    missing for accounts that are not recent or whose cost nobody recorded.
    """

    account_ids: pd.Index
    lives: Lives
    cost: NDArray[np.float64]
    is_recent: NDArray[np.bool_]

    @classmethod
    def of(
        cls, spells: pd.DataFrame, mrr_ledger: pd.DataFrame, accounts: pd.DataFrame,
        cut_off: dt.date, as_of: dt.date,
    ) -> Population:  # fmt: skip
        """The population as it stood: lives to the cut-off, new accounts to the as-of date."""
        first = _first_spells(spells, cut_off)
        known = accounts.set_index("account_id")
        since, until = pd.Timestamp(earlier(as_of, 12)), pd.Timestamp(as_of)
        paid_on = known["first_paid_date"]
        is_recent = (paid_on > since) & (paid_on <= until)
        alive = pd.Index(first["account_id"])
        everybody = alive.append(known.index[is_recent].difference(alive))
        recent = is_recent.reindex(everybody, fill_value=False).to_numpy(dtype=bool)
        cost = known["acquisition_cost"].reindex(everybody).to_numpy(dtype=float)
        lives = _lives(first, mrr_ledger)
        return cls(everybody, lives, np.where(recent, cost, np.nan), recent)

    def part(self, rows: NDArray[np.bool_]) -> Population:
        """The population of the accounts that are true."""
        one, own = self.lives, rows[: len(self.lives)]
        lives = Lives(one.entry[own], one.exit[own], one.is_event[own], one.paid[own],
                      one.days[own], one.band_ends)  # fmt: skip
        return Population(self.account_ids[rows], lives, self.cost[rows], self.is_recent[rows])

    @property
    def n_cost(self) -> int:
        """Recent accounts whose cost is known."""
        return int(np.isfinite(self.cost).sum())

    @property
    def coverage(self) -> float:
        """Their share of the recent accounts."""
        return float(self.n_cost / self.is_recent.sum()) if self.is_recent.any() else 0.0


def earlier(day: dt.date, months: int) -> dt.date:
    """The day some months before; the last day of a month leads to the last day of a month."""
    then = pd.Timestamp(day) + pd.Timedelta(days=1) - pd.DateOffset(months=months)
    return (then - pd.Timedelta(days=1)).date()


def lives_of(spells: pd.DataFrame, mrr_ledger: pd.DataFrame, cut_off: dt.date) -> Lives:
    """First spells of known age as lives, cut at a day."""
    return _lives(_first_spells(spells, cut_off), mrr_ledger)


def _first_spells(spells: pd.DataFrame, cut_off: dt.date) -> pd.DataFrame:
    """First spells of known age, cut at a day no later than the slice's own cut-off."""
    last = pd.Timestamp(cut_off)
    first = spells[(spells["spell"] == 1) & spells["is_age_known"].astype(bool)]
    age = (last - first["start_date"]).dt.days
    is_over = first["is_churn"].astype(bool) & (first["lapse_date"] <= last)
    duration = np.minimum(first["duration_days"], age)
    cut = first.assign(
        duration_days=duration, is_event=is_over & (first["end_type"] != ADMINISTRATIVE)
    )
    cut = cut[duration > cut["entry_days"]]
    return cut.sort_values("account_id", ignore_index=True)  # draws go by place


def _lives(first: pd.DataFrame, mrr_ledger: pd.DataFrame) -> Lives:
    """The first spells with what each paid, by month of age."""
    place = pd.Series(np.arange(len(first)), index=first["account_id"])
    rows = mrr_ledger[mrr_ledger["account_id"].isin(place.index)]
    who = place.reindex(rows["account_id"]).to_numpy()
    opens = opening_days(rows["period"])
    closes = opens + pd.offsets.MonthBegin(1)
    start = pd.DatetimeIndex(first["start_date"])[who]
    ages_from = np.maximum((opens - start).days.to_numpy(), first["entry_days"].to_numpy()[who])
    ages_to = np.minimum((closes - start).days.to_numpy(), first["duration_days"].to_numpy()[who])
    days = np.clip(ages_to - ages_from, 0, None).astype(float)
    mrr = rows["mrr_start"].where(rows["mrr_start"] > 0, rows["mrr_end"])
    left = first["mrr_lost"].to_numpy(dtype=float)[who]  # joined and left: in no mark
    mrr = np.where(mrr > 0, mrr, np.nan_to_num(left))
    ends = np.floor(DAYS_PER_MONTH * np.arange(1, _bands(first) + 1)).astype(np.int64)
    band = np.searchsorted(ends, np.clip((ages_from + ages_to) / 2, 0, ends[-1] - 1), side="right")
    shape = (len(first), len(ends))
    exposure, paid = np.zeros(shape), np.zeros(shape)
    np.add.at(exposure, (who, band), days)
    np.add.at(paid, (who, band), days * mrr)
    return Lives(
        first["entry_days"].to_numpy(np.int64), first["duration_days"].to_numpy(np.int64),
        first["is_event"].to_numpy(bool), paid, exposure, ends,
    )  # fmt: skip


def _bands(first: pd.DataFrame) -> int:
    longest = first["duration_days"].max() if len(first) else 0
    return int(max(longest, LONGEST) // DAYS_PER_MONTH) + 2
