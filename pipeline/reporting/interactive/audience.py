"""What may a display show of some rows, and what is one row of them?

Reads rows and the chapter that was opened last; makes the rows as they may be seen: accounts under
pseudonyms, no cell below `min_cell`. A notebook with its outputs is soon a mail, so that a frame or
Series as the last line of a cell keeps the same two rules as a page; itself it holds everything.
The subtle point: what is an id or a count is known by the names of columns and levels alone, counts
only where columns have one level. What `print` writes, an Index, an array and a list are shown as
they are; nothing here can catch them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data import readable, store
from pipeline.data.schema.published import TABLES
from pipeline.reporting.privacy import small_numbers
from pipeline.reporting.privacy.small_numbers import ACCOUNT_ID

PSEUDONYMS = "account_id shows pseudonyms; the frame holds the ids."


def seen(rows: pd.DataFrame, chapter: Any, most_rows: int) -> pd.DataFrame:
    """The first rows as they may be shown.

    Args:
        rows: one level of columns.
        chapter: the open chapter (company, pseudonyms).
        most_rows: rows wanted.
    """
    left = small_numbers.hidden(rows, chapter.company.min_cell).head(most_rows)
    if ACCOUNT_ID in left.columns:
        left = left.assign(**{ACCOUNT_ID: chapter.pseudonyms(left[ACCOUNT_ID])})
    return left


def remarks(rows: pd.DataFrame, chapter: Any) -> list[str]:
    """What was changed for the reader's eyes, in sentences."""
    company = chapter.company
    said = [small_numbers.remark(rows, small_numbers.hidden(rows, company.min_cell),
                                 company.min_cell)]  # fmt: skip
    if len(rows) and ACCOUNT_ID in rows.columns and not company.reports.show_names:
        said.append(PSEUDONYMS)
    return [each for each in said if each]


def guarded(frame: pd.DataFrame, chapter: Any) -> tuple[pd.DataFrame, list[str]]:
    """A frame of any shape as it may be seen, and what was changed, in sentences.

    Ids are text under the name `account_id`: of a column, of a level, or of a row, as in
    `accounts.iloc[0]`. A number under that name counts accounts, and stays.

    Args:
        frame: any one; itself it is left alone.
        chapter: the open chapter (company, pseudonyms).
    """
    least = chapter.company.min_cell
    named = _under_pseudonyms(frame, chapter)
    has_ids = named is not frame
    if has_ids and least > 1:
        return named.iloc[:0], [small_numbers.LISTED.format(least)]
    left, remark = _without_small(named, least)
    is_changed = has_ids and not chapter.company.reports.show_names
    return left, [*filter(None, [remark]), *([PSEUDONYMS] if is_changed else [])]


def _under_pseudonyms(frame: pd.DataFrame, chapter: Any) -> pd.DataFrame:
    """The frame with no id in it; the very same when it had none."""
    left, has_ids = frame.copy(), False
    in_rows = [_is_id(label) for label in frame.index]
    for place, name in enumerate(frame.columns):
        asked = [True] * len(frame) if _is_id(name) else in_rows
        cells = _renamed(frame.iloc[:, place], asked, chapter)
        if cells is not None:
            left.isetitem(place, cells)
            has_ids = True
    for axis in (0, 1):
        for place, name in enumerate(frame.axes[axis].names):
            if _is_id(name) and len(frame.axes[axis]):
                left = left.set_axis(_level_renamed(left.axes[axis], place, chapter), axis=axis)
                has_ids = True
    return left if has_ids else frame


def _is_id(name: Any) -> bool:
    """True for the name of ids, or one of several levels that has it."""
    if isinstance(name, tuple):
        return any(_is_id(part) for part in name)
    return isinstance(name, str) and name == ACCOUNT_ID


def _renamed(cells: pd.Series, asked: Sequence[bool], chapter: Any) -> pd.Series | None:
    """The cells with pseudonyms for text where asked; None when there is none."""
    if not any(asked):
        return None
    is_id = [
        is_asked and isinstance(cell, str) for is_asked, cell in zip(asked, cells, strict=True)
    ]
    if not any(is_id):
        return None
    left, places = cells.astype(object), np.flatnonzero(is_id)
    left.iloc[places] = chapter.pseudonyms(left.iloc[places]).to_numpy()
    return left


def _level_renamed(axis: pd.Index, place: int, chapter: Any) -> pd.Index:
    """An index with pseudonyms in one level."""
    values = pd.Series(axis.levels[place] if isinstance(axis, pd.MultiIndex) else axis)
    cells = _renamed(values, [True] * len(values), chapter)
    if cells is None:
        return axis
    if isinstance(axis, pd.MultiIndex):
        return axis.set_levels(pd.Index(cells), level=place)
    return pd.Index(cells, name=axis.name)


def _without_small(frame: pd.DataFrame, least: int) -> tuple[pd.DataFrame, str]:
    """The frame without small cells, and a remark; named levels of the index count as columns."""
    if least <= 0 or frame.columns.nlevels > 1:
        return frame, ""
    n_levels = 0 if None in frame.index.names else frame.index.nlevels
    flat = frame.reset_index(drop=True)
    if n_levels:
        flat = pd.concat([frame.index.to_frame(index=False), flat], axis=1)
    if not flat.columns.is_unique:
        return frame, ""
    left = small_numbers.hidden(flat, least)
    remark = small_numbers.remark(flat, left, least)
    if len(left) < len(flat):
        return frame.iloc[:0], remark
    return left.iloc[:, n_levels:].set_axis(frame.index), remark


def one_row(rows: pd.DataFrame, chapter: Any) -> str:
    """`one row per account` of a snapshot's or a published table; blank where nobody declared it.

    A snapshot's table is known by having all of its columns, a published one by its promised ones.
    """
    names = [str(name) for name in rows.columns]
    for path in sorted(chapter.paths.snapshot(chapter.period).glob("*.parquet")):
        if store.parquet_names(path) == names:
            return readable.grain(path.stem)
    promised = {
        grain: columns
        for name, (grain, columns) in TABLES.items()
        if name.split(".")[0] == chapter.name and set(columns) <= set(names)
    }
    return max(promised, key=lambda grain: len(promised[grain]), default="")
