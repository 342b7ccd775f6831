"""Where does a straight line bend?

The columns that turn a line into a restricted cubic spline, straight beyond the outer knots. The
subtle point: knots that coincide, as they do for counts, are merged; with fewer than three left
there is nothing to bend.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.counted_values import quantiles

KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)
"""Quantiles at which five knots stand (four degrees of freedom with the line); Harrell (2015),
table 2.3."""


def restricted_cubic(
    x: ArrayLike, counts: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The bends of a restricted cubic spline; the line itself is not among them.

    Args:
        x: one number per row, none missing.
        counts: how many equal rows each stands for; None: one.

    Returns:
        One row per number, one column per bend: two fewer than distinct knots.

    Source: Harrell (2015), Regression Modeling Strategies, section 2.4.5.
    """
    values = np.asarray(x, dtype=float)
    knots = np.empty(0)
    if len(values):
        own = np.quantile(values, KNOTS) if counts is None else quantiles(values, counts, KNOTS)
        knots = np.unique(own)
    if min(len(knots), len(np.unique(values))) < 3:
        return np.empty((len(values), 0))
    last, before = knots[-1], knots[-2]

    def above(knot: float) -> NDArray[np.float64]:
        return np.clip(values - knot, 0, None) ** 3

    bends = [
        above(knot)
        - above(before) * (last - knot) / (last - before)
        + above(last) * (before - knot) / (last - before)
        for knot in knots[:-2]
    ]
    return np.column_stack(bends) / (last - knots[0]) ** 2
