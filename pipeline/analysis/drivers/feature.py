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

from pipeline.analysis.drivers.months import Months
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
    rows = months.rows
    if name not in rows or rows[name].notna().sum() == 0:
        return None, [(name, "", "no value in the data")]
    values = rows[name]
    if pd.api.types.is_datetime64_any_dtype(values):
        return None, [(name, "", "a date is no driver")]
    missing = values.isna().to_numpy()
    has_missing = months.carries(missing)
    if is_flag(values):
        feature, reasons = _flag(months, name, folds_separated)
    elif pd.api.types.is_numeric_dtype(values):
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
    rows = months.rows
    present = (rows[name] == True).to_numpy(bool)  # noqa: E712 - blanks are neither
    absent = (rows[name] == False).to_numpy(bool)  # noqa: E712
    for level, mask in (("yes", present), ("no", absent)):
        if not months.carries(mask) and (folds or not months.is_seen(mask)):
            return None, [(name, level, _counted(months, mask))]
    empty = tuple(
        level for level, mask in (("yes", present), ("no", absent)) if not months.carries(mask)
    )
    unit = "yes against no"
    return Feature(name, "flag", reference="no", unit=unit, separated=empty), []


def _number(months: Months, name: str) -> tuple[Feature | None, Reasons]:
    values = months.rows[name]
    known = values.dropna().astype(float)
    is_log = is_money(name) and bool((known > 0).all())
    known = np.log2(known) if is_log else known
    if known.nunique() < 2:
        return None, [(name, "", "one value only")]
    shares = [TAIL, 0.25, 0.5, 0.75, 1 - TAIL]
    if months.n is None:
        low, quarter, median, three_quarters, high = known.quantile(shares)
    else:
        n = months.n[values.notna().to_numpy()]
        low, quarter, median, three_quarters, high = quantiles(known.to_numpy(), n, shares).tolist()
    limits = (low, high) if low < high else (known.min(), known.max())
    if is_log:
        return Feature(
            name, "number", unit="twice as much", centre=median, limits=limits, is_log=True
        ), []
    scale, words = three_quarters - quarter, "one interquartile range"
    if scale == 0 and (known % 1 == 0).all():
        scale, words = 1.0, "one unit; the quartiles are equal"
    elif scale == 0:
        scale, words = _deviation(known.clip(*limits), months), "one standard deviation"
    unit = f"{scale:,.4g} more ({words})"
    return Feature(name, "number", unit=unit, centre=median, scale=scale, limits=limits), []


def _deviation(known: pd.Series, months: Months) -> float:
    """Standard deviation of known values, one per row of the months that has one."""
    if months.n is None:
        return float(known.std())
    n = pd.Series(months.n, months.rows.index)[known.index].to_numpy().astype(np.int64)
    return float(np.sqrt(np.cov(known.to_numpy(), fweights=n)))


def _category(months: Months, name: str, folds: bool) -> tuple[Feature | None, Reasons]:
    if _is_id(months, name):
        return None, [(name, "", "about as many levels as accounts: it names them")]
    text = text_levels(months.rows[name])
    weights = pd.Series(months.weights, text.index)
    sizes = (
        weights.groupby(text.to_numpy())
        .sum()
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    levels: dict[str, str] = {}
    reasons: list[tuple[str, str, str]] = []
    for position, level in enumerate(sizes.index):
        mask = (text == level).to_numpy(bool)
        is_enough = months.carries(mask) if folds else months.is_seen(mask)
        is_kept = position < MOST_LEVELS and is_enough
        levels[level] = level if is_kept else OTHER
        if not is_kept and len(reasons) < MOST_LEVELS:
            reasons.append((name, level, f"{_counted(months, mask)}; counted as other"))
    others = text.map(levels).eq(OTHER).to_numpy(bool)
    kept = [level for level in sizes.index if levels[level] != OTHER]
    if others.any() and not months.carries(others) and kept:
        levels = {level: kept[0] if kind == OTHER else kind for level, kind in levels.items()}
        reasons.append((name, OTHER, f"{_counted(months, others)}; counted as {kept[0]}"))
    modelled = text.map(levels).value_counts()
    if len(modelled) < 2:
        return None, [*reasons, (name, "", "one level to compare")]
    found = text.map(levels)
    empty = tuple(
        level
        for level in sorted(modelled.index)
        if not months.carries((found == level).to_numpy(bool))
    )
    with_both = [level for level in kept if level not in empty]
    reference = next(iter([*with_both, *kept]), modelled.index[0])
    unit = "level against reference"
    return Feature(name, "category", reference, unit, levels=levels, separated=empty), reasons


def columns_of(values: pd.Series, feature: Feature) -> dict[str, np.ndarray]:
    """The columns of one driver by level: one number per row of `values`."""
    missing = values.isna().to_numpy()
    columns = {NOT_MEASURED: missing.astype(np.int8)}
    if feature.kind == "number":
        held = feature.measured(values).clip(*feature.limits)
        standard = (held - feature.centre) / feature.scale
        return columns | {"": standard.fillna(0.0).to_numpy()}
    if feature.kind == "flag":
        return columns | {"yes": (values == True).to_numpy(bool).astype(np.int8)}  # noqa: E712
    codes, found = pd.factorize(values)
    names = text_levels(pd.Series(found))
    modelled = [feature.levels.get(name, feature.stand_in) for name in names] + [None]  # blank
    return columns | {
        level: np.array([name == level for name in modelled], dtype=np.int8)[codes]
        for level in feature.modelled_levels
        if level != NOT_MEASURED
    }


def _is_id(months: Months, name: str) -> bool:
    levels = months.rows[name].nunique()
    if levels < ID_LIKE_SHARE * FEWEST_FOR_AN_ID:
        return False
    accounts = months.n_accounts(months.rows[name].notna().to_numpy())
    return bool(accounts >= FEWEST_FOR_AN_ID and levels >= ID_LIKE_SHARE * accounts)


def _counted(months: Months, mask: np.ndarray) -> str:
    return f"{months.events(mask)} events among {months.n_accounts(mask)} accounts"
