"""Does a driver know the future? A second wall behind the registry.

Works on the rows of `rows`. A driver that tells leavers from stayers almost perfectly, or that
loses its power when it is read one month earlier, has most likely been read too late. The subtle
point: both values are taken on the same account-months, those whose earlier value is known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.checks import Check
from pipeline.analysis.drivers.rows import earlier_place, is_usable, numbered
from pipeline.analysis.levels import named, text_levels
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.statistics.binary_validation import concordance
from pipeline.statistics.counted_values import quantiles

LEAKAGE = "leakage"
LARGEST_AUC = 0.95
LARGEST_FALL = 0.10
"""Churn a month ahead is hard to tell; a single honest column does not come near these."""
LEAK_COLUMNS = ["driver", "auc", "auc_lagged", "fall", "n", "n_events", "is_leak", "note"]


def monitor(rows: pd.DataFrame, candidates: list[str]) -> pd.DataFrame:
    """How well each driver alone tells who leaves, as it stood and one month earlier.

    Args:
        rows: from `driver_rows`, features as the model sees them.
        candidates: names of drivers.

    Returns:
        One row per driver: driver, auc, auc_lagged (both at least 0.5; blank below ten churns),
        fall, n (account-months), n_events, is_leak, note.
    """
    at = earlier_place(rows, 1)
    own = np.flatnonzero((at >= 0) & is_usable(rows)).astype(np.int32)
    churned = rows["is_churn"].take(own).to_numpy(bool)
    before = at[own]
    table = [
        _row(name, *numbered(rows[name]), own, before, churned)
        for name in candidates
        if name in rows.columns
    ]
    return pd.DataFrame(table, columns=LEAK_COLUMNS)


def check(monitored: pd.DataFrame) -> Check:
    """The leak monitor as a check; hard: what has seen the future tells nothing about it.

    Args:
        monitored: from `monitor`.
    """
    found = monitored[monitored["is_leak"].astype(bool)]
    told = [f"{row.driver} ({row.note})" for row in found.itertuples()]
    note = f"may have been read too late: {'; '.join(told)}" if told else ""
    return Check(LEAKAGE, found.empty, note, is_hard=True)


def _row(
    name: str,
    codes: np.ndarray,
    levels: pd.Index,
    own: np.ndarray,
    before: np.ndarray,
    churned: np.ndarray,
) -> tuple:
    """One driver, by the number of each row's level; `own` and `before`: places of the rows."""
    n_events = int(churned.sum())
    if n_events < SMALLEST_N or n_events == len(churned):
        return name, np.nan, np.nan, np.nan, len(churned), n_events, False, "too few churns to say"
    auc, earlier = (concordance(*_scores(codes[at], levels, churned)) for at in (own, before))
    auc, earlier = max(auc, 1 - auc), max(earlier, 1 - earlier)
    note = ""
    if auc > LARGEST_AUC:
        note = f"alone it tells leavers from stayers with an AUC of {auc:.2f}"
    elif auc - earlier > LARGEST_FALL:
        note = f"its AUC falls from {auc:.2f} to {earlier:.2f} when read one month earlier"
    return name, auc, earlier, auc - earlier, len(churned), n_events, bool(note), note


def _scores(
    codes: np.ndarray, found: pd.Index, churned: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score of each level, and its leavers and stayers.

    Numbers score as they are, blanks at the median; levels by their share of leavers.
    """
    blank = len(found)
    n, events = (_counts(part, blank) for part in (codes, codes[churned]))
    if pd.api.types.is_numeric_dtype(found) and not pd.api.types.is_bool_dtype(found):
        numbers, n_known = found.to_numpy(dtype=float), n[:blank].sum()
        middle = quantiles(numbers, n[:blank], [0.5])[0] if n_known else 0.0
        return np.append(numbers, middle), events, n - events
    levels = named(text_levels(pd.Series([*found, None], dtype=object))).to_numpy()
    level, names = pd.factorize(levels)
    events, n = (np.bincount(level, part, minlength=len(names)) for part in (events, n))
    return events / np.where(n > 0, n, 1), events, n - events


def _counts(codes: np.ndarray, blank: int) -> np.ndarray:
    """Rows by level, blanks last."""
    return np.roll(np.bincount(codes.astype(np.int64) + 1, minlength=blank + 1), -1).astype(float)
