"""What would the whole population's survival be, had everybody been at one level?

Standardisation (g-computation) from a fitted grouped-time hazard model: each subject keeps its
other covariates, its level is set, and the predicted survival is averaged. The subtle point: the
average of survivals is not the survival at the average covariates, so the interval comes from the
gradient of the average itself (delta method), with the baseline's uncertainty in it.

With intervals k, baseline design B and coefficients (a, b), subject i's survival is
exp(-r_i H), r_i = exp(x_i b), H = Σ_k exp(B_k a); its derivatives are -S_i r_i Σ_k exp(B_k a) B_k
and -S_i r_i H x_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def standardised_survival(
    params: ArrayLike,
    cov: NDArray[np.float64],
    baseline: NDArray[np.float64],
    worlds: Sequence[NDArray[np.float64]],
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Average survival over the intervals in each world, and its difference to the first world.

    Args:
        params: baseline coefficients, then those of the covariates, on the log hazard.
        cov: their covariance.
        baseline: one row per interval up to the horizon, one column per baseline coefficient.
        worlds: per world one row per subject, one column per covariate; the first is the reference.
        weights: of the subjects; None = 1 each.
        confidence: level of the two-sided intervals.

    Returns:
        One row per world: estimate, std_err, ci_low, ci_high (complementary log-log), difference,
        difference_std_err, difference_ci_low, difference_ci_high (normal; missing in the first).

    Source: Hernán and Robins, "Causal inference: what if" (2020), chapter 13; delta method.
    """
    given = np.asarray(params, dtype=float)
    parts = [_average(given, baseline, world, weights) for world in worlds]
    values = np.array([value for value, _ in parts])
    gradients = np.array([gradient for _, gradient in parts])
    reach = stats.norm.ppf((1 + confidence) / 2)
    std_err = _errors(gradients, cov)
    low, high = _log_log_limits(values, reach * std_err)
    shift, shift_err = values - values[0], _errors(gradients - gradients[0], cov)
    is_other = np.arange(len(values)) > 0
    columns = {
        "estimate": values, "std_err": std_err, "ci_low": low, "ci_high": high,
        "difference": np.where(is_other, shift, np.nan),
        "difference_std_err": np.where(is_other, shift_err, np.nan),
        "difference_ci_low": np.where(is_other, shift - reach * shift_err, np.nan),
        "difference_ci_high": np.where(is_other, shift + reach * shift_err, np.nan),
    }  # fmt: skip
    return pd.DataFrame(columns)


def _average(
    params: NDArray, baseline: NDArray, world: NDArray, weights: ArrayLike | None
) -> tuple[float, NDArray[np.float64]]:
    """The weighted mean survival of one world and its gradient in the coefficients."""
    n_baseline = baseline.shape[1]
    share = np.ones(len(world)) if weights is None else np.asarray(weights, dtype=float)
    share = share / share.sum()
    steps = np.exp(baseline @ params[:n_baseline])
    total = steps.sum()
    risk = np.exp(world @ params[n_baseline:])
    staying = np.exp(-risk * total)
    falling = share * staying * risk
    gradient = np.concatenate([-falling.sum() * (steps @ baseline), -total * (falling @ world)])
    return float(share @ staying), gradient


def _errors(gradients: NDArray, cov: NDArray) -> NDArray[np.float64]:
    return np.sqrt(np.maximum(np.einsum("wp,pq,wq->w", gradients, cov, gradients), 0.0))


def _log_log_limits(values: NDArray, reach: NDArray) -> tuple[NDArray, NDArray]:
    inside = (values > 0) & (values < 1)
    share = np.where(inside, values, 0.5)
    width = reach / (share * -np.log(share))
    low, high = share ** np.exp(width), share ** np.exp(-width)
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)
