"""Who is at risk when? Checked risk intervals and the counts over them.

Every estimator of this room sees a subject as the interval (entry, duration] on one clock and a
code for how it ended. The subtle point: the interval is open on the left, so a subject that enters
at age 30 is not at risk of what happens at age 30. A subject that was there from the origin has
entry 0 (or none at all) and is at risk at time 0 too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

EXAMPLES_SHOWN = 5


@dataclass(frozen=True)
class RiskIntervals:
    """Checked intervals (entry, exit] with the code of how each ended (0 = censored)."""

    entry: NDArray[np.float64]  # -inf for subjects present from the origin
    exit: NDArray[np.float64]
    code: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.exit)

    def subset(self, rows: NDArray[np.bool_] | slice) -> RiskIntervals:
        """Return the intervals of the rows of a mask, or of a slice."""
        return RiskIntervals(self.entry[rows], self.exit[rows], self.code[rows])


def risk_intervals(
    durations: ArrayLike, codes: ArrayLike, entry: ArrayLike | None = None
) -> RiskIntervals:
    """Check durations, end codes and entries of subjects and return their risk intervals.

    Args:
        durations: time at which each subject was last seen, in the unit of the clock, >= 0.
        codes: how it ended: 0 = censored, 1, 2, ... = the event, or the cause of the event.
        entry: time from which each subject was under observation; None or 0 = from the origin.

    Raises:
        ValueError: a length differs, a value is missing or negative, a code is not a whole number,
            or a subject leaves before or when it enters.

    Source: definition.
    """
    exits = np.asarray(durations, dtype=float)
    given = np.asarray(codes, dtype=float)
    entries = np.zeros(len(exits)) if entry is None else np.asarray(entry, dtype=float)
    if not len(exits) == len(given) == len(entries):
        raise ValueError(
            f"{len(exits)} durations, {len(given)} end codes and {len(entries)} entries: each "
            "subject needs one of each. Pass columns of the same frame."
        )
    _refuse(~np.isfinite(exits) | (exits < 0), exits, "durations are missing, infinite or negative")
    _refuse(
        ~np.isfinite(given) | (given < 0) | (given % 1 != 0), given, "end codes are not 0, 1, …"
    )
    _refuse(np.isnan(entries), entries, "entries are missing")
    starts = np.where(entries <= 0, -np.inf, entries)
    _refuse(starts >= exits, exits, "durations do not lie after their entry")
    return RiskIntervals(starts, exits, given.astype(np.int64))


def number_at_risk(intervals: RiskIntervals, times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the subjects with entry < time <= exit, one number per time; the times must increase.

    Source: definition.
    """
    return total_at_risk(intervals, np.ones(len(intervals), dtype=np.int64), times)


def total_at_risk(
    intervals: RiskIntervals, weights: NDArray, times: NDArray[np.float64]
) -> NDArray:
    """Add up the weights (one row per subject) of those at risk at each time, one row per time.

    The times must increase.

    Source: definition.
    """
    return _total_from(intervals.exit, weights, times) - _total_from(
        intervals.entry, weights, times
    )


def distinct(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct values in order, and the position of each value among them; O(n) for few.

    Source: definition; as numpy.unique, by hashing instead of sorting.
    """
    codes, found = pd.factorize(values)
    order = np.argsort(found)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return found[order], place[codes]


def _total_from(positions: NDArray, weights: NDArray, times: NDArray) -> NDArray:
    """Add up the weights of the subjects whose position is at or after each time.

    One count per time and column instead of a sort: O(n log m) for m times.
    """
    reached = np.searchsorted(times, positions, side="right")
    columns = weights[None, :] if weights.ndim == 1 else weights.T
    sums = [np.bincount(reached, column, minlength=len(times) + 1) for column in columns]
    from_here = np.cumsum(np.array(sums)[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return from_here.T.reshape(len(times), *weights.shape[1:]).astype(weights.dtype)


def _refuse(is_bad: NDArray[np.bool_], values: NDArray, what: str) -> None:
    if is_bad.any():
        rows = np.flatnonzero(is_bad)[:EXAMPLES_SHOWN]
        shown = ", ".join(f"row {row}: {values[row]:g}" for row in rows)
        raise ValueError(
            f"{is_bad.sum()} {what} ({shown}). A risk set cannot be formed from them; "
            "leave these rows out as a named exclusion, or correct them upstream."
        )
