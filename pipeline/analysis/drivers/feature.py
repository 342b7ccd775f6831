"""How does one driver become columns of the model?

Numbers are measured in interquartile ranges, money in doublings, flags are 0 or 1, categories have
the most frequent level as reference. Levels that are too rare share one, "other"; blanks have a
level of their own, "not measured", where that can carry an effect.

The subtle point: a level at which nobody left is not rare. Its effect is infinite by the usual
estimate, so it is named as separated, and the whole fit is then penalised.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pipeline.analysis.drivers.months import Coded, Months
from pipeline.analysis.drivers.registry import FEWEST_FOR_AN_ID, ID_LIKE_SHARE
from pipeline.analysis.levels import MOST_LEVELS, NOT_MEASURED, OTHER, text_levels
from pipeline.statistics.counted_values import quantiles

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
    separated: tuple[str, ...] = ()  # levels at which nobody left, or everybody

    def measured(self, values: pd.Series) -> pd.Series:
        """Values on the scale of the model, before centring: money as log2, else as they are."""
        if not self.is_log:
            return values.astype(float)
        return np.log2(values.astype(float).clip(lower=2.0 ** self.limits[0]))

    @property
    def stand_in(self) -> str:
        """What a level never seen before counts as."""
        return OTHER if OTHER in self.levels.values() else self.reference

    @property
    def modelled_levels(self) -> list[str]:
        """Levels with a column of their own: all but the reference."""
        own = {"number": [""], "flag": ["yes"]}.get(self.kind)
        if own is None:
            own = sorted(set(self.levels.values()) - {self.reference})
        return own + ([NOT_MEASURED] if self.has_missing else [])


def is_money(name: str) -> bool:
    """True for a column of money, by its name: the names of the snapshot tables hold still."""
    return "mrr" in name.split("_")


def is_flag(values: pd.Series) -> bool:
    """True for booleans, with or without blanks."""
    return pd.api.types.infer_dtype(values, skipna=True) == "boolean"


Reasons = list[tuple[str, str, str]]


def learn_feature(
    months: Months, name: str, folds_separated: bool
) -> tuple[Feature | None, Reasons]:
    """How a candidate enters the model, or why it cannot.

    Args:
        months: account_id, is_churn and the candidate per account and month.
        name: of the candidate; one the rows lack is left out and named.
        folds_separated: a level at which nobody left counts as another one; else it stays and is
            named in `separated`.

    Returns:
        The feature (None: left out), and (driver, level, reason) of what has no column of its own.
    """
    if name not in months.rows:
        return None, [(name, "", "no value in the data")]
    column = months.column(name)
    missing = column.codes < 0
    if missing.all():
        return None, [(name, "", "no value in the data")]
    if pd.api.types.is_datetime64_any_dtype(column.levels):
        return None, [(name, "", "a date is no driver")]
    has_missing = months.carries(missing)
    if is_flag(column.levels):
        feature, reasons = _flag(months, name, folds_separated)
    elif pd.api.types.is_numeric_dtype(column.levels):
        feature, reasons = _number(months, name)
    else:
        feature, reasons = _category(months, name, folds_separated)
    if feature is None:
        return None, reasons
    if missing.any() and not has_missing:
        level = "at the median" if feature.kind == "number" else f"as {feature.reference}"
        text = f"account-months without a value: {months.count(missing)}, counted {level}"
        reasons.append((name, NOT_MEASURED, text))
    return replace(feature, has_missing=has_missing), reasons


def _flag(months: Months, name: str, folds: bool) -> tuple[Feature | None, Reasons]:
    column = months.column(name)
    is_yes = (column.levels == True).to_numpy(bool)  # noqa: E712 - levels may be of any type
    present, absent = (
        np.append(is_yes, False)[column.codes],
        np.append(~is_yes, False)[column.codes],
    )
    for level, mask in (("yes", present), ("no", absent)):
        if not months.carries(mask) and (folds or not months.is_seen(mask)):
            return None, [(name, level, _counted(months, mask))]
    empty = tuple(
        level for level, mask in (("yes", present), ("no", absent)) if not months.carries(mask)
    )
    unit = "yes against no"
    return Feature(name, "flag", reference="no", unit=unit, separated=empty), []


def _number(months: Months, name: str) -> tuple[Feature | None, Reasons]:
    column = months.column(name)
    n = np.bincount(column.filled, months.weights, len(column.levels) + 1)[:-1].astype(float)
    known, n = column.levels.to_numpy(dtype=float)[n > 0], n[n > 0]
    is_log = is_money(name) and bool((known > 0).all())
    known = np.log2(known) if is_log else known
    if len(known) < 2:
        return None, [(name, "", "one value only")]
    low, quarter, median, three_quarters, high = quantiles(
        known, n, [TAIL, 0.25, 0.5, 0.75, 1 - TAIL]
    ).tolist()
    limits = (low, high) if low < high else (known.min(), known.max())
    if is_log:
        return Feature(
            name, "number", unit="twice as much", centre=median, limits=limits, is_log=True
        ), []
    scale, words = three_quarters - quarter, "one interquartile range"
    if scale == 0 and (known % 1 == 0).all():
        scale, words = 1.0, "one unit; the quartiles are equal"
    elif scale == 0:
        spread = np.cov(known.clip(*limits), fweights=n.astype(np.int64))
        scale, words = float(np.sqrt(spread)), "one standard deviation"
    unit = f"{scale:,.4g} more ({words})"
    return Feature(name, "number", unit=unit, centre=median, scale=scale, limits=limits), []


def _category(months: Months, name: str, folds: bool) -> tuple[Feature | None, Reasons]:
    if _is_id(months, name):
        return None, [(name, "", "about as many levels as accounts: it names them")]
    text = _texts(months, name)
    sizes = _sizes(months, text)
    levels: dict[str, str] = {}
    reasons: list[tuple[str, str, str]] = []
    enough = months.carries if folds else months.is_seen
    for position, level in enumerate(sizes):
        is_kept = position < MOST_LEVELS and enough(_rows_at(text, [level]))
        levels[level] = level if is_kept else OTHER
        if not is_kept and len(reasons) < MOST_LEVELS:
            told = _counted(months, _rows_at(text, [level]))
            reasons.append((name, level, f"{told}; counted as other"))
    kept = [level for level in sizes if levels[level] != OTHER]
    others = _rows_at(text, [level for level in sizes if levels[level] == OTHER])
    if others.any() and not months.carries(others) and kept:
        levels = {level: kept[0] if kind == OTHER else kind for level, kind in levels.items()}
        reasons.append((name, OTHER, f"{_counted(months, others)}; counted as {kept[0]}"))
    modelled = sorted(set(levels.values()))
    if len(modelled) < 2:
        return None, [*reasons, (name, "", "one level to compare")]
    behind = {level: [own for own, kind in levels.items() if kind == level] for level in modelled}
    empty = tuple(level for level in modelled if not months.carries(_rows_at(text, behind[level])))
    with_both = [level for level in kept if level not in empty]
    reference = next(iter([*with_both, *kept]))
    unit = "level against reference"
    return Feature(name, "category", reference, unit, levels=levels, separated=empty), reasons


def _texts(months: Months, name: str) -> Coded:
    """A column's levels as text, by number."""
    column = months.column(name)
    place, names = pd.factorize(text_levels(column.levels))
    return Coded(np.append(place, -1)[column.codes], pd.Series(names))


def _sizes(months: Months, text: Coded) -> list[str]:
    """The levels that the rows have, the most frequent first, then by name."""
    n = np.bincount(text.filled, months.weights, len(text.levels) + 1)[:-1]
    sizes = pd.Series(n, index=text.levels.to_numpy())[n > 0].sort_index()
    return list(sizes.sort_values(ascending=False, kind="stable").index)


def _rows_at(text: Coded, levels: list[str]) -> np.ndarray:
    """The rows that have one of some levels."""
    return np.append(text.levels.isin(levels).to_numpy(bool), False)[text.codes]


def by_level(column: Coded, feature: Feature) -> dict[str, np.ndarray]:
    """The columns of one driver by level: one number per value found, that of blanks the last."""
    blank = np.zeros(len(column.levels) + 1, dtype=np.int8)
    blank[-1] = 1
    columns = {NOT_MEASURED: blank}
    if feature.kind == "number":
        held = np.clip(feature.measured(column.levels).to_numpy(dtype=float), *feature.limits)
        return columns | {"": np.append((held - feature.centre) / feature.scale, 0.0)}
    if feature.kind == "flag":
        is_yes = (column.levels == True).to_numpy(bool)  # noqa: E712 - levels may be of any type
        return columns | {"yes": np.append(is_yes, False).astype(np.int8)}
    names = text_levels(column.levels)
    modelled = [feature.levels.get(name, feature.stand_in) for name in names] + [None]  # blank
    return columns | {
        level: np.array([name == level for name in modelled], dtype=np.int8)
        for level in feature.modelled_levels
        if level != NOT_MEASURED
    }


def _is_id(months: Months, name: str) -> bool:
    codes = months.column(name).codes
    levels = len(pd.unique(codes[codes >= 0]))
    if levels < ID_LIKE_SHARE * FEWEST_FOR_AN_ID:
        return False
    accounts = months.n_accounts(codes >= 0)
    return bool(accounts >= FEWEST_FOR_AN_ID and levels >= ID_LIKE_SHARE * accounts)


def _counted(months: Months, mask: np.ndarray) -> str:
    return f"{months.events(mask)} events among {months.n_accounts(mask)} accounts"
