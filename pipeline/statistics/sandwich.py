"""Which covariance of coefficients holds when rows of one account are not independent?

Liang and Zeger's: the inverse of the information on both sides of Σ s s', s the score of a group.
Scores come row by row, or by kinds of equal rows of which each group has some. The subtle point:
groups of crossed rows are summed some at a time: no table of all groups and columns is held.

Cost of n rows, p columns and g groups: one X'WX, n·p additions and g·p² products; by pairs of kinds
a product per pair and column in place of those of groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.statistics.design_rows import GROUPS_AT_ONCE, DesignRows


def covariance(
    rows: DesignRows,
    curvature: NDArray[np.float64],
    meat: NDArray[np.float64],
    n_groups: int,
    n_rows: float,
) -> NDArray[np.float64]:
    """The covariance from the observed information of each row and Σ s s' over groups.

    Source: Liang and Zeger (1986), with the factor G/(G−1)·(N−1)/(N−K) that Stata calls CR1.
    """
    bread, k = pseudo_inverse(rows.information(curvature)), rows.shape[1]
    factor = n_groups / max(n_groups - 1, 1) * (n_rows - 1) / max(n_rows - k, 1)
    return factor * bread @ meat @ bread


def pseudo_inverse(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of an information, of full rank or not; missing where it is not finite.

    Source: definition, Moore and Penrose's.
    """
    if not np.isfinite(information).all():
        return np.full_like(information, np.nan)
    return np.linalg.pinv(information, hermitian=True).astype(np.float64, copy=False)


def meat_of(
    rows: DesignRows, score: NDArray[np.float64], codes: NDArray[np.int64], n_groups: int
) -> NDArray[np.float64]:
    """Σ s s' over groups, from the score of each row.

    Source: definition.
    """
    parts = rows.group_parts(score, codes, n_groups)
    meat = np.zeros((rows.shape[1], rows.shape[1]))
    for sums in parts:
        meat = meat + sums.T @ sums
    return meat


def meat_by_kind(
    rows: DesignRows,
    score: NDArray[np.float64],
    owners: sparse.csr_array,
    pairs: sparse.csr_array | None,
) -> tuple[NDArray[np.float64], int]:
    """Σ s s' over groups from the score of a row of each kind, and how many groups there are.

    Source: definition.
    """
    kinds = np.arange(len(score), dtype=np.int64)
    return added_by_owner(rows.group_sums(score, kinds, len(score)), owners, pairs)


def added_by_owner(
    scores: NDArray[np.float64], owners: sparse.csr_array, pairs: sparse.csr_array | None
) -> tuple[NDArray[np.float64], int]:
    """Σ s s' over groups from the scores of a row of each kind, and how many groups there are.

    Source: definition.
    """
    meat = _by_owner(owners, scores) if pairs is None else scores.T @ (pairs @ scores)
    return meat, int(np.count_nonzero(np.bincount(owners.indices)))


def _by_owner(owners: sparse.csr_array, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ s s' over groups, of which some are held at once."""
    meat, owned = np.zeros((scores.shape[1], scores.shape[1])), owners.T.tocsr()
    for first in range(0, owned.shape[0], GROUPS_AT_ONCE):
        sums = owned[first : first + GROUPS_AT_ONCE] @ scores
        meat += sums.T @ sums
    return meat
