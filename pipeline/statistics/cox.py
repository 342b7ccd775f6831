"""Whose hazard is higher, and by which ratio? Cox regression on whole samples of any size.

Newton's method on the partial likelihood, Efron ties, delayed entry and strata together. lifelines
fits the same model and is what a notebook holds of it; with entry times it walks the event times
one by one, which takes minutes for a million rows. The subtle point: the likelihood may rise for
ever (a level of which nobody left within its stratum). Steps then never become small, and the fit
says that it did not converge instead of giving the coefficient at which it stopped.

For coefficients b the log-likelihood is Σ x b - Σ log D over the events, D as in `risk_sets`; its
score and information are sums over subjects and times. Cost O(n p²) per step, about six steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics import risk_sets
from pipeline.statistics.risk_intervals import risk_intervals
from pipeline.statistics.risk_sets import RiskSets

STEPS = 40
SETTLED = 1e-20
"""Squared length of a step in standard errors; the step after it is below the last digit."""
STEADY = 1e-6
"""Largest last step of a coefficient: where the likelihood is flat a step in errors is small."""
RANK = 1e-10
"""Smallest eigenvalue of the scaled information at 0: below it a column follows from the others."""


@dataclass(frozen=True)
class CoxFit:
    """Coefficients, their model-based covariance, the log partial likelihood at 0 and there.

    Missing coefficients: no such model, because a column follows from the others.
    """

    coefficients: NDArray[np.float64]
    cov: NDArray[np.float64]
    log_likelihood: float
    log_likelihood_null: float
    converged: bool


@dataclass(frozen=True)
class _Layer:
    """The rows of one stratum."""

    sets: RiskSets
    X: NDArray[np.float64]


def fit(
    durations: ArrayLike,
    events: ArrayLike,
    covariates: NDArray[np.float64],
    entry: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> CoxFit:
    """Fit log hazard ratios by maximum partial likelihood.

    Args:
        durations: time at which each subject was last seen.
        events: 1 = had the event then, 0 = censored then.
        covariates: one row per subject, one column per coefficient.
        entry: time from which each was under observation; None = from the origin.
        strata: label of the stratum of each subject, with a baseline of its own; None = one.

    Returns:
        A CoxFit; `converged` is false when the steps did not become small.

    Raises:
        ValueError: see `risk_intervals`; or a covariate is missing or infinite.

    Source: Cox (1972), JRSS B 34: 187; Efron (1977), JASA 72: 557.
    """
    intervals = risk_intervals(durations, events, entry)
    X = np.asarray(covariates, dtype=float).reshape(len(intervals), -1)
    if not np.isfinite(X).all():
        raise ValueError(
            f"{(~np.isfinite(X)).any(axis=1).sum()} rows have a missing or infinite covariate. "
            "Rows are never dropped here: give missing values a level of their own first."
        )
    X = np.asfortranarray(X - X.mean(axis=0))
    found = []
    for rows in risk_sets.layers(strata, len(X)):
        sets = risk_sets.risk_sets(intervals.subset(rows))
        if len(sets.times):
            found.append(_Layer(sets, np.asfortranarray(X[rows])))
    return _newton(found, X.shape[1])


def _newton(found: list[_Layer], p: int) -> CoxFit:
    """Climb from 0; a step that falls is halved."""
    b = np.zeros(p)
    null, score, information = _likelihood(found, b)
    if not _has_full_rank(information):
        return CoxFit(np.full(p, np.nan), np.full((p, p), np.nan), null, null, False)
    value = null
    for _ in range(STEPS):
        step = _step(information, score)
        is_settled = float(score @ step) < SETTLED
        if is_settled:
            break
        value, score, information, step = _climbed(found, b, step, value)
        b = b + step
    is_steady = bool(np.abs(step).max(initial=0.0) < STEADY)
    return CoxFit(b, _inverse(information), value, null, is_steady)


def _step(information: NDArray, score: NDArray) -> NDArray[np.float64]:
    """Newton's step, solved on one scale: a flat direction is one to go far in, not one to skip."""
    size = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    scaled = information / np.outer(size, size)
    found = np.linalg.lstsq(scaled, score / size, rcond=None)[0]
    return np.asarray(found / size, dtype=np.float64)


def _climbed(
    found: list[_Layer], b: NDArray, step: NDArray, value: float
) -> tuple[float, NDArray, NDArray, NDArray]:
    """The likelihood one step on, and the step: halved while the likelihood falls."""
    slack = 1e-12 * abs(value)
    for _ in range(STEPS):
        reached, score, information = _likelihood(found, b + step)
        if np.isfinite(reached) and reached >= value - slack:
            break
        step = step / 2
    return reached, score, information, step


def _likelihood(found: list[_Layer], b: NDArray) -> tuple[float, NDArray, NDArray]:
    """Log partial likelihood, score and information at coefficients."""
    value, score, information = 0.0, np.zeros(len(b)), np.zeros((len(b), len(b)))
    for layer in found:
        sets, X = layer.sets, layer.X
        linear = X @ b
        linear = linear - linear.mean()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            risk = np.exp(linear)
            sums = risk_sets.risk_sums(sets, X, risk)
            ones = np.ones(len(sets.times))
            value += float(linear[sets.happened].sum() - sums.log_size.sum())
            score = score + risk_sets.score(sets, X, sums, ones)
            information = information + risk_sets.information(sets, X, risk, sums, ones)
    return value, score, information


def _inverse(information: NDArray) -> NDArray[np.float64]:
    """The covariance; where the likelihood is flat in a direction, its errors are without end."""
    try:
        return np.asarray(np.linalg.inv(information), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.full(information.shape, np.inf)


def _has_full_rank(information: NDArray) -> bool:
    """Does every column tell something of its own?"""
    size = np.sqrt(np.diag(information))
    if not (size > 0).all():
        return False
    scaled = information / np.outer(size, size)
    return bool(np.linalg.eigvalsh(scaled).min(initial=1.0) > RANK)
