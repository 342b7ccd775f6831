"""Which columns go into the drivers' model, in which unit, and which cannot?

A recipe is learned from settled rows and then applied to any rows: later months, the month to come.
Numbers are measured in interquartile ranges, money in doublings, flags are 0 or 1, categories have
the most frequent level as reference. Names and levels come from data, so they never name a column
or enter a formula.

The subtle point: what carries no information is taken out before the fit, and named. A level in
which nobody left would otherwise get an infinite effect, and a missing value a silent guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.analysis.levels import MOST_LEVELS, NOT_MEASURED, OTHER, text_levels
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.statistics.baseline import merge_thin

TENURE_STARTS = (*range(13), 13, 18, 24, 36)
"""First tenure month of each baseline band: months 0 to 12, then bands."""
BASELINE_EVENTS = 15
RANK_TOLERANCE = 1e-8
TAIL = 0.01
"""Numbers are held within their first and last percentile, so that no giant decides an effect."""


@dataclass(frozen=True)
class Feature:
    """How one driver becomes columns."""

    driver: str
    kind: str  # number, flag, category
    reference: str = ""
    unit: str = ""
    centre: float = 0.0
    scale: float = 1.0
    is_log: bool = False
    limits: tuple[float, float] = (-np.inf, np.inf)
    levels: dict[str, str] = field(default_factory=dict)  # level found → level modelled
    has_missing: bool = False

    def measured(self, values: pd.Series) -> pd.Series:
        """Values on the scale of the model, before centring: money as log2, else as they are."""
        if not self.is_log:
            return values.astype(float)
        return np.log2(values.astype(float).clip(lower=2.0 ** self.limits[0]))

    @property
    def modelled_levels(self) -> list[str]:
        """Levels with a column of their own: all but the reference."""
        own = {"number": [""], "flag": ["yes"]}.get(self.kind)
        if own is None:
            own = sorted(set(self.levels.values()) - {self.reference})
        return own + ([NOT_MEASURED] if self.has_missing else [])


@dataclass(frozen=True)
class Recipe:
    """Everything needed to turn account-months into the design of the model."""

    features: tuple[Feature, ...]
    tenure_groups: np.ndarray
    quarter_groups: dict[int, int]
    terms: pd.DataFrame
    left_out: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """Names of the driver columns."""
        return list(self.terms["column"])


def learn(rows: pd.DataFrame, candidates: list[str]) -> Recipe:
    """Learn from settled rows how each candidate enters the model, and which cannot.

    Args:
        rows: one row per account and month: account_id, period, tenure_months, is_churn and the
            candidates.
        candidates: names of drivers; one the rows lack is left out and named.

    Returns:
        The recipe. `terms`: one row per column (column, driver, level, unit, reference, kind).
        `left_out`: one row per driver or level that is not in the model, with the reason.
    """
    features, reasons = [], []
    for name in candidates:
        feature, why = _feature(rows, name)
        reasons += why
        if feature is not None:
            features.append(feature)
    events = rows["is_churn"].to_numpy(bool)
    tenure = np.bincount(_tenure_band(rows), events, minlength=len(TENURE_STARTS))
    quarters, position = np.unique(_quarter(rows), return_inverse=True)
    groups = merge_thin(np.bincount(position, events), BASELINE_EVENTS)
    recipe = Recipe(
        tuple(features),
        merge_thin(tenure, BASELINE_EVENTS),
        dict(zip(quarters.tolist(), groups.tolist(), strict=True)),
        _terms(features),
        pd.DataFrame(reasons, columns=["driver", "level", "reason"]),
    )
    return _without_dependent(recipe, rows)


def encode(rows: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The design of some rows: baseline columns first, then one column per term.

    Args:
        rows: as for `learn`; is_churn is not used.
        recipe: from `learn`. A level it has not seen counts as "other", else as the reference; a
            later quarter takes the baseline of the last one known.

    Returns:
        One row per row, one float column per coefficient; no intercept, the tenure bands are full.
    """
    tenure = recipe.tenure_groups[_tenure_band(rows)]
    quarter = _group_of(_quarter(rows), recipe.quarter_groups)
    last = max(recipe.quarter_groups.values(), default=0)
    columns = {
        f"tenure{group}": (tenure == group).astype(float)
        for group in np.unique(recipe.tenure_groups)
    } | {f"quarter{group}": (quarter == group).astype(float) for group in range(last)}
    wanted = {
        driver: dict(zip(block["level"], block["column"], strict=True))
        for driver, block in recipe.terms.groupby("driver", sort=False)
    }
    for feature in recipe.features:
        own = _values(rows[feature.driver], feature)
        names = wanted.get(feature.driver, {})
        columns |= {names[level]: own[level] for level in feature.modelled_levels if level in names}
    return pd.DataFrame(columns, index=rows.index)


def without(recipe: Recipe, column: str, reason: str) -> Recipe:
    """The recipe without one column; its rows then count as the reference, which is named."""
    gone = recipe.terms["column"] == column
    named = recipe.terms.loc[gone, ["driver", "level"]].assign(reason=reason)
    return Recipe(
        recipe.features,
        recipe.tenure_groups,
        recipe.quarter_groups,
        recipe.terms[~gone].reset_index(drop=True),
        pd.concat([block for block in (recipe.left_out, named) if len(block)], ignore_index=True),
    )


def is_money(name: str) -> bool:
    """True for a column of money, by its name: the names of the snapshot tables hold still."""
    return "mrr" in name.split("_")


def is_flag(values: pd.Series) -> bool:
    """True for booleans, with or without blanks."""
    return pd.api.types.infer_dtype(values, skipna=True) == "boolean"


def _feature(rows: pd.DataFrame, name: str) -> tuple[Feature | None, list[tuple[str, str, str]]]:
    if name not in rows or rows[name].notna().sum() == 0:
        return None, [(name, "", "no value in the data")]
    values = rows[name]
    if pd.api.types.is_datetime64_any_dtype(values):
        return None, [(name, "", "a date is no driver")]
    missing = values.isna().to_numpy()
    has_missing = _carries(rows, missing)
    if is_flag(values):
        feature, reasons = _flag(rows, name)
    elif pd.api.types.is_numeric_dtype(values):
        feature, reasons = _number(values, name)
    else:
        feature, reasons = _category(rows, name)
    if feature is None:
        return None, reasons
    if missing.any() and not has_missing:
        level = "at the median" if feature.kind == "number" else f"as {feature.reference}"
        text = f"account-months without a value: {int(missing.sum())}, counted {level}"
        reasons.append((name, NOT_MEASURED, text))
    return Feature(**{**vars(feature), "has_missing": has_missing}), reasons


def _flag(rows: pd.DataFrame, name: str) -> tuple[Feature | None, list[tuple[str, str, str]]]:
    present = (rows[name] == True).to_numpy(bool)  # noqa: E712 - blanks are neither
    absent = (rows[name] == False).to_numpy(bool)  # noqa: E712
    for level, mask in (("yes", present), ("no", absent)):
        if not _carries(rows, mask):
            return None, [(name, level, _counted(rows, mask))]
    return Feature(name, "flag", reference="no", unit="yes against no"), []


def _number(values: pd.Series, name: str) -> tuple[Feature | None, list[tuple[str, str, str]]]:
    known = values.dropna().astype(float)
    is_log = is_money(name) and bool((known > 0).all())
    known = np.log2(known) if is_log else known
    if known.nunique() < 2:
        return None, [(name, "", "one value only")]
    low, quarter, median, three_quarters, high = known.quantile([TAIL, 0.25, 0.5, 0.75, 1 - TAIL])
    limits = (low, high) if low < high else (known.min(), known.max())
    if is_log:
        return Feature(
            name, "number", unit="twice as much", centre=median, limits=limits, is_log=True
        ), []
    scale, words = three_quarters - quarter, "one interquartile range"
    if scale == 0 and (known % 1 == 0).all():
        scale, words = 1.0, "one unit; the quartiles are equal"
    elif scale == 0:
        scale, words = float(known.clip(*limits).std()), "one standard deviation"
    unit = f"{scale:,.4g} more ({words})"
    return Feature(name, "number", unit=unit, centre=median, scale=scale, limits=limits), []


def _category(rows: pd.DataFrame, name: str) -> tuple[Feature | None, list[tuple[str, str, str]]]:
    text = text_levels(rows[name])
    sizes = text.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    levels, reasons = {}, []
    for position, level in enumerate(sizes.index):
        mask = (text == level).to_numpy(bool)
        is_kept = position < MOST_LEVELS and _carries(rows, mask)
        levels[level] = level if is_kept else OTHER
        if not is_kept and len(reasons) < MOST_LEVELS:
            reasons.append((name, level, f"{_counted(rows, mask)}; counted as other"))
    others = text.map(levels).eq(OTHER).to_numpy(bool)
    kept = [level for level in sizes.index if levels[level] != OTHER]
    if others.any() and not _carries(rows, others) and kept:
        levels = {level: kept[0] if kind == OTHER else kind for level, kind in levels.items()}
        reasons.append((name, OTHER, f"{_counted(rows, others)}; counted as {kept[0]}"))
    modelled = text.map(levels).value_counts()
    if len(modelled) < 2:
        return None, [*reasons, (name, "", "one level to compare")]
    reference = next((level for level in kept), modelled.index[0])
    unit = "level against reference"
    return Feature(name, "category", reference=reference, unit=unit, levels=levels), reasons


def _values(values: pd.Series, feature: Feature) -> dict[str, np.ndarray]:
    """The columns of one driver by level."""
    missing = values.isna().to_numpy()
    columns = {NOT_MEASURED: missing.astype(float)}
    if feature.kind == "number":
        held = feature.measured(values).clip(*feature.limits)
        standard = (held - feature.centre) / feature.scale
        return columns | {"": standard.fillna(0.0).to_numpy()}
    if feature.kind == "flag":
        return columns | {"yes": (values == True).to_numpy(bool).astype(float)}  # noqa: E712
    unseen = OTHER if OTHER in feature.levels.values() else feature.reference
    text = text_levels(values)
    found = text.map(feature.levels).where(text.isin(list(feature.levels)) | text.isna(), unseen)
    return columns | {
        level: (found == level).to_numpy(float)
        for level in feature.modelled_levels
        if level != NOT_MEASURED
    }


def _carries(rows: pd.DataFrame, mask: np.ndarray) -> bool:
    """Enough accounts, and both outcomes, to say something about the rows of a mask."""
    churned = rows["is_churn"].to_numpy(bool)[mask]
    return bool(
        mask.any()
        and churned.any()
        and not churned.all()
        and rows.loc[mask, "account_id"].nunique() >= SMALLEST_N
    )


def _counted(rows: pd.DataFrame, mask: np.ndarray) -> str:
    churned, accounts = int(rows["is_churn"].to_numpy(bool)[mask].sum()), 0
    if mask.any():
        accounts = rows.loc[mask, "account_id"].nunique()
    return f"{churned} events among {accounts} accounts"


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


def _without_dependent(recipe: Recipe, rows: pd.DataFrame) -> Recipe:
    """Leave out columns that follow from those before them."""
    if recipe.terms.empty:
        return recipe
    design = encode(rows, recipe)
    for column in design.columns[_follows(design.to_numpy())]:
        if column in set(recipe.columns):
            recipe = without(recipe, column, "constant, or follows from the other drivers")
    return recipe


def _follows(design: np.ndarray) -> np.ndarray:
    """Which columns are 0 or a sum of multiples of the columns before them (Cholesky sweep)."""
    gram = design.T @ design
    size = np.sqrt(np.diag(gram))
    left = gram / np.outer(np.where(size > 0, size, 1), np.where(size > 0, size, 1))
    follows = np.zeros(len(gram), dtype=bool)
    for position in range(len(gram)):
        pivot = left[position, position]
        follows[position] = pivot < RANK_TOLERANCE
        if not follows[position]:
            left = left - np.outer(left[:, position], left[position]) / pivot
    return follows


def _tenure_band(rows: pd.DataFrame) -> np.ndarray:
    return np.searchsorted(TENURE_STARTS, rows["tenure_months"].to_numpy(), side="right") - 1


def _quarter(rows: pd.DataFrame) -> np.ndarray:
    """Calendar quarters counted from year 0."""
    periods, position = np.unique(rows["period"].to_numpy(str), return_inverse=True)
    quarters = [int(name[:4]) * 4 + (int(name[5:7]) - 1) // 3 for name in periods]
    return np.array(quarters, dtype=np.int64)[position]


def _group_of(quarters: np.ndarray, groups: dict[int, int]) -> np.ndarray:
    """Group of each quarter; one not known takes the nearest known quarter before it."""
    known = np.array(sorted(groups), dtype=np.int64)
    at = np.clip(np.searchsorted(known, quarters, side="right") - 1, 0, None)
    return np.array([groups[quarter] for quarter in known.tolist()])[at]
