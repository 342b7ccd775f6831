"""What does the sample company plan, and what happens around it?

Tables read: none. Tables made: targets, calendar, outages; none depends on an account. The subtle
point: the target of recurring revenue is set once a year, from the revenue of the year before, as
companies do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.stages.simulate.activity import outage
from pipeline.stages.simulate.months import MonthGrid
from pipeline.stages.simulate.scenario import Scenario
from pipeline.stages.simulate.world import PRICE_RISE_MONTH

TARGETS = (
    ("gross_account_churn_rate", "Head of Customer Success", 0.022),
    ("net_revenue_retention_12_months", "Head of Customer Success", 1.02),
    ("gross_revenue_retention_12_months", "Head of Renewals", 0.88),
    ("median_time_to_value_days", "Head of Onboarding", 40.0),
    ("nps", "Head of Support", 25.0),
)
MRR_OWNER, MRR_GROWTH = "Chief Revenue Officer", 1.15
EVENTS = (
    (4, 12, "release", "Automation builder", "all"),
    (9, 3, "competitor", "Rival launches a free plan", "smb"),
    (13, 24, "holiday", "Year-end closing", "all"),
    (17, 8, "release", "Forecast feature", "mid, enterprise"),
    (25, 24, "holiday", "Year-end closing", "all"),
    (29, 15, "competitor", "Rival is bought by a large vendor", "enterprise"),
    (32, 9, "release", "New alerts", "all"),
)


def targets(grid: MonthGrid, mrr_cents: np.ndarray) -> pa.Table:
    """Return one row per period and metric, from the second year on; ``mrr_cents`` per month."""
    rows = []
    for month in range(grid.observation + 12, grid.end):
        year_start = month - (int(grid.month_of_year[month]) - 1)
        basis = mrr_cents[max(year_start - 1, 0)] / 100
        growth = MRR_GROWTH ** (int(grid.month_of_year[month]) / 12)
        period = str(np.datetime64(int(grid.first[month]), "D").astype("datetime64[M]"))
        rows += [(period, metric, owner, f"{target:g}") for metric, owner, target in TARGETS]
        rows.append((period, "mrr_end", MRR_OWNER, f"{basis * growth:.0f}"))
    return _table(("period", "metric", "owner", "target"), rows)


def calendar(scenario: Scenario, grid: MonthGrid) -> pa.Table:
    """Return one row per event in the world."""
    rows = [
        (_iso(grid.first[grid.observation + month] + day - 1), kind, label, scope)
        for month, day, kind, label, scope in EVENTS
        if grid.observation + month < grid.end
    ]
    rise = grid.observation + PRICE_RISE_MONTH
    if scenario.price_rise and rise < grid.end:
        label = f"List price up {scenario.price_rise:.0%}"
        rows.append((_iso(grid.first[rise]), "price_rise", label, "all"))
    return _table(("date", "kind", "label", "scope"), sorted(rows))


def outages(scenario: Scenario, grid: MonthGrid) -> pa.Table:
    """Return one row per gap in tracking; both days belong to the gap."""
    first, last = outage(grid)
    rows = [("usage", _iso(first), _iso(last))] if scenario.has_outage else []
    return _table(("table", "from_date", "to_date"), rows)


def _iso(day: int) -> str:
    return str(np.datetime64(int(day), "D"))


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)})
