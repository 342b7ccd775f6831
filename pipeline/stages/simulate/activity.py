"""What do the product, the help desk and the success team of the sample company record?

Tables read: none. Tables made: usage, tickets, plays, touches. The subtle point: what is recorded
in a month is drawn from the state at the *next* month's beginning, so that features of the past
find the quantities that move the hazard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.stages.simulate import text
from pipeline.stages.simulate.billing import delays
from pipeline.stages.simulate.customers import contact_ids
from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.scenario import TOUCH_MODELS, Scenario
from pipeline.stages.simulate.world import PLAY_MONTHS, World, play_chance

FEATURES = (
    "dashboard", "report", "export", "automation", "integration", "alerts", "sharing", "forecast",
)  # fmt: skip
FEATURE_SHARES = (0.3, 0.2, 0.12, 0.1, 0.1, 0.08, 0.06, 0.04)
EVENTS_PER_MONTH, EVENTS_USAGE = 10.0, 0.35
QUANTITY, QUANTITY_USAGE = 5.0, 0.4
TRIAL_EVENTS_PER_DAY = 0.3
WEEKEND_LOSS = 0.6
NOTICE_LOSS = 0.6  # usage falls by so much once notice is given
USERS_SHOWN = 40
OUTAGE_MONTH, OUTAGE_FIRST_DAY, OUTAGE_DAYS = (
    22,
    9,
    3,
)  # of the observation: the tenth to the twelfth
CATEGORIES = ("question", "bug", "complaint", "billing")
CATEGORY_SHARES = (0.45, 0.3, 0.15, 0.1)
SEVERITIES = ("low", "normal", "high", "critical")
TICKET_WINDOW_DAYS = 30
TOUCHES_PER_MONTH = (0.8, 1.0, 3.0)
TOUCH_KINDS = (
    ("email", "webinar", "in_app", "training"),
    ("email", "call", "webinar", "training"),
    ("review", "call", "training", "email"),
)
TOUCH_MINUTES = (6, 25, 45)
COST_PER_MINUTE = 1.1  # of a person's time; tech touches cost a tenth of it
PLAY_KINDS = ("risk_review", "kickoff", "business_review")
PLAY_COST = (180, 240, 320)
CANCELLED_SHARE = 0.06
REVIEW_RATE = (0.0, 0.03, 0.10)
CANCELLERS = ("vendor", "customer")
MORNING = 8 * 3_600


@dataclass(frozen=True)
class Plays:
    """Interventions before they become text; days, NEVER where it did not happen."""

    account: np.ndarray
    kind: np.ndarray
    triggered: np.ndarray
    scheduled: np.ndarray
    started: np.ndarray
    ended: np.ndarray
    cancelled: np.ndarray


def outage(grid: MonthGrid) -> tuple[int, int]:
    """Return first and last day of the gap in tracking."""
    month = min(grid.observation + OUTAGE_MONTH, grid.end - 1)
    first = int(grid.first[month]) + OUTAGE_FIRST_DAY
    return first, first + OUTAGE_DAYS - 1


def usage(
    world: World,
    scenario: Scenario,
    grid: MonthGrid,
    ids: pa.Array,
    first_key: int,
    generator: np.random.Generator,
) -> pa.Table:
    """Return one row per event."""
    account, day, depth = _usage_days(world, grid, generator)
    trial_account, trial_day = _trial_days(world, grid, generator)
    account = np.concatenate([account, trial_account])
    day = np.concatenate([day, trial_day])
    depth = np.concatenate([depth, np.zeros(trial_account.size)])
    gap = outage(grid)
    kept = (day <= grid.extract_day) & (day >= grid.first[grid.first_event_month])
    kept &= ~(scenario.has_outage & (day >= gap[0]) & (day <= gap[1]))
    kept &= ~((_weekday(day) > 4) & (generator.random(day.size) < WEEKEND_LOSS))
    account, day, depth = account[kept], day[kept], depth[kept]
    seconds = day * text.DAY_SECONDS + MORNING + generator.integers(0, 43_200, day.size)
    recorded = seconds + 120 + delays(day.size, scenario, generator) * text.DAY_SECONDS
    kept = np.flatnonzero(recorded < (grid.extract_day + 1) * text.DAY_SECONDS)
    kept = kept[np.lexsort((seconds[kept], account[kept]))]
    account, depth, count = account[kept], depth[kept], kept.size
    users = np.minimum(world.accounts.seats[account], USERS_SHOWN)
    busy = np.clip(0.35 + 0.2 * depth, 0.05, 1.0)
    user = np.floor(generator.random(count) * np.maximum(np.ceil(users * busy), 1)).astype(int)
    return pa.table(
        {
            "usage_id": text.keys("E", first_key + np.arange(count), 10),
            "account_id": ids.take(pa.array(account)),
            "occurred_at": text.instants(seconds[kept]),
            "feature": text.codes(_features(depth, generator), FEATURES),
            "user_id": text.keys("U", world.number[account] * 100 + user, 9),
            "quantity": text.numbers(
                1 + generator.poisson(QUANTITY * np.exp(QUANTITY_USAGE * depth))
            ),
            "recorded_at": text.instants(recorded[kept]),
        }
    )


def tickets(
    world: World,
    scenario: Scenario,
    grid: MonthGrid,
    ids: pa.Array,
    generator: np.random.Generator,
) -> pa.Table:
    """Return one row per ticket."""
    months, window = world.months, slice(grid.first_event_month, grid.end)
    following = slice(window.start + 1, window.stop + 1)
    from_day, to_day = months.served_from[:, window], months.served_to[:, window]
    early = np.maximum(from_day, grid.first[following] - TICKET_WINDOW_DAYS)
    number = np.where(to_day > early, months.tickets[:, following], 0)
    account, month, rank = _repeated(number)
    at, count = (account, month), account.size
    span = to_day[at] - early[at]
    day = early[at] + np.floor(generator.random(count) * span).astype(np.int64)
    seconds = day * text.DAY_SECONDS + MORNING + generator.integers(0, 43_200, count)
    is_critical = rank < months.critical[:, following][at]
    stays_open = is_critical & months.critical_open[:, following][at]
    wait = np.exp(np.log(3.0) + 0.8 * generator.normal(size=count)) * 3_600
    solve = wait + np.exp(np.log(20.0) + 1.0 * generator.normal(size=count)) * 3_600
    month_ends = grid.first[following][month] * text.DAY_SECONDS
    slow = month_ends - seconds + generator.integers(5, 40, count) * text.DAY_SECONDS
    quick = np.minimum(solve, np.maximum(month_ends - seconds - 60, 600))
    solve = np.where(stays_open, slow, np.where(is_critical, quick, solve))
    wait = np.minimum(wait, 0.8 * solve)
    end = (grid.extract_day + 1) * text.DAY_SECONDS
    recorded = seconds + 60 + delays(count, scenario, generator) * text.DAY_SECONDS
    kept = np.flatnonzero(recorded < end)
    kept = kept[np.lexsort((seconds[kept], account[kept]))]
    severity = np.where(is_critical, 3, generator.choice(3, count, p=(0.35, 0.45, 0.2)))
    place = np.arange(kept.size) - np.searchsorted(account[kept], account[kept])
    return pa.table(
        {
            "ticket_id": text.keys("T", world.number[account[kept]] * 1_000 + place, 10),
            "account_id": ids.take(pa.array(account[kept])),
            "opened_at": text.instants(seconds[kept]),
            "first_response_at": text.instants(
                (seconds + wait)[kept], (seconds + wait < end)[kept]
            ),
            "resolved_at": text.instants((seconds + solve)[kept], (seconds + solve < end)[kept]),
            "handle_minutes": text.numbers(
                5 + np.exp(3.2 + 0.7 * generator.normal(size=count))[kept]
            ),
            "category": text.codes(generator.choice(4, count, p=CATEGORY_SHARES)[kept], CATEGORIES),
            "severity": text.codes(severity[kept], SEVERITIES),
            "recorded_at": text.instants(recorded[kept]),
        }
    )


def draw_plays(world: World, grid: MonthGrid, generator: np.random.Generator) -> Plays:
    """Return risk reviews (they help), kickoffs (they speed value), business reviews (neither)."""
    parts = [
        _risk_reviews(world, grid, generator),
        _kickoffs(world),
        _reviews(world, grid, generator),
        _cancelled_reviews(world, grid, generator),
    ]
    account, kind, triggered, scheduled, started, ended = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    idle = started == NEVER
    idle |= (kind == 2) & (generator.random(kind.size) < CANCELLED_SHARE)
    cancelled = np.where(idle, generator.integers(0, 2, kind.size), -1)
    kept = np.flatnonzero((triggered <= grid.extract_day) & (triggered >= grid.first[0]))
    kept = kept[np.lexsort((kind[kept], triggered[kept], account[kept]))]
    started = np.where(idle | (started > grid.extract_day), NEVER, started)
    ended = np.where((started == NEVER) | (ended > grid.extract_day), NEVER, ended)
    return Plays(
        *(part[kept] for part in (account, kind, triggered, scheduled, started, ended, cancelled))
    )


def plays(world: World, drawn: Plays, ids: pa.Array, generator: np.random.Generator) -> pa.Table:
    """Return one row per intervention."""
    count = drawn.account.size
    clock = generator.integers(3_600, 7_200, count)
    has_started = drawn.started < NEVER
    cost = np.take(PLAY_COST, drawn.kind) * 100 * generator.uniform(0.7, 1.3, count)
    return pa.table(
        {
            "play_id": _play_ids(world, drawn),
            "account_id": ids.take(pa.array(drawn.account)),
            "kind": text.codes(drawn.kind, PLAY_KINDS),
            "triggered_at": text.instants(drawn.triggered * text.DAY_SECONDS + clock),
            "scheduled_at": text.instants(drawn.scheduled * text.DAY_SECONDS + 2 * clock),
            "started_at": text.instants(drawn.started * text.DAY_SECONDS + 3 * clock, has_started),
            "ended_at": text.instants(
                drawn.ended * text.DAY_SECONDS + 5 * clock, drawn.ended < NEVER
            ),
            "cancelled_by": text.codes(drawn.cancelled, CANCELLERS, drawn.cancelled >= 0),
            "minutes": text.numbers(generator.integers(30, 240, count), has_started),
            "cost": text.money(cost, has_started),
        }
    )


def touches(
    world: World, drawn: Plays, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator
) -> pa.Table:
    """Return one row per contact event; those of a play name it."""
    months, window = world.months, slice(grid.first_event_month, grid.end)
    from_day, to_day = months.served_from[:, window], months.served_to[:, window]
    share = (to_day - from_day) / 30.4375
    touch = months.touch[:, window]
    rate = np.take(TOUCHES_PER_MONTH, touch) * np.maximum(share, 0)
    account, month, _ = _repeated(generator.poisson(rate))
    day = _days_within(from_day[account, month], to_day[account, month], generator)
    mode, play = touch[account, month], np.full(account.size, -1)
    held = np.flatnonzero(
        (drawn.started < NEVER) & (drawn.started >= grid.first[grid.first_event_month])
    )
    account = np.concatenate([account, drawn.account[held]])
    day = np.concatenate([day, drawn.started[held]])
    play = np.concatenate([play, held])
    begun = np.minimum(grid.position(drawn.started[held]), grid.simulated - 1)
    mode = np.concatenate([mode, np.maximum(months.touch[drawn.account[held], begun], 1)])
    order = np.lexsort((play, day, account))
    account, day, play, mode = account[order], day[order], play[order], mode[order]
    count = account.size
    kind = generator.integers(0, 4, count)
    minutes = 2 + generator.poisson(np.take(TOUCH_MINUTES, mode))
    cost = minutes * COST_PER_MINUTE * 100 * np.where(mode == 0, 0.1, 1.0)
    is_content = ((kind == 2) & (mode < 2)) | ((kind == 3) & (mode != 2))
    place = np.arange(count) - np.searchsorted(account, account)
    names = [name for kinds in TOUCH_KINDS for name in kinds]
    return pa.table(
        {
            "touch_id": text.keys("H", world.number[account] * 1_000 + place, 10),
            "account_id": ids.take(pa.array(account)),
            "contact_id": contact_ids(world, account, generator.integers(0, 3, count)),
            "occurred_at": text.instants(
                day * text.DAY_SECONDS + MORNING + generator.integers(0, 36_000, count)
            ),
            "mode": text.codes(mode, TOUCH_MODELS),
            "kind": text.codes(mode * 4 + kind, names),
            "initiated_by": text.codes(generator.random(count) < 0.25, ("vendor", "customer")),
            "content_id": text.codes(
                generator.integers(0, 12, count),
                [f"content-{number:02d}" for number in range(1, 13)],
                is_content,
            ),
            "completed": pc.if_else(
                pa.array(is_content), text.flags(generator.random(count) < 0.7), None
            ),
            "minutes": text.numbers(minutes),
            "cost": text.money(cost),
            "play_id": _play_ids(world, drawn).take(pa.array(play, mask=play < 0)),
        }
    )


def _usage_days(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    months, window = world.months, slice(grid.first_event_month, grid.end)
    from_day, to_day = months.served_from[:, window], months.served_to[:, window]
    depth = months.usage[:, window.start + 1 : window.stop + 1]
    share = np.maximum(to_day - from_day, 0) / 30.4375
    account, month, _ = _repeated(
        generator.poisson(EVENTS_PER_MONTH * np.exp(EVENTS_USAGE * depth) * share)
    )
    day = _days_within(from_day[account, month], to_day[account, month], generator)
    notice = _notice_by_month(world, grid)[:, window][account, month]
    kept = ~((day >= notice) & (generator.random(day.size) < NOTICE_LOSS))
    return account[kept], day[kept], depth[account, month][kept]


def _trial_days(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    length = world.accounts.trial_days
    account = np.repeat(np.arange(length.size), generator.poisson(TRIAL_EVENTS_PER_DAY * length))
    end = world.accounts.start[account]
    return account, _days_within(end - length[account], end, generator)


def _notice_by_month(world: World, grid: MonthGrid) -> np.ndarray:
    """Return the day of notice that weighs on each account's month; NEVER where none does."""
    notice = np.full(world.months.usage.shape, NEVER)
    for back in range(4):
        month = np.maximum(world.lapses.month - back, 0)
        notice[world.lapses.account, month] = world.lapses.notice
    return notice


def _features(depth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a feature for each event; deeper users reach further down the list."""
    steps = np.cumsum(FEATURE_SHARES)
    draw = generator.random(depth.size) ** np.exp(-0.25 * depth)
    return np.minimum(np.searchsorted(steps, draw), len(FEATURES) - 1)


def _repeated(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return account, month and rank of each of ``number`` events per account and month."""
    account, month = np.nonzero(number)
    times = number[account, month].astype(np.int64)
    rank = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(account, times), np.repeat(month, times), rank


def _days_within(first: np.ndarray, end: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return first + np.floor(generator.random(first.size) * (end - first)).astype(np.int64)


def _weekday(days: np.ndarray) -> np.ndarray:
    """Return 0 for Monday to 6 for Sunday; 1970-01-01 was a Thursday."""
    return (days + 3) % 7


def _risk_reviews(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, ...]:
    started = world.months.play_started[:, : grid.end + 1]
    account, month = np.nonzero(started & world.months.at_risk[:, : grid.end + 1])
    begin = np.maximum(grid.first[month] - 1, world.accounts.start[account])
    wait = generator.integers(2, 9, account.size)
    triggered = np.maximum(begin - wait, world.accounts.start[account])
    finish = grid.first[month + PLAY_MONTHS] - 1
    return account, np.zeros(account.size, int), triggered, begin, begin, finish


def _cancelled_reviews(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Return risk reviews that were triggered like the others and never held."""
    months, upto = world.months, slice(0, grid.end + 1)
    share = CANCELLED_SHARE * play_chance(months.usage[:, upto], months.tickets[:, upto])
    idle = months.at_risk[:, upto] & ~months.play_started[:, upto]
    account, month = np.nonzero(idle & (generator.random(share.shape) < share))
    start = world.accounts.start[account]
    planned = np.maximum(grid.first[month] - 1, start)
    triggered = np.maximum(planned - generator.integers(2, 9, account.size), start)
    never = np.full(account.size, NEVER)
    return account, np.zeros(account.size, int), triggered, planned, never, never


def _kickoffs(world: World) -> tuple[np.ndarray, ...]:
    account = np.flatnonzero(world.accounts.kickoff & ~world.accounts.never_paid)
    start = world.accounts.start[account]
    held = start + world.accounts.kickoff_after[account]
    return account, np.ones(account.size, int), start, held, held, held


def _reviews(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, ...]:
    rate = np.take(REVIEW_RATE, world.months.touch[:, : grid.end])
    on = world.months.at_risk[:, : grid.end] & ~world.months.lapsed[:, : grid.end]
    account, month = np.nonzero(on & (generator.random(rate.shape) < rate))
    triggered = grid.first[month] + generator.integers(0, 10, account.size)
    held = triggered + generator.integers(5, 15, account.size)
    return account, np.full(account.size, 2), triggered, held, held, held


def _play_ids(world: World, drawn: Plays) -> pa.Array:
    place = np.arange(drawn.account.size) - np.searchsorted(drawn.account, drawn.account)
    return text.keys("I", world.number[drawn.account] * 1_000 + place, 10)
