"""How fine may the baseline of a regression be?

Neighbouring bands of a baseline are merged until each holds enough events. The subtle point: an
empty band is not harmless. Its rate is estimated as nothing, and forecasts that use it are too
narrow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def merge_thin(events: ArrayLike, least: float) -> NDArray[np.int64]:
    """Merge neighbouring bands, from the first on, until each holds at least `least` events.

    Args:
        events: events per band, in order.
        least: events that a merged band must hold; a remainder joins the last full band.

    Returns:
        The number of the merged band of each band, 0, 1, …

    Source: definition, of this project.
    """
    counts = np.asarray(events, dtype=float)
    merged = np.zeros(len(counts), dtype=np.int64)
    group, held = 0, 0.0
    for position, count in enumerate(counts):
        merged[position] = group
        held += count
        if held >= least:
            group, held = group + 1, 0.0
    if len(counts) and held < least and merged[-1] == group:
        merged[merged == group] = max(group - 1, 0)
    return merged
