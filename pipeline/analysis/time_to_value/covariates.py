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
    for name in dict.fromkeys(names):
        made, found = _number(rows, name) if _is_number(rows[name]) else _categories(rows, name)
        parts.append(made)
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


def _number(rows: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[tuple]]:
    """The number itself, and whether it was not measured."""
    values, is_blank = rows[name].astype("float64"), rows[name].isna()
    filled = values.fillna(values.median()).fillna(0.0)
    blank = f"{name}: {NOT_MEASURED}"
    columns = pd.DataFrame({name: filled, blank: is_blank.astype("float64")}, index=rows.index)
    found = [(name, "per unit", "", name, *_counts(rows, ~is_blank))]
    if is_blank.any():
        found.append((name, NOT_MEASURED, "", blank, *_counts(rows, is_blank)))
    return columns, found


def _categories(rows: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[tuple]]:
    levels = _merged(rows[name], rows["event"], rows["account_id"])
    sizes = rows["account_id"].groupby(levels).nunique().sort_index()
    reference = str(sizes.idxmax()) if len(sizes) else ""
    columns, found = {}, []
    for level in [reference, *(each for each in sizes.index if each != reference)]:
        column = "" if level == reference else f"{name}: {level}"
        if column:
            columns[column] = (levels == level).astype("float64")
        found.append((name, level, reference, column, *_counts(rows, levels == level)))
    return pd.DataFrame(columns, index=rows.index), found


def _counts(rows: pd.DataFrame, is_here: pd.Series) -> tuple[int, int]:
    here = rows[is_here]
    return int(here["account_id"].nunique()), int(here["event"].sum())


def _merged(levels: pd.Series, events: pd.Series, accounts: pd.Series) -> pd.Series:
    """Levels too small to carry a coefficient become "other", and that the largest level."""
    for name in (OTHER, levels.mode().iloc[0] if len(levels) else OTHER):
        n = accounts.groupby(levels).transform("nunique")
        is_small = (n < SMALLEST_N) | (events.groupby(levels).transform("sum") == 0)
        levels = levels.mask(is_small, name)
    return levels
