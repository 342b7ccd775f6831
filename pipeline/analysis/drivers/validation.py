"""Does the model hold on months that it has not seen, and which drivers carry it there?

Works on the hold-out of `origins`. Tables made: drivers.calibration, drivers.validation,
drivers.importance. The subtle point: a driver's importance is what is lost when its values are
exchanged among accounts of one month and segment, so that it is not credited for either.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.forecast import MANY
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.origins import Origin
from pipeline.statistics import cloglog, proportions
from pipeline.statistics.binary_validation import (
    clustered_error,
    discrimination,
    recalibrated,
    scaled_brier,
)
from pipeline.statistics.design_rows import DesignRows, rows_of

DECILES = 10
EXCHANGES = 20
"""Permutations per driver; of many account-months the mean over all there are."""
MOST_VALUES = 64
"""Parts of the predictor told apart in a cell; of more, means of as many equal shares."""
SEED = 20261101
CHAPTER, TASK = 4, 2
"""Of the stream of draws."""
WITHIN = ("period", "segment")
CALIBRATION_COLUMNS = ["band", "n", "n_events", "predicted", "observed", "ci_low", "ci_high"]
VALIDATION_COLUMNS = ["measure", "estimate", "ci_low", "ci_high", "n", "n_events", "note"]
IMPORTANCE_COLUMNS = ["driver", "loss", "ci_low", "ci_high", "n", "n_events", "n_exchanges"]


def held_against(held: Origin | None, confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calibration and validation of the months kept out.

    Args:
        held: from `hold_out`.
        confidence: of the intervals.

    Returns:
        Calibration, one row per tenth of predicted risk: band, n (account-months), n_events,
        predicted, observed, ci_low, ci_high (Wilson). Validation, one row per measure: measure,
        estimate, ci_low, ci_high, n, n_events, note. Both empty when there is nothing to hold
        against.
    """
    if held is None:
        return pd.DataFrame(columns=CALIBRATION_COLUMNS), pd.DataFrame(columns=VALIDATION_COLUMNS)
    row, accounts = held.months.listed
    risk, churned = held.probability[row], held.churned[row]
    measures = validation(risk, churned, held.null_rate, confidence, accounts)
    return calibration(risk, churned, confidence), measures


def calibration(risk: np.ndarray, churned: np.ndarray, confidence: float) -> pd.DataFrame:
    """Observed churn by tenth of predicted risk.

    Args:
        risk: predicted probability per account-month.
        churned: 0 or 1.
        confidence: of the Wilson intervals.

    Returns:
        One row per tenth: the columns of drivers.calibration.
    """
    band = stats.rankdata(risk, method="ordinal") - 1
    band = (band * DECILES // len(risk)).astype(int) + 1
    cells = pd.DataFrame({"band": band, "risk": risk, "churned": churned}).groupby("band")
    table = cells.agg(n=("risk", "size"), n_events=("churned", "sum"), predicted=("risk", "mean"))
    table = table.astype({"n_events": "int64"}).reset_index()
    share = proportions.wilson(table["n_events"], table["n"], confidence)
    return table.assign(
        observed=share.estimate, ci_low=share.ci_low, ci_high=share.ci_high
    )[CALIBRATION_COLUMNS]  # fmt: skip


def validation(
    risk: np.ndarray,
    churned: np.ndarray,
    null_rate: float,
    confidence: float,
    accounts: np.ndarray | None = None,
) -> pd.DataFrame:
    """Calibration in the large, its slope, discrimination, and gain over one rate for everybody.

    Args:
        risk: predicted probability per account-month.
        churned: 0 or 1.
        null_rate: churn per account-month in the months that were fitted.
        confidence: of the intervals.
        accounts: whose row it is, for the interval of the gain; None: each row its own.

    Returns:
        One row per measure: the columns of drivers.validation.

    Source: Steyerberg (2019), Clinical Prediction Models, chapter 15; Brier score against the rate.
    """
    intercept, slope = recalibrated(risk, churned)
    auc, auc_error = discrimination(risk, churned)
    z = stats.norm.ppf(0.5 + confidence / 2)
    observed = churned.sum()
    ratio = observed / risk.sum()
    gain, gain_error = scaled_brier(risk, churned, null_rate, accounts)
    rows = [
        ("observed_over_expected", ratio, z / np.sqrt(observed), "1: as many left as expected"),
        ("calibration_intercept", intercept[0], z * intercept[1], "0: right on the whole"),
        ("calibration_slope", slope[0], z * slope[1], "1: spread right; below: too extreme"),
        ("auc", auc, z * auc_error, "0.5: a coin; tells leavers from stayers"),
        ("gain_over_one_rate", gain, z * gain_error,
         "scaled Brier score; 0: no better than one rate for everybody"),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["measure", "estimate", "reach", "note"])
    is_ratio = table["measure"] == "observed_over_expected"
    low = (table["estimate"] - table["reach"]).where(~is_ratio, ratio * np.exp(-table["reach"]))
    high = (table["estimate"] + table["reach"]).where(~is_ratio, ratio * np.exp(table["reach"]))
    return table.assign(ci_low=low, ci_high=high, n=len(risk), n_events=int(observed))[
        VALIDATION_COLUMNS
    ]


def importance(held: Origin | None, confidence: float, seed: int = SEED) -> pd.DataFrame:
    """What the scaled Brier score loses when a driver's values are exchanged among like accounts.

    Args:
        held: from `hold_out`; exchanged within month and, where it is known, segment.
        confidence: of the intervals, linearised by account.
        seed: of the exchanges.

    Returns:
        One row per driver, largest loss first: driver, loss (share of the null model's squared
        error; 0: it carries nothing on months it has not seen), ci_low, ci_high, n (accounts),
        n_events, n_exchanges (blank: the mean over all exchanges). Empty without a hold-out.

    Source: Breiman (2001), section 10; permutation within strata. Each of a cell's values is as
    likely as any other to fall to an account, so that the mean over all exchanges is one over them.
    """
    if held is None:
        return pd.DataFrame(columns=IMPORTANCE_COLUMNS)
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CHAPTER, TASK)))
    n, is_many = held.months.weights, held.months.n_months >= MANY
    null_loss = n @ (held.churned - held.null_rate) ** 2
    z, rows = stats.norm.ppf(0.5 + confidence / 2), []
    design, (row, accounts) = held.design, held.months.listed
    for driver in held.recipe.terms["driver"].unique():
        rest, part = _apart(held, design, driver)
        cells = _cells(held.months, [name for name in WITHIN if name != driver])
        if is_many:
            exchanged = _mean_of_exchanges(held, rest, part, cells)
        else:
            exchanged = _drawn_exchanges(held, rest, part, cells, generator)
        worse = (exchanged - (held.churned - held.probability) ** 2) / null_loss
        loss = float(n @ worse)
        reach = z * clustered_error((worse - loss / n.sum())[row], accounts)
        rows.append((driver, loss, loss - reach, loss + reach))
    counts = {
        "n": len(np.unique(accounts)),
        "n_events": held.months.n_events,
        "n_exchanges": None if is_many else EXCHANGES,
    }
    table = pd.DataFrame(rows, columns=IMPORTANCE_COLUMNS[:4]).assign(**counts)
    return table.sort_values("loss", ascending=False, kind="stable", ignore_index=True)


def _apart(
    held: Origin, design: pd.DataFrame | DesignRows, driver: str
) -> tuple[np.ndarray, np.ndarray]:
    """The predictor without a driver's columns, and their part in it."""
    terms, params = held.recipe.terms, held.coefficients.params
    n_base = design.shape[1] - len(terms)
    own = n_base + np.flatnonzero((terms["driver"] == driver).to_numpy())
    if isinstance(design, pd.DataFrame):
        part = design.iloc[:, own].to_numpy(dtype=float) @ params[own]
    else:
        part = design.linear(np.where(np.isin(np.arange(len(params)), own), params, 0.0))
    return rows_of(design).linear(params) - part, part


def _cells(months: Months, names: list[str]) -> np.ndarray:
    """Rows of one month and, where it is known, segment."""
    keys = [name for name in names if name in months.rows]
    return months.rows.groupby(keys, dropna=False, observed=True).ngroup().to_numpy()


def _squared_error(held: Origin, eta: np.ndarray, row: np.ndarray | slice) -> np.ndarray:
    hazard = np.exp(np.clip(eta, cloglog.LOWEST, cloglog.HIGHEST))
    return np.asarray((held.churned[row] + np.expm1(-hazard)) ** 2)


def _drawn_exchanges(
    held: Origin,
    rest: np.ndarray,
    part: np.ndarray,
    cells: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mean squared error per row when the driver's part changes hands in a cell, some times."""
    order, error = np.argsort(cells, kind="stable"), np.zeros(len(rest))
    for _ in range(EXCHANGES):
        dealt = np.empty_like(part)
        dealt[order] = part[np.argsort(cells + generator.random(len(cells)))]  # within a cell
        error += _squared_error(held, rest + dealt, slice(None))
    return error / EXCHANGES


def _mean_of_exchanges(
    held: Origin, rest: np.ndarray, part: np.ndarray, cells: np.ndarray
) -> np.ndarray:
    """The same over all exchanges: each value of the cell, as often as the cell has it."""
    error, n = np.zeros(len(rest)), held.months.weights
    for cell in np.unique(cells):
        own = np.flatnonzero(cells == cell)
        for value, share in zip(*_values(part[own], n[own]), strict=True):
            error[own] += share * _squared_error(held, rest[own] + value, own)
    return error


def _values(part: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values and their shares; of too many, the means of equal shares in their order."""
    values, place = np.unique(part, return_inverse=True)
    count = np.bincount(place, n)
    if len(values) > MOST_VALUES:
        band = ((np.cumsum(count) - count / 2) * MOST_VALUES // count.sum()).astype(np.int64)
        total = np.bincount(band, count)
        values = np.bincount(band, count * values)[total > 0] / total[total > 0]
        count = total[total > 0]
    return values, count / count.sum()
