"""Does the curve find the truth when older accounts are seen only from the middle of their life?

A simulation study: many worlds with a known survival function, each seen through an observation
window. `make verify` runs it.
"""

import numpy as np
import pytest

from pipeline.statistics.life_table import kaplan_meier

WORLDS = 600
ACCOUNTS = 800
RATE = 1 / 900
HORIZON = 366
TRUTH = np.exp(-RATE * HORIZON)
SEED = 20261121


def world(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Durations, events and entry ages of the accounts alive in a window of 540 days."""
    draw = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(number,)))
    start = draw.integers(-900, 540, ACCOUNTS)
    life = np.ceil(draw.exponential(1 / RATE, ACCOUNTS))
    entry, stop = np.maximum(0, -start), np.minimum(life, 540 - start)
    seen = stop > entry
    return stop[seen], (life <= 540 - start)[seen], entry[seen]


def at_horizon(durations, events, entry) -> tuple[float, float, float]:
    """The estimate and its limits at the horizon."""
    curve = kaplan_meier(durations, events, entry)
    last = curve[curve["time"] <= HORIZON].iloc[-1]
    return last["estimate"], last["ci_low"], last["ci_high"]


@pytest.mark.slow
def test_with_entry_the_curve_is_unbiased_and_its_interval_covers():
    found = np.array([at_horizon(*world(number)) for number in range(WORLDS)])
    assert abs(found[:, 0].mean() - TRUTH) < 0.005
    covered = ((found[:, 1] <= TRUTH) & (found[:, 2] >= TRUTH)).mean()
    assert 0.93 <= covered <= 0.97


@pytest.mark.slow
def test_without_entry_the_same_curve_is_far_too_high():
    blind = [
        at_horizon(durations, events, np.zeros_like(entry))[0]
        for durations, events, entry in map(world, range(50))
    ]
    assert np.mean(blind) - TRUTH > 0.10
