"""Which tables of a period can be read, how large are they, what are their rows and columns?

Reads the heads of the Parquet files in a snapshot's folder; makes one row per table or column, and
the error for a name that is none of them. The subtle point: a name that nobody knows is a slip of
the pen and gets the nearest name; a table that is declared and not there is missing data.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pandas as pd

from pipeline.data import store
from pipeline.data.schema import SNAPSHOT
from pipeline.settings import ParameterError

COLUMNS = ["table", "rows", "columns", "one_row"]
WORDS = ["name", "unit", "description"]


def readable(folder: Path) -> pd.DataFrame:
    """The tables in a snapshot's folder.

    Returns:
        One row per table: table, rows, columns (counts), one_row (its grain in words).
    """
    found = [
        (path.stem, *store.parquet_size(path), grain(path.stem))
        for path in sorted(folder.glob("*.parquet"))
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def grain(table: str) -> str:
    """What one row of a declared table is, as `one row per account`; blank for another table."""
    return SNAPSHOT[table].grain if table in SNAPSHOT else ""


def columns(table: str, folder: Path) -> pd.DataFrame:
    """The columns of a table as it stands in a snapshot's folder, or else as it is declared.

    Returns:
        One row per column: name, unit, description; a company's own column has no words.

    Raises:
        ParameterError: nobody knows such a table.
    """
    check_name(table, folder)
    declared = SNAPSHOT[table].columns if table in SNAPSHOT else {}
    place = folder / f"{table}.parquet"
    names = store.parquet_names(place) if place.is_file() else list(declared)
    found = [
        (name, declared[name].unit, declared[name].description)
        if name in declared
        else (name, "", "")
        for name in names
    ]
    return pd.DataFrame(found, columns=WORDS)


def check_name(table: str, folder: Path) -> None:
    """Refuse a name that is no table of a snapshot, with the nearest one and all there are.

    A declared table passes, there or not: whoever reads it says that it is missing.

    Raises:
        ParameterError: nobody knows such a table.
    """
    there = [path.stem for path in sorted(folder.glob("*.parquet"))]
    if table in SNAPSHOT or table in there:
        return
    near = difflib.get_close_matches(str(table), there, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise ParameterError(
        f"{table!r} is no table of a snapshot.{guess} "
        f"There are: {', '.join(there) or 'none yet; run `make lab` or `make report`'}."
    )
