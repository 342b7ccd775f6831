"""Does params.yaml speak of columns that exist? Names of strata, covariates and drivers.

A name that the schema knows and the data lack is a sentence in the chapter; a name that nobody
knows is a mistake, and stops the run before anything is computed. So does a column that says who
an account is: as a group it would put each account, by name, into every table.
"""

from __future__ import annotations

import difflib

from pipeline.data.schema import RAW, SNAPSHOT
from pipeline.settings import ConfigurationError, Settings

NAMING = {
    "account_id", *RAW["accounts"].personal_columns, *SNAPSHOT["accounts"].personal_columns,
}  # fmt: skip
"""Columns that say who an account is."""


def check(settings: Settings) -> None:
    """ConfigurationError names every unknown column and the nearest known one."""
    accounts = {*RAW["accounts"].columns, *SNAPSHOT["accounts"].columns, *settings.attributes}
    drivers = {*accounts, *SNAPSHOT["account_months"].columns}
    survival, value = settings.survival, settings.time_to_value
    asked = {
        "survival.strata": (survival.strata, accounts),
        "survival.covariates": (survival.covariates, accounts),
        "survival.stratify_by": ([survival.stratify_by] if survival.stratify_by else [], accounts),
        "survival.primary_contrast": ([survival.primary_contrast], accounts),
        "drivers.candidates": (settings.drivers.candidates, drivers),
        "time_to_value.groups": (value.groups, {*accounts, "start_quarter"}),
        "time_to_value.adjust_for": (value.adjust_for, accounts),
        "revenue.mix_by": ([settings.revenue.mix_by], accounts),
        "population.churn_marks": (settings.population.churn_marks, set(settings.attributes)),
    }
    wrong = [
        f"  {key}: no column {name!r}{_nearest(name, known)}"
        for key, (names, known) in asked.items()
        for name in names
        if name not in known
    ]
    wrong += [
        f"  {key}: {name!r} says who an account is, and forms no groups"
        for key, (names, _) in asked.items()
        for name in names
        if name in NAMING
    ]
    if wrong:
        raise ConfigurationError("params.yaml cannot be used:\n" + "\n".join(wrong))


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""
