"""Which export is which of our tables, and which of its columns is which of ours?

Takes exports as `peek` saw them; makes one `Match` per export and table that goes together. The
subtle point: a name alone convinces nobody. A column must also look as our kind of column does, and
a required column that is not found leaves a table without a match.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pipeline.data.peek import Glimpse
from pipeline.data.schema import RAW, SHAPES, Table
from pipeline.proposal import looks, vocabulary
from pipeline.proposal.looks import Look

EXACT, KNOWN_WORD, WORD_INSIDE, NEAR = 1.0, 0.9, 0.6, 0.5
"""How sure a name makes us: our own, one of the vocabulary, one inside a longer name, alike."""
ALIKE = 0.86
"""Ratio of difflib above which two names are alike; `signup_dat` and `signup_date` are."""
CANDIDATES = 400
"""Columns of an export that are compared; a wider one holds features, not facts."""
INTERVALS = "intervals"


@dataclass(frozen=True)
class Choice:
    """One of our columns and the column of theirs that is it."""

    ours: str
    theirs: str
    sure: float
    look: Look


@dataclass(frozen=True)
class Match:
    """An export read as one of our tables."""

    table: Table
    export: Glimpse
    choices: dict[str, Choice]
    shape: str = "intervals"
    lacking: tuple[str, ...] = ()
    """Required columns that nothing in the export looks like."""
    refused: tuple[str, ...] = ()
    """Columns whose names fit and whose cells do not, in words."""
    further: tuple[str, ...] = field(default=())
    """Columns of theirs that are none of ours."""

    @property
    def is_good(self) -> bool:
        """Everything that is required is there."""
        return not self.lacking

    @property
    def score(self) -> float:
        """How well the export fits the table: its name, what is required, what is there."""
        needed = self.table.required_columns
        required = [self.choices[name].sure for name in needed if name in self.choices]
        share = sum(required) / max(len(needed), 1)
        own = [choice.sure for name, choice in self.choices.items() if name not in needed]
        return 2 * share + _name_score(self.table.name, self.export) + 0.1 * sum(own)


def matched(exports: Iterable[Glimpse]) -> list[Match]:
    """At most one match per table, best first; an export is used once."""
    candidates = [
        as_table(export, table, shape) for export in exports for shape, table in _tables()
    ]
    good = [match for match in candidates if _is_likely(match)]
    good.sort(key=lambda match: (-match.score, match.export.file))
    found: dict[str, Match] = {}
    used: set[tuple[str, str | None]] = set()
    for match in good:
        place = (match.export.file, match.export.sheet)
        if match.table.name not in found and place not in used:
            found[match.table.name] = match
            used.add(place)
    return [found[name] for name in RAW if name in found]


def _tables() -> Iterator[tuple[str, Table]]:
    """Every raw table; subscriptions in each of their shapes."""
    yield from ((INTERVALS, table) for table in RAW.values())
    yield from SHAPES.items()


def _is_likely(match: Match) -> bool:
    """A whole table, or one named like ours with at least half of what is required."""
    is_named = _name_score(match.table.name, match.export) > 0
    needed = match.table.required_columns
    if match.shape == INTERVALS and match.table.is_required:
        n_found = len(needed) - len(match.lacking)
        return match.is_good or (is_named and n_found * 2 >= len(needed))
    return match.is_good and (is_named or match.table.is_required)


def as_table(export: Glimpse, table: Table, shape: str = INTERVALS) -> Match:
    """The export read as one table."""
    choices, refused = _choices(export, table)
    if table.name == "subscriptions" and shape == INTERVALS:
        choices = _numbered_by_account(choices, export)
    found_by_lookup = table.name != "accounts" and subscription_column(export)
    is_given = {"account_id"} if found_by_lookup or shape == "tenure" else set()
    lacking = [n for n in table.required_columns if n not in choices and n not in is_given]
    taken = {choice.theirs for choice in choices.values()}
    further = tuple(name for name in export.columns if name and name not in taken)
    return Match(table, export, choices, shape, tuple(lacking), tuple(refused), further)


def _numbered_by_account(choices: dict[str, Choice], export: Glimpse) -> dict[str, Choice]:
    """With one row per account, its account names the subscription too."""
    if "subscription_id" in choices or not {"account_id", "end_date"} <= set(choices):
        return choices
    ids = looks.full(export.columns[choices["account_id"].theirs])
    if len(set(ids)) < len(ids):
        return choices
    return choices | {"subscription_id": replace(choices["account_id"], ours="subscription_id")}


def subscription_column(export: Glimpse) -> str:
    """The column of an export that names a subscription; empty when there is none."""
    for name in list(export.columns)[:CANDIDATES]:
        if alike("subscription_id", name, "") >= KNOWN_WORD - 0.2:
            return name
    return ""


def _name_score(table: str, export: Glimpse) -> float:
    """1 when the name of the file or sheet says the table's word, less when among others."""
    stem = re.sub(r"(\.\w+)+$", "", export.file.rsplit("/", 1)[-1])
    name = looks.plain(export.sheet or stem)
    words = {word.rstrip("s") for word in name.split("_")} | {name.rstrip("s"), name}
    if table.rstrip("s") in words:
        return 1.0
    known = {word for word in vocabulary.TABLES[table]}
    return 0.7 if words & known or any(word in name for word in known if "_" in word) else 0.0


# Columns.


def _choices(export: Glimpse, table: Table) -> tuple[dict[str, Choice], list[str]]:
    """Each of our columns with the best of theirs; a column of theirs is used once."""
    pairs, refused = [], []
    for ours in table.columns:
        for theirs in list(export.columns)[:CANDIDATES]:
            sure = alike(ours, theirs, table.name)
            if not sure:
                continue
            look = _look(export, theirs, ours, table)
            if look.is_good:
                pairs.append(Choice(ours, theirs, sure, look))
            elif sure >= KNOWN_WORD:
                refused.append(_refusal(ours, theirs, look, export, table))
    return _each_once(pairs, table), refused


def _each_once(pairs: list[Choice], table: Table) -> dict[str, Choice]:
    pairs.sort(key=lambda pair: (-pair.sure, pair.ours not in table.required_columns))
    chosen: dict[str, Choice] = {}
    taken: set[str] = set()
    for pair in pairs:
        if pair.ours not in chosen and pair.theirs not in taken:
            chosen[pair.ours] = pair
            taken.add(pair.theirs)
    return chosen


def _look(export: Glimpse, theirs: str, ours: str, table: Table) -> Look:
    kind, cells = table.kind(ours), export.columns[theirs]
    if kind == "month":
        said = looks.full(cells)
        by_month = looks.months(said) if said else Look(1.0)
        return by_month if by_month.is_good else looks.month_marks(said)
    return looks.look(cells, kind, codes_of(table, ours), vocabulary.CODES.get(ours, {}))


def codes_of(table: Table, ours: str) -> tuple[str, ...]:
    """The codes that one of our columns takes; none when its list is open."""
    return table.columns[ours].values or ()


def _refusal(ours: str, theirs: str, look: Look, export: Glimpse, table: Table) -> str:
    why = looks.why_not(looks.full(export.columns[theirs]), table.kind(ours))
    if look.unknown:
        shown = ", ".join(repr(cell[:30]) for cell in look.unknown[:5])
        why = f"codes that are none of ours: {shown}"
    return (
        f"{theirs!r} sounds like {ours}, but only {look.share:.0%} of its cells can be read"
        f"{f': {why}' if why else ''}."
    )


def alike(ours: str, theirs: str, table: str) -> float:
    """How sure a name makes us that a column of theirs is ours; 0: it is not."""
    name = looks.plain(theirs)
    if not name or _is_refused(ours, name):
        return 0.0
    if name == ours:
        return EXACT
    words = (*vocabulary.COLUMNS.get(f"{table}.{ours}", ()), *vocabulary.COLUMNS.get(ours, ()))
    if name in words:
        place = words.index(name)
        return KNOWN_WORD - 0.2 * place / len(words)  # the first words are the surest
    if name in (f"{table.rstrip('s')}_{ours}", f"{table}_{ours}"):
        return KNOWN_WORD
    if name.endswith(f"_{ours}") or any(len(w) > 3 and name.endswith(f"_{w}") for w in words):
        return WORD_INSIDE
    ratio = difflib.SequenceMatcher(None, ours, name)
    is_near = len(ours) > 4 and ratio.quick_ratio() >= ALIKE and ratio.ratio() >= ALIKE
    return NEAR if is_near else 0.0


def _is_refused(ours: str, name: str) -> bool:
    words = set(name.split("_"))
    refused = vocabulary.REFUSED.get(ours, ())
    return any(word == name or word in words or f"_{word}" in name for word in refused)
