"""What was aimed at? Targets of a period's headlines and who owns them.

Reads the snapshot's table `targets` and `summary.targets` of params.yaml, which goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.settings import Settings, Target


def of_period(settings: Settings, snapshot: Path) -> dict[str, Target]:
    """Targets by headline name; `snapshot` is the folder of the period."""
    rows = store.read_parquet(snapshot / "targets.parquet").to_pylist()
    given = {row["metric"]: Target(target=row["target"], owner=row["owner"]) for row in rows}
    return given | settings.summary.targets


def named(headline: str, aims: Mapping[str, Target]) -> dict[str, Any]:
    """The fields `target` and `target_owner` of a headline; null when none is set."""
    aim = aims.get(headline, Target())
    return {"target": aim.target, "target_owner": aim.owner}
