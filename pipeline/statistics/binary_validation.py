"""Do predicted probabilities hold against what happened?

Calibration in the large and its slope, discrimination, and gain over one rate for everybody. The
subtle point: rows of one account are not independent; the gain's error sums them by account first.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats


def recalibrated(
    risk: NDArray[np.float64], happened: NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intercept with the prediction as offset, and slope, each with its standard error.

    Args:
        risk: predicted probability per row.
        happened: 0 or 1 per row.

    Source: Cox (1958), Biometrika 45: 562; Steyerberg (2019), chapter 15.
    """
    logit, ones = np.log(risk / (1 - risk)), np.ones((len(risk), 1))
    b, error = _logistic(ones, logit, happened)
    both, errors = _logistic(np.column_stack([ones, logit]), np.zeros(len(logit)), happened)
    return (float(b[0]), float(error[0])), (float(both[1]), float(errors[1]))


def discrimination(score: NDArray[np.float64], happened: NDArray) -> tuple[float, float]:
    """Chance that a row with the event had the higher score, ties count half, and its error.

    Missing when there are fewer than two rows of a kind.

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: 837.
    """
    is_event = np.asarray(happened) == 1
    events, others = score[is_event], score[~is_event]
    if min(len(events), len(others)) < 2:
        return np.nan, np.nan
    ranks = stats.rankdata(score)
    below = (ranks[is_event] - stats.rankdata(events)) / len(others)
    above = 1 - (ranks[~is_event] - stats.rankdata(others)) / len(events)
    variance = below.var(ddof=1) / len(events) + above.var(ddof=1) / len(others)
    return float(below.mean()), float(np.sqrt(variance))


def concordance(
    score: NDArray[np.float64], events: NDArray[np.float64], others: NDArray[np.float64]
) -> float:
    """The chance of `discrimination` alone, from how many rows of each kind a score has.

    Args:
        score: one per value, in any order; equal ones are taken together.
        events: rows with the event at each.
        others: rows without it.

    Cost: a sort of the scores. Missing as there.

    Source: as of `discrimination`: DeLong, DeLong and Clarke-Pearson (1988).
    """
    codes, found = pd.factorize(score, sort=True)
    had, had_not = (np.bincount(codes, part, minlength=len(found)) for part in (events, others))
    if min(had.sum(), had_not.sum()) < 2:
        return np.nan
    below = np.cumsum(had_not) - had_not / 2
    return float(had @ below / (had.sum() * had_not.sum()))


def scaled_brier(
    risk: NDArray[np.float64],
    happened: NDArray[np.float64],
    null_rate: float,
    groups: ArrayLike | None = None,
) -> tuple[float, float]:
    """Share by which the squared error falls below that of one rate for everybody, and its error.

    Args:
        risk: predicted probability per row.
        happened: 0 or 1 per row.
        null_rate: the one rate.
        groups: whose row it is; None: each row its own.

    Source: Kattan and Gerds (2018), Diagnostic and Prognostic Research 2: 7; linearised ratio.
    """
    loss, null_loss = (happened - risk) ** 2, (happened - null_rate) ** 2
    gain = 1 - loss.sum() / null_loss.sum()
    residual = ((1 - gain) * null_loss - loss) / null_loss.sum()
    return float(gain), clustered_error(residual, groups)


def clustered_error(residual: NDArray[np.float64], groups: ArrayLike | None = None) -> float:
    """Standard error of a sum of residuals, added up by group first; missing for one group.

    Source: Liang and Zeger (1986), with the factor G/(G−1).
    """
    owner = np.arange(len(residual)) if groups is None else pd.factorize(np.asarray(groups))[0]
    sums = np.bincount(owner, residual)
    if len(sums) < 2:
        return np.nan
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()))


def _logistic(
    columns: NDArray[np.float64], offset: NDArray[np.float64], happened: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    def score(b: NDArray[np.float64]) -> NDArray[np.float64]:
        return columns.T @ (happened - 1 / (1 + np.exp(-(offset + columns @ b))))

    start = np.zeros(columns.shape[1])
    start[-1] = float(columns.shape[1] > 1)
    b = optimize.root(score, start, tol=1e-10).x
    share = 1 / (1 + np.exp(-(offset + columns @ b)))
    information = columns.T @ (columns * (share * (1 - share))[:, None])
    return b, np.sqrt(np.diag(np.linalg.pinv(information)))
