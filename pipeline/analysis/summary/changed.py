"""What changed, and is it the mix of customers or what they do?

Works on the levels of revenue's mix_rate and on drivers' moved. The subtle point: the parts are
exact and add up to the change, so they divide it and do not explain it. A level's mix is counted
against the average rate: else a level that only grew would seem to move a rate that is the same in
all of them.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pipeline.analysis.wording import Words

SPLIT = ("gross_account_churn_rate", "net_revenue_retention")
"""What is split on page one; the chapter on revenue splits gross MRR churn too."""
SPLIT_COLUMNS = [
    "measure", "level", "n", "rate_before", "rate_now", "mix", "rate", "change",
]  # fmt: skip
ALL, TOTAL = "all", "Total"
FINE = "difference of shares"
"""Points with two decimals: the parts of a change are small."""


def split(levels: pd.DataFrame) -> pd.DataFrame:
    """The change of churn and of net retention by level: what moved most first, the total last.

    Args:
        levels: revenue's mix_rate: measure, level, n_now, rate_before, rate_now,
            mix_against_average, rate, part.

    Returns:
        One row per measure and level, and one "Total" per measure: SPLIT_COLUMNS. `n` counts the
        customers at the start of the later month. The levels of a measure add up to its total.
    """
    if levels.empty:
        return pd.DataFrame(columns=SPLIT_COLUMNS)
    asked = levels[levels["measure"].isin(SPLIT)]
    ordered = asked.assign(
        place=asked["measure"].map(SPLIT.index),
        is_total=asked["level"].eq(ALL),
        size=-asked["part"].abs(),
    ).sort_values(["place", "is_total", "size", "level"], ignore_index=True)
    named = ordered["level"].where(~ordered["is_total"], TOTAL)
    return ordered.assign(
        level=named, n=ordered["n_now"], mix=ordered["mix_against_average"], change=ordered["part"]
    )[SPLIT_COLUMNS]


def say_split(levels: pd.DataFrame, words: Words, label: Callable[[str], str]) -> pd.Series:
    """One sentence per measure: how far it went, by mix and by rate, and who moved it most.

    Args:
        levels: as for `split`, with period and previous_period.
        words: how numbers are said.
        label: how a measure is named.
    """
    table = split(levels)
    if table.empty:
        return pd.Series(["There are not two settled months in a row to compare."], dtype=object)
    months = [words.month(str(levels[name].iloc[0])) for name in ("previous_period", "period")]
    told = [
        _say_split(rows, words, label(str(measure)), months)
        for measure, rows in table.groupby("measure", sort=False)
    ]
    return pd.Series(told, dtype=object)


def _say_split(rows: pd.DataFrame, words: Words, what: str, months: list[str]) -> str:
    total, first = rows.iloc[-1], rows.iloc[0]
    went = words.change(total["change"], FINE, arrow=False)
    parts = [f"{words.say(total[part], FINE)} by {part}" for part in ("mix", "rate")]
    said = (
        f"{what}, {months[0]} to {months[1]}: {words.share(total['rate_before'])} → "
        f"{words.share(total['rate_now'])}, {went}, {' and '.join(parts)}"
    )
    if len(rows) <= 2:  # one level is the total
        return f"{said}."
    of_whom = "" if pd.isna(first["n"]) else f" (n {words.count(first['n'])})"
    most = f"{words.say(first['change'], FINE)}{of_whom}"
    return f"{said}. Most came from {first['level']}, {most}."


def told(rows: pd.DataFrame) -> pd.Series:
    """The sentence that another chapter kept with its rows; none where it kept none."""
    return rows["sentence"].head(1) if "sentence" in rows else pd.Series(dtype=object)
