"""How many of many unequal chances come true?

The exact distribution of a sum of independent yes-or-no events with their own probabilities. The
subtle point: given the probabilities it is exact, and therefore too narrow for a forecast whose
probabilities are themselves estimated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MANY, BLOCK = 5_000, 64
"""Events beyond which ends are cut off, and events that are first taken together."""
WEIGHTLESS = 1e-22


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
    if len(p) > MANY:
        return _of_many(p)
    parts = [np.array([1 - chance, chance]) for chance in p] or [np.ones(1)]
    while len(parts) > 1:
        last = parts[-1:] if len(parts) % 2 else []
        parts = [np.convolve(one, two) for one, two in zip(parts[::2], parts[1::2], strict=False)]
        parts += last
    return parts[0]


def _of_many(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for many events: blocks side by side, and what weighs nothing is cut off.

    Of n events the sum lies within some √n of its mean, so that each convolution stays short.
    """
    padded = np.zeros(-(-len(p) // BLOCK) * BLOCK)
    padded[: len(p)] = p
    chances = padded.reshape(-1, BLOCK)
    blocks = np.zeros((len(chances), BLOCK + 1))
    blocks[:, 0] = 1.0
    for at in range(BLOCK):
        came = chances[:, at, None]
        blocks[:, 1:] = blocks[:, 1:] * (1 - came) + blocks[:, :-1] * came
        blocks[:, :1] *= 1 - came
    parts = [_cut(0, block) for block in blocks]
    while len(parts) > 1:
        last = parts[-1:] if len(parts) % 2 else []
        parts = [
            _cut(one[0] + two[0], np.convolve(one[1], two[1]))
            for one, two in zip(parts[::2], parts[1::2], strict=False)
        ] + last
    first, held = parts[0]
    whole = np.zeros(len(p) + 1)
    whole[first : first + len(held)] = held
    return whole


def _cut(first: int, chances: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """A distribution without its weightless ends, and the number at which it now begins."""
    kept = np.flatnonzero(chances > WEIGHTLESS)
    return first + int(kept[0]), chances[kept[0] : kept[-1] + 1]


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
