"""Which columns go into the drivers' model, in which unit, and which cannot?

A recipe is learned from settled rows and then applied to any rows: later months, the month to come.
`feature` says how one driver becomes columns. Names and levels come from data, so they never name a
column or enter a formula.

The subtle point: what carries no information, or says what others say already, is taken out before
the fit, and named with its like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from pipeline.analysis.drivers.feature import Feature, by_level, learn_feature
from pipeline.analysis.drivers.kinds import counted
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.rows import month_number
from pipeline.analysis.levels import NOT_MEASURED, text_levels
from pipeline.statistics.baseline import merge_thin
from pipeline.statistics.coded_rows import Factor, rows_of_factors
from pipeline.statistics.design_rows import BLOCK, DesignRows, column_of, rows_of

TENURE_STARTS = (*range(13), 13, 18, 24, 36)
"""First tenure month of each baseline band: months 0 to 12, then bands."""
BASELINE_EVENTS = 15
QUARTERS_OF_A_YEAR = 4
RANK_TOLERANCE = 1e-8
FOLLOWS = "constant, or follows from the other drivers"
SAME = 0.999
"""Correlation from which one column is named as saying what another says."""
ByLevel: TypeAlias = tuple[np.ndarray, dict[str, np.ndarray]]
"""The level of each row, and columns by name: one number per level, that of blanks the last."""


@dataclass(frozen=True)
class Recipe:
    """Everything needed to turn account-months into the design of the model."""

    features: tuple[Feature, ...]
    tenure_groups: np.ndarray
    quarter_groups: dict[int, int]
    terms: pd.DataFrame
    left_out: pd.DataFrame
    dependent: tuple[str, ...] = ()

    @property
    def separated(self) -> list[str]:
        """Levels at which nobody left, or everybody, among those that are modelled."""
        used = set(self.terms["driver"])
        return [
            f"{feature.driver} {level}"
            for feature in self.features
            if feature.driver in used
            for level in feature.separated
        ]

    @property
    def separated_columns(self) -> list[str]:
        """Columns of those levels; of a reference that is separated, all of its driver."""
        levels = {feature.driver: set(feature.separated) for feature in self.features}
        return [
            row.column
            for row in self.terms.itertuples()
            if {row.level, row.reference} & levels[row.driver]
        ]

    @property
    def columns(self) -> list[str]:
        """Names of the driver columns."""
        return list(self.terms["column"])


def learn(
    rows: pd.DataFrame | Months, candidates: list[str], folds_separated: bool = False
) -> Recipe:
    """Learn from settled rows how each candidate enters the model, and which cannot.

    Args:
        rows: one row per account and month, or those counted by kind: account_id, period,
            tenure_months, is_churn and the candidates.
        candidates: names of drivers; one the rows lack is left out and named.
        folds_separated: a level at which nobody left counts as another one, for fits without a
            penalty; else it stays and is named in `separated`.

    Returns:
        The recipe. `terms`: one row per column (column, driver, level, unit, reference, kind).
        `left_out`: one row per driver or level that is not in the model, with the reason.
    """
    return learned(counted(rows, candidates), candidates, folds_separated)[0]


def learned(
    known: Months, candidates: list[str], folds_separated: bool = False
) -> tuple[Recipe, pd.DataFrame | DesignRows]:
    """The recipe of `learn`, and the design of the same rows by it, as of `design_of`."""
    features, reasons = [], []
    for name in candidates:
        feature, why = learn_feature(known, name, folds_separated)
        reasons += why
        if feature is not None:
            features.append(feature)
    events = known.churned * known.weights
    tenure = np.bincount(_tenure_band(known), events, minlength=len(TENURE_STARTS))
    quarters, position = np.unique(_quarter(known), return_inverse=True)
    groups = merge_thin(np.bincount(position, events), BASELINE_EVENTS)
    recipe = Recipe(
        tuple(features),
        merge_thin(tenure, BASELINE_EVENTS),
        dict(zip(quarters.tolist(), groups.tolist(), strict=True)),
        _terms(features),
        pd.DataFrame(reasons, columns=["driver", "level", "reason"]),
    )
    design = design_of(known, recipe)
    follows, n_base = _follows(design, known.weights), design.shape[1] - len(recipe.terms)
    if follows[:n_base].any():
        recipe = _one_clock(recipe)
        design = design_of(known, recipe)
        follows, n_base = _follows(design, known.weights), design.shape[1] - len(recipe.terms)
    if follows[n_base:].any():
        recipe = _without_dependent(recipe, design, list(design.columns[follows]), known.n)
        design = design_of(known, recipe)
    return recipe, design


def encode(rows: pd.DataFrame | Months, recipe: Recipe, is_later: bool = False) -> pd.DataFrame:
    """The design of some rows: baseline columns first, then one column per term.

    Args:
        rows: as for `learn`; is_churn is not used.
        recipe: from `learn`. A level it has not seen counts as "other", else as the reference; a
            quarter it has not seen takes the baseline of the last one known.
        is_later: the rows come after those learned from. Their own quarter is not known then, nor
            well known when it has just begun: they take the mean of the last four known quarters.

    Returns:
        One row per row, one column per coefficient, numbers as float and flags as int8; no
        intercept, the tenure bands are full.
    """
    months = rows if isinstance(rows, Months) else Months(rows)
    columns: dict[str, np.ndarray] = {}
    for codes, own in _by_level(months, recipe, is_later):
        columns |= {name: values[codes] for name, values in own.items()}
    return pd.DataFrame(columns, index=months.rows.index, copy=False)


def design_of(months: Months, recipe: Recipe, is_later: bool = False) -> pd.DataFrame | DesignRows:
    """The design of `encode`; of more than a block of rows by level, so that no column is written.

    Returns:
        One row per row, one column per coefficient, as a frame or as `coded_rows` has it.
    """
    if len(months.rows) <= BLOCK:
        return encode(months, recipe, is_later)
    return rows_of_factors(
        [Factor(codes, np.column_stack(list(own.values())).astype(float), tuple(own))
         for codes, own in _by_level(months, recipe, is_later) if own]
    )  # fmt: skip


def _by_level(months: Months, recipe: Recipe, is_later: bool) -> list[ByLevel]:
    """The columns of the design in their order: baseline, then each driver's that are wanted."""
    found = [_tenure(months, recipe.tenure_groups)]
    found.append(_calendar(months, recipe.quarter_groups, is_later))
    wanted = {
        driver: dict(zip(block["level"], block["column"], strict=True))
        for driver, block in recipe.terms.groupby("driver", sort=False)
    }
    for feature in recipe.features:
        column, names = months.column(feature.driver), wanted.get(feature.driver, {})
        own = by_level(column, feature)
        levels = [level for level in feature.modelled_levels if level in names]
        found.append((column.codes, {names[level]: own[level] for level in levels}))
    return found


def unseen_levels(months: Months, recipe: Recipe) -> dict[str, int]:
    """How many months have a level that the recipe has not seen, by driver; none are not named."""
    counts = {}
    for feature in recipe.features:
        if feature.kind == "category":
            column = months.column(feature.driver)
            is_unseen = ~text_levels(column.levels).isin(list(feature.levels)).to_numpy(bool)
            counts[feature.driver] = months.count(np.append(is_unseen, False)[column.codes])
    return {driver: n for driver, n in counts.items() if n}


def without(recipe: Recipe, column: str, reason: str) -> Recipe:
    """The recipe without one column; its rows then count as the reference, which is named."""
    gone = recipe.terms["column"] == column
    named = recipe.terms.loc[gone, ["driver", "level"]].assign(reason=reason)
    blocks = [block for block in (recipe.left_out, named) if len(block)]
    return replace(
        recipe,
        terms=recipe.terms[~gone].reset_index(drop=True),
        left_out=pd.concat(blocks, ignore_index=True),
    )


def _terms(features: list[Feature]) -> pd.DataFrame:
    rows = [
        {"driver": feature.driver, "level": level, "reference": feature.reference,
         "kind": feature.kind, "unit": feature.unit if level != NOT_MEASURED else
         "not measured against reference"}
        for feature in features
        for level in feature.modelled_levels
    ]  # fmt: skip
    terms = pd.DataFrame(rows, columns=["driver", "level", "reference", "kind", "unit"])
    return terms.assign(column=[f"x{position}" for position in range(len(terms))])


def _one_clock(recipe: Recipe) -> Recipe:
    """The recipe without quarters, of accounts that began together: the calendar is the tenure."""
    named = pd.DataFrame(
        [("calendar quarter", "", "follows from the tenure: the accounts began together")],
        columns=["driver", "level", "reason"],
    )
    blocks = [block for block in (recipe.left_out, named) if len(block)]
    return replace(
        recipe,
        quarter_groups=dict.fromkeys(recipe.quarter_groups, 0),
        left_out=pd.concat(blocks, ignore_index=True),
    )


def _without_dependent(
    recipe: Recipe,
    design: pd.DataFrame | DesignRows,
    dependent: list[str],
    n: np.ndarray | None,
) -> Recipe:
    """Leave out columns that follow from those before them."""
    labels = {row.column: f"{row.driver} {row.level}".strip() for row in recipe.terms.itertuples()}
    blank = set(recipe.terms.loc[recipe.terms["level"] == NOT_MEASURED, "column"])
    kept, told = [column for column in labels if column not in dependent], []
    for column in dependent:
        if column in labels:
            like = _like(design, column, kept, n)
            reason = f"says the same as {labels[like]}" if like else FOLLOWS
            recipe = without(recipe, column, reason)
            told += [labels[column] + (f" (as {labels[like]})" if like else "")] * (
                column not in blank
            )
    return replace(recipe, dependent=tuple(told))


def _like(
    design: pd.DataFrame | DesignRows,
    column: str,
    others: list[str],
    n: np.ndarray | None = None,
) -> str:
    """The other column that says the same; blank: none alone does."""
    own = column_of(design, column)
    if not others or np.ptp(own) == 0:
        return ""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.array([_correlation(own, column_of(design, other), n) for other in others])
    same = np.flatnonzero(np.abs(np.nan_to_num(found)) > SAME)
    return others[same[0]] if len(same) else ""


def _correlation(one: np.ndarray, other: np.ndarray, n: np.ndarray | None) -> float:
    """Correlation of two columns, each row counted n times."""
    if n is None:
        return float(np.corrcoef(one, other)[0, 1])
    spread = np.cov(one, other, fweights=n.astype(np.int64))
    return float(spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]))


def _follows(design: pd.DataFrame | DesignRows, weights: np.ndarray) -> np.ndarray:
    """Which columns are 0 or a sum of multiples of the columns before them (Cholesky sweep)."""
    gram = rows_of(design).information(weights)
    size = np.sqrt(np.diag(gram))
    left = gram / np.outer(np.where(size > 0, size, 1), np.where(size > 0, size, 1))
    follows = np.zeros(len(gram), dtype=bool)
    for position in range(len(gram)):
        pivot = left[position, position]
        follows[position] = pivot < RANK_TOLERANCE
        if not follows[position]:
            left = left - np.outer(left[:, position], left[position]) / pivot
    return follows


def _tenure_band(months: Months) -> np.ndarray:
    tenure = months.column("tenure_months")
    return (np.searchsorted(TENURE_STARTS, tenure.levels.to_numpy(), side="right") - 1)[
        tenure.codes
    ]


def _quarter(months: Months) -> np.ndarray:
    """Calendar quarters counted from year 0."""
    return months.months // 3


def _tenure(months: Months, groups: np.ndarray) -> ByLevel:
    """The columns of the tenure: one per group of bands."""
    tenure = months.column("tenure_months")
    own = groups[np.searchsorted(TENURE_STARTS, tenure.levels.to_numpy(), side="right") - 1]
    return tenure.codes, {f"tenure{at}": (own == at).astype(np.int8) for at in np.unique(groups)}


def _calendar(months: Months, groups: dict[int, int], is_later: bool) -> ByLevel:
    """The columns of the calendar: one per group of quarters but the last."""
    last = max(groups.values(), default=0)
    if is_later:
        newest = [groups[quarter] for quarter in sorted(groups)[-QUARTERS_OF_A_YEAR:]]
        share = {at: newest.count(at) / max(len(newest), 1) for at in range(last)}
        every = np.zeros(len(months.rows), dtype=np.int8)
        return every, {f"quarter{at}": np.array([own]) for at, own in share.items()}
    period = months.column("period")
    own = _group_of(month_number(period.levels) // 3, groups)
    return period.codes, {f"quarter{at}": (own == at).astype(np.int8) for at in range(last)}


def _group_of(quarters: np.ndarray, groups: dict[int, int]) -> np.ndarray:
    """Group of each quarter; one not known takes the nearest known quarter before it."""
    known = np.array(sorted(groups), dtype=np.int64)
    at = np.clip(np.searchsorted(known, quarters, side="right") - 1, 0, None)
    return np.array([groups[quarter] for quarter in known.tolist()])[at]
