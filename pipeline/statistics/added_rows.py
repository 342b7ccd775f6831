"""How far did the coefficients move when the newest rows were added?

The grouped-time hazard regression is fitted twice, with and without some rows, and the two fits
share all others. The subtle point: two fits of almost the same rows move together, so their own
intervals say nothing about the difference. Its error comes from each group's part in the
difference itself, or from the information that the new rows brought, whichever is larger: where
few events are new the first is too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics import cloglog, sandwich
from pipeline.statistics.design_rows import DesignOrRows, rows_of
from pipeline.statistics.grouped_hazard import ByKind


@dataclass(frozen=True)
class Move:
    """Coefficients before and now, the standard error of the difference, and if both fits hold.

    `before` and `std_err` are NaN for a column that the earlier fit does not have.
    """

    before: NDArray[np.float64]
    now: NDArray[np.float64]
    std_err: NDArray[np.float64]
    converged: bool


def move(
    events: ArrayLike,
    design: DesignOrRows,
    groups: ArrayLike | None,
    is_new: ArrayLike,
    start: NDArray[np.float64] | None = None,
    by_kind: ByKind | None = None,
) -> Move:
    """Fit with and without the new rows.

    Args:
        events: 0 or 1 per row.
        design: one row per subject and interval, full rank. A column that is 0 in all rows but the
            new ones has no coefficient before, and stops no other column.
        groups: what the rows are clustered by, such as the account.
        is_new: rows that the earlier fit does not have.
        start: coefficients to begin from.
        by_kind: rows are kinds of equal rows, as of `grouped_hazard.fit`; in place of `groups`.

    Returns:
        A Move. Its errors are the larger of the clustered one and the one by information; NaN, as
        `before` is, where there is nothing to compare with.

    Source: Hampel (1974) for a group's part in an estimate; Hausman (1978) for the difference of
    two fits of which one holds all rows.
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    is_old = (~np.asarray(is_new, dtype=bool)).astype(np.float64)
    counts = None if by_kind is None else by_kind[0]
    now = cloglog.scoring(y, rows, start, counts)
    before = cloglog.scoring(y, rows, now.params, is_old if counts is None else is_old * counts)
    if by_kind is None:
        codes, found = pd.factorize(groups if isinstance(groups, pd.Series) else np.asarray(groups))
    else:
        codes, found = np.arange(len(y)), np.arange(len(y))
    whole = cloglog.parts(y, rows, now, codes, len(found))
    earlier = cloglog.parts(y, rows, before, codes, len(found), is_old)
    apart = (one - other for one, other in zip(whole, earlier, strict=True))
    if by_kind is None:
        squares, n_groups = sum((part**2).sum(axis=0) for part in apart), len(found)
    else:
        meat, n_groups = sandwich.added_by_owner(np.concatenate(list(apart)), *by_kind[1:])
        squares = np.diag(meat)
    clustered = squares * n_groups / max(n_groups - 1, 1)
    by_information = np.clip(np.diag(before.cov) - np.diag(now.cov), 0.0, None)
    gram = rows.information(is_old)
    was_there = np.diag(gram) > 0  # else least squares leaves the start as it was
    return Move(
        before=np.where(was_there, before.params, np.nan),
        now=now.params,
        std_err=np.where(was_there, np.sqrt(np.maximum(clustered, by_information)), np.nan),
        converged=before.converged and now.converged and _is_full(gram),
    )


def _is_full(gram: NDArray[np.float64]) -> bool:
    """True when no column that is there follows from the others."""
    return bool(np.linalg.matrix_rank(gram) == (np.diag(gram) > 0).sum())
