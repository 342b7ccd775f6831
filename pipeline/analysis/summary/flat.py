"""What can page one say of a flat file? Its verdict, its tiles, and what nobody can tell from it.

Works on the headlines. The subtle point: a number that a file without dates cannot hold is said to
be missing once, in one sentence, and never shown as a row of empty tiles or as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.analysis.summary.facts import KNOWN, SOURCE_PAIRS, TILES
from pipeline.analysis.wording import Words

FLAT_TILES = ("customers_end", "mrr_end", "retention_12_months", "median_lifetime_months")
MEDIAN = "median_lifetime_months"


def tiles(headlines: pd.DataFrame, is_flat: bool) -> tuple[str, ...]:
    """Names of the tiles of page one; of a flat file those that it can fill."""
    if not is_flat:
        return TILES
    known = set(headlines.loc[headlines["state"].isin(KNOWN), "name"])
    return tuple(name for name in FLAT_TILES if name in known)


def pairs(is_flat: bool) -> tuple[tuple[str, str], ...]:
    """The source's formulas beside their counterparts; a flat file has neither."""
    return () if is_flat else SOURCE_PAIRS


def of_flat_file(
    verdict: pd.DataFrame,
    headlines: pd.DataFrame,
    owners: Mapping[str, str],
    words: Words,
    is_flat: bool,
) -> pd.DataFrame:
    """The verdict of a flat file: how long customers stay, and what it cannot tell.

    Args:
        verdict: owner and sentence, as any other company's.
        headlines: name, chapter, estimate, ci_low, ci_high, n, state, note.
        owners: chapter → owner.
        words: how numbers are said.
        is_flat: False: the verdict as given.

    Returns:
        One row per sentence: owner, sentence.
    """
    if not is_flat:
        return verdict
    known = headlines[headlines["name"] == MEDIAN]
    rows = [
        (owners.get("survival", ""), _say_median(row, words)) for row in known.to_dict("records")
    ]
    rows.append(
        ("", "Not available, because a flat file has no dates: what was won, kept or lost in a "
         "month, retention of revenue, cohorts, drivers month by month, time to value, and any "
         "comparison with an earlier month or year.")
    )  # fmt: skip
    return pd.DataFrame(rows, columns=["owner", "sentence"])


def _say_median(row: Mapping[str, Any], words: Words) -> str:
    of_whom = f"of {words.counted(row['n'], 'account')}"
    if row["state"] not in KNOWN:
        return f"How long half {of_whom} stay cannot be said: {row['note'] or row['state']}."
    span = words.interval(row["ci_low"], row["ci_high"], "months")
    return f"Half {of_whom} leave within {words.say(row['estimate'], 'months')} ({span})."
