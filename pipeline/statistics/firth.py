"""What goes with an outcome, when a group has no case at all and the usual estimate is infinite?

Logistic regression with Firth's penalty: finite coefficients, limits from the profile of the
penalised likelihood. The subtle point: while one coefficient is held fixed the penalty keeps the
full information matrix, as the R package logistf does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from scipy.special import expit

from pipeline.statistics import cloglog
from pipeline.statistics.design_rows import DesignRows, in_blocks, rows_of

LARGEST_STEP = 5.0  # of a coefficient in one iteration
SMALLEST_STEP = 1e-10
ITERATIONS = 200
RANK_TOLERANCE = 1e-10  # of a column that follows from others, as a share of its square
ROUNDING = 1e-12  # of a likelihood, as a share of it
STEPS_OUT = 60  # how many standard errors out a limit is looked for


def firth_logistic(
    outcomes: ArrayLike,
    design: pd.DataFrame | DesignRows,
    confidence: float = 0.95,
    offset: ArrayLike | None = None,
    profiled: Collection[str] | None = None,
    precision: float = SMALLEST_STEP,
    counts: ArrayLike | None = None,
) -> pd.DataFrame:
    """Fit a Firth-penalised logistic regression with profile limits.

    Args:
        outcomes: 0 or 1 per row.
        design: one column per coefficient; an intercept is a column of ones.
        confidence: level of the two-sided interval.
        offset: added to the linear predictor of each row; None = nothing.
        profiled: columns whose limits and p-values are wanted; None = all. Profiles cost one fit
            each step, the coefficients one fit together.
        precision: largest last step of a coefficient, and of a limit.
        counts: how many equal rows each stands for; None = one.

    Returns:
        One row per column of the design, in its index: coef, se (Wald), ci_low, ci_high, p_value
        (penalised likelihood ratio). A limit that lies beyond 60 standard errors is missing, and
        so are those of columns that are not profiled.

    Raises:
        ValueError: outcomes are not 0 or 1, or the columns of the design are not independent.

    Source: Firth (1993); Heinze & Schemper (2002).
    """
    model = _model(outcomes, design, offset, precision, counts)
    names = model.rows.columns
    top = _maximise(model, _begun(model))
    std_err = np.sqrt(np.diag(np.linalg.inv(top.information)))
    wanted = set(names if profiled is None else profiled)
    rows = [
        (top.coef[j], std_err[j], *_profile(model, top, j, std_err[j], confidence))
        if column in wanted
        else (top.coef[j], std_err[j], np.nan, np.nan, np.nan)
        for j, column in enumerate(names)
    ]
    columns = ["coef", "se", "ci_low", "ci_high", "p_value"]
    return pd.DataFrame(rows, columns=columns, index=names)


@dataclass(frozen=True)
class _Model:
    y: NDArray[np.float64]
    rows: DesignRows
    offset: NDArray[np.float64]
    counts: NDArray[np.float64]
    precision: float


@dataclass(frozen=True)
class _At:
    """The penalised likelihood at some coefficients, and what the next step needs."""

    coef: NDArray[np.float64]
    height: float
    share: NDArray[np.float64]  # one per row
    information: NDArray[np.float64]


def _model(
    outcomes: ArrayLike,
    design: pd.DataFrame | DesignRows,
    offset: ArrayLike | None,
    precision: float,
    counts: ArrayLike | None,
) -> _Model:
    y, rows = np.asarray(outcomes, dtype=float), rows_of(design)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"{(~np.isin(y, (0, 1))).sum()} outcomes are neither 0 nor 1")
    rank = _rank(rows)
    if rank < rows.shape[1]:
        raise ValueError(
            f"the {rows.shape[1]} columns of the design have rank {rank}: "
            "leave out columns that follow from the others"
        )
    added = np.zeros(len(y)) if offset is None else np.asarray(offset, dtype=float)
    n = np.ones(len(y)) if counts is None else np.asarray(counts, dtype=float)
    return _Model(y, rows, added, n, precision)


def _begun(model: _Model) -> NDArray[np.float64]:
    """The coefficients to begin from: of very many rows those of every so-many-th."""
    every = len(model.y) // cloglog.PILOT_ROWS
    if every < 2:
        return np.zeros(model.rows.shape[1])
    own = (model.y, model.offset, model.counts)
    y, offset, counts = (part[::every] for part in own)
    part = replace(model, y=y, rows=model.rows.every(every), offset=offset, counts=counts)
    if _rank(part.rows) < model.rows.shape[1]:
        return np.zeros(model.rows.shape[1])
    return _maximise(part, np.zeros(model.rows.shape[1])).coef


def _rank(rows: DesignRows) -> int:
    """How many columns do not follow from the others."""
    gram = rows.information(np.ones(rows.shape[0]))
    size = np.sqrt(np.diag(gram))
    scale = np.where(size > 0, size, 1)
    scaled = gram / np.outer(scale, scale)
    return int(np.linalg.matrix_rank(scaled, tol=RANK_TOLERANCE, hermitian=True))


def _at(model: _Model, coef: NDArray) -> _At:
    eta = model.rows.linear(coef) + model.offset
    share, weights, likelihoods = in_blocks(_of_rows, eta, model.y, model.counts)
    information = model.rows.information(weights)
    sign, log_det = np.linalg.slogdet(information)
    likelihood = float(likelihoods.sum())
    height = likelihood + 0.5 * log_det if sign > 0 else -np.inf
    return _At(coef, height, share, information)


def _of_rows(eta: NDArray, y: NDArray, n: NDArray) -> list[NDArray[np.float64]]:
    """Chance, information and log-likelihood of rows at a linear predictor."""
    share = expit(eta)
    return [share, n * share * (1 - share), n * (y * eta - np.logaddexp(0, eta))]


def _maximise(model: _Model, start: NDArray, held: int | None = None) -> _At:
    """Climb the penalised likelihood by Newton steps, halved until they climb."""
    free = np.array([j for j in range(len(start)) if j != held], dtype=int)
    here = _at(model, start.copy())
    for _ in range(ITERATIONS if len(free) else 0):
        step, score = np.zeros(len(start)), _score(model, here)
        step[free] = np.linalg.solve(here.information[np.ix_(free, free)], score[free])
        if held is not None and np.abs(step).max() <= model.precision:
            return replace(here, coef=here.coef + step, height=here.height + step @ score / 2)
        step *= min(1.0, LARGEST_STEP / max(np.abs(step).max(), SMALLEST_STEP))
        climbed = _at(model, here.coef + step)
        least = here.height - ROUNDING * max(1.0, abs(here.height))
        while climbed.height < least and np.abs(step).max() > SMALLEST_STEP:
            step = step / 2
            climbed = _at(model, here.coef + step)
        here = climbed
        if np.abs(step).max() <= model.precision:
            return here
    return here


def _score(model: _Model, here: _At) -> NDArray:
    share = here.share
    inverse = np.asarray(np.linalg.inv(here.information), dtype=np.float64)
    leverage = share * (1 - share) * model.rows.quadratic(inverse)
    return model.rows.pull(model.counts * (model.y - share + leverage * (0.5 - share)))


def _profile(
    model: _Model, top: _At, j: int, std_err: float, confidence: float
) -> tuple[float, float, float]:
    """Return both limits of coefficient j and the p-value of its being 0."""
    cov = np.linalg.inv(top.information)
    known = [top.coef]

    @cache
    def ratio(value: float) -> float:
        near = min(known, key=lambda coef: abs(coef[j] - value))
        found = _maximise(model, near + (value - near[j]) * cov[j] / cov[j, j], held=j)
        known.append(found.coef)
        return 2 * (top.height - found.height)

    critical = stats.chi2.ppf(confidence, 1)
    low, high = (
        _crossing(
            lambda value: ratio(value) - critical,
            top.coef[j], direction * std_err, model.precision,
        )
        for direction in (-1, 1)
    )  # fmt: skip
    return low, high, float(stats.chi2.sf(max(ratio(0.0), 0.0), 1))


def _crossing(
    excess: Callable[[float], float], inside: float, step: float, precision: float
) -> float:
    """Return where a function that is negative inside crosses 0 in the direction of the step."""
    for steps in range(1, STEPS_OUT + 1):
        outside = inside + steps * step
        if excess(outside) >= 0:
            return float(optimize.brentq(excess, outside - step, outside, xtol=precision))
    return np.nan
