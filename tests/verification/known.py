"""What is true in the core world, by day of age?

Immortal paths: their hazards do not depend on who leaves, so the mean of the survival that they
imply is the true curve with little noise (Rao-Blackwell). Survival falls on the very billing days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.stages.simulate.months import LOOK_AHEAD_MONTHS, month_grid
from pipeline.stages.simulate.scenario import CORE, SEGMENTS
from pipeline.stages.simulate.truth import HORIZON_MONTHS, survival_paths
from pipeline.stages.simulate.world import draw_world
from tests.verification.worlds import START

BLOCK = 2_500
BLOCKS = 120
SEED = 20261101
MOST_DAYS = 1_090
"""The 36th billing day comes later; the curves are known up to here."""
GRID = month_grid(START, 24, LOOK_AHEAD_MONTHS + HORIZON_MONTHS)
GROUPS = ("all", *SEGMENTS)


@dataclass(frozen=True)
class Truth:
    """Share still there, by segment and day of age, and share with value by day of age."""

    survival: dict[str, np.ndarray]
    value: np.ndarray
    n_paths: int
    standard_error: float  # of the share of all still there after 366 days


def truth(blocks: int = BLOCKS) -> Truth:
    """The core world's curves from so many blocks of paths."""
    seeds = np.random.SeedSequence(SEED).spawn(blocks)
    return joined([block_sums(seed) for seed in seeds])


def block_sums(seed: np.random.SeedSequence) -> dict[str, np.ndarray]:
    """One block's sums by day: lapses and squares per segment, value reached, paths."""
    generator = np.random.default_rng(seed)
    world = draw_world(
        CORE, GRID, np.arange(BLOCK), np.zeros(CORE.n_csms + 1), generator, is_immortal=True
    )
    curve, days = survival_paths(CORE, GRID, world), _billing_ages(world)
    drops = -np.diff(curve, axis=1)
    sums = {}
    for position, name in enumerate(SEGMENTS):
        rows = world.accounts.segment == position
        sums[name] = np.bincount(days[rows].ravel(), drops[rows].ravel(), minlength=2_000)[:2_000]
        sums[f"n_{name}"] = np.array([rows.sum()])
    value = world.accounts.value_day - world.accounts.start
    early = value < MOST_DAYS
    alive = curve[np.arange(BLOCK), (days <= value[:, None]).sum(axis=1)]
    sums["value"] = np.bincount(value[early], alive[early], minlength=MOST_DAYS)
    at_year = curve[np.arange(BLOCK), (days <= 366).sum(axis=1)]
    sums["squares"] = np.array([(at_year**2).sum()])
    return sums


def joined(blocks: list[dict[str, np.ndarray]]) -> Truth:
    """The curves that the blocks' sums make together."""
    total = {name: np.sum([block[name] for block in blocks], axis=0) for name in blocks[0]}
    counts = {name: int(total[f"n_{name}"][0]) for name in SEGMENTS}
    n_paths = sum(counts.values())
    lost = {name: total[name] / counts[name] for name in SEGMENTS}
    lost["all"] = np.sum([total[name] for name in SEGMENTS], axis=0) / n_paths
    survival = {name: 1 - np.cumsum(lost[name])[: MOST_DAYS + 1] for name in GROUPS}
    spread = total["squares"][0] / n_paths - survival["all"][366] ** 2
    return Truth(
        survival, np.cumsum(total["value"]) / n_paths, n_paths, float(np.sqrt(spread / n_paths))
    )


def median(curve: np.ndarray) -> float:
    """First day on which at most half are left; missing when more than half stay."""
    below = curve <= 0.5
    return float(below.argmax()) if below.any() else np.nan


def restricted_mean(curve: np.ndarray, horizon: int) -> float:
    """Days stayed of the first `horizon`: the curve is flat from one day to the next."""
    return float(curve[:horizon].sum())


def _billing_ages(world) -> np.ndarray:
    """Age in days at the first 36 billing days of each path."""
    start = world.accounts.start
    month = GRID.position(start)[:, None] + 1 + np.arange(HORIZON_MONTHS)
    return GRID.boundary(month, GRID.anchor(start)[:, None]) - start[:, None]
