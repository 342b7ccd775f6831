"""What does each subject add to an incidence, so that incidences can be compared by regression?

Jackknife pseudo-observations of the Aalen-Johansen cumulative incidence, for subjects observed from
the origin. The subtle point: a subject counts for its own exit only up to the last time asked for,
so few different subjects are left and leaving each out once is exact and cheap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.risk_intervals import risk_intervals

CENSORED = 0


def incidence_pseudo_values(
    durations: ArrayLike, causes: ArrayLike, cause: int, times: ArrayLike
) -> NDArray[np.float64]:
    """Compute n·F(t) − (n − 1)·F without the subject(t), F the incidence of one cause.

    Args:
        durations: time at which each subject was last seen, from the origin.
        causes: 0 = censored, 1 … K = the cause of leaving.
        cause: the cause whose incidence it is.
        times: times to compute them for, in the unit of the clock.

    Returns:
        One row per subject, one column per time. Without censoring: 1 if the cause had come by
        then, else 0.

    Raises:
        ValueError: see `risk_intervals`.

    Source: Andersen, Klein & Rosthøj (2003), Biometrika 90: 15; Klein & Andersen (2005),
    Biometrics 61: 223.
    """
    intervals = risk_intervals(durations, causes)
    asked = np.atleast_1d(np.asarray(times, dtype=float))
    n, last = len(intervals), asked.max()
    beyond = intervals.exit > last
    exits = np.where(beyond, np.inf, intervals.exit)
    codes = np.where(beyond, CENSORED, intervals.code)
    kinds, kind, counts = np.unique(
        np.column_stack([exits, codes]), axis=0, return_inverse=True, return_counts=True
    )
    grid = np.unique(exits[np.isfinite(exits)])
    curves = _without_each(kinds, counts, grid, cause)
    where = np.searchsorted(grid, asked, side="right")
    everybody, without = curves[0, where], curves[1:, where]
    return n * everybody - (n - 1) * without[kind.ravel()]


def _without_each(
    kinds: NDArray[np.float64], counts: NDArray[np.int64], grid: NDArray[np.float64], cause: int
) -> NDArray[np.float64]:
    """Incidence on 0 and the grid: of everybody, then without one subject of each kind."""
    present = kinds[:, :1] >= grid
    here = kinds[:, :1] == grid
    left = here & (kinds[:, 1:] != CENSORED)
    own = here & (kinds[:, 1:] == cause)
    at_risk, leaving, coming = (
        np.vstack([counts @ part, counts @ part - part.astype(np.int64)])
        for part in (present, left, own)
    )
    staying = np.cumprod(1 - leaving / np.maximum(at_risk, 1), axis=1)
    before = np.column_stack([np.ones(len(staying)), staying])[:, :-1]
    steps = before * coming / np.maximum(at_risk, 1)
    return np.column_stack([np.zeros(len(steps)), np.cumsum(steps, axis=1)])
