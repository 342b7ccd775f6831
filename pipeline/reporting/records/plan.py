"""What was decided before the data were read? The plan of a report, its hash, and what changed.

Works on settings and on plans that earlier reports kept. The subtle point: a month that was made
under another plan is another measure; a difference between two such reports is no news.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pipeline.data import store
from pipeline.settings import Settings

RULES = (
    "timezone", "currency", "observation_start", "grace_days", "grace_months", "close_lag_days",
    "confidence", "seed",
)  # fmt: skip
"""Rules of the whole company: what a customer, a lapse and a settled month are."""
BLOCKS = (
    "usage", "population", "revenue", "survival", "drivers", "time_to_value", "fit", "families",
)  # fmt: skip
"""Blocks whose every setting bears on a number: contrasts, covariates, thresholds, families."""

Plan = dict[str, Any]


def plan_of(settings: Settings) -> Plan:
    """Each decision by its name in params.yaml, like `survival.covariates`, in order."""
    content = settings.model_dump(mode="json", include={*RULES, *BLOCKS})
    rules = {name: content[name] for name in RULES}
    return rules | {
        f"{block}.{name}": value for block in BLOCKS for name, value in content[block].items()
    }


def hash_of(plan: Plan) -> str:
    """SHA-256 of the plan's canonical JSON."""
    return hashlib.sha256(store.dump_json(plan).encode("utf-8")).hexdigest()


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per decision that is not what it was: setting, before, now."""
    names = [*now, *(name for name in before if name not in now)]
    return [
        {"setting": name, "before": before.get(name), "now": now.get(name)}
        for name in names
        if before.get(name) != now.get(name)
    ]
