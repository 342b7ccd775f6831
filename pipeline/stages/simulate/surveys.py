"""What do the customers of the sample company say?

Tables read: none. Tables made: surveys. The subtle point: silence is not random. Content and busy
customers answer more often, and those at the ends of the scale more often than those in the
middle.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.stages.simulate import text
from pipeline.stages.simulate.customers import contact_ids
from pipeline.stages.simulate.months import NEVER, MonthGrid
from pipeline.stages.simulate.world import World

KINDS = ("nps", "csat", "ces")
MODES = ("automated", "live")
SCALES = ((0, 10, 7.6, 1.7), (1, 5, 3.9, 0.8), (1, 7, 5.2, 1.1))  # lowest, highest, centre, spread
RATES = (1 / 3, 0.06, 0.03)  # requests per account and month
LIVE_SHARE = 0.1
COMMENT_SHARE, FOLLOW_UP_SHARE, CLOSED_SHARE = 0.25, 0.5, 0.7
EXTREME_RESPONSE = 0.35  # log odds per scale spread away from the centre
STAY_REASONS = ("value", "ease", "people", "price", "habit", "integration")
LEAVE_REASONS = ("price", "missing_feature", "low_use", "bad_service", "competitor")
GOOD_WORDS = (
    "Saves our team hours every week.", "Support answers fast and knows us.",
    "Reports are clear; the board likes them.", "毎週の報告がとても楽になりました。",
    "We would not go back, it simply works.",
)  # fmt: skip
BAD_WORDS = (
    "Too expensive for what we use.", "The export broke twice, nobody told us.",
    "We waited two weeks for an answer.", "操作が難しくて使わなくなりました。",
    "Our champion left & nobody else knows it.", "=1+1 is about all it can do",
)  # fmt: skip


def surveys(
    world: World, grid: MonthGrid, ids: pa.Array, generator: np.random.Generator
) -> pa.Table:
    """Return one row per request; answers are blank where nobody answered."""
    account, month, kind = _requests(world, grid, generator)
    count = account.size
    usage = world.months.usage[account, month + 1].astype(float)
    mood = world.months.satisfaction[account, month + 1].astype(float)
    first = world.months.served_from[account, month]
    last = world.months.served_to[account, month]
    day = first + np.floor(generator.random(count) * (last - first)).astype(np.int64)
    sent = day * text.DAY_SECONDS + 32_400 + generator.integers(0, 28_800, count)
    lowest, highest, centre, spread = (np.take(part, kind) for part in zip(*SCALES, strict=True))
    z = 0.7 * mood + 0.35 * usage + 0.6 * generator.normal(size=count)
    score = np.clip(np.rint(centre + spread * z), lowest, highest)
    logit = -0.9 + 0.5 * usage + 0.6 * mood + EXTREME_RESPONSE * (np.abs(z) - 0.8)
    answered = sent + generator.exponential(2.0, count) * text.DAY_SECONDS + 300
    end = (grid.extract_day + 1) * text.DAY_SECONDS
    has = (generator.random(count) < 1 / (1 + np.exp(-logit))) & (answered < end)
    is_low, leaves = z < -0.8, _leaves_soon(world, account, day)
    followed = answered + generator.uniform(0.5, 9.0, count) * text.DAY_SECONDS
    has_follow = has & is_low & (generator.random(count) < FOLLOW_UP_SHARE) & (followed < end)
    closed = followed + generator.uniform(1.0, 20.0, count) * text.DAY_SECONDS
    has_closed = has_follow & (generator.random(count) < CLOSED_SHARE) & (closed < end)
    says = has & (generator.random(count) < COMMENT_SHARE)
    place = np.arange(count) - np.searchsorted(account, account)
    return pa.table(
        {
            "response_id": text.keys("R", world.number[account] * 1_000 + place, 10),
            "account_id": ids.take(pa.array(account)),
            "contact_id": contact_ids(world, account, generator.integers(0, 3, count)),
            "kind": text.codes(kind, KINDS),
            "mode": text.codes(generator.random(count) < LIVE_SHARE, MODES),
            "sent_at": text.instants(sent),
            "responded_at": text.instants(answered, has),
            "score": text.numbers(score, has),
            "comment": _words(is_low, says, generator),
            "reason_code": _reason_codes(leaves, has, generator),
            "followed_up_at": text.instants(followed, has_follow),
            "closed_at": text.instants(closed, has_closed),
        }
    )


def _requests(
    world: World, grid: MonthGrid, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    window = slice(grid.first_event_month, grid.end)
    on = world.months.served_to[:, window] > world.months.served_from[:, window]
    parts = []
    for number, rate in enumerate(RATES):
        if number == 0:  # each account is asked every third month
            turn = (world.number[:, None] + np.arange(window.start, window.stop)) % 3 == 0
            asked = on & turn
        else:
            asked = on & (generator.random(on.shape) < rate)
        account, month = np.nonzero(asked)
        parts.append((account, month + window.start, np.full(account.size, number)))
    account, month, kind = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((kind, month, account))
    return account[order], month[order], kind[order]


def _leaves_soon(world: World, account: np.ndarray, day: np.ndarray) -> np.ndarray:
    notice = np.full(world.number.size, NEVER)
    notice[world.lapses.account] = np.minimum(world.lapses.notice, world.lapses.day)
    return day >= notice[account]


def _words(is_low: np.ndarray, says: np.ndarray, generator: np.random.Generator) -> pa.Array:
    words = GOOD_WORDS + BAD_WORDS
    pick = np.where(
        is_low,
        generator.integers(len(GOOD_WORDS), len(words), is_low.size),
        generator.integers(0, len(GOOD_WORDS), is_low.size),
    )
    return text.codes(pick, words, says)


def _reason_codes(leaves: np.ndarray, has: np.ndarray, generator: np.random.Generator) -> pa.Array:
    pick = np.where(
        leaves,
        generator.integers(len(STAY_REASONS), len(STAY_REASONS) + len(LEAVE_REASONS), leaves.size),
        generator.integers(0, len(STAY_REASONS), leaves.size),
    )
    return text.codes(
        pick, STAY_REASONS + LEAVE_REASONS, has & (generator.random(leaves.size) < 0.7)
    )
