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

from pipeline.data.schema import RAW, SNAPSHOT
from pipeline.data.slice import Slice
from pipeline.stages.rules import EVENTS, what_to_do

EXCLUDED_REASONS = {
    "never_paid": "The account has no paid row by the as-of date: trial, free or not started.",
    "first_paid_day_unknown": "The billing data begin in mid-life: the age is not known.",
    "gone_before_observation": "The spell ended before observation began.",
    "started_after_cut_off": "The spell began too late for any settled day.",
}


def exclusions(accounts: ir.Table, spells: ir.Table) -> pd.DataFrame:
    """Table `exclusions`: the steps from accounts on file to spells in age-based curves."""
    known = accounts.select("account_id", "mrr", "first_paid_date", "is_customer").to_pandas()
    mrr = known.set_index("account_id")["mrr"].astype(object)
    ages = spells.select(
        "account_id",
        "spell",
        "is_age_known",
        "is_followed",
        "entry_days",
        "duration_days",
        "is_churn",
    ).to_pandas()
    first = ages[ages["spell"] == 1]
    steps = [_step("accounts", "never_paid", known, known["first_paid_date"].isna(), mrr)]
    kept = first
    for step, out in (
        ("first_paid_day_unknown", lambda rows: ~rows["is_age_known"]),
        ("started_after_cut_off", lambda rows: rows["duration_days"] <= 0),
        ("gone_before_observation", lambda rows: ~rows["is_followed"]),
    ):
        is_out = out(kept)
        steps.append(_step("spells", step, kept, is_out, mrr))
        kept = kept[~is_out]
    return pd.DataFrame(steps)


def _step(table: str, step: str, rows: pd.DataFrame, is_out: pd.Series, mrr: pd.Series) -> dict:
    touched = rows.loc[is_out, "account_id"].unique()
    return {
        "table": table,
        "step": step,
        "reason": EXCLUDED_REASONS[step],
        "n_before": len(rows),
        "n_after": int((~is_out).sum()),
        "mrr_affected": sum(mrr.reindex(touched).dropna(), Decimal(0)),
    }


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
    mrr = accounts.select("account_id", "mrr").to_pandas().set_index("account_id")["mrr"]
    known = touched.filter(
        touched.known_on.isnull() | (touched.known_on < cut.known_before)
    ).to_pandas()
    rows = []
    for name in RAW:
        own = known[known["table"] == name]
        if name not in tables:
            rows.append(_row(name, "table", "coverage", 0, 0, note="The table is not given."))
            continue
        rows += _table_rows(name, tables[name], own, mrr, late_after_days)
    return pd.DataFrame(rows).sort_values(
        ["table", "kind", "rule"], kind="stable", ignore_index=True
    )


def _table_rows(
    name: str, rows: ir.Table, own: pd.DataFrame, mrr: pd.Series, late_after_days: int
) -> list[dict]:
    table = RAW[name]
    given = [
        column for column in table.columns if column in rows.columns and column not in table.key
    ]
    counts = {f"n_{column}": rows[column].count() for column in given}
    facts = (
        rows.aggregate(n=rows.count(), **counts, **_dated(rows, name, late_after_days))
        .to_pandas()
        .iloc[0]
    )
    n_used = int(facts["n"])
    n_of = n_used + int((own["kind"] != "warning").sum())
    found = [_row(name, "used", "rows", n_used, n_of)]
    for (rule, kind), part in own.groupby(["rule", "kind"], sort=True):
        received = n_used if kind == "warning" else n_of
        found.append(_touched_row(name, rule, kind, part, received, mrr))
    for column in table.columns:
        if column not in table.key and column not in table.required_columns:
            note = "" if column in given else "The column is not given."
            n = int(facts[f"n_{column}"]) if column in given else 0
            found.append(_row(name, column, "coverage", n, n_used, note=note))
    if "last_date" in facts:
        found.append(
            _row(name, "newest", "freshness", n_used, n_used, last_date=facts["last_date"])
        )
    if "n_late" in facts and int(facts["n_late"]):
        found.append(_row(name, "known_late", "late", int(facts["n_late"]), n_used))
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


def _touched_row(
    name: str, rule: str, kind: str, part: pd.DataFrame, n_of: int, mrr: pd.Series
) -> dict:
    accounts = part["account_id"].dropna().unique()
    affected = sum(mrr.reindex(accounts).dropna(), Decimal(0))
    if name == "subscriptions" and kind == "quarantined":
        affected += sum(abs(amount) for amount in part["mrr"].dropna())
    note = what_to_do(rule)
    return _row(name, rule, kind, len(part), n_of, len(accounts), affected, note=note)


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
