"""What does a fit need of the rows of its design? Five products, whatever the rows look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BLOCK = 65_536
"""Rows made dense at once."""

Floats = NDArray[np.float64]


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


def floats(values: NDArray[Any]) -> Floats:
    """The same values as numbers of 64 bits; no copy of those that are.

    Source: definition.
    """
    return np.asarray(values, dtype=np.float64)


def with_added(columns: pd.Index, added: Floats) -> pd.Index:
    """The names of the columns, and of as many more as were added.

    Source: definition.
    """
    names = [f"added{place}" for place in range(added.shape[1])]
    return columns.append(pd.Index(names, dtype=object))
