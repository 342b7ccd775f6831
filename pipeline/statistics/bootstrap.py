"""Which subjects does a bootstrap draw, and how often each?

The subtle point: draws come in blocks, because all at once would take the memory of subjects times
draws; they are the same whatever the size of a block.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MOST_COUNTS = 4_000_000
"""Counts held at once: 32 MB."""


def drawn(n: int, n_draws: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """How often each of `n` subjects is drawn when `n` are drawn with replacement.

    Returns:
        blocks of draws, one row per draw and one column per subject.

    Source: Efron (1979).
    """
    rows = max(1, MOST_COUNTS // n)
    for done in range(0, n_draws, rows):
        yield generator.multinomial(n, np.full(n, 1 / n), min(rows, n_draws - done))
