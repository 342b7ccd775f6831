"""Which limits and lengths do the chapters share?

Works on counts alone. The subtle point: what falls below a limit is not dropped. It is named, with
its count, in place of the rate.
"""

from __future__ import annotations

import numpy as np

SMALLEST_N = 10
"""No rate, curve or effect from fewer accounts: "k of n" instead; GLOSSARY, small numbers."""
FEWEST_EVENTS = 5
"""A number from fewer events is said with care; GLOSSARY, small numbers."""
SUPPORTED_SHARE_OF_PEAK = 0.05
"""A curve is read while max(10, 5 % of the largest risk set) are at risk; in the spirit of Pocock,
Clayton and Altman (2002), Lancet 359: 1686."""
EVENTS_PER_PARAMETER = 10.0
"""Fewer, and ratios are noise; Peduzzi et al. (1995), J Clin Epidemiol 48: 1503."""
LARGEST_SHARE = 0.01
"""Accounts by MRR that are left out as the largest, to see whether they alone decide."""
MONTHS_PER_YEAR = 12
DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / MONTHS_PER_YEAR
"""30.4375; GLOSSARY, month mark."""
YEAR_DAYS = 366
"""A year on the day clock, the longest possible anniversary; GLOSSARY, month mark."""


def fewest_at_risk(peak: float) -> int:
    """Accounts that must be at risk for a curve to be read, `peak` being the most there ever were.

    Ten, or 5 % of the peak.
    """
    return max(SMALLEST_N, int(np.ceil(SUPPORTED_SHARE_OF_PEAK * peak)))
