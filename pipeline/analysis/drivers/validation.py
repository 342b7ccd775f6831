"""Does the model hold on months that it has not seen, and which drivers carry it there?

Works on the hold-out of `origins`. Tables made: drivers.calibration, drivers.validation,
drivers.importance. The subtle point: a driver's importance is what is lost when its values are
exchanged among accounts of one month and segment, so that it is not credited for either.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.origins import Origin
from pipeline.statistics import cloglog, proportions
from pipeline.statistics.binary_validation import (
    clustered_error,
    discrimination,
    recalibrated,
    scaled_brier,
)

DECILES = 10
EXCHANGES = 20
"""Permutations per driver."""
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
    risk, churned = held.probability, held.churned
    accounts = held.rows["account_id"].to_numpy()
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
        n_events, n_exchanges. Empty without a hold-out.

    Source: Breiman (2001), section 10; permutation within strata.
    """
    if held is None:
        return pd.DataFrame(columns=IMPORTANCE_COLUMNS)
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(CHAPTER, TASK)))
    churned, accounts = held.churned, held.rows["account_id"].to_numpy()
    null_loss = ((churned - held.null_rate) ** 2).sum()
    z, rows = stats.norm.ppf(0.5 + confidence / 2), []
    design = held.design
    for driver in held.recipe.terms["driver"].unique():
        keys = [name for name in WITHIN if name in held.rows and name != driver]
        cells = held.rows.groupby(keys, dropna=False, observed=True).ngroup().to_numpy()
        worse = _loss_when_exchanged(held, design, driver, cells, generator) / null_loss
        reach = z * clustered_error(worse - worse.mean(), accounts)
        rows.append((driver, worse.sum(), worse.sum() - reach, worse.sum() + reach))
    counts = {
        "n": int(held.rows["account_id"].nunique()),
        "n_events": int(churned.sum()),
        "n_exchanges": EXCHANGES,
    }
    table = pd.DataFrame(rows, columns=IMPORTANCE_COLUMNS[:4]).assign(**counts)
    return table.sort_values("loss", ascending=False, kind="stable", ignore_index=True)


def _loss_when_exchanged(
    held: Origin,
    design: np.ndarray,
    driver: str,
    cells: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mean rise of the squared error per row when the driver's columns change hands in a cell."""
    terms = held.recipe.terms
    n_base = design.shape[1] - len(terms)
    own = n_base + np.flatnonzero((terms["driver"] == driver).to_numpy())
    params = held.coefficients.params
    rest, part = design @ params, design[:, own] @ params[own]
    order, rise = np.argsort(cells, kind="stable"), np.zeros(len(rest))
    for _ in range(EXCHANGES):
        dealt = np.empty_like(part)
        dealt[order] = part[np.argsort(cells + generator.random(len(cells)))]  # within a cell
        eta = np.clip(rest - part + dealt, cloglog.LOWEST, cloglog.HIGHEST)
        rise += (held.churned + np.expm1(-np.exp(eta))) ** 2
    return rise / EXCHANGES - (held.churned - held.probability) ** 2
