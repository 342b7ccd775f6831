"""What goes with an outcome, when a group has no case at all and the usual estimate is infinite?

Logistic regression with Firth's penalty: finite coefficients, limits from the profile of the
penalised likelihood. The subtle point: while one coefficient is held fixed the penalty keeps the
full information matrix, as the R package logistf does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from scipy.special import expit

LARGEST_STEP = 5.0  # of a coefficient in one iteration
SMALLEST_STEP = 1e-10
ITERATIONS = 200
STEPS_OUT = 60  # how many standard errors out a limit is looked for


def firth_logistic(
    outcomes: ArrayLike,
    design: pd.DataFrame,
    confidence: float = 0.95,
    offset: ArrayLike | None = None,
    profiled: Collection[str] | None = None,
    precision: float = SMALLEST_STEP,
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

    Returns:
        One row per column of the design, in its index: coef, se (Wald), ci_low, ci_high, p_value
        (penalised likelihood ratio). A limit that lies beyond 60 standard errors is missing, and
        so are those of columns that are not profiled.

    Raises:
        ValueError: outcomes are not 0 or 1, or the columns of the design are not independent.

    Source: Firth (1993); Heinze & Schemper (2002).
    """
    model = _model(outcomes, design, offset, precision)
    best = _maximise(model, np.zeros(design.shape[1]))
    std_err = np.sqrt(np.diag(np.linalg.inv(_information(model, best))))
    wanted = set(design.columns if profiled is None else profiled)
    rows = [
        (best[j], std_err[j], *_profile(model, best, j, std_err[j], confidence))
        if column in wanted
        else (best[j], std_err[j], np.nan, np.nan, np.nan)
        for j, column in enumerate(design.columns)
    ]
    columns = ["coef", "se", "ci_low", "ci_high", "p_value"]
    return pd.DataFrame(rows, columns=columns, index=design.columns)


@dataclass(frozen=True)
class _Model:
    y: NDArray[np.float64]
    X: NDArray[np.float64]
    offset: NDArray[np.float64]
    precision: float


def _model(
    outcomes: ArrayLike, design: pd.DataFrame, offset: ArrayLike | None, precision: float
) -> _Model:
    y, X = np.asarray(outcomes, dtype=float), design.to_numpy(dtype=float)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"{(~np.isin(y, (0, 1))).sum()} outcomes are neither 0 nor 1")
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise ValueError(
            f"the {X.shape[1]} columns of the design have rank {np.linalg.matrix_rank(X)}: "
            "leave out columns that follow from the others"
        )
    added = np.zeros(len(y)) if offset is None else np.asarray(offset, dtype=float)
    return _Model(y, X, added, precision)


def _linear(model: _Model, coef: NDArray) -> NDArray:
    return model.X @ coef + model.offset


def _information(model: _Model, coef: NDArray) -> NDArray:
    p = expit(_linear(model, coef))
    return (model.X * (p * (1 - p))[:, None]).T @ model.X


def _penalised_likelihood(model: _Model, coef: NDArray) -> float:
    eta = _linear(model, coef)
    sign, log_det = np.linalg.slogdet(_information(model, coef))
    likelihood = float(model.y @ eta - np.logaddexp(0, eta).sum())
    return likelihood + 0.5 * log_det if sign > 0 else -np.inf


def _maximise(model: _Model, start: NDArray, held: int | None = None) -> NDArray:
    """Climb the penalised likelihood by Newton steps, halved until they climb."""
    coef = start.copy()
    free = np.array([j for j in range(len(coef)) if j != held], dtype=int)
    height = _penalised_likelihood(model, coef)
    for _ in range(ITERATIONS if len(free) else 0):
        step = np.zeros(len(coef))
        step[free] = _newton(model, coef, free)
        step *= min(1.0, LARGEST_STEP / max(np.abs(step).max(), SMALLEST_STEP))
        climbed = _penalised_likelihood(model, coef + step)
        while climbed < height - 1e-12 and np.abs(step).max() > SMALLEST_STEP:
            step = step / 2
            climbed = _penalised_likelihood(model, coef + step)
        coef, height = coef + step, climbed
        if np.abs(step).max() <= model.precision:
            return coef
    return coef


def _newton(model: _Model, coef: NDArray, free: NDArray) -> NDArray:
    p = expit(_linear(model, coef))
    weight = p * (1 - p)
    information = (model.X * weight[:, None]).T @ model.X
    leverage = weight * (model.X * np.linalg.solve(information, model.X.T).T).sum(axis=1)
    score = model.X.T @ (model.y - p + leverage * (0.5 - p))
    return np.linalg.solve(information[np.ix_(free, free)], score[free])


def _profile(
    model: _Model, best: NDArray, j: int, std_err: float, confidence: float
) -> tuple[float, float, float]:
    """Return both limits of coefficient j and the p-value of its being 0."""
    top = _penalised_likelihood(model, best)

    def ratio(value: float) -> float:
        start = best.copy()
        start[j] = value
        return 2 * (top - _penalised_likelihood(model, _maximise(model, start, held=j)))

    critical = stats.chi2.ppf(confidence, 1)
    low, high = (
        _crossing(
            lambda value: ratio(value) - critical, best[j], direction * std_err, model.precision
        )
        for direction in (-1, 1)
    )
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
