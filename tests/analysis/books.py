"""A company's books written by rule: spells, ledger, accounts and returns that agree."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

FIRST = pd.Period("2023-11", freq="M")


@dataclass(frozen=True)
class Books:
    """The frames of one slice; the cut-off is the as-of date."""

    spells: pd.DataFrame
    ledger: pd.DataFrame
    accounts: pd.DataFrame
    returns: pd.DataFrame
    as_of: dt.date
    observation_start: dt.date


def books(
    starts, lapses, mrr, segments=None, n_months=36, end_types=None, costs=None, is_settled=True
) -> Books:
    """Accounts that start and lapse on the first of a month.

    Args:
        starts: month number of each start; negative: before the observation.
        lapses: month number of each lapse; at or above `n_months`: still there.
        mrr: of each account.
    """
    starts, lapses, mrr = np.asarray(starts), np.asarray(lapses), np.asarray(mrr, float)
    names = np.array([f"a{place:05d}" for place in range(len(starts))])
    last = FIRST + n_months - 1
    as_of = last.end_time.normalize()
    start_date = pd.to_datetime([(FIRST + int(k)).start_time for k in starts])
    is_gone = lapses < n_months
    lapse_date = pd.to_datetime([(FIRST + int(min(k, n_months))).start_time for k in lapses])
    lapse_date = lapse_date.where(is_gone)
    types = np.where(is_gone, "voluntary" if end_types is None else end_types, None)
    stop = lapse_date.where(is_gone, as_of)
    entry = np.clip((FIRST.start_time - start_date).days, 0, None)
    duration = (stop - start_date).days.to_numpy()
    spells = pd.DataFrame(
        {"account_id": names, "spell": 1, "start_date": start_date, "lapse_date": lapse_date,
         "end_type": types, "end_reason": None, "mrr_lost": np.where(is_gone, mrr, np.nan),
         "entry_days": entry, "duration_days": duration, "is_churn": is_gone,
         "is_age_known": True, "is_followed": duration > entry}
    )  # fmt: skip
    returns = pd.DataFrame(
        {"account_id": names[is_gone], "lapse_date": lapse_date[is_gone],
         "days_observed": (as_of - lapse_date[is_gone]).days, "has_returned": False,
         "mrr_lost": mrr[is_gone]}
    )  # fmt: skip
    accounts = pd.DataFrame(
        {"account_id": names, "segment": "all" if segments is None else segments,
         "acquisition_channel": "web", "first_paid_date": start_date,
         "is_first_paid_known": True,
         "acquisition_cost": np.nan if costs is None else costs}
    )  # fmt: skip
    ledger = _ledger(names, starts, lapses, mrr, types, n_months, is_settled)
    day = FIRST.start_time.date()
    return Books(spells, ledger, accounts, returns, as_of.date(), day)


def _ledger(names, starts, lapses, mrr, types, n_months, is_settled):
    blocks = []
    for month in range(n_months):
        here = (starts <= month) & (lapses >= month)
        opened, left = starts[here] == month, lapses[here] == month
        blocks.append(
            pd.DataFrame(
                {"period": str(FIRST + month), "account_id": names[here],
                 "mrr_start": np.where(opened, 0.0, mrr[here]),
                 "mrr_end": np.where(left, 0.0, mrr[here]), "fx": 0.0,
                 "movement": np.select([opened, left], ["new", "churn"], "retained"),
                 "mrr_bridged": 0.0, "end_type": np.where(left, types[here], None),
                 "is_due_for_renewal": True, "is_settled": is_settled}
            )
        )  # fmt: skip
    return pd.concat(blocks, ignore_index=True)


def random_books(seed, n=600, n_months=36, hazard=0.03, **more) -> Books:
    """Accounts of two segments that leave at a constant monthly hazard, half of it for `large`."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(-6, n_months, n)
    segments = np.where(rng.random(n) < 0.3, "large", "small")
    lives = rng.geometric(np.where(segments == "large", hazard / 2, hazard))
    lapses = np.maximum(starts + lives, 1)
    seen = starts + lives > 0
    mrr = np.where(segments == "large", 1000.0, 100.0)
    given = {name: np.asarray(value)[seen] for name, value in more.items()}
    return books(starts[seen], lapses[seen], mrr[seen], segments[seen], n_months, **given)
