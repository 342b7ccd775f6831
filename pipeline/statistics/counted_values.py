"""Where do quantiles lie when equal values are counted, not written out?

The subtle point: the numbers are those of the values written out, not of a smoothed distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def quantiles(
    values: NDArray[np.float64], n: NDArray[np.float64], shares: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles of values of which there are n each, as of the values written out.

    Source: Hyndman and Fan (1996), definition 7.
    """
    order = np.argsort(values, kind="stable")
    ordered, upto = values[order], np.cumsum(n[order])
    place = np.asarray(shares) * (upto[-1] - 1)
    low, high = (ordered[np.searchsorted(upto, at, side="right")]
                 for at in (np.floor(place), np.ceil(place)))  # fmt: skip
    return np.asarray(low + (high - low) * (place - np.floor(place)))
