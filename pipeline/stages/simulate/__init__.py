"""What would a company look like whose truth is known?

Tables read: none. Tables made: every raw table of the sample company, and ``truth.json`` beside
them. The subtle point: candidates come in blocks of fixed size, each with its own seed, so the
bytes depend on the seed and the number of accounts only, and a million accounts need no more
memory than a few thousand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipeline.data import store
from pipeline.stages.simulate import activity, billing, blemishes, company, customers
from pipeline.stages.simulate.months import MonthGrid, month_grid
from pipeline.stages.simulate.scenario import SCENARIOS, Scenario, scenario_named
from pipeline.stages.simulate.surveys import surveys
from pipeline.stages.simulate.truth import Truth, true_values
from pipeline.stages.simulate.world import (
    World,
    draw_world,
    drawn_csm_effects,
    drawn_month_shocks,
    present,
)

__all__ = ["SCENARIOS", "Scenario", "SimulateSettings", "Truth", "scenario_named", "simulate"]

BLOCK = 2_500  # candidates; part of the seed's meaning, so it never changes
PRESENT_SHARE = 0.83  # of the candidates are customers at or after the observation's start
LARGE_COMPANY = 20_000  # accounts; above it usage is Parquet
EVENTS_PER_BLOCK = 10_000_000  # room for the numbers of one block's usage events


class SimulateSettings(Protocol):
    """What this stage must be told."""

    seed: int
    accounts: int
    start: date
    months: int
    scenario: str


def simulate(settings: SimulateSettings, folder: Path, currency: str = "USD") -> None:
    """Write the raw tables of the sample company and their truth into ``folder``."""
    scenario = scenario_named(settings.scenario)
    grid = month_grid(settings.start, settings.months)
    candidates = max(round(settings.accounts / PRESENT_SHARE), 1)
    n_blocks = -(-candidates // BLOCK)
    company_seed, truth_seed, *block_seeds = np.random.SeedSequence(settings.seed).spawn(
        2 + n_blocks
    )
    company_generator = np.random.default_rng(company_seed)
    csm_effects = drawn_csm_effects(scenario, company_generator)
    shocks = drawn_month_shocks(scenario, grid, company_generator)
    mrr_cents, n_accounts = np.zeros(grid.simulated, np.int64), 0
    planted: list[dict[str, Any]] = []
    with contextlib.ExitStack() as files:
        append: dict[str, Callable[[pa.Table], None]] = {}
        for block, seed in enumerate(block_seeds):
            numbers = 1 + np.arange(block * BLOCK, min((block + 1) * BLOCK, candidates))
            world, tables = _block(scenario, grid, numbers, csm_effects, shocks, seed, currency)
            if block == 0 and scenario.has_bad_rows:
                tables, planted = blemishes.with_bad_rows(tables)
            for name, rows in tables.items():
                if block == 0:
                    path = folder / _file_name(name, settings.accounts)
                    append[name] = files.enter_context(store.appending(path))
                append[name](rows)
            mrr_cents += world.months.mrr_cents.sum(axis=0)
            n_accounts += world.number.size
    of_the_company = {
        "targets": company.targets(grid, mrr_cents),
        "calendar": company.calendar(scenario, grid),
        "outages": company.outages(scenario, grid),
    }
    for name, rows in of_the_company.items():
        if rows.num_rows:  # ingest refuses an export without rows, as one that went wrong
            store.write_csv(rows, folder / f"{name}.csv")
    truth = true_values(scenario, settings.start, settings.months, csm_effects, truth_seed)
    store.write_json(
        _described(settings, scenario, grid, truth, planted, n_accounts), folder / "truth.json"
    )


def _block(
    scenario: Scenario,
    grid: MonthGrid,
    numbers: np.ndarray,
    csm_effects: np.ndarray,
    shocks: np.ndarray,
    seed: np.random.SeedSequence,
    currency: str,
) -> tuple[World, dict[str, pa.Table]]:
    """Return one block of candidates and its tables; each table has a generator of its own."""
    streams = [np.random.default_rng(child) for child in seed.spawn(14)]
    drawn = draw_world(scenario, grid, numbers, csm_effects, streams[0], month_shocks=shocks)
    world = present(drawn, grid)
    ids = customers.account_ids(world)
    plays = activity.draw_plays(world, grid, streams[1])
    profile = customers.accounts(world, grid, ids, streams[2])
    first_key = int(numbers[0] // BLOCK) * EVENTS_PER_BLOCK
    tables = {
        "accounts": profile,
        "assignments": customers.assignments(world, grid, ids),
        "subscriptions": billing.subscriptions(world, scenario, grid, ids, currency, streams[3]),
        "usage": activity.usage(world, scenario, grid, ids, first_key, streams[4]),
        "milestones": customers.milestones(world, grid, ids, streams[5]),
        "goals": customers.goals(world, grid, ids, streams[6]),
        "surveys": surveys(world, grid, ids, streams[7]),
        "tickets": activity.tickets(world, scenario, grid, ids, streams[8]),
        "touches": activity.touches(world, plays, grid, ids, streams[9]),
        "plays": activity.plays(world, plays, ids, streams[10]),
        "contacts": customers.contacts(world, grid, ids, streams[11]),
        "adjustments": billing.adjustments(world, grid, ids, currency, streams[12]),
        "referrals": customers.referrals(world, grid, ids, profile, streams[13]),
    }
    duplicates = np.random.default_rng(seed.spawn(1)[0])
    return world, blemishes.duplicated(tables, scenario, duplicates)


def _file_name(table: str, n_accounts: int) -> str:
    is_large = table == "usage" and n_accounts > LARGE_COMPANY
    return f"{table}.parquet" if is_large else f"{table}.csv"


def _described(
    settings: SimulateSettings,
    scenario: Scenario,
    grid: MonthGrid,
    truth: Truth,
    planted: list[dict[str, Any]],
    n_accounts: int,
) -> dict[str, Any]:
    parameters = asdict(scenario)
    return {
        "scenario": scenario.name,
        "seed": settings.seed,
        "block_size": BLOCK,
        "n_accounts": n_accounts,
        "observation_start": str(np.datetime64(grid.observation_day, "D")),
        "extract_date": str(np.datetime64(grid.extract_day, "D")),
        "log_hazard_ratios": parameters.pop("effects"),
        "parameters": parameters,
        "csm_log_hazard_ratios": truth.csm_log_hazard_ratios,
        "survival": truth.survival,
        "value_incidence": truth.value_incidence,
        "play": truth.play,
        "planted_bad_rows": planted,
    }
