"""Would the drivers' model have known? And what does it expect of the month to come?

Works on the rows of `drivers`. Tables made: drivers.calibration, drivers.validation,
drivers.forecast. Models are fitted on earlier months and held against later ones, never on a random
split: the same account would stand on both sides.

The subtle point: months share shocks. An interval that only knows chance and coefficients is too
narrow; the misses of the last months say how much wider it must be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from pipeline.analysis.drivers import DriverModel
from pipeline.analysis.drivers_design import Recipe, encode, learn
from pipeline.statistics import cloglog, proportions
from pipeline.statistics.cloglog import Coefficients

WINDOWS = 6
DECILES = 10
DRAWS = 1000
SEED = 20261101
"""Of the draws behind a forecast's interval; fixed, so that a rebuilt report shows the same."""
ROWS_PER_BLOCK = 20_000_000
"""Probabilities held in memory at once."""
CALIBRATION_COLUMNS = ["band", "n", "n_events", "predicted", "observed", "ci_low", "ci_high"]
VALIDATION_COLUMNS = ["measure", "estimate", "ci_low", "ci_high", "n", "n_events", "note"]
FORECAST_COLUMNS = [
    "target_period", "measure", "expected", "ci_low", "ci_high", "observed", "n", "is_next", "note",
]  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """One rolling origin: fitted on the months before `period`, held against it."""

    period: str
    recipe: Recipe
    coefficients: Coefficients
    rows: pd.DataFrame
    probability: np.ndarray

    @property
    def columns(self) -> pd.Series:
        """Coefficients of the drivers, by driver and level."""
        terms = self.recipe.terms
        values = self.coefficients.params[-len(terms) :]
        return pd.Series(values, index=pd.MultiIndex.from_frame(terms[["driver", "level"]]))


def rolling_origins(
    rows: pd.DataFrame, candidates: list[str], events_per_parameter: float, most: int = WINDOWS
) -> list[Origin]:
    """Fit before each of the newest settled months on all months before it.

    Args:
        rows: from `drivers.settled`.
        candidates: names of drivers.
        events_per_parameter: fewest events per driver term; an origin with fewer is left out.
        most: number of origins.

    Returns:
        The origins, oldest first.
    """
    origins: list[Origin] = []
    for period in sorted(rows["period"].unique())[1:][-most:]:
        earlier = rows[rows["period"] < period].reset_index(drop=True)
        month = rows[rows["period"] == period].reset_index(drop=True)
        before = origins[-1].coefficients.params if origins else None
        fitted = _fit(earlier, candidates, events_per_parameter, before)
        if fitted is not None:
            share = cloglog.probability(encode(month, fitted[0]).to_numpy(), fitted[1].params)
            origins.append(Origin(period, *fitted, month, share))
    return origins


def sign_records(model: DriverModel, origins: list[Origin]) -> pd.Series:
    """Share of the rolling origins whose coefficient has today's sign.

    Args:
        model: from `drivers.fit`.
        origins: from `rolling_origins`.

    Returns:
        One share per driver column of the model; blank without an origin that holds the term.
    """
    terms = model.recipe.terms
    if model.fitted is None or not origins:
        return pd.Series(np.nan, index=terms["column"], dtype=float)
    keys = pd.MultiIndex.from_frame(terms[["driver", "level"]])
    signs = pd.concat([np.sign(origin.columns).reindex(keys) for origin in origins], axis=1)
    today = np.sign(model.fitted.params[terms["column"]].to_numpy())
    held = signs.eq(pd.Series(today, index=keys), axis=0).where(signs.notna())
    return pd.Series(held.astype(float).mean(axis=1).to_numpy(), index=terms["column"])


def hold_out(
    rows: pd.DataFrame,
    candidates: list[str],
    months: int,
    events_per_parameter: float,
    confidence: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit without the newest settled months and hold the model against them.

    Args:
        rows: from `drivers.settled`.
        candidates: names of drivers.
        months: newest settled months kept from the fit.
        events_per_parameter: fewest events per driver term in the months that are fitted.
        confidence: of the intervals.

    Returns:
        Calibration, one row per tenth of predicted risk: band, n (account-months), n_events,
        predicted, observed, ci_low, ci_high (Wilson). Validation, one row per measure: measure,
        estimate, ci_low, ci_high, n, n_events, note. Both empty when there is nothing to hold
        against.

    Source: Steyerberg (2019), Clinical Prediction Models, chapter 15; Brier score against the rate.
    """
    periods = sorted(rows["period"].unique())
    kept_out = periods[-months:]
    later = rows[rows["period"].isin(kept_out)].reset_index(drop=True)
    earlier = rows[~rows["period"].isin(kept_out)].reset_index(drop=True)
    fitted = _fit(earlier, candidates, events_per_parameter)
    if fitted is None or not later["is_churn"].any():
        return pd.DataFrame(columns=CALIBRATION_COLUMNS), pd.DataFrame(columns=VALIDATION_COLUMNS)
    risk = cloglog.probability(encode(later, fitted[0]).to_numpy(), fitted[1].params)
    churned = later["is_churn"].to_numpy(float)
    return (
        calibration(risk, churned, confidence),
        validation(
            risk,
            churned,
            float(earlier["is_churn"].mean()),
            confidence,
            later["account_id"].to_numpy(),
        ),
    )


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
    """
    logit = np.log(risk / (1 - risk))
    intercept, slope = _recalibrated(logit, churned)
    auc, auc_error = _auc(risk, churned)
    z = stats.norm.ppf(0.5 + confidence / 2)
    observed, expected = churned.sum(), risk.sum()
    ratio = observed / expected
    gain, gain_error = _gain(risk, churned, null_rate, accounts)
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


def forecast(
    rows: pd.DataFrame,
    model: DriverModel,
    origins: list[Origin],
    confidence: float,
    seed: int = SEED,
) -> pd.DataFrame:
    """Customers and MRR expected to be lost in the next month, beside the last forecasts.

    Args:
        rows: from `drivers.driver_rows`; those without an outcome are the month to come.
        model: from `drivers.fit`.
        origins: from `rolling_origins`: what would have been said before each month.
        confidence: of the intervals: chance, coefficients and shared shocks of a month.
        seed: of the draws.

    Returns:
        One row per month and measure (customers_lost, mrr_lost): the columns of drivers.forecast.
        Completed and administrative exits are not forecast. Empty without a model.
    """
    if model.fitted is None:
        return pd.DataFrame(columns=FORECAST_COLUMNS)
    shock = shared_shock(origins)
    tables = []
    for position, origin in enumerate(origins):
        lost = _simulate(
            encode(origin.rows, origin.recipe).to_numpy(), origin.coefficients.params,
            origin.coefficients.cov, origin.rows["mrr"].to_numpy(float), shock, len(origins),
            np.random.default_rng([seed, position]),
        )  # fmt: skip
        tables.append(_forecast_rows(origin.period, origin.rows, origin.probability, lost,
                                     confidence, is_next=False))  # fmt: skip
    coming = rows[rows["is_churn"].isna()]
    coming = coming[coming["period"] == coming["period"].min()].reset_index(drop=True)
    if len(coming):
        design = encode(coming, model.recipe).to_numpy()
        params, cov = model.fitted.params.to_numpy(), model.fitted.cov.to_numpy()
        mrr = coming["mrr"].to_numpy(float)
        generator = np.random.default_rng([seed, len(origins)])
        lost = _simulate(design, params, cov, mrr, shock, len(origins), generator)
        risk = cloglog.probability(design, params)
        tables.append(_forecast_rows(coming["period"].iloc[0], coming, risk, lost, confidence,
                                     is_next=True))  # fmt: skip
    if not tables:
        return pd.DataFrame(columns=FORECAST_COLUMNS)
    return pd.concat(tables, ignore_index=True)[FORECAST_COLUMNS]


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
    for measure, name in (("customers_lost", "customers"), ("mrr_lost", "mrr")):
        part = forecasts[forecasts["measure"] == measure].set_index("target_period")
        blocks.append(
            part[list(kinds.values())].set_axis([f"{name}_{kind}" for kind in kinds], axis=1)
        )
    n = forecasts.drop_duplicates("target_period").set_index("target_period")[["n"]]
    return n.join(blocks).tail(months).reset_index()


def shared_shock(origins: list[Origin]) -> float:
    """Standard deviation of the log hazard that months share, by moments of the last misses.

    Args:
        origins: from `rolling_origins`.

    Returns:
        The square root of max(0, (mean squared miss − mean chance variance) / mean expected²).
    """
    if len(origins) < 2:
        return 0.0
    expected = np.array([origin.probability.sum() for origin in origins])
    observed = np.array([origin.rows["is_churn"].sum() for origin in origins], dtype=float)
    chance = [(origin.probability * (1 - origin.probability)).sum() for origin in origins]
    excess = ((observed - expected) ** 2).mean() - np.mean(chance)
    return float(np.sqrt(max(0.0, excess) / expected.mean() ** 2))


def _fit(
    rows: pd.DataFrame,
    candidates: list[str],
    events_per_parameter: float,
    before: np.ndarray | None = None,
) -> tuple[Recipe, Coefficients] | None:
    """Fit, from the coefficients of the fit before when it has as many; None: too few events."""
    if not len(rows) or not rows["is_churn"].any():
        return None
    recipe = learn(rows, candidates)
    n_terms = len(recipe.terms)
    if n_terms == 0 or rows["is_churn"].sum() < events_per_parameter * n_terms:
        return None
    design = encode(rows, recipe).to_numpy()
    start = before if before is not None and len(before) == design.shape[1] else None
    return recipe, cloglog.scoring(rows["is_churn"], design, start)


def _simulate(
    design: np.ndarray,
    params: np.ndarray,
    cov: np.ndarray,
    mrr: np.ndarray,
    shock: float,
    n_origins: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draws of customers and MRR lost: coefficients, a shock shared by the month, and chance."""
    draws = int(np.clip(ROWS_PER_BLOCK // max(len(mrr), 1), 100, DRAWS))
    values, vectors = np.linalg.eigh(cov)
    spread = vectors * np.sqrt(np.clip(values, 0, None))
    shocks = (
        shock * generator.standard_t(max(n_origins - 1, 1), draws) if shock else np.zeros(draws)
    )
    lost = np.empty((draws, 2))
    for draw in range(draws):
        own = params + spread @ generator.standard_normal(len(params))
        risk = -np.expm1(np.log1p(-cloglog.probability(design, own)) * np.exp(shocks[draw]))
        gone = generator.random(len(mrr)) < risk
        lost[draw] = gone.sum(), mrr[gone].sum()
    return lost


def _forecast_rows(
    period: str,
    rows: pd.DataFrame,
    risk: np.ndarray,
    lost: np.ndarray,
    confidence: float,
    is_next: bool,
) -> pd.DataFrame:
    mrr = rows["mrr"].to_numpy(float)
    gone = (rows["is_churn"] == True).to_numpy(bool)  # noqa: E712 - blank is not known yet
    tail = (1 - confidence) / 2
    low, high = np.quantile(lost, [tail, 1 - tail], axis=0, method="inverted_cdf")
    unknown = int((~rows["is_age_known"]).sum())
    note = f"{unknown} accounts with tenure counted from the first day seen" if unknown else ""
    return pd.DataFrame(
        {
            "target_period": period,
            "measure": ["customers_lost", "mrr_lost"],
            "expected": [risk.sum(), (risk * mrr).sum()],
            "ci_low": low,
            "ci_high": high,
            "observed": [np.nan, np.nan] if is_next else [float(gone.sum()), mrr[gone].sum()],
            "n": len(rows),
            "is_next": is_next,
            "note": note,
        }
    )


def _recalibrated(
    logit: np.ndarray, churned: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intercept with the prediction as offset, and slope, each with its standard error."""

    def newton(columns: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def score(b: np.ndarray) -> np.ndarray:
            return columns.T @ (churned - 1 / (1 + np.exp(-(offset + columns @ b))))

        start = np.zeros(columns.shape[1])
        start[-1] = float(columns.shape[1] > 1)
        b = optimize.root(score, start, tol=1e-10).x
        share = 1 / (1 + np.exp(-(offset + columns @ b)))
        information = columns.T @ (columns * (share * (1 - share))[:, None])
        return b, np.sqrt(np.diag(np.linalg.pinv(information)))

    ones = np.ones((len(logit), 1))
    b, error = newton(ones, logit)
    both, errors = newton(np.column_stack([ones, logit]), np.zeros(len(logit)))
    return (float(b[0]), float(error[0])), (float(both[1]), float(errors[1]))


def _gain(
    risk: np.ndarray, churned: np.ndarray, null_rate: float, accounts: np.ndarray | None
) -> tuple[float, float]:
    """Scaled Brier score, and its error: paired by row, summed by account, linearised."""
    loss, null_loss = (churned - risk) ** 2, (churned - null_rate) ** 2
    gain = 1 - loss.sum() / null_loss.sum()
    residual = ((1 - gain) * null_loss - loss) / null_loss.sum()
    owner = np.arange(len(risk)) if accounts is None else pd.factorize(accounts)[0]
    sums = np.bincount(owner, residual)
    if len(sums) < 2:
        return float(gain), np.nan
    return float(gain), float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()))


def _auc(risk: np.ndarray, churned: np.ndarray) -> tuple[float, float]:
    """Chance that a leaver had the higher risk, ties count half, and its error.

    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44: 837.
    """
    left, stayed = risk[churned == 1], risk[churned == 0]
    if min(len(left), len(stayed)) < 2:
        return np.nan, np.nan
    ranks = stats.rankdata(risk)
    below = (ranks[churned == 1] - stats.rankdata(left)) / len(stayed)
    above = 1 - (ranks[churned == 0] - stats.rankdata(stayed)) / len(left)
    variance = below.var(ddof=1) / len(left) + above.var(ddof=1) / len(stayed)
    return float(below.mean()), float(np.sqrt(variance))
