"""How good were the forecasts, and is the model worth more than a mean?

Works on drivers.back_test. Tables made: drivers.back_test_grades, drivers.forecast. The subtle
point: a model that does not beat the mean of the last three months is not shipped. The mean is then
what is forecast, with an interval made of its own misses, and the table says so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.back_test import (
    CUSTOMERS,
    MODEL,
    MONEY,
    RECENT_MEAN,
    YEAR_AGO,
)
from pipeline.analysis.drivers.forecast import LAYERS, LEVELS, SHOCK
from pipeline.statistics.proportions import clopper_pearson

FEWEST_ORIGINS = 12
PIT_BINS = 5
GRADE_COLUMNS = [
    "measure", "forecast", "layer", "grade", "level", "estimate", "ci_low", "ci_high", "n", "note",
]  # fmt: skip
FORECAST_COLUMNS = [
    "target_period", "measure", "expected", "ci_low", "ci_high", "observed", "n", "is_next",
    "method", "note",
]  # fmt: skip
READ_AS = {
    "mae": "mean_error", "mase": "error_over_monthly_change", "crps": "score",
    "coverage": "inside",
}  # fmt: skip
"""Grades that are read beside each other, in words."""
COMPACT_COLUMNS = [
    "forecast", "layer", "n", *list(READ_AS.values())[:-1],
    *(f"inside_{round(100 * level)}{side}" for level in LEVELS for side in ("", "_low", "_high")),
]  # fmt: skip
AS_SHARES = {name: "share" for name in COMPACT_COLUMNS if name.startswith("inside")} | {
    name: "number" for name in list(READ_AS.values())[:-1]
}
"""How these columns are written."""
FORECAST_SPANS = {
    f"{label} lost": {
        f"{name}_expected": "Expected", f"{name}_low": "Interval", f"{name}_observed": "Observed",
    }
    for name, label in (("customers", "Customers"), ("mrr", "MRR"))
}  # fmt: skip
"""Heads over the columns of `side_by_side`."""
TOO_FEW_TO_CERTIFY = "so few origins cannot certify a coverage of 95 in 100"
RECENT_WORDS = "mean of the last 3 settled months"


def grades(back_test: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Grade the back-test.

    Args:
        back_test: from `back_test`; the month to come is left aside.
        confidence: of the limits of a coverage (Clopper–Pearson).

    Returns:
        One row per measure, forecast (model and benchmarks), layer and grade: mae (mean absolute
        error), mase (that over the mean absolute change from month to month), crps, coverage (by
        level), pit (origins whose outcome fell into a fifth of the forecast, `level` its upper
        edge), observed_over_expected. `n`: origins.

    Source: Hyndman and Koehler (2006) for mase; Gneiting and Raftery (2007) for crps.
    """
    past = back_test[~back_test["is_next"].astype(bool)]
    rows = []
    for measure, origins in past.groupby("measure", sort=False):
        rows += [(measure, *row) for row in _errors(origins)]
        rows += [(measure, *row) for row in _spread(origins, confidence)]
    return pd.DataFrame(rows, columns=GRADE_COLUMNS)


def shipped(grades: pd.DataFrame) -> pd.DataFrame:
    """Whether the model is shipped, by measure: its error is below that of the 3-month mean.

    Args:
        grades: from `grades`.

    Returns:
        One row per measure: measure, error_of_model, error_of_mean (mean absolute), n (origins),
        is_shipped, note.
    """
    columns = ["measure", "error_of_model", "error_of_mean", "n", "is_shipped", "note"]
    errors = grades[grades["grade"] == "mae"]
    rows = []
    for measure in (CUSTOMERS, MONEY):
        own = errors[errors["measure"] == measure].set_index("forecast")
        if not len(own):
            continue
        model, mean = (float(own["estimate"].get(name, np.nan)) for name in (MODEL, RECENT_MEAN))
        n, is_better = int(own.loc[MODEL, "n"]), model < mean
        note = "better than the mean of 3 months" if is_better else f"not shipped: {RECENT_WORDS}"
        few = f"; {n} origins, {FEWEST_ORIGINS} are asked for" if n < FEWEST_ORIGINS else ""
        rows.append((measure, model, mean, n, is_better, note + few))
    return pd.DataFrame(rows, columns=columns)


def forecast(back_test: pd.DataFrame, ships: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The forecast that is shown: the model's, or the benchmark's where the model is not shipped.

    Args:
        back_test: from `back_test`, the month to come last.
        ships: from `shipped`.
        confidence: of the benchmark's interval; the model's is in the back-test.

    Returns:
        One row per month and measure (customers_lost, mrr_lost): the columns of drivers.forecast.
        Empty without a model.
    """
    tables = []
    for measure, origins in back_test.groupby("measure", sort=False):
        is_shipped = bool(ships.loc[ships["measure"] == measure, "is_shipped"].any())
        tables.append(_by_model(origins) if is_shipped else _by_mean(origins, confidence))
    if not tables:
        return pd.DataFrame(columns=FORECAST_COLUMNS)
    whole = pd.concat(tables, ignore_index=True).rename(columns={"period": "target_period"})
    return whole.sort_values(["target_period", "measure"], ignore_index=True)[FORECAST_COLUMNS]


def side_by_side(forecasts: pd.DataFrame, months: int = 2) -> pd.DataFrame:
    """The newest forecasts, one row per month, customers and MRR beside each other.

    Args:
        forecasts: from `forecast`.
        months: rows.

    Returns:
        One row per month: target_period, n, then expected, low, high and observed of customers
        and of mrr.
    """
    kinds = {"expected": "expected", "low": "ci_low", "high": "ci_high", "observed": "observed"}
    blocks = []
    for measure, name in ((CUSTOMERS, "customers"), (MONEY, "mrr")):
        part = forecasts[forecasts["measure"] == measure].set_index("target_period")
        blocks.append(
            part[list(kinds.values())].set_axis([f"{name}_{kind}" for kind in kinds], axis=1)
        )
    n = forecasts.drop_duplicates("target_period").set_index("target_period")[["n"]]
    return n.join(blocks).tail(months).reset_index()


def compact(grades: pd.DataFrame) -> pd.DataFrame:
    """Errors and coverage of the customers' forecast, for reading: one row per forecast and layer.

    Args:
        grades: from `grades`.

    Returns:
        One row per forecast and layer: the columns of COMPACT_COLUMNS; n: origins.
    """
    own = grades[(grades["measure"] == CUSTOMERS) & grades["grade"].isin(list(READ_AS))]
    rows = []
    for (name, layer), part in own.groupby(["forecast", "layer"], sort=False):
        row = {"forecast": name, "layer": layer, "n": int(part["n"].max())}
        for line in part.itertuples():
            key = READ_AS[line.grade]
            if line.grade == "coverage":
                key = f"{key}_{round(100 * line.level)}"
                row |= {f"{key}_low": line.ci_low, f"{key}_high": line.ci_high}
            row[key] = line.estimate
        rows.append(row)
    return pd.DataFrame(rows).reindex(columns=COMPACT_COLUMNS)


def _errors(origins: pd.DataFrame) -> list[tuple]:
    observed = origins["observed"].to_numpy(float)
    step = np.abs(np.diff(observed)).mean() if len(observed) > 1 else np.nan
    rows = []
    columns = {MODEL: "expected", RECENT_MEAN: RECENT_MEAN, YEAR_AGO: YEAR_AGO}
    is_told = origins[RECENT_MEAN].notna().to_numpy()
    for name, column in columns.items():
        guess = origins[column].to_numpy(float)
        use = is_told & np.isfinite(guess) if is_told.any() else np.isfinite(guess)
        if not use.any():
            continue
        miss, n, foretold = np.abs(guess - observed)[use], int(use.sum()), guess[use].sum()
        rows += [
            (name, "", "mae", np.nan, miss.mean(), np.nan, np.nan, n, ""),
            (name, "", "mase", np.nan, miss.mean() / step if step else np.nan, np.nan, np.nan, n,
             "1: as wrong as saying the month before again"),
            (name, "", "observed_over_expected", np.nan,
             observed[use].sum() / foretold if foretold > 0 else np.nan, np.nan, np.nan, n, ""),
        ]  # fmt: skip
    return rows


def _spread(origins: pd.DataFrame, confidence: float) -> list[tuple]:
    """Coverage and sharpness by layer, and where the outcomes fell."""
    n, rows = len(origins), []
    for layer in LAYERS:
        score = origins[f"crps_{layer}"].mean()
        rows.append((MODEL, layer, "crps", np.nan, score, np.nan, np.nan, n, ""))
        for level in LEVELS:
            name = f"{layer}_{round(100 * level)}"
            inside = origins["observed"].between(origins[f"{name}_low"], origins[f"{name}_high"])
            share, low, high = map(float, clopper_pearson(int(inside.sum()), n, confidence))
            rows.append((MODEL, layer, "coverage", level, share, low, high, n, TOO_FEW_TO_CERTIFY))
    counts, edges = np.histogram(origins["pit"], bins=PIT_BINS, range=(0, 1))
    rows += [
        (
            MODEL,
            SHOCK,
            "pit",
            edge,
            float(count),
            np.nan,
            np.nan,
            n,
            "flat when the spread is right",
        )
        for count, edge in zip(counts, edges[1:], strict=True)
    ]
    return rows


def _by_model(origins: pd.DataFrame) -> pd.DataFrame:
    return origins.assign(method=MODEL)


def _by_mean(origins: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """The benchmark between limits made of its own relative misses in the back-test."""
    guess, observed = origins[RECENT_MEAN].to_numpy(float), origins["observed"].to_numpy(float)
    is_told = np.isfinite(observed) & np.isfinite(guess) & (guess > 0)
    miss = observed[is_told] / guess[is_told] - 1
    spread = np.sqrt((miss**2).mean()) if len(miss) > 1 else np.nan
    reach = stats.t.ppf(0.5 + confidence / 2, max(len(miss) - 1, 1)) * spread * guess
    return origins.assign(
        expected=guess,
        ci_low=np.clip(guess - reach, 0, None),
        ci_high=guess + reach,
        method=RECENT_MEAN,
        note=f"the model was no better: {RECENT_WORDS}, limits from its {len(miss)} misses",
    )
