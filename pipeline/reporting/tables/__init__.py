"""How is a table shown? Rows as an HTML table that every reader can follow, escaped and formatted.

Made by great_tables, which escapes what it shows; its own style sheet is left out because ours
themes the page. Nothing here opens a file. Which columns there are, and in which words, is told by
`columns`. The subtle points: rows that belong together stand under a head of their own, and a long
table is two, so that the page can fold the second. And great_tables, which takes a millisecond for
a cell, draws one row, the pattern of all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.reporting import escaping, words
from pipeline.reporting.tables.columns import (
    FORMATS,
    TEXT,
    Column,
    cell,
    formatted,
    kinds_of,
)

if TYPE_CHECKING:
    from great_tables import GT

MOST_ROWS = 60
"""Longer tables show their beginning; the file under them holds every row."""
FOLDED_AFTER, FEWEST_FOLDED = 15, 5
"""Rows that stand open; a table is folded when at least so many more follow."""
REFERENCE = "reference"
TABLE_START = re.compile(r'<table class="gt_table"[^>]*>')
PATTERN = re.compile(
    r'(  <tr class="gt_group_heading_row">\n.*\n  </tr>\n)?(  <tr>\n(?:    <t[hd] .*\n)+  </tr>)'
)
"""A head, if there is one, and a row under it."""
NEXT_BODY = '\n  </tbody>\n<tbody class="gt_table_body">\n'
GROUP_ID, ROW_ID = re.compile(r'-g0(?=[ "])'), re.compile(r'-stub-1(?=[ "])')
CELL = re.compile(r"(?<=>)c(\d+)(?=</t[hd]>)")
SLUG_GAP = re.compile(r"[^a-z0-9]+")
Spans = Mapping[str, Mapping[str, str]]
"""Head over columns → column (of an interval its lower limit) → head under it."""


def table(
    frame: pd.DataFrame,
    *,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    currency: str = "",
    most_rows: int = MOST_ROWS,
) -> str:
    """The rows as an HTML table with caption and scopes; the first column names its row.

    Args:
        frame: any tidy rows.
        name: fixed id of the table, unique on its page.
        caption: what the table shows, as text.
        formats: column → one of columns.FORMATS; other columns go by name and type, limits by the
            estimate before them.
        currency: said before money.
        most_rows: rows shown.

    Raises:
        ValueError: a format that nobody knows, or for a column that is not there.
    """
    _check(frame, formats or {}, ())
    shown = frame.head(most_rows)
    found = formatted(shown, formats or {}, currency) if len(shown) else []
    return _drawn(found, [], {}, slice(None), name, caption)


def of_columns(found: Sequence[Column], *, name: str, caption: str) -> str:
    """Columns whose words are chosen already, as an HTML table.

    Args:
        found: from `columns.formatted`, or made by hand; each has as many cells.
        name: fixed id of the table, unique on its page.
        caption: what the table shows, as text.
    """
    return _drawn(found, [], {}, slice(None), name, caption)


def folded(
    frame: pd.DataFrame,
    *,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    currency: str = "",
    by: Sequence[str] = (),
    spans: Spans | None = None,
) -> tuple[str, str, int]:
    """A table, what of it is folded as a second one (or nothing), and how many rows that has.

    Args:
        frame: any tidy rows.
        name: fixed id of the table, unique on its page.
        caption: what the table shows, as text.
        formats: as in `table`.
        currency: said before money.
        by: columns whose values stand as a head over the rows that share them; of a reference it
            says `against`.
        spans: heads over columns that belong together.

    Raises:
        ValueError: a format that nobody knows, or a column that is not there.
    """
    spans = spans or {}
    named = [column for under in spans.values() for column in under]
    _check(frame, formats or {}, [*by, *named])
    rows = _together(frame, by).head(MOST_ROWS)
    if rows.empty:
        return _drawn([], [], {}, slice(None), name, caption), "", 0
    found = formatted(rows.drop(columns=list(by)), formats or {}, currency)
    heads = _heads(rows, by, formats or {}, currency)
    cut = _cut(heads, len(rows))
    first = _drawn(found, heads, spans, slice(0, cut), name, caption)
    if cut == len(rows):
        return first, "", 0
    more = f"{caption}, rows {cut + 1} to {len(rows)}"
    rest = _drawn(found, heads, spans, slice(cut, None), f"{name}-more", more)
    return first, rest, len(rows) - cut


def _together(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows that share a head one after the other, the heads in the order in which they come."""
    if not by:
        return frame
    place = frame.groupby(list(by), sort=False, dropna=False).ngroup().to_numpy()
    return frame.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def _heads(
    rows: pd.DataFrame, by: Sequence[str], formats: Mapping[str, str], currency: str
) -> list[str]:
    """The head of each row: `Segment, against smb`; a number is named."""
    kinds = kinds_of(rows, formats)
    said = []
    for values in rows[list(by)].to_dict("records"):
        parts = [
            _head_part(str(column), value, kinds[column], currency)
            for column, value in values.items()
            if not words.is_missing(value)
        ]
        said.append(", ".join(part for part in parts if part))
    return said if by else []


def _head_part(column: str, value: Any, kind: str, currency: str) -> str:
    if kind != TEXT:
        return f"{words.label(column)} {cell(value, kind, currency)}"
    return f"against {cell(value, kind)}" if column == REFERENCE else words.label(value)


def _cut(heads: Sequence[str], rows: int) -> int:
    """After how many rows the rest is folded: where a head begins, when one is near."""
    if rows < FOLDED_AFTER + FEWEST_FOLDED:
        return rows
    begins = [at for at in range(1, len(heads)) if heads[at] != heads[at - 1]]
    near = [at for at in begins if FOLDED_AFTER / 2 <= at <= FOLDED_AFTER]
    return near[-1] if near else FOLDED_AFTER


def _drawn(
    found: Sequence[Column],
    heads: Sequence[str],
    spans: Spans,
    rows: slice,
    name: str,
    caption: str,
) -> str:
    """Some rows of the columns as one table."""
    if not found:
        return _empty(name, caption)
    keys = {column.name: f"c{place}" for place, column in enumerate(found)}
    under = {column: head for each in spans.values() for column, head in each.items()}
    labels = {keys[column.name]: under.get(column.name, column.head) for column in found}
    from great_tables import GT  # half a second of loading that finding nothing to do need not

    pattern = pd.DataFrame([{key: key for key in [*labels, *(["g0"] if heads else [])]}])
    made = GT(pattern, id=name, rowname_col="c0", groupname_col="g0" if heads else None)
    made = made.cols_label({**labels}).tab_stubhead(labels["c0"])
    for span, members in spans.items():
        if shown := [keys[column] for column in members if column in keys]:
            made = made.tab_spanner(span, columns=shown)
    numeric = [keys[column.name] for column in found if column.is_number]
    drawn = _aligned(made, list(labels), numeric).as_raw_html()
    cells = list(zip(*(column.cells[rows] for column in found), strict=True))
    markup = _filled(drawn, cells, heads[rows] or [""] * len(cells))
    return _ours(markup, name, caption, "c0" in numeric)


def _filled(drawn: str, cells: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    """The pattern again for every row, those that share a head in one body of the table."""
    found = PATTERN.search(drawn)
    if found is None:
        raise RuntimeError("great_tables wrote no row as a <tr> of its cells: look at its version.")
    before, after, row = drawn[: found.start()], drawn[found.end() :], found[2]
    group = (found[1] or "").replace('scope="colgroup"', 'scope="rowgroup"')
    bodies = []
    for place, head in enumerate(dict.fromkeys(heads)):
        start, under = (GROUP_ID.sub(f"-g{place}", each) for each in (group, row))
        own = [number for number, each in enumerate(heads) if each == head]
        rows = "\n".join(_row(under, cells[at], at + 1) for at in own)
        bodies.append(start.replace(">g0<", f">{escape(head)}<") + rows)
    return before + NEXT_BODY.join(bodies) + after


def _row(pattern: str, cells: Sequence[str], number: int) -> str:
    numbered = ROW_ID.sub(f"-stub-{number}", pattern)
    return CELL.sub(lambda cell: escape(cells[int(cell[1])]), numbered)


def _aligned(made: GT, names: Sequence[str], numeric: Sequence[str]) -> GT:
    texts = [name for name in names if name not in numeric and name != "c0"]
    right = [name for name in numeric if name != "c0"]
    made = made.cols_align("left", columns=texts) if texts else made
    return made.cols_align("right", columns=right) if right else made


def _ours(markup: str, name: str, caption: str, numbers_first: bool) -> str:
    """Only the table element, with our id and caption."""
    start = TABLE_START.search(markup)
    if start is None:
        raise RuntimeError("great_tables wrote no <table class='gt_table'>: look at its version.")
    body = escaping.cells(markup[start.end() : markup.rindex("</table>")].strip())
    style = "gt_table gt_numbers_first" if numbers_first else "gt_table"
    return (
        f'<table class="{style}" id="{escape(name)}"><caption>{escaping.text(caption)}</caption>\n'
        f"{body}\n</table>"
    )


def _empty(name: str, caption: str) -> str:
    return (
        f'<p class="empty" id="{escape(name)}"><strong>{escaping.text(caption)}</strong> '
        "There is nothing to show.</p>"
    )


def slug(text: str) -> str:
    """Text as an id: small letters, digits and hyphens."""
    return SLUG_GAP.sub("-", text.lower()).strip("-")[:60] or "table"


def _check(frame: pd.DataFrame, formats: Mapping[str, str], named: Sequence[str]) -> None:
    unknown = sorted({kind for kind in formats.values() if kind not in FORMATS})
    absent = [column for column in (*formats, *named) if column not in frame.columns]
    if unknown or absent:
        raise ValueError(
            f"formats: no kind {words.listing(unknown)}; no column {words.listing(absent)}. "
            f"Kinds are {words.listing(FORMATS)}; columns are {words.listing(list(frame.columns))}."
        )
