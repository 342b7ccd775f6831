"""Which columns of the company's own could groups be made of? Offered, never taken.

Takes what `matching` left over; makes attributes and marks for a person to choose. The subtle
point: only a person knows whether a column held its value at sign-up or holds today's, which may
know the future; so all are offered as of today, the choice that no driver is made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.data.peek import Glimpse
from pipeline.data.schema import RAW
from pipeline.proposal import looks, matching
from pipeline.proposal.matching import KNOWN_WORD, Match

FEWEST_LEVELS = 2
MOST_CATEGORIES = 50
"""Different values above which a column is an id or a free text, no group."""


@dataclass(frozen=True)
class Offered:
    """A column of the company's own that may become an attribute."""

    name: str
    column: str
    type: str


def columns(match: Match) -> Iterator[Offered]:
    """Columns of the company's own with as few values as groups have, or with dates or numbers."""
    taken: set[str] = set(RAW["accounts"].columns)
    for theirs in match.further:
        said = looks.full(match.export.columns[theirs])
        levels = set(said)
        if len(levels) < FEWEST_LEVELS:
            continue
        kind = _attribute_type(said, levels)
        name = _attribute_name(theirs, taken)
        if kind and name:
            taken.add(name)
            yield Offered(name, theirs, kind)


def _attribute_type(said: Sequence[str], levels: set[str]) -> str:
    if {level.lower() for level in levels} <= set(looks.READ_AS_FLAGS):
        return "flag"
    if looks.dates(said).share == 1 and looks.dates(said).date_format == looks.ISO:
        return "date"
    if len(levels) <= MOST_CATEGORIES // 2:
        return "category"
    if looks.numbers(said).share == 1:
        return "number"
    is_group = len(levels) <= MOST_CATEGORIES and len(levels) * 2 < len(said)
    return "category" if is_group else ""


def _attribute_name(theirs: str, taken: set[str]) -> str:
    """A name for params.yaml; empty when none can be made of theirs."""
    name = re.sub(r"[^a-z0-9_]", "", looks.plain(theirs))
    if not name or not name[0].isalpha():
        return ""
    while name in taken:
        name = f"own_{name}"
    return name


def marks(left: list[Glimpse]) -> dict[str, tuple[str, str]]:
    """Files beside our tables that name accounts: each could mark the accounts it names.

    A table of a database is none: a mark is read from a file.
    """
    found = {}
    for export in left:
        if export.is_of_database:
            continue
        for theirs in list(export.columns)[: matching.CANDIDATES]:
            if matching.alike("account_id", theirs, "") >= KNOWN_WORD - 0.1:
                stem = looks.plain(re.sub(r"(\.\w+)+$", "", export.file.rsplit("/", 1)[-1]))
                name = re.sub(r"[^a-z0-9_]", "", f"has_{stem}")
                found[name] = (export.file, theirs)
                break
    return found
