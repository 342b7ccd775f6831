"""What is true in the sample company?

Tables read: none. Tables made: the numbers of ``truth.json``. The subtle point: the paths of
usage, tickets and plays do not depend on who leaves, so averaging the survival of immortal paths,
each computed from its hazards and never drawn, gives the true curve with little noise (Rao-
Blackwell).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from pipeline.stages.simulate.months import LOOK_AHEAD_MONTHS, MonthGrid, month_grid
from pipeline.stages.simulate.scenario import SEGMENTS, Scenario
from pipeline.stages.simulate.world import PLAY_MONTHS, QUICK_RETURN_SHARE, World, draw_world

N_BLOCKS, BLOCK = 8, 2_500
HORIZON_MONTHS = 36
MARKS = (3, 6, 12, 24, 36)
VALUE_DAYS = (14, 30, 60, 90, 180)
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True)
class Truth:
    """What an estimate on the sample should find."""

    csm_log_hazard_ratios: list[float]
    survival: dict[str, Any]
    value_incidence: dict[str, Any]
    play: dict[str, float]


def true_values(
    scenario: Scenario,
    start: date | str,
    months: int,
    csm_effects: np.ndarray,
    seed: np.random.SeedSequence,
) -> Truth:
    """Return survival, incidence of value and the effect of a play, as parameters imply them."""
    grid = month_grid(start, months, LOOK_AHEAD_MONTHS + HORIZON_MONTHS)
    kept, age, reached, segment, begun, plays = [], [], [], [], [], []
    for child in seed.spawn(N_BLOCKS):
        generator = np.random.default_rng(child)
        numbers = np.arange(BLOCK)
        world = draw_world(scenario, grid, numbers, csm_effects, generator, is_immortal=True)
        curve = survival_paths(scenario, grid, world)
        paid = ~world.accounts.never_paid
        kept.append(curve[paid])
        age.append((world.accounts.value_day - world.accounts.start)[paid])
        segment.append(world.accounts.segment[paid])
        begun.append(world.accounts.start[paid] >= grid.observation_day)
        plays.append(_play_risks(scenario, grid, world, curve))
        reached.append(np.minimum(age[-1].clip(0) // DAYS_PER_MONTH, HORIZON_MONTHS).astype(int))
    curves, ages, at = np.concatenate(kept), np.concatenate(age), np.concatenate(reached)
    segments, observed = np.concatenate(segment), np.concatenate(begun)
    alive = curves[np.arange(at.size), at]
    with_play, without, weight = np.sum(plays, axis=0)
    survival = {"all": _at_marks(curves)}
    survival |= {name: _at_marks(curves[segments == i]) for i, name in enumerate(SEGMENTS)}
    incidence = {str(day): float(np.mean((alive * (ages <= day))[observed])) for day in VALUE_DAYS}
    return Truth(
        csm_log_hazard_ratios=[float(effect) for effect in csm_effects],
        survival={
            "month_marks": survival,
            "n_paths": int(at.size),
            "standard_error_12_months": float(curves[:, 12].std() / np.sqrt(at.size)),
            "counts": "lapses without a return within 30 days; administrative exits are censored",
        },
        value_incidence={"by_day": incidence, "of": "accounts first paid in the observation"},
        play={
            "risk_3_months_with": float(with_play / weight),
            "risk_3_months_without": float(without / weight),
        },
    )


def survival_paths(scenario: Scenario, grid: MonthGrid, world: World) -> np.ndarray:
    """Return S after 0 to 36 billing days of each path; one row per account."""
    begin = grid.position(world.accounts.start)
    at = begin[:, None] + 1 + np.arange(HORIZON_MONTHS)
    hazard = world.months.hazard[np.arange(begin.size)[:, None], at]
    gone = -np.expm1(-(hazard + scenario.involuntary_hazard))
    stays_away = 1 - scenario.reactivation_share * QUICK_RETURN_SHARE
    over = (world.accounts.programme[:, None] == 1 + np.arange(HORIZON_MONTHS)) & (
        world.accounts.programme[:, None] > 0
    )
    curve = np.cumprod(np.where(over, 0.0, 1 - stays_away * gone), axis=1)
    return np.column_stack([np.ones(begin.size), curve])


def _play_risks(
    scenario: Scenario, grid: MonthGrid, world: World, curve: np.ndarray
) -> tuple[float, float, float]:
    """Return summed three-month risks of started plays, with and without, and the weight."""
    begin = grid.position(world.accounts.start)
    at = begin[:, None] + 1 + np.arange(HORIZON_MONTHS)
    rows = np.arange(begin.size)[:, None]
    bare = world.months.hazard[rows, at] * np.exp(
        -scenario.effects.play * world.months.play_active[rows, at]
    )
    three = bare[:, :-2] + bare[:, 1:-1] + bare[:, 2:]
    assert PLAY_MONTHS == 3, "three months are summed"
    weight = curve[:, :-3] * world.months.play_started[rows, at][:, :-2]
    with_play = -np.expm1(-three * np.exp(scenario.effects.play))
    return (
        float((weight * with_play).sum()),
        float((weight * -np.expm1(-three)).sum()),
        float(weight.sum()),
    )


def _at_marks(curves: np.ndarray) -> dict[str, float]:
    mean = curves.mean(axis=0)
    return {str(mark): float(mean[mark]) for mark in MARKS}
