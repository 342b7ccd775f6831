"""What was left out, and can the rest be trusted? Exclusions and quality of one slice.

Counts of rows come from what `ingest` set aside, cut to what was known by the slice; the revenue
touched is the MRR at P1 of the accounts concerned, plus that of subscription rows set aside. A
warning remarks on rows that are used, so it is no part of the count of rows received.
"""

from __future__ import annotations

from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from pipeline.data.schema import MONEY, RAW, SNAPSHOT
from pipeline.data.slice import Slice
from pipeline.stages.rules import EVENTS, what_to_do

EXCLUDED_REASONS = {
    "never_paid": "The account has no paid row by the as-of date: trial, free or not started.",
    "first_paid_day_unknown": "The billing data begin in mid-life: the age is not known.",
    "gone_before_observation": "The spell ended before observation began.",
    "started_after_cut_off": "The spell began too late for any settled day.",
}
STEPS = {
    "accounts": ("never_paid",),
    "spells": ("first_paid_day_unknown", "started_after_cut_off", "gone_before_observation"),
}
"""The steps of each table in their order; the reason of a row is the first that it meets."""


def exclusions(accounts: ir.Table, spells: ir.Table) -> pd.DataFrame:
    """Table `exclusions`: the steps from accounts on file to spells in age-based curves."""
    never = ibis.ifelse(accounts.first_paid_date.isnull(), "never_paid", None)
    first = spells.filter(spells.spell == 1)
    out = ibis.cases(
        (~first.is_age_known, "first_paid_day_unknown"),
        (first.duration_days <= 0, "started_after_cut_off"),
        (~first.is_followed, "gone_before_observation"),
    )
    mrr = accounts.select("account_id", "mrr")
    found = accounts.select("mrr", table=ibis.literal("accounts"), step=never).union(
        first.select("account_id", table=ibis.literal("spells"), step=out)
        .left_join(mrr, "account_id")
        .select("mrr", "table", "step")
    )
    counted = found.group_by("table", "step").agg(n=found.count(), mrr=found.mrr.sum())
    return _steps({(row["table"], row["step"]): row for row in counted.to_pyarrow().to_pylist()})


def _steps(counted: dict[tuple[str, str | None], dict]) -> pd.DataFrame:
    """One row per step in its order, from how many rows leave at each; step None: they stay."""
    left = {
        table: sum(row["n"] for (name, _), row in counted.items() if name == table)
        for table in STEPS
    }
    steps = []
    for table, step in ((table, step) for table, steps in STEPS.items() for step in steps):
        out = counted.get((table, step), {"n": 0, "mrr": None})
        n_before, left[table] = left[table], left[table] - out["n"]
        steps.append(
            {
                "table": table,
                "step": step,
                "reason": EXCLUDED_REASONS[step],
                "n_before": n_before,
                "n_after": left[table],
                "mrr_affected": out["mrr"] or Decimal(0),
            }
        )
    return pd.DataFrame(steps)


def quality(
    tables: dict[str, ir.Table],
    touched: ir.Table,
    accounts: ir.Table,
    cut: Slice,
    late_after_days: int,
) -> pd.DataFrame:
    """Table `quality`: rows, what was set aside, late rows, coverage and freshness by raw table.

    `tables`: the raw tables of the slice by name (usage as its events are counted by month).
    """
    known = touched.filter(touched.known_on.isnull() | (touched.known_on < cut.known_before))
    found = _summed(known, accounts).to_pyarrow().to_pylist()
    rows = []
    for name in RAW:
        own = [row for row in found if row["table"] == name]
        if name not in tables:
            rows.append(_row(name, "table", "coverage", 0, 0, note="The table is not given."))
            continue
        rows += _table_rows(name, tables[name], own, late_after_days)
    return pd.DataFrame(rows).sort_values(
        ["table", "kind", "rule"], kind="stable", ignore_index=True
    )


def _summed(touched: ir.Table, accounts: ir.Table) -> ir.Table:
    """One row per table, rule and kind: rows, their accounts, and the MRR touched."""
    by = ["table", "rule", "kind"]
    is_lost = (touched.table == "subscriptions") & (touched.kind == "quarantined")
    rows = touched.group_by(by).agg(
        n=touched.count(), mrr_lost=touched.mrr.abs().sum(where=is_lost).fill_null(0)
    )
    concerned = touched.filter(touched.account_id.notnull()).select(*by, "account_id").distinct()
    mrr = accounts.select("account_id", mrr_held="mrr")
    concerned = concerned.left_join(mrr, "account_id").drop("account_id_right")
    held = concerned.group_by(by).agg(
        n_accounts=concerned.count(), mrr_held=concerned.mrr_held.sum().fill_null(0)
    )
    joined = rows.left_join(held, by)
    affected = joined.mrr_lost + joined.mrr_held.fill_null(0)
    return joined.select(
        *by, "n", n_accounts=joined.n_accounts.fill_null(0), mrr_affected=affected.cast(MONEY)
    )


def _table_rows(name: str, rows: ir.Table, own: list[dict], late_after_days: int) -> list[dict]:
    table = RAW[name]
    given = [
        column for column in table.columns if column in rows.columns and column not in table.key
    ]
    counts = {f"n_{column}": rows[column].count() for column in given}
    asked = rows.aggregate(n=rows.count(), **counts, **_dated(rows, name, late_after_days))
    (facts,) = asked.to_pyarrow().to_pylist()
    n_used = facts["n"]
    n_of = n_used + sum(part["n"] for part in own if part["kind"] != "warning")
    found = [_row(name, "used", "rows", n_used, n_of)]
    for part in own:
        received = n_used if part["kind"] == "warning" else n_of
        found.append(_row(**part, n_of=received, note=what_to_do(part["rule"])))
    for column in table.columns:
        if column not in table.key and column not in table.required_columns:
            note = "" if column in given else "The column is not given."
            n = facts[f"n_{column}"] if column in given else 0
            found.append(_row(name, column, "coverage", n, n_used, note=note))
    if "last_date" in facts:
        found.append(
            _row(name, "newest", "freshness", n_used, n_used, last_date=facts["last_date"])
        )
    if facts.get("n_late"):
        found.append(_row(name, "known_late", "late", facts["n_late"], n_used))
    return found


def _dated(rows: ir.Table, name: str, late_after_days: int) -> dict[str, ir.Value]:
    """Newest event day, and events known too late to enter a feature."""
    table = RAW[name]
    if not table.event_time or table.event_time not in rows.columns:
        return {}
    moment = rows[table.event_time]
    day = moment if table.kind(table.event_time) == "day" else moment.date()
    lateness = rows.known_on.delta(day, unit="day")
    facts = {"last_date": day.max()}
    if name in EVENTS:
        facts["n_late"] = (lateness > late_after_days).sum()
    return facts


def _row(
    table: str,
    rule: str,
    kind: str,
    n: int,
    n_of: int,
    n_accounts: int | None = None,
    mrr_affected: object = None,
    last_date: object = None,
    note: str = "",
) -> dict:
    return {
        "table": table,
        "rule": rule,
        "kind": kind,
        "n": n,
        "n_of": n_of,
        "n_accounts": n_accounts,
        "mrr_affected": mrr_affected,
        "last_date": last_date,
        "note": note,
    }


def as_arrow(frame: pd.DataFrame, name: str) -> pa.Table:
    """A small frame as the declared table, key order, decimals exact."""
    table = SNAPSHOT[name]
    schema = ibis.schema({column: table.dtype(column) for column in table.columns}).to_pyarrow()
    return pa.Table.from_pandas(frame[list(table.columns)], schema, preserve_index=False)
