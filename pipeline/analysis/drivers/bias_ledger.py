"""How wrong would the usual shortcuts be, on this company's data?

Works on the rows of `driver_rows`. Each shortcut stands beside the right number. The subtle point:
the wrong numbers are made on purpose, shown in the annex alone, and never published elsewhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.choices import LEDGER_COLUMNS
from pipeline.analysis.drivers.design import Recipe, encode, learn
from pipeline.analysis.drivers.rows import blackout_months, lagged, settled
from pipeline.analysis.drivers.specifications import Choice, ratio
from pipeline.statistics import cloglog, grouped_hazard

PLAY = "is_play_active"


def bias_ledger(
    rows: pd.DataFrame,
    candidates: list[str],
    driver: str,
    events_per_parameter: float,
    confidence: float,
) -> pd.DataFrame:
    """This company's size of three usual errors.

    Args:
        rows: from `driver_rows`, not lagged.
        candidates: names of drivers.
        driver: of the primary contrast.
        events_per_parameter: fewest events per driver term.
        confidence: of the intervals.

    Returns:
        One row per shortcut: chapter, shortcut, right, wrong_estimate, right_estimate,
        right_ci_low, right_ci_high, unit, n (accounts), note. Empty when there is too little.
    """
    known = settled(lagged(rows, candidates, blackout_months(rows)))
    recipe = learn(known, candidates, folds_separated=True)
    enough = known["is_churn"].sum() >= max(events_per_parameter * len(recipe.terms), 1)
    if not enough or recipe.terms.empty:
        return pd.DataFrame(columns=LEDGER_COLUMNS)
    adjusted = Choice("primary", "", known, tuple(candidates))
    shared = (recipe, events_per_parameter, confidence)
    table = [_errors(known, recipe, confidence)]
    if driver in set(recipe.terms["driver"]):
        table.append(_ever(known, driver, ratio(adjusted, driver, *shared)))
    if PLAY in set(recipe.terms["driver"]):
        alone = ratio(Choice("", "", known, (PLAY,)), PLAY, *shared)
        table.append(_play(alone, ratio(adjusted, PLAY, *shared)))
    return pd.DataFrame(table).assign(chapter="drivers")[LEDGER_COLUMNS]


def _errors(rows: pd.DataFrame, recipe: Recipe, confidence: float) -> dict[str, object]:
    """Half the width of an interval, where clustering by account matters most."""
    design, churned = encode(rows, recipe), rows["is_churn"].to_numpy(float)
    plain = cloglog.scoring(churned, design)
    right = cloglog.clustered(churned, design, plain, rows["account_id"])
    own = [design.columns.get_loc(column) for column in recipe.columns]
    wide, narrow = (np.sqrt(np.diag(part.cov))[own] for part in (right, plain))
    most, z = int((wide / narrow).argmax()), stats.norm.ppf(0.5 + confidence / 2)
    term = recipe.terms.iloc[most]
    return {
        "shortcut": "every month of an account counts as a new customer",
        "right": "errors clustered by account",
        "wrong_estimate": z * narrow[most],
        "right_estimate": z * wide[most],
        "right_ci_low": np.nan,
        "right_ci_high": np.nan,
        "unit": "half width of the interval, log hazard ratio",
        "n": int(rows["account_id"].nunique()),
        "note": f"{term['driver']} {term['level']}".strip() + ", where it matters most",
    }


def _ever(rows: pd.DataFrame, driver: str, right: dict) -> dict[str, object]:
    """'Ever left' against the driver as last seen: who stayed had longer to get there."""
    gone = rows.groupby("account_id")["is_churn"].transform("any")
    last = rows.assign(is_churn=gone).sort_values("period", kind="stable")
    last = last.drop_duplicates("account_id", keep="last").reset_index(drop=True)
    recipe = learn(last.assign(tenure_months=0), [driver], folds_separated=True)
    wrong, note = np.nan, "driver as it was last seen"
    if len(recipe.terms):
        column = recipe.columns[0]
        design = encode(last, recipe)[[column]].assign(one=1.0)
        fitted = grouped_hazard.fit(last["is_churn"].to_numpy(float), design, None, link="logit")
        wrong = float(np.exp(fitted.params[column]))
    return {
        "shortcut": "odds of ever having left, by status at the extract",
        "right": "hazard of leaving next month, by what was known before",
        "wrong_estimate": wrong,
        **_right(right),
        "note": f"{driver}, {note}",
    }


def _play(alone: dict, adjusted: dict) -> dict[str, object]:
    return {
        "shortcut": "leaving with a play against without, as it comes",
        "right": "the same at equal usage, tickets and value: plays go to those in danger",
        "wrong_estimate": alone["estimate"],
        **_right(adjusted),
        "note": f"{PLAY}; still no effect of plays",
    }


def _right(found: dict) -> dict[str, object]:
    limits = {f"right_{name}": found[name] for name in ("estimate", "ci_low", "ci_high")}
    return {**limits, "unit": "ratio", "n": found["n"]}
