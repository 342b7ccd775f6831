"""Which numbers of this report would an expert sign? The claim cards on one page.

Works on the claim cards of the listed chapters. Makes summary.claims. The subtle point: the primary
contrasts share one error rate, so their p values are adjusted together (Holm), and one that could
not be made is not counted as looked at.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.wording import Words
from pipeline.statistics.multiplicity import holm

SUPPORTED, FRAGILE, NOT_IDENTIFIED = "supported", "fragile", "not identified"
CONTRAST = "contrast"
NOT_SETTLED = "the month is not settled"
"""What a claim card says of a figure of the books in a provisional month."""
CLAIM_COLUMNS = [
    "chapter", "kind", "name", "claim", "verdict", "failed", "estimate", "ci_low", "ci_high",
    "unit", "null", "n", "n_events", "p_value", "p_adjusted", "estimand", "population", "cut_off",
]  # fmt: skip


def claims(cards: pd.DataFrame, family: Collection[str]) -> pd.DataFrame:
    """Every claim with its verdict; primary contrasts first, adjusted together.

    Args:
        cards: chapter, kind (headline, contrast), name, statement, estimand, population, cut_off,
            unit, null, estimate, ci_low, ci_high, p_value, n, n_events, verdict, reasons (list).
        family: chapters whose primary contrasts share one error rate.

    Returns:
        one row per claim: CLAIM_COLUMNS. `failed` says why a claim is not supported; `p_adjusted`
        is Holm's over the family and blank for others.

    Source: Holm (1979), Scand J Stat 6: 65.
    """
    is_contrast = cards["kind"] == CONTRAST
    ordered = pd.concat([cards[is_contrast], cards[~is_contrast]], ignore_index=True)
    is_member = (ordered["kind"] == CONTRAST) & ordered["chapter"].isin(set(family))
    adjusted = np.full(len(ordered), np.nan)
    adjusted[is_member] = holm(ordered.loc[is_member, "p_value"])
    failed = ["; ".join(reasons) for reasons in ordered["reasons"]]
    return ordered.assign(claim=ordered["statement"], failed=failed, p_adjusted=adjusted)[
        CLAIM_COLUMNS
    ]


def contrasts(table: pd.DataFrame, words: Words, currency: str) -> pd.DataFrame:
    """The primary contrasts as a reader sees them: one row per contrast; why where no number is."""
    rows = table[table["kind"] == CONTRAST]
    return _worded(rows, words, currency).assign(
        no_difference=rows["null"].map(words.number, na_action="ignore").to_numpy(),
        p_adjusted=[_p(value, words) for value in rows["p_adjusted"]],
    )


def in_short(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `contrasts` or `doubtful` for a narrow page.

    What failed stands with the verdict, and the interval with the estimate.

    Returns:
        The same rows with the same columns.
    """
    said = rows.astype({"estimate": object, "verdict": object})
    pairs = {"verdict": ("failed", ": {}"), "estimate": ("interval", " ({})")}
    for column, (more, form) in pairs.items():
        said[column] = [
            f"{text}{form.format(further)}" if further else text
            for text, further in zip(rows[column], rows[more], strict=True)
        ]
    return said.drop(columns=[more for more, _ in pairs.values()])


def questions(table: pd.DataFrame) -> pd.DataFrame:
    """What each primary contrast asks, and of whom.

    Returns:
        One row per primary contrast: chapter, estimand, population.
    """
    return table.loc[table["kind"] == CONTRAST, ["chapter", "estimand", "population"]]


def doubtful(table: pd.DataFrame, words: Words, currency: str) -> pd.DataFrame:
    """The headlines that are not supported, as a reader sees them.

    Those of a month that is only not settled yet are left to the sentence.

    Returns:
        One row per headline.
    """
    is_doubtful = (table["verdict"] != SUPPORTED) & (table["failed"] != NOT_SETTLED)
    is_shown = (table["kind"] != CONTRAST) & is_doubtful
    return _worded(table[is_shown], words, currency)


def say_claims(table: pd.DataFrame, words: Words) -> str:
    """How many claims an expert would sign, and how many not."""
    found = table["verdict"].value_counts()
    counts = [int(found.get(word, 0)) for word in (SUPPORTED, FRAGILE, NOT_IDENTIFIED)]
    open_ = int((table["failed"] == NOT_SETTLED).sum())
    waiting = f", {words.count(open_)} of these only because {NOT_SETTLED}," if open_ else ""
    return (
        f"Of {words.counted(len(table), 'claim')} on these pages {words.count(counts[0])} are "
        f"supported, {words.count(counts[1])} fragile{waiting} and {words.count(counts[2])} not "
        "identified."
    )


def _worded(rows: pd.DataFrame, words: Words, currency: str) -> pd.DataFrame:
    """Estimate and interval in the words of their unit, or why there are none."""
    said = [_say(row, words, currency) for row in rows.to_dict("records")]
    columns = ["chapter", "claim", "verdict", "failed", "estimate", "interval", "n", "n_events"]
    shown = rows.assign(
        estimate=[estimate for estimate, _ in said], interval=[span for _, span in said]
    )
    return shown[columns].reset_index(drop=True)


def _say(row: dict[str, Any], words: Words, currency: str) -> tuple[str, str]:
    unit, limits = str(row["unit"]), (row["ci_low"], row["ci_high"])
    if pd.isna(row["estimate"]):
        is_answer = row["verdict"] != NOT_IDENTIFIED  # not reached, and how far it came
        span = words.interval(*limits, unit, currency) if is_answer else ""
        return ("not reached" if is_answer else NOT_IDENTIFIED), span
    has_interval = not all(pd.isna(limit) for limit in limits)
    kind = words.kind_of(unit, row["estimate"], *limits) if row["kind"] == CONTRAST else unit
    span = words.interval(*limits, kind, currency) if has_interval else ""
    return words.say(row["estimate"], kind, currency), span


def _p(value: float, words: Words) -> str:
    return "" if pd.isna(value) else words.p_value(value)
