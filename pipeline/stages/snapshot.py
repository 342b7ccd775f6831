"""What was known by the close of each period? One folder of analysis tables per period.

Reads data/processed/ingest and usage; makes data/processed/snapshot/<period>/: accounts, spells,
mrr_ledger, account_months, returns, exclusions, quality and slice.json. The subtle point: every
table is cut to the slice before anything is computed, so that later rows cannot reach it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import os
import shutil

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from pipeline.data import engine, store
from pipeline.data import slice as slices
from pipeline.data.engine import Backend
from pipeline.data.reading import FILE, LINE
from pipeline.data.schema import MONEY, RAW, SNAPSHOT
from pipeline.data.slice import NotDueError, Slice
from pipeline.settings import Paths, Period, Settings
from pipeline.stages import features, flat, ledger, quality, scratch, shapes, spells, twice, workers
from pipeline.stages.known import (
    events_known,
    in_slice,
    paid_rows,
    versioned_by,
    versions_known,
    with_columns,
)

SCRATCH = "snapshot-"
"""How the folder begins in which waits what memory does not hold."""
MEGABYTES_OF_A_THREAD = 1_500
"""Account-months are joined with all that is known of them: wide rows, of which some are held."""
PERIODS_OF_A_WORKER = 2
"""Fewer do not earn its start, which takes as long as one of them."""
SMALL_MB = 60
"""Of tables of `ingest` up to it a process needs half a gigabyte, as a chapter does."""
STATE_COLUMNS = ("mrr", "is_in_notice", "notice_date", "term_ends_on")


def run(settings: Settings, paths: Paths) -> None:
    """Write the snapshot of every due period of params.yaml, and remove those no longer listed."""
    extract = store.read_json(paths.ingest / "extract.json")
    extract_date = dt.date.fromisoformat(extract["extract_date"])
    due = []
    for name in settings.periods:
        try:
            due.append(slices.slice_of(Period(name), extract_date, settings))
        except NotDueError:
            continue
    is_money_known = extract.get("is_money_known", True)
    due = [dataclasses.replace(cut, is_money_known=is_money_known) for cut in due]
    if (n := _n_at_a_time(len(due), settings, paths)) > 1:
        write = functools.partial(_write, settings=settings, paths=paths, threads=1)
        workers.share(write, due, n)
    else:
        for cut in due:
            _write(cut, settings, paths)
    _forget(paths, {str(cut.period) for cut in due})


def _n_at_a_time(n_periods: int, settings: Settings, paths: Paths) -> int:
    """How many periods are written at a time, each by one core; of larger tables one, by all."""
    mb = sum(path.stat().st_size for path in paths.ingest.rglob("*.parquet")) / 1e6
    if settings.engine != engine.DUCKDB or mb > SMALL_MB:
        return 1
    return max(min(os.cpu_count() or 1, n_periods // PERIODS_OF_A_WORKER), 1)


def _write(cut: Slice, settings: Settings, paths: Paths, threads: int | None = None) -> None:
    folder = paths.snapshot(cut.period)
    if folder.exists():  # of a run before, or with half a file of a worker that died
        shutil.rmtree(folder)
    with (
        scratch.folder(paths, SCRATCH) as spilled,
        engine.connect(settings.timezone, settings.engine, threads=threads) as backend,
    ):
        backend.spill(spilled, MEGABYTES_OF_A_THREAD)
        tables = Snapshot(backend, cut, settings, paths).tables()
        for name, content in tables.items():
            path = folder / f"{name}.parquet"
            if isinstance(content, pd.DataFrame):
                store.write_parquet(quality.as_arrow(content, name), path)
            else:
                engine.write(backend, content, SNAPSHOT[name], path)
    slices.write(cut, folder)


def _forget(paths: Paths, periods: set[str]) -> None:
    for folder in (paths.processed / "snapshot").glob("*"):
        if folder.is_dir() and folder.name not in periods:
            shutil.rmtree(folder)


class Snapshot:
    """The tables of one slice, computed once each in one engine."""

    def __init__(self, backend: Backend, cut: Slice, settings: Settings, paths: Paths) -> None:
        self.backend = backend
        self.cut = cut
        self.settings = settings
        self.paths = paths
        self.known: dict[str, ir.Table] = {}
        self.raw = {
            name: engine.read(backend, paths.ingest / f"{name}.parquet", f"raw_{name}")
            for name in RAW
            if (paths.ingest / f"{name}.parquet").is_file()
        }

    def _keep(self, rows: ir.Table, name: str) -> ir.Table:
        return engine.keep(self.backend, rows, name)

    def tables(self) -> dict[str, ir.Table | pd.DataFrame]:
        """Every table of the snapshot by name, in the order in which they build on each other."""
        shapes.check_known(self.raw["subscriptions"], self.cut, self.settings)
        known = self._known_accounts()
        rows = self._keep(
            spells.chained(paid_rows(self.raw["subscriptions"], self.cut), self.cut.grace_days),
            "rows",
        )
        lapsed = self._keep(spells.lapses(rows), "lapsed")
        own_money = ledger.in_own(
            lapsed, self.settings.fx, self.settings.currency, "month", "mrr_lost"
        )
        ended = self._keep(own_money, "ended")
        own = self._keep(spells.spells(rows, ended, known, self.cut), "spells")
        months = ledger.month_table(
            ledger.months_to_date(self._first_month(rows), self.cut.period.shift(1))
        )
        at_marks = self._marks(rows, ended, months)
        book = self._keep(ledger.mrr_ledger(at_marks, own, months, self.cut, self._keep), "ledger")
        values = self._first_values()
        accounts = self._keep(self._accounts(known, own, rows, at_marks, values), "accounts")
        events = self._events() | ({"values": values} if values is not None else {})
        tables = {
            "accounts": accounts,
            "spells": own,
            "mrr_ledger": book,
            "account_months": features.account_months(
                at_marks, book, own, events, self.cut, self._keep
            ),
            "returns": spells.returns(ended, self.cut),
            "exclusions": quality.exclusions(accounts, own),
            "quality": self._quality(accounts),
            "targets": self._targets(),
        }
        return flat.without_calendar(tables, self.cut) if self.cut.is_flat else tables

    def _known_accounts(self) -> ir.Table:
        rows = events_known(self.raw["accounts"], "accounts", self.cut)
        return self._keep(with_columns(rows, "accounts"), "known_accounts")

    def _first_month(self, rows: ir.Table) -> Period:
        """The first whole month that was observed."""
        start = pd.Timestamp(rows.start_date.min().execute()).date()
        observed = self.settings.observation_start
        if observed and observed > start:
            month = Period.of(observed)
            return month if observed.day == 1 else month.shift(1)
        return Period.of(start)

    def _marks(self, rows: ir.Table, ended: ir.Table, months: ir.Table) -> ir.Table:
        """Paid rows and bridged gaps at every month mark up to P1."""
        columns = [
            "account_id", "start_date", "until", "mrr", "currency", "seats", "billing_interval",
            "term_ends_on", "notice_date", FILE, LINE,
        ]  # fmt: skip
        paid = rows.filter(~rows.is_later).select(*columns, is_bridge=ibis.literal(False))
        gaps = spells.bridges(rows, ended, self.cut.grace_days)
        gaps = gaps.mutate(is_bridge=ibis.literal(True))
        absent = {
            name: ibis.null(paid.schema()[name])
            for name in paid.columns
            if name not in gaps.columns
        }
        both = paid.union(gaps.mutate(**absent).select(*paid.columns))
        pairs = ledger.converted(both, self.settings.fx, self.settings.currency, months)
        ledger.check_rates(pairs, self.settings.currency, str(self.cut.period))
        return self._keep(ledger.marks(pairs), "marks")

    def _first_values(self) -> ir.Table | None:
        """One row per account: the first milestone that counts as value, and when it was known."""
        if "milestones" not in self.raw:
            return None
        reached = events_known(self.raw["milestones"], "milestones", self.cut)
        wanted = reached.filter(
            reached.milestone.isin(self.settings.time_to_value.first_value)
            & reached.reached_at.notnull()
        )
        day = wanted.reached_at.date()
        first = wanted.group_by("account_id").agg(
            first_value_date=day.min(), known_on=ibis.greatest(wanted.known_on, day).min()
        )
        return self._keep(first, "first_values")

    def _accounts(
        self,
        known: ir.Table,
        own: ir.Table,
        rows: ir.Table,
        at_marks: ir.Table,
        values: ir.Table | None,
    ) -> ir.Table:
        """Table `accounts`: attributes at signing, first paid day, and the state at P1."""
        first = own.filter(own.spell == 1).select(
            "account_id", first_paid_date="start_date", is_first_paid_known="is_age_known"
        )
        opening = rows.group_by("account_id").agg(
            billing_interval=rows.billing_interval.first(
                order_by=[rows.start_date, rows.subscription_id]
            )
        )
        state = at_marks.filter(at_marks.p0 == ibis.literal(self.cut.period.end)).select(
            "account_id", *STATE_COLUMNS
        )
        joined = known
        value_dates = (
            values.select("account_id", "first_value_date") if values is not None else None
        )
        for other in (first, opening, state, value_dates):
            if other is not None:
                joined = joined.left_join(other, "account_id").drop("account_id_right")
        if values is None:
            joined = joined.mutate(first_value_date=ibis.null("date"))
        joined = joined.mutate(
            is_first_paid_known=joined.is_first_paid_known.fill_null(False),
            is_customer=joined.mrr.notnull(),
            mrr=joined.mrr.fill_null(0).cast(MONEY),
            is_in_notice=joined.is_in_notice.fill_null(False),
        )
        declared = list(SNAPSHOT["accounts"].columns)
        return joined.select(*declared, *self.settings.attributes)

    def _targets(self) -> ir.Table:
        """Table `targets`: what the period aims at."""
        if "targets" not in self.raw:
            return ibis.memtable(engine.empty(SNAPSHOT["targets"]))
        rows = with_columns(self.raw["targets"], "targets")
        return rows.filter(rows.period == str(self.cut.period)).select(*SNAPSHOT["targets"].columns)

    def _events(self) -> dict[str, ir.Table]:
        """Raw events of the slice that were known in time, and usage by month."""
        found: dict[str, ir.Table] = {}
        for name in ("tickets", "touches", "plays", "contacts", "surveys"):
            if name in self.raw:
                self.known[name] = self._versions(name)
                found[name] = self._timely(self.known[name], name)
        months = sorted(
            path for path in self.paths.usage.glob("*.parquet") if path.stem <= str(self.cut.period)
        )
        if months:
            usage = engine.read_all(self.backend, months, "usage_months")
            found["usage"] = self._keep(features.with_month(usage), "usage")
        return found

    def _versions(self, name: str) -> ir.Table:
        """The rows of a raw table known by the slice; sorted out once where they have versions."""
        rows = versions_known(self.raw[name], RAW[name], self.cut.known_before)
        return self._keep(rows, f"known_{name}") if versioned_by(rows, RAW[name]) else rows

    def _timely(self, rows: ir.Table, name: str) -> ir.Table:
        """Without events known too late to enter a feature."""
        day = rows[RAW[name].event_time].cast("date")
        lateness = rows.known_on.delta(day, unit="day")
        return rows.filter(lateness <= self.settings.usage.late_after_days)

    def _of_slice(self, rows: ir.Table, name: str, accounts: ir.Table) -> ir.Table:
        """Rows of a raw table that the slice knows; a row with no day is known to no slice."""
        if name == "targets":
            return rows.filter(rows.period <= str(self.cut.period))
        if name in self.known:
            dated = self.known[name].filter(self.known[name].known_on.notnull())
            known = in_slice(dated, name, self.cut)
        else:
            hashes = self._usage_twice() if name == "usage" else None
            known = events_known(rows.filter(rows.known_on.notnull()), name, self.cut, hashes)
        return known.semi_join(accounts, "account_id") if "account_id" in rows.columns else known

    def _usage_twice(self) -> pa.Table | None:
        """Hashes of events that may stand in several versions; None: no list of them is there."""
        path = self.paths.ingest / twice.USAGE_TWICE
        if not path.is_file():
            return None
        return twice.hashes_of(engine.read(self.backend, path, "usage_twice"))

    def _quality(self, accounts: ir.Table) -> pd.DataFrame:
        raw = {name: rows for name, rows in self.raw.items() if name != "usage"}
        events = sorted((self.paths.ingest / "usage").glob("*.parquet"))
        known = [path for path in events if path.stem <= str(Period.of(self.cut.known_before))]
        if known:
            raw["usage"] = engine.read_all(self.backend, known, "usage_events").drop("filename")
        tables = {name: self._of_slice(rows, name, accounts) for name, rows in raw.items()}
        touched = engine.read(self.backend, self.paths.ingest / "touched.parquet", "touched")
        late = self.settings.usage.late_after_days
        return quality.quality(tables, touched, accounts, self.cut, late)
