"""How are the effects said: on page one, in the answer, in a figure?

Works on drivers.effects. The subtle point: what was looked at and not found is counted beside what
was found, so that three findings among forty read as such.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.analysis.drivers.effects import LEAVING, REFERENCE, STAYING
from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.wording import Words

PAGE_ONE_COLUMNS = [
    "finding", "driver", "level", "reference", "unit", "hazard_ratio", "ame", "ame_ci_low",
    "ame_ci_high", "prevalence", "n",
]  # fmt: skip
SHOWN_COLUMNS = [
    "driver", "level", "unit", "reference", "hazard_ratio", "ci_low", "ci_high", "ame",
    "ame_ci_low", "ame_ci_high", "p_value", "q_value", "n", "n_events", "prevalence",
    "sign_record", "lagged_hazard_ratio", "finding",
]  # fmt: skip


def shown(effects: pd.DataFrame) -> pd.DataFrame:
    """The effects without the columns that only a machine reads.

    Args:
        effects: from `effects`.

    Returns:
        The same rows, with SHOWN_COLUMNS.
    """
    return effects[SHOWN_COLUMNS]


def page_one(effects: pd.DataFrame, most: int = 3) -> pd.DataFrame:
    """The clearest drivers of leaving and of staying, for page one.

    Args:
        effects: from `effects`.
        most: rows of each.

    Returns:
        One row per finding, largest next-month difference first: finding, driver, level,
        reference, unit, hazard_ratio, ame, ame_ci_low, ame_ci_high, prevalence, n.
    """
    found = effects[effects["finding"].isin([LEAVING, STAYING])]
    ranked = found.assign(size=found["ame"].astype(float).abs()).sort_values(
        ["finding", "size", "driver", "level"], ascending=[True, False, True, True]
    )
    return ranked.groupby("finding").head(most).reset_index(drop=True)[PAGE_ONE_COLUMNS]


def answer(model: DriverModel, effects: pd.DataFrame) -> dict[str, Any]:
    """The facts of the chapter's one sentence.

    Args:
        model: from `fit`.
        effects: from `effects`.

    Returns:
        n_accounts, n_months, n_events, n_looked_at (rows that could have been found: references
        are not), n_findings, staying and leaving (names of the findings,
        largest first) and reason (blank when there is a model).
    """
    found = page_one(effects, most=len(effects) or 1)
    names = _names(found)
    return {
        "n_accounts": model.n_accounts,
        "n_months": len(model.rows),
        "n_events": model.n_events,
        "n_looked_at": int((effects["finding"] != REFERENCE).sum()),
        "n_findings": len(found),
        "staying": list(names[found["finding"] == STAYING]),
        "leaving": list(names[found["finding"] == LEAVING]),
        "reason": model.reason,
    }


def no_model(model: DriverModel) -> pd.DataFrame:
    """Why nothing is claimed: one row for all (reason, n_events, n_accounts), none with a model."""
    row = {"reason": model.reason, "n_events": model.n_events, "n_accounts": model.n_accounts}
    return pd.DataFrame([row] if model.reason else [], columns=list(row))


def compared(effects: pd.DataFrame) -> pd.DataFrame:
    """The effects with what each row compares in one column, for a table with a head per driver.

    Args:
        effects: from `shown`.

    Returns:
        The same rows; `compared` (the level; of a number or flag its unit) stands after `driver`,
        in place of level, unit and reference. A reference is told by its finding.
    """
    says_itself = effects["level"].isin(["", "yes"]) & (effects["finding"] != REFERENCE)
    unit = effects["unit"].str.replace(r" \(.*", "", regex=True)
    rows = effects.drop(columns=["level", "unit", "reference"])
    rows.insert(1, "compared", effects["level"].mask(says_itself, unit))
    return rows


def movement_rows(movements: pd.DataFrame) -> pd.DataFrame:
    """The movements with one name per row, for a table with a head per movement.

    Args:
        movements: from `movements`.

    Returns:
        The same rows; `driver` holds driver, level and unit, and the columns of these are gone.
    """
    named = movements.fillna({"level": "", "unit": "", "driver": ""})
    rows = movements.assign(driver=labelled(named)["label"])
    return rows.drop(columns=["level", "unit", "reference"])


def say_findings(effects: pd.DataFrame, words: Words) -> str:
    """The ratio and interval of each finding, the clearest first; what there is instead of one."""
    found = page_one(effects, most=len(effects) or 1)[["driver", "level"]]
    rows = found.merge(effects, on=["driver", "level"], how="left")
    said = [
        f"{name} {words.with_interval(ratio, low, high, 'number')}"
        for name, ratio, low, high in zip(
            _names(rows), rows["hazard_ratio"], rows["ci_low"], rows["ci_high"], strict=True
        )
    ]
    return words.listing(list(map(words.label, said))) if said else "no driver stands out"


def _names(effects: pd.DataFrame) -> pd.Series:
    """Driver and level; a flag's `yes` goes without saying."""
    says_itself = effects["level"].isin(["", "yes"])
    return effects["driver"].where(says_itself, effects["driver"] + " " + effects["level"])


def labelled(effects: pd.DataFrame) -> pd.DataFrame:
    """The effects with one name each, for a forest: driver, level and unit.

    A flag's level `yes` goes without saying.

    Args:
        effects: from `effects`.

    Returns:
        The same rows with `label`.
    """
    says_itself = effects["level"].isin(["", "yes"])
    what = effects["driver"] + effects["level"].radd(" ").where(~says_itself, "")
    number = effects["level"] == ""
    text = what.where(~number, what + ", " + effects["unit"].str.replace(r" \(.*", "", regex=True))
    return effects.assign(label=text)
