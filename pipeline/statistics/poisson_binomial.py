"""How many of many unequal chances come true?

The exact distribution of a sum of independent yes-or-no events with their own probabilities. The
subtle point: given the probabilities it is exact, and therefore too narrow for a forecast whose
probabilities are themselves estimated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def distribution(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Probability of 0, 1, …, n events, by exact convolution.

    Args:
        probabilities: one per event, 0 to 1.

    Returns:
        n + 1 probabilities that sum to 1.

    Raises:
        ValueError: a probability is missing or not between 0 and 1.

    Source: Hong (2013), Computational Statistics & Data Analysis 59: 41, section 2.
    """
    p = np.asarray(probabilities, dtype=float)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {len(p)} probabilities are not between 0 and 1 (first: "
            f"{p[wrong][0]:g}). A sum of events needs the chance of each."
        )
    parts = [np.array([1 - chance, chance]) for chance in p] or [np.ones(1)]
    while len(parts) > 1:
        last = parts[-1:] if len(parts) % 2 else []
        parts = [np.convolve(one, two) for one, two in zip(parts[::2], parts[1::2], strict=False)]
        parts += last
    return parts[0]


def quantile(chances: NDArray[np.float64], levels: ArrayLike) -> NDArray[np.int64]:
    """The smallest number of events whose cumulative probability reaches each level.

    Args:
        chances: from `distribution`.
        levels: between 0 and 1.

    Source: definition.
    """
    reached = np.cumsum(chances)
    return np.searchsorted(reached, np.asarray(levels, dtype=float) - 1e-12).clip(
        max=len(chances) - 1
    )
