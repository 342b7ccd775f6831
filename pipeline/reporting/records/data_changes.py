"""What differs in data and code from the report before, and is no news of the company?

Works on two records, report.json of this month and of the month before. Makes `data_changes`. The
subtle point: a table that was not given last month, or a column half empty today, moves numbers
without a customer doing anything; so does other code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.reporting import words
from pipeline.reporting.records import record
from pipeline.settings import Paths

GIVEN, FILLED, SET_ASIDE, CODE = "given", "filled", "set_aside", "code"
SAID = {
    GIVEN: "Table given",
    FILLED: "Share of rows with a value",
    SET_ASIDE: "Share of rows set aside",
    CODE: "Code that computes",
}
SMALLEST_MOVE = {FILLED: 0.10, SET_ASIDE: 0.01}
"""In shares of a table's rows: less is the usual coming and going of a month."""
HASH_LENGTH = 12

Change = dict[str, Any]


def data_changes(report: Mapping[str, Any], paths: Paths) -> tuple[list[Change], str | None]:
    """What is different from the report before, and that report's period; None: there is none.

    One row per difference: kind, subject, before, now. What one of the two reports does not say is
    not compared.
    """
    earlier = [record.read(path) for path in record.places(paths)]
    before = [
        one
        for one in earlier
        if one and one["company"] == paths.company and one["period"] < report["period"]
    ]
    last = max(before, key=lambda one: one["period"], default=None)
    return ([], None) if last is None else (between(last, report), last["period"])


def between(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """One row per difference between two records: kind, subject, before, now."""
    old, new = _measured(before), _measured(now)
    rows = [
        {"kind": kind, "subject": subject, "before": old[kind, subject], "now": value}
        for (kind, subject), value in new.items()
        if (kind, subject) in old and _has_moved(kind, old[kind, subject], value)
    ]
    codes = [record_["provenance"].get("code_sha256") for record_ in (before, now)]
    if None not in codes and codes[0] != codes[1]:
        rows.append({"kind": CODE, "subject": "", "before": codes[0], "now": codes[1]})
    return rows


def say(row: Mapping[str, Any]) -> dict[str, str]:
    """A change as a reader sees it: what, of what, before, now."""
    return {
        "What": SAID[row["kind"]],
        "Where": row["subject"] or "all chapters",
        "Before": _said(row["kind"], row["before"]),
        "Now": _said(row["kind"], row["now"]),
    }


def _said(kind: str, value: Any) -> str:
    if kind == GIVEN:
        return "yes" if value else "no"
    return str(value)[:HASH_LENGTH] if kind == CODE else words.share(value)


def _measured(report: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """(kind, subject) → whether a table is given, or a share of its rows."""
    rules = report["quality"]["rules"]
    sizes = {row["table"]: row["n_of"] for row in rules if row["kind"] == "rows"}
    found: dict[tuple[str, str], Any] = {
        (GIVEN, row["table"]): row["n"] > 0
        for row in rules
        if row["kind"] == "rows" and row["n"] is not None
    }
    aside = dict.fromkeys((name for name, size in sizes.items() if size), 0)
    for row in rules:
        if row["kind"] == "coverage" and row["n_of"] and row["n"] is not None:
            found[FILLED, f"{row['table']}.{row['rule']}"] = row["n"] / row["n_of"]
        if row["kind"] == "quarantined" and row["table"] in aside:
            aside[row["table"]] += row["n"] or 0
    return found | {(SET_ASIDE, table): n / sizes[table] for table, n in aside.items()}


def _has_moved(kind: str, before: Any, now: Any) -> bool:
    if kind == GIVEN:
        return bool(before) != bool(now)
    appeared = kind == FILLED and (before == 0) != (now == 0)
    return appeared or abs(now - before) >= SMALLEST_MOVE[kind]
