"""What goes with having the event in the next interval, one row per subject and interval?

A binomial regression with complementary log-log link: when time is grouped in months, its
coefficients are the log hazard ratios of the proportional hazards model underneath. The subtle
point: rows of one account are not independent, so errors are clustered by account (factor
G/(G−1)·(N−1)/(N−K)).

Fisher scoring, β ← β + (X'WX)⁻¹ X's, on rows as `design_rows` gives them: n·p² multiplications per
step and a few numbers per row, where statsmodels holds several copies of the design.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse
from scipy.special import expit
from statsmodels.genmod.families import Binomial, links
from statsmodels.genmod.generalized_linear_model import GLM, GLMResults
from statsmodels.tools.sm_exceptions import (
    ConvergenceWarning,
    DomainWarning,
    HessianInversionWarning,
    PerfectSeparationWarning,
)

from pipeline.statistics import cloglog, sandwich
from pipeline.statistics.design_rows import DesignRows, in_blocks, rows_of

ByKind: TypeAlias = tuple[NDArray[np.float64], sparse.csr_array, sparse.csr_array | None]

LINKS = {"cloglog": links.CLogLog, "logit": links.Logit}
ITERATIONS = 100
TOLERANCE = 1e-10  # on the coefficients
LARGEST_EFFECT = 30.0  # over the range of a column, on the log hazard: beyond it, it ran away


@dataclass(frozen=True)
class GroupedHazardFit:
    """A fitted model: coefficients, their (clustered) covariance, and what it was fitted on."""

    params: pd.Series
    cov: pd.DataFrame
    n: int
    n_events: int
    converged: bool
    log_likelihood: float
    n_groups: int
    link: str


def fit(
    events: ArrayLike,
    design: pd.DataFrame | DesignRows,
    groups: ArrayLike | None,
    weights: ArrayLike | None = None,
    link: str = "cloglog",
    start: ArrayLike | None = None,
    by_kind: ByKind | None = None,
) -> GroupedHazardFit:
    """Fit the grouped-time hazard regression.

    Args:
        events: 1 = the event happened in the row's interval, 0 = not.
        design: one row per subject and interval, one column per coefficient; no intercept is added.
        groups: what the errors are clustered by, such as the account; None = model-based errors.
        weights: of the rows, such as inverse sampling shares; None = 1 each.
        link: "cloglog" (log hazard ratios) or "logit" (log odds ratios).
        start: coefficients to begin from, such as those of `cloglog.scoring`; None = none known.
        by_kind: rows are kinds of equal rows: how many each stands for, and whose, as
            `sandwich.meat_by_kind` reads them; in place of `groups` and `weights`.

    Returns:
        A GroupedHazardFit. `converged` is false when the iteration did not settle or the data are
        separated: some level has no event (or nothing else), so that its coefficient is infinite.

    Raises:
        ValueError: a value is missing, or columns of the design follow from the others.

    Source: Prentice & Gloeckler (1978); Liang & Zeger (1986) for the clustered covariance.
    """
    y, rows = np.asarray(events, dtype=float), rows_of(design)
    _refuse_unusable(y, rows)
    ones = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    ones = ones if by_kind is None else by_kind[0]
    with np.errstate(all="ignore"):  # of a fit that ran away; `converged` says so
        params, is_settled = _scored(y, rows, ones, link, _start(y, rows, ones, link, start))
        at = _at(link, rows.linear(params), y)
        cov = sandwich.pseudo_inverse(rows.information(ones * at.expected))
        n_groups = len(y)
        if by_kind is not None:
            meat, n_groups = sandwich.meat_by_kind(rows, at.score, *by_kind[1:])
            cov = sandwich.covariance(rows, ones * at.observed, meat, n_groups, int(ones.sum()))
        elif groups is not None:
            codes, found = pd.factorize(
                groups if isinstance(groups, pd.Series) else np.asarray(groups)
            )
            n_groups = len(found)
            meat = sandwich.meat_of(rows, ones * at.score, codes, n_groups)
            cov = sandwich.covariance(rows, ones * at.observed, meat, n_groups, len(y))
        is_known = np.isfinite(params).all() and np.isfinite(cov).all()
        return GroupedHazardFit(
            params=pd.Series(params, rows.columns),
            cov=pd.DataFrame(cov, rows.columns, rows.columns),
            n=len(y) if by_kind is None else int(ones.sum()),
            n_events=int(y.sum() if by_kind is None else y @ ones),
            converged=bool(is_settled and is_known) and not _is_separated(params, rows, y),
            log_likelihood=float(ones @ at.log_likelihood),
            n_groups=n_groups,
            link=link,
        )


def library_fit(
    events: ArrayLike,
    design: pd.DataFrame,
    groups: ArrayLike | None,
    weights: ArrayLike | None = None,
    link: str = "cloglog",
    start: ArrayLike | None = None,
) -> GLMResults:
    """The fit as statsmodels gives it, which holds all rows; arguments and errors as of `fit`.

    Source: as of `fit`: Prentice & Gloeckler (1978).
    """
    y, X = np.asarray(events, dtype=float), design.to_numpy(dtype=float)
    _refuse_unusable(y, rows_of(design))
    model = GLM(y, X, family=Binomial(link=LINKS[link]()), var_weights=weights)
    clusters = None if groups is None else pd.factorize(np.asarray(groups))[0]
    errors = {} if clusters is None else {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for problem in (ConvergenceWarning, DomainWarning, HessianInversionWarning):
            warnings.simplefilter("ignore", problem)  # what they say is returned as `converged`
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        return model.fit(start, maxiter=ITERATIONS, tol=TOLERANCE, tol_criterion="params", **errors)


@dataclass(frozen=True)
class _At:
    """What scoring needs at some coefficients, one number per row."""

    score: NDArray[np.float64]
    expected: NDArray[np.float64]  # information
    observed: NDArray[np.float64]
    log_likelihood: NDArray[np.float64]


def _at_cloglog(eta: NDArray, y: NDArray) -> list[NDArray[np.float64]]:
    hazard = np.exp(np.clip(eta, cloglog.LOWEST, cloglog.HIGHEST))
    share, staying = -np.expm1(-hazard), np.exp(-hazard)
    slope = hazard * staying / share
    observed = np.where(y == 1, slope * (hazard + slope - 1), hazard)
    likelihood = np.where(y == 1, np.log(share), -hazard)
    return [(y - share) * hazard / share, hazard * slope, observed, likelihood]


def _at_logit(eta: NDArray, y: NDArray) -> list[NDArray[np.float64]]:
    share = expit(eta)
    spread = share * (1 - share)
    return [y - share, spread, spread, y * eta - np.logaddexp(0, eta)]


_OF_LINK: dict[str, Callable[[NDArray, NDArray], list[NDArray[np.float64]]]] = {
    "cloglog": _at_cloglog,
    "logit": _at_logit,
}


def _at(link: str, eta: NDArray, y: NDArray) -> _At:
    return _At(*in_blocks(_OF_LINK[link], eta, y))


def _scored(
    y: NDArray, rows: DesignRows, weights: NDArray, link: str, params: NDArray
) -> tuple[NDArray[np.float64], bool]:
    """Fisher scoring: β + (X'WX)⁻¹ X's until no coefficient moves; whether it settled."""
    information, is_near, eta = np.eye(rows.shape[1]), False, rows.linear(params)
    for _ in range(ITERATIONS):
        at = _at(link, eta, y)
        if not is_near:
            information = rows.information(weights * at.expected)
        score = rows.pull(weights * at.score)
        if not (np.isfinite(information).all() and np.isfinite(score).all()):
            return params, False
        step = np.linalg.lstsq(information, score, rcond=None)[0]
        params = params + step
        if np.abs(step).max(initial=0.0) < TOLERANCE:
            return params, True
        before, eta = eta, rows.linear(params)
        is_near = cloglog.serves_on(before, eta)
    return params, False


def _start(
    y: NDArray, rows: DesignRows, weights: NDArray, link: str, start: ArrayLike | None
) -> NDArray[np.float64]:
    """The coefficients to begin from: those given, else of every so-many-th row, else the rate."""
    if start is not None:
        return np.array(start, dtype=float)
    every, plain = len(y) // cloglog.PILOT_ROWS, _from_rate(y, rows, weights, link)
    if every < 2:
        return plain
    part, own = y[::every], rows.every(every)
    first = _start(part, own, weights[::every], link, None)
    found, is_settled = _scored(part, own, weights[::every], link, first)
    if not is_settled:
        return plain
    score = rows.pull(weights * _at(link, rows.linear(found), y).score)
    return cloglog.unless_stray(found, score, plain)


def _from_rate(y: NDArray, rows: DesignRows, weights: NDArray, link: str) -> NDArray[np.float64]:
    """The coefficients whose linear predictor is nearest to that of the overall rate."""
    rate = np.clip(np.average(y, weights=weights), 1e-6, 1 - 1e-6)
    level = np.log(-np.log1p(-rate)) if link == "cloglog" else np.log(rate / (1 - rate))
    target = rows.pull(np.full(len(y), level))
    nearest = np.linalg.lstsq(rows.information(np.ones(len(y))), target, rcond=None)[0]
    return np.asarray(nearest, dtype=np.float64)


def _refuse_unusable(y: NDArray, rows: DesignRows) -> None:
    with np.errstate(invalid="ignore"):
        missing = ~np.isfinite(rows.linear(np.zeros(rows.shape[1])))  # 0 × infinity is missing
    if missing.any() or not ((y == 0) | (y == 1)).all():
        raise ValueError(
            f"{missing.sum()} rows have a missing or infinite covariate and "
            f"{(~np.isin(y, (0, 1))).sum()} an event that is neither 0 nor 1. Rows are never "
            "dropped here: give missing values a level of their own first."
        )
    gram = rows.information(np.ones(len(y)))
    size = np.sqrt(np.diag(gram))
    scale = np.where(size > 0, size, 1)
    _, triangle, order = linalg.qr(gram / np.outer(scale, scale), pivoting=True, mode="economic")
    follows = np.abs(np.diag(triangle)) < 1e-10
    if follows.any():
        found = ", ".join(str(rows.columns[column]) for column in order[follows][:5])
        raise ValueError(
            f"{follows.sum()} columns of the design are 0 or follow from the others ({found}). "
            "Their coefficients do not exist; leave them out, or merge sparse levels."
        )


def _is_separated(params: NDArray, rows: DesignRows, y: NDArray) -> bool:
    """Whether a level has no event, or nothing else, or a coefficient ran away."""
    came, there = rows.pull(y), rows.pull(np.ones(len(y)))
    for place, coefficient in enumerate(params):
        values = rows.values(place)
        if abs(coefficient) * np.ptp(values) > LARGEST_EFFECT:
            return True
        if ((values == 0) | (values == 1)).all() and came[place] in (0, there[place]):
            return True
    return False
