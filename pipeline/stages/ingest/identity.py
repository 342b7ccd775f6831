"""Which spellings are one id, and which accounts are one account? By declared policy only.

Ids are text and stay text. Where the policy of `source.ids` changes a cell, the cell as written
stands beside it, so that the row can be counted and shown. A table of account mergers re-keys every
table; the subtle point: mergers chain (A into B, B into C), and a circle has no end.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.data import reading, store
from pipeline.data.reading import EXAMPLES, FILE, LINE, DataError
from pipeline.data.schema import Table
from pipeline.data.schema.table import column, table
from pipeline.settings import Ids, MergedAccounts, Paths, SourceTable
from pipeline.stages.rules import TEXT

UNSEEN = r"[\x{00AD}\x{180E}\x{200B}-\x{200F}\x{2060}-\x{2064}\x{FEFF}]"
"""Characters of Unicode that take no place: soft hyphen, zero-width spaces, joiners, marks."""
RESPELLED, MERGED_FROM = "row__respelled", "row__merged_from"
OF_ACCOUNT = ("account_id", "referred_account_id")
"""Columns that name an account."""
MERGERS = table(
    "merged_accounts",
    "one row per merger",
    ("account_id",),
    {
        "account_id": column("id", "The account that was merged away.", must=True),
        "into": column("id", "The account as which it goes on.", must=True),
    },
)


def spelled(cells: pa.ChunkedArray, ids: Ids) -> pa.ChunkedArray:
    """Ids as the policy writes them; empty cells stay empty."""
    is_ascii = pc.all(pc.string_is_ascii(cells)).as_py() in (True, None)
    if is_ascii:
        return pc.utf8_trim_whitespace(cells) if ids.trim else cells
    if ids.normalise != "none":
        cells = pc.utf8_normalize(cells, form=ids.normalise)
    if ids.trim:
        cells = pc.utf8_trim_whitespace(pc.replace_substring_regex(cells, UNSEEN, ""))
    return cells


def keyed(text: pa.Table, table: Table, ids: Ids, mergers: dict[str, str]) -> pa.Table:
    """The text with ids by policy and accounts by merger; what changed stands beside.

    `row__respelled`: the policy changed an id of the row. `row__merged_from`: the account that the
    row named, when it goes on as another.
    """
    names = [name for name in text.column_names if name in table.columns]
    respelled = pa.chunked_array([pa.repeat(False, text.num_rows)])
    for name in (name for name in names if table.kind(name) == "id"):
        written, cells = text[name], spelled(text[name], ids)
        is_other = pc.fill_null(pc.not_equal(written, cells), False)
        respelled = pc.or_(respelled, is_other)
        text = text.append_column(name + TEXT, written)
        text = text.set_column(text.column_names.index(name), name, cells)
    text = text.append_column(RESPELLED, respelled)
    return _rekeyed(text, mergers) if mergers else text


def _rekeyed(text: pa.Table, mergers: dict[str, str]) -> pa.Table:
    before = pa.array(list(mergers), pa.string())
    after = pa.array(list(mergers.values()), pa.string())
    merged_from = pa.nulls(text.num_rows, pa.string())
    for name in (name for name in OF_ACCOUNT if name in text.column_names):
        cells = text[name]
        target = pc.take(after, pc.index_in(cells, before))
        if name == OF_ACCOUNT[0]:
            merged_from = pc.if_else(pc.is_valid(target), cells, None)
        text = text.set_column(text.column_names.index(name), name, pc.coalesce(target, cells))
    return text.append_column(MERGED_FROM, merged_from)


def mergers_of(declared: MergedAccounts | None, ids: Ids, paths: Paths) -> dict[str, str]:
    """Each account that was merged away and where it ends; empty when none is declared.

    DataError names the lines of an account that goes two ways or round in a circle.
    """
    if not declared:
        return {}
    own = reading.find_named("source.merged_accounts.file", declared.file, paths.raw)
    if not own:
        raise store.MissingDataError(
            f"merged_accounts: the export {paths.raw / declared.file} is not there."
        )
    source = SourceTable(
        file=declared.file, columns={"account_id": declared.from_column, "into": declared.into}
    )
    text = reading.read_whole(MERGERS, source, own)
    rows = zip(
        *(spelled(text[name], ids).to_pylist() for name in ("account_id", "into")),
        text[FILE].to_pylist(),
        text[LINE].to_pylist(),
        strict=True,
    )
    return _resolved(rows)


def _resolved(rows: Iterable[tuple[str, str, str, int]]) -> dict[str, str]:
    """Chains followed to their end."""
    steps: dict[str, str] = {}
    places: dict[str, str] = {}
    for before, after, file, line in rows:
        place = f"{file} line {line}"
        if not before or not after:
            raise DataError(f"{place}: a merger needs both accounts; write `from` and `into`.")
        if steps.setdefault(before, after) != after:
            raise DataError(
                f"{place}: {before} is merged into {after}, but {places[before]} says into "
                f"{steps[before]}. An account goes on as one other; mend the export."
            )
        places.setdefault(before, place)
    return {before: _end(before, steps, places) for before in steps}


def _end(account: str, steps: dict[str, str], places: dict[str, str]) -> str:
    seen = [account]
    while seen[-1] in steps:
        seen.append(steps[seen[-1]])
        if seen[-1] in seen[:-1]:
            circle = seen[seen.index(seen[-1]) :][: EXAMPLES + 1]
            raise DataError(
                f"merged_accounts goes round in a circle: {' into '.join(circle)} "
                f"({places[circle[0]]}). Say which account goes on."
            )
    return seen[-1]


def check_survivors(mergers: dict[str, str], accounts: set[str]) -> None:
    """DataError when an account ends in one that accounts does not have."""
    lost = sorted(f"{old} into {new}" for old, new in mergers.items() if new not in accounts)
    if lost:
        raise DataError(
            f"merged_accounts: {len(lost)} accounts go on as one that accounts does not have: "
            f"{', '.join(lost[:EXAMPLES])}. Add the account or take the merger out."
        )
