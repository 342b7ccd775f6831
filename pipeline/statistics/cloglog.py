"""How does the grouped-time hazard regression come out again and again?

The maximum-likelihood fit of `grouped_hazard` by Fisher scoring on plain arrays, several times
faster, for work that refits one model many times: rolling origins, hold-outs. Rows are read as
`design_rows` gives them, so a fit holds a few numbers per row. The subtle point: the covariance of
`scoring` is model-based; `clustered` gives the one that holds when rows of an account are not
independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from pipeline.statistics import sandwich
from pipeline.statistics.design_rows import DesignOrRows, DesignRows, in_blocks, rows_of

STEPS = 50
TOLERANCE = 1e-9
NEAR = 0.05
"""A step that moves no linear predictor further changes the information so little that of many rows
it is not summed anew."""
PILOT_ROWS = 250_000
"""Of more rows than twice as many, a fit of about so many gives the coefficients to begin from."""
FAR, PULLED = 10.0, 0.5
"""A coefficient beyond the first ran away; a score beyond the second, half an event, pulls back."""
LOWEST, HIGHEST = -30.0, 3.0
"""Of the linear predictor; beyond them the probability is 0 or 1 to machine precision."""


@dataclass(frozen=True)
class Coefficients:
    """Coefficients, their model-based covariance, and whether the iteration settled."""

    params: NDArray[np.float64]
    cov: NDArray[np.float64]
    converged: bool


def scoring(
    events: ArrayLike,
    design: DesignOrRows,
    start: NDArray[np.float64] | None = None,
    counts: NDArray[np.float64] | None = None,
    with_cov: bool = True,
) -> Coefficients:
    """Fit P(event) = 1 − exp(−exp(xβ)) by Fisher scoring.

    With h = exp(xβ) and μ = 1 − exp(−h), a step δ solves (X′WX)δ = X′((y − μ)h/μ), W = h²(1 − μ)/μ.
    It costs rows × columns² products, fewer where columns are 0 or 1, and one number per row.

    Args:
        events: 0 or 1 per row.
        design: one row per subject and interval, one column per coefficient, full rank.
        start: coefficients to begin from; None: the overall rate.
        counts: how many equal rows each stands for; None: one.
        with_cov: whether the covariance is wanted; where it is not, of many rows it may be that of
            an earlier step.

    Returns:
        The coefficients and their covariance; `converged` is false when steps did not become small.

    Source: Prentice and Gloeckler (1978); McCullagh and Nelder (1989), section 2.5.
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    params = _begun(y, rows, counts) if start is None else np.array(start, dtype=float)
    information, is_near, is_settled = np.eye(rows.shape[1]), False, False
    eta = rows.linear(params)
    for _ in range(STEPS):
        score_of_rows, weights = in_blocks(_expected, eta, y)
        if not is_near:
            information = rows.information(_times(weights, counts))
        score = rows.pull(_times(score_of_rows, counts))
        step = np.linalg.lstsq(information, score, rcond=None)[0]
        params = params + step
        size = np.clip(np.abs(params).max(), 1.0, -LOWEST)  # one that ran away loosens no other
        is_settled = bool(np.abs(step).max() < TOLERANCE * size)
        if is_settled:
            break
        before, eta = eta, rows.linear(params)
        is_near = serves_on(before, eta)
    if is_near and with_cov:
        information = rows.information(_times(weights, counts))
    return Coefficients(params, sandwich.pseudo_inverse(information), is_settled)


def serves_on(before: NDArray[np.float64], eta: NDArray[np.float64]) -> bool:
    """Whether the information at one linear predictor serves at the next one, of many rows.

    Source: definition; the error then shrinks by the share that the information changed.
    """
    return len(eta) > PILOT_ROWS and bool(np.abs(eta - before).max() < NEAR)


def unless_stray(
    part: NDArray[np.float64], score: NDArray[np.float64], plain: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where to begin from a fit of a part of the rows: there, but for what ran away in it alone.

    A level that nobody in the part left from runs away there. When somebody in the whole did, its
    information is lost at that place, and the fit would never come back.

    Args:
        part: coefficients of the part.
        score: of all rows at those coefficients.
        plain: where to begin without a part.

    Source: definition.
    """
    return np.where((np.abs(part) > FAR) & (np.abs(score) > PULLED), plain, part)


def _expected(eta: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Score and expected information of rows at a linear predictor."""
    hazard = np.exp(np.clip(eta, LOWEST, HIGHEST))
    share = -np.expm1(-hazard)
    return [(y - share) * hazard / share, hazard**2 * np.exp(-hazard) / share]


def _begun(
    y: NDArray[np.float64], rows: DesignRows, counts: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The coefficients to begin from: of very many rows those of every so-many-th."""
    every, plain = len(y) // PILOT_ROWS, _from_rate(y, rows, counts)
    if every < 2:
        return plain
    part = None if counts is None else counts[::every]
    pilot = scoring(y[::every], rows.every(every), None, part)
    if not pilot.converged:
        return plain
    score, _ = in_blocks(_expected, rows.linear(pilot.params), y)
    return unless_stray(pilot.params, rows.pull(_times(score, counts)), plain)


def _times(values: NDArray[np.float64], counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return values if counts is None else values * counts


def _hazard(rows: DesignRows, params: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.clip(rows.linear(params), LOWEST, HIGHEST))


def _score(
    y: NDArray[np.float64], hazard: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The score of each row; `share` is the probability of the event."""
    return (y - share) * hazard / share


def _curvature(
    y: NDArray[np.float64], hazard: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The observed information of each row."""
    slope = hazard * np.exp(-hazard) / share
    return np.where(y == 1, slope * (hazard + slope - 1), hazard)


def clustered(
    events: ArrayLike,
    design: DesignOrRows,
    coefficients: Coefficients,
    groups: ArrayLike,
) -> Coefficients:
    """The same coefficients with a covariance that holds when rows of a group are not independent.

    Args:
        events: 0 or 1 per row.
        design: as fitted.
        coefficients: from `scoring`.
        groups: what the rows are clustered by, such as the account.

    Source: Liang and Zeger (1986), observed information; the factor is that of `sandwich`.
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    hazard = _hazard(rows, coefficients.params)
    share = -np.expm1(-hazard)
    codes, found = pd.factorize(groups if isinstance(groups, pd.Series) else np.asarray(groups))
    meat = sandwich.meat_of(rows, _score(y, hazard, share), codes, len(found))
    cov = sandwich.covariance(rows, _curvature(y, hazard, share), meat, len(found), len(y))
    return replace(coefficients, cov=cov)


def clustered_by_kind(
    events: ArrayLike,
    design: DesignOrRows,
    coefficients: Coefficients,
    counts: NDArray[np.float64],
    owners: sparse.csr_array,
    pairs: sparse.csr_array | None = None,
) -> Coefficients:
    """The covariance of `clustered` from kinds of equal rows.

    Args:
        events: 0 or 1 per kind.
        design: one row per kind, as fitted.
        coefficients: from `scoring`.
        counts: rows of each kind.
        owners: how many rows of a kind a group has: one row per kind, one column per group.
        pairs: owners times its transpose, where that is small; Σ s s' over groups is then one over
            pairs of kinds, which costs a product per pair and column, and no pass over groups.

    Source: as of `clustered`: Liang and Zeger (1986).
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    hazard = _hazard(rows, coefficients.params)
    share = -np.expm1(-hazard)
    meat, n_groups = sandwich.meat_by_kind(rows, _score(y, hazard, share), owners, pairs)
    curvature = _curvature(y, hazard, share) * counts
    cov = sandwich.covariance(rows, curvature, meat, n_groups, counts.sum())
    return replace(coefficients, cov=cov)


def parts(
    events: ArrayLike,
    design: DesignOrRows,
    coefficients: Coefficients,
    codes: NDArray[np.int64],
    n_groups: int,
    counts: NDArray[np.float64] | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Each group's part in the coefficients: its score, times the inverse of the information.

    Args:
        events: 0 or 1 per row.
        design: as fitted.
        coefficients: from `scoring`.
        codes: group of each row, 0 to n_groups − 1.
        n_groups: how many there are; a group without a row has a part of 0.
        counts: how many equal rows each stands for, 0 for one that was not fitted; None: one.

    Returns:
        Some groups after the other, so that not all are held at once: one row per group, one column
        per coefficient; over all groups, columns add up to 0 at the fit.

    Source: Liang and Zeger (1986); the summands of their covariance.
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    hazard = _hazard(rows, coefficients.params)
    score = _times(_score(y, hazard, -np.expm1(-hazard)), counts)
    for sums in rows.group_parts(score, codes, n_groups):
        yield sums @ coefficients.cov


def log_likelihood(events: ArrayLike, design: DesignOrRows, params: NDArray[np.float64]) -> float:
    """Log-likelihood of the fit.

    Source: definition, of the binomial likelihood.
    """
    hazard = _hazard(rows_of(design), params)
    y = np.asarray(events, dtype=float)
    return float((y * np.log(-np.expm1(-hazard)) - (1 - y) * hazard).sum())


def probability(design: NDArray[np.float64], params: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of the event per row of the design; with several columns of params, per draw.

    Source: definition, of the complementary log-log link.
    """
    return probability_at(design @ params)


def probability_at(eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of the event at a linear predictor.

    Source: definition, of the complementary log-log link.
    """
    return -np.expm1(-np.exp(np.clip(eta, LOWEST, HIGHEST)))


def _from_rate(
    y: NDArray[np.float64], rows: DesignRows, counts: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The coefficients whose linear predictor is nearest to the log of the overall hazard."""
    rate = np.clip(np.average(y, weights=counts), 1e-6, 1 - 1e-6)
    ones = _times(np.ones(len(y)), counts)
    target = rows.pull(_times(np.full(len(y), np.log(-np.log1p(-rate))), counts))
    found = np.linalg.lstsq(rows.information(ones), target, rcond=None)[0]
    return np.asarray(found, dtype=np.float64)
