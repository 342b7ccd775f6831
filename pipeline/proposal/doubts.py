"""What must a person decide before the proposal may be used? One sentence per doubt.

Takes a draft; makes sentences that name the file, the column and what to look at. The subtle point:
a doubt is about something that would go unnoticed, because the cells can be read either way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.data.schema import RAW
from pipeline.proposal import looks, matching
from pipeline.proposal.draft import Draft, cells, is_in_cents, kind, tenure_unit
from pipeline.proposal.matching import INTERVALS, Match

BEGINS_TOGETHER, FEWEST_STARTS = 0.05, 20
"""Share and number of rows that start on the first day of all, above which the data may begin in
mid-life."""
PRICE_ENDS = ("00", "99", "90", "50")
COLUMNS_SHOWN = 15


def doubts(draft: Draft) -> list[str]:
    """Every doubt, those that stop a run first."""
    matches = [table.match for table in draft.tables]
    found = [*_missing(matches)]
    for match in matches:
        where = f"{match.export.file} ({match.table.name})"
        found += match.export.doubts
        for pick in match.choices.values():
            found += _column_doubts(where, match, pick)
        found += [f"{where}: {sentence}" for sentence in match.refused]
        found += _table_doubts(where, match)
    found += _company_doubts(draft)
    return list(dict.fromkeys(found))


def _missing(matches: list[Match]) -> Iterator[str]:
    found = {match.table.name: match for match in matches}
    for name, table in RAW.items():
        if not table.is_required:
            continue
        shape = found["subscriptions"].shape if "subscriptions" in found else ""
        if name not in found and not (name == "accounts" and shape == "tenure"):
            needed = ", ".join(table.required_columns)
            yield f"No file looks like {name}. It needs {needed}; without it there is no report."
    for match in matches:
        if match.lacking:
            yield (
                f"{match.export.file}, taken for {match.table.name}: nothing looks like "
                f"{', '.join(match.lacking)}. Its columns: {_some(match.further)}."
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - COLUMNS_SHOWN} more" if len(names) > COLUMNS_SHOWN else ""
    return ", ".join(names[:COLUMNS_SHOWN]) + more


def _column_doubts(where: str, match: Match, pick: matching.Choice) -> Iterator[str]:
    if pick.sure < matching.WORD_INSIDE + 0.1:
        yield f"{where}: is {pick.theirs!r} really {pick.ours}? Only a part of the name says so."
    same = [layout or "ISO" for layout in pick.look.also]
    if same and not match.export.is_typed:
        yield (
            f"{where}: every date of {pick.theirs!r} also fits {', '.join(same)}; "
            f"{pick.look.date_format or 'ISO'} was taken. Ask who exports it."
        )
    if pick.look.share < 1 and pick.look.odd:
        shown = ", ".join(repr(cell[:30]) for cell in pick.look.odd)
        is_open = kind(match, pick.ours) in ("day", "instant", "money", "number", "count", "flag")
        if is_open or matching.codes_of(match.table, pick.ours):
            yield (
                f"{where}: {1 - pick.look.share:.1%} of {pick.theirs!r} cannot be read as "
                f"{pick.ours}, like {shown}. Such rows go to quarantine."
            )


def _table_doubts(where: str, match: Match) -> Iterator[str]:
    choices = match.choices
    if not match.export.is_whole:
        yield f"{where}: only its first {match.export.n_rows:,} rows were looked at."
    if "mrr" in choices and not is_in_cents(match):
        amounts = looks.full(cells(match, "mrr"))
        whole = [cell for cell in amounts if cell.lstrip("-").isdigit() and len(cell) > 3]
        round_ends = [cell for cell in whole if cell.endswith(PRICE_ENDS)]
        if amounts and len(round_ends) > 0.6 * len(amounts):
            yield (
                f"{where}: are the amounts of {choices['mrr'].theirs!r} in cents? All are whole "
                "and end like prices. If so, add units: {mrr: cents}."
            )
    named = looks.plain(choices["mrr"].theirs) if "mrr" in choices else "mrr"
    if "mrr" not in named and "month" not in named:
        yield f"{where}: is {choices['mrr'].theirs!r} an amount per month? mrr must be one."
    if "tenure" in choices:
        unit = tenure_unit(match)
        yield f"{where}: is {choices['tenure'].theirs!r} counted in {unit}? tenure_unit says so."
        yield f"{where}: when was it taken? A flat file has no date: set extract_date to that day."
    if match.shape != INTERVALS and match.table.name == "subscriptions":
        yield f"{where}: read as shape {match.shape}; docs/data.md says what that supports."
    if "start_date" in choices and match.table.name == "subscriptions":
        days = Counter(looks.full(cells(match, "start_date")))
        first, n = max(days.items(), key=lambda pair: pair[1], default=("", 0))
        if n > BEGINS_TOGETHER * sum(days.values()) and n > FEWEST_STARTS:
            yield (
                f"{where}: {n:,} rows start on {first}. If your billing data begin then and "
                "customers are older, set observation_start."
            )


def _company_doubts(draft: Draft) -> Iterator[str]:
    own = next((t.match for t in draft.tables if t.match.table.name == "subscriptions"), None)
    codes = set()
    if own and "currency" in own.choices:
        codes = {cell.upper() for cell in looks.full(cells(own, "currency"))}
    if len(codes) > 1:
        others = ", ".join(sorted(codes - {draft.currency}))
        yield f"Several currencies ({others} beside {draft.currency}): give their rates in fx."
    elif not codes and own and "mrr" in own.choices:
        yield f"No column says the currency; {draft.currency} was taken."
    yield "timezone: in which zone does a business day of yours begin? UTC was taken."
