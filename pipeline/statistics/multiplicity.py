"""Which of many findings would stand, given how many were looked for?

The subtle point: a test that could not be made has no p-value, and does not count as one looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values to bound the chance of any false finding; missing stays missing.

    Source: Holm (1979), Scand J Stat 6: 65.
    """
    p_values = np.asarray(p, dtype=float)
    adjusted = np.full(p_values.shape, np.nan)
    made = np.flatnonzero(~np.isnan(p_values))
    order = made[np.argsort(p_values[made], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values to q-values that bound the false discovery rate; missing stays missing.

    Source: Benjamini & Hochberg (1995).
    """
    p_values = np.asarray(p, dtype=float)
    made = ~np.isnan(p_values)
    q_values = np.full(p_values.shape, np.nan)
    if made.any():
        q_values[made] = false_discovery_control(p_values[made], method="bh")
    return q_values
