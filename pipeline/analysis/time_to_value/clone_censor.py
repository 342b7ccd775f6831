"""How many more would be customers after a year, had all reached value within 30 days?

A target trial by clone, censor and weight. Every starter is copied into both arms, "value by day
30" and "not by day 30". A copy is censored on the day it no longer follows its arm, and those who
remain are weighted up by the inverse probability of still following it, given what was known at
signing. The subtle point: who left before day 30 without value had followed both arms, and counts
in both; to put such an account into one arm is the immortal-time bias.

All is computed from counts per combination of covariate levels and day, so a bootstrap by account
costs little; many accounts are counted by kind first, and the bootstrap draws from the counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pipeline.analysis.levels import levels_of
from pipeline.analysis.reliability import SMALLEST_N, YEAR_DAYS
from pipeline.analysis.time_to_value.covariates import coded
from pipeline.analysis.time_to_value.starters import MANY

GRACE_DAYS = 30
"""Both arms have so many days to show which of them an account follows."""
BANDS = (0, 1, 8, 15, 22, GRACE_DAYS + 1)
"""Days on which value is equally likely within a band: day 0, then weeks."""
DRAWS = 200
SPAWN_KEY = (5, 1)
STEPS, TOLERANCE, RIDGE = 30, 1e-8, 1e-6
WITHIN, NOT_WITHIN = 0, 1
TARGET_TRIAL = (
    f"every starter, from the first paid day: value within {GRACE_DAYS} days, or no value within "
    "them; churn within 12 months; accounts copied into both arms, censored when they leave an "
    "arm, weighted by what was known at signing"
)
METHOD, MEASURE = "clone_censor_weight", "survival_12_months_difference"


@dataclass(frozen=True)
class _Trial:
    """One row per account: its cell (levels of the covariates), days to value and to the end.

    Of many accounts one row per kind of account, `n_each` of them.
    """

    cell: NDArray[np.int64]
    value: NDArray[np.int64]
    end: NDArray[np.int64]
    is_lost: NDArray[np.bool_]
    covariates: NDArray[np.float64]
    n_each: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Accounts."""
        return int(self.n_each.sum())

    @property
    def n_cells(self) -> int:
        return len(self.covariates)


def clone_censor_weight(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float, seed: int
) -> dict[str, object]:
    """Share still there after 12 months, value by day 30 less not by day 30, as a trial would.

    Args:
        starters: account_id, end_day, value_day (days), is_lost, and the covariates.
        adjust_for: covariates known at signing, by which censoring is weighted; numbers enter in
            quarters.
        confidence: level of the interval.
        seed: of the bootstrap by account.

    Returns:
        One row of `effect`. The interval is normal with the bootstrap's standard error. No number
        when fewer than ten accounts follow an arm for 12 months.

    Source: Cain and others (2010), International Journal of Biostatistics 6: 18; Hernán & Robins
    (2016), American Journal of Epidemiology 183: 758.
    """
    trial = _trial(starters, list(adjust_for))
    row = {
        "method": METHOD, "measure": MEASURE, "landmark_day": float(GRACE_DAYS),
        "estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "n": trial.n,
        "n_events": int(trial.n_each[trial.is_lost & (trial.end <= YEAR_DAYS)].sum()),
        "is_valid": True,
    }  # fmt: skip
    kept = [
        int(trial.n_each[_follows(trial, arm) & (trial.end >= YEAR_DAYS)].sum()) for arm in (0, 1)
    ]
    if min(kept) < SMALLEST_N:
        return row | {"note": f"followed 12 months: {kept[0]} with value, {kept[1]} without"}
    draws = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=SPAWN_KEY))
    estimate, largest = _difference(trial, trial.n_each.astype(float))
    repeated = [_difference(trial, _resampled(draws, trial))[0] for _ in range(DRAWS)]
    reach = stats.norm.ppf((1 + confidence) / 2) * float(np.std(repeated, ddof=1))
    note = f"adjusted; largest weight {largest:.1f}; {DRAWS} bootstrap draws by account"
    limits = {"ci_low": estimate - reach, "ci_high": estimate + reach}
    return row | {"estimate": estimate, **limits, "note": note}


def _trial(starters: pd.DataFrame, adjust_for: list[str]) -> _Trial:
    rows = starters[starters["end_day"] > 0]
    levels = pd.DataFrame({name: levels_of(rows[name]) for name in adjust_for}, index=rows.index)
    columns = coded(rows[["account_id"]].assign(event=True).join(levels), adjust_for).columns
    covariates, cell = np.zeros((1, 0)), np.zeros(len(rows), dtype=np.int64)
    if columns.shape[1]:
        covariates, cell = np.unique(columns.to_numpy(float), axis=0, return_inverse=True)
    trial = _Trial(
        cell.ravel().astype(np.int64),
        rows["value_day"].fillna(np.iinfo(np.int32).max).to_numpy().astype(np.int64),
        rows["end_day"].to_numpy(np.int64),
        rows["is_lost"].to_numpy(bool),
        covariates,
        np.ones(len(rows), dtype=np.int64),
    )
    return _by_kind(trial) if trial.n >= MANY else trial


def _by_kind(trial: _Trial) -> _Trial:
    """The accounts counted: alike are those of one cell, loss, and days as far as they matter."""
    value, end = np.minimum(trial.value, GRACE_DAYS + 1), np.minimum(trial.end, YEAR_DAYS + 1)
    shape = trial.n_cells, GRACE_DAYS + 2, YEAR_DAYS + 2, 2
    place = np.ravel_multi_index((trial.cell, value, end, trial.is_lost.astype(np.int64)), shape)
    kinds, n_each = np.unique(place, return_counts=True)
    cell, value, end, lost = np.unravel_index(kinds, shape)
    return _Trial(cell, value, end, lost.astype(bool), trial.covariates, n_each)


def _resampled(draws: np.random.Generator, trial: _Trial) -> NDArray[np.float64]:
    """How often each row is drawn, when as many accounts are drawn as there are."""
    n = trial.n
    if n == len(trial.n_each):
        return np.bincount(draws.integers(0, n, n), minlength=n).astype(float)
    return draws.multinomial(n, trial.n_each / n).astype(float)


def _follows(trial: _Trial, arm: int) -> NDArray[np.bool_]:
    """Those who follow an arm beyond its days of grace."""
    return (trial.value <= GRACE_DAYS) == (arm == WITHIN)


def _difference(trial: _Trial, times: NDArray[np.float64]) -> tuple[float, float]:
    """S(12 months) of the first arm less the second, and the largest weight.

    `times` says how often each account was drawn.
    """
    weights = _within_weights(trial, times), _not_within_weights(trial, times)
    within, without = (_survival(trial, times, arm, weights[arm]) for arm in (WITHIN, NOT_WITHIN))
    return within - without, float(max(weights[WITHIN].max(), weights[NOT_WITHIN].max()))


def _survival(
    trial: _Trial, times: NDArray[np.float64], arm: int, weights: NDArray[np.float64]
) -> float:
    """Weighted Kaplan-Meier survival at 12 months; weights per cell and day."""
    leaves = np.where(
        _follows(trial, arm), trial.end,
        np.minimum(trial.end, GRACE_DAYS if arm == WITHIN else trial.value),
    )  # fmt: skip
    is_event = trial.is_lost & (leaves == trial.end)
    last = np.minimum(leaves, YEAR_DAYS)
    shape = trial.n_cells, YEAR_DAYS + 1
    place = trial.cell * shape[1] + last
    size = trial.n_cells * shape[1]
    until = np.bincount(place, times, minlength=size).reshape(shape)
    at_risk = until[:, ::-1].cumsum(axis=1)[:, ::-1]
    counted = times * (is_event & (leaves <= YEAR_DAYS))
    lost = np.bincount(place, counted, minlength=size).reshape(shape)
    total, left = (weights * at_risk).sum(axis=0)[1:], (weights * lost).sum(axis=0)[1:]
    return float(np.prod(1 - left / np.maximum(total, 1e-300)))


def _within_weights(trial: _Trial, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 up to the end of the grace; then 1 / P(value by then | there at its end, covariates)."""
    there = trial.end > GRACE_DAYS
    total = np.bincount(trial.cell, times * there, minlength=trial.n_cells)
    reached = np.bincount(
        trial.cell, times * (there & (trial.value <= GRACE_DAYS)), minlength=trial.n_cells
    )
    share = _shares(_with_constant(trial.covariates), reached.astype(float), total.astype(float))
    weights = np.ones((trial.n_cells, YEAR_DAYS + 1))
    weights[:, GRACE_DAYS + 1 :] = 1 / share[:, None]
    return weights


def _not_within_weights(trial: _Trial, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / P(no value yet | there, covariates), day by day up to the end of the grace."""
    n_bands = len(BANDS) - 1
    total, reached = np.zeros((2, trial.n_cells, n_bands))
    for band, (first, after) in enumerate(itertools.pairwise(BANDS)):
        last = np.minimum(np.minimum(trial.value, trial.end - trial.is_lost), after - 1)
        days = times * np.clip(last - first + 1, 0, None)
        came = times * ((trial.value >= first) & (trial.value < after))
        total[:, band] = np.bincount(trial.cell, days, minlength=trial.n_cells)
        reached[:, band] = np.bincount(trial.cell, came, minlength=trial.n_cells)
    bands = np.tile(np.eye(n_bands), (trial.n_cells, 1))
    design = np.column_stack([bands, np.repeat(trial.covariates, n_bands, axis=0)])
    hazard = _shares(design, reached.ravel(), total.ravel()).reshape(trial.n_cells, n_bands)
    daily = hazard[:, np.repeat(np.arange(n_bands), np.diff(BANDS))]
    weights = np.ones((trial.n_cells, YEAR_DAYS + 1))
    weights[:, 1 : GRACE_DAYS + 2] = 1 / np.cumprod(1 - daily, axis=1)
    weights[:, GRACE_DAYS + 2 :] = weights[:, [GRACE_DAYS + 1]]
    return weights


def _with_constant(covariates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([np.ones(len(covariates)), covariates])


def _shares(
    design: NDArray[np.float64], successes: NDArray[np.float64], trials: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fitted shares of a logistic regression on counts; a touch of ridge keeps them inside 0–1."""
    params = np.zeros(design.shape[1])
    for _ in range(STEPS):
        share = 1 / (1 + np.exp(-np.clip(design @ params, -20, 20)))
        information = design.T @ (design * (trials * share * (1 - share))[:, None])
        score = design.T @ (successes - trials * share) - RIDGE * params
        step = np.linalg.solve(information + RIDGE * np.eye(len(params)), score)
        params = params + np.clip(step, -2, 2)
        if np.abs(step).max() < TOLERANCE:
            break
    return 1 / (1 + np.exp(-np.clip(design @ params, -20, 20)))
