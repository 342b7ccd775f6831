"""Would the primary contrast be another one had we chosen otherwise?

Works on the rows of `driver_rows` before any lag. One choice is varied at a time against the
primary fit. The subtle point: a specification is shown whatever it says; one that could not be
fitted keeps its row and the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg

from pipeline.analysis import choices
from pipeline.analysis.choices import SPECIFICATION_COLUMNS
from pipeline.analysis.drivers.design import Recipe, encode, learn
from pipeline.analysis.drivers.rows import MANAGER, blackout_months, lagged, settled
from pipeline.analysis.levels import NOT_MEASURED
from pipeline.analysis.reliability import LARGEST_SHARE
from pipeline.statistics import cloglog, grouped_hazard

CLOGLOG, LOGIT = "grouped-time hazard", "logistic"
COX = "Cox on months, errors not clustered"
ACCOUNT, EACH_ROW = "account_id", ""
USAGE = "usage"
MOST_YEARS = 4
"""Newest years of start that are left out one at a time."""


@dataclass(frozen=True)
class Choice:
    """One way to estimate the contrast."""

    choice: str
    specification: str
    rows: pd.DataFrame
    candidates: tuple[str, ...]
    model: str = CLOGLOG
    cluster: str = ACCOUNT
    note: str = ""


def specifications(
    rows: pd.DataFrame,
    candidates: list[str],
    driver: str,
    events_per_parameter: float,
    confidence: float,
) -> pd.DataFrame:
    """The primary contrast under other choices.

    Args:
        rows: from `driver_rows`, not lagged; with end_type, mrr, tenure_months and, where it is
            known, csm_id.
        candidates: names of drivers.
        driver: of the contrast; of several levels the most frequent after the reference.
        events_per_parameter: fewest events per driver term.
        confidence: of the intervals.

    Returns:
        One row per specification, the primary first: chapter, contrast, choice, specification,
        estimate (ratio of hazards; of odds for the logistic one), ci_low, ci_high, unit, n
        (accounts), n_events, is_primary, note (why blank).

    Source: Simonsohn, Simmons and Nelson (2020), Nature Human Behaviour 4: 1208.
    """
    if driver not in candidates:
        candidates = [*candidates, driver]
    every = alternatives(rows, candidates, driver)
    primary = every[0]
    recipe = learn(primary.rows, list(primary.candidates), folds_separated=True)
    begin, table = _beginning(primary, recipe), []
    for one in every:
        found = ratio(one, driver, recipe, events_per_parameter, confidence, begin)
        named = {"choice": one.choice, "specification": one.specification}
        is_first = one is primary
        table.append({**named, **found, "is_primary": is_first, "note": found["note"] or one.note})
    shared = {"chapter": "drivers", "contrast": driver, "unit": "ratio"}
    return pd.DataFrame(table).assign(**shared)[SPECIFICATION_COLUMNS]


def alternatives(rows: pd.DataFrame, candidates: list[str], driver: str) -> list[Choice]:
    """Every specification that the rows allow, the primary first."""
    own, lag = tuple(candidates), blackout_months(rows)
    known = settled(lagged(rows, candidates, lag))
    primary = Choice("primary", choices.primary(f"{CLOGLOG}, all drivers"), known, own)
    older = [
        replace(primary, choice="lag", specification=words, rows=_older(rows, candidates, lag + by))
        for by, words in ((1, "one month older"), (2, "two months older"))
    ]
    models = [
        replace(primary, choice="model", specification=model, model=model) for model in (LOGIT, COX)
    ]
    without_usage = tuple(name for name in own if not name.startswith(USAGE) or name == driver)
    covariates = [
        replace(primary, choice="covariates", specification=words, candidates=names)
        for words, names in (("tenure and calendar only", (driver,)),
                             ("without usage", without_usage))
        if names != own
    ]  # fmt: skip
    errors = [
        replace(primary, choice="errors", specification=words, cluster=by)
        for words, by in (("clustered by manager", MANAGER), ("each month on its own", EACH_ROW))
        if by in known or not by
    ]
    return [primary, *older, *models, *covariates, *_samples(primary), *errors]


def ratio(
    one: Choice,
    driver: str,
    primary: Recipe,
    events_per_parameter: float,
    confidence: float,
    begin: np.ndarray | None = None,
) -> dict[str, object]:
    """Estimate one specification, in the unit of the primary recipe.

    Args:
        one: the specification.
        driver: of the contrast.
        primary: recipe whose unit the ratio keeps.
        events_per_parameter: fewest events per driver term.
        confidence: of the interval.
        begin: coefficients to start from where there are as many.

    Returns:
        estimate, ci_low, ci_high, n, n_events, note; blank with the reason when it cannot be.
    """
    n_events = int(one.rows["is_churn"].sum())
    counts = {"n": int(one.rows["account_id"].nunique()), "n_events": n_events}
    blank = {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, **counts}
    recipe = learn(one.rows, list(one.candidates), folds_separated=True) if n_events else primary
    if not n_events or n_events < events_per_parameter * len(recipe.terms):
        return {**blank, "note": f"too few: {n_events} churns for {len(recipe.terms)} terms"}
    terms = recipe.terms[recipe.terms["level"] != NOT_MEASURED]
    levels = one.rows[driver].astype(str).value_counts() if driver in one.rows else {}
    own = terms[terms["driver"] == driver]
    if not len(own):
        return {**blank, "note": f"{driver} carries nothing in these rows"}
    column = max(own.itertuples(), key=lambda row: levels.get(row.level, 0)).column
    coefficient, error, degrees = _estimated(one, recipe, column, begin)
    scale = _scale(primary, driver) / _scale(recipe, driver)
    reach = stats.t.ppf(0.5 + confidence / 2, degrees) * error
    limits = np.exp(scale * (coefficient + np.array([0.0, -reach, reach])))
    return {
        **dict(zip(("estimate", "ci_low", "ci_high"), limits.tolist(), strict=True)),
        **counts,
        "note": "",
    }


def _beginning(primary: Choice, recipe: Recipe) -> np.ndarray | None:
    """The primary fit's coefficients, from which the others start."""
    if not primary.rows["is_churn"].any() or recipe.terms.empty:
        return None
    design = encode(primary.rows, recipe).to_numpy(dtype=float)
    return cloglog.scoring(primary.rows["is_churn"], design).params


def _estimated(
    one: Choice, recipe: Recipe, column: str, begin: np.ndarray | None
) -> tuple[float, float, float]:
    """Coefficient, its error, degrees of freedom."""
    design, churned = encode(one.rows, recipe), one.rows["is_churn"].to_numpy(float)
    groups, degrees = one.rows[one.cluster] if one.cluster else None, np.inf
    if groups is not None and one.cluster == MANAGER:
        groups = groups.where(groups.notna(), one.rows["account_id"]).astype(str)
        degrees = max(groups.nunique() - 2, 1)
    if one.model == COX:
        return *_cox(one.rows, design[[*_calendar(design), *recipe.columns]], column), degrees
    if one.model == LOGIT:
        fitted = grouped_hazard.fit(churned, design, groups, link="logit")
        error = np.sqrt(fitted.cov.loc[column, column])
        return float(fitted.params[column]), float(error), degrees
    start = begin if begin is not None and len(begin) == design.shape[1] else None
    quick = cloglog.scoring(churned, design.to_numpy(), start)
    if groups is not None:
        quick = cloglog.clustered(churned, design.to_numpy(), quick, groups)
    at = design.columns.get_loc(column)
    return float(quick.params[at]), float(np.sqrt(quick.cov[at, at])), degrees


def _cox(rows: pd.DataFrame, covariates: pd.DataFrame, column: str) -> tuple[float, float]:
    """Cox's model on months as start–stop rows, Efron ties; its errors are the model's own.

    A row is at risk in (month, month + 1]. The library counts one that enters at t as at risk at t,
    so entries are moved half a month into the row, where no event lies.
    """
    start = rows["tenure_months"].to_numpy(float)
    model = PHReg(
        start + 1, covariates.to_numpy(), status=rows["is_churn"].to_numpy(float),
        entry=start + 0.5,
        ties="efron",
    )  # fmt: skip
    found = model.fit(disp=0)
    at = covariates.columns.get_loc(column)
    return float(found.params[at]), float(found.bse[at])


def _calendar(design: pd.DataFrame) -> list[str]:
    return [name for name in design.columns if name.startswith("quarter")]


def _samples(primary: Choice) -> list[Choice]:
    """The primary fit on other rows."""
    rows, share = primary.rows, 1 - LARGEST_SHARE
    started = _start_year(rows)
    parts: dict[str, np.ndarray] = {
        "without the first month": rows["tenure_months"].to_numpy() > 0,
        choices.WITHOUT_LARGEST: (rows["mrr"] <= rows["mrr"].quantile(share))
        .to_numpy(),
    }  # fmt: skip
    names = [name for name in primary.candidates if name in rows]
    is_complete = rows[names].notna().all(axis=1).to_numpy()
    if not is_complete.all():
        parts["complete cases only"] = is_complete
    for year in np.unique(started)[-MOST_YEARS:]:
        parts[choices.without_starters_of(year)] = started != year
    found = [
        replace(primary, choice="sample", specification=words,
                rows=rows[mask].reset_index(drop=True))
        for words, mask in parts.items()
    ]  # fmt: skip
    if "end_type" in rows:
        voluntary = rows["is_churn"] & (rows["end_type"] == "voluntary")
        found.append(
            replace(primary, choice="event", specification=choices.VOLUNTARY_ONLY,
                    rows=rows.assign(is_churn=voluntary))
        )  # fmt: skip
    return found


def _start_year(rows: pd.DataFrame) -> np.ndarray:
    months = rows["period"].str[:4].astype(int) * 12 + rows["period"].str[5:7].astype(int) - 1
    return ((months - rows["tenure_months"]) // 12).to_numpy()


def _older(rows: pd.DataFrame, candidates: list[str], months: int) -> pd.DataFrame:
    known = settled(lagged(rows, candidates, months))
    return known[known["is_lag_known"].to_numpy(bool)].reset_index(drop=True)


def _scale(recipe: Recipe, driver: str) -> float:
    found = [feature.scale for feature in recipe.features if feature.driver == driver]
    return found[0] if found else 1.0
