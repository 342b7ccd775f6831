"""Which column of an export is which of ours? The declared mapping against a header.

Nothing is matched by likeness: a name that is not there is an error that suggests the nearest.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.data.reading.files import DataError, RawFile
from pipeline.data.schema import Table
from pipeline.settings import SourceTable

MAPPED_IN = {
    "lookup": "the lookup's key and column",
    "mark": "the attribute's by",
    "merged_accounts": "source.merged_accounts, as from and into",
}
"""Where columns are mapped in exports that feed no table of their own."""


@dataclass(frozen=True)
class Choice:
    """The columns to read: our names, the places of theirs, and what nobody asked for."""

    ours: list[str]
    places: list[int]
    extra: list[str]


def choose(header: Sequence[str], table: Table, source: SourceTable | None) -> Choice:
    """The mapped columns that a header has, in the order of the declaration."""
    place = {name: number for number, name in enumerate(header)}
    mapped = _mapping(table, source)
    ours = [name for name, theirs in mapped.items() if theirs in place]
    used = {mapped[name] for name in ours}
    return Choice(
        ours, [place[mapped[name]] for name in ours], [name for name in header if name not in used]
    )


def problems(
    header: Sequence[str],
    table: Table,
    source: SourceTable | None,
    file: RawFile,
    is_strict: bool = False,
) -> list[str]:
    """What is wrong with a header, one sentence each: columns missing, or too many when strict."""
    found = []
    mapped = _mapping(table, source)
    missing = [
        f"{ours} (as {mapped[ours]!r}{_nearest(mapped[ours], header)})"
        for ours in mapped
        if mapped[ours] not in header
        and (ours in table.required_columns or (source and ours in source.columns))
        and not (source and ours in source.lookup)
    ]
    if missing:
        found.append(
            f"{file.name}: missing columns: {', '.join(missing)}. "
            f"The file has: {', '.join(header)}. "
            f"Map them in {MAPPED_IN.get(table.name, f'source.tables.{table.name}.columns')}."
        )
    extra = choose(header, table, source).extra
    if extra and is_strict:
        found.append(
            f"{file.name}: {len(extra)} columns that nobody declared: {', '.join(extra)}. "
            "source.strict refuses them: map them, carry them as attributes, or leave them out "
            "of the export."
        )
    return found


def check(
    header: Sequence[str],
    table: Table,
    source: SourceTable | None,
    file: RawFile,
    is_strict: bool = False,
) -> None:
    """DataError when a header cannot serve."""
    if found := problems(header, table, source, file, is_strict):
        raise DataError("\n".join(found))


def _mapping(table: Table, source: SourceTable | None) -> dict[str, str]:
    """Ours → theirs: declared columns, attributes and the columns that lookups go by."""
    mapped = {ours: ours for ours in table.columns}
    if source:
        mapped |= source.columns
        mapped |= {
            name: kept.column or name for name, kept in source.attributes.items() if not kept.file
        }
        mapped |= {kept.by: mapped.get(kept.by, kept.by) for kept in source.lookup.values()}
    return mapped


def _nearest(name: str, header: Sequence[str]) -> str:
    """The column that may have been meant: alike in case, width and spaces, else in letters."""
    plain = {_plain(each): each for each in reversed(header)}
    near = difflib.get_close_matches(_plain(name), list(plain), 1)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()
