"""Is this month's share outside what months usually do?

Laney's p'-chart. The subtle point: with thousands of accounts binomial limits are far too narrow,
because months differ by more than chance of accounts; sigma_z measures by how much, from the
moving range of standardised months, and widens (or narrows) the limits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

SIGMAS = 3.0  # Shewhart's limits
RUN_LENGTH = 8  # points in a row on one side of the centre: Western Electric (1956), rule 4
MEAN_RANGE_OF_TWO = 2 / np.sqrt(np.pi)  # d2 for n = 2 (1.128): E|difference| of standard normals


def laney_p_chart(events: ArrayLike, n: ArrayLike, baseline_mask: ArrayLike) -> pd.DataFrame:
    """Draw the limits of a share over consecutive periods and mark what lies outside.

    Args:
        events: how many had the event in each period, in time order.
        n: of how many.
        baseline_mask: true for the periods from which centre and limits are estimated.

    Returns:
        One row per period: share, centre, lower, upper, sigma_z, signal. `signal` is "beyond" (past
        3 sigma), "run" (the eighth or later of a run on one side of the centre) or "" (none).
        Limits are missing with fewer than two baseline periods, and where n is 0.

    Source: Laney (2002), "Improved control charts for attributes".
    """
    count, total = np.asarray(events, dtype=float), np.asarray(n, dtype=float)
    share = np.divide(count, total, out=np.full(len(total), np.nan), where=total > 0)
    base = np.asarray(baseline_mask, dtype=bool) & (total > 0)
    centre = count[base].sum() / total[base].sum() if base.sum() >= 2 else np.nan
    binomial = np.sqrt(centre * (1 - centre) / np.where(total > 0, total, np.nan))
    sigma_z = _between_periods((share - centre)[base], binomial[base])
    reach = SIGMAS * sigma_z * binomial
    lower, upper = np.clip(centre - reach, 0, 1), np.clip(centre + reach, 0, 1)
    return pd.DataFrame(
        {
            "share": share,
            "centre": centre,
            "lower": lower,
            "upper": upper,
            "sigma_z": sigma_z,
            "signal": _signals(share, centre, lower, upper),
        }
    )


def laney_u_chart(events: ArrayLike, exposure: ArrayLike, baseline_mask: ArrayLike) -> pd.DataFrame:
    """Draw the limits of a rate of events per unit of exposure and mark what lies outside.

    Args:
        events: how many events in each period, in time order.
        exposure: against what: time, units, or the number that was expected.
        baseline_mask: true for the periods from which centre and limits are estimated.

    Returns:
        One row per period: rate, centre, lower, upper, sigma_z, signal; as `laney_p_chart`, with
        Poisson in the place of binomial variation.

    Source: Laney (2002), "Improved control charts for attributes".
    """
    count, total = np.asarray(events, dtype=float), np.asarray(exposure, dtype=float)
    rate = np.divide(count, total, out=np.full(len(total), np.nan), where=total > 0)
    base = np.asarray(baseline_mask, dtype=bool) & (total > 0)
    centre = count[base].sum() / total[base].sum() if base.sum() >= 2 else np.nan
    poisson = np.sqrt(centre / np.where(total > 0, total, np.nan))
    sigma_z = _between_periods((rate - centre)[base], poisson[base])
    lower = np.maximum(centre - SIGMAS * sigma_z * poisson, 0)
    upper = centre + SIGMAS * sigma_z * poisson
    return pd.DataFrame(
        {
            "rate": rate,
            "centre": centre,
            "lower": lower,
            "upper": upper,
            "sigma_z": sigma_z,
            "signal": _signals(rate, centre, lower, upper),
        }
    )


def _between_periods(deviation: NDArray, binomial: NDArray) -> float:
    if len(deviation) < 2:
        return np.nan
    if not (binomial > 0).all():  # no event at all, or nothing but events: no chance to speak of
        return 0.0
    return float(np.abs(np.diff(deviation / binomial)).mean() / MEAN_RANGE_OF_TWO)


def _signals(share: NDArray, centre: float, lower: NDArray, upper: NDArray) -> list[str]:
    signals, side, length = [], 0.0, 0
    for value, low, high in zip(share, lower, upper, strict=True):
        now = np.nan_to_num(np.sign(value - centre))
        length = length + 1 if now == side and now != 0 else int(now != 0)
        side = now
        signals.append("beyond" if value < low or value > high else _run(length))
    return signals


def _run(length: int) -> str:
    return "run" if length >= RUN_LENGTH else ""
