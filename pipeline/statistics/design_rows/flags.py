"""Which columns are the levels of one factor, and which factors are crossed together?

Columns that are 0 or 1 and never 1 together are the levels of one factor. Cost: products of each
two columns in some rows, then a pass over all rows of a column for each factor it may join.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.statistics.design_rows.crossed import Crossed, Crossing
from pipeline.statistics.design_rows.form import floats

MOST_CELLS = 256
"""Cells of a crossing; a table of two crossings then stays in the processor's own memory."""
LOOK_AT = 4_096
"""Rows in which columns that are never 1 together are looked for first."""

Columns: TypeAlias = Sequence[NDArray[Any]]


def flags_of(columns: Columns) -> list[int]:
    """Places of the columns that are 0 or 1 throughout, by type and by value.

    Source: definition.
    """
    return [
        place
        for place, own in enumerate(columns)
        if own.dtype.kind == "b" or (own.dtype == np.int8 and own.view(np.uint8).max() <= 1)
    ]


def crossed_rows(columns: Columns, flags: list[int], names: pd.Index) -> Crossed:
    """The rows of some columns by their cells; those at other places than `flags` stand beside.

    Source: definition.
    """
    others = [place for place in range(len(columns)) if place not in set(flags)]
    return Crossed(
        len(columns[0]),
        tuple(_crossing(columns, factors) for factors in _together(_factors(columns, flags))),
        tuple(floats(columns[place]) for place in others),
        np.array(others, dtype=np.int64),
        names,
    )


def _factors(columns: Columns, flags: list[int]) -> list[list[int]]:
    """0/1 columns in factors: those of one factor are never 1 together."""
    every = -(-len(columns[0]) // LOOK_AT)
    looked = np.array([columns[flag][::every] for flag in flags], dtype=np.float32)
    is_met = looked @ looked.T > 0
    factors: list[list[int]] = []
    held: list[NDArray[np.bool_]] = []  # where a factor has a 1
    for place, flag in enumerate(flags):
        own = columns[flag].astype(bool)
        for at, factor in enumerate(factors):
            apart = not is_met[place, [flags.index(other) for other in factor]].any()
            if apart and len(factor) + 2 <= MOST_CELLS and not (held[at] & own).any():
                factor.append(flag)
                held[at] |= own
                break
        else:
            factors.append([flag])
            held.append(own.copy())
    return factors


def _together(factors: list[list[int]]) -> list[list[list[int]]]:
    """Factors crossed one after the other while the cells stay few."""
    found: list[list[list[int]]] = []
    cells = MOST_CELLS
    for factor in sorted(factors, key=len, reverse=True):
        levels = len(factor) + 1
        if cells * levels > MOST_CELLS:
            found.append([])
            cells = 1
        found[-1].append(factor)
        cells *= levels
    return found


def _crossing(columns: Columns, factors: list[list[int]]) -> Crossing:
    """The cell of each row in the crossing of some factors."""
    sizes = [len(factor) + 1 for factor in factors]
    cell, step = np.zeros(len(columns[0]), dtype=np.int16), 1
    levels = np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes[::-1]))[::-1]
    held = []
    for factor, size, level in zip(factors, sizes, levels, strict=True):
        for position, flag in enumerate(factor, start=1):
            own = columns[flag].astype(np.int16)
            cell += own * np.int16(step * position)
            held.append(level == position)
        step *= size
    at = np.array([flag for factor in factors for flag in factor], dtype=np.int64)
    return Crossing(cell, np.column_stack(held).astype(np.float64), at)
