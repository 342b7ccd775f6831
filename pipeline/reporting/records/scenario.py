"""How does a scenario differ from what was published? Numbers and tables, side by side.

Reads a published report, or else what the last run left of the chapter, and the files that a
scenario kept. Makes one mapping per headline and contrast, and one per table. The subtle point: a
report may stand on another snapshot, or on other code; then a part of the difference is theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.reporting import words
from pipeline.reporting.records import claims, record
from pipeline.settings import Paths, Period

FILE_NAME = "scenario.json"
NUMBER = ("estimate", "ci_low", "ci_high", "n", "state", "note")
"""What is set side by side of a headline or a contrast."""
FILLED_LATER = {"revenue.mrr_bridge": "mrr_end_first_published"}
"""Columns that a publication fills in; a scenario has none."""


@dataclass(frozen=True)
class Standing:
    """What stands of a chapter and month now: where it was found, its numbers, its tables.

    `note` says what else than the scenario may make it differ; empty: nothing does.
    """

    where: str
    headline: Sequence[Mapping[str, Any]]
    claims: Sequence[Mapping[str, Any]]
    tables: Path
    note: str = ""


def standing(name: str, period: Period, paths: Paths) -> Standing | None:
    """What was published of a chapter and month, else what the last run left, else None."""
    return _published(name, period, paths) or _processed(name, period, paths)


def _published(name: str, period: Period, paths: Paths) -> Standing | None:
    folder = paths.report(period)
    report = record.read(folder / record.FILE_NAME)
    if report is None or report["company"] != paths.company or name not in report["chapters"]:
        return None
    return Standing(
        where=f"{_named(folder / record.FILE_NAME, paths)} ({report['status']}, revision "
        f"{report['revision']})",
        headline=_of(name, report["headline"]),
        claims=_of(name, report["claims"]),
        tables=folder / "tables",
        note=_differs(report["provenance"], period, paths),
    )


def _processed(name: str, period: Period, paths: Paths) -> Standing | None:
    place, folder = paths.headline(name, period), paths.chapter(name, period)
    if not place.is_file() or not (folder / record.END_MARKER).is_file():
        return None
    kept = store.read_json(place)
    where = f"{_named(place, paths)} (not published yet)"
    return Standing(where, kept["headline"], kept["claims"], folder / "tables")


def _named(path: Path, paths: Paths) -> str:
    return path.relative_to(paths.root).as_posix()


def _of(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["chapter"] == name]


def _differs(provenance: Mapping[str, Any], period: Period, paths: Paths) -> str:
    """That a report stands on another snapshot or on other code, if it does."""
    now = {
        "another snapshot": record.slice_hash(record.inputs_of(period, paths)),
        "other code": record.code_hash(paths.root),
    }
    then = {
        "another snapshot": provenance["slice_sha256"], "other code": provenance["code_sha256"],
    }  # fmt: skip
    other = [what for what, digest in now.items() if digest != then[what]]
    return f"It stands on {words.listing(other)}: a part of what differs may be that." * bool(other)


# Numbers.


def numbers(
    before: Standing | None, headline: Sequence[Mapping[str, Any]], cards: Sequence[Mapping]
) -> list[dict[str, Any]]:
    """One mapping per headline, then per primary contrast, with what stands and what was found.

    Its keys: kind, name, label, unit, published, scenario (each with NUMBER, or None), change.

    Args:
        before: what stands; None: nothing does.
        headline: the scenario's headlines.
        cards: the scenario's claim cards.
    """
    old, old_cards = (before.headline, before.claims) if before else ([], [])
    rows = _side_by_side("headline", old, headline)
    return rows + _side_by_side("contrast", _contrasts(old_cards), _contrasts(cards))


def _contrasts(cards: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [card for card in cards if card["kind"] == claims.CONTRAST]


def _side_by_side(
    kind: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    was, is_now = ({row["name"]: row for row in rows} for rows in (old, new))
    made = []
    for name in dict.fromkeys([*was, *is_now]):
        either = is_now.get(name) or was[name]
        published, scenario = _number(was.get(name)), _number(is_now.get(name))
        made.append(
            {
                "kind": kind,
                "name": name,
                "label": _label(kind, either),
                "unit": either["unit"],
                "published": published,
                "scenario": scenario,
                "change": _change(published, scenario),
            }
        )
    return made


def _label(kind: str, row: Mapping[str, Any]) -> str:
    return row["label"] if kind == "headline" else f"Contrast: {words.label(row['statement'])}"


def _number(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {key: row.get(key) for key in NUMBER}


def _change(
    published: Mapping[str, Any] | None, scenario: Mapping[str, Any] | None
) -> float | None:
    if published is None or scenario is None:
        return None
    then, now = published["estimate"], scenario["estimate"]
    return None if then is None or now is None else record.plain(now - then)


# Tables.


def tables(name: str, before: Standing | None, folder: Path) -> list[dict[str, Any]]:
    """One mapping per table of the chapter, in order of its name.

    table, n_rows_published, n_rows (null: there is none), n_rows_gone (published ones that the
    scenario lacks), n_rows_new, n_cells (that differ; null unless rows and columns are as many).
    """
    pattern = f"{name}.*.csv"
    was = _files(before.tables, pattern) if before else {}
    is_now = _files(folder / "tables", pattern)
    return [_compared(stem, was.get(stem), is_now.get(stem)) for stem in sorted({*was, *is_now})]


def _files(folder: Path, pattern: str) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob(pattern)}


def _compared(table: str, was: Path | None, is_now: Path | None) -> dict[str, Any]:
    old, new = (_rows(table, path) for path in (was, is_now))
    gone, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
    shape_is_same = [len(row) for row in old] == [len(row) for row in new]
    cells = [
        one != other
        for before, after in zip(old, new, strict=False)
        for one, other in zip(before, after, strict=False)
    ]
    return {
        "table": table,
        "n_rows_published": len(old) if was else None,
        "n_rows": len(new) if is_now else None,
        "n_rows_gone": gone.total(),
        "n_rows_new": added.total(),
        "n_cells": sum(cells) if was and is_now and shape_is_same else None,
    }


def _rows(table: str, path: Path | None) -> list[tuple[tuple[str, str], ...]]:
    """Each row as (column, cell) pairs, without what a publication fills in."""
    left_out = FILLED_LATER.get(table)
    rows = store.read_published_rows(path) if path else []
    return [tuple((key, cell) for key, cell in row.items() if key != left_out) for row in rows]
