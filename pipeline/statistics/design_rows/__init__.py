"""How does a regression work on tens of millions of rows without a copy of them?

A fit needs five things of its design X: Xβ, X'v, X'WX, x'Mx of each row, and X'v by group (`form`).
They are made either block by block of rows (`dense`) or by the cells of a few factors that are
crossed (`crossed`, of the 0/1 columns that `flags` finds). Where the levels are known `coded_rows`
crosses them without writing a column. All are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.statistics.design_rows import flags
from pipeline.statistics.design_rows.crossed import GROUPS_AT_ONCE, Crossed, Crossing
from pipeline.statistics.design_rows.dense import Dense
from pipeline.statistics.design_rows.flags import LOOK_AT, MOST_CELLS
from pipeline.statistics.design_rows.form import BLOCK, DesignOrRows, DesignRows, Floats

__all__ = [
    "BLOCK",
    "GROUPS_AT_ONCE",
    "LOOK_AT",
    "MOST_CELLS",
    "Crossed",
    "Crossing",
    "DesignOrRows",
    "DesignRows",
    "Floats",
    "column_of",
    "dense_of",
    "in_blocks",
    "rows_of",
]

FEW = 2_048
"""Rows up to which plain products cost less than crossings."""


def rows_of(design: DesignOrRows) -> DesignRows:
    """The rows of a design in the form that costs least; rows already in a form stay as they are.

    Args:
        design: one row per subject and interval. Columns of a frame that are of type bool or int8
            and hold 0 and 1 alone are crossed when rows are not few.

    Source: definition; McCullagh and Nelder (1989), section 2.5, for what a fit needs.
    """
    if not isinstance(design, pd.DataFrame | np.ndarray):
        return design
    if isinstance(design, np.ndarray):
        return Dense(design, pd.RangeIndex(design.shape[1]))
    if len(design) > FEW:
        columns = [column.to_numpy() for _, column in design.items()]  # looked up once
        if found := flags.flags_of(columns):
            return flags.crossed_rows(columns, found, design.columns)
    dense = design.to_numpy(dtype=float) if len(design) <= BLOCK else design
    return Dense(dense, design.columns)


def in_blocks(formula: Callable[..., Sequence[Floats]], *values: NDArray[Any]) -> list[Floats]:
    """What a formula gives row by row, a block at a time: what lies between stays small.

    Args:
        formula: numbers per row in, as many out.
        values: one per row each.

    Source: definition.
    """
    n = len(values[0])
    if n <= BLOCK:
        return list(formula(*values))
    found: list[Floats] = []
    for start in range(0, n, BLOCK):
        own = slice(start, start + BLOCK)
        parts = formula(*(part[own] for part in values))
        found = found or [np.empty(n) for _ in parts]
        for whole, part in zip(found, parts, strict=True):
            whole[own] = part
    return found


def column_of(design: pd.DataFrame | DesignRows, name: str) -> Floats:
    """A column of a design in either form: one number per row.

    Source: definition.
    """
    if isinstance(design, pd.DataFrame):
        return design[name].to_numpy(dtype=float)
    return design.column(int(design.columns.get_indexer([name])[0]))


def dense_of(design: DesignOrRows) -> Floats:
    """A design of few rows as one array.

    Source: definition.
    """
    if isinstance(design, np.ndarray):
        return design
    if isinstance(design, pd.DataFrame):
        return design.to_numpy(dtype=float)
    return np.column_stack([design.column(place) for place in range(design.shape[1])])
