"""How does a frame look as the last line of a cell?

Reads a frame and the chapter that was opened last; makes HTML and short plain text. Heads are said
in our words with the column's name below, which is what one types; text stands as it is in the
frame. The subtle point: a frame that is not tidy, or has no column of ours, is nothing that we
could say better, so pandas shows what may be seen of it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.schema import SNAPSHOT
from pipeline.data.schema.headlines import HEADLINES
from pipeline.data.schema.published import TABLES
from pipeline.reporting import escaping, tables, words
from pipeline.reporting.interactive import audience
from pipeline.reporting.pages import parts
from pipeline.reporting.privacy import small_numbers
from pipeline.reporting.privacy.small_numbers import ACCOUNT_ID
from pipeline.reporting.tables import columns
from pipeline.reporting.tables.columns import NOTHING, Column

MOST_ROWS, MOST_COLUMNS = 10, 12
KNOWN_COLUMNS = {
    "estimate", "ci_low", "ci_high", "n", "n_events", "term", "level", "stratum", "hazard_ratio",
    *(name for table in SNAPSHOT.values() for name in table.columns),
    *(name for _, promised in TABLES.values() for name in promised),
}  # fmt: skip
"""Columns that this project has words for."""
HEADLINE_COLUMNS = {"name", "estimate", "ci_low", "ci_high", "n", "state"}
HEADLINE_FORMATS = dict.fromkeys(("estimate", "interval", "previous", "year_ago"), columns.INTERVAL)
"""They are text by then, each in its own unit, and stand like numbers."""
HEAD = re.compile(r'(<th class="gt_col_heading[^>]*>)([^<]*)</th>')
_shown = itertools.count(1)
"""An id is used once on a page."""


def is_ours(frame: Any) -> bool:
    """True for tidy rows with at least one column that we have words for.

    Tidy: one level of columns, each with a name of its own; rows numbered, or named by one column.
    """
    if type(frame) is not pd.DataFrame or frame.columns.nlevels > 1 or frame.index.nlevels > 1:
        return False
    names, index = list(frame.columns), frame.index
    is_named = index.name is not None and index.name not in names
    is_numbered = index.name is None and pd.api.types.is_integer_dtype(index)
    are_texts = all(isinstance(name, str) for name in [*names, index.name or ""])
    is_tidy = are_texts and len(set(names)) == len(names) and (is_named or is_numbered)
    return is_tidy and bool(KNOWN_COLUMNS & {*names, index.name})


def markup(frame: pd.DataFrame, chapter: Any) -> str:
    """A frame of ours as a table: its first rows and columns, and what is not shown.

    Args:
        frame: see `is_ours`.
        chapter: the open chapter.
    """
    rows = _with_index(frame)
    size = _size(frame, audience.one_row(rows, chapter))
    formats: dict[str, str] = {}
    if _is_headline(rows):
        rows, said, formats = _headline(rows, chapter), [], HEADLINE_FORMATS
    else:
        rows, said = audience.seen(rows, chapter, MOST_ROWS), audience.remarks(rows, chapter)
    found, silent = _columns(rows, chapter.company.currency, formats)
    wide = [name for column in found[MOST_COLUMNS:] for name in _names(column)]
    if 0 < len(rows) < len(frame):
        said.insert(0, f"The first {len(rows)} rows.")
    if silent:
        said.append(f"Without a value here: {', '.join(silent)}.")
    return _box(found[:MOST_COLUMNS], size, " ".join(said), wide, rows)


def of_rows(rows: pd.DataFrame, caption: str, chapter: Any, most_rows: int = 60) -> str:
    """Rows of a result as a table under a caption of its own, hidden and named as a frame's are."""
    left = audience.seen(rows, chapter, most_rows)
    found, _ = _columns(left, chapter.company.currency, {})
    said = " ".join(audience.remarks(rows, chapter))
    return _box(found, caption, said, [], left)


def plain(frame: pd.DataFrame, chapter: Any) -> str:
    """A frame as text: what pandas prints of what may be shown, or else why nothing may."""
    if not is_ours(frame):
        left, said = audience.guarded(frame, chapter)
        return repr(left) if len(left) or frame.empty else " ".join(said)
    rows = _with_index(frame)
    if ACCOUNT_ID not in rows.columns and chapter.company.min_cell <= 0:
        return repr(frame)
    left = audience.seen(rows, chapter, len(rows))
    return repr(left) if len(left) or frame.empty else " ".join(audience.remarks(rows, chapter))


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with what their index says as the first column; plain numbering says nothing."""
    is_numbering = frame.index.name is None and bool(
        (np.asarray(frame.index) == np.arange(len(frame))).all()
    )
    if is_numbering or (frame.index.name is None and "row" in frame.columns):
        return frame.reset_index(drop=True)
    return frame.rename_axis(index=frame.index.name or "row").reset_index()


def _size(frame: pd.DataFrame, one_row: str) -> str:
    rows, wide = words.counted(len(frame), "row"), words.counted(frame.shape[1], "column")
    return f"{rows} × {wide}" + (f", {one_row}" if one_row else "")


def _is_headline(rows: pd.DataFrame) -> bool:
    return set(rows.columns) >= HEADLINE_COLUMNS and set(rows["name"]) <= set(HEADLINES)


def _headline(rows: pd.DataFrame, chapter: Any) -> pd.DataFrame:
    """Headlines as rows of words: name, estimate and interval in its own unit, n, state, note."""
    kept = small_numbers.headlines(rows, chapter.company.min_cell)
    currency, said = chapter.company.currency, []
    for row in kept.to_dict("records"):
        unit, limits = HEADLINES[row["name"]].unit, (row["ci_low"], row["ci_high"])
        own = words.kind_of(unit, row["estimate"], *limits)
        numbers = {
            name: None if words.is_missing(row.get(name)) else words.say(row[name], own, currency)
            for name in ("estimate", "previous", "year_ago")
        }
        has_limits = not all(words.is_missing(each) for each in limits)
        said.append({
            "name": row["name"],
            "headline": HEADLINES[row["name"]].label,
            "estimate": numbers.pop("estimate"),
            "interval": words.interval(*limits, own, currency) if has_limits else None,
            "n": row["n"], "state": row["state"], **numbers, "note": row.get("note"),
        })  # fmt: skip
    return pd.DataFrame(said)


def _columns(
    rows: pd.DataFrame, currency: str, formats: Mapping[str, str]
) -> tuple[list[Column], list[str]]:
    """The columns in words, and the names of those without a value in any row shown."""
    if rows.empty:
        return [], []
    found = columns.formatted(rows, formats or _formats(rows), currency)
    kept = [_literal(column, rows) for column in found]
    shown = {name for column in found for name in _names(column)}
    return kept, [str(name) for name in rows.columns if name not in shown]


def _formats(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers whose name does not say what they hold, and parts of a count, to four figures."""
    kinds = columns.kinds_of(rows, {})
    chosen: dict[str, str] = {}
    for name, kind in kinds.items():
        if name in columns.LIMITS or kind not in ("number", "count"):
            continue
        numbers = pd.to_numeric(rows[name], errors="coerce").dropna()
        if kind == "number" or not np.isfinite(numbers).all() or (numbers % 1 != 0).any():
            chosen[str(name)] = "precise"
    return chosen


def _literal(column: Column, rows: pd.DataFrame) -> Column:
    """The column with text as the frame holds it: that is what a filter has to say."""
    if column.is_number:
        return column
    return replace(column, cells=[_text(value) for value in rows[column.name]])


def _text(value: Any) -> str:
    if words.is_missing(value):
        return NOTHING
    if not hasattr(value, "strftime"):
        return str(value) or NOTHING
    has_time = isinstance(value, pd.Timestamp) and value != value.normalize()
    return str(value) if has_time else words.day(value).replace(" ", "\u00a0")


def _names(column: Column) -> list[str]:
    """The columns of the frame behind a column shown: of an interval both limits."""
    return [str(name) for name in (column.name, column.upper) if name is not None]


def _box(
    found: Sequence[Column], caption: str, note: str, wide: Sequence[str], rows: pd.DataFrame
) -> str:
    name = f"shown-{next(_shown)}"
    if not found:
        asked = f" Columns: {', '.join(map(str, rows.columns))}." if len(rows.columns) else ""
        return parts.fragment(parts.paragraph(f"{note or 'No rows.'}{asked}", caption))
    table = tables.of_columns(found, name=name, caption=caption)
    named = (", ".join(_names(column)) for column in found)
    table = HEAD.sub(lambda head: _head(head, named), table)
    return parts.fragment(f"{parts.table_box(table, caption, note, ())}{_more(wide)}")


def _head(head: re.Match[str], names: Iterator[str]) -> str:
    """A head with the column's name below it, where the words do not say it already."""
    name = next(names)
    if head[2].casefold().replace(" ", "_") == name:
        return head[0]
    return f'{head[1]}{head[2]}<br><code class="column">{escape(name)}</code></th>'


def _more(wide: Sequence[str]) -> str:
    if not wide:
        return ""
    said = f"… and {words.counted(len(wide), 'more column')}"
    listed = escaping.text(", ".join(wide))
    return f'<details class="more"><summary>{said}</summary><p>{listed}</p></details>'
