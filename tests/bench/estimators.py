"""What do the first own estimators take, beside what a library offers for the same numbers?

Each draws its lives or events with a written seed, so every run measures the same work.
"""

from __future__ import annotations

import ibis
import lifelines
import numpy as np
import pandas as pd
from lifelines.statistics import proportional_hazard_test

from pipeline.stages.usage import account_usage
from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.proportional_hazards import proportional_hazards_test
from tests.bench.row import Row, Sides

SEED = 20261121
EVENTS, QUICK_EVENTS = 1_000_000, 10_000
LIVES, QUICK_LIVES = 100_000, 1_000
COX_LIVES, QUICK_COX_LIVES = 10_000, 500


def usage_of_a_month(is_quick: bool) -> Sides:
    """Account-month features of one month's events: the stage's expression against pandas."""
    events = _events(QUICK_EVENTS if is_quick else EVENTS)
    backend = ibis.duckdb.connect()
    rows = backend.create_table("events", events)
    rows = rows.mutate(known_on=rows.known_on.cast("date"))

    def subject() -> object:
        return account_usage(rows, 31).to_pyarrow()

    def peer() -> object:
        days = events.assign(day=events["occurred_at"].dt.normalize())
        names = {"n_events": ("feature", "size"), "active_days": ("day", "nunique"),
                 "n_users": ("user_id", "nunique"), "n_features": ("feature", "nunique"),
                 "last_event_date": ("day", "max")}  # fmt: skip
        return days.groupby("account_id").agg(**names)

    return Sides(subject, peer)


def _events(count: int) -> pd.DataFrame:
    draw = np.random.default_rng(SEED)
    day = pd.Timestamp("2026-10-01") + pd.to_timedelta(draw.integers(0, 31, count), unit="D")
    return pd.DataFrame(
        {
            "account_id": draw.integers(0, 50_000, count).astype(str),
            "occurred_at": day.astype("datetime64[us]"),
            "feature": draw.integers(0, 12, count).astype(str),
            "user_id": draw.integers(0, 200_000, count).astype(str),
            "known_on": day.astype("datetime64[us]"),
        }
    )


def cumulative_incidence(is_quick: bool) -> Sides:
    """Incidence of two causes with its interval at every day, against lifelines (one cause)."""
    lives = QUICK_LIVES if is_quick else LIVES
    draw = np.random.default_rng(SEED)
    days = np.ceil(draw.exponential(500, lives)).clip(1, 1500)
    causes = draw.integers(0, 3, lives)

    def peer() -> object:
        return lifelines.AalenJohansenFitter(seed=1).fit(days, causes, event_of_interest=1)

    note = "Two causes here, one there, where tied times are moved at random."
    return Sides(lambda: aalen_johansen(days, causes), peer, note=note)


def proportional_hazards(is_quick: bool) -> Sides:
    """The score test of proportional hazards against lifelines' approximation."""
    lives = QUICK_COX_LIVES if is_quick else COX_LIVES
    draw = np.random.default_rng(SEED)
    covariates = draw.normal(size=(lives, 4))
    days = np.ceil(draw.exponential(500 * np.exp(-0.3 * covariates[:, 0]))).clip(1, 1500)
    events = draw.random(lives) < 0.7
    table = pd.DataFrame(covariates, columns=list("abcd")).assign(days=days, event=events)
    fitted = lifelines.CoxPHFitter().fit(table, "days", "event")
    estimate = fitted.params_.to_numpy()

    def subject() -> object:
        return proportional_hazards_test(days, events, covariates, estimate)

    return Sides(subject, lambda: proportional_hazard_test(fitted, table, time_transform="km"))


ROWS = [
    Row("usage of a month, 1e6 events / pandas", None, usage_of_a_month),
    Row("cumulative incidence, 1e5 lives / lifelines", None, cumulative_incidence),
    Row("proportional-hazards test, 1e4 lives / lifelines", None, proportional_hazards),
]
