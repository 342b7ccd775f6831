"""What does a Cox model say of a million subjects who differ in a few ways and are seen by the day?

Efron's partial likelihood with delayed entry, and the score test of proportional hazards, from
counts: n(t, k) at risk and d(t, k) events per event time t and pattern k of the covariates. Both
are exact: subjects of one pattern who leave on one day are alike to the likelihood. The subtle
point: that holds for whole days and covariates of few levels alone; `countable` says whether they
are so, and a library's fit is as good where they are not.

With r = exp(xβ), of d tied events the l-th (from 0) sees the denominator S0 − (l/d)·D0, where
S0, S1, S2 are the sums of n·r times 1, x, xx' over the patterns and D0, D1, D2 those of d·r. With
A, B, C, E, F the sums over l of 1, f, 1, f, f² (f = l/d) over the denominator (A, B) or its square
(C, E, F), a time's part of the gradient is Σ d·x − A·S1 + B·D1, and of the information
A·S2 − B·D2 − C·S1S1' + E·(S1D1' + D1S1') − F·D1D1'. Cost: counting once, then per step
times × patterns × p plus events; lifelines goes through all subjects in each step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MOST_CELLS = 4_000_000
"""Event times × patterns up to which counts are kept."""
STEPS, TOLERANCE = 50, 1e-10
HALVINGS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CoxCounts:
    """Subjects at risk and events: one row per event time, one column per pattern."""

    times: Floats
    at_risk: Floats
    events: Floats
    patterns: Floats  # one row per pattern, one column per covariate
    surviving: Floats  # share left just before each time, all patterns together


@dataclass(frozen=True)
class CoxOnCounts:
    """Log hazard ratios, their model-based covariance, and whether the iteration settled."""

    params: Floats
    cov: Floats
    converged: bool


def countable(
    stop: ArrayLike, events: ArrayLike, design: pd.DataFrame, entry: ArrayLike | None = None
) -> CoxCounts | None:
    """Count subjects by event time and pattern; none where there are too many of either.

    Args:
        stop: time at which each row was last seen, at risk up to and with it.
        events: 1 = had the event then.
        design: one row per subject and time span, one column per covariate.
        entry: time after which each row is at risk; None = from the origin.

    Source: definition.
    """
    end, is_event = np.asarray(stop, dtype=float), np.asarray(events, dtype=bool)
    begin = np.full(len(end), -np.inf) if entry is None else np.asarray(entry, dtype=float)
    pattern, patterns = _patterns(design)
    times = np.unique(end[is_event])
    if not len(times) or len(times) * len(patterns) > MOST_CELLS:
        return None
    shape = len(times), len(patterns)
    events_by = _by(np.searchsorted(times, end[is_event]), pattern[is_event], shape)
    came = _by(np.searchsorted(times, begin, side="right"), pattern, shape)
    gone = _by(np.searchsorted(times, end, side="right"), pattern, shape)
    at_risk = np.cumsum(came - gone, axis=0)
    dying = events_by.sum(axis=1) / at_risk.sum(axis=1)
    surviving = np.concatenate([[1.0], np.cumprod(1 - dying)[:-1]])
    return CoxCounts(times, at_risk, events_by, patterns, surviving)


def fit(counts: CoxCounts) -> CoxOnCounts:
    """Newton's steps on Efron's partial likelihood, halved while it falls.

    Args:
        counts: from `countable`; the columns of its patterns are of full rank.

    Source: Cox (1972); Efron (1977), JASA 72: 557, for ties.
    """
    p = counts.patterns.shape[1]
    params, at = np.zeros(p), _Efron(counts, np.zeros(p))
    for _ in range(STEPS):
        information = at.information(np.ones(len(counts.times)))
        if not np.isfinite(information).all() or np.linalg.matrix_rank(information) < p:
            return CoxOnCounts(params, np.full((p, p), np.nan), False)
        step = np.linalg.solve(information, at.residuals.sum(axis=0))
        further = _Efron(counts, params + step)
        for _ in range(HALVINGS):
            if further.log_likelihood >= at.log_likelihood - 1e-9 * abs(at.log_likelihood):
                break
            step = step / 2
            further = _Efron(counts, params + step)
        params, at = params + step, further
        if np.abs(step).max(initial=0.0) < TOLERANCE:
            cov = np.linalg.inv(at.information(np.ones(len(counts.times))))
            return CoxOnCounts(params, np.asarray(cov, dtype=np.float64), True)
    return CoxOnCounts(params, np.full((p, p), np.nan), False)


def proportional_hazards(counts: CoxCounts, params: Floats, columns: ArrayLike) -> float:
    """p-value of the score test that the columns' ratios drift with 1 − S(t−).

    Args:
        counts: from `countable`.
        params: from `fit`.
        columns: numbers of the columns tested together, the others held.

    Returns:
        Missing where it cannot be tested.

    Source: Grambsch & Therneau (1994), as the score test of Therneau, R package survival, cox.zph.
    """
    at, own = _Efron(counts, params), np.asarray(columns, dtype=np.int64)
    drift = 1 - counts.surviving
    drift = drift - np.average(drift, weights=counts.events.sum(axis=1))
    plain, crossed, squared = (at.information(drift**power) for power in (0, 1, 2))
    solved = crossed @ np.linalg.pinv(plain, hermitian=True)
    score = drift @ at.residuals - solved @ at.residuals.sum(axis=0)
    block = (squared - solved @ crossed)[np.ix_(own, own)]
    if not (np.diag(block) > 0).all() or np.linalg.matrix_rank(block) < len(own):
        return np.nan
    return float(stats.chi2.sf(score[own] @ np.linalg.solve(block, score[own]), len(own)))


class _Efron:
    """The sums of the likelihood at some coefficients, one row per event time."""

    def __init__(self, counts: CoxCounts, params: Floats) -> None:
        X, self.counts = counts.patterns - counts.patterns.mean(axis=0), counts
        self.X, self.risk = X, np.exp(X @ params)
        self.n_risk, self.d_risk = counts.at_risk * self.risk, counts.events * self.risk
        self.S0, self.D0 = self.n_risk.sum(axis=1), self.d_risk.sum(axis=1)
        self.S1, self.D1 = self.n_risk @ X, self.d_risk @ X
        tied = counts.events.sum(axis=1).astype(np.int64)
        first = np.concatenate([[0], np.cumsum(tied)[:-1]])
        time_of = np.repeat(np.arange(len(tied)), tied)
        gone = (np.arange(tied.sum()) - first[time_of]) / tied[time_of]
        left = self.S0[time_of] - gone * self.D0[time_of]

        def per_time(values: Floats) -> Floats:
            return np.add.reduceat(values, first)

        self.A, self.B = per_time(1 / left), per_time(gone / left)
        self.C, self.E = per_time(1 / left**2), per_time(gone / left**2)
        self.F = per_time(gone**2 / left**2)
        self.residuals = counts.events @ X - self.A[:, None] * self.S1 + self.B[:, None] * self.D1
        taken = float((counts.events @ (X @ params)).sum())
        self.log_likelihood = taken - float(np.log(left).sum())

    def information(self, weights: Floats) -> Floats:
        """The information, each time taken with its weight."""
        w = weights
        held = (w * self.A) @ self.n_risk - (w * self.B) @ self.d_risk
        crossed = (self.S1 * (w * self.E)[:, None]).T @ self.D1
        own = (self.S1 * (w * self.C)[:, None]).T @ self.S1
        lost = (self.D1 * (w * self.F)[:, None]).T @ self.D1
        whole = (self.X * held[:, None]).T @ self.X - own + crossed + crossed.T - lost
        return np.asarray(whole, dtype=np.float64)


def _patterns(design: pd.DataFrame) -> tuple[NDArray[np.int64], Floats]:
    """The pattern of each row and what it stands for; columns are joined one after another."""
    key = np.zeros(len(design), dtype=np.int64)
    for name in design:
        codes, found = pd.factorize(design[name].to_numpy())
        key = pd.factorize(key * max(len(found), 1) + codes)[0]
    first = np.unique(key, return_index=True)[1]
    return key, design.iloc[first].to_numpy(dtype=float)


def _by(row: NDArray[np.int64], column: NDArray[np.int64], shape: tuple[int, int]) -> Floats:
    """Counts per event time and pattern; those beyond the last time fall away."""
    kept = row < shape[0]
    place = row[kept] * shape[1] + column[kept]
    return np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
