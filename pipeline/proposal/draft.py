"""What would params.yaml say of these exports, and what must a person decide?

Takes matches and exports; makes a `Draft`: one block of settings per table, the columns of the
company's own, and a list of doubts. The subtle point: whatever can be read in two ways is a doubt
and not a decision, and a column that may hold today's value is only ever offered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from pipeline.data.peek import Glimpse
from pipeline.data.schema import RAW
from pipeline.proposal import looks, matching, offered
from pipeline.proposal.matching import INTERVALS, KNOWN_WORD, Match
from pipeline.proposal.offered import Offered

STRATA = ("segment", "touch_model", "industry", "acquisition_channel", "country")
"""Columns of accounts that curves may be drawn by, the best first."""
FEWEST_LEVELS, MOST_LEVELS = 2, 8
MONTHS_IN_A_LIFE = 120
"""A tenure that never exceeds it is counted in months: ten years of days would be 3,650."""
CENTS = re.compile(r"(^|_)(cents?|minor|pence)($|_)")
CURRENCY_IN_NAME = re.compile(r"_(usd|eur|gbp|jpy|chf|cad|aud)$")


@dataclass
class TableDraft:
    """One block below source.tables."""

    match: Match
    settings: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """What is said beside a column: the share of cells that fit."""
    offered: list[Offered] = field(default_factory=list)


@dataclass
class Draft:
    """All that is proposed for one company."""

    company: str
    company_name: str
    currency: str
    tables: list[TableDraft]
    strata: list[str]
    marks: dict[str, tuple[str, str]]
    """Offered marks: name → file and the column of its accounts."""
    database: dict[str, str] = field(default_factory=dict)
    """`source.database`, as it stands in params.yaml."""
    unused: list[str] = field(default_factory=list)
    """Files that are none of our tables, with the reason."""

    @property
    def is_whole(self) -> bool:
        """Both required tables were found with all they need."""
        good = {draft.match.table.name for draft in self.tables if draft.match.is_good}
        return {name for name, table in RAW.items() if table.is_required} <= good


def drafted(exports: Sequence[Glimpse], refused: Sequence[str], company: str) -> Draft:
    """The draft of a company; `refused` are files that hold no table, as sentences."""
    together = grouped(exports)
    matches = _with_accounts(matching.matched(together))
    tables = [_table(match, matches) for match in matches]
    used = {match.export.file for match in matches}
    left = [export for export in together if export.file not in used]
    name = re.sub(r"[-_]+", " ", company).title()
    draft = Draft(company, name, _currency(matches), tables, _strata(matches), offered.marks(left))
    draft.unused = [*refused, *(f"{each.file}: none of our tables" for each in left)]
    return draft


def grouped(exports: Sequence[Glimpse]) -> list[Glimpse]:
    """Exports as they are; several that differ in the digits of their names only are one."""
    groups: dict[tuple, list[Glimpse]] = {}
    for export in exports:
        pattern = re.sub(r"\d+([-_.]?\d+)*", "*", export.file)
        groups.setdefault((pattern, export.sheet, tuple(export.columns)), []).append(export)
    return [
        _one(pattern, parts, exports) if len(parts) > 1 else parts[0]
        for (pattern, _, _), parts in groups.items()
    ]


def _one(pattern: str, parts: list[Glimpse], exports: Sequence[Glimpse]) -> Glimpse:
    """Files of one pattern as one export; a file caught by it that is another is a doubt."""
    first = parts[0]
    cells = {name: [c for part in parts for c in part.columns[name]] for name in first.columns}
    names = {part.file for part in parts}
    caught = [e.file for e in exports if e.file not in names and fnmatchcase(e.file, pattern)]
    doubts = [f"{pattern} also catches {', '.join(caught)}, which is another table."] * bool(caught)
    kinds = {(part.encoding, part.separator) for part in parts}
    if len(kinds) > 1:
        doubts.append(f"{pattern}: its files differ in encoding or separator; export them alike.")
    return replace(first, file=pattern, columns=cells, doubts=(*first.doubts, *doubts))


def _with_accounts(matches: list[Match]) -> list[Match]:
    """Accounts read from the file of subscriptions, where there is no file of accounts.

    Intervals must have one row per account for that; the other shapes name every account anyway.
    """
    found = {match.table.name: match for match in matches}
    own = found.get("subscriptions")
    if "accounts" in found or not own or not own.is_good:
        return matches
    accounts = matching.as_table(own.export, RAW["accounts"])
    taken = {pick.theirs for pick in own.choices.values() if pick.ours != "account_id"}
    choices = {name: pick for name, pick in accounts.choices.items() if pick.theirs not in taken}
    further = tuple(name for name in accounts.further if name not in taken)
    if own.shape != INTERVALS:
        choices.pop("account_id", None)
    elif "signed_up_date" not in choices and _is_once_each(own):
        choices["signed_up_date"] = replace(own.choices["start_date"], ours="signed_up_date")
    lacking = tuple(name for name in accounts.lacking if name not in choices)
    if own.shape == INTERVALS and (lacking or not _is_once_each(own)):
        return matches
    kept = replace(accounts, choices=choices, lacking=(), further=further, shape=own.shape)
    return [kept, *matches]


def _is_once_each(match: Match) -> bool:
    ids = looks.full(cells(match, "account_id"))
    return len(set(ids)) == len(ids)


# One table.


def _table(match: Match, matches: list[Match]) -> TableDraft:
    draft = TableDraft(match)
    said = draft.settings
    is_own = match.table.name != "accounts" or match.shape == INTERVALS
    said |= _place(match) if is_own else {}
    said |= {key: value for key, value in _formats(match) if value}
    said["columns"] = _columns(match)
    if values := _values(match):
        said["values"] = values
    if lookup := _lookup(match, matches):
        said["columns"] |= lookup[1]
        said["lookup"] = lookup[0]
    draft.notes = {name: _note(match, name) for name in match.choices}
    if match.table.name == "accounts":
        draft.offered = list(offered.columns(match))
    return draft


def _place(match: Match) -> dict[str, Any]:
    """Where the rows are and how they are written."""
    export = match.export
    said: dict[str, Any] = {"table" if export.is_of_database else "file": export.file}
    said |= {"sheet": export.sheet} if export.sheet else {}
    said |= {"encoding": export.encoding} if export.encoding != "utf-8" else {}
    said |= {"separator": export.separator} if export.separator != "," else {}
    said |= {"shape": match.shape} if match.shape != INTERVALS else {}
    said |= {"tenure_unit": tenure_unit(match)} if match.shape == "tenure" else {}
    return said


def _columns(match: Match) -> dict[str, str]:
    columns = {name: pick.theirs for name, pick in match.choices.items() if pick.theirs != name}
    is_numbered = match.shape == "tenure" and match.table.name == "subscriptions"
    if is_numbered and "account_id" not in match.choices:
        columns = {"account_id": "row"} | columns
    return columns


def _formats(match: Match) -> Iterator[tuple[str, Any]]:
    choices = match.choices.values()
    layouts = {
        pick.ours: pick.look.date_format
        for pick in choices
        if pick.look.date_format is not None and not match.export.is_typed
    }
    said = {ours: layout for ours, layout in layouts.items() if layout}
    if said and len(set(layouts.values())) == 1:
        yield "date_format", next(iter(said.values()))
    elif said:
        yield "date_format", said
    yield "decimal", next((pick.look.decimal for pick in choices if pick.look.decimal), None)
    yield "thousands", next((pick.look.thousands for pick in choices if pick.look.thousands), None)
    yield "units", {"mrr": "cents"} if is_in_cents(match) else None
    yield "null_values", _null_values(match)
    if "end_date" in match.choices:
        yield "open_ended", looks.open_ends(cells(match, "end_date"))


def _null_values(match: Match) -> list[str]:
    """Words for nothing, in columns that are no text."""
    found = set()
    for name in match.choices:
        if kind(match, name) not in ("text", "id"):
            found |= set(looks.empty_words(cells(match, name)))
    return sorted(found)


def kind(match: Match, ours: str) -> str:
    """The kind by which a column of ours is read."""
    return match.table.kind(ours)


def cells(match: Match, ours: str) -> list[str]:
    """The cells that the export has for a column of ours."""
    return match.export.columns[match.choices[ours].theirs]


def _values(match: Match) -> dict[str, dict[str, str]]:
    values = {pick.ours: pick.look.values for pick in match.choices.values() if pick.look.values}
    if "currency" in match.choices:
        codes = set(looks.full(cells(match, "currency")))
        small = {code: code.upper() for code in sorted(codes) if code != code.upper()}
        values |= {"currency": small} if small else {}
    return values


def _lookup(match: Match, matches: list[Match]) -> tuple[dict, dict[str, str]] | None:
    """The account of an event, by the subscription that the export names instead."""
    if "account_id" in match.choices or match.table.name in ("accounts", "subscriptions"):
        return None
    if "account_id" not in match.table.columns:
        return None
    own = next((each for each in matches if each.table.name == "subscriptions"), None)
    theirs = matching.subscription_column(match.export)
    if not own or not theirs or "subscription_id" not in own.choices:
        return None
    mapped = {} if theirs == "subscription_id" else {"subscription_id": theirs}
    return {"account_id": {"table": "subscriptions", "by": "subscription_id"}}, mapped


def _note(match: Match, ours: str) -> str:
    pick = match.choices[ours]
    parts = [] if pick.sure >= KNOWN_WORD - 0.2 else ["? by a part of its name"]
    if pick.look.date_format is not None and not match.export.is_typed:
        parts.append(f"{pick.look.share:.1%} are {pick.look.date_format or 'ISO dates'}")
    elif pick.look.share < 1:
        parts.append(f"{pick.look.share:.1%} can be read")
    return ", ".join(parts)


def tenure_unit(match: Match) -> str:
    """Days or months, by the column's name, else by the longest."""
    name = looks.plain(match.choices["tenure"].theirs)
    if "day" in name or "month" in name:
        return "days" if "day" in name else "months"
    return "months" if max(_numbers(match, "tenure"), default=0) <= MONTHS_IN_A_LIFE else "days"


def _numbers(match: Match, ours: str) -> list[float]:
    found = []
    for cell in looks.full(cells(match, ours)):
        if looks.POINT.fullmatch(cell):
            found.append(float(cell))
    return found


def is_in_cents(match: Match) -> bool:
    """True when the column of MRR calls itself cents."""
    return "mrr" in match.choices and bool(CENTS.search(looks.plain(match.choices["mrr"].theirs)))


# The company.


def _currency(matches: list[Match]) -> str:
    """The commonest currency of the subscriptions, else one in a column's name, else USD."""
    for match in matches:
        if match.table.name == "subscriptions" and "currency" in match.choices:
            codes = Counter(cell.upper() for cell in looks.full(cells(match, "currency")))
            legal = [code for code, _ in codes.most_common() if re.fullmatch("[A-Z]{3}", code)]
            if legal:
                return legal[0]
    for match in matches:
        for name in match.export.columns:
            if found := CURRENCY_IN_NAME.search(looks.plain(name)):
                return found[1].upper()
    return "USD"


def _strata(matches: list[Match]) -> list[str]:
    """Columns of accounts with a handful of levels, at most two."""
    accounts = next((each for each in matches if each.table.name == "accounts"), None)
    found: list[str] = []
    for name in STRATA:
        if accounts and name in accounts.choices:
            levels = len(set(looks.full(cells(accounts, name))))
            found += [name] if FEWEST_LEVELS <= levels <= MOST_LEVELS else []
    return found[:2]
