"""What was known at signing, as columns of a model?

One column per level against the largest. The subtle point: a level too small to carry a ratio joins
"other", and a column that follows from those before it is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.analysis.levels import NOT_MEASURED, OTHER
from pipeline.analysis.reliability import SMALLEST_N

LEVEL_COLUMNS = ["term", "level", "reference", "column", "n", "n_events"]


@dataclass(frozen=True)
class Coded:
    """Columns of a model, the levels they stand for, and the columns that follow from others."""

    columns: pd.DataFrame
    levels: pd.DataFrame
    left_out: tuple[str, ...] = ()


def coded(rows: pd.DataFrame, names: Iterable[str]) -> Coded:
    """Indicator columns of each covariate's levels; a number stays a number.

    Args:
        rows: account_id, event (bool) and the covariates, one row per account and time span.
        names: covariates.

    Returns:
        Columns aligned with the rows, and `levels`, one row per covariate and level, the reference
        first (column blank): term, level, reference, column, n (accounts), n_events.
    """
    parts, levels = [], []
    owner = pd.factorize(rows["account_id"])[0] if len(rows) else np.zeros(0, dtype=np.int64)
    for name in dict.fromkeys(names):
        made = _number if _is_number(rows[name]) else _categories
        columns_of, found = made(rows, name, owner)
        parts.append(columns_of)
        levels += found
    columns = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=rows.index)
    columns = columns.loc[:, columns.nunique() > 1]
    kept = independent(columns)
    left_out = tuple(name for name in columns if name not in kept)
    return Coded(columns[kept], pd.DataFrame(levels, columns=LEVEL_COLUMNS), left_out)


def independent(columns: pd.DataFrame, first: pd.DataFrame | None = None) -> list[str]:
    """Names of the columns that do not follow from `first` and those before them."""
    taken = [np.ones(len(columns))]
    if first is not None:
        taken += [first[name].to_numpy(float) for name in first]
    basis = np.linalg.qr(np.column_stack(taken))[0] if len(columns) else np.empty((0, 1))
    kept = []
    for name in columns:
        values = columns[name].to_numpy(float)
        rest = values - basis @ (basis.T @ values)
        rest = rest - basis @ (basis.T @ rest)
        size = float(np.linalg.norm(rest))
        if size > 1e-8 * max(float(np.linalg.norm(values)), 1e-300):
            basis = np.column_stack([basis, rest / size])
            kept.append(name)
    return kept


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _number(rows: pd.DataFrame, name: str, owner: np.ndarray) -> tuple[pd.DataFrame, list[tuple]]:
    """The number itself, and whether it was not measured."""
    values, is_blank = rows[name].astype("float64"), rows[name].isna()
    filled = values.fillna(values.median()).fillna(0.0)
    blank = f"{name}: {NOT_MEASURED}"
    columns = pd.DataFrame({name: filled, blank: is_blank.astype("float64")}, index=rows.index)
    counts = _Counts.by(is_blank.to_numpy().astype(np.int64), 2, rows, owner)
    found = [(name, "per unit", "", name, *counts.at(0))]
    if is_blank.any():
        found.append((name, NOT_MEASURED, "", blank, *counts.at(1)))
    return columns, found


def _categories(
    rows: pd.DataFrame, name: str, owner: np.ndarray
) -> tuple[pd.DataFrame, list[tuple]]:
    codes, names = _merged(rows, name, owner)
    counts = _Counts.by(codes, len(names), rows, owner)
    order = sorted(range(len(names)), key=names.__getitem__)
    first = max(order, key=lambda code: counts.n[code]) if order else -1
    reference = str(names[first]) if order else ""
    columns, found = {}, []
    for code in [first, *(each for each in order if each != first)] if order else []:
        level = names[code]
        column = "" if code == first else f"{name}: {level}"
        if column:
            columns[column] = (codes == code).astype("float64")
        shown = reference if code == first else level
        found.append((name, shown, reference, column, *counts.at(code)))
    return pd.DataFrame(columns, index=rows.index), found


@dataclass(frozen=True)
class _Counts:
    """Accounts and events per level, by the number of the level."""

    n: np.ndarray
    n_events: np.ndarray

    @classmethod
    def by(cls, codes: np.ndarray, size: int, rows: pd.DataFrame, owner: np.ndarray) -> _Counts:
        n_owners = int(owner.max(initial=-1)) + 1
        each = codes if n_owners == len(owner) else pd.unique(codes * n_owners + owner) // n_owners
        events = np.bincount(codes, rows["event"].to_numpy(float), minlength=size)
        return cls(np.bincount(each, minlength=size), events.astype(np.int64))

    def at(self, code: int) -> tuple[int, int]:
        return int(self.n[code]), int(self.n_events[code])


def _merged(rows: pd.DataFrame, name: str, owner: np.ndarray) -> tuple[np.ndarray, list]:
    """Levels too small to carry a coefficient become "other", and that the largest level.

    Gives the number of each row's level, and the levels.
    """
    codes, found = pd.factorize(rows[name])
    names = list(found)
    sizes = np.bincount(codes, minlength=len(names))
    largest = min(np.asarray(names, dtype=object)[sizes == sizes.max()]) if names else OTHER
    for into in (OTHER, largest):
        counts = _Counts.by(codes, len(names), rows, owner)
        is_small = (counts.n < SMALLEST_N) | (counts.n_events == 0)
        renamed = [into if small else level for level, small in zip(names, is_small, strict=True)]
        names = list(dict.fromkeys(renamed))
        place = {level: code for code, level in enumerate(names)}
        codes = np.array([place[level] for level in renamed], dtype=np.int64)[codes]
    return codes, names
