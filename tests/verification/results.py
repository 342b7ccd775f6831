"""When has a check held? Rules on replications, and what a check says of itself.

The subtle point: a share of replications has a Monte Carlo error of its own. The bands are those
of 1,000 replications (about 2.9 errors on either side); fewer replications widen them by the square
root, never narrow them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

CONFIDENCE = 0.95
LEVEL = 0.05
REPLICATIONS = 1_000


@dataclass(frozen=True)
class Check:
    """One check of the study: its rule in words, one row per quantity, and whether it held."""

    name: str
    title: str
    rule: str
    rows: pd.DataFrame
    held: bool
    replications: int
    note: str = ""


def of_rows(
    name: str, title: str, rule: str, rows: pd.DataFrame, replications: int, note: str = ""
) -> Check:
    """A check that holds when each of its rows does; `rows` has a column held."""
    return Check(name, title, rule, rows, bool(rows["held"].all()), replications, note)


def widened(half_width: float, replications: int, full: int = REPLICATIONS) -> float:
    """Half the width of a band, for fewer replications than the full study's."""
    return half_width * max(1.0, float(np.sqrt(full / replications)))


def share_error(share: np.ndarray | pd.Series, replications: int) -> np.ndarray:
    """Monte Carlo standard error of a share of the replications."""
    return np.sqrt(np.asarray(share) * (1 - np.asarray(share)) / replications)


def biases(
    estimates: pd.DataFrame, truths: pd.Series, smallest: float, name: str = "quantity"
) -> pd.DataFrame:
    """Mean estimate against truth: held within `smallest`, or three Monte Carlo errors if larger.

    Args:
        estimates: one row per replication, one column per quantity.
        truths: by quantity.
        smallest: distance that is always allowed.
        name: of the first column.
    """
    mean, error = estimates.mean(), estimates.std(ddof=1) / np.sqrt(len(estimates))
    allowed = np.maximum(smallest, 3 * error)
    bias = mean - truths
    return pd.DataFrame(
        {
            name: truths.index,
            "truth": truths.to_numpy(),
            "mean": mean[truths.index].to_numpy(),
            "bias": bias[truths.index].to_numpy(),
            "monte_carlo_error": error[truths.index].to_numpy(),
            "allowed": allowed[truths.index].to_numpy(),
            "held": (bias.abs() < allowed)[truths.index].to_numpy(),
        }
    )


def coverages(
    low: pd.DataFrame, high: pd.DataFrame, truths: pd.Series, name: str = "quantity"
) -> pd.DataFrame:
    """Share of replications whose interval holds the truth; an open limit holds everything."""
    columns = truths.index
    inside = ~(low[columns] > truths) & ~(high[columns] < truths)
    share = inside.mean()
    return pd.DataFrame(
        {
            name: columns,
            "truth": truths.to_numpy(),
            "coverage": share.to_numpy(),
            "monte_carlo_error": share_error(share, len(low)),
        }
    )


def within(share: pd.Series, centre: float, half_width: float, replications: int) -> pd.Series:
    """Which shares lie in their band."""
    reach = widened(half_width, replications)
    return (share - centre).abs() <= reach + 1e-9
