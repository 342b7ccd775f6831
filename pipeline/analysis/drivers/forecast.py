"""How many will leave in a month, and between which limits?

Works on designs, coefficients and probabilities alone. Three layers, each on top of the one before:
chance given the probabilities, the uncertainty of the coefficients, and a shock that all accounts
of a month share. The subtle point: the shock is estimated from the misses of earlier forecasts, so
its size is uncertain itself; it is drawn from a t distribution, and never shrunk by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from pipeline.statistics import poisson_binomial
from pipeline.statistics.cloglog import HIGHEST, LOWEST
from pipeline.statistics.design_rows import DesignOrRows, DesignRows, dense_of, rows_of

CHANCE, COEFFICIENTS, SHOCK = "chance", "coefficients", "shared_shock"
LAYERS = (CHANCE, COEFFICIENTS, SHOCK)
LEVELS = (0.80, 0.95)
"""Of the intervals that a back-test grades."""
DRAWS = 1000
CELLS_AT_ONCE = 4_000_000
"""Rows times draws held in memory at once."""
MANY, BANDS = 50_000, 1_000
"""Accounts from which luck is drawn for all of them together, and bands of equal risk then."""
LARGEST_SHIFT = 3.0
"""Of a recalibration, on the log hazard: twenty times as many as expected, or as few."""


@dataclass(frozen=True)
class SharedShock:
    """Standard deviation of the log hazard that a month shares, and its degrees of freedom."""

    size: float = 0.0
    degrees: int = 1


def recalibration(
    risks: Sequence[ArrayLike], observed: float, counts: Sequence[ArrayLike] | None = None
) -> float:
    """The shift of the log hazard with which earlier forecasts would have been right on the whole.

    Args:
        risks: probabilities of each earlier month.
        observed: how many left in those months together.
        counts: how many accounts have each probability; None: one.

    Returns:
        0 when there is no earlier month; held within ±3.
    """
    if not len(risks):
        return 0.0
    log_stay = np.log1p(-np.concatenate([np.asarray(risk, float) for risk in risks]))
    n = np.ones(len(log_stay)) if counts is None else np.concatenate(list(map(np.asarray, counts)))

    def excess(shift: float) -> float:
        return float(-np.expm1(log_stay * np.exp(shift)) @ n - observed)

    if excess(-LARGEST_SHIFT) >= 0:
        return -LARGEST_SHIFT
    if excess(LARGEST_SHIFT) <= 0:
        return LARGEST_SHIFT
    return float(optimize.brentq(excess, -LARGEST_SHIFT, LARGEST_SHIFT, xtol=1e-10))


def shifted(risk: ArrayLike, shift: float) -> NDArray[np.float64]:
    """Probabilities with the log hazard moved by a shift."""
    return -np.expm1(np.log1p(-np.asarray(risk, float)) * np.exp(shift))


def shared_shock(expected: ArrayLike, variance: ArrayLike, observed: ArrayLike) -> SharedShock:
    """The shock that months share, by moments of earlier misses.

    Args:
        expected: churns expected in each earlier month.
        variance: of the number by chance alone, Σ p(1 − p).
        observed: churns.

    Returns:
        √max(0, (mean squared miss − mean chance variance) / mean expected²), with months − 1
        degrees of freedom; none from fewer than two months.
    """
    mean, chance, found = (np.asarray(part, float) for part in (expected, variance, observed))
    if len(mean) < 2:
        return SharedShock()
    excess = ((found - mean) ** 2).mean() - chance.mean()
    return SharedShock(float(np.sqrt(max(0.0, excess)) / mean.mean()), len(mean) - 1)


def sums_of(mrr: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `losses` asks of each account: one, its MRR, and that squared."""
    return np.column_stack([np.ones(len(mrr)), mrr, mrr**2])


def losses(
    design: DesignOrRows,
    params: NDArray[np.float64],
    cov: NDArray[np.float64],
    sums: NDArray[np.float64],
    shock: SharedShock,
    generator: np.random.Generator,
    shift: float = 0.0,
    n_draws: int = DRAWS,
) -> dict[str, NDArray[np.float64]]:
    """Draws of customers and MRR lost, by layer; the layers share their luck.

    Args:
        design: one row per account, or per kind of many accounts; one column per coefficient.
        params: coefficients on the log hazard.
        cov: their covariance, clustered by account.
        sums: of each row, how many accounts it is, their MRR and MRR squared; from `sums_of`.
        shock: from `shared_shock`.
        generator: of the draws.
        shift: from `recalibration`.
        n_draws: how many.

    Returns:
        By layer: one row per draw, columns customers and MRR. Of many accounts the chance layer is
        normal with its exact mean and variance given the hazards, those read in bands of risk.
    """
    values, vectors = np.linalg.eigh(cov)
    spread = vectors * np.sqrt(np.clip(values, 0, None))
    own = params[:, None] + spread @ generator.standard_normal((len(params), n_draws))
    drawn = shock.size * generator.standard_t(shock.degrees, n_draws)
    shocks = np.clip(drawn, LOWEST, -LOWEST)  # with one degree of freedom it may be a thousand
    if sums[:, 0].sum() >= MANY:
        rows = rows_of(design)
        cells = _cells(rows, rows.linear(params) + shift, sums)
        return _losses_of_many(cells, own - params[:, None], shocks, generator)
    lost, dense = {layer: np.zeros((n_draws, 2)) for layer in LAYERS}, dense_of(design)
    block = max(1, CELLS_AT_ONCE // n_draws)
    for start in range(0, len(dense), block):
        part = dense[start : start + block]
        sure = _hazard(part @ params, shift)[:, None]
        faced = _hazard(part @ own, shift)
        # An account leaves when its hazard exceeds an exponential draw: P = 1 − exp(−hazard).
        luck = generator.standard_exponential((len(part), n_draws), dtype=np.float32)
        money = sums[start : start + block, :2]
        lost[CHANCE] += (luck < sure).T.astype(float) @ money
        lost[COEFFICIENTS] += (luck < faced).T.astype(float) @ money
        faced *= np.exp(shocks)
        lost[SHOCK] += (luck < faced).T.astype(float) @ money
    return lost


def _hazard(eta: NDArray[np.float64], shift: float) -> NDArray[np.float64]:
    """The hazard of a log hazard; of many draws, so that nothing is held twice."""
    hazard = eta + shift
    np.clip(hazard, LOWEST, HIGHEST, out=hazard)
    return np.exp(hazard, out=hazard)


@dataclass(frozen=True)
class _Cells:
    """Accounts in bands of equal risk: log hazard, mean covariates, and sums of 1, MRR, MRR²."""

    eta: NDArray[np.float64]
    covariates: NDArray[np.float64]
    sums: NDArray[np.float64]  # one row per band: accounts, MRR, MRR squared


def _cells(rows: DesignRows, eta: NDArray[np.float64], sums: NDArray[np.float64]) -> _Cells:
    """The accounts by rank of their risk; a band's log hazard is that of its mean hazard."""
    n, order = sums[:, 0], np.argsort(eta, kind="stable")
    band = np.empty(len(eta), dtype=np.int64)
    band[order] = (np.cumsum(n[order]) - n[order]) * BANDS // n.sum()
    _, band = np.unique(band, return_inverse=True)
    behind = np.bincount(band, n)
    hazard = np.bincount(band, n * np.exp(np.clip(eta, LOWEST, HIGHEST))) / behind
    means = rows.group_sums(n, band, len(behind)) / behind[:, None]
    money = [np.bincount(band, part) for part in sums.T]
    return _Cells(np.log(hazard), means, np.column_stack(money))


def _losses_of_many(
    cells: _Cells,
    moves: NDArray[np.float64],
    shocks: NDArray[np.float64],
    generator: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """The same draws for many accounts: given the hazards, a sum of very many chances is normal.

    Customers and MRR lost have means Σp and Σp·m, variances Σp(1−p) and Σp(1−p)·m² and covariance
    Σp(1−p)·m. Cost: bands × draws, whatever the number of accounts.
    """
    luck = generator.standard_normal((2, moves.shape[1]))
    sure = np.repeat(cells.eta[:, None], moves.shape[1], axis=1)
    drawn = cells.eta[:, None] + cells.covariates @ moves
    lost = {}
    for layer, eta in zip(LAYERS, (sure, drawn, drawn + shocks), strict=True):
        risk = -np.expm1(-np.exp(np.clip(eta, LOWEST, HIGHEST)))
        mean, spread = cells.sums.T[:2] @ risk, cells.sums.T @ (risk * (1 - risk))
        own = np.sqrt(np.maximum(spread[0], 1e-12))
        shared = spread[1] / own
        rest = np.sqrt(np.maximum(spread[2] - shared**2, 0.0))
        customers = np.rint(mean[0] + own * luck[0])
        money = mean[1] + shared * luck[0] + rest * luck[1]
        lost[layer] = np.maximum(np.column_stack([customers, money]), 0.0)
    return lost


def interval(
    design: NDArray[np.float64],
    params: NDArray[np.float64],
    cov: NDArray[np.float64],
    shock: SharedShock,
    seed: int | np.random.SeedSequence,
    levels: Sequence[float] = LEVELS,
    layer: str = SHOCK,
    shift: float = 0.0,
    n_draws: int = DRAWS,
) -> pd.DataFrame:
    """Limits of the number that will leave.

    Args:
        design: one row per account, one column per coefficient.
        params: coefficients on the log hazard.
        cov: their covariance.
        shock: from `shared_shock`.
        seed: of the draws.
        levels: of the two-sided intervals.
        layer: "chance" (exact, Poisson-binomial), "coefficients" or "shared_shock".
        shift: from `recalibration`.
        n_draws: how many.

    Returns:
        One row per level: level, expected, ci_low, ci_high (customers).
    """
    hazard = np.exp(np.clip(design @ params + shift, LOWEST, HIGHEST))
    risk = -np.expm1(-hazard)
    tails = np.array([[(1 - level) / 2, (1 + level) / 2] for level in levels])
    if layer == CHANCE:
        limits = poisson_binomial.quantile(poisson_binomial.distribution(risk), tails)
    else:
        generator = np.random.default_rng(seed)
        sums = sums_of(np.zeros(len(risk)))
        draws = losses(design, params, cov, sums, shock, generator, shift, n_draws)
        limits = np.quantile(draws[layer][:, 0], tails, method="inverted_cdf")
    return pd.DataFrame(
        {"level": levels, "expected": risk.sum(), "ci_low": limits[:, 0].astype(float),
         "ci_high": limits[:, 1].astype(float)}
    )  # fmt: skip
