"""How do rows work by the cells that they lie in? Sums by cell, and products of cells.

Factors are crossed as long as the cells stay few; each row keeps the number of its cell in each
crossing, and columns of too many levels stand beside. The subtle point: two crossings meet in a
table of sums of weights, so X'WX costs a few additions per row and not one per pair of columns.

Cost of one X'WX of n rows, p columns of which q stand beside, and c crossings of at most K cells:
n·(c²/2 + q·c + q²) additions, c²·K²·p multiplications and c small numbers per row. Some forty flags
of ten drivers are three crossings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline.statistics.design_rows.form import BLOCK, DesignRows, Floats, floats, with_added

GROUPS_AT_ONCE = 65_536
"""Groups whose sums are held at once."""


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
            self, others=(*self.others, *added.T), columns=with_added(self.columns, added),
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
            part = floats(values[own])
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
            weight = floats(weights[own])
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
