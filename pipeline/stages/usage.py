"""How much did each account use the product, month by month?

Reads ingest/usage/<month>.parquet (events by the month in which they became known); makes
usage/<month>.parquet, one row per account. A month whose events did not change is not read again:
features are sums over earlier months, so only a new month costs. An event known more than
`usage.late_after_days` after it happened enters no feature and is counted.
"""

from __future__ import annotations

from pathlib import Path

import ibis
import ibis.expr.types as ir

from pipeline.data import engine, store
from pipeline.data.schema import USAGE_MONTHS
from pipeline.settings import Paths, Settings

MANIFEST = "manifest.json"


def run(settings: Settings, paths: Paths) -> None:
    """Write the months whose events changed and remove months that have none any more."""
    events = {path.stem: path for path in sorted((paths.ingest / "usage").glob("*.parquet"))}
    wanted = {
        month: {"sha256": store.sha256(path), "late_after_days": settings.usage.late_after_days}
        for month, path in events.items()
    }
    manifest = paths.usage / MANIFEST
    done = store.read_json(manifest) if manifest.is_file() else {}
    with engine.connect(settings.timezone) as backend:
        for month, facts in wanted.items():
            target = paths.usage / f"{month}.parquet"
            if done.get(month) != facts or not target.is_file():
                rows = engine.read(backend, events[month], f"usage_{month.replace('-', '_')}")
                engine.write(
                    account_usage(rows, settings.usage.late_after_days), USAGE_MONTHS, target
                )
    _forget(paths.usage, set(wanted))
    store.write_json(wanted, manifest)


def account_usage(events: ir.Table, late_after_days: int) -> ir.Table:
    """One row per account from the events that became known in one month."""
    lateness = events.known_on.delta(events.occurred_at.date(), unit="day")
    timely = lateness <= late_after_days
    day = events.occurred_at.date()
    has_users = "user_id" in events.columns
    n_users = events.user_id.nunique(where=timely) if has_users else ibis.literal(0)
    return events.group_by("account_id").agg(
        n_events=timely.sum().cast("int64"),
        active_days=day.nunique(where=timely).cast("int64"),
        n_users=n_users.cast("int64"),
        n_features=events.feature.nunique(where=timely).cast("int64"),
        last_event_date=day.max(),
        n_late=(~timely).sum().cast("int64"),
    )


def _forget(folder: Path, months: set[str]) -> None:
    for path in folder.glob("*.parquet"):
        if path.stem not in months:
            path.unlink()
