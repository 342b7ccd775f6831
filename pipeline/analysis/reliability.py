"""When is there too little to say a number? The limits that the chapters share.

Works on counts alone. The subtle point: what falls below a limit is not dropped. It is named, with
its count, in place of the rate.
"""

from __future__ import annotations

import numpy as np

SMALLEST_N = 10
"""No rate, curve or effect from fewer accounts: "k of n" instead; GLOSSARY, small numbers."""
SUPPORTED_SHARE_OF_PEAK = 0.05
"""A curve is read while max(10, 5 % of the largest risk set) are at risk; in the spirit of Pocock,
Clayton and Altman (2002), Lancet 359: 1686."""
EVENTS_PER_PARAMETER = 10.0
"""Fewer, and ratios are noise; Peduzzi et al. (1995), J Clin Epidemiol 48: 1503."""


def fewest_at_risk(peak: float) -> int:
    """Accounts that must be at risk for a curve to be read, `peak` being the most there ever were.

    Ten, or 5 % of the peak.
    """
    return max(SMALLEST_N, int(np.ceil(SUPPORTED_SHARE_OF_PEAK * peak)))
