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
    who = pd.Index(first["account_id"]).get_indexer(mrr_ledger["account_id"])
    is_own = who >= 0
    rows, who = mrr_ledger.loc[is_own, ["period", "mrr_start", "mrr_end"]], who[is_own]
    month, names = pd.factorize(rows["period"])
    months = pd.PeriodIndex(names, freq="M")
    opens, closes = _days(months.start_time)[month], _days((months + 1).start_time)[month]
    entry, last = (first[f"{name}_days"].to_numpy(np.int64) for name in ("entry", "duration"))
    start = _days(first["start_date"])[who]
    ages_from = np.maximum(opens - start, entry[who])
    ages_to = np.minimum(closes - start, last[who])
    days = np.clip(ages_to - ages_from, 0, None).astype(float)
    at_start, at_end = rows["mrr_start"].to_numpy(), rows["mrr_end"].to_numpy()
    mrr = np.where(at_start > 0, at_start, at_end)
    left = first["mrr_lost"].to_numpy(dtype=float)[who]  # joined and left: in no mark
    mrr = np.where(mrr > 0, mrr, np.nan_to_num(left))
    ends = np.floor(DAYS_PER_MONTH * np.arange(1, _bands(first) + 1)).astype(np.int64)
    band = np.searchsorted(ends, np.clip((ages_from + ages_to) / 2, 0, ends[-1] - 1), side="right")
    cell, n = who * len(ends) + band, len(first) * len(ends)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cell, values, n).astype(float, copy=False).reshape(-1, len(ends))

    is_event = first["is_event"].to_numpy(bool)
    return Lives(entry, last, is_event, summed(days * mrr), summed(days), ends)


def _days(dates: pd.Series | pd.DatetimeIndex) -> NDArray[np.int64]:
    """Whole days since 1970."""
    return dates.to_numpy().astype("datetime64[D]").astype(np.int64)


def _bands(first: pd.DataFrame) -> int:
    longest = first["duration_days"].max() if len(first) else 0
    return int(max(longest, LONGEST) // DAYS_PER_MONTH) + 2
