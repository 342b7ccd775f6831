"""What does the customer file of the sample company hold?

Tables read: none. Tables made: accounts, assignments, contacts, milestones, goals, referrals. The
subtle point: ``accounts`` holds touch model and manager as they were at signing, their history is
in ``assignments``.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stages.simulate import text
from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.scenario import SEGMENTS, TOUCH_MODELS
from pipeline.stages.simulate.world import World

INDUSTRIES = ("software", "retail", "manufacturing", "healthcare", "logistics", "education")
COUNTRIES = ("US", "GB", "DE", "JP", "FR", "CA", "AU", "NL", "BR", "IN")
COUNTRY_SHARES = (0.34, 0.13, 0.12, 0.1, 0.08, 0.07, 0.05, 0.04, 0.04, 0.03)
BUSINESS_TYPES = ("b2b", "b2c")
B2C_SHARE = 0.15
CHANNELS = ("inbound", "outbound", "partner", "referral", "event")
CHANNEL_SHARES = (0.38, 0.27, 0.15, 0.12, 0.08)
CHANNEL_COST = (0.8, 1.4, 1.0, 0.5, 1.2)
COST_IN_MONTHS = (8, 6, 5)  # of MRR, by segment
UNKNOWN_COST_SHARE = 0.06
NOTED_BEFORE = 100  # only the block that begins below this number holds the names of note
FIRST_WORDS = (
    "Bright", "Silver", "North", "Harbour", "Maple", "Copper", "Blue", "Granite", "Willow",
    "Amber", "Summit", "River", "Clear", "Stone", "Cedar", "Meadow", "Falcon", "Lantern",
    "Orchard", "Beacon", "Juniper", "Cobalt", "Prairie", "Thistle", "Ember", "Quarry", "Sable",
    "Tidal", "Vesper", "Marble",
)  # fmt: skip
SECOND_WORDS = (
    "field", "gate", "works", "bridge", "line", "craft", "point", "path", "mark", "well",
    "ridge", "stead", "wave", "grove", "loom", "forge", "dale", "crest", "haven", "spring",
)  # fmt: skip
TRADES = (
    "Logistics", "Health", "Foods", "Systems", "Supply", "Learning", "Energy", "Interiors",
    "Analytics", "Textiles", "Partners", "Robotics",
)  # fmt: skip
NAMES_OF_NOTE = (
    "株式会社みなとみどり製作所", "ほしぞら物流株式会社", "有限会社あおば教育",
    "<b>Bold</b> & Sons Bakery",
    "=Equal Parts Ltd", "Søndergård, Møller & Co", 'The "Quoted" Company', "株式会社しらかば医療",
)  # fmt: skip
ROLES = ("executive", "champion", "user", "decision_maker")
DEPARTMENTS = ("operations", "finance", "it", "sales", "hr")
TARGET_DAYS = {"first_use": 14, "first_value": 45, "full_value": 180}
GOALS = (("hours_saved", "hours"), ("revenue_uplift", "percent"), ("errors_avoided", "count"))
GOAL_SHARES = (0.40, 0.75, 0.90)  # of accounts, by touch model
GOAL_CYCLES = 7
CSM_HANDOVER_DAYS = 10  # before the month whose hazard it moves
REFERRAL_RATE = 0.004  # per account and month, without a known outcome
DAY_START = 9 * 3_600


def account_ids(world: World) -> pa.Array:
    """Return the public identifier of each account."""
    return text.keys("A", world.number, 7)


def accounts(
    world: World, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator
) -> pa.Table:
    """Return one row per account, as it was at signing."""
    drawn, count = world.accounts, world.number.size
    lag = np.where(
        drawn.trial_days > 0, generator.integers(0, 3, count), generator.integers(0, 21, count)
    )
    channel = generator.choice(len(CHANNELS), count, p=CHANNEL_SHARES)
    cost = (
        drawn.mrr_cents
        * np.take(COST_IN_MONTHS, drawn.segment)
        * np.take(CHANNEL_COST, channel)
        * np.exp(0.4 * generator.normal(size=count))
    )
    is_b2c = (generator.random(count) < 1.6 * B2C_SHARE) & (drawn.segment == 0)
    return pa.table(
        {
            "account_id": ids,
            "signed_up_date": text.dates(drawn.start - drawn.trial_days - lag),
            "name": _names(world, generator),
            "segment": text.codes(drawn.segment, SEGMENTS),
            "industry": text.codes(generator.integers(0, len(INDUSTRIES), count), INDUSTRIES),
            "country": text.codes(
                generator.choice(len(COUNTRIES), count, p=COUNTRY_SHARES), COUNTRIES
            ),
            "business_type": text.codes(is_b2c, BUSINESS_TYPES),
            "acquisition_channel": text.codes(channel, CHANNELS),
            "acquisition_cost": text.money(cost, generator.random(count) >= UNKNOWN_COST_SHARE),
            "touch_model": text.codes(drawn.touch, TOUCH_MODELS),
            "csm_id": _csm_ids(drawn.csm),
        }
    )


def assignments(world: World, grid: MonthGrid, ids: pa.Array) -> pa.Table:
    """Return one row per account and interval of touch model and manager."""
    drawn, count = world.accounts, world.number.size
    everyone = np.arange(count)
    change = np.minimum(drawn.touch_change, drawn.csm_change)
    rows = [(everyone, drawn.start - drawn.trial_days, drawn.touch, drawn.csm)]
    for month in (change, np.maximum(drawn.touch_change, drawn.csm_change)):
        day = grid.first[np.minimum(month, grid.simulated)] - CSM_HANDOVER_DAYS
        touch = np.where(month >= drawn.touch_change, drawn.touch_later, drawn.touch)
        kept = month < grid.end
        rows.append((everyone[kept], day[kept], touch[kept], drawn.csm_later[kept]))
    account, day, touch, csm = (np.concatenate(part) for part in zip(*rows, strict=True))
    order = np.lexsort((day, account))
    account, day, touch, csm = account[order], day[order], touch[order], csm[order]
    same = (account[1:] == account[:-1]) & (touch[1:] == touch[:-1]) & (csm[1:] == csm[:-1])
    kept = np.append(True, ~same)
    account, day, touch, csm = account[kept], day[kept], touch[kept], csm[kept]
    goes_on = np.append(account[1:] == account[:-1], False)
    return pa.table(
        {
            "account_id": ids.take(pa.array(account)),
            "valid_from": text.dates(day),
            "valid_to": text.dates(np.append(day[1:], 0), goes_on),
            "touch_model": text.codes(touch, TOUCH_MODELS),
            "csm_id": _csm_ids(csm),
            "segment": text.codes(world.accounts.segment[account], SEGMENTS),
        }
    )


def contacts(
    world: World, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator
) -> pa.Table:
    """Return one row per person and role interval; champions leave and are replaced."""
    drawn, count = world.accounts, world.number.size
    begin = drawn.start - drawn.trial_days
    parts = []
    for part in range(4):
        rows = np.arange(count) if part < 3 else np.flatnonzero(drawn.segment > 0)
        parts.append((rows, np.full(rows.size, part), begin[rows], np.full(rows.size, part + 1)))
    account, month = np.nonzero(world.months.champion_left[:, : grid.end + 1])
    left = grid.first[month] - 1 - generator.integers(0, 20, account.size)
    left = np.maximum(left, drawn.start[account] + 1)
    replaced = left + generator.integers(20, 60, account.size)
    turn = np.arange(account.size) - np.searchsorted(account, account, side="left")
    on_file = replaced <= grid.extract_day
    parts.append(
        (account[on_file], np.ones(on_file.sum(), int), replaced[on_file], turn[on_file] + 5)
    )
    who, role, since, position = (np.concatenate(own) for own in zip(*parts, strict=True))
    until = _champion_ends(who, role, since, account, left)
    order = np.lexsort((position, who))
    who, role, since, position, until = (
        values[order] for values in (who, role, since, position, until)
    )
    return pa.table(
        {
            "contact_id": _contact_ids(world, who, position),
            "account_id": ids.take(pa.array(who)),
            "role": text.codes(role, ROLES),
            "department": text.codes(generator.integers(0, 5, who.size), DEPARTMENTS),
            "active_from": text.dates(since),
            "active_to": text.dates(until, until <= grid.extract_day),
        }
    )


def milestones(
    world: World, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator
) -> pa.Table:
    """Return one row per account and milestone; blank where it was not reached by the extract."""
    drawn, count = world.accounts, world.number.size
    begin, end = drawn.start - drawn.trial_days, np.minimum(first_end(world), grid.extract_day + 1)
    first_use = begin + np.floor(generator.exponential(4.0, count)).astype(np.int64)
    full = drawn.value_day + 20 + np.floor(generator.exponential(90.0, count)).astype(np.int64)
    days = {
        "first_use": np.minimum(first_use, drawn.value_day),
        "first_value": drawn.value_day,
        "full_value": np.where(generator.random(count) < 0.6, full, NEVER),
    }
    order = np.argsort(np.tile(np.arange(count), 3), kind="stable")
    reached = np.concatenate(list(days.values()))[order]
    account = order % count
    known = (reached < end[account]) & ~drawn.never_paid[account]
    target = np.concatenate([begin + TARGET_DAYS[name] for name in days])[order]
    seconds = reached * text.DAY_SECONDS + generator.integers(DAY_START, 64_000, reached.size)
    return pa.table(
        {
            "account_id": ids.take(pa.array(account)),
            "milestone": text.codes(order // count, tuple(days)),
            "reached_at": text.instants(seconds, known),
            "target_date": text.dates(target),
        }
    )


def goals(world: World, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator) -> pa.Table:
    """Return one row per agreed goal; a new one each year for as long as the customer stays."""
    drawn, count = world.accounts, world.number.size
    has = (generator.random(count) < np.take(GOAL_SHARES, drawn.touch)) & ~drawn.never_paid
    end = np.minimum(first_end(world), grid.extract_day + 1)
    first = drawn.start + generator.integers(10, 41, count)
    agreed = first[:, None] + 365 * np.arange(GOAL_CYCLES)
    account, cycle = np.nonzero((agreed < end[:, None]) & has[:, None])
    agreed, size = agreed[account, cycle], account.size
    due = agreed + generator.choice((90, 180, 330), size)
    month = np.minimum(grid.position(due), grid.simulated - 1)
    usage, value = world.months.usage[account, month], world.months.value[account, month]
    achieved = generator.random(size) < 1 / (1 + np.exp(-(-0.3 + 0.8 * usage + 0.9 * value)))
    measured = due + generator.integers(0, 11, size)
    is_measured = measured < end[account]
    declared = due + generator.integers(-30, 21, (2, size))
    by_customer = achieved & (generator.random(size) < 0.75) & (declared[0] < end[account])
    claims = np.where(achieved, 0.9, 0.15)
    by_vendor = (generator.random(size) < claims) & (declared[1] < end[account])
    kind = generator.integers(0, 3, size)
    base = generator.integers(10, 100, size)
    target = base + generator.integers(10, 60, size)
    gain = np.where(achieved, generator.uniform(1.0, 1.4, size), generator.uniform(0.0, 0.98, size))
    return pa.table(
        {
            "goal_id": text.keys("G", world.number[account] * 10 + cycle, 8),
            "account_id": ids.take(pa.array(account)),
            "metric": text.codes(kind, [metric for metric, _ in GOALS]),
            "unit": text.codes(kind, [unit for _, unit in GOALS]),
            "baseline": text.numbers(base),
            "target": text.numbers(target),
            "actual": text.numbers(np.floor(base + gain * (target - base)), is_measured),
            "agreed_date": text.dates(agreed),
            "due_date": text.dates(due),
            "measured_at": text.instants(measured * text.DAY_SECONDS + 39_600, is_measured),
            "customer_declared_date": text.dates(np.maximum(declared[0], agreed), by_customer),
            "vendor_declared_date": text.dates(np.maximum(declared[1], agreed), by_vendor),
        }
    )


def referrals(
    world: World, grid: MonthGrid, ids: pa.Array, profile: pa.Table, generator: np.random.Generator
) -> pa.Table:
    """Return one row per referral: won ones name the account, the others do not."""
    served = world.months.served_to > 0
    referred = np.flatnonzero(
        pc.equal(profile["acquisition_channel"], "referral").to_numpy()
        & (world.accounts.start >= grid.observation_day)
    )
    month = grid.position(world.accounts.start[referred]) - 1
    guesses = generator.integers(0, world.number.size, (4, referred.size))
    fits = served[guesses, month] & (guesses != referred)
    best = guesses[np.argmax(fits, axis=0), np.arange(referred.size)]
    won = fits.any(axis=0)
    day = grid.first[month] + generator.integers(0, 28, referred.size)
    day = np.maximum(day, world.months.served_from[best, month])
    hit = served[:, grid.observation : grid.end]
    hit = hit & (generator.random(hit.shape) < REFERRAL_RATE)
    lone, when = np.nonzero(hit)
    lone_day = np.maximum(
        grid.first[when + grid.observation] + generator.integers(0, 28, lone.size),
        world.months.served_from[lone, when + grid.observation],
    )
    account = np.concatenate([best[won], lone])
    outcome = np.concatenate([referred[won], np.full(lone.size, -1)])
    days = np.concatenate([day[won], lone_day])
    order = np.lexsort((days, account))
    seconds = days * text.DAY_SECONDS + generator.integers(DAY_START, 64_000, days.size)
    return pa.table(
        {
            "account_id": ids.take(pa.array(account[order])),
            "referred_account_id": ids.take(pa.array(outcome[order], mask=outcome[order] < 0)),
            "occurred_at": text.instants(seconds[order]),
        }
    )


def first_end(world: World) -> np.ndarray:
    """Return the day on which the first spell of each account lapsed; NEVER while it goes on."""
    end = np.full(world.number.size, NEVER)
    first = world.lapses.spell == 0
    end[world.lapses.account[first]] = world.lapses.day[first]
    return end


def contact_ids(world: World, account: np.ndarray, role: np.ndarray) -> pa.Array:
    """Return the first person in a role (position in ROLES) of each account."""
    return _contact_ids(world, account, role + 1)


def _contact_ids(world: World, account: np.ndarray, position: np.ndarray) -> pa.Array:
    return text.keys("P", world.number[account] * 100 + position, 9)


def _csm_ids(csm: np.ndarray) -> pa.Array:
    highest = int(csm.max(initial=0))
    return text.codes(csm, ["pool", *(f"csm-{number:02d}" for number in range(1, highest + 1))])


def _champion_ends(
    who: np.ndarray, role: np.ndarray, since: np.ndarray, account: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """Return for each champion the first departure after the start; NEVER for all others."""
    until = np.full(who.size, NEVER)
    code = account * 100_000 + left
    order = np.argsort(code)
    champions = np.flatnonzero(role == 1)
    wanted = who[champions] * 100_000 + since[champions]
    place = np.searchsorted(code[order], wanted, side="right")
    inside = np.minimum(place, max(code.size - 1, 0))
    if code.size:
        found = (place < code.size) & (account[order][inside] == who[champions])
        until[champions] = np.where(found, left[order][inside], NEVER)
    return until


def _names(world: World, generator: np.random.Generator) -> pa.Array:
    count = world.number.size
    words = (
        generator.integers(0, len(FIRST_WORDS), count),
        generator.integers(0, len(SECOND_WORDS), count),
        generator.integers(0, len(TRADES), count),
    )
    names = pc.binary_join_element_wise(
        pc.binary_join_element_wise(
            text.codes(words[0], FIRST_WORDS), text.codes(words[1], SECOND_WORDS), ""
        ),
        text.codes(words[2], TRADES),
        " ",
    ).to_pylist()
    for position, name in enumerate(NAMES_OF_NOTE):
        place = 7 + 41 * position
        if world.number[0] < NOTED_BEFORE and place < count:
            names[place] = name
    return pa.array(names)
