"""`make bench`: subject and peer in turn in one run, medians, and their ratio.

Absolute times belong to the machine; the ratios are what to hold. One has a target all the same:
opening a chapter, beside importing the libraries it stands on. Writes build/bench.json.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import ibis
import lifelines
import numpy as np
import pandas as pd
from lifelines.statistics import proportional_hazard_test

from pipeline.data import store
from pipeline.stages.usage import account_usage
from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.proportional_hazards import proportional_hazards_test
from tests.bench import opening

ROUNDS = 5
SEED = 20261121
EVENTS = 1_000_000
LIVES = 100_000
COX_LIVES = 10_000

Pair = tuple[Callable[[], object], Callable[[], object]]


def usage_of_a_month() -> Pair:
    """Account-month features of one month's events: the stage's expression against pandas."""
    draw = np.random.default_rng(SEED)
    day = pd.Timestamp("2026-10-01") + pd.to_timedelta(draw.integers(0, 31, EVENTS), unit="D")
    events = pd.DataFrame(
        {
            "account_id": draw.integers(0, 50_000, EVENTS).astype(str),
            "occurred_at": day.astype("datetime64[us]"),
            "feature": draw.integers(0, 12, EVENTS).astype(str),
            "user_id": draw.integers(0, 200_000, EVENTS).astype(str),
            "known_on": day.astype("datetime64[us]"),
        }
    )

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

    return subject, peer


def cumulative_incidence() -> Pair:
    """Incidence of two causes with its interval at every day, against lifelines (one cause)."""
    draw = np.random.default_rng(SEED)
    days = np.ceil(draw.exponential(500, LIVES)).clip(1, 1500)
    causes = draw.integers(0, 3, LIVES)

    def peer() -> object:
        return lifelines.AalenJohansenFitter(seed=1).fit(days, causes, event_of_interest=1)

    return lambda: aalen_johansen(days, causes), peer


def proportional_hazards() -> Pair:
    """The score test of proportional hazards against lifelines' approximation."""
    draw = np.random.default_rng(SEED)
    covariates = draw.normal(size=(COX_LIVES, 4))
    days = np.ceil(draw.exponential(500 * np.exp(-0.3 * covariates[:, 0]))).clip(1, 1500)
    events = draw.random(COX_LIVES) < 0.7
    lives = pd.DataFrame(covariates, columns=list("abcd")).assign(days=days, event=events)
    fitted = lifelines.CoxPHFitter().fit(lives, "days", "event")
    estimate = fitted.params_.to_numpy()

    def subject() -> object:
        return proportional_hazards_test(days, events, covariates, estimate)

    return subject, lambda: proportional_hazard_test(fitted, lives, time_transform="km")


BENCHES = {
    "usage of a month, 1e6 events / pandas": usage_of_a_month,
    "cumulative incidence, 1e5 lives / lifelines": cumulative_incidence,
    "proportional-hazards test, 1e4 lives / lifelines": proportional_hazards,
}
RESULTS = Path("build") / "bench.json"


def openings() -> dict[str, Pair]:
    """Each chapter opened in a fresh process, against the libraries alone in another."""
    libraries = opening.Script("libraries", opening.LIBRARIES)
    return {
        f"open {script.name} / its libraries": (script.run, libraries.run)
        for script in opening.scripts()
    }


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measured(pair: Pair) -> dict[str, float]:
    """Medians of subject and peer, run in turn after one round that does not count."""
    subject, peer = pair
    subject(), peer()
    pairs = [(seconds(subject), seconds(peer)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return {"seconds": ours, "peer_seconds": theirs, "ratio": ratio}


def main() -> None:
    """Run every pair in turn, print one line each and keep the figures."""
    kept = {name: say(name, measured(make())) for name, make in BENCHES.items()}
    target = opening.TARGET_SECONDS
    for name, pair in openings().items():
        kept[name] = say(name, measured(pair) | {"target_seconds": target})
    store.write_json(kept, RESULTS)


def say(name: str, figures: dict[str, float]) -> dict[str, float]:
    """Print one line: both times, their ratio, and whether a target was missed."""
    ours, theirs, ratio = figures["seconds"], figures["peer_seconds"], figures["ratio"]
    target = figures.get("target_seconds", float("inf"))
    verdict = f"   over the target of {target:g} s" if ours > target else ""
    print(f"{name:50} {ours:8.3f} s {theirs:8.3f} s   ratio {ratio:.3f}{verdict}")
    return figures


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
