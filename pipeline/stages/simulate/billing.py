"""What does the billing system of the sample company export?

Tables read: none. Tables made: subscriptions, adjustments. The subtle point: a row that ends is
exported twice, once as it was recorded at its start (open) and once as it was recorded when the
end was announced; what was known at any day can so be told from ``recorded_at``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.stages.simulate import text
from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.scenario import CAUSES, Scenario
from pipeline.stages.simulate.world import ADDON_MRR_SHARE, PRICE_MONTHS, PRICE_RISE_MONTH, World

INTERVALS = ("month", "quarter", "year")
PLANS = ("starter", "team", "business", "enterprise")
PLAN_SEATS = (5, 25, 100)  # a plan ends with so many seats
PRODUCTS = ("core", "analytics", "programme")
SEATS_PER_DEPARTMENT = 30
MORNING, EVENING = 9 * 3_600, 17 * 3_600
LATE_DAYS, VERY_LATE_DAYS = (1, 20), (61, 150)
REASONS = (
    "price", "missing_feature", "low_use", "bad_service", "champion_left", "competitor",
    "budget_cut", "payment_failed", "insolvency", "goal_reached", "merged",
)  # fmt: skip
ADJUSTMENT_KINDS = ("refund", "chargeback", "return", "concession")
ADJUSTMENT_RATE = 0.004  # per account and month
LATE_FEE_FREE_SHARE = 0.8  # of involuntary ends: the payment failed; the rest are insolvencies


@dataclass(frozen=True)
class Rows:
    """Subscription rows before they become text; one entry per interval of constant terms."""

    account: np.ndarray
    start: np.ndarray
    end: np.ndarray
    cents: np.ndarray
    seats: np.ndarray
    term: np.ndarray
    product: np.ndarray
    is_trial: np.ndarray
    lapse: np.ndarray  # position in the log of lapses, -1: the row does not end the spell


def delays(count: int, scenario: Scenario, generator: np.random.Generator) -> np.ndarray:
    """Return by how many days each record arrives late; most by none."""
    draw = generator.random(count)
    late = np.where(
        draw < scenario.late_share, generator.integers(LATE_DAYS[0], LATE_DAYS[1] + 1, count), 0
    )
    very = generator.integers(VERY_LATE_DAYS[0], VERY_LATE_DAYS[1] + 1, count)
    return np.where(draw >= 1 - scenario.very_late_share, very, late)


def subscriptions(
    world: World,
    scenario: Scenario,
    grid: MonthGrid,
    ids: pa.Array,
    currency: str,
    generator: np.random.Generator,
) -> pa.Table:
    """Return one row per subscription and recorded version."""
    rows = _ordered(_all_rows(world, grid), grid)
    lapses, last = world.lapses, rows.lapse >= 0
    notice = np.where(last, lapses.notice[rows.lapse], NEVER) if lapses.day.size else rows.end
    announced = np.where(last, np.minimum(notice, rows.end), rows.end)
    late = np.where(last, delays(rows.start.size, scenario, generator), 0)
    jitter = generator.integers(0, 3_600, (2, rows.start.size))
    opened = rows.start * text.DAY_SECONDS + MORNING + jitter[0]
    closed = (np.maximum(announced, rows.start) + late) * text.DAY_SECONDS + EVENING + jitter[1]
    is_closed = (rows.end < NEVER) & (closed < (grid.extract_day + 1) * text.DAY_SECONDS)
    end_type, end_reason = _ends(world, scenario, grid, rows.lapse, generator)
    count = rows.start.size
    order = np.argsort(np.concatenate([np.arange(count) * 2, np.flatnonzero(is_closed) * 2 + 1]))
    pick = np.concatenate([np.arange(count), np.flatnonzero(is_closed)])[order]
    shown = np.concatenate([np.zeros(count, bool), np.ones(is_closed.sum(), bool)])[order]
    noted = shown & last[pick] & (notice[pick] < NEVER)
    chosen = pa.array(pick)
    hide = pa.array(shown & last[pick])
    return pa.table(
        {
            "subscription_id": _subscription_ids(world, rows).take(chosen),
            "account_id": ids.take(pa.array(rows.account[pick])),
            "start_date": text.dates(rows.start[pick]),
            "end_date": text.dates(rows.end[pick], shown),
            "mrr": text.money(rows.cents[pick]),
            "currency": text.codes(np.zeros(pick.size, int), (currency,)),
            "product": text.codes(rows.product[pick], PRODUCTS),
            "plan": text.codes(np.searchsorted(PLAN_SEATS, rows.seats[pick]), PLANS),
            "seats": text.numbers(rows.seats[pick]),
            "department_count": text.numbers(1 + rows.seats[pick] // SEATS_PER_DEPARTMENT),
            "billing_interval": text.codes(
                np.where(rows.is_trial, 0, world.accounts.billing[rows.account])[pick], INTERVALS
            ),
            "term_ends_on": text.dates(rows.term[pick], rows.term[pick] < NEVER),
            "is_trial": text.flags(rows.is_trial[pick]),
            "notice_date": text.dates(notice[pick], noted),
            "end_type": pa.compute.if_else(hide, end_type.take(chosen), None),
            "end_reason": pa.compute.if_else(hide, end_reason.take(chosen), None),
            "recorded_at": text.instants(np.where(shown, closed[pick], opened[pick])),
        }
    )


def adjustments(
    world: World, grid: MonthGrid, ids: pa.Array, currency: str, generator: np.random.Generator
) -> pa.Table:
    """Return one row per refund, chargeback, return or concession."""
    window = slice(grid.first_event_month, grid.end)
    mrr = world.months.mrr_cents[:, window]
    hit = (generator.random(mrr.shape) < ADJUSTMENT_RATE) & (mrr > 0)
    account, month = np.nonzero(hit)
    count = account.size
    first = np.maximum(
        grid.first[month + grid.first_event_month], world.months.served_from[:, window][hit]
    )
    last = world.months.served_to[:, window][hit]
    day = first + np.floor(generator.random(count) * (last - first)).astype(np.int64)
    kind = generator.choice(4, count, p=(0.4, 0.1, 0.1, 0.4))
    amount = np.rint(mrr[hit] * generator.uniform(0.05, 1.0, count))
    return pa.table(
        {
            "adjustment_id": text.keys("J", world.number[account] * 1_000 + month, 10),
            "account_id": ids.take(pa.array(account)),
            "occurred_at": text.instants(
                day * text.DAY_SECONDS + MORNING + generator.integers(0, 28_000, count)
            ),
            "kind": text.codes(kind, ADJUSTMENT_KINDS),
            "amount": text.money(amount),
            "currency": text.codes(np.zeros(count, int), (currency,)),
        }
    )


def _all_rows(world: World, grid: MonthGrid) -> Rows:
    parts = [_paid_rows(world, grid), _trial_rows(world), _addon_rows(world, grid)]
    return Rows(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Rows.__dataclass_fields__
        }
    )


def _ordered(rows: Rows, grid: MonthGrid) -> Rows:
    """Return what is on file at the extract, by account and start; later ends are not known yet."""
    order = np.lexsort((rows.product, rows.start, rows.account))
    order = order[rows.start[order] <= grid.extract_day]
    return Rows(**{name: getattr(rows, name)[order] for name in Rows.__dataclass_fields__})


def _paid_rows(world: World, grid: MonthGrid) -> Rows:
    terms, accounts = world.terms, world.accounts
    lapse = _lapse_of(world, terms.account, terms.spell)
    notice = np.append(world.lapses.notice, NEVER)[lapse]
    kept = np.flatnonzero((terms.day <= notice) | (terms.day == terms.spell_start))
    kept = kept[np.lexsort((terms.day[kept], terms.account[kept]))]
    account, spell, lapse = terms.account[kept], terms.spell[kept], lapse[kept]
    day, start = terms.day[kept], terms.spell_start[kept]
    goes_on = np.append((account[1:] == account[:-1]) & (spell[1:] == spell[:-1]), False)
    lapse = np.where(goes_on, -1, lapse)
    end = np.where(goes_on, np.append(day[1:], 0), np.append(world.lapses.day, NEVER)[lapse])
    return Rows(
        account=account,
        start=day,
        end=_announced(world, grid, end, lapse),
        cents=terms.mrr_cents[kept],
        seats=terms.seats[kept],
        term=_terms_end(grid, accounts.billing[account], start, day),
        product=np.where(accounts.programme[account] > 0, 2, 0),
        is_trial=np.zeros(kept.size, bool),
        lapse=lapse,
    )


def _trial_rows(world: World) -> Rows:
    account = np.flatnonzero(world.accounts.trial_days > 0)
    start = world.accounts.start[account]
    return Rows(
        account=account,
        start=start - world.accounts.trial_days[account],
        end=start,
        cents=np.zeros(account.size, np.int64),
        seats=np.minimum(world.accounts.seats[account], 5),
        term=np.full(account.size, NEVER),
        product=np.zeros(account.size, int),
        is_trial=np.ones(account.size, bool),
        lapse=np.full(account.size, -1),
    )


def _addon_rows(world: World, grid: MonthGrid) -> Rows:
    """Return the second product of some accounts, up to the end of the first spell."""
    accounts = world.accounts
    account = np.flatnonzero(accounts.has_addon & ~accounts.never_paid)
    begin = grid.position(accounts.start[account]) + accounts.addon_after[account]
    start = grid.boundary(np.minimum(begin, grid.simulated), grid.anchor(accounts.start[account]))
    lapse = _lapse_of(world, account, np.zeros(account.size, int))
    notice = np.append(world.lapses.notice, NEVER)[lapse]
    end = np.append(world.lapses.day, NEVER)[lapse]
    kept = (start < np.minimum(end, notice)) & (begin < grid.simulated)
    account, start, end, lapse = account[kept], start[kept], end[kept], lapse[kept]
    return Rows(
        account=account,
        start=start,
        end=_announced(world, grid, end, lapse),
        cents=np.rint(accounts.mrr_cents[account] * ADDON_MRR_SHARE / 100).astype(np.int64) * 100,
        seats=accounts.seats[account],
        term=_terms_end(grid, accounts.billing[account], accounts.start[account], start),
        product=np.ones(account.size, int),
        is_trial=np.zeros(account.size, bool),
        lapse=lapse,
    )


def _lapse_of(world: World, account: np.ndarray, spell: np.ndarray) -> np.ndarray:
    """Return the position of the lapse that ended each spell; -1 while it goes on."""
    code = world.lapses.account * 1_000 + world.lapses.spell
    if code.size == 0:
        return np.full(account.size, -1)
    order = np.argsort(code)
    wanted = account * 1_000 + spell
    place = np.minimum(np.searchsorted(code[order], wanted), code.size - 1)
    return np.where(code[order][place] == wanted, order[place], -1)


def _announced(world: World, grid: MonthGrid, end: np.ndarray, lapse: np.ndarray) -> np.ndarray:
    """Return the ends that are known at the extract; NEVER for the others."""
    notice = np.append(world.lapses.notice, NEVER)[lapse]
    return np.where((end <= grid.extract_day) | (notice <= grid.extract_day), end, NEVER)


def _terms_end(
    grid: MonthGrid, billing: np.ndarray, spell_start: np.ndarray, day: np.ndarray
) -> np.ndarray:
    begun = grid.position(spell_start)
    years = (grid.position(day) - begun) // 12 + 1
    month = np.minimum(begun + 12 * years, grid.first.size - 1)
    return np.where(billing == 2, grid.boundary(month, grid.anchor(spell_start)), NEVER)


def _subscription_ids(world: World, rows: Rows) -> pa.Array:
    first = np.searchsorted(rows.account, rows.account, side="left")
    position = np.arange(rows.account.size) - first + 1
    return text.keys("S", world.number[rows.account] * 1_000 + position, 10)


def _ends(
    world: World,
    scenario: Scenario,
    grid: MonthGrid,
    lapse: np.ndarray,
    generator: np.random.Generator,
) -> tuple[pa.Array, pa.Array]:
    """Return end type and reason of each row; several rows of one lapse agree."""
    lapses = world.lapses
    count = lapses.day.size
    forgotten = (generator.random(count) < scenario.unknown_end_share) & (lapses.cause < 2)
    uncoded = generator.random(count) < scenario.missing_reason_share
    reason = _reasons(world, grid, generator)
    known = lapse >= 0
    if count == 0:
        return text.blank(lapse.size), text.blank(lapse.size)
    return (
        text.codes(lapses.cause[lapse], CAUSES, known & ~forgotten[lapse]),
        text.codes(reason[lapse], REASONS, known & ~uncoded[lapse]),
    )


def _reasons(world: World, grid: MonthGrid, generator: np.random.Generator) -> np.ndarray:
    """Return why each lapse happened: what weighed on the account, more often than not."""
    lapses, months = world.lapses, world.months
    at = (lapses.account, lapses.month)
    since_rise = lapses.month - (grid.observation + PRICE_RISE_MONTH)
    count = lapses.day.size
    reason = generator.choice(7, count, p=(0.26, 0.2, 0.1, 0.08, 0.04, 0.2, 0.12))
    speaks = generator.random((4, count))
    weighs = (
        (months.usage[at] < -0.8, 0.5, 2),
        ((since_rise >= 0) & (since_rise < PRICE_MONTHS), 0.5, 0),
        (months.critical_open[at], 0.6, 3),
        (months.champion_recent[at], 0.6, 4),
    )
    for draw, (applies, share, code) in zip(speaks, weighs, strict=True):
        reason = np.where(applies & (draw < share), code, reason)
    failed = np.where(generator.random(count) < LATE_FEE_FREE_SHARE, 7, 8)
    return np.choose(lapses.cause, (reason, failed, np.full(count, 9), np.full(count, 10)))
