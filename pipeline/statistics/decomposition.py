"""Did a mean change because its parts changed, or because their weights did?

The subtle point: with the weights and the rates taken at their midpoints nothing is left over.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


def mix_and_rate(
    weights_before: ArrayLike,
    weights_now: ArrayLike,
    rates_before: ArrayLike,
    rates_now: ArrayLike,
) -> pd.DataFrame:
    """Split the change of a weighted mean into the part of its weights and the part of its rates.

    Args:
        weights_before: weight of each part, adding up to 1.
        weights_now: the same, later.
        rates_before: rate of each part.
        rates_now: the same, later.

    Returns:
        One row per part: mix, rate. Their sum over all parts is the change of the weighted mean.

    Raises:
        ValueError: weights of one time do not add up to 1.

    Source: Kitagawa (1955), Journal of the American Statistical Association 50, 1168.
    """
    before, now, old, new = (
        np.asarray(values, dtype=float)
        for values in (weights_before, weights_now, rates_before, rates_now)
    )
    for weights in (before, now):
        if not np.isclose(weights.sum(), 1.0):
            raise ValueError(
                f"Weights add up to {weights.sum():g}, not 1. The split of a change holds for "
                "shares only: divide the weights by their sum."
            )
    return pd.DataFrame(
        {"mix": (now - before) * (old + new) / 2, "rate": (new - old) * (before + now) / 2}
    )
