"""Can the exports be trusted row by row? Raw text to typed tables, with a quarantine.

Reads data/raw/<company>; makes data/processed/ingest/<table>.parquet (usage: one file per month in
which its events became known), `touched` (one row per row set aside, merged or remarked on),
`usage_twice` (one row per key of an event with several rows), `extract.json`, and
data/quarantine/<company>/<table>.csv. A row is used, quarantined, merged or excluded by a named
rule; that the counts add up is checked for every table. `known_on` is the day a row became known:
`recorded_at`, else its own date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.data import engine, reading, store
from pipeline.data.engine import Backend
from pipeline.data.reading import FILE, LINE, DataError
from pipeline.data.schema import RAW, Table
from pipeline.settings import ConfigurationError, Paths, Settings, SourceTable
from pipeline.stages import rules, scratch, shapes, twice
from pipeline.stages.ingest import horizon, identity, lookups, output, reader, remarks
from pipeline.stages.ingest.aside import MONEY_COLUMNS, Aside, Sorted
from pipeline.stages.rules import BROKEN, GAP, KNOWN_ON, TEXT, TWICE, Rule

SUBSCRIPTIONS, USAGE = "subscriptions", "usage"


def run(settings: Settings, paths: Paths) -> None:
    """Read every raw table, set bad rows aside, write typed tables; DataError stops the run.

    What was set aside is written in any case, before the run stops for it.
    """
    settings = shapes.completed(settings, paths.raw)
    for name, source in settings.source.tables.items():
        reader.check_names(name, source, settings)
    files = reading.find_all(settings.source.tables, paths.raw)
    exports = [file for name in RAW for file in files[name]]
    reading.check_unchanged(paths.exports_seen, exports)
    if settings.source.shape == shapes.INTERVALS:
        reading.check_headers(settings.source, files)
    with (
        scratch.folder(paths) as folder,
        engine.connect(settings.timezone, settings.engine) as backend,
    ):
        backend.spill(folder)
        ingest = Ingest(backend, settings, paths, folder)
        reading.check_rows(settings.source, files)
        for name in RAW:
            if files[name]:
                ingest.read(RAW[name], files[name])
        ingest.files += reading.empty_files(settings.source.tables, paths.raw)
        try:
            last = remarks.on_all(ingest.sorted, ingest.aside, settings)
        finally:
            ingest.aside.write()
        ingest.aside.stop()
        output.write(backend, ingest.sorted, paths)
        if USAGE in ingest.sorted:
            output.write_usage_twice(backend, ingest.sorted[USAGE], ingest.alike.get(USAGE), paths)
        facts = shapes.facts(ingest.sorted[SUBSCRIPTIONS].typed, settings)
        facts |= output.facts(ingest.sorted, last) | {"counts": ingest.aside.counts}
        store.write_json(facts | {"files": ingest.files}, paths.ingest / "extract.json")
        hashes = {str(each["file"]): each["sha256"] for each in ingest.files if "sha256" in each}
        reading.remember(paths.exports_seen, exports, hashes)


class Ingest:
    """One run over all raw tables; tables come in the order of the schema, accounts first."""

    def __init__(self, backend: Backend, settings: Settings, paths: Paths, folder: Path) -> None:
        self.backend = backend
        self.settings = settings
        self.paths = paths
        self.folder = folder
        self.aside = Aside(settings, paths)
        self.mergers = identity.mergers_of(
            settings.source.merged_accounts, settings.source.ids, paths
        )
        self.sorted: dict[str, Sorted] = {}
        self.alike: dict[str, ir.Table] = {}
        self.accounts: ir.Table | None = None
        self.files: list[dict[str, object]] = []
        self.n_kept = 0

    def read(self, table: Table, files: list[reading.RawFile]) -> None:
        """Read one table: text, kinds, codes, keys, relations; the rest to quarantine."""
        source = self.settings.source.tables.get(table.name) or SourceTable()
        raw, table = table, shapes.as_received(table, self.settings)
        text = self._text(table, source, files, is_first_look=False)
        n_rows = int(text.count().execute())
        if n_rows == 0 and (problem := reading.without_rows(raw, source, files)):
            raise DataError(problem)
        typed = self._typed(text, table, source)
        table = shapes.keyed(table, typed.columns)
        if table.name == "accounts" and self.settings.source.shape != shapes.INTERVALS:
            typed = self._signed_up(self._keep(typed, "accounts_typed"), files)
            n_rows = int(typed.count().execute())
        typed = self._keep(self._numbered(typed, table, source), table.name)
        used = self._judged(typed, table, source)
        seen = remarks.seen(used, table)
        self.aside.balance(table, n_rows, seen.n_rows)
        self.aside.weigh(table, used)
        if self.settings.source.shape == shapes.MONTHLY and table.name == SUBSCRIPTIONS:
            self.aside.weigh_copies(table)
        remarks.on_cells(used, table, seen, self.aside)
        if table is not raw and raw.name == SUBSCRIPTIONS:
            shapes.check_months(used, self.settings)
            intervals = shapes.as_intervals(used, table, self.settings)
            used = self._without_length(self._keep(intervals, "subscriptions_intervals"), raw)
            self.aside.recount(raw)
            seen = remarks.seen(used, raw)
        self.sorted[table.name] = Sorted(raw, typed, used, n_rows, seen.newest)

    def _judged(self, typed: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        """The rows that no rule sets aside, merges or excludes."""
        rest = self._excluded(typed, table, source)
        rest = self._without_merged(rest, table)
        rest = self._without_bad_cells(rest, table, source)
        rest = self._merge_copies(rest, table)
        rest = self._of_accounts_kept(rest, table)
        judged = self._with_alike(self._with_parents(_related(rest, table), table), table)
        return self._without_bad_relations(rest, judged, table)

    def _numbered(self, typed: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        """Each row with the number of the first rule of its cells that it breaks."""
        checks = self._cell_rules(typed, table, source)
        return typed.mutate(**{BROKEN: rules.first_broken(checks)})

    def _cell_rules(self, rows: ir.Table, table: Table, source: SourceTable) -> list[Rule]:
        clock = self.settings.source.daylight_saving
        refused = [
            ending
            for ending, policy in ((GAP, clock.gap), (TWICE, clock.overlap))
            if policy == "quarantine"
        ]
        return rules.cell_rules(rows, table, reader.kinds_of(rows, table, source), refused)

    def _text(
        self,
        table: Table,
        source: SourceTable,
        files: list[reading.RawFile],
        *,
        is_first_look: bool,
    ) -> ir.Table:
        """The rows as text, ids by policy; their numbers as ids where the source has no other."""
        ids = self.settings.source.ids

        def keep(_: reading.RawFile, parts: Iterator[pa.Table]) -> Path:
            path = self._path(f"{table.name}_text")
            store.write_unsealed_parts(
                (identity.keyed(each, table, ids, self.mergers) for each in parts), path
            )
            return path

        kept, facts = reading.read_in_parts(
            table,
            shapes.without_numbers(source),
            files,
            keep,
            largest_mb=self.settings.source.largest_file_mb,
            is_strict=self.settings.source.strict,
        )
        if not is_first_look:
            self.files += [{"table": table.name, **each} for each in facts]
        text = engine.read_parts(self.backend, kept, kept[0].stem)
        text = shapes.numbered(text) if shapes.is_numbered(source) else text
        return self._looked_up(text, table, source, is_counted=not is_first_look)

    def _looked_up(
        self, text: ir.Table, table: Table, source: SourceTable, *, is_counted: bool
    ) -> ir.Table:
        """Add each column that the export lacks from where it is."""
        for column, lookup in source.lookup.items():
            lookups.check_order(column, lookup, table, set(self.sorted))
            if column in text.columns:
                raise ConfigurationError(
                    f"source.tables.{table.name}.lookup.{column}: the export has that column "
                    "itself, and one of the two would be passed over in silence. Take the lookup "
                    f"out, or map {column} to no column of the export."
                )
            if lookup.table in self.sorted:
                found = lookups.in_table(column, lookup, self.sorted[lookup.table].typed)
            else:
                ids = self.settings.source.ids
                rows = lookups.in_export(column, lookup, table, source, self.paths, ids)
                found = self._hold(rows, f"{table.name}_lookup")
            text = self._keep(lookups.beside(text, found, lookup.by), f"{table.name}_looked_up")
            if is_counted:
                self._count_not_found(text, table, column)
        return text

    def _count_not_found(self, text: ir.Table, table: Table, column: str) -> None:
        missing = text.filter(text[column].isnull()).mutate(**{KNOWN_ON: ibis.null("date")})
        named = missing.select(*[n for n in ("account_id",) if n in text.columns], KNOWN_ON)
        self.aside.note(named, table, f"not_found_{column}", "warning")

    def _typed(self, text: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        typed = reader.typed(text, table, source, self.settings)
        return lookups.marks(typed, source, self.paths, self.settings.source.ids)

    def _signed_up(self, typed: ir.Table, files: list[reading.RawFile]) -> ir.Table:
        """Accounts with the first day that subscriptions of another shape than intervals name."""
        table = shapes.as_received(RAW[SUBSCRIPTIONS], self.settings)
        source = self.settings.source.tables[SUBSCRIPTIONS]
        found = reading.find_files(RAW[SUBSCRIPTIONS], source, self.paths.raw)
        text = self._text(table, source, found, is_first_look=True)
        rows = self._keep(self._typed(text, table, source), "subscriptions_first_look")
        if found == files:
            typed = shapes.one_per_account(
                typed, rows, self.settings, sorted(self.settings.attributes_of_today)
            )
        days = shapes.first_days(rows, self.settings)
        return shapes.with_sign_up(typed, days, self.settings)

    def _hold(self, rows: pa.Table, name: str) -> ir.Table:
        self.n_kept += 1
        return self.backend.create_table(f"{name}_text_{self.n_kept}", rows, temp=True)

    def _path(self, name: str) -> Path:
        self.n_kept += 1
        return self.folder / f"{name}_{self.n_kept}.parquet"

    def _keep(self, rows: ir.Table, name: str) -> ir.Table:
        """Rows of a whole table, computed once."""
        path = self._path(name)
        return self.backend.keep_in_file(rows, path)

    def _keep_few(self, rows: ir.Table, name: str) -> ir.Table:
        """Rows of which there are few, or one per account, computed once."""
        self.n_kept += 1
        return engine.keep(self.backend, rows, f"{name}_{self.n_kept}")

    def _excluded(self, typed: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        """Leave out rows by declared value, and subscription rows of no length."""
        rest = typed
        for column, values in source.exclude.items():
            if column not in typed.columns:
                raise ConfigurationError(
                    f"source.tables.{table.name}.exclude: the export has no column {column!r}."
                )
            named = rest[column + TEXT].strip().isin(values).fill_null(False)
            self.aside.note(rest.filter(named), table, f"excluded_{column}", "excluded")
            rest = rest.filter(~named)
        return self._without_length(rest, table)

    def _without_length(self, rows: ir.Table, table: Table) -> ir.Table:
        """Leave out subscription rows of no length."""
        if table.name != SUBSCRIPTIONS or not {"start_date", "end_date"} <= set(rows.columns):
            return rows
        empty = (rows.end_date == rows.start_date).fill_null(False)
        self.aside.note(rows.filter(empty), table, "zero_length", "excluded")
        return rows.filter(~empty)

    def _without_merged(self, rows: ir.Table, table: Table) -> ir.Table:
        """Of accounts that were merged one row is left: that of the account that goes on."""
        if not self.mergers or identity.MERGED_FROM not in rows.columns:
            return rows
        is_merged = rows[identity.MERGED_FROM].notnull()
        if table.name != "accounts":
            self.aside.note(rows.filter(is_merged), table, "merged_account", "warning")
            return rows
        own = rows.filter(~is_merged).account_id.to_pyarrow().to_pylist()
        identity.check_survivors(self.mergers, set(own))
        self.aside.note(rows.filter(is_merged), table, "merged_account", "merged")
        return rows.filter(~is_merged)

    def _without_bad_cells(self, rows: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        """Quarantine the rows that break a rule of a cell; each is listed under the first."""
        checks = self._cell_rules(rows, table, source)
        more = horizon.far_ahead(rows, table, self.settings)
        more += shapes.rules_of(rows, table, self.settings)
        if more:
            further = rules.first_broken(more, len(checks))
            rows = rows.mutate(**{BROKEN: ibis.coalesce(rows[BROKEN], further)})
        numbers = rows.select(BROKEN).distinct().to_pyarrow()[BROKEN].drop_null().to_pylist()
        if not numbers:
            return rows
        self.aside.quarantine(rules.listed(rows, [*checks, *more], sorted(numbers)), table)
        return rows.filter(rows[BROKEN].isnull())

    def _without_bad_relations(self, rows: ir.Table, judged: ir.Table, table: Table) -> ir.Table:
        """Quarantine the rows that break a rule as they are `judged` beside others."""
        checks = rules.relation_rules(judged, table)
        if not checks:
            return rows
        numbered = judged.mutate(**{BROKEN: rules.first_broken(checks)})
        bad = rules.listed(numbered, checks, range(len(checks)))
        gone = self.aside.quarantine(bad, table)
        return _without(rows, self._hold(gone, f"{table.name}_bad")) if gone.num_rows else rows

    def _merge_copies(self, rows: ir.Table, table: Table) -> ir.Table:
        """One of several rows that agree in every column; tables without a key keep all.

        Such rows share their key, so only rows whose key stands more than once are compared.
        """
        key = rules.key_of(rows, table)
        if not key:
            return rows
        hashes = twice.hashes_twice(rows, key)
        if not hashes.num_rows:
            return rows
        alike = self._keep_few(twice.among(rows, key, hashes), f"{table.name}_alike")
        places = (FILE, LINE, BROKEN, identity.RESPELLED, identity.MERGED_FROM)
        said = [name for name in rows.columns if name not in places and not name.endswith(TEXT)]
        place = ibis.row_number().over(group_by=said, order_by=[FILE, LINE])
        numbered = self._keep_few(alike.mutate(copy=place), f"{table.name}_copies")
        copies = numbered.filter(numbered.copy > 0)
        self.alike[table.name] = numbered.filter(numbered.copy == 0).drop("copy")
        n_copies = self.aside.note(copies, table, "same_row_again", "merged")
        return _without(rows, copies) if n_copies else rows

    def _with_alike(self, rows: ir.Table, table: Table) -> ir.Table:
        """Beside each row with a key: how many rows share it and the moment of recording."""
        key = rules.key_of(rows, table)
        if not key:
            return rows
        if table.name not in self.alike:
            return rows.mutate(n_alike=ibis.literal(1))
        alike = self._left_in(self.alike[table.name], table)
        version = [*key, "recorded_at"] if "recorded_at" in rows.columns else key
        n_alike = alike.count().over(ibis.window(group_by=version))
        counted = self._keep_few(alike.select(FILE, LINE, n_alike=n_alike), f"{table.name}_shared")
        counted = counted.filter(counted.n_alike > 1)
        beside = rows.left_join(counted, [FILE, LINE], rname="other_{name}")
        beside = beside.drop(f"other_{FILE}", f"other_{LINE}")
        return beside.mutate(n_alike=beside.n_alike.fill_null(1))

    def _of_accounts_kept(self, rows: ir.Table, table: Table) -> ir.Table:
        """Rows of an account that was left out by a declared value are left out with it."""
        rest = self._left_in(rows, table)
        if rest is not rows:
            is_out = rows.account_id.isin(self._left_out()).fill_null(False)
            self.aside.note(rows.filter(is_out), table, "account_excluded", "excluded")
        return rest

    def _left_in(self, rows: ir.Table, table: Table) -> ir.Table:
        left_out = self._left_out() if "accounts" in table.parents.values() else []
        return rows.filter(~rows.account_id.isin(left_out).fill_null(False)) if left_out else rows

    def _left_out(self) -> list[str]:
        return self.aside.accounts_of(self.sorted["accounts"].table, "excluded")

    def _with_parents(self, rows: ir.Table, table: Table) -> ir.Table:
        """Beside each row of an account: its sign-up, and the terms of its own subscription."""
        if "accounts" not in table.parents.values():
            return rows
        if self.accounts is None:
            self.accounts = self._keep_few(self._signed(), "accounts_signed")
        rows = _beside(rows, self.accounts, "account_id")
        rows = rows.mutate(
            parent_is_there=rows.parent_is_there.fill_null(False),
            parent_is_known=rows.parent_is_known.fill_null(False),
        )
        if table.name in rules.EVENTS and "subscription_id" in rows.columns:
            rows = _beside(rows, self._terms(), "subscription_id")
        return rows

    def _signed(self) -> ir.Table:
        """One row per account that any row names: its sign-up, and whether it can be used."""
        accounts = self.sorted["accounts"]
        signed = accounts.used.group_by("account_id").agg(
            parent_signed=accounts.used.signed_up_date.min()
        )
        seen = accounts.typed.select("account_id").distinct().mutate(parent_is_known=True)
        return _beside(seen, signed.mutate(parent_is_there=True), "account_id")

    def _terms(self) -> ir.Table:
        """One row per subscription: its first and its last day."""
        own = self.sorted[SUBSCRIPTIONS].typed
        end = own.end_date if "end_date" in own.columns else ibis.null("date")
        return own.group_by("subscription_id").agg(
            parent_start=own.start_date.min(),
            parent_end=ibis.ifelse(end.isnull().any(), None, end.max()),
        )


def _related(rows: ir.Table, table: Table) -> ir.Table:
    """The columns by which a row is judged among others, and listed if it cannot stay."""
    asked = {FILE, LINE, BROKEN, KNOWN_ON, "account_id", "subscription_id", "currency"}
    asked |= {*table.key, *MONEY_COLUMNS, horizon.RECORDED, table.event_time or ""}
    return rows.select(*(name for name in rows.columns if name.removesuffix(TEXT) in asked))


def _beside(rows: ir.Table, other: ir.Table, key: str) -> ir.Table:
    """Columns of another table, one row per key there, beside each row."""
    return rows.left_join(other, key, rname="other_{name}").drop(f"other_{key}")


def _without(rows: ir.Table, gone: ir.Table) -> ir.Table:
    """The rows at other places than those of `gone`."""
    rest = rows.anti_join(gone.select(FILE, LINE), [FILE, LINE])
    return rest.view()  # a relation of its own, to which another may be joined
