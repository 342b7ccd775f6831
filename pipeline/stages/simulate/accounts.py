"""Who are the customers of the sample company?

Tables read: none. Tables made: none; one array position per candidate account. The subtle point:
candidates are drawn for the whole history, and those gone before the observation are dropped
later, never resampled: that is what makes the survivors a left-truncated sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.scenario import Scenario

SEGMENT_SHARES = (0.60, 0.30, 0.10)
TOUCH_SHARES = ((0.85, 0.13, 0.02), (0.20, 0.65, 0.15), (0.05, 0.25, 0.70))  # tech, low, high
MONTHLY_GROWTH = 0.008  # of the number of starters, from one month of the grid to the next
TRIAL_DAYS = (14, 30)
PROGRAMME_MONTHS = (9, 12)
KICKOFF_SHARES = (0.15, 0.45, 0.70)  # by touch model
SEATS_MEDIAN = (8, 40, 180)
FIRST_CHANGE = 2  # months after the start: no account changes hands before it has begun


@dataclass(frozen=True)
class Accounts:
    """What is fixed for each candidate; every field has one value per candidate."""

    segment: np.ndarray
    touch: np.ndarray
    touch_later: np.ndarray
    touch_change: np.ndarray
    csm: np.ndarray
    csm_later: np.ndarray
    csm_change: np.ndarray
    start: np.ndarray
    trial_days: np.ndarray
    never_paid: np.ndarray
    billing: np.ndarray  # 0 month, 1 quarter, 2 year
    programme: np.ndarray  # length in months, 0: none
    kickoff: np.ndarray
    kickoff_after: np.ndarray
    value_day: np.ndarray
    frailty: np.ndarray
    mrr_cents: np.ndarray
    seats: np.ndarray
    has_addon: np.ndarray
    addon_after: np.ndarray


def draw_accounts(
    scenario: Scenario, grid: MonthGrid, count: int, generator: np.random.Generator
) -> Accounts:
    """Return ``count`` candidates of this scenario."""
    segment = generator.choice(3, count, p=SEGMENT_SHARES)
    touch = _touch_of(segment, generator)
    start = _starts(grid, count, generator)
    billing, programme = _contracts(scenario, segment, generator)
    never_paid = generator.random(count) < scenario.never_paid_share
    has_trial = (generator.random(count) < scenario.trial_share) | never_paid
    trial_days = np.where(has_trial, generator.choice(TRIAL_DAYS, count), 0)
    kickoff = generator.random(count) < np.take(KICKOFF_SHARES, touch)
    touch_later, touch_change = _touch_changes(scenario, grid, touch, start, generator)
    csm = _csm_of(scenario, touch, generator)
    changed = generator.random(count) < scenario.csm_change_share
    csm_month = generator.integers(4, grid.end, count)
    changed &= csm_month >= grid.position(start) + FIRST_CHANGE
    spread = generator.normal(size=count)
    mrr = np.take(scenario.mrr_median, segment) * np.exp(
        np.take(scenario.mrr_sigma, segment) * spread
    )
    return Accounts(
        segment=segment,
        touch=touch,
        touch_later=touch_later,
        touch_change=touch_change,
        csm=csm,
        csm_later=_csm_of(scenario, touch_later, generator),
        csm_change=np.where(changed, csm_month, grid.simulated),
        start=start,
        trial_days=trial_days,
        never_paid=never_paid,
        billing=billing,
        programme=programme,
        kickoff=kickoff,
        kickoff_after=generator.integers(1, 7, count),
        value_day=_value_days(
            scenario, grid, segment, touch, kickoff, start - trial_days, generator
        ),
        frailty=_frailty(scenario, count, generator),
        mrr_cents=np.maximum(np.rint(mrr), 20).astype(np.int64) * 100,
        seats=np.maximum(np.rint(np.take(SEATS_MEDIAN, segment) * np.exp(0.5 * spread)), 1).astype(
            np.int64
        ),
        has_addon=(generator.random(count) < scenario.addon_share) & (segment > 0),
        addon_after=generator.integers(3, 25, count),
    )


def touch_in(accounts: Accounts, month: int) -> np.ndarray:
    """Return the touch model of every account as it stands at the start of a month."""
    return np.where(month >= accounts.touch_change, accounts.touch_later, accounts.touch)


def csm_in(accounts: Accounts, month: int) -> np.ndarray:
    """Return the manager of every account as it stands at the start of a month; 0 is the pool."""
    changed = (month >= accounts.csm_change) | (month >= accounts.touch_change)
    return np.where(changed, accounts.csm_later, accounts.csm)


def _touch_of(segment: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    steps = np.cumsum(TOUCH_SHARES, axis=1)[segment]
    return (generator.random(segment.size)[:, None] > steps[:, :2]).sum(axis=1)


def _starts(grid: MonthGrid, count: int, generator: np.random.Generator) -> np.ndarray:
    weights = np.exp(MONTHLY_GROWTH * np.arange(grid.end))
    month = generator.choice(grid.end, count, p=weights / weights.sum())
    return grid.first[month] + np.floor(generator.random(count) * grid.length[month]).astype(int)


def _contracts(
    scenario: Scenario, segment: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    draw = generator.random(segment.size)
    annual = np.take(scenario.annual_share, segment)
    billing = np.where(draw < annual, 2, np.where(draw < annual + scenario.quarter_share, 1, 0))
    fixed = (generator.random(segment.size) < scenario.programme_share) & (billing == 0)
    return billing, np.where(fixed, generator.choice(PROGRAMME_MONTHS, segment.size), 0)


def _touch_changes(
    scenario: Scenario,
    grid: MonthGrid,
    touch: np.ndarray,
    start: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    changed = generator.random(touch.size) < scenario.touch_change_share
    later = np.where(changed, np.clip(touch + generator.choice((-1, 1), touch.size), 0, 2), touch)
    month = generator.integers(4, grid.end, touch.size)
    later = np.where(month >= grid.position(start) + FIRST_CHANGE, later, touch)
    return later, np.where(later != touch, month, grid.simulated)


def _csm_of(scenario: Scenario, touch: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    managers = generator.integers(1, scenario.n_csms + 1, touch.size)
    return np.where(touch == 0, 0, managers)


def _value_days(
    scenario: Scenario,
    grid: MonthGrid,
    segment: np.ndarray,
    touch: np.ndarray,
    kickoff: np.ndarray,
    origin: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    mid, enterprise, low, high, kick = scenario.value_log_rates
    quarters = (grid.position(origin.clip(grid.first[0])) - grid.observation) / 3
    log_rate = (
        mid * (segment == 1)
        + enterprise * (segment == 2)
        + low * (touch == 1)
        + high * (touch == 2)
        + kick * kickoff
        + scenario.value_trend_per_quarter * quarters
    )
    wait = generator.exponential(size=segment.size) / (
        scenario.value_rate_per_day * np.exp(log_rate)
    )
    never = generator.random(segment.size) < np.take(scenario.never_value_share, segment)
    return np.where(never, NEVER, origin + np.floor(wait).astype(np.int64))


def _frailty(scenario: Scenario, count: int, generator: np.random.Generator) -> np.ndarray:
    if scenario.frailty_variance == 0:
        return np.ones(count)
    return generator.gamma(1 / scenario.frailty_variance, scenario.frailty_variance, count)
