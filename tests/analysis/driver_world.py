"""A company whose churn follows a known grouped hazard, for the tests of the drivers."""

from __future__ import annotations

import numpy as np
import pandas as pd

CANDIDATES = ["usage_days", "has_value", "segment", "noise"]
TRUTH = {"usage": -0.10, "value": np.log(0.5), "ent": -1.1}


def world(accounts: int, months: int, seed: int, truth: dict[str, float] = TRUTH) -> pd.DataFrame:
    """Account-months of a company whose churn follows a known grouped hazard, all rows settled.

    The last month has no outcome: it is the month to come.
    """
    draws = np.random.default_rng(seed)
    periods = pd.period_range("2024-01", periods=months + 1, freq="M").astype(str)
    segment = np.where(draws.random(accounts) < 0.3, "ENT", "SMB")
    start = draws.integers(0, months, accounts)
    value_at = draws.integers(1, 12, accounts)
    alive = np.ones(accounts, bool)
    blocks = []
    for month, period in enumerate(periods):
        seen = np.flatnonzero(alive & (start <= month))
        usage = draws.poisson(8, len(seen))
        tenure = month - start[seen]
        has_value = tenure >= value_at[seen]
        eta = (
            np.log(0.06)
            + truth["usage"] * (usage - 8)
            + truth["value"] * has_value
            + truth["ent"] * (segment[seen] == "ENT")
        )
        churned = draws.random(len(seen)) < -np.expm1(-np.exp(eta))
        known = {"is_settled": True, "is_churn": churned}
        unknown = {"is_settled": False, "is_churn": None}
        month_rows = pd.DataFrame(
            {"period": period, "account_id": seen.astype(str), "tenure_months": tenure,
             "usage_days": usage, "has_value": has_value, "segment": segment[seen],
             "noise": draws.normal(size=len(seen)), "mrr": 100.0, "is_age_known": True}
        )  # fmt: skip
        blocks.append(month_rows.assign(**(known if month < months else unknown)))
        alive[seen[churned]] = False
    return pd.concat([block.astype({"is_churn": object}) for block in blocks], ignore_index=True)
