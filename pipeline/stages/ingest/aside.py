"""What was set aside, whom and how much money does it touch? The book of all rows that came in.

Makes `touched` (one row per row set aside, merged, excluded or remarked on) and
data/quarantine/<company>/<table>.csv. The subtle point: a row whose amount cannot be read counts
with the mean of the amounts that can, so that unreadable money weighs something.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from pipeline.data import store
from pipeline.data.reading import EXAMPLES, FILE, LINE, DataError
from pipeline.data.schema import RAW, Table
from pipeline.settings import Paths, Settings
from pipeline.stages import rules
from pipeline.stages.rules import KNOWN_ON

TOUCHED_COLUMNS = ["table", "rule", "kind", "account_id", "mrr", KNOWN_ON]
TOUCHED_SCHEMA = pa.schema(
    [(name, pa.string()) for name in TOUCHED_COLUMNS[:4]]
    + [("mrr", pa.decimal128(18, 4)), (KNOWN_ON, pa.date32())]
)
QUARANTINE_COLUMNS = ["file", "line", "column", "rule", "value"]
OUT = ("quarantined", "merged", "excluded")
"""What may happen to a row that is not used. A `warning` remarks on a row that is."""
MASKED = ("personal",)
MONEY_COLUMNS = ("mrr", "amount")
"""The column that says how much revenue a row carries, the first that a table has."""


@dataclass(frozen=True)
class Sorted:
    """A raw table after its rules: all rows by kind, those to use, and how many came in.

    `newest`: the last day of each column that tells how far the rows to use reach.
    """

    table: Table
    typed: ir.Table
    used: ir.Table
    n_rows: int
    newest: dict[str, dt.date | None]


class UnbalancedError(Exception):
    """Rows went in and did not come out anywhere: our own fault, never the data's."""


class Aside:
    """Every row of one ingest that was not simply used."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.settings = settings
        self.paths = paths
        self.touched: list[tuple[str, str, pa.Table]] = []
        self.listed: dict[str, list[pd.DataFrame]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.problems: list[str] = []

    def note(
        self, rows: ir.Table, table: Table, rule: str, kind: str, *, is_dated: bool = True
    ) -> int:
        """Remember which accounts and how much revenue a rule touches; how many rows it was.

        Rows that are not `is_dated` stand in every slice.
        """
        known_on = rows[KNOWN_ON] if is_dated else ibis.null("date")
        named = _named(rows, ibis.literal(rule), known_on)
        return self._remember(rows.select(**named).to_pyarrow(), table, kind)

    def quarantine(self, bad: ir.Table, table: Table) -> pa.Table:
        """List rows that broke a rule, with the cell as it was written; gives their places."""
        shown = {"file": bad[FILE], "line": bad[LINE], "column": bad.column, "value": bad.value}
        found = bad.select(**shown, **_named(bad, bad.rule, bad[KNOWN_ON])).to_pyarrow()
        self._remember(found.drop_columns(list(shown)), table, "quarantined")
        if len(found):
            ordered = found.select([*shown, "rule"]).sort_by(
                [("file", "ascending"), ("line", "ascending")]
            )
            self.listed.setdefault(table.name, []).append(_masked(ordered.to_pandas(), table))
        return found.select(["file", "line"]).rename_columns([FILE, LINE])

    def _remember(self, named: pa.Table, table: Table, kind: str) -> int:
        beside = {"table": table.name, "kind": kind}
        for name, word in beside.items():
            named = named.append_column(name, pa.repeat(word, len(named)))
        if len(named):
            self.touched.append((table.name, kind, named))
        if kind in OUT:
            count = self.counts.setdefault(table.name, {})
            count[kind] = count.get(kind, 0) + len(named)
        return len(named)

    def balance(self, table: Table, n_rows: int, n_used: int) -> None:
        """Rows in are rows used, quarantined, merged and excluded; else UnbalancedError."""
        count = self.counts.setdefault(table.name, {})
        out = {kind: count.get(kind, 0) for kind in OUT}
        self.counts[table.name] = {"rows": n_rows, "used": n_used, **out}
        if n_rows != n_used + sum(out.values()):
            raise UnbalancedError(
                f"{table.name}: {n_rows} rows in, but {n_used} used and {out} set aside. "
                "A step of ingest loses or doubles rows."
            )

    def recount(self, table: Table) -> None:
        """Rows that were left out after the balance are no longer used."""
        count = self.counts[table.name]
        count["used"] = count["rows"] - sum(count[kind] for kind in OUT)

    def accounts_of(self, table: Table, kind: str) -> list[str]:
        """Accounts that rows of one kind name, each once, in order."""
        own = self._of(table, kind)
        return sorted(own["account_id"].dropna().unique()) if len(own) else []

    def _of(self, table: Table, kind: str) -> pd.DataFrame:
        own = [rows for name, word, rows in self.touched if (name, word) == (table.name, kind)]
        if not own:
            return pd.DataFrame(columns=[*TOUCHED_COLUMNS, "amount", "currency"])
        return pa.concat_tables(own, promote_options="permissive").to_pandas()

    def weigh(self, table: Table, used: ir.Table) -> None:
        """Note a problem when too many rows, or too much revenue, could not be used."""
        own = self._of(table, "quarantined")
        own = own[~own["rule"].isin(rules.IMPOSSIBLE_IN_TIME)]
        if own.empty:
            return
        limits, n_rows = self.settings.quarantine, self.counts[table.name]["rows"]
        share = len(own) / n_rows
        if share > limits.max_share_of_rows:
            self.problems.append(self._problem(table, len(own), f"{share:.1%} of its rows"))
        money = next((name for name in MONEY_COLUMNS if name in used.columns), None)
        if money and share <= limits.max_share_of_rows:
            lost = self.money_share(own, used, money)
            if lost > limits.max_share_of_mrr:
                name = "MRR" if money == "mrr" else money
                self.problems.append(self._problem(table, len(own), f"{lost:.1%} of its {name}"))

    def weigh_copies(self, table: Table) -> None:
        """Note a problem when too many rows of a ledger are alike: they may be lines that count."""
        own = self._of(table, "merged")
        n_alike, n_rows = len(own[own["rule"] == "same_row_again"]), self.counts[table.name]["rows"]
        if n_rows and n_alike / n_rows > self.settings.quarantine.max_share_of_rows:
            self.problems.append(
                f"{table.name}: {n_alike} of {n_rows} rows are alike in every mapped column, above "
                "the limit in quarantine of params.yaml. If they are lines of one bill, each of "
                "them counts: map what tells them apart as product or subscription_id. If the "
                "export holds them twice, export it once, or raise the limit."
            )

    def money_share(self, lost: pd.DataFrame, used: ir.Table, money: str) -> float:
        """Share of the revenue that sits in rows set aside, in the company's currency."""
        n_used, total = 0, Decimal(0)
        codes = used.currency if "currency" in used.columns else ibis.null(str)
        sums = used.group_by(code=codes).agg(n=used[money].count(), total=used[money].sum())
        for row in sums.to_pyarrow().to_pylist():
            n_used += row["n"]
            total += (row["total"] or Decimal(0)) * self._rate(row["code"])
        mean = total / n_used if n_used else Decimal(1)
        away = sum(
            (
                mean if pd.isna(row.amount) else abs(row.amount) * self._rate(row.currency)
                for row in lost.itertuples()
            ),
            Decimal(0),
        )
        return float(away / (away + total)) if away + total else 0.0

    def _rate(self, currency: object) -> Decimal:
        """The newest rate on file; 1 for our own currency and for one that nobody knows."""
        rates = self.settings.fx.get(str(currency), {})
        return Decimal(str(rates[max(rates)])) if rates else Decimal(1)

    def _problem(self, table: Table, n_bad: int, share: str) -> str:
        """What was found, where, why it stops the run and what to do."""
        bad = self.of_table(table.name)
        bad = bad[~bad["rule"].isin(rules.IMPOSSIBLE_IN_TIME)]
        worst = bad["rule"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        broken = ", ".join(f"{rule} {count}" for rule, count in worst.head(EXAMPLES).items())
        places = "\n  ".join(
            f"{row.file} line {row.line}, {row.column}: {row.rule}"
            for row in bad.head(EXAMPLES).itertuples()
        )
        listing = Path("data") / "quarantine" / self.paths.company / f"{table.name}.csv"
        return (
            f"{table.name}: {n_bad} rows cannot be used, {share}, above the limit in quarantine "
            f"of params.yaml ({broken}):\n  {places}\n{rules.what_to_do(str(worst.index[0]))} "
            f"All are in {listing}. Mend the export, map its values, or raise the limit."
        )

    def of_table(self, name: str) -> pd.DataFrame:
        """Quarantined rows of one table: file, line, column, rule, value."""
        parts = self.listed.get(name, [])
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame([], None, _EMPTY)

    def stop(self) -> None:
        """DataError when anything that was noted forbids a report."""
        if self.problems:
            raise DataError("\n\n".join(self.problems))

    def write(self) -> None:
        """Write `touched` and the quarantine; listings of tables without bad rows go away."""
        parts = [each.select(TOUCHED_COLUMNS).cast(TOUCHED_SCHEMA) for _, _, each in self.touched]
        rows = pa.concat_tables([TOUCHED_SCHEMA.empty_table(), *parts])
        ordered = rows.sort_by([(name, "ascending") for name in TOUCHED_COLUMNS])
        store.write_parquet(ordered, self.paths.ingest / "touched.parquet")
        for name in sorted({*RAW, *self.listed}):
            path = self.paths.quarantine / f"{name}.csv"
            if name in self.listed:
                store.write_published_csv(self.of_table(name), path)
            else:
                path.unlink(missing_ok=True)


def _named(rows: ir.Table, rule: ir.StringValue, known_on: ir.DateValue) -> dict[str, ir.Value]:
    """Whom and how much money a row touches."""
    columns = rows.columns
    money = next((name for name in MONEY_COLUMNS if name in columns), None)
    return {
        "rule": rule,
        "account_id": rows.account_id if "account_id" in columns else ibis.null(str),
        "mrr": rows.mrr if "mrr" in columns else ibis.null("decimal(18, 4)"),
        KNOWN_ON: known_on,
        "amount": rows[money] if money else ibis.null("decimal(18, 4)"),
        "currency": rows.currency if "currency" in columns else ibis.null(str),
    }


_EMPTY = pd.Index(QUARANTINE_COLUMNS)


def _masked(listed: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Hide values of columns that may name a person."""
    personal = [name for name, column in table.columns.items() if column.sensitivity in MASKED]
    value = listed["value"].mask(listed["column"].isin(personal), "(hidden)")
    return listed.assign(value=value)[QUARANTINE_COLUMNS]
