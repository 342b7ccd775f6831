"""What happens to the customers, month by month?

Tables read: none. Tables made: none; matrices with one row per account and one column per month,
and logs of lapses and terms. The subtle point: everything that moves the hazard of a month is
settled before the month begins (tickets of the 30 days before, usage depth as it stood, value
reached before the first).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from pipeline.stages.simulate.accounts import Accounts, csm_in, draw_accounts, touch_in
from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.scenario import Scenario

USAGE_MEMORY = 0.8  # of usage depth, from month to month
SATISFACTION_MEMORY = 0.9
SATISFACTION_IN_USAGE = 0.4
TICKET_RATE, TICKET_USAGE = 0.6, -0.2
CRITICAL_SHARE, CRITICAL_OPEN_SHARE = 0.06, 0.4
PLAY_LOGIT, PLAY_USAGE, PLAY_TICKETS = -3.2, -1.0, 0.5
PLAY_MONTHS = 3
CHAMPION_MONTHS = 3
PRICE_MONTHS = 3
PRICE_RISE_MONTH = 20  # of the observation
QUARTER_FACTORS = (
    0.1,
    2.4,
)  # between boundaries, at a boundary; near three monthly hazards a quarter
RENEWAL_UPLIFT_SHARE = 0.5
QUICK_RETURN_SHARE = 0.5
GRACE_DAYS, RETURN_DAYS = 30, 90
ADDON_MRR_SHARE = 0.25


@dataclass(frozen=True)
class Months:
    """Matrices, one row per account, one column per month; as the month begins unless said."""

    usage: np.ndarray
    satisfaction: np.ndarray
    tickets: np.ndarray  # opened in the 30 days before
    critical: np.ndarray  # of these
    critical_open: np.ndarray
    play_started: np.ndarray  # just before
    play_active: np.ndarray
    champion_left: np.ndarray  # in the month before
    champion_recent: np.ndarray
    value: np.ndarray
    touch: np.ndarray
    completed: np.ndarray  # months since the first paid day
    at_risk: np.ndarray
    lapsed: np.ndarray  # in the month
    hazard: np.ndarray  # cumulative over the month, of leaving by choice
    served_from: np.ndarray  # first day served in the month
    served_to: np.ndarray  # first day not served any more, at most the next month's first
    mrr_cents: np.ndarray


@dataclass(frozen=True)
class Lapses:
    """One entry per lapse."""

    account: np.ndarray
    spell: np.ndarray
    month: np.ndarray
    day: np.ndarray
    cause: np.ndarray
    notice: np.ndarray  # NEVER: none given


@dataclass(frozen=True)
class Terms:
    """One entry per day from which new terms hold."""

    account: np.ndarray
    spell: np.ndarray
    day: np.ndarray
    spell_start: np.ndarray
    mrr_cents: np.ndarray
    seats: np.ndarray


@dataclass(frozen=True)
class World:
    """One block of accounts and what became of them."""

    accounts: Accounts
    number: np.ndarray
    months: Months
    lapses: Lapses
    terms: Terms


@dataclass
class _State:
    """What changes while the months pass."""

    usage: np.ndarray
    satisfaction: np.ndarray
    active: np.ndarray
    spell: np.ndarray
    spell_start: np.ndarray
    return_on: np.ndarray
    mrr_cents: np.ndarray
    seats: np.ndarray
    price_due: np.ndarray


def draw_world(
    scenario: Scenario,
    grid: MonthGrid,
    numbers: np.ndarray,
    csm_effects: np.ndarray,
    generator: np.random.Generator,
    *,
    is_immortal: bool = False,
    month_shocks: np.ndarray | None = None,
) -> World:
    """Return the world of these candidate numbers; an immortal one has hazards but no lapses.

    ``csm_effects`` and ``month_shocks`` are log hazard ratios, by manager and by month of the grid;
    the company's accounts share them.
    """
    shocks = np.zeros(grid.simulated) if month_shocks is None else month_shocks
    accounts = draw_accounts(scenario, grid, numbers.size, generator)
    months = _empty_months(numbers.size, grid.simulated)
    state = _first_state(accounts, generator)
    lapses: list[tuple[np.ndarray, ...]] = []
    terms = [_terms_of(np.flatnonzero(~accounts.never_paid), accounts.start, state)]
    for month in range(grid.simulated):
        terms.append(_come_back(state, grid.first[month]))
        _settle_covariates(scenario, grid, accounts, state, months, month, generator)
        shared = csm_effects[csm_in(accounts, month)] + shocks[month]
        _settle_hazard(scenario, grid, accounts, state, months, month, shared)
        if not is_immortal:
            lapses.append(_lapse(scenario, grid, accounts, state, months, month, generator))
            terms.append(_change_terms(scenario, grid, accounts, state, months, month, generator))
        _note_service(grid, accounts, state, months, month)
    return World(
        accounts,
        numbers,
        months,
        Lapses(*_joined(lapses, len(fields(Lapses)))),
        Terms(*_joined(terms, len(fields(Terms)))),
    )


def drawn_csm_effects(scenario: Scenario, generator: np.random.Generator) -> np.ndarray:
    """Return the log hazard ratio of each manager; the pool, position 0, is the reference."""
    return np.append(0.0, scenario.csm_effect_sd * generator.normal(size=scenario.n_csms))


def drawn_month_shocks(
    scenario: Scenario, grid: MonthGrid, generator: np.random.Generator
) -> np.ndarray:
    """Return the log hazard ratio that all accounts share in each month of the grid."""
    return scenario.month_shock_sd * generator.normal(size=grid.simulated)


def play_chance(usage: np.ndarray, tickets: np.ndarray) -> np.ndarray:
    """Return the probability that a risk review begins: the worse the account, the likelier."""
    return 1 / (1 + np.exp(-(PLAY_LOGIT + PLAY_USAGE * usage + PLAY_TICKETS * tickets)))


def present(world: World, grid: MonthGrid) -> World:
    """Return the accounts that the raw data know: paid or in trial since the observation."""
    served = world.months.served_to[:, grid.observation : grid.end] > 0
    keep = served.any(axis=1)
    trial_end = world.accounts.start
    keep |= world.accounts.never_paid & (trial_end >= grid.observation_day)
    place = np.cumsum(keep) - 1
    return World(
        _taken(world.accounts, keep),
        world.number[keep],
        _taken(world.months, keep),
        _relabelled(world.lapses, keep, place),
        _relabelled(world.terms, keep, place),
    )


Record = TypeVar("Record", Accounts, Months, Lapses, Terms)
Log = TypeVar("Log", Lapses, Terms)


def _taken(record: Record, keep: np.ndarray) -> Record:
    return replace(record, **{f.name: getattr(record, f.name)[keep] for f in fields(record)})


def _relabelled(log: Log, keep: np.ndarray, place: np.ndarray) -> Log:
    kept = _taken(log, keep[log.account])
    return replace(kept, account=place[kept.account])


def _joined(parts: list[tuple[np.ndarray, ...]], width: int) -> list[np.ndarray]:
    if not parts:
        return [np.empty(0, dtype=np.int64)] * width
    return [np.concatenate([part[position] for part in parts]) for position in range(width)]


def _empty_months(count: int, simulated: int) -> Months:
    kinds = {"usage": np.float32, "satisfaction": np.float32, "hazard": np.float64}
    whole = {"served_from", "served_to", "mrr_cents"}
    small = {"tickets", "critical", "touch", "completed"}
    return Months(
        **{
            f.name: np.zeros(
                (count, simulated),
                dtype=kinds.get(
                    f.name,
                    np.int64 if f.name in whole else np.int16 if f.name in small else np.bool_,
                ),
            )
            for f in fields(Months)
        }
    )


def _first_state(accounts: Accounts, generator: np.random.Generator) -> _State:
    count = accounts.start.size
    return _State(
        usage=generator.normal(size=count),
        satisfaction=generator.normal(size=count),
        active=~accounts.never_paid,
        spell=np.zeros(count, dtype=np.int64),
        spell_start=accounts.start.copy(),
        return_on=np.full(count, NEVER),
        mrr_cents=accounts.mrr_cents.copy(),
        seats=accounts.seats.copy(),
        price_due=np.zeros(count, dtype=bool),
    )


def _terms_of(rows: np.ndarray, days: np.ndarray, state: _State) -> tuple[np.ndarray, ...]:
    return (
        rows,
        state.spell[rows],
        days[rows],
        state.spell_start[rows],
        state.mrr_cents[rows],
        state.seats[rows],
    )


def _come_back(state: _State, first: int) -> tuple[np.ndarray, ...]:
    rows = np.flatnonzero(~state.active & (state.return_on < first))
    state.active[rows] = True
    state.spell[rows] += 1
    state.spell_start[rows] = state.return_on[rows]
    state.return_on[rows] = NEVER
    return _terms_of(rows, state.spell_start, state)


def _settle_covariates(
    scenario: Scenario, grid: MonthGrid, accounts: Accounts, state: _State, months: Months,
    month: int, generator: np.random.Generator,
) -> None:  # fmt: skip
    """Draw what the accounts did before the month begins."""
    count = state.usage.size
    shock = generator.normal(size=(2, count))
    noise = SATISFACTION_IN_USAGE * shock[1] + np.sqrt(1 - SATISFACTION_IN_USAGE**2) * shock[0]
    state.usage = USAGE_MEMORY * state.usage + np.sqrt(1 - USAGE_MEMORY**2) * noise
    state.satisfaction = (
        SATISFACTION_MEMORY * state.satisfaction + np.sqrt(1 - SATISFACTION_MEMORY**2) * shock[1]
    )
    tickets = generator.poisson(TICKET_RATE * np.exp(TICKET_USAGE * state.usage))
    critical = generator.binomial(tickets, CRITICAL_SHARE)
    on = state.active & (state.spell_start < grid.first[month])
    starts_play = generator.random(count) < play_chance(state.usage, tickets)
    months.usage[:, month] = state.usage
    months.satisfaction[:, month] = state.satisfaction
    months.tickets[:, month] = tickets
    months.critical[:, month] = critical
    months.critical_open[:, month] = (critical > 0) & (
        generator.random(count) < CRITICAL_OPEN_SHARE
    )
    months.play_started[:, month] = on & starts_play
    months.play_active[:, month] = _recent(months.play_started, month, PLAY_MONTHS)
    months.champion_left[:, month] = on & (generator.random(count) < scenario.champion_leaves)
    months.champion_recent[:, month] = _recent(months.champion_left, month, CHAMPION_MONTHS)
    months.value[:, month] = accounts.value_day < grid.first[month]
    months.touch[:, month] = touch_in(accounts, month)
    months.completed[:, month] = np.maximum(_completed(grid, accounts.start, month), 0)
    months.at_risk[:, month] = on


def _recent(matrix: np.ndarray, month: int, width: int) -> np.ndarray:
    return np.any(matrix[:, max(month - width + 1, 0) : month + 1], axis=1)


def _completed(grid: MonthGrid, start: np.ndarray, month: int) -> np.ndarray:
    return month - grid.position(start) - (grid.anchor(start) > 1)


def _settle_hazard(
    scenario: Scenario, grid: MonthGrid, accounts: Accounts, state: _State, months: Months,
    month: int, shared: np.ndarray,
) -> None:  # fmt: skip
    effects, now = (
        scenario.effects,
        {f.name: getattr(months, f.name)[:, month] for f in fields(Months)},
    )
    since_rise = month - (grid.observation + PRICE_RISE_MONTH)
    log_hazard = (
        effects.value * now["value"]
        + effects.usage * now["usage"]
        + effects.ticket * now["tickets"]
        + effects.play * now["play_active"]
        + effects.mid * (accounts.segment == 1)
        + effects.enterprise * (accounts.segment == 2)
        + effects.low * (now["touch"] == 1)
        + effects.high * (now["touch"] == 2)
        + effects.champion_left * now["champion_recent"]
        + effects.critical_ticket * now["critical_open"]
        + effects.price_rise * (0 <= since_rise < PRICE_MONTHS)
        + effects.season * (grid.month_of_year[month] in (12, 1))
        + effects.satisfaction * now["satisfaction"]
        + shared
    )
    spell_months = month - grid.position(state.spell_start)
    base = _base_hazard(scenario, accounts.billing, now["completed"], spell_months)
    months.hazard[:, month] = base * np.exp(log_hazard) * accounts.frailty * now["at_risk"]


def _base_hazard(
    scenario: Scenario, billing: np.ndarray, completed: np.ndarray, spell_months: np.ndarray
) -> np.ndarray:
    """Hazard of the month by completed months and contract, before any effect."""
    ends, rates = zip(*scenario.baseline_bands, strict=True)
    monthly = np.take(rates, np.searchsorted(ends, completed))
    between, boundary = QUARTER_FACTORS
    quarterly = monthly * np.where(spell_months % 3 == 0, boundary, between)
    yearly = np.where(
        spell_months % 12 == 0, scenario.renewal_hazard, scenario.within_term_factor * monthly
    )
    return np.choose(billing, (monthly, quarterly, yearly))


def _lapse(
    scenario: Scenario, grid: MonthGrid, accounts: Accounts, state: _State, months: Months,
    month: int, generator: np.random.Generator,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Let accounts lapse on their billing day and decide who comes back."""
    hazard, count = months.hazard[:, month], state.usage.size
    other = np.where(
        months.at_risk[:, month], scenario.involuntary_hazard + scenario.administrative_hazard, 0.0
    )
    spell_months = month - grid.position(state.spell_start)
    is_over = (accounts.programme > 0) & (spell_months == accounts.programme)
    is_over &= months.at_risk[:, month]
    gone = is_over | (generator.random(count) < -np.expm1(-(hazard + other)))
    rows = np.flatnonzero(gone & months.at_risk[:, month])
    months.lapsed[rows, month] = True
    total = hazard[rows] + other[rows]
    pick = generator.random(rows.size) * total
    cause = np.where(
        pick < hazard[rows], 0, np.where(pick < hazard[rows] + scenario.involuntary_hazard, 1, 3)
    )
    cause = np.where(is_over[rows], 2, cause)
    day = grid.boundary(month, grid.anchor(state.spell_start[rows]))
    notice = _notices(
        scenario, accounts.billing[rows], cause, day, state.spell_start[rows], generator
    )
    spell = state.spell[rows].copy()
    state.active[rows] = False
    back = (generator.random(rows.size) < scenario.reactivation_share) & (cause < 2)
    quick = generator.random(rows.size) < QUICK_RETURN_SHARE
    gap = np.where(
        quick,
        generator.integers(1, GRACE_DAYS + 1, rows.size),
        generator.integers(GRACE_DAYS + 1, RETURN_DAYS + 1, rows.size),
    )
    state.return_on[rows] = np.where(back, day + gap, NEVER)
    return rows, spell, np.full(rows.size, month), day, cause, notice


def _notices(
    scenario: Scenario, billing: np.ndarray, cause: np.ndarray, day: np.ndarray,
    spell_start: np.ndarray, generator: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    lead = np.where(
        billing == 2,
        generator.integers(30, 91, day.size),
        generator.integers(3, 36, day.size),
    )
    given = (cause == 0) & (generator.random(day.size) < scenario.notice_share)
    return np.where(given, np.maximum(day - lead, spell_start + 1), NEVER)


def _change_terms(
    scenario: Scenario, grid: MonthGrid, accounts: Accounts, state: _State, months: Months,
    month: int, generator: np.random.Generator,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """Expand, contract, renew and raise prices on the billing day of those who stay."""
    count = state.usage.size
    stays = months.at_risk[:, month] & ~months.lapsed[:, month]
    draw = generator.random((3, count))
    grows = stays & (draw[0] < scenario.expansion_rate * np.exp(0.25 * state.usage))
    shrinks = stays & ~grows & (draw[1] < scenario.contraction_rate * np.exp(-0.3 * state.usage))
    renews = stays & (accounts.billing == 2)
    renews &= (month - grid.position(state.spell_start)) % 12 == 0
    if scenario.price_rise and month == grid.observation + PRICE_RISE_MONTH:
        state.price_due = stays.copy()
    rises = stays & state.price_due & (renews | (accounts.billing < 2))
    seat_factor = np.ones(count)
    seat_factor[grows] = 1 + generator.gamma(2, 0.12, grows.sum())
    seat_factor[shrinks] = 1 - generator.beta(2, 5, shrinks.sum())
    price_factor = np.where(rises, 1 + scenario.price_rise, 1.0)
    uplifts = renews & ~rises & (draw[2] < RENEWAL_UPLIFT_SHARE)
    price_factor = np.where(uplifts, 1 + scenario.renewal_uplift, price_factor)
    state.price_due &= ~rises
    state.mrr_cents = (
        np.maximum(np.rint(state.mrr_cents * seat_factor * price_factor / 100), 5).astype(np.int64)
        * 100
    )
    state.seats = np.maximum(np.rint(state.seats * seat_factor), 1).astype(np.int64)
    rows = np.flatnonzero(grows | shrinks | renews | rises)
    days = np.zeros(count, dtype=np.int64)
    days[rows] = grid.boundary(month, grid.anchor(state.spell_start[rows]))
    return _terms_of(rows, days, state)


def _note_service(
    grid: MonthGrid, accounts: Accounts, state: _State, months: Months, month: int
) -> None:
    """Record from which day to which day each account was served in the month, and its MRR."""
    first, following = grid.first[month], grid.first[month + 1]
    on, lapsed = months.at_risk[:, month], months.lapsed[:, month]
    begins = state.active & (state.spell_start >= first) & (state.spell_start < following)
    boundary = grid.boundary(month, grid.anchor(state.spell_start))
    months.served_from[:, month] = np.where(on, first, np.where(begins, state.spell_start, 0))
    months.served_to[:, month] = np.where(lapsed, boundary, np.where(on | begins, following, 0))
    months.mrr_cents[:, month] = np.where(on & ~lapsed | begins, state.mrr_cents, 0)
