"""What goes with having the event in the next interval, one row per subject and interval?

A binomial regression with complementary log-log link: when time is grouped in months, its
coefficients are the log hazard ratios of the proportional hazards model underneath. The subtle
point: rows of one account are not independent, so errors are clustered by account (factor
G/(G−1)·(N−1)/(N−K)), and average effects carry that covariance on by the delta method.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, stats
from statsmodels.genmod.families import Binomial, links
from statsmodels.genmod.generalized_linear_model import GLM, GLMResults
from statsmodels.tools.sm_exceptions import (
    ConvergenceWarning,
    DomainWarning,
    HessianInversionWarning,
    PerfectSeparationWarning,
)

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
    design: pd.DataFrame,
    groups: ArrayLike | None,
    weights: ArrayLike | None = None,
    link: str = "cloglog",
    start: ArrayLike | None = None,
) -> GroupedHazardFit:
    """Fit the grouped-time hazard regression.

    Args:
        events: 1 = the event happened in the row's interval, 0 = not.
        design: one row per subject and interval, one column per coefficient; no intercept is added.
        groups: what the errors are clustered by, such as the account; None = model-based errors.
        weights: of the rows, such as inverse sampling shares; None = 1 each.
        link: "cloglog" (log hazard ratios) or "logit" (log odds ratios).
        start: coefficients to begin from, such as those of `cloglog.scoring`; None = none known.

    Returns:
        A GroupedHazardFit. `converged` is false when the iteration did not settle or the data are
        separated: some level has no event (or nothing else), so that its coefficient is infinite.

    Raises:
        ValueError: a value is missing, or columns of the design follow from the others.

    Source: Prentice & Gloeckler (1978); Liang & Zeger (1986) for the clustered covariance.
    """
    result = library_fit(events, design, groups, weights, link, start)
    y, X = np.asarray(events, dtype=float), design.to_numpy(dtype=float)
    clusters = None if groups is None else pd.factorize(np.asarray(groups))[0]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of a fit that ran away; `converged` says so
        log_likelihood = float(result.llf)
    is_known = np.isfinite(result.params).all() and np.isfinite(result.cov_params()).all()
    is_settled = bool(result.converged and is_known) and not _is_separated(result.params, X, y)
    return GroupedHazardFit(
        params=pd.Series(result.params, design.columns),
        cov=pd.DataFrame(result.cov_params(), design.columns, design.columns),
        n=len(y),
        n_events=int(y.sum()),
        converged=is_settled,
        log_likelihood=log_likelihood,
        n_groups=len(y) if clusters is None else int(clusters.max()) + 1,
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
    _refuse_unusable(y, X, design.columns)
    model = GLM(y, X, family=Binomial(link=LINKS[link]()), var_weights=weights)
    clusters = None if groups is None else pd.factorize(np.asarray(groups))[0]
    errors = {} if clusters is None else {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for problem in (ConvergenceWarning, DomainWarning, HessianInversionWarning):
            warnings.simplefilter("ignore", problem)  # what they say is returned as `converged`
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        return model.fit(start, maxiter=ITERATIONS, tol=TOLERANCE, tol_criterion="params", **errors)


def average_marginal_effects(
    fitted: GroupedHazardFit,
    design: pd.DataFrame,
    columns: Sequence[str],
    kind: str = "dydx",
    siblings: Mapping[str, Sequence[str]] | None = None,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Average over the rows the change in the probability of the event that goes with a column.

    Args:
        fitted: the model.
        design: the rows to average over, columns as fitted.
        columns: columns to report.
        kind: "dydx" = per unit of the column; "discrete" = the column at 1 against 0.
        siblings: for a dummy of a factor, the other dummies of it, held at 0 on both sides.
        weights: of the rows; None = 1 each.
        confidence: level of the two-sided interval.

    Returns:
        One row per column: term, ame (share points as a share: 0.01), std_err, ci_low, ci_high,
        p_value. Errors by the delta method from the model's covariance.

    Source: Greene (2018), section 17.3; delta method.
    """
    if kind not in ("dydx", "discrete"):
        raise ValueError(f"unknown kind {kind!r}: choose dydx or discrete")
    link = LINKS[fitted.link]()
    share = np.full(len(design), 1 / len(design)) if weights is None else np.asarray(weights, float)
    share = share / share.sum()
    effect_of = _slope if kind == "dydx" else _step
    effects = [
        effect_of(fitted.params, design, column, (siblings or {}).get(column, ()), link, share)
        for column in columns
    ]
    ame = np.array([effect for effect, _ in effects])
    std_err = np.array([np.sqrt(g @ fitted.cov.to_numpy() @ g) for _, g in effects])
    reach = stats.norm.ppf((1 + confidence) / 2) * std_err
    limits = {"ci_low": ame - reach, "ci_high": ame + reach}
    p_value = 2 * stats.norm.sf(np.abs(ame / np.where(std_err > 0, std_err, np.nan)))
    return pd.DataFrame(
        {"term": list(columns), "ame": ame, "std_err": std_err, **limits, "p_value": p_value}
    )


def _slope(
    params: pd.Series,
    design: pd.DataFrame,
    column: str,
    siblings: Sequence[str],
    link: links.Link,
    share: NDArray,
) -> tuple[float, NDArray]:
    """Return the average derivative by one column and its gradient in the coefficients."""
    X, at = design.to_numpy(dtype=float), design.columns.get_loc(column)
    eta = X @ params.to_numpy()
    slope, bend = link.inverse_deriv(eta), link.inverse_deriv2(eta)
    gradient = params[column] * ((share * bend) @ X)
    gradient[at] += share @ slope
    return float(params[column] * (share @ slope)), gradient


def _step(
    params: pd.Series,
    design: pd.DataFrame,
    column: str,
    siblings: Sequence[str],
    link: links.Link,
    share: NDArray,
) -> tuple[float, NDArray]:
    """Return the average change from 0 to 1 of one column and its gradient."""
    off = design.assign(**{name: 0.0 for name in (column, *siblings)})
    worlds = [world.to_numpy(dtype=float) for world in (off.assign(**{column: 1.0}), off)]
    etas = [X @ params.to_numpy() for X in worlds]
    risks = [share @ link.inverse(eta) for eta in etas]
    slopes = [(share * link.inverse_deriv(eta)) @ X for X, eta in zip(worlds, etas, strict=True)]
    return float(risks[0] - risks[1]), slopes[0] - slopes[1]


def _refuse_unusable(y: NDArray, X: NDArray, names: pd.Index) -> None:
    if not (np.isfinite(X).all() and np.isin(y, (0, 1)).all()):
        raise ValueError(
            f"{(~np.isfinite(X)).any(axis=1).sum()} rows have a missing or infinite covariate and "
            f"{(~np.isin(y, (0, 1))).sum()} an event that is neither 0 nor 1. Rows are never "
            "dropped here: give missing values a level of their own first."
        )
    size = np.sqrt((X**2).sum(axis=0))
    scaled = X / np.where(size > 0, size, 1)
    _, triangle, order = linalg.qr(scaled.T @ scaled, pivoting=True, mode="economic")
    follows = np.abs(np.diag(triangle)) < 1e-10
    if follows.any():
        found = ", ".join(str(names[column]) for column in order[follows][:5])
        raise ValueError(
            f"{follows.sum()} columns of the design are 0 or follow from the others ({found}). "
            "Their coefficients do not exist; leave them out, or merge sparse levels."
        )


def _is_separated(params: NDArray, X: NDArray, y: NDArray) -> bool:
    is_dummy = np.isin(X, (0, 1)).all(axis=0)
    rows, happened = X[:, is_dummy].sum(axis=0), y @ X[:, is_dummy]
    has_empty_cell = ((happened == 0) | (happened == rows)).any()
    return bool(has_empty_cell or (np.abs(params) * np.ptp(X, axis=0) > LARGEST_EFFECT).any())
