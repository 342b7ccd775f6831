"""What may a display show of some rows, and what is one row of them?

Reads rows and the chapter that was opened last; makes the rows as they may be seen: accounts under
pseudonyms, no cell below `min_cell`. The subtle point: a notebook with its outputs is soon a mail,
so that a display keeps the same two rules as a page. The frame itself holds everything.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.data import readable, store
from pipeline.data.schema.published import TABLES
from pipeline.reporting.privacy import small_numbers

ACCOUNT_ID = "account_id"
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
