"""How do rows work as they are? Dense for a block of them at a time.

Cost of one X'WX of n rows and p columns: n·p² multiplications and a block's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.statistics.design_rows.form import BLOCK, DesignRows, Floats, floats, with_added


@dataclass(frozen=True)
class Dense:
    """Rows as they are, dense for one block at a time."""

    design: Floats | pd.DataFrame
    columns: pd.Index

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.design.shape[0], self.design.shape[1]

    def column(self, place: int) -> Floats:
        """One column: one number per row."""
        if isinstance(self.design, pd.DataFrame):
            return self.design.iloc[:, place].to_numpy(dtype=float)
        return floats(self.design[:, place])

    def values(self, place: int) -> Floats:
        """What a column holds, each value at least once."""
        return self.column(place)

    def every(self, step: int) -> DesignRows:
        """Every so-many-th row."""
        own = self.design if isinstance(self.design, np.ndarray) else self.design.iloc
        return Dense(own[::step], self.columns)

    def beside(self, added: Floats) -> DesignRows:
        """The same rows with more columns, the last."""
        whole = np.vstack([np.asarray(self.design, dtype=float).T, added.T]).T
        return Dense(whole, with_added(self.columns, added))

    def _parts(self) -> Iterator[tuple[slice, Floats]]:
        for start in range(0, max(len(self.design), 1), BLOCK):
            own = slice(start, start + BLOCK)
            if isinstance(self.design, pd.DataFrame):
                yield own, self.design.iloc[own].to_numpy(dtype=float)
            else:
                yield own, floats(self.design[own])

    def linear(self, params: Floats) -> Floats:
        """Xβ: one number per row."""
        found = [part @ params for _, part in self._parts()]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def quadratic(self, matrix: Floats) -> Floats:
        """The form x'Mx of a symmetric matrix: one number per row."""
        return np.concatenate([((part @ matrix) * part).sum(axis=1) for _, part in self._parts()])

    def pull(self, values: Floats) -> Floats:
        """X'v: one number per column."""
        return _added_up([part.T @ values[own] for own, part in self._parts()])

    def information(self, weights: Floats) -> Floats:
        """X'WX: one row and column per column of the design."""
        total = np.zeros((self.shape[1], self.shape[1]))
        for own, part in self._parts():
            total = total + part.T @ (part * weights[own, None])
        return total

    def group_sums(self, values: Floats, codes: NDArray[np.int64], n_groups: int) -> Floats:
        """X'v by group: one row per group, one column per column of the design."""
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
        """The same, all groups at once."""
        yield self.group_sums(values, codes, n_groups)


def _added_up(parts: list[Floats]) -> Floats:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
