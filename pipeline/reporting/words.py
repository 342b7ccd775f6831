"""How is a number said? The same words in tiles, sentences, tables and figures.

Nothing depends on the machine's locale. A missing number is said as such, never shown as nan. Zero
is judged after rounding, so that no arrow points at a change that nobody can see.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.data.schema.published import HEADLINES

NOT_AVAILABLE = "not available"
FLAT_CUSTOMER = "an account that the file calls not churned"
MINUS = "−"
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
SMALLEST_P = 0.001
SMALL_SHARE = 0.01
"""Shares below it are told apart by their second decimal only."""
UP, DOWN, LEVEL = "▲", "▼", "■"
FIGURES = 4
"""Of a number said precisely."""
SMALLEST_SIZE, LARGEST_SIZE = -5, 14
"""Powers of ten between which it is written out."""
WHOLE_MONEY_FROM = 1000
"""From this amount on, money is said without decimals."""


def is_missing(value: Any) -> bool:
    """True for None, NaN, NaT and pandas' NA; False for anything else, lists included."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def share(value: Any, decimals: int = 1) -> str:
    """0.1234 as `12.3 %`."""
    return _said(value, lambda number: f"{_fixed(100 * number, decimals)} %")


def money(value: Any, currency: str = "") -> str:
    """305000 as `USD 305,000`; small amounts keep two decimals."""

    def say(number: float) -> str:
        decimals = 0 if abs(number) >= WHOLE_MONEY_FROM or number == round(number) else 2
        text = _fixed(number, decimals)
        sign, digits = (MINUS, text[1:]) if text.startswith(MINUS) else ("", text)
        return f"{sign}{currency} {digits}" if currency else text

    return _said(value, say)


def count(value: Any) -> str:
    """1234 as `1,234`."""
    return _said(value, lambda number: _fixed(number, 0))


def counted(value: Any, one: str, many: str = "") -> str:
    """A count with its noun: `1 account`, `1,234 accounts`."""
    return _said(value, lambda number: f"{count(number)} {_noun(number, one, many)}")


def days(value: Any) -> str:
    """47 as `47 days`; a part of a day keeps one decimal."""
    return _said(value, lambda number: f"{_short(number)} {_noun(number, 'day')}")


def months(value: Any) -> str:
    """23.42 as `23.4 months`."""
    return _said(value, lambda number: f"{_fixed(number, 1)} months")


def number(value: Any, decimals: int = 2) -> str:
    """2.1249 as `2.12`."""
    return _said(value, lambda figure: _fixed(figure, decimals))


def p_value(value: Any) -> str:
    """0.0341 as `0.034`; below 0.001 as `< 0.001`."""

    def say(figure: float) -> str:
        return f"< {SMALLEST_P}" if figure < SMALLEST_P else f"{figure:.3f}"

    return _said(value, say)


def precise(value: Any) -> str:
    """Any number to four figures: 0.012346 as `0.01235`, 23456.7 as `23,457`."""

    def say(figure: float) -> str:
        size = math.floor(math.log10(abs(figure))) if figure else 0
        if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
            return f"{figure:.3e}".replace("-", MINUS, figure < 0)
        decimals = 0 if figure == round(figure) else max(FIGURES - 1 - size, 0)
        return _fixed(figure, decimals)

    return _said(value, say)


KINDS: dict[str, Callable[[Any], str]] = {
    "share": share,
    "count": count,
    "number": number,
    "days": days,
    "months": months,
    "p": p_value,
    "points": lambda value: _said(value, lambda figure: f"{_fixed(figure, 1)} points"),
    "share_points": lambda value: _said(value, lambda figure: f"{_fixed(100 * figure, 1)} points"),
    "fine_share": lambda value: share(value, 2),
    "fine_points": lambda value: _said(value, lambda figure: f"{_fixed(100 * figure, 2)} points"),
    "precise": precise,
}
"""A share is a part of a whole; share points are the difference of two shares."""
UNIT_KINDS = {
    "share": "share",
    "difference of shares": "fine_points",
    "ratio": "number",
    "0–1": "number",
    "accounts": "count",
    "months": "months",
    "days": "days",
    "points": "points",
    "currency per month": "money",
    "currency per account": "money",
}
"""A headline's unit → the kind of words for it."""


SAID_ONCE = ("days", "months", "points", "share_points", "fine_points")
"""An interval says these units once, at its end."""


def say(value: Any, kind: str, currency: str = "") -> str:
    """A number in the words of its kind or of its headline's unit; ValueError when neither."""
    kind = UNIT_KINDS.get(kind, kind)
    if kind == "money":
        return money(value, currency)
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of number; there are money, {', '.join(KINDS)}.")
    return KINDS[kind](value)


def kind_of(unit: str, *values: Any) -> str:
    """The kind of a unit; shares that are all small, like differences, get one decimal more.

    A unit that is none of ours is said as a number; whoever shows it names the unit beside.
    """
    known = [abs(float(value)) for value in values if not _is_open(value)]
    if unit == "share" and known and max(known) < SMALL_SHARE:
        return "fine_share"
    return UNIT_KINDS.get(unit, "number")


def interval(low: Any, high: Any, kind: str = "share", currency: str = "") -> str:
    """`12.1 % to 13.0 %`, `USD 5 to 9`; one open end is said."""
    if _is_open(low) and _is_open(high):
        return NOT_AVAILABLE
    if _is_open(high):
        return f"{say(low, kind, currency)} or more"
    if _is_open(low):
        return f"{say(high, kind, currency)} or less"
    first, second = say(low, kind, currency), say(high, kind, currency)
    if currency and UNIT_KINDS.get(kind, kind) == "money" and not second.startswith(MINUS):
        second = say(high, kind)
    if UNIT_KINDS.get(kind, kind) in SAID_ONCE:
        first = first.rpartition(" ")[0]
    return f"{first} to {second}"


def with_interval(
    estimate: Any, low: Any, high: Any, kind: str = "share", currency: str = ""
) -> str:
    """`12.1 % (11.0 % to 13.0 %)`; without an interval or an estimate no empty brackets."""
    known = not (is_missing(estimate) or (_is_open(low) and _is_open(high)))
    limits = f" ({interval(low, high, kind, currency)})" if known else ""
    return say(estimate, kind, currency) + limits


def contrast(found: Mapping[str, Any], who: str, event: str, events: str = "") -> str:
    """What a primary contrast found, in one sentence; without an estimate why there is none.

    `found` as the analysis gives it; `who` is counted in its n, `event` in its n_events.
    """
    statement, unit = label(found["statement"]), found["unit"]
    counts = f"{counted(found['n'], who)}, {counted(found['n_events'], event, events)}"
    if is_missing(found["estimate"]):
        failed = [check.note for check in found["checks"] if not check.passed and check.note]
        because = f", because of this: {failed[0]}" if failed else ""
        return f"{statement}: {NOT_AVAILABLE}{because}; {counts}."
    is_change = unit == "difference of shares"
    said = (
        change(found["estimate"], unit, arrow=False) if is_change else say(found["estimate"], unit)
    )
    around = interval(found["ci_low"], found["ci_high"], unit)
    return f"{statement}: {said} ({around}); p {p_value(found['p_value'])}, {counts}."


def in_one_cell(
    rows: pd.DataFrame, kinds: Mapping[str, tuple[str, str, str]], currency: str = ""
) -> pd.DataFrame:
    """The same rows with each estimate and its interval in one column: `1.23 (1.01 to 1.50)`.

    Args:
        rows: as published; there they keep their columns.
        kinds: estimate → its lower limit, its upper limit, the kind of words. A table shows such
            a column with the format `interval`.
        currency: said before money.

    No rows, as of a chapter that is absent, come back as they are.
    """
    if rows.empty:
        return rows
    said = rows.copy()
    for estimate, (low, high, kind) in kinds.items():
        numbers = zip(rows[estimate], rows[low], rows[high], strict=True)
        said[estimate] = [
            None if is_missing(row[0]) else _in_one(*row, kind, currency) for row in numbers
        ]
    return said.drop(columns=[end for low, high, _ in kinds.values() for end in (low, high)])


def _in_one(estimate: Any, low: Any, high: Any, kind: str, currency: str) -> str:
    """`−0.4 (−0.6 to −0.2) points`: a column has no room to say a unit twice."""
    if kind not in SAID_ONCE or _is_open(low) or _is_open(high):
        return with_interval(estimate, low, high, kind, currency)
    first, unit = say(estimate, kind).rsplit(" ", 1)
    return f"{first} ({interval(low, high, kind).removesuffix(f' {unit}')}) {unit}"


def change(value: Any, kind: str = "share", currency: str = "", *, arrow: bool = True) -> str:
    """A difference with arrow and word: `▲ up 1.2 points`; shares differ in percentage points.

    Titles and alt texts go without the arrow: `up 1.2 points`.
    """
    if _is_open(value):
        return NOT_AVAILABLE
    kind = UNIT_KINDS.get(kind, kind)
    of_shares = {"share": "share_points", "fine_share": "fine_points"}
    text = say(abs(float(value)), of_shares.get(kind, kind), currency)
    sign, said = (UP, f"up {text}") if value > 0 else (DOWN, f"down {text}")
    if not any(digit in text for digit in "123456789"):
        sign, said = LEVEL, "no change"
    return f"{sign} {said}" if arrow else said


def month(period: Any) -> str:
    """`2026-10` as `October 2026`."""
    year, position = str(period).split("-")[:2]
    return f"{MONTH_NAMES[int(position) - 1]} {year}"


def span(periods: Sequence[Any]) -> str:
    """The first to the last of some months: `October 2023 to October 2026`."""
    names = sorted({str(period) for period in periods})
    if len(names) < 2:
        return month(names[0]) if names else NOT_AVAILABLE
    return f"{month(names[0])} to {month(names[-1])}"


def day(date: Any) -> str:
    """A date, a timestamp or ISO text as `31 October 2026`."""
    if is_missing(date):
        return NOT_AVAILABLE
    if isinstance(date, str):
        date = dt.date.fromisoformat(date[:10])
    return f"{date.day} {MONTH_NAMES[date.month - 1]} {date.year}"


def listing(words: Sequence[Any], last: str = "and") -> str:
    """`a, b and c`; no words are said as `none`."""
    texts = [str(word) for word in words]
    if len(texts) < 2:
        return texts[0] if texts else "none"
    return f"{', '.join(texts[:-1])} {last} {texts[-1]}"


def label(name: Any) -> str:
    """A headline's label, or a column's or level's name: `touch_model` as `Touch model`."""
    if str(name) in HEADLINES:
        return HEADLINES[str(name)].label
    if str(name) in LABELS:
        return LABELS[str(name)]
    plain = str(name).removeprefix("is_").replace("_", " ").strip()
    text = WORD.sub(lambda word: ACRONYMS.get(word[0], word[0]), plain)
    return text if text.split(" ")[0] == "n" else text[:1].upper() + text[1:]


WORD = re.compile(r"[A-Za-z]+")
LABELS = {
    "ci_low": "From",
    "ci_high": "To",
    "p_adjusted": "p, all contrasts together",
    "p_value": "p",
    "q_value": "q",
    "df": "df",
    "ame": "Marginal effect",
    "ame_ci_low": "Effect from",
    "ame_ci_high": "Effect to",
    "ame_interval": "Effect interval",
    "adjusted_ci_low": "Adjusted from",
    "adjusted_ci_high": "Adjusted to",
    "value_ci_low": "Value from",
    "value_ci_high": "Value to",
    "value_p_value": "Value p",
    "value_q_value": "Value q",
    "churn_ci_low": "Churn from",
    "churn_ci_high": "Churn to",
    "churn_p_value": "Churn p",
    "churn_q_value": "Churn q",
    "fx": "Exchange rates",
    "auc": "AUC",
    "expected": "Expected",
    "grouped": "Grouped time",
    "gvif": "GVIF",
    "has_value": "Value reached",
    "hazard_ratio": "Hazard ratio",
    "mrr_step_end": "MRR at end",
    "n_of": "Out of",
    "n_pending": "Still within the grace",
    "nps_band": "NPS band",
    "observed": "Observed",
    "True": "Yes",
    "False": "No",
}
ACRONYMS = {
    word.lower(): word for word in ("MRR", "NPS", "SMB", "VIF", "GVIF", "CSM", "AUC", "LTV", "CAC")
}


def _said(value: Any, words: Callable[[float], str]) -> str:
    if is_missing(value) or (isinstance(value, float) and math.isinf(value)):
        return NOT_AVAILABLE
    return words(float(value))


def _is_open(value: Any) -> bool:
    return is_missing(value) or math.isinf(float(value))


def _fixed(figure: float, decimals: int) -> str:
    """Half away from zero on the shortest decimal text, thousands by comma, a real minus."""
    places = round(abs(figure), decimals + 6)
    text = f"{math.floor(places * 10**decimals + 0.5 + 1e-9) / 10**decimals:,.{decimals}f}"
    has_digits = any(digit in text for digit in "123456789")
    return f"{MINUS}{text}" if figure < 0 and has_digits else text


def _short(figure: float) -> str:
    return _fixed(figure, 0 if figure == round(figure) else 1)


def _noun(figure: float, one: str, many: str = "") -> str:
    return one if figure == 1 else many or f"{one}s"
