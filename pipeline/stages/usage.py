"""How much did each account use the product, month by month?

Reads ingest/usage/<month>.parquet (events by the month in which they became known); makes
usage/<month>.parquet, one row per account. Of a month whose events did not change nothing but the
seal is read: no month's file follows from another's, so only a new month costs, unless the code has
changed. An event known more than `usage.late_after_days` after it happened enters no feature and is
counted. The subtle point: a file is read in groups of whole accounts, so that memory does not grow
with its events.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.data import engine, store
from pipeline.data.engine import Backend
from pipeline.data.schema import USAGE_MONTHS
from pipeline.settings import Paths, Settings

MANIFEST = "manifest.json"
OWN_CODE = Path(__file__).parents[1]
EVENTS_AT_ONCE = 1 << 20
WORD = 63
"""Bits of an int64 that are not its sign."""
MOST_PLACES = 4 * WORD
"""Of more distinct days or features the engine keeps lists itself: slower, as exact."""
OTHER_DAY = datetime.date(1970, 1, 1)
"""Stands in where no event is timely and no day is counted."""


@dataclass(frozen=True)
class Seen:
    """What a whole month holds: days that no timely event lies before or after, its features."""

    first: datetime.date | None
    last: datetime.date | None
    features: tuple[str, ...]


@ibis.udf.agg.builtin
def bit_or(word: dt.int64) -> dt.int64:
    """Every bit that is set in some row; DuckDB and Spark have it under this name."""


@ibis.udf.scalar.builtin
def bit_count(word: dt.int64) -> dt.int64:
    """How many bits are set; DuckDB and Spark have it under this name."""


def run(settings: Settings, paths: Paths) -> None:
    """Write the months whose events, choices or code changed; remove those without events."""
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 15 MB that nobody needs again
    events = {path.stem: path for path in sorted((paths.ingest / "usage").glob("*.parquet"))}
    late_after_days, code = settings.usage.late_after_days, _code(paths)
    wanted = {
        month: {"seal": store.seal(path), "late_after_days": late_after_days, "code": code}
        for month, path in events.items()
    }
    manifest = paths.usage / MANIFEST
    done = store.read_json(manifest) if manifest.is_file() else {}
    target = {month: paths.usage / f"{month}.parquet" for month in wanted}
    changed = [
        month for month in wanted if done.get(month) != wanted[month] or not target[month].is_file()
    ]
    done = {month: facts for month, facts in wanted.items() if month not in changed}
    store.write_json(done, manifest)  # no month is called done while its file is made
    _forget(paths.usage, set(wanted))
    for month in _checked_ahead(changed, events):
        # an engine of its own: what one keeps of its queries would grow with the months
        with engine.connect(settings.timezone, settings.engine) as backend:
            rows = _month(backend, events[month], late_after_days)
        engine.write_rows(rows, USAGE_MONTHS, target[month])
        done[month] = wanted[month]
        store.write_json(done, manifest)


def _code(paths: Paths) -> str:
    """A hash of what `usage` depends on in dvc.yaml beside data and choices."""
    rooms = (*sorted((OWN_CODE / "data").rglob("*.py")), OWN_CODE / "settings.py", Path(__file__))
    files = [*rooms, paths.root / "requirements.lock"]
    hashes = "".join(store.sha256(path) for path in files if path.is_file())
    return hashlib.sha256(hashes.encode()).hexdigest()


def _checked_ahead(months: Sequence[str], events: Mapping[str, Path]) -> Iterator[str]:
    """Each month once its file's seal was looked at; that of the next one is, meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as aside:
        ahead = [aside.submit(store.check_seal, events[month]) for month in months[:1]]
        for month, following in itertools.zip_longest(months, months[1:]):
            ahead.pop().result()
            if following:
                ahead.append(aside.submit(store.check_seal, events[following]))
            yield month


def _month(backend: Backend, path: Path, late_after_days: int) -> pa.Table:
    """One row per account, sorted; group by group, each with every event of its accounts."""
    events = engine.read_checked(backend, path, f"usage_{path.stem.replace('-', '_')}")
    whole = seen(events, late_after_days)
    account = events.account_id
    cuts = store.parquet_cuts(path, "account_id", EVENTS_AT_ONCE)
    groups = [events]
    if cuts:
        between = [(account >= low) & (account < high) for low, high in itertools.pairwise(cuts)]
        parts = (account < cuts[0], *between, account >= cuts[-1])
        groups = [events.filter(part) for part in parts]
    return pa.concat_tables(
        account_usage(own, late_after_days, whole).order_by("account_id").to_pyarrow()
        for own in groups
    )


def seen(events: ir.Table, late_after_days: int) -> Seen:
    """What a month's events hold; a timely one is known in so many days.

    The days are asked for apart: an engine knows them from a file's footer.
    """
    known_on, moment = events.known_on, events.occurred_at
    days = events.agg(known=known_on.min(), first=moment.min(), last=moment.max())
    names = events.agg(features=events.feature.collect(distinct=True))
    found = days.cross_join(names).to_pyarrow()
    known, first, last, features = (column[0].as_py() for column in found.columns)
    if known is None or first is None:
        return Seen(None, None, ())
    earliest = known - datetime.timedelta(days=late_after_days)
    return Seen(max(first.date(), earliest), last.date(), tuple(sorted(features or ())))


def account_usage(events: ir.Table, late_after_days: int, whole: Seen | None = None) -> ir.Table:
    """One row per account from the events that became known in one month.

    Distinct days and features are bits: each has its place in a few words of 63, and the words of
    an account's events are or-ed. That is exact, and keeps no list of what was seen.

    Args:
        events: One row per event, or those of some accounts: `account_id`, `occurred_at`,
            `feature`, `known_on`, maybe `user_id`.
        late_after_days: An event known later than this enters no feature.
        whole: What the month's events hold; learned from `events` when absent.
    """
    whole = whole or seen(events, late_after_days)
    rows = events.mutate(
        day=events.occurred_at.date(), is_timely=_lateness(events) <= late_after_days
    )
    first = ibis.literal(whole.first or OTHER_DAY)
    rows = rows.mutate(
        day_place=ibis.ifelse(rows.is_timely, _days(first, rows.day), None),
        feature_place=_feature_place(rows, whole.features),
    )
    timely = rows.is_timely
    has_users = "user_id" in rows.columns
    n_users = rows.user_id.nunique(where=timely) if has_users else ibis.literal(0)
    n_days = (whole.last - whole.first).days + 1 if whole.first and whole.last else 0
    n_features = len(whole.features)
    return rows.group_by("account_id").agg(
        n_events=timely.sum().cast("int64"),
        active_days=_n_distinct(rows.day, rows.day_place, n_days, timely),
        n_users=n_users.cast("int64"),
        n_features=_n_distinct(rows.feature, rows.feature_place, n_features, timely),
        last_event_date=rows.day.max(),
        n_late=(~timely).sum().cast("int64"),
    )


def _lateness(events: ir.Table) -> ir.IntegerValue:
    """Days from an event to the day it became known."""
    return _days(events.occurred_at.date(), events.known_on)


def _days(start: ir.DateValue, end: ir.DateValue) -> ir.IntegerValue:
    """From one day to another; a plain minus costs an engine half of what `delta` does."""
    return (end - start).cast("int64")


def _feature_place(rows: ir.Table, features: tuple[str, ...]) -> ir.IntegerColumn:
    """Which of the month's features a timely event is of, from 0 on."""
    if not 0 < len(features) <= MOST_PLACES:
        return ibis.null("int64")
    place = ibis.array(list(features)).index(rows.feature).cast("int32")  # what DuckDB gives
    return ibis.ifelse(rows.is_timely, place, None)


def _n_distinct(
    value: ir.Column, place: ir.IntegerColumn, n_places: int, timely: ir.BooleanColumn
) -> ir.IntegerScalar:
    """Distinct values of timely rows, by the places 0 to `n_places` that they have, else none.

    Too many places: the engine counts.
    """
    if n_places > MOST_PLACES:
        return value.nunique(where=timely).cast("int64")
    n_words = math.ceil(n_places / WORD)
    inside = place % WORD if n_words > 1 else place
    bit = ibis.literal(1, "int64") << inside.cast("int64")
    words = [ibis.ifelse(place // WORD == word, bit, None) for word in range(n_words)]
    each = words if n_words > 1 else [bit]
    counts = [bit_count(bit_or(own)).fill_null(0) for own in each]
    return functools.reduce(operator.add, counts).cast("int64")


def _forget(folder: Path, months: set[str]) -> None:
    for path in folder.glob("*.parquet"):
        if path.stem not in months:
            path.unlink()
