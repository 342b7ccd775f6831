"""What goes with leaving next month? The one model of the chapter.

Works on settled rows. A grouped-time hazard with errors clustered by account; with few events, or a
level at which nobody left, a logistic regression with Firth's penalty; with fewer still, none. The
subtle point: the choice among the three is made by counts alone, never by what they would say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.genmod.generalized_linear_model import GLMResults

from pipeline.analysis import fits
from pipeline.analysis.drivers.design import Recipe, design_of, encode, learned, without
from pipeline.analysis.drivers.kinds import counted
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.rows import MANAGER
from pipeline.statistics import cloglog, grouped_hazard
from pipeline.statistics.design_rows import DesignRows, rows_of
from pipeline.statistics.firth import firth_logistic
from pipeline.statistics.grouped_hazard import GroupedHazardFit

LARGEST_COEFFICIENT = 10.0
"""Beyond it a coefficient is separation, not an effect; Heinze and Schemper (2002)."""
PENALISED_SHARE = 0.5
"""Of the events per parameter that an unpenalised fit needs, what a penalised one needs."""
GROUPED, PENALISED = "grouped-time hazard", "Firth's penalised logistic"
PROFILE_WORK = 1e8
"""Kinds of rows × columns² × profiled columns up to which every limit is profiled; beyond it only
those of separated levels are, the others are Wald's."""
RATIO_COLUMNS = ("hazard_ratio", "ci_low", "ci_high", "p_value")
PRECISION = 1e-4  # of penalised coefficients and their limits


@dataclass(frozen=True)
class DriverModel:
    """A fitted model with its recipe, or the reason why there is none.

    `fitted` is our record of the fit: coefficients and their covariance by account. `design` is a
    frame, or of many rows in the form that `design_of` gives. `ratios()` is the tidy frame.
    `refitted()` gives the GLMResults of statsmodels, to go on working with, and `summary()` its
    words; Firth's penalty is our own estimator, which no library has.
    """

    rows: pd.DataFrame
    recipe: Recipe
    fitted: GroupedHazardFit | None = None
    design: pd.DataFrame | DesignRows = field(default_factory=pd.DataFrame)
    reason: str = ""
    method: str = GROUPED
    limits: pd.DataFrame | None = None
    least: float = 0.0
    fitted_on: Months | None = None

    @property
    def months(self) -> Months:
        """What the rows of `design` are: the rows themselves, or those counted by kind."""
        return Months(self.rows) if self.fitted_on is None else self.fitted_on

    @property
    def n_accounts(self) -> int:
        """Accounts behind the rows."""
        return int(self.rows["account_id"].nunique())

    @property
    def n_events(self) -> int:
        """Churns among the rows."""
        return int(self.rows["is_churn"].sum())

    @property
    def fewest(self) -> float:
        """Events per term that a fit of this kind needs; earlier months' fits need no more."""
        return self.least * PENALISED_SHARE if self.is_penalised else self.least

    @property
    def interval(self) -> str:
        """How the intervals are made, in words."""
        by_profile = "profile of the penalised likelihood; ratios are of odds"
        by_cluster = "errors clustered by account; by manager where a driver is set per manager"
        return by_profile if self.is_penalised else by_cluster

    @property
    def is_penalised(self) -> bool:
        """Whether Firth's penalty was used."""
        return self.method == PENALISED

    def __repr__(self) -> str:
        name, n_terms = f"{self.method[:1].upper()}{self.method[1:]} model", len(self.recipe.terms)
        converged = self.fitted is not None and self.fitted.converged
        n_terms = n_terms if self.fitted is not None else 0
        return fits.in_a_line(name, self.n_accounts, self.n_events, n_terms, converged, self.reason)

    def ratios(self, confidence: float = 0.95) -> pd.DataFrame:
        """Ratio, limits and p-value per driver column: Wald, or the profile of a penalised fit.

        Args:
            confidence: of Wald's limits; those of a penalised fit have that of the fit.

        Returns:
            One row per column of `recipe.terms`, with hazard_ratio (of odds when penalised),
            ci_low, ci_high, p_value; empty when there is no model.
        """
        terms = self.recipe.terms
        if self.fitted is None:
            return terms.iloc[:0].assign(**dict.fromkeys(RATIO_COLUMNS, 0.0))
        params = self.fitted.params[terms["column"]].to_numpy()
        if self.limits is not None:
            own = self.limits.loc[terms["column"]]
            low, high = own["ci_low"].to_numpy(), own["ci_high"].to_numpy()
            p_values = own["p_value"].to_numpy()
        else:
            errors = np.sqrt(np.diag(self.fitted.cov.loc[terms["column"], terms["column"]]))
            reach = stats.norm.ppf(0.5 + confidence / 2) * errors
            low, high = params - reach, params + reach
            p_values = 2 * stats.norm.sf(np.abs(params / errors))
        found = np.exp(params), np.exp(low), np.exp(high), p_values
        return terms.assign(**dict(zip(RATIO_COLUMNS, found, strict=True)))

    def refitted(self) -> GLMResults:
        """The same fit as an object of statsmodels, made anew from `design` and `rows`.

        It is not kept with the model, because a month's report fits some forty and each would hold
        its rows. Errors are by account here too.

        Raises:
            ValueError: there is no model, or it is a penalised one.
        """
        own = "Firth's penalty is our own estimator; read `ratios()`"
        fitted = None if self.is_penalised else self.fitted
        start = fits.found(fitted, own if self.is_penalised else self.reason).params
        accounts = self.rows["account_id"].to_numpy()
        churned, design = self.rows["is_churn"].to_numpy(float), encode(self.rows, self.recipe)
        return grouped_hazard.library_fit(churned, design, accounts, start=start)

    def summary(self) -> Any:
        """What statsmodels says of the fit, in the names of the design's columns."""
        return self.refitted().summary(xname=list(self.design.columns), yname="churn")


def fit(
    rows: pd.DataFrame,
    candidates: list[str],
    events_per_parameter: float,
    confidence: float = 0.95,
    stopped_by: str = "",
) -> DriverModel:
    """Fit the model of leaving next month; or say why it cannot be fitted.

    Args:
        rows: from `settled`.
        candidates: names of drivers.
        events_per_parameter: fewest events per driver term for an unpenalised fit; a penalised one
            needs half as many. The baseline is merged until each of its bands holds fifteen, and
            does not count.
        confidence: of the profile limits of a penalised fit.
        stopped_by: why nothing may be claimed, such as a leak that was found; blank: nothing.

    Returns:
        The model. Columns that carry no information are left out and named in `recipe.left_out`.

    Source: Prentice and Gloeckler (1978); Heinze and Schemper (2002) for the penalty; Peduzzi et
    al. (1995) for the events per parameter.
    """
    months = counted(rows, [*candidates, MANAGER])
    recipe, design = learned(months, candidates)
    n_events, n_terms = months.n_events, len(recipe.terms)
    reason = stopped_by or _too_few(n_events, n_terms, events_per_parameter)
    if reason:
        least = events_per_parameter
        return DriverModel(rows, recipe, reason=reason, least=least, fitted_on=months)
    if n_events >= events_per_parameter * n_terms and not recipe.separated:
        model, coefs = _unpenalised(rows, months, recipe, design, events_per_parameter)
        if coefs[recipe.columns].abs().max() <= LARGEST_COEFFICIENT:
            return model
    return _penalised(rows, months, recipe, events_per_parameter, confidence)


def _too_few(n_events: int, n_terms: int, least: float) -> str:
    if n_terms == 0:
        return "no driver with two values to compare"
    fewest = least * PENALISED_SHARE
    if n_events >= fewest * n_terms and n_events > 0:
        return ""
    return (
        f"too few for a model: {n_events} churns for {n_terms} terms, "
        f"{fewest:g} for each are needed"
    )


def _unpenalised(
    rows: pd.DataFrame,
    months: Months,
    recipe: Recipe,
    design: pd.DataFrame | DesignRows,
    least: float,
) -> tuple[DriverModel, pd.Series]:
    """The grouped-time model and its coefficients by column."""
    crossed = rows_of(design)
    start = cloglog.scoring(months.churned, crossed, None, months.n, with_cov=False).params
    fitted = months.fitted(crossed, start)
    return DriverModel(rows, recipe, fitted, design, least=least, fitted_on=months), fitted.params


def _penalised(
    rows: pd.DataFrame, months: Months, recipe: Recipe, least: float, confidence: float
) -> DriverModel:
    """Firth's fit; a column that runs away even so is left out and named."""
    while True:
        design = design_of(months, recipe)
        work = design.shape[0] * design.shape[1] ** 2 * len(recipe.columns)
        profiled = recipe.columns if work <= PROFILE_WORK else recipe.separated_columns
        table = firth_logistic(
            months.churned, design, confidence, None, profiled, PRECISION, months.n
        )
        worst = table.loc[recipe.columns, "coef"].abs().idxmax()
        if abs(table.loc[worst, "coef"]) <= LARGEST_COEFFICIENT:
            break
        recipe = without(recipe, worst, "separated: the effect runs away, even with a penalty")
        if recipe.terms.empty:
            return DriverModel(
                rows, recipe, reason="every driver is separated", least=least, fitted_on=months
            )
    fitted = _as_fit(table, rows_of(design), months, rows)
    limits = _with_wald(table, confidence)
    return DriverModel(rows, recipe, fitted, design, "", PENALISED, limits, least, months)


def _as_fit(
    table: pd.DataFrame, design: DesignRows, months: Months, rows: pd.DataFrame
) -> GroupedHazardFit:
    """The penalised fit in the words of the other, with the inverse information as covariance."""
    eta, n = design.linear(table["coef"].to_numpy()), months.weights
    share = 1 / (1 + np.exp(-eta))
    cov = np.linalg.inv(design.information(n * share * (1 - share)))
    return GroupedHazardFit(
        params=table["coef"],
        cov=pd.DataFrame(cov, design.columns, design.columns),
        n=months.n_months,
        n_events=months.n_events,
        converged=bool(np.isfinite(table["coef"]).all()),
        log_likelihood=float(n @ (months.churned * eta - np.logaddexp(0, eta))),
        n_groups=int(rows["account_id"].nunique()),
        link="logit",
    )


def _with_wald(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Wald limits and p-values where none were profiled."""
    reach = stats.norm.ppf(0.5 + confidence / 2) * table["se"]
    p_value = 2 * stats.norm.sf(np.abs(table["coef"] / table["se"]))
    is_wald = table["p_value"].isna()
    return table.assign(
        ci_low=table["ci_low"].mask(is_wald, table["coef"] - reach),
        ci_high=table["ci_high"].mask(is_wald, table["coef"] + reach),
        p_value=table["p_value"].mask(is_wald, p_value),
    )
