"""Which columns does a reader see, under which heads, in which words?

Reads any tidy rows; makes the text of each cell. The two limits of an interval are one column, and
a column of notes without a word in any row is left out: the published file holds every column. The
subtle point: what a column holds is told by its name, and a limit holds what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.reporting import words

NOTHING = "–"
FLAGS = {"True": "yes", "False": "no"}
"""Also as the text of a level: a flag that was a driver or stratum."""
TEXT, INTERVAL = "text", "interval"
"""An interval is text as words.in_one_cell makes it; it stands like a number."""
FORMATS = ("money", *words.KINDS, INTERVAL, TEXT)
KINDS_BY_NAME = (
    (r"(p|q)_value", "p"),
    (r"ame|ame_ci_.*", "share_points"),
    (r".*share|prevalence", "share"),
    (r"mrr|mrr_.*|.*_mrr|amount|bridged|of_which_.*", "money"),
    (r"n|n_.*|df|.*_days?|day|age_months|customers.*|joined_and_left", "count"),
)
"""Pattern of a column's name → what it holds; the first that fits counts."""
COUNTS = re.compile(r"n|n_.*|customers.*")
LIMITS = ("ci_low", "ci_high")
"""They hold what the column before them holds: a ratio's limits are ratios."""
LIMIT_ENDS = (("ci_low", "ci_high"), ("_low", "_high"), ("_from", "_to"))
"""Ends of the names of two numbers that limit one interval."""
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
OUR_NAME = re.compile(r"[a-z]+(_[a-z0-9]+)*_[a-z]+")


@dataclass(frozen=True)
class Column:
    """A column as it is read: where it comes from, its head, and the text of each cell.

    An interval comes from two: `name` holds its lower limits, `upper` the others.
    """

    name: Any
    head: str
    cells: list[str]
    is_number: bool
    upper: Any = None

    @property
    def is_silent(self) -> bool:
        """True for words that no row has."""
        return not self.is_number and all(cell == NOTHING for cell in self.cells)


def formatted(frame: pd.DataFrame, formats: Mapping[str, str], currency: str = "") -> list[Column]:
    """The columns that a reader sees, in their order; the first one names its row and stays.

    Args:
        frame: any tidy rows.
        formats: column → one of FORMATS; other columns go by name and type, limits by the
            estimate before them.
        currency: said before money.
    """
    kinds = kinds_of(frame, formats)
    uppers = {low: high for low in frame.columns if (high := _upper(low, frame, kinds)) is not None}
    found = [
        _interval(frame, name, uppers[name], kinds[name], currency)
        if name in uppers
        else _column(frame, name, kinds[name], currency)
        for name in frame.columns
        if name not in uppers.values()
    ]
    return [column for place, column in enumerate(found) if place == 0 or not column.is_silent]


def kinds_of(frame: pd.DataFrame, formats: Mapping[str, str]) -> dict[Any, str]:
    """What each column holds; limits follow the estimate that stands before them."""
    kinds: dict[Any, str] = {}
    estimate = "share"
    for column in frame.columns:
        is_limit = column in LIMITS and column not in formats
        kinds[column] = estimate if is_limit else _kind(frame, column, formats)
        if not is_limit:
            has_limits = kinds[column] not in (TEXT, INTERVAL, "p") and not COUNTS.fullmatch(
                str(column)
            )
            estimate = kinds[column] if has_limits else "share"
    return kinds


def cell(value: Any, kind: str, currency: str = "") -> str:
    """A value as text; a number stays on the line of its unit."""
    if words.is_missing(value):
        return NOTHING
    if isinstance(value, str) or (kind == TEXT and not hasattr(value, "strftime")):
        return FLAGS.get(str(value)) or _readable(str(value)) or NOTHING
    if hasattr(value, "strftime"):
        return words.day(value)
    text = words.count(value) if kind == "days" else words.say(value, kind, currency)
    return text.replace(" ", "\u00a0")


def _column(frame: pd.DataFrame, name: Any, kind: str, currency: str) -> Column:
    cells = [cell(value, kind, currency) for value in frame[name]]
    return Column(name, words.label(name), cells, kind != TEXT)


def _interval(frame: pd.DataFrame, low: Any, high: Any, kind: str, currency: str) -> Column:
    """Both limits as one column, named for what stands before the ending; the unit is said once."""
    stem = re.sub(r"_?(ci_low|low|from)$", "", str(low))
    kind = "count" if kind == "days" else kind
    unit = f"{currency} " if currency and kind == "money" else ""
    limits = zip(frame[low], frame[high], strict=True)
    cells = [
        NOTHING
        if all(words.is_missing(end) for end in ends)
        else f"{unit}{words.interval(*ends, kind)}"
        for ends in limits
    ]
    head = words.label(f"{stem}_interval" if stem else "interval")
    return Column(low, head, cells, is_number=True, upper=high)


def _upper(low: Any, frame: pd.DataFrame, kinds: Mapping[Any, str]) -> str | None:
    """The column of the upper limit, where this one holds the lower."""
    for start, end in LIMIT_ENDS:
        high = f"{str(low).removesuffix(start)}{end}"
        if str(low).endswith(start) and high in frame.columns:
            are_numbers = all(pd.api.types.is_numeric_dtype(frame[name]) for name in (low, high))
            return high if are_numbers and kinds[low] == kinds[high] != TEXT else None
    return None


def _kind(frame: pd.DataFrame, column: Any, formats: Mapping[str, str]) -> str:
    if column in formats:
        return formats[column]
    if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].dtype == bool:
        return TEXT
    fits = (kind for pattern, kind in KINDS_BY_NAME if re.fullmatch(pattern, str(column)))
    is_whole = pd.api.types.is_integer_dtype(frame[column])
    return next(fits, "count" if is_whole else "number")


def _readable(value: str) -> str:
    """A day of ISO text as a date; one of our own names, like `source_formula`, in words."""
    if ISO_DAY.fullmatch(value):
        return words.day(value)
    return value.replace("_", " ") if OUR_NAME.fullmatch(value) else value
