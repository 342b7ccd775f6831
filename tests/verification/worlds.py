"""What does a company see of a world whose truth is known?

Frames made from the simulator's own latent process, without its raw tables: account cycles, lives,
starters. The subtle point: nothing is drawn twice; a frame only says what of the world is looked
at, from when, and until when.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.stages.simulate.months import NEVER, MonthGrid, month_grid
from pipeline.stages.simulate.scenario import SEGMENTS, TOUCH_MODELS, Scenario
from pipeline.stages.simulate.world import (
    World,
    draw_world,
    drawn_csm_effects,
    drawn_month_shocks,
    present,
)

START = "2024-01-01"
GRID = month_grid(START, 24)
REGIONS = ("north", "east", "south", "west")


def drawn(
    scenario: Scenario, accounts: int, generator: np.random.Generator, grid: MonthGrid = GRID
) -> World:
    """A world of so many candidates, all from their first paid day on."""
    effects = drawn_csm_effects(scenario, generator)
    shocks = drawn_month_shocks(scenario, grid, generator)
    numbers = np.arange(1, accounts + 1)
    return draw_world(scenario, grid, numbers, effects, generator, month_shocks=shocks)


def seen(world: World, grid: MonthGrid = GRID) -> World:
    """The accounts that were there in the observation."""
    return present(world, grid)


def account_cycles(
    world: World, generator: np.random.Generator, since: int = 0, grid: MonthGrid = GRID
) -> pd.DataFrame:
    """One row per account and month at risk, with what was known before it and three nulls.

    From month `since` of the grid to the extract. The nulls have no effect: a number and a flag
    per account, a region of four levels.
    """
    drawn_months, accounts = world.months, world.accounts
    account, month = np.nonzero(drawn_months.at_risk[:, since : grid.end])
    month += since
    count = world.number.size
    number, flag = generator.normal(size=count), generator.random(count) < 0.3
    region = generator.integers(0, len(REGIONS), count)
    at = (account, month)
    return pd.DataFrame(
        {
            "account": account,
            "month": month,
            "completed": drawn_months.completed[at].astype(int),
            "segment": accounts.segment[account],
            "touch": drawn_months.touch[at].astype(int),
            "csm": accounts.csm[account],
            "mrr": drawn_months.mrr_cents[account, np.maximum(month - 1, 0)] / 100,
            "value": drawn_months.value[at].astype(float),
            "usage": drawn_months.usage[at].astype(float),
            "ticket": drawn_months.tickets[at].astype(float),
            "play": drawn_months.play_active[at].astype(float),
            "null_number": number[account],
            "null_flag": flag[account].astype(float),
            "region": region[account],
            "churned": drawn_months.lapsed[at].astype(float),
        }
    )


def driver_rows(cycles: pd.DataFrame, grid: MonthGrid = GRID) -> pd.DataFrame:
    """The account cycles in the columns that the drivers' chapter reads."""
    periods = grid.first.astype("datetime64[D]").astype("datetime64[M]").astype(str)
    return pd.DataFrame(
        {
            "account_id": "A" + cycles["account"].astype(str).str.zfill(6),
            "period": periods[cycles["month"]],
            "tenure_months": cycles["completed"],
            "is_churn": cycles["churned"].astype(bool),
            "is_settled": True,
            "is_age_known": True,
            "mrr": cycles["mrr"],
            "segment": np.take(SEGMENTS, cycles["segment"]),
            "touch_model": np.take(TOUCH_MODELS, cycles["touch"]),
            "has_value": cycles["value"].astype(bool),
            "usage_depth": cycles["usage"],
            "tickets": cycles["ticket"],
            "has_play": cycles["play"].astype(bool),
            "null_number": cycles["null_number"],
            "null_flag": cycles["null_flag"].astype(bool),
            "null_region": np.take(REGIONS, cycles["region"]),
        }
    )


EFFECT_CANDIDATES = ["segment", "touch_model", "has_value", "usage_depth", "tickets", "has_play"]
NULL_CANDIDATES = ["null_number", "null_flag", "null_region"]
CANDIDATES = EFFECT_CANDIDATES + NULL_CANDIDATES


def lives(world: World, grid: MonthGrid = GRID) -> pd.DataFrame:
    """One row per account seen: days from the first paid day, entry age, segment, day of value."""
    known = seen(world, grid)
    start, lapse = known.accounts.start, _lapse_days(known)
    end = np.minimum(lapse, grid.extract_day) - start
    entry = np.maximum(grid.observation_day - start, 0)
    frame = pd.DataFrame(
        {
            "segment": np.take(SEGMENTS, known.accounts.segment),
            "days": end,
            "churned": lapse <= grid.extract_day,
            "entry": entry,
        }
    )
    return frame[frame["days"] > frame["entry"]].reset_index(drop=True)


def starters(world: World, most_days: int, since: int, grid: MonthGrid = GRID) -> pd.DataFrame:
    """One row per account first paid from day `since` on, followed for at most so many days."""
    start, lapse = world.accounts.start, _lapse_days(world)
    last = np.minimum(grid.extract_day - start, most_days)
    end = np.minimum(lapse - start, last)
    is_lost = lapse - start <= last
    value = np.where(world.accounts.value_day < NEVER, world.accounts.value_day - start, np.inf)
    is_reached = (value < end) | ((value == end) & ~is_lost)
    frame = pd.DataFrame(
        {
            "account_id": world.number,
            "segment": np.take(SEGMENTS, world.accounts.segment),
            "touch_model": np.take(TOUCH_MODELS, world.accounts.touch),
            "end_day": end,
            "is_lost": is_lost,
            "value_day": np.where(is_reached, value, np.nan),
            "days": np.where(is_reached, value, end).astype(int),
            "outcome": np.select([is_reached, is_lost], [1, 2], 0),
        }
    )
    return frame[(start >= since) & (end > 0)].reset_index(drop=True)


def _lapse_days(world: World) -> np.ndarray:
    days = np.full(world.number.size, NEVER)
    days[world.lapses.account] = world.lapses.day
    return days
