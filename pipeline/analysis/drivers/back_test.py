"""What would have been forecast month by month, and what happened?

Works on rolling origins. Tables made: drivers.back_test. Each forecast uses what was settled on the
day it would have been made: the fit, the recalibration on the last six forecasts and the shared
shock all come from earlier origins. The subtle point: the first origins have too few forerunners.
They are forecast without recalibration and without a shock, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.analysis.drivers.design import unseen_levels
from pipeline.analysis.drivers.forecast import (
    CHANCE,
    LAYERS,
    LEVELS,
    SHOCK,
    SharedShock,
    losses,
    recalibration,
    shared_shock,
    shifted,
)
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.origins import Origin
from pipeline.statistics import poisson_binomial

RECALIBRATED_ON = 6
SHOCK_MONTHS = 18
"""Newest earlier forecasts whose misses tell the shared shock."""
MEAN_MONTHS = 3
MODEL, RECENT_MEAN, YEAR_AGO = "model", "mean_of_3_months", "same_month_last_year"
CUSTOMERS, MONEY = "customers_lost", "mrr_lost"
CHAPTER, TASK = 4, 1
"""Of the stream of draws; the month is its third number."""
LIMITS = [
    f"{layer}_{round(100 * level)}_{side}"
    for layer in LAYERS for level in LEVELS for side in ("low", "high")
]  # fmt: skip
BACK_TEST_COLUMNS = [
    "period", "measure", "n", "expected", "ci_low", "ci_high", *LIMITS, "observed",
    RECENT_MEAN, YEAR_AGO, "shift", "shock", "n_forerunners",
    *(f"crps_{layer}" for layer in LAYERS), "pit", "is_next", "note",
]  # fmt: skip


@dataclass(frozen=True)
class _Said:
    """What one forecast said, and what happened."""

    month: int
    raw: np.ndarray
    n: np.ndarray
    expected: float
    variance: float
    observed: float


def back_test(
    origins: list[Origin],
    rows: pd.DataFrame | Months,
    seed: int,
    months: int,
    behind: int = 1,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Forecast every origin as of its own day, beside two benchmarks and what happened.

    Args:
        origins: from `rolling_origins`, and `coming_month` last when there is one; oldest first.
        rows: from `settled`, for the benchmarks; or counted by kind, as `DriverModel.months`.
        seed: of the draws.
        months: newest origins told, the month to come not counted; those before them only serve as
            forerunners.
        behind: from `months_behind`.
        confidence: of ci_low and ci_high, all layers together.

    Returns:
        One row per origin and measure (customers_lost, mrr_lost): period, measure, n (accounts),
        expected, ci_low, ci_high, limits by layer and level, observed (blank: to come), the
        benchmarks, shift (of the log hazard), shock (standard deviation), n_forerunners, crps by
        layer, pit, is_next, note. Completed and administrative exits are not forecast.
    """
    history, tables = _history(rows if isinstance(rows, Months) else Months(rows)), []
    said: list[_Said] = []
    for origin in origins:
        known = [one for one in said if one.month <= origin.month - behind]
        table, own = _forecast(origin, known, history, seed, behind, confidence)
        said.append(own)
        tables.append(table)
    if not tables:
        return pd.DataFrame(columns=BACK_TEST_COLUMNS)
    whole = pd.concat(tables, ignore_index=True)
    past = list(dict.fromkeys(whole.loc[~whole["is_next"].astype(bool), "period"]))[-months:]
    return whole[whole["period"].isin(past) | whole["is_next"]].reset_index(drop=True)


def benchmarks(history: pd.DataFrame, month: int, behind: int) -> dict[str, np.ndarray]:
    """Rates of loss by which a month is guessed without a model: customers and MRR.

    Args:
        history: one row per settled month (its number the index): n, lost, mrr, mrr_lost.
        month: the month guessed.
        behind: how far the newest settled month lies behind it.

    Returns:
        By benchmark: the rate of customers and of MRR; missing where those months are not known.
    """
    newest = history.reindex(range(month - behind - MEAN_MONTHS + 1, month - behind + 1))
    ago = history.reindex([month - 12])
    blocks = {RECENT_MEAN: newest, YEAR_AGO: ago if behind <= 12 else ago * np.nan}
    return {
        name: np.array(
            [block["lost"].sum(skipna=False) / block["n"].sum(skipna=False),
             block["mrr_lost"].sum(skipna=False) / block["mrr"].sum(skipna=False)]
        )
        for name, block in blocks.items()
    }  # fmt: skip


def _history(months: Months) -> pd.DataFrame:
    """Accounts, MRR and what was lost of them by settled month, its number the index."""
    first, gone = int(months.months.min()) if len(months.rows) else 0, months.churned
    place = months.months - first
    n, mrr = months.sums[:, 0], months.sums[:, 1]
    parts = {"n": n, "lost": gone * n, "mrr": mrr, "mrr_lost": gone * mrr}
    table = pd.DataFrame({name: np.bincount(place, part) for name, part in parts.items()})
    table.index = pd.RangeIndex(first, first + len(table))
    return table[table["n"] > 0]


def _forecast(
    origin: Origin,
    known: list[_Said],
    history: pd.DataFrame,
    seed: int,
    behind: int,
    confidence: float,
) -> tuple[pd.DataFrame, _Said]:
    """One origin's rows, and what later origins learn from it."""
    shift, shock = _learned(known)
    risk, sums = shifted(origin.probability, shift), origin.months.sums[:, :2]
    draws = _draws(origin, shock, shift, seed)
    expected, observed = risk @ sums, origin.churned @ sums
    guesses, scale = benchmarks(history, origin.month, behind), sums.sum(axis=0)
    chances = poisson_binomial.distribution(np.repeat(risk, sums[:, 0].astype(np.int64)))
    rows = []
    for at, measure in enumerate((CUSTOMERS, MONEY)):
        own = {layer: part[:, at] for layer, part in draws.items()}
        rows.append(
            {"measure": measure, "expected": expected[at],
             "observed": np.nan if origin.is_next else observed[at],
             **{name: (rate * scale)[at] for name, rate in guesses.items()},
             **_limits(own, chances if measure == CUSTOMERS else None, confidence),
             **_scores(own, observed[at], origin.is_next)}
        )  # fmt: skip
    told = {"period": origin.period, "n": origin.months.n_months, "shift": shift,
            "shock": shock.size, "n_forerunners": len(known), "is_next": origin.is_next,
            "note": _note(origin, len(known))}  # fmt: skip
    variance = float((risk * (1 - risk)) @ sums[:, 0])
    said = _Said(
        origin.month, origin.probability, sums[:, 0], float(expected[0]), variance,
        float(observed[0]),
    )  # fmt: skip
    return pd.DataFrame(rows).assign(**told)[BACK_TEST_COLUMNS], said


def _learned(known: list[_Said]) -> tuple[float, SharedShock]:
    """The shift and the shock that the forecasts known by then tell."""
    last, misses = known[-RECALIBRATED_ON:], known[-SHOCK_MONTHS:]
    if len(last) < RECALIBRATED_ON:
        return 0.0, SharedShock()
    observed = sum(one.observed for one in last)
    shift = recalibration([one.raw for one in last], observed, [one.n for one in last])
    shock = shared_shock(
        [one.expected for one in misses],
        [one.variance for one in misses],
        [one.observed for one in misses],
    )
    return shift, shock


def _draws(origin: Origin, shock: SharedShock, shift: float, seed: int) -> dict[str, np.ndarray]:
    stream = np.random.SeedSequence(seed, spawn_key=(CHAPTER, TASK, origin.month))
    return losses(
        origin.design, origin.coefficients.params, origin.coefficients.cov,
        origin.months.sums, shock, np.random.default_rng(stream), shift,
    )  # fmt: skip


def _limits(
    draws: dict[str, np.ndarray], chances: np.ndarray | None, confidence: float
) -> dict[str, float]:
    """Limits by layer and level; of a count by chance alone they are exact."""
    tails = np.array([tail for level in LEVELS for tail in ((1 - level) / 2, (1 + level) / 2)])
    limits: list[float] = []
    for layer in LAYERS:
        if layer == CHANCE and chances is not None:
            limits += list(poisson_binomial.quantile(chances, tails).astype(float))
        else:
            limits += list(np.quantile(draws[layer], tails, method="inverted_cdf"))
    own = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(draws[SHOCK], own, method="inverted_cdf")
    return dict(zip(LIMITS, limits, strict=True)) | {"ci_low": low, "ci_high": high}


def _scores(draws: dict[str, np.ndarray], observed: float, is_next: bool) -> dict[str, float]:
    """Continuous ranked probability score by layer, and where the outcome fell (mid-rank)."""
    if is_next:
        return {"pit": np.nan} | {f"crps_{layer}": np.nan for layer in LAYERS}
    full = draws[SHOCK]
    place = float((full < observed).mean() + 0.5 * (full == observed).mean())
    return {"pit": place} | {f"crps_{layer}": crps(draws[layer], observed) for layer in LAYERS}


def crps(draws: np.ndarray, observed: float) -> float:
    """Continuous ranked probability score of a sample: E|X − y| − E|X − X′| / 2.

    Source: Gneiting and Raftery (2007), JASA 102: 359, equation 21.
    """
    ordered, n = np.sort(draws), len(draws)
    spread = 2 * (ordered @ (2 * np.arange(1, n + 1) - n - 1)) / n**2
    return float(np.abs(draws - observed).mean() - spread / 2)


def _note(origin: Origin, n_known: int) -> str:
    few = f"{n_known} earlier forecasts: not recalibrated, no shock that months share"
    unknown = origin.n_of_unknown_age
    age = f"{unknown} accounts with tenure counted from the first day seen"
    unseen = [f"{n} accounts with a level of {driver} not seen before" for driver, n in
              unseen_levels(origin.months, origin.recipe).items()]  # fmt: skip
    told = [few] * (n_known < RECALIBRATED_ON) + [age] * (unknown > 0)
    return "; ".join([*told, *unseen])
