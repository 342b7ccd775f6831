"""Can the exports be trusted row by row? Raw text to typed tables, with a quarantine.

Reads data/raw/<company>; makes data/processed/ingest/<table>.parquet (usage: one file per month in
which its events became known), `touched` (one row per row set aside or merged), `extract.json`, and
data/quarantine/<company>/<table>.csv. A row is used, quarantined, merged or excluded by a named
rule; the counts add up. `known_on` is the day a row became known: `recorded_at`, else its own date.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.backends.duckdb import Backend

from pipeline.data import engine, reading, store
from pipeline.data.reading import FIELDS, FILE, LINE, DataError
from pipeline.data.schema import RAW, Table
from pipeline.settings import Attribute, ConfigurationError, Paths, Settings, SourceTable
from pipeline.stages import cells, rules
from pipeline.stages.rules import TEXT, Rule

KNOWN_ON = "known_on"
TOUCHED_COLUMNS = ["table", "rule", "kind", "account_id", "mrr", KNOWN_ON]
QUARANTINE_COLUMNS = ["file", "line", "column", "rule", "value"]
ATTRIBUTE_KINDS = {"category": "text", "flag": "flag", "number": "number", "date": "day"}
MASKED = ("personal",)


@dataclass(frozen=True)
class Sorted:
    """A raw table after its rules: rows to use, and what was set aside."""

    table: Table
    typed: ir.Table
    used: ir.Table
    n_rows: int


def run(settings: Settings, paths: Paths) -> None:
    """Read every raw table, set bad rows aside, write typed tables; DataError stops the run."""
    files = reading.find_all(settings.source.tables, paths.raw)
    with engine.connect(settings.timezone) as backend:
        ingest = Ingest(backend, settings, paths)
        for name in RAW:
            if files[name]:
                ingest.read(RAW[name], files[name])
        ingest.check_currencies()
        ingest.write(files)


class Ingest:
    """One run over all raw tables; tables come in the order of the schema, accounts first."""

    def __init__(self, backend: Backend, settings: Settings, paths: Paths) -> None:
        self.backend = backend
        self.settings = settings
        self.paths = paths
        self.sorted: dict[str, Sorted] = {}
        self.quarantine: dict[str, pd.DataFrame] = {}
        self.touched: list[pd.DataFrame] = []

    def read(self, table: Table, files: list[reading.RawFile]) -> None:
        """Read one table: text, kinds, codes, keys, relations; the rest to quarantine."""
        source = self.settings.source.tables.get(table.name)
        text = self._hold(reading.read_text(table, source, files), f"{table.name}_text")
        n_rows = text.count().execute()
        if table.is_required and n_rows == 0:
            raise DataError(
                f"{files[0].name}: 0 rows. A company without {table.name} has no report."
            )
        rows = self._looked_up(text, table, source)
        typed = self._keep(self._typed(rows, table, source), f"{table.name}_typed")
        rest = self._excluded(typed, table, source)
        rest = self._set_aside(rest, table, rules.cell_rules(rest, table))
        rest = self._merge_copies(rest, table)
        rest = self._with_parents(rest, table)
        rest = self._set_aside(rest, table, rules.relation_rules(rest, table))
        self.sorted[table.name] = Sorted(table, typed, rest, int(n_rows))
        self._check_thresholds(table, int(n_rows))

    def _hold(self, rows: pa.Table, name: str) -> ir.Table:
        return self.backend.create_table(name, rows, temp=True)

    def _keep(self, rows: ir.Table, name: str) -> ir.Table:
        return engine.keep(self.backend, rows, name)

    def _looked_up(self, text: ir.Table, table: Table, source: SourceTable | None) -> ir.Table:
        """Add each column that the export lacks from the table that has it."""
        for column, lookup in (source.lookup if source else {}).items():
            if lookup.table not in self.sorted:
                raise ConfigurationError(
                    f"source.tables.{table.name}.lookup.{column}: "
                    f"no table {lookup.table} is read before it."
                )
            other = self.sorted[lookup.table].typed
            first = other.group_by(lookup.by).agg(**{column: other[column].min()})
            text = text.left_join(first, lookup.by, rname="other_{name}").drop(f"other_{lookup.by}")
        return text

    def _typed(self, text: ir.Table, table: Table, source: SourceTable | None) -> ir.Table:
        """Every column by kind, its original text beside it, and the day the row became known."""
        source = source or SourceTable()
        kinds = {name: table.kind(name) for name in table.columns if name in text.columns}
        kinds |= self._attribute_kinds(source, text)
        values = {}
        for name, kind in kinds.items():
            cell = text[name]
            if name in source.values:
                cell = cell.strip().substitute(source.values[name], else_=cell)
            layout = source.date_format
            layout = layout.get(name) if isinstance(layout, dict) else layout
            values[name] = cells.typed(cell, kind, layout, source.decimal)
            values[name + TEXT] = text[name].strip()
        own = [name for name in text.columns if name not in values]
        typed = text.select(*own, **values)
        typed = self._with_marks(typed, table, source)
        return typed.mutate(**{KNOWN_ON: _known_on(typed, table)})

    def _attribute_kinds(self, source: SourceTable, text: ir.Table) -> dict[str, str]:
        return {
            name: ATTRIBUTE_KINDS[kept.type]
            for name, kept in source.attributes.items()
            if name in text.columns
        }

    def _with_marks(self, typed: ir.Table, table: Table, source: SourceTable) -> ir.Table:
        """Attributes made out of another export: true for an account that has a row there."""
        for name, kept in source.attributes.items():
            if kept.file:
                marked = self._marked_accounts(name, kept)
                typed = typed.mutate(**{name: typed.account_id.isin(marked)})
        return typed

    def _marked_accounts(self, name: str, kept: Attribute) -> list[str]:
        path = self.paths.raw / kept.file
        if not kept.by or not path.is_file():
            raise store.MissingDataError(f"attribute {name}: needs `by` and the export {path}.")
        key = Table("mark", "", (), RAW["accounts"].schema.select_columns(["account_id"]))
        source = SourceTable(file=kept.file, columns={"account_id": kept.by})
        text = reading.read_text(key, source, [reading.RawFile(path, kept.file)])
        return sorted({cell.strip() for cell in text["account_id"].to_pylist() if cell})

    def _excluded(self, typed: ir.Table, table: Table, source: SourceTable | None) -> ir.Table:
        """Leave out rows by declared value, and subscription rows of no length."""
        rest = typed
        for column, values in (source.exclude if source else {}).items():
            named = rest[column + TEXT].isin(values)
            self._note(rest.filter(named), table, f"excluded_{column}", "excluded")
            rest = rest.filter(~named.fill_null(False))
        if table.name == "subscriptions" and "end_date" in rest.columns:
            empty = (rest.end_date == rest.start_date).fill_null(False)
            self._note(rest.filter(empty), table, "zero_length", "excluded")
            rest = rest.filter(~empty)
        return rest

    def _set_aside(self, rows: ir.Table, table: Table, checks: list[Rule]) -> ir.Table:
        """Quarantine the rows that break a rule; a row is listed under the first it breaks."""
        if not checks:
            return rows
        broken = [check.broken.fill_null(False) for check in checks]
        judged = rows.mutate(
            rule=ibis.cases(*zip(broken, [check.name for check in checks], strict=True)),
            column=ibis.cases(*zip(broken, [check.column for check in checks], strict=True)),
            value=ibis.cases(*zip(broken, [check.value for check in checks], strict=True)),
        )
        judged = self._keep(judged, f"{table.name}_judged_{len(self.touched)}")
        bad = judged.filter(judged.rule.notnull())
        listed = bad.select(
            file=bad[FILE], line=bad[LINE], column=bad.column, rule=bad.rule, value=bad.value
        )
        listed = listed.order_by("file", "line").to_pandas()
        self.quarantine[table.name] = pd.concat(
            [
                frame
                for frame in (self.quarantine.get(table.name), listed)
                if frame is not None and len(frame)
            ]
            or [listed],
            ignore_index=True,
        )
        self._note(bad, table, None, "quarantined")
        return judged.filter(judged.rule.isnull()).drop("rule", "column", "value")

    def _merge_copies(self, rows: ir.Table, table: Table) -> ir.Table:
        """One of several rows that agree in every column; tables without a key keep all."""
        key = [name for name in table.key if name in rows.columns]
        if not table.key or len(key) < len(table.key):
            return rows
        said = [
            name for name in rows.columns if name not in (FILE, LINE) and not name.endswith(TEXT)
        ]
        place = ibis.row_number().over(group_by=said, order_by=[FILE, LINE])
        numbered = self._keep(rows.mutate(copy=place), f"{table.name}_copies")
        self._note(numbered.filter(numbered.copy > 0), table, "same_row_again", "merged")
        return numbered.filter(numbered.copy == 0).drop("copy")

    def _with_parents(self, rows: ir.Table, table: Table) -> ir.Table:
        """Beside each row of an account: its sign-up, and the terms of its own subscription."""
        if "accounts" not in table.parents.values():
            return rows
        accounts = self.sorted["accounts"].used
        signed = accounts.group_by("account_id").agg(parent_signed=accounts.signed_up_date.min())
        rows = _beside(rows, signed, "account_id")
        if table.name in rules.EVENTS and "subscription_id" in rows.columns:
            own = self.sorted["subscriptions"].typed
            terms = own.group_by("subscription_id").agg(
                parent_start=own.start_date.min(),
                parent_end=ibis.ifelse(own.end_date.isnull().any(), None, own.end_date.max()),
            )
            rows = _beside(rows, terms, "subscription_id")
        return rows

    def _note(self, rows: ir.Table, table: Table, rule: str | None, kind: str) -> None:
        """Remember which accounts and how much revenue a rule touches."""
        columns = rows.columns
        named = rows.select(
            table=ibis.literal(table.name),
            rule=ibis.literal(rule) if rule else rows.rule,
            kind=ibis.literal(kind),
            account_id=rows.account_id if "account_id" in columns else ibis.null(str),
            mrr=rows.mrr if "mrr" in columns else ibis.null("decimal(18, 4)"),
            known_on=rows[KNOWN_ON],
        )
        self.touched.append(named.to_pandas())

    def _check_thresholds(self, table: Table, n_rows: int) -> None:
        """Stop when too many rows, or too much revenue, could not be read."""
        bad = self.quarantine.get(table.name)
        if bad is None or bad.empty:
            return
        counted = bad[~bad["rule"].isin(rules.IMPOSSIBLE_IN_TIME)]
        limits = self.settings.quarantine
        share = len(counted) / n_rows
        if share > limits.max_share_of_rows:
            self._write_quarantine()
            raise DataError(
                _threshold_message(table, counted, f"{share:.1%} of its rows", self.paths)
            )
        if table.name == "subscriptions":
            mrr = self._mrr_share(table)
            if mrr > limits.max_share_of_mrr:
                self._write_quarantine()
                raise DataError(
                    _threshold_message(table, counted, f"{mrr:.1%} of its MRR", self.paths)
                )

    def _mrr_share(self, table: Table) -> float:
        touched = pd.concat(self.touched)
        own = touched[(touched["table"] == table.name) & (touched["kind"] == "quarantined")]
        lost = float(own["mrr"].dropna().abs().sum())
        used = float(self.sorted[table.name].used.mrr.sum().execute() or 0)
        return lost / (lost + used) if lost + used else 0.0

    def check_currencies(self) -> None:
        """A single currency, unless rates are given."""
        rows = self.sorted["subscriptions"].used
        if "currency" not in rows.columns:
            return
        known = {self.settings.currency, *self.settings.fx}
        foreign = rows.filter(rows.currency.notnull() & ~rows.currency.isin(sorted(known)))
        found = foreign.select(FILE, LINE, "currency").order_by(FILE, LINE).limit(reading.EXAMPLES)
        examples = [
            f"{row[FILE]} line {row[LINE]}: {row['currency']}"
            for row in found.to_pyarrow().to_pylist()
        ]
        if examples:
            raise DataError(
                f"{foreign.count().execute()} subscriptions are in a currency without rates:\n  "
                + "\n  ".join(examples)
                + f"\nThe company's currency is {self.settings.currency}. "
                "Give rates in fx or map the values."
            )

    def extract_date(self) -> dt.date:
        """The last day the raw data know about."""
        if self.settings.extract_date:
            return self.settings.extract_date
        recorded = [_latest(kept.used, "recorded_at") for kept in self.sorted.values()]
        events = [
            _latest(kept.used, kept.table.event_time)
            for kept in self.sorted.values()
            if kept.table.event_time and kept.table.name not in ("calendar", "outages")
        ]
        found = [day for day in recorded if day] or [day for day in events if day]
        if not found:
            raise DataError("No date in the raw data says how far they reach. Set extract_date.")
        return max(found)

    def write(self, files: dict[str, list[reading.RawFile]]) -> None:
        """Write typed tables, what was touched, the quarantine and the extract's facts."""
        for kept in self.sorted.values():
            columns = [
                column
                for column in kept.used.columns
                if not column.endswith((TEXT, FIELDS)) and not column.startswith("parent_")
            ]
            self._write_table(kept.table, kept.used.select(*columns))
        touched = pd.concat(self.touched, ignore_index=True)[TOUCHED_COLUMNS]
        schema = pa.schema(
            [(name, pa.string()) for name in TOUCHED_COLUMNS[:4]]
            + [("mrr", pa.decimal128(18, 4)), (KNOWN_ON, pa.date32())]
        )
        rows = pa.Table.from_pandas(touched, schema, preserve_index=False)
        ordered = rows.sort_by([(name, "ascending") for name in TOUCHED_COLUMNS])
        store.write_parquet(ordered, self.paths.ingest / "touched.parquet")
        self._write_quarantine()
        store.write_json(self._extract(files), self.paths.ingest / "extract.json")

    def _write_table(self, table: Table, used: ir.Table) -> None:
        order = [name for name in (*table.key, KNOWN_ON, FILE, LINE) if name in used.columns]
        if table.name != "usage":
            content = used.order_by(order).to_pyarrow()
            store.write_parquet(content, self.paths.ingest / f"{table.name}.parquet")
            return
        months = self._keep(
            used.mutate(known_month=used[KNOWN_ON].strftime("%Y-%m")), f"{table.name}_months"
        )
        names = months.select("known_month").distinct().to_pandas()["known_month"]
        folder = self.paths.ingest / table.name
        for month in sorted(names):
            content = months.filter(months.known_month == month).drop("known_month")
            content = content.order_by("account_id", "occurred_at", FILE, LINE).to_pyarrow()
            store.write_parquet(content, folder / f"{month}.parquet")
        for path in folder.glob("*.parquet"):
            if path.stem not in set(names):
                path.unlink()

    def _write_quarantine(self) -> None:
        for name in RAW:
            listed = self.quarantine.get(name)
            path = self.paths.quarantine / f"{name}.csv"
            if listed is None or listed.empty:
                path.unlink(missing_ok=True)
            else:
                store.write_published_csv(_masked(listed, RAW[name]), path)

    def _extract(self, files: dict[str, list[reading.RawFile]]) -> dict:
        starts = self.sorted["subscriptions"].used.start_date.min().execute()
        return {
            "extract_date": self.extract_date().isoformat(),
            "billing_start": pd.Timestamp(starts).date().isoformat(),
            "rows": {name: kept.n_rows for name, kept in self.sorted.items()},
            "files": [
                {"table": name, "file": file.name, "sha256": store.sha256(file.path)}
                for name in RAW
                for file in files[name]
            ],
        }


def _known_on(typed: ir.Table, table: Table) -> ir.Value:
    """The day a row became known."""
    days = []
    if "recorded_at" in typed.columns:
        days.append(typed.recorded_at.date())
    if table.event_time and table.event_time in typed.columns:
        moment = typed[table.event_time]
        days.append(moment if table.kind(table.event_time) == "day" else moment.date())
    return ibis.coalesce(*days, ibis.null("date")) if days else ibis.null("date")


def _beside(rows: ir.Table, other: ir.Table, key: str) -> ir.Table:
    """Columns of another table, one row per key there, beside each row."""
    return rows.left_join(other, key, rname="other_{name}").drop(f"other_{key}")


def _latest(rows: ir.Table, column: str | None) -> dt.date | None:
    if not column or column not in rows.columns:
        return None
    latest = rows[column].max().execute()
    return None if pd.isna(latest) else pd.Timestamp(latest).date()


def _masked(listed: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Hide values of columns that may name a person."""
    personal = [
        name for name, column in table.columns.items() if column.metadata["sensitivity"] in MASKED
    ]
    value = listed["value"].mask(listed["column"].isin(personal), "(hidden)")
    return listed.assign(value=value)[QUARANTINE_COLUMNS]


def _threshold_message(table: Table, bad: pd.DataFrame, share: str, paths: Paths) -> str:
    """What was found, where, why it stops the run and what to do."""
    worst = bad["rule"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    broken = ", ".join(f"{rule} {count}" for rule, count in worst.head(reading.EXAMPLES).items())
    first = bad.head(reading.EXAMPLES)
    places = "\n  ".join(
        f"{row.file} line {row.line}, {row.column}: {row.rule}" for row in first.itertuples()
    )
    listing = Path("data") / "quarantine" / paths.company / f"{table.name}.csv"
    return (
        f"{table.name}: {len(bad)} rows cannot be used, {share}, above the limit in quarantine of "
        f"params.yaml ({broken}):\n  {places}\nAll are in {listing}. Mend the export, "
        "map its values, or raise the limit."
    )
