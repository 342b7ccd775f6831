"""How do customers leave: by choice, for want of payment, done, or nobody knows?

Table made: survival.cumulative_incidence. The subtle point: causes compete. Who has left by choice
can no longer fail to pay, so one cause's share is never read from a curve that censors the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.survival.curves import stacked
from pipeline.analysis.survival.readings import days_to_anniversary
from pipeline.analysis.survival.risk_set import CAUSES, EVERYBODY, by_level
from pipeline.statistics import competing_risks

INCIDENCE_COLUMNS = [
    "stratum", "level", "cause", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk",
]  # fmt: skip


def cumulative_incidence(
    at_risk: pd.DataFrame, strata: list[str], confidence: float
) -> pd.DataFrame:
    """Share of customers gone by each age, by cause of leaving (Aalen–Johansen).

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        confidence: of the limits.

    Returns:
        One row per stratum, level, cause that occurred and time: the columns of
        survival.cumulative_incidence. Under ten accounts the estimate is blank.

    Source: Aalen and Johansen (1978), Scandinavian Journal of Statistics 5: 141.
    """
    blocks = []
    for stratum, level, level_spells in by_level(at_risk, strata):
        codes = level_spells["cause"].map({cause: i + 1 for i, cause in enumerate(CAUSES)})
        if not codes.notna().any():
            continue
        incidence = competing_risks.aalen_johansen(
            level_spells["duration_days"].to_numpy(float),
            codes.fillna(0).to_numpy(int),
            level_spells["entry_days"].to_numpy(float),
            confidence,
        )
        if len(level_spells) < SMALLEST_N:
            incidence = incidence.assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
        names = incidence["cause"].map(dict(enumerate(CAUSES, start=1)))
        blocks.append(
            incidence.rename(columns={"time": "time_days", "at_risk": "n_at_risk"}).assign(
                stratum=stratum, level=level, cause=names
            )
        )
    return stacked(blocks, INCIDENCE_COLUMNS).astype({"n_at_risk": "int64"})


def gone_by(incidence: pd.DataFrame, months: int = 12) -> dict[str, float]:
    """Share of everybody gone by a month mark, for each cause.

    Args:
        incidence: from `cumulative_incidence`.
        months: the mark.

    Returns:
        Share by cause, zero for a cause that had not occurred by then.
    """
    everybody = incidence[incidence["stratum"] == EVERYBODY]
    past = everybody[everybody["time_days"] <= days_to_anniversary(months)]
    shares = past.groupby("cause")["estimate"].last()
    return shares.reindex(list(CAUSES), fill_value=0.0).to_dict()
