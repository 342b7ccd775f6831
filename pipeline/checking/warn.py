"""What does not stop a run, and should be known before one? Warnings, and what would add answers.

Reads what `ingest` wrote aside and what the last build wrote; makes the parts `warnings` and
`not_given` of the answer.
"""

from __future__ import annotations

from typing import Any

from pipeline.data import store
from pipeline.data.schema import RAW, adds
from pipeline.settings import Paths

FEW_ACCOUNTS = 100
"""With fewer, most rates rest on fewer than ten leavers and are printed as "k of n"."""
MUCH_FEWER = 0.5
"""An export with less than this share of the rows of the last build may have broken off."""
COLUMNS_SHOWN = 10


def warnings(
    facts: dict[str, Any], counts: dict[str, dict[str, int]], paths: Paths
) -> list[dict[str, str]]:
    """Columns that nobody asked for, few rows, fewer than last time, empty files."""
    found, said = [], set()
    for file in facts.get("files", []):
        extra = _mapped_to_nothing(str(file["file"]), facts)
        if extra and file["file"] not in said:
            said.add(file["file"])
            more = f" and {len(extra) - COLUMNS_SHOWN} more" if len(extra) > COLUMNS_SHOWN else ""
            listed = ", ".join(extra[:COLUMNS_SHOWN]) + more
            sentence = f"{file['file']}: columns that are mapped to nothing: {listed}."
            found.append(_warning(file["table"], "extra_columns", sentence))
        if file.get("note"):
            sentence = f"{file['file']}: {file['note']}"
            found.append(_warning(file["table"], "empty_file", sentence))
    names = [str(file["file"]) for file in facts.get("files", [])]
    return found + _few(counts) + _fewer(counts, names, paths)


def _mapped_to_nothing(file: str, facts: dict[str, Any]) -> list[str]:
    """Columns of a file that none of the tables that are read from it asked for."""
    asked = [each.get("extra_columns") or [] for each in facts["files"] if each["file"] == file]
    return [str(name) for name in asked[0] if all(name in others for others in asked)]


def _few(counts: dict[str, dict[str, int]]) -> list[dict[str, str]]:
    n = counts.get("accounts", {}).get("used", FEW_ACCOUNTS)
    if n >= FEW_ACCOUNTS:
        return []
    sentence = f"{n} accounts: most estimates will be withheld or marked fragile."
    return [_warning("accounts", "few_rows", sentence)]


def _fewer(
    counts: dict[str, dict[str, int]], names: list[str], paths: Paths
) -> list[dict[str, str]]:
    place = paths.ingest / "extract.json"
    last = store.read_json(place) if place.is_file() else {}
    is_ours = {file["file"] for file in last.get("files", [])} & set(names)
    before = last.get("rows", {}) if is_ours else {}
    return [
        _warning(
            name,
            "fewer_rows",
            f"{name}: {count['rows']:,} rows, and {before[name]:,} when last built. Is it whole?",
        )
        for name, count in counts.items()
        if count["rows"] < MUCH_FEWER * before.get(name, 0)
    ]


def _warning(table: str, subject: str, message: str) -> dict[str, str]:
    return {"table": table, "subject": subject, "message": message}


def not_given(
    elsewhere: Paths, counts: dict[str, dict[str, int]], shape: str
) -> list[dict[str, Any]]:
    """Optional tables and columns that are absent and that a chapter would use.

    A flat file (shape `tenure`) has no day to which a row of another table could be tied.
    """
    if not counts:
        return []
    found = []
    for name, table in RAW.items():
        if name not in counts:
            found += [] if shape == "tenure" else [(name, adds.of_table(name))]
            continue
        given = _columns(elsewhere, name)
        found += [
            (f"{name}.{column}", adds.of_column(name, column))
            for column in table.columns
            if column not in given
            and column != "recorded_at"
            and adds.can_be_given(name, column, shape)
        ]
    return [{"subject": subject, "adds": dict(more)} for subject, more in found if more]


def _columns(elsewhere: Paths, name: str) -> set[str]:
    months = sorted((elsewhere.ingest / name).glob("*.parquet"))
    place = months[0] if months else elsewhere.ingest / f"{name}.parquet"
    return set(store.column_names(place)) if place.is_file() else set()
