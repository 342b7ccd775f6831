"""What does a ratio mean for customers still there after a year?

Table made: survival.effects. Standardised survival from the grouped-time model: everybody keeps the
other covariates and is set to one level. The subtle point: a ratio says nothing of size. Twice
almost never is almost never, so each ratio stands beside the share of customers that it moves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import DAYS_PER_MONTH
from pipeline.analysis.survival.models import Regression
from pipeline.analysis.survival.readings import (
    at_risk_on,
    days_to_anniversary,
    needed,
)
from pipeline.analysis.survival.terms import columns_of, fitted
from pipeline.statistics.standardised import standardised_survival

EFFECT_COLUMNS = [
    "term", "level", "reference", "months", "survival", "ci_low", "ci_high", "difference",
    "difference_from", "difference_to", "n", "n_events", "account_months", "note",
]  # fmt: skip
ESTIMATED = EFFECT_COLUMNS[4:10]


def effects(fit: Regression, confidence: float, months: int = 12) -> pd.DataFrame:
    """Share still customer at a month mark, had all been at one level, and its difference.

    Args:
        fit: from `grouped_time`.
        confidence: of the intervals.
        months: the mark.

    Returns:
        One row per term and level, reference first: the columns EFFECT_COLUMNS; `survival` and
        `difference` (to the reference) in shares, `account_months` the time observed at the level.
        Blank, with a note, where too few are followed to the mark. Empty when there is no fit.

    Source: Hernán and Robins (2020), "Causal inference: what if", chapter 13. What is set to the
    same for all are the other covariates of the model, and nothing else: no effect of a change.
    """
    if not fit.is_fitted:
        return pd.DataFrame(columns=EFFECT_COLUMNS)
    day = days_to_anniversary(months)
    followed, least = at_risk_on(fit.rows, day), needed(fit.rows)
    note = f"only {followed} accounts at risk at day {day}, {least} are needed"
    profiles = columns_of(fit.rows, fit.terms).value_counts(sort=False).reset_index()
    blocks = [
        _of_term(fit, profiles, term, months, confidence).assign(months=months)
        for term in dict.fromkeys(fit.terms["term"])
    ]
    table = pd.concat(blocks, ignore_index=True).merge(_time_observed(fit), on=["term", "level"])
    table = table.assign(note="") if followed >= least else table.assign(note=note)
    if followed < least:
        table = table.assign(**dict.fromkeys(ESTIMATED, np.nan))
    missing = fit.design.left_out.assign(months=months, account_months=np.nan)
    rows = [table, missing.reindex(columns=table.columns)] if len(missing) else [table]
    stacked = pd.concat([block.dropna(axis=1, how="all") for block in rows], ignore_index=True)
    return stacked.reindex(columns=EFFECT_COLUMNS)


def _of_term(
    fit: Regression, profiles: pd.DataFrame, term: str, months: int, confidence: float
) -> pd.DataFrame:
    """One row per level of a term, the reference first; profiles: distinct columns and count."""
    own = fit.terms[fit.terms["term"] == term].sort_values("is_reference", ascending=False)
    place = fitted(fit.terms)
    mine = [f"x{position}" for position in place.index[place["term"] == term]]
    worlds = []
    for level in own["level"]:
        world = profiles.drop(columns="count").assign(**dict.fromkeys(mine, 0.0))
        at = place.index[(place["term"] == term) & (place["level"] == level)]
        worlds.append(world.assign(**{f"x{position}": 1.0 for position in at}).to_numpy(float))
    found = standardised_survival(
        fit.params, fit.cov, fit.baseline[:months], worlds, profiles["count"], confidence
    )
    names = {
        "estimate": "survival",
        "difference_ci_low": "difference_from",
        "difference_ci_high": "difference_to",
    }
    named = found.rename(columns=names).drop(columns=["std_err", "difference_std_err"])
    return pd.concat([own.reset_index(drop=True), named], axis=1)


def _time_observed(fit: Regression) -> pd.DataFrame:
    """Account-months observed at each level of each term."""
    observed = (fit.rows["duration_days"] - fit.rows["entry_days"]) / DAYS_PER_MONTH
    blocks = [
        observed.groupby(fit.rows[term]).sum().rename_axis("level").rename("account_months")
        .reset_index().assign(term=term)
        for term in dict.fromkeys(fit.terms["term"])
    ]  # fmt: skip
    return pd.concat(blocks, ignore_index=True)
