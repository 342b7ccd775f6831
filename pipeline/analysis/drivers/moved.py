"""Has a driver's effect moved since last month?

Works on the fitted model. Makes drivers.moved. Today's model is fitted once more without its newest
settled month. The subtle point: both fits are made from this report's data, so that a difference is
the newest month's doing and no later fact's; and two fits that share all other months differ by
far less than their own intervals say, so the difference has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.levels import NOT_MEASURED
from pipeline.analysis.wording import Words
from pipeline.statistics import added_rows, multiplicity

MOVED_COLUMNS = [
    "driver", "level", "unit", "reference", "hazard_ratio_before", "hazard_ratio", "times",
    "ci_low", "ci_high", "p_value", "q_value", "n", "n_events", "is_moved", "period",
    "previous_period",
]  # fmt: skip
LEAST_MONTHS = 2


def moved(model: DriverModel, confidence: float, false_discovery_rate: float) -> pd.DataFrame:
    """Each driver's hazard ratio without and with the newest settled month.

    Args:
        model: from `fit`; a penalised one is not compared, its limits are profiles.
        confidence: of the interval of `times`, the ratio now over the ratio before.
        false_discovery_rate: largest q value (Benjamini–Hochberg, over all rows) that is a move.

    Returns:
        One row per driver and level, the clearest move first: the columns of drivers.moved. `n` and
        `n_events` are the accounts and churns of the newest month. A level that only the newest
        month has is no row: it has no ratio before. No rows without a model, with fewer than two
        months, or when the earlier fit does not settle.
    """
    empty = pd.DataFrame(columns=MOVED_COLUMNS)
    months = np.sort(model.months.rows["period"].unique().astype(str))
    if model.fitted is None or model.is_penalised or len(months) < LEAST_MONTHS:
        return empty
    own, newest = model.months, model.months.rows["period"].eq(months[-1]).to_numpy()
    found = own.moved(model.design, newest, model.fitted.params.to_numpy())
    if not found.converged:
        return empty
    table = _compared(model, found, confidence).assign(
        n=own.n_accounts(newest), n_events=own.events(newest),
        period=months[-1], previous_period=months[-2],
    )  # fmt: skip
    q_value = multiplicity.benjamini_hochberg(table["p_value"])
    table = table.assign(q_value=q_value, is_moved=q_value < false_discovery_rate)
    ordered = table.sort_values(["p_value", "driver", "level"], ignore_index=True)
    return ordered[MOVED_COLUMNS]


def _compared(model: DriverModel, found: added_rows.Move, confidence: float) -> pd.DataFrame:
    """The rows of the drivers' own columns; left out is what is not measured or was not before."""
    terms = model.recipe.terms[model.recipe.terms["level"] != NOT_MEASURED]
    was_there = ~np.isnan(found.before[model.design.columns.get_indexer(terms["column"])])
    terms = terms[was_there]
    at = model.design.columns.get_indexer(terms["column"])
    before, now, error = (part[at] for part in (found.before, found.now, found.std_err))
    reach = stats.norm.ppf(0.5 + confidence / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * stats.norm.sf(np.abs((now - before) / error))
    return terms[["driver", "level", "unit", "reference"]].assign(
        hazard_ratio_before=np.exp(before),
        hazard_ratio=np.exp(now),
        times=np.exp(now - before),
        ci_low=np.exp(now - before - reach),
        ci_high=np.exp(now - before + reach),
        p_value=np.where(error > 0, p_value, 1.0),
    )


def say_moved(table: pd.DataFrame, words: Words, label: Callable[[str], str]) -> str:
    """Which effects moved with the newest settled month, or that none did; one sentence.

    Args:
        table: from `moved`.
        words: how numbers are said.
        label: how a driver is named.
    """
    if table.empty:
        return "Whether a driver's effect moved cannot be said: there are not two fits to compare."
    first = table.iloc[0]
    month = words.month(str(first["period"]))
    n_moved = int(table["is_moved"].sum())
    if not n_moved:
        return (
            f"With {month}, no driver's effect moved by more than chance explains "
            f"({words.counted(len(table), 'effect')} looked at). "
            f"The clearest move: {_say(first, words, label)}."
        )
    told = "; ".join(_say(row, words, label) for row in table[table["is_moved"]].to_dict("records"))
    return f"With {month}, {words.counted(n_moved, 'effect')} moved: {told}."


def _say(row: Mapping[str, Any], words: Words, label: Callable[[str], str]) -> str:
    level = "" if row["level"] in ("", "yes") else f" {row['level']}"
    name = f"{label(str(row['driver']))}{level}"
    span = words.interval(row["ci_low"], row["ci_high"], "ratio")
    ratios = (words.number(row[column]) for column in ("hazard_ratio_before", "hazard_ratio"))
    return f"{name}, hazard ratio {' → '.join(ratios)} (times {words.number(row['times'])}, {span})"
