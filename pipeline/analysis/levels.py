"""What are the levels of a column called? One word for each, the same in every chapter.

Works on any column of any table. The subtle point: a blank is a level of its own, "not measured",
never a guess; and a company may bring a column with a thousand levels, so the rare ones share one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

NOT_MEASURED = "not measured"
OTHER = "other"
MOST_LEVELS = 12


def levels_of(values: pd.Series) -> pd.Series:
    """Text levels of a column: flags yes or no, numbers in quarters, days by year.

    Args:
        values: one value per account, any type.

    Returns:
        One text per account; "not measured" where blank, "other" beyond the twelve most frequent.
    """
    known = values.dropna()
    if pd.api.types.is_datetime64_any_dtype(known):
        text = known.dt.strftime("%Y")
    elif _is_many_numbers(known):
        text = _quarters(known)
    else:
        text = text_levels(known)
    frequent = text.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    if len(frequent) > MOST_LEVELS:
        text = text.where(text.isin(frequent.index[: MOST_LEVELS - 1]), OTHER)
    return named(text.reindex(values.index))


def text_levels(values: pd.Series) -> pd.Series:
    """A column's levels as text, flags as yes or no; blank where missing."""
    codes, found = pd.factorize(values, use_na_sentinel=True)
    texts = np.array([_text(level) for level in found] + [None], dtype=object)
    return pd.Series(texts[codes], index=values.index, dtype=object)


def named(levels: pd.Series) -> pd.Series:
    """Levels with "not measured" in place of blanks."""
    return levels.astype(object).where(levels.notna(), NOT_MEASURED)


def _text(level: object) -> str:
    if isinstance(level, bool | np.bool_):
        return "yes" if level else "no"
    return str(level)


def _is_many_numbers(known: pd.Series) -> bool:
    is_number = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    return is_number and known.nunique() > MOST_LEVELS


def _quarters(known: pd.Series) -> pd.Series:
    bins = pd.qcut(known, 4, duplicates="drop", precision=0)
    names = {
        interval: f"{position}: to {interval.right:g}"
        for position, interval in enumerate(bins.cat.categories, start=1)
    }
    return bins.astype(object).map(names)
