"""How does a design work on tens of millions of rows when no column of it is ever written?

Most columns follow from a level that a row has: a band, a flag, a small count. Such a factor is the
level of each row and one row of columns per level. Factors of few levels are crossed as in
`design_rows`, from their levels alone; a column of too many levels stands beside as one number per
row. The subtle point: a count of thirty levels is crossed like a category, its one column being a
number, so that it costs no more than that category.

Cost: one look-up per row and factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.statistics.design_rows import LOOK_AT, MOST_CELLS, Crossed, Crossing, Floats


@dataclass(frozen=True)
class Factor:
    """Columns that follow from a level: the level of each row, and one row of columns per level."""

    codes: NDArray[np.integer]  # -1: the last level
    columns: Floats
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Few:
    """A factor of few levels, those told apart by its columns alone, and its places."""

    codes: NDArray[np.integer]
    level: NDArray[np.int64]  # of each code
    columns: Floats  # one row per level
    at: NDArray[np.int64]


def rows_of_factors(factors: Sequence[Factor]) -> Crossed:
    """The rows of a design given by factors, in the form that `design_rows` works on.

    Args:
        factors: of the same rows; their columns one after the other are those of the design.

    Source: definition.
    """
    few: list[_Few] = []
    others: dict[int, Floats] = {}
    first = 0
    for factor in factors:
        at = first + np.arange(len(factor.names))
        first += len(at)
        if own := _few(factor, at, slice(None)):
            few.append(own)
            continue
        for position, place in enumerate(at):
            if own := _few(factor, at, slice(position, position + 1)):
                few.append(own)
            else:
                others[int(place)] = factor.columns[:, position][factor.codes]
    names = pd.Index([name for factor in factors for name in factor.names], dtype=object)
    crossings = tuple(_crossing(together) for together in _packed(few))
    places = np.array(list(others), dtype=np.int64)
    return Crossed(len(factors[0].codes), crossings, tuple(others.values()), places, names)


def _few(factor: Factor, at: NDArray[np.int64], own: slice) -> _Few | None:
    """Some columns of a factor as one of few levels; none where they have too many."""
    if len(np.unique(factor.columns[:LOOK_AT, own], axis=0)) > MOST_CELLS:
        return None  # a look at some spares the sorting of a million
    distinct, level = np.unique(factor.columns[:, own], axis=0, return_inverse=True)
    if len(distinct) > MOST_CELLS:
        return None
    return _Few(factor.codes, level.reshape(-1), distinct, at[own])


def _packed(few: list[_Few]) -> list[list[_Few]]:
    """Factors that are crossed: each joins the first others with which the cells stay few."""
    found: list[list[_Few]] = []
    cells: list[int] = []
    for one in sorted(few, key=lambda one: len(one.columns), reverse=True):
        n = len(one.columns)
        place = next((at for at, size in enumerate(cells) if size * n <= MOST_CELLS), len(cells))
        if place == len(cells):
            found.append([])
            cells.append(1)
        found[place].append(one)
        cells[place] *= n
    return found


def _crossing(few: list[_Few]) -> Crossing:
    """The cell of each row, and the columns of all factors at each cell."""
    sizes = [len(one.columns) for one in few]
    kind = np.min_scalar_type(int(np.prod(sizes)) - 1)
    cell, step = np.zeros(len(few[0].codes), dtype=kind), 1
    levels = np.stack(np.unravel_index(np.arange(int(np.prod(sizes))), sizes[::-1]))[::-1]
    for one, size in zip(few, sizes, strict=True):
        cell += (one.level * step).astype(kind)[one.codes]
        step *= size
    held = [one.columns[level] for one, level in zip(few, levels, strict=True)]
    return Crossing(cell, np.hstack(held), np.concatenate([one.at for one in few]))
