"""What would the model have said before each of the last months?

Works on settled rows. A model is fitted on what was settled before a month and held against that
month, never on a random split: the same account would stand on both sides. The subtle point: the
outcome of the month before is not settled on the day a forecast is made, so an origin learns only
from months that lie as far behind it as the newest settled month lies behind the month to come.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.analysis.drivers.design import Recipe, design_of, learned
from pipeline.analysis.drivers.forecast import MANY
from pipeline.analysis.drivers.kinds import counted
from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.rows import month_number
from pipeline.statistics import cloglog
from pipeline.statistics.cloglog import Coefficients
from pipeline.statistics.design_rows import DesignRows, column_of, rows_of

WINDOWS = 6
"""Newest origins whose signs are counted."""


@dataclass(frozen=True)
class Origin:
    """Fitted on months before `period`, applied to those of `period` (or from it on).

    `probability`: one per row of `months`, which are accounts, or kinds of many accounts.
    """

    period: str
    recipe: Recipe
    coefficients: Coefficients
    months: Months
    probability: np.ndarray
    null_rate: float
    is_next: bool = False
    n_of_unknown_age: int = 0

    @property
    def rows(self) -> pd.DataFrame:
        """One row per account and month, or per kind."""
        return self.months.rows

    @property
    def month(self) -> int:
        """Months counted from year 0."""
        return int(month_number(pd.Series([self.period]))[0])

    @property
    def design(self) -> pd.DataFrame | DesignRows:
        """One row per row, one column per coefficient; made anew, as months hold many accounts."""
        return design_of(self.months, self.recipe, is_later=True)

    @property
    def churned(self) -> np.ndarray:
        """0 or 1 per row; of the month to come, 0."""
        return self.months.churned

    @property
    def effects(self) -> pd.Series:
        """Coefficients of the drivers, by driver and level."""
        terms = self.recipe.terms
        values = self.coefficients.params[len(self.coefficients.params) - len(terms) :]
        return pd.Series(values, index=pd.MultiIndex.from_frame(terms[["driver", "level"]]))


def months_behind(rows: pd.DataFrame) -> int:
    """How far the newest settled month lies behind the month to come.

    Args:
        rows: from `driver_rows`.

    Returns:
        Months; 1 when there is no month to come.
    """
    months = month_number(rows["period"])
    coming, known = months[rows["is_churn"].isna()], months[rows["is_settled"].astype(bool)]
    if not len(coming) or not len(known):
        return 1
    return max(1, int(coming.min() - known.max()))


def rolling_origins(
    rows: pd.DataFrame,
    candidates: list[str],
    events_per_parameter: float,
    most: int = WINDOWS,
    behind: int = 1,
    known: Months | None = None,
) -> list[Origin]:
    """Fit before each of the newest settled months on the months settled by then.

    Args:
        rows: from `settled`.
        candidates: names of drivers.
        events_per_parameter: fewest events per driver term; an origin with fewer is left out.
        most: number of origins.
        behind: from `months_behind`.
        known: the same rows counted by kind, as `DriverModel.months` has them; None: counted here.

    Returns:
        The origins, oldest first.
    """
    known = known or counted(rows, candidates)
    origins: list[Origin] = []
    for month in np.unique(known.months)[1:][-most:]:
        earlier = known.part(known.months <= month - behind)
        own = _applied(known, rows, month, month)
        before = origins[-1].coefficients.params if origins else None
        origin = _origin(earlier, own, candidates, events_per_parameter, before)
        origins += [origin] if origin else []
    return origins


def hold_out(
    rows: pd.DataFrame, candidates: list[str], months: int, events_per_parameter: float,
    known: Months | None = None,
) -> Origin | None:  # fmt: skip
    """Fit without the newest settled months.

    Args:
        rows: from `settled`.
        candidates: names of drivers.
        months: newest settled months kept from the fit.
        events_per_parameter: fewest events per driver term in the months that are fitted.
        known: as of `rolling_origins`.

    Returns:
        The origin, whose rows are the months kept out; None: too little to fit or to hold against.
    """
    known = known or counted(rows, candidates)
    newest = np.unique(known.months)[-months:]
    if not len(newest):
        return None
    later = _applied(known, rows, newest[0], newest[-1])
    if not later.n_events:
        return None
    earlier = known.part(known.months < newest[0])
    return _origin(earlier, later, candidates, events_per_parameter)


def coming_month(
    rows: pd.DataFrame, settled_rows: pd.DataFrame, candidates: list[str],
    events_per_parameter: float, known: Months | None = None,
) -> Origin | None:  # fmt: skip
    """Fit on all settled months and apply to the month to come.

    Args:
        rows: from `driver_rows`; those without an outcome are the month to come.
        settled_rows: from `settled`.
        candidates: names of drivers.
        events_per_parameter: fewest events per driver term.
        known: as of `rolling_origins`.

    Returns:
        The origin; None: too little to fit, or no month to come.
    """
    coming = rows[rows["is_churn"].isna()]
    if not len(coming):
        return None
    own = coming[coming["period"] == coming["period"].min()].reset_index(drop=True)
    is_unknown = ~own["is_age_known"].astype(bool)
    months = counted(own, candidates) if len(own) >= MANY else Months(own)
    found = _origin(
        known or counted(settled_rows, candidates), months, candidates, events_per_parameter
    )
    return found and replace(found, is_next=True, n_of_unknown_age=int(is_unknown.sum()))


def in_order(origins: list[Origin], coming: Origin | None) -> list[Origin]:
    """The origins with the month to come last, when there is one."""
    return [*origins, coming] if coming else list(origins)


def sign_records(model: DriverModel, origins: list[Origin]) -> pd.Series:
    """Share of the newest rolling origins whose coefficient has today's sign.

    Args:
        model: from `fit`.
        origins: from `rolling_origins`.

    Returns:
        One share per driver column of the model; blank without an origin that holds the term.
    """
    terms = model.recipe.terms
    if model.fitted is None or not origins:
        return pd.Series(np.nan, index=terms["column"], dtype=float)
    keys = pd.MultiIndex.from_frame(terms[["driver", "level"]])
    newest = origins[-WINDOWS:]
    signs = pd.concat([np.sign(origin.effects).reindex(keys) for origin in newest], axis=1)
    today = np.sign(model.fitted.params[terms["column"]].to_numpy())
    held = signs.eq(pd.Series(today, index=keys), axis=0).where(signs.notna())
    return pd.Series(held.astype(float).mean(axis=1).to_numpy(), index=terms["column"])


def held_out_signs(model: DriverModel, held: Origin | None) -> pd.Series:
    """Whether the months kept out point the way the model does, one driver at a time.

    The score of a column at no effect of its own, all others as fitted without those months, the
    level of risk set to what was observed.

    Args:
        model: from `fit`.
        held: from `hold_out`.

    Returns:
        1 or -1 per driver column of the model; blank where the earlier fit has no such column.
    """
    terms = model.recipe.terms
    if model.fitted is None or held is None:
        return pd.Series(np.nan, index=terms["column"], dtype=float)
    design, n = held.design, held.months.weights
    eta, found = rows_of(design).linear(held.coefficients.params), {}
    for name, (key, effect) in zip(held.recipe.columns, held.effects.items(), strict=True):
        own = column_of(design, name)
        hazard = np.exp(np.clip(eta - effect * own, cloglog.LOWEST, cloglog.HIGHEST))
        hazard *= (n @ held.churned) / (n @ hazard)
        apart = own - np.average(own, weights=n * hazard)
        found[key] = np.sign(apart @ (n * (held.churned - hazard)))
    keys = pd.MultiIndex.from_frame(terms[["driver", "level"]])
    there = pd.Series(found, dtype=float).reindex(keys).to_numpy()
    today = np.sign(model.fitted.params[terms["column"]].to_numpy())
    return pd.Series(there * today, index=terms["column"])


def _origin(
    earlier: Months,
    own: Months,
    candidates: list[str],
    events_per_parameter: float,
    before: np.ndarray | None = None,
) -> Origin | None:
    """Fit, from the coefficients of the fit before when it has as many; None: too few events."""
    if not earlier.n_events:
        return None
    recipe, design = learned(earlier, candidates, folds_separated=True)
    n_terms = len(recipe.terms)
    if n_terms == 0 or earlier.n_events < events_per_parameter * n_terms:
        return None
    start = before if before is not None and len(before) == design.shape[1] else None
    fitted = earlier.scored(design, start)
    eta = rows_of(design_of(own, recipe, is_later=True)).linear(fitted.params)
    period, rate = str(own.rows["period"].min()), earlier.n_events / earlier.n_months
    return Origin(period, recipe, fitted, own, cloglog.probability_at(eta), rate)


def _applied(known: Months, rows: pd.DataFrame, first: int, last: int) -> Months:
    """The months from one to another: kinds of them where they are counted and many, else rows."""
    own = known.part((known.months >= first) & (known.months <= last))
    if own.n is None or own.n_months >= MANY:
        return own
    numbers = month_number(rows["period"])
    return Months(rows).part((numbers >= first) & (numbers <= last))
