"""How does a regression work on tens of millions of rows without a copy of them?

A fit needs five things of its design X: Xβ, X'v, X'WX, x'Mx of each row, and X'v by group. They
are made here, either block by block of rows, or on crossed rows: columns that are 0 or 1 and never
1 together are the levels of one factor, factors are crossed as long as the cells stay few, and each
row keeps the number of its cell in each crossing; the other columns stay beside it. Where the
levels are known `coded_rows` crosses them without writing a column. All are exact. The subtle
point: two crossings meet in a table of sums of weights, so that X'WX costs a few additions per row
and not one per pair of columns.

Cost of one X'WX of n rows, p columns of which q are not 0/1, and c crossings of at most K cells: by
blocks n·p² multiplications and a block's memory; crossed n·(c²/2 + q·c + q²) additions, c²·K²·p
multiplications and c small numbers per row. Some forty flags of ten drivers are three crossings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

BLOCK = 65_536
"""Rows made dense at once."""
FEW = 2_048
"""Rows up to which plain products cost less than crossings."""
MOST_CELLS = 256
"""Cells of a crossing; a table of two crossings then stays in the processor's own memory."""
LOOK_AT = 4_096
"""Rows in which columns that are never 1 together are looked for first."""
GROUPS_AT_ONCE = 65_536

Floats = NDArray[np.float64]
Columns: TypeAlias = Sequence[NDArray[Any]]


class DesignRows(Protocol):
    """The rows of a design, as far as a fit needs them."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def linear(self, params: Floats) -> Floats:
        """Xβ: one number per row."""

    def pull(self, values: Floats) -> Floats:
        """X'v: one number per column."""

    def information(self, weights: Floats) -> Floats:
        """X'WX: one row and column per column of the design."""

    def group_sums(self, values: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
        """X'v by group: one row per group, one column per column of the design."""

    def group_parts(
        self, values: Floats, codes: NDArray[np.int64], n_groups: int
    ) -> Iterator[Floats]:
        """The same, some groups after the other, so that not all are held at once."""

    def quadratic(self, matrix: Floats) -> Floats:
        """The form x'Mx of a symmetric matrix: one number per row."""

    @property
    def columns(self) -> pd.Index:
        """The names of the columns; their places where they have none."""

    def column(self, place: int) -> Floats:
        """One column: one number per row."""

    def values(self, place: int) -> Floats:
        """What a column holds, each value at least once."""

    def every(self, step: int) -> DesignRows:
        """Every so-many-th row."""

    def beside(self, added: Floats) -> DesignRows:
        """The same rows with more columns, the last."""


Design: TypeAlias = NDArray[np.float64] | pd.DataFrame
DesignOrRows: TypeAlias = Design | DesignRows


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
        return _Blocks(design, pd.RangeIndex(design.shape[1]))
    if len(design) > FEW:
        columns = [column.to_numpy() for _, column in design.items()]  # looked up once
        if flags := _flags(columns):
            return _crossed(columns, flags, design.columns)
    dense = design.to_numpy(dtype=float) if len(design) <= BLOCK else design
    return _Blocks(dense, design.columns)


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


@dataclass(frozen=True)
class _Blocks:
    """Rows as they are, dense for one block at a time."""

    design: Floats | pd.DataFrame
    columns: pd.Index

    @property
    def shape(self) -> tuple[int, int]:
        return self.design.shape[0], self.design.shape[1]

    def column(self, place: int) -> Floats:
        if isinstance(self.design, pd.DataFrame):
            return self.design.iloc[:, place].to_numpy(dtype=float)
        return _floats(self.design[:, place])

    def values(self, place: int) -> Floats:
        return self.column(place)

    def every(self, step: int) -> DesignRows:
        own = self.design if isinstance(self.design, np.ndarray) else self.design.iloc
        return _Blocks(own[::step], self.columns)

    def beside(self, added: Floats) -> DesignRows:
        whole = np.vstack([np.asarray(self.design, dtype=float).T, added.T]).T
        return _Blocks(whole, _more(self.columns, added))

    def _parts(self) -> Iterator[tuple[slice, Floats]]:
        for start in range(0, max(len(self.design), 1), BLOCK):
            own = slice(start, start + BLOCK)
            if isinstance(self.design, pd.DataFrame):
                yield own, self.design.iloc[own].to_numpy(dtype=float)
            else:
                yield own, _floats(self.design[own])

    def linear(self, params: Floats) -> Floats:
        found = [part @ params for _, part in self._parts()]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def quadratic(self, matrix: Floats) -> Floats:
        return np.concatenate([((part @ matrix) * part).sum(axis=1) for _, part in self._parts()])

    def pull(self, values: Floats) -> Floats:
        return _added_up([part.T @ values[own] for own, part in self._parts()])

    def information(self, weights: Floats) -> Floats:
        total = np.zeros((self.shape[1], self.shape[1]))
        for own, part in self._parts():
            total = total + part.T @ (part * weights[own, None])
        return total

    def group_sums(self, values: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
        sums = np.zeros((n_groups, self.shape[1]))
        for own, part in self._parts():
            order = np.argsort(codes[own], kind="stable")
            ordered = codes[own][order]
            starts = np.flatnonzero(np.diff(ordered, prepend=-1))
            scores = (part * values[own, None])[order]
            if len(starts):
                sums[ordered[starts]] += np.add.reduceat(scores, starts, axis=0)
        return sums

    def group_parts(
        self, values: Floats, codes: NDArray[np.int64], n_groups: int
    ) -> Iterator[Floats]:
        yield self.group_sums(values, codes, n_groups)


@dataclass(frozen=True)
class Crossing:
    """Some factors together: the cell of each row, and the columns that each cell has."""

    cell: NDArray[np.integer]  # of each row
    columns: Floats  # one row per cell, one column per column of the factors
    at: NDArray[np.int64]  # places of those columns in the design

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.columns)


@dataclass(frozen=True)
class Crossed:
    """Rows by their cells in a few crossings, and the columns of too many levels beside them."""

    n: int
    crossings: tuple[Crossing, ...]
    others: tuple[Floats, ...]  # each one number per row
    others_at: NDArray[np.int64]
    columns: pd.Index

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.n, len(self.columns)

    def column(self, place: int) -> Floats:
        """One column: one number per row."""
        found = [one.columns[:, one.at == place][one.cell, 0]
                 for one in self.crossings if place in one.at]  # fmt: skip
        return found[0] if found else self.others[list(self.others_at).index(place)]

    def values(self, place: int) -> Floats:
        """What a column holds, each value at least once."""
        for one in self.crossings:
            if place in one.at:
                is_there = np.bincount(one.cell, minlength=one.size) > 0
                return np.asarray(one.columns[is_there][:, one.at == place][:, 0])
        return self.column(place)

    def every(self, step: int) -> DesignRows:
        """Every so-many-th row."""
        crossings = tuple(replace(one, cell=one.cell[::step]) for one in self.crossings)
        others = tuple(column[::step] for column in self.others)
        return replace(self, n=-(-self.n // step), crossings=crossings, others=others)

    def beside(self, added: Floats) -> DesignRows:
        """The same rows with more columns, the last."""
        places = np.arange(added.shape[1]) + len(self.columns)
        return replace(
            self, others=(*self.others, *added.T), columns=_more(self.columns, added),
            others_at=np.append(self.others_at, places),
        )  # fmt: skip

    def _parts(self) -> Iterator[tuple[slice, list[NDArray[np.int64]], Floats]]:
        """Some rows at a time: which, their cells by crossing, and their other columns."""
        for start in range(0, self.n, BLOCK):
            own = slice(start, start + BLOCK)
            cells = [one.cell[own].astype(np.int64) for one in self.crossings]
            others = [column[own] for column in self.others]
            yield own, cells, np.array(others) if others else np.empty((0, len(cells[0])))

    def linear(self, params: Floats) -> Floats:
        """Xβ: one number per row."""
        by_cell = [one.columns @ params[one.at] for one in self.crossings]
        eta = np.empty(self.n)
        for own, cells, others in self._parts():
            eta[own] = params[self.others_at] @ others
            for known, cell in zip(by_cell, cells, strict=True):
                eta[own] += known[cell]
        return eta

    def quadratic(self, matrix: Floats) -> Floats:
        """The form x'Mx of a symmetric matrix: one number per row."""
        at, sizes = self.others_at, [one.size for one in self.crossings]
        beside = matrix[np.ix_(at, at)]
        mixed = [2 * matrix[np.ix_(at, one.at)] @ one.columns.T for one in self.crossings]
        tables = {
            (one, other): (
                (2 - (one == other)) * first.columns
                @ matrix[np.ix_(first.at, second.at)] @ second.columns.T
            )
            for other, second in enumerate(self.crossings)
            for one, first in enumerate(self.crossings[: other + 1])
        }  # fmt: skip
        alone = [np.diag(tables.pop((place, place))).copy() for place in range(len(sizes))]
        flat = {key: table.ravel() for key, table in tables.items()}
        found = np.empty(self.n)
        for own, cells, others in self._parts():
            total = ((beside @ others) * others).sum(axis=0)
            for (one, other), table in flat.items():
                total += table[cells[one] * sizes[other] + cells[other]]
            for place, cell in enumerate(cells):
                total += alone[place][cell] + (mixed[place][:, cell] * others).sum(axis=0)
            found[own] = total
        return found

    def pull(self, values: Floats) -> Floats:
        """X'v: one number per column."""
        sums = [np.zeros(one.size) for one in self.crossings]
        found = np.zeros(self.shape[1])
        for own, cells, others in self._parts():
            part = _floats(values[own])
            found[self.others_at] += others @ part
            for total, cell in zip(sums, cells, strict=True):
                total += np.bincount(cell, part, minlength=len(total))
        for one, total in zip(self.crossings, sums, strict=True):
            found[one.at] = total @ one.columns
        return found

    def information(self, weights: Floats) -> Floats:
        """X'WX: one row and column per column of the design."""
        p, own_at = self.shape[1], self.others_at
        total = np.zeros((p, p))
        tables = self._tables(weights, total)
        for (one, other), table in tables.items():
            first, second = self.crossings[one], self.crossings[other]
            if one == other:
                total[np.ix_(first.at, first.at)] = first.columns.T @ (table * first.columns)
            else:
                crossed = first.columns.T @ table @ second.columns
                total[np.ix_(first.at, second.at)] = crossed
                total[np.ix_(second.at, first.at)] = crossed.T
        for crossing in self.crossings:
            total[np.ix_(crossing.at, own_at)] = total[np.ix_(own_at, crossing.at)].T
        return total

    def _tables(self, weights: Floats, total: Floats) -> dict[tuple[int, int], Floats]:
        """Sums of weights by the cells of two crossings; those of the others go into `total`."""
        sizes, at = [one.size for one in self.crossings], self.others_at
        tables = {(one, other): np.zeros(sizes[one] * sizes[other])
                  for other in range(len(sizes)) for one in range(other)}  # fmt: skip
        alone = [np.zeros(size) for size in sizes]
        weighted = [np.zeros((len(at), size)) for size in sizes]
        for own, cells, others in self._parts():
            weight = _floats(weights[own])
            heavy = others * weight
            total[np.ix_(at, at)] += heavy @ others.T
            for (one, other), table in tables.items():
                table += np.bincount(cells[one] * sizes[other] + cells[other], weight, len(table))
            for place, cell in enumerate(cells):
                alone[place] += np.bincount(cell, weight, sizes[place])
                for sums, column in zip(weighted[place], heavy, strict=True):
                    sums += np.bincount(cell, column, sizes[place])
        for crossing, sums in zip(self.crossings, weighted, strict=True):
            total[np.ix_(at, crossing.at)] = sums @ crossing.columns
        found = {key: table.reshape(sizes[key[0]], -1) for key, table in tables.items()}
        return found | {(place, place): own[:, None] for place, own in enumerate(alone)}

    def group_sums(self, values: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
        """X'v by group: one row per group, one column per column of the design."""
        parts = list(self.group_parts(values, codes, n_groups))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def group_parts(
        self, values: Floats, codes: NDArray[np.int64], n_groups: int
    ) -> Iterator[Floats]:
        """The same, some groups after the other, so that not all are held at once."""
        ends = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_groups))])
        order = np.argsort(codes, kind="stable")
        for first in range(0, max(n_groups, 1), GROUPS_AT_ONCE):
            until = ends[first : min(first + GROUPS_AT_ONCE, n_groups) + 1]
            rows, n = order[until[0] : until[-1]], len(until) - 1
            sums, ordered, group = np.zeros((n, self.shape[1])), values[rows], codes[rows] - first
            for one in self.crossings:
                which = ordered, one.cell[rows], until - until[0]
                sums[:, one.at] = sparse.csr_array(which, (n, one.size)) @ one.columns
            for column, at in zip(self.others, self.others_at, strict=True):
                sums[:, at] = np.bincount(group, column[rows] * ordered, minlength=n)
            yield sums


def _flags(columns: Columns) -> list[int]:
    """Places of the columns that are 0 or 1 throughout, by type and by value."""
    return [
        place
        for place, own in enumerate(columns)
        if own.dtype.kind == "b" or (own.dtype == np.int8 and own.view(np.uint8).max() <= 1)
    ]


def _more(columns: pd.Index, added: Floats) -> pd.Index:
    names = [f"added{place}" for place in range(added.shape[1])]
    return columns.append(pd.Index(names, dtype=object))


def _crossed(columns: Columns, flags: list[int], names: pd.Index) -> Crossed:
    others = [place for place in range(len(columns)) if place not in set(flags)]
    return Crossed(
        len(columns[0]),
        tuple(_crossing(columns, factors) for factors in _together(_factors(columns, flags))),
        tuple(_floats(columns[place]) for place in others),
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


def _floats(values: NDArray[Any]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _added_up(parts: list[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
