"""Which of many findings would stand, given how many were looked for?

The subtle point: a test that could not be made has no p-value, and does not count as one looked at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control


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
