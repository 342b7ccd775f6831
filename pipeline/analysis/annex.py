"""Would other reasonable choices have said the same, and what would the usual shortcuts have said?

Works on the specifications and bias ledgers of the chapters. Makes annex.specifications,
curves and bias_ledger. The subtle point: a specification that could not be made is kept with its
reason, and counts neither for nor against the primary one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.choices import LEDGER_COLUMNS, SPECIFICATION_COLUMNS
from pipeline.analysis.wording import Words

NUMBERS = ["estimate", "ci_low", "ci_high"]
NO_DIFFERENCE = {"ratio": 1.0}
"""The value of a contrast that says "no difference", by unit; 0 in all other units."""


def specifications(parts: Iterable[pd.DataFrame], chapters: Collection[str]) -> pd.DataFrame:
    """The specifications of all listed chapters, one below the other.

    Returns:
        One row per specification, with SPECIFICATION_COLUMNS.

    Raises:
        ValueError: a part lacks a column.
    """
    return _stacked(parts, chapters, SPECIFICATION_COLUMNS)


def bias_ledger(parts: Iterable[pd.DataFrame], chapters: Collection[str]) -> pd.DataFrame:
    """The shortcuts of all listed chapters, one below the other.

    Returns:
        One row per shortcut, with LEDGER_COLUMNS.

    Raises:
        ValueError: a part lacks a column.
    """
    return _stacked(parts, chapters, LEDGER_COLUMNS)


def _stacked(
    parts: Iterable[pd.DataFrame], chapters: Collection[str], columns: list[str]
) -> pd.DataFrame:
    kept = []
    for rows in parts:
        missing = [name for name in columns if name not in rows.columns]
        if missing:
            raise ValueError(f"Rows of the annex lack {', '.join(missing)}.")
        own = rows.loc[rows["chapter"].isin(set(chapters)), columns]
        if len(own):
            kept.append(own.astype({name: "Int64" for name in ("n", "n_events") if name in own}))
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=columns)


def curves(specifications: pd.DataFrame) -> pd.DataFrame:
    """How far each contrast depends on the choices behind it.

    Args:
        specifications: SPECIFICATION_COLUMNS; one row of each contrast is primary.

    Returns:
        one row per chapter and contrast: chapter, contrast, unit, null (the value that says "no
        difference"), estimate, ci_low, ci_high (of the primary one), n_tried, n_made, n_agree,
        n_inside (the primary interval), least, largest. Another way agrees when it lies on the same
        side of no difference; where the primary interval holds no difference (is_clear is false),
        when its own interval holds it too.
    """
    rows = [_curve(part) for _, part in specifications.groupby(["chapter", "contrast"], sort=False)]
    columns = [
        "chapter", "contrast", "unit", "null", "is_clear", "estimate", "ci_low", "ci_high",
        "n_tried", "n_made", "n_agree", "n_inside", "least", "largest",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _curve(rows: pd.DataFrame) -> dict[str, Any]:
    is_primary = rows["is_primary"].astype(bool)
    primary, others = rows[is_primary].iloc[0], rows.loc[~is_primary, NUMBERS].astype("float64")
    made, low, high = others.dropna(subset="estimate"), primary["ci_low"], primary["ci_high"]
    null = NO_DIFFERENCE.get(primary["unit"], 0.0)
    is_clear = not low <= null <= high
    same_side = np.sign(made["estimate"] - null) == np.sign(float(primary["estimate"]) - null)
    open_too = (made["ci_low"] <= null) & (made["ci_high"] >= null)
    return {
        **primary[["chapter", "contrast", "unit", "estimate", "ci_low", "ci_high"]],
        "null": null,
        "is_clear": is_clear,
        "n_tried": len(others),
        "n_made": len(made),
        "n_agree": int((same_side if is_clear else open_too).sum()),
        "n_inside": int(made["estimate"].between(float(low), float(high)).sum()),
        "least": made["estimate"].min(),
        "largest": made["estimate"].max(),
    }


def say_curves(table: pd.DataFrame, words: Words) -> str:
    """How many other ways say the same as the primary ones: the answer of the annex."""
    known = table[table["estimate"].astype("float64").notna() & (table["n_made"] > 0)]
    if known.empty:
        return "No primary contrast could be computed in another way."
    made, agree = int(known["n_made"].sum()), int(known["n_agree"].sum())
    return (
        f"{words.counted(len(known), 'contrast')} computed in {words.counted(made, 'other way')}: "
        f"{words.count(agree)} say the same as the one chosen beforehand, "
        f"{words.count(known['n_inside'].sum())} lie inside its interval."
    )


def worded(table: pd.DataFrame, words: Words, currency: str) -> pd.DataFrame:
    """`curves` as a reader sees them: numbers in the words of their unit.

    Gives one row per chapter and contrast: chapter, contrast, primary, interval, least, largest,
    n_tried, n_made, n_agree, n_inside.
    """
    said = [_say_curve(row, words, currency) for row in table.to_dict("records")]
    columns = ["primary", "interval", "least", "largest"]
    numbers = pd.DataFrame(said, columns=columns, index=table.index, dtype=object)
    counts = ["n_tried", "n_made", "n_agree", "n_inside"]
    return pd.concat([table[["chapter", "contrast"]], numbers, table[counts]], axis=1)


def _say_curve(row: dict[str, Any], words: Words, currency: str) -> tuple[str, ...]:
    limits = row["ci_low"], row["ci_high"]
    kind = words.kind_of(str(row["unit"]), row["estimate"], *limits)
    ends = (words.say(row[end], kind, currency) for end in ("least", "largest"))
    said = words.say(row["estimate"], kind, currency)
    return said, words.interval(*limits, kind, currency), *ends


def errors(ledger: pd.DataFrame, words: Words, currency: str) -> pd.DataFrame:
    """The bias ledger as a reader sees it: wrong beside right, and the size of the error in words.

    Args:
        ledger: LEDGER_COLUMNS.
        words: who says the numbers.
        currency: said before money.

    Returns:
        one row per shortcut: chapter, shortcut, wrong, right, right_number, interval, error, n.
    """
    said = [_say_error(row, words, currency) for row in ledger.to_dict("records")]
    columns = ["wrong", "right_number", "interval", "error"]
    worded = pd.DataFrame(said, columns=columns, index=ledger.index, dtype=object)
    return pd.concat([ledger[["chapter", "shortcut", "right", "n"]], worded], axis=1)[
        ["chapter", "shortcut", "wrong", "right", "right_number", "interval", "error", "n"]
    ]


def _say_error(row: dict[str, Any], words: Words, currency: str) -> tuple[str, str, str, str]:
    wrong, right = row["wrong_estimate"], row["right_estimate"]
    low, high = row["right_ci_low"], row["right_ci_high"]
    unit = words.kind_of(str(row["unit"]), wrong, right, low, high)
    said = [words.say(value, unit, currency) for value in (wrong, right)]
    span = "" if pd.isna(low) and pd.isna(high) else words.interval(low, high, unit, currency)
    if pd.isna(wrong) or pd.isna(right):
        return said[0], said[1], span, str(row["note"] or "cannot be said")
    size = words.change(float(wrong) - float(right), unit, currency, arrow=False)
    is_outside = (not pd.isna(low) and wrong < low) or (not pd.isna(high) and wrong > high)
    return said[0], said[1], span, f"{size}{', outside the right interval' if is_outside else ''}"
