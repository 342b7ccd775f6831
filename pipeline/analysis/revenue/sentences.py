"""What is a customer worth, in words? One sentence, and what of it cannot be said.

Works on rows of the lifetime headline. The subtle point: value, its ratio to cost and the payback
need more data one after the other, so the sentence ends where they end.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.wording import Words


def say_lifetime(
    worth: pd.Series, to_cost: pd.Series, payback: pd.Series, of: str, currency: str, words: Words
) -> str:
    """What a new customer brings in 36 months, against what it cost to win, and when that is back.

    Takes three headlines (estimate, ci_low, ci_high, note); `of` says what the value is made of.
    """
    if np.isnan(worth["estimate"]):
        return f"What a new customer is worth cannot be said: {worth['note']}."
    said = (
        f"A new customer is worth {words.money(worth['estimate'], currency)} over 36 months"
        f"{_around(worth, 'money', words, currency)}, of {of}"
    )
    if np.isnan(to_cost["estimate"]):
        return f"{said}. What it cost to win cannot be set against it: {to_cost['note']}."
    ratio = f"{words.number(to_cost['estimate'])} times what it cost to win"
    said = f"{said}: {ratio}{_around(to_cost, 'number', words)}"
    if np.isnan(payback["estimate"]):
        return f"{said}. When that cost is repaid cannot be said: {payback['note']}."
    repaid = f"{words.months(payback['estimate'])}{_around(payback, 'months', words)}"
    return f"{said}. That cost is repaid after {repaid}."


def say_bridge(moves: pd.DataFrame, currency: str, words: Words) -> str:
    """What each step of a bridge brought or took, in its order: `new USD 5 in, churn USD 3 out`.

    `moves` are rows of `net_steps`.
    """
    steps = moves[moves["kind"] != "total"]
    ways = steps["kind"].map({"up": "in", "down": "out"})
    return words.listing(
        [
            f"{words.label(step).lower()} {words.money(mrr, currency)} {way}"
            for step, mrr, way in zip(steps["step"], steps["mrr"], ways, strict=True)
        ]
    )


def _around(headline: pd.Series, kind: str, words: Words, currency: str = "") -> str:
    """The interval in brackets; nothing where there is none."""
    low, high = headline["ci_low"], headline["ci_high"]
    if np.isnan(low) and np.isnan(high):
        return ""
    return f" ({words.interval(low, high, kind, currency)})"
