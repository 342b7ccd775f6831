"""How does a regression work on tens of millions of rows without a copy of them?

A fit needs four things of its design X: Xβ, X'v, X'WX, and X'v by group. They are made here, either
block by block of rows, or on collapsed rows: the columns that are 0 or 1 are replaced by the number
of their pattern, of which there are few, and the other columns stay beside it. Both are exact. The
subtle point: up to one block of rows nothing is split or collapsed, so that a small company's
numbers are those of the plain products, to the last digit.

Cost of one X'WX of n rows, p columns of which q are not 0/1, and K patterns: by blocks n·p²
multiplications and a block's memory; collapsed n·(q + 1)² / 2 additions, K·p² multiplications and
one number per row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

BLOCK = 65_536
"""Rows made dense at once."""
ROWS_PER_PATTERN = 4
"""Fewest rows per pattern of the 0/1 columns for which collapsing pays."""
MOST_FLAGS = 62
"""0/1 columns whose pattern fits a whole number."""
GROUPS_AT_ONCE = 65_536

Floats = NDArray[np.float64]
Design: TypeAlias = NDArray[np.float64] | pd.DataFrame


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


def rows_of(design: Design) -> DesignRows:
    """The rows of a design in the form that costs least.

    Args:
        design: one row per subject and interval. Columns of a frame that are of type bool or int8
            and hold 0 and 1 alone are taken together when there are more rows than one block.

    Source: definition; McCullagh and Nelder (1989), section 2.5, for what a fit needs.
    """
    if isinstance(design, pd.DataFrame) and len(design) > BLOCK:
        flags = [place for place, kind in enumerate(design.dtypes) if kind in (bool, np.int8)]
        if 0 < len(flags) <= MOST_FLAGS:
            collapsed = _collapsed(design, flags)
            if collapsed is not None:
                return collapsed
    if isinstance(design, pd.DataFrame) and len(design) <= BLOCK:
        return _Blocks(design.to_numpy(dtype=float))
    return _Blocks(design)


@dataclass(frozen=True)
class _Blocks:
    """Rows as they are, dense for one block at a time."""

    design: Design

    @property
    def shape(self) -> tuple[int, int]:
        return self.design.shape[0], self.design.shape[1]

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


@dataclass(frozen=True)
class _Collapsed:
    """Rows by the number of their pattern of 0/1 columns, and the other columns beside it."""

    patterns: Floats  # one row per pattern, one column per 0/1 column
    pattern: NDArray[np.int64]  # of each row
    others: tuple[Floats, ...]  # each one number per row
    flags_at: NDArray[np.int64]
    others_at: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.pattern), len(self.flags_at) + len(self.others_at)

    def _by_pattern(self, values: Floats) -> Floats:
        return _floats(np.bincount(self.pattern, values, minlength=len(self.patterns)))

    def linear(self, params: Floats) -> Floats:
        eta = (self.patterns @ params[self.flags_at])[self.pattern]
        for column, at in zip(self.others, self.others_at, strict=True):
            eta += column * params[at]
        return eta

    def pull(self, values: Floats) -> Floats:
        found = np.zeros(self.shape[1])
        found[self.flags_at] = self._by_pattern(values) @ self.patterns
        found[self.others_at] = [column @ values for column in self.others]
        return found

    def information(self, weights: Floats) -> Floats:
        total = np.zeros((self.shape[1], self.shape[1]))
        by_pattern = self.patterns.T @ (self.patterns * self._by_pattern(weights)[:, None])
        total[np.ix_(self.flags_at, self.flags_at)] = by_pattern
        for place, at in enumerate(self.others_at):
            weighted = self.others[place] * weights
            crossed = self._by_pattern(weighted) @ self.patterns
            total[at, self.flags_at] = total[self.flags_at, at] = crossed
            for other in range(place + 1):
                both = self.others_at[other]
                total[at, both] = total[both, at] = weighted @ self.others[other]
        return total

    def group_sums(self, values: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
        sums = np.zeros((n_groups, self.shape[1]))
        counts = np.bincount(codes, minlength=n_groups)
        ends = np.concatenate([[0], np.cumsum(counts)])
        order = np.argsort(codes, kind="stable")
        ordered, pattern = values[order], self.pattern[order]
        for first in range(0, n_groups, GROUPS_AT_ONCE):
            last = min(first + GROUPS_AT_ONCE, n_groups)
            own = slice(ends[first], ends[last])
            which = ordered[own], pattern[own], ends[first : last + 1] - ends[first]
            size = last - first, len(self.patterns)
            sums[first:last, self.flags_at] = sparse.csr_array(which, size) @ self.patterns
        for column, at in zip(self.others, self.others_at, strict=True):
            sums[:, at] = np.bincount(codes, column * values, minlength=n_groups)
        return sums


def _collapsed(design: pd.DataFrame, flags: list[int]) -> _Collapsed | None:
    """The collapsed rows; none where a flag is not one, or patterns are about as many as rows."""
    key = np.zeros(len(design), dtype=np.int64)
    for bit, place in enumerate(flags):
        values = design.iloc[:, place].to_numpy()
        if values.dtype != bool and not ((values == 0) | (values == 1)).all():
            return None
        key |= values.astype(np.int64) << bit
    pattern, found = pd.factorize(key)
    if len(found) * ROWS_PER_PATTERN > len(design):
        return None
    patterns = ((found[:, None] >> np.arange(len(flags))) & 1).astype(np.float64)
    others = [place for place in range(design.shape[1]) if place not in set(flags)]
    return _Collapsed(
        patterns,
        pattern.astype(np.int64, copy=False),
        tuple(design.iloc[:, place].to_numpy(dtype=float) for place in others),
        np.array(flags, dtype=np.int64),
        np.array(others, dtype=np.int64),
    )


def _floats(values: NDArray[Any]) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _added_up(parts: list[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
