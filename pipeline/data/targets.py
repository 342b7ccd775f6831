"""What was aimed at? Targets of a period's headlines and who owns them.

Reads the snapshot's table `targets` and `summary.targets` of params.yaml, which goes first. The
subtle point: of some headlines less is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.settings import Settings, Target

LESS_IS_BETTER = (
    "account_churn_rate", "revenue_churn_rate", "gross_account_churn_rate", "gross_mrr_churn_rate",
    "cac_payback_months", "median_time_to_value_days", "median_time_to_value_days_recent",
)  # fmt: skip


def of_period(settings: Settings, snapshot: Path) -> dict[str, Target]:
    """Targets by headline name; `snapshot` is the folder of the period."""
    rows = store.read_parquet(snapshot / "targets.parquet").to_pylist()
    given = {row["metric"]: Target(target=row["target"], owner=row["owner"]) for row in rows}
    return given | settings.summary.targets


def named(headline: str, aims: Mapping[str, Target]) -> dict[str, Any]:
    """The fields `target` and `target_owner` of a headline; null when none is set."""
    aim = aims.get(headline, Target())
    return {"target": aim.target, "target_owner": aim.owner}


def is_met(headline: str, estimate: float, target: float) -> bool:
    """Whether a headline's value is at its target or on the better side of it."""
    return estimate <= target if headline in LESS_IS_BETTER else estimate >= target
