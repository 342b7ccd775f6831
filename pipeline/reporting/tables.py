"""How is a table shown? Rows as an HTML table that every reader can follow, escaped and formatted.

Made by great_tables, which escapes what it shows; its own style sheet is left out because ours
themes the page. Nothing here opens a file. Columns say by their name what they hold, unless the
caller says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
from great_tables import GT

from pipeline.reporting import escaping, words

NOTHING = "–"
FLAGS = {"True": "yes", "False": "no"}
"""Also as the text of a level: a flag that was a driver or stratum."""
MOST_ROWS = 60
"""Longer tables show their beginning; the file under them holds every row."""
FORMATS = ("money", *words.KINDS, "text")
KINDS_BY_NAME = (
    (r"(p|q)_value", "p"),
    (r"ame|ame_ci_.*", "share_points"),
    (r".*share|prevalence", "share"),
    (r"mrr|mrr_.*|.*_mrr|amount|bridged|of_which_.*", "money"),
    (r"n|n_.*|df|.*_days?|day|age_months|customers.*|joined_and_left", "count"),
)
"""Pattern of a column's name → what it holds; the first that fits counts."""
LIMITS = ("ci_low", "ci_high")
"""They hold what the column before them holds: a ratio's limits are ratios."""
ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
COUNTS = re.compile(r"n|n_.*|customers.*")
MONEY = re.compile(r"mrr|mrr_(?!share).*|.*_mrr|amount")
ADD_UP = (
    "stratum", "group", "term", "driver", "model", "measure", "months", "horizon_months", "day",
    "time_days",
)  # fmt: skip
"""Columns that part rows into sets that add up; rows of one set are the levels of one stratum."""
NOTES = ("note", "meaning")
HIDDEN_NOTE = "too few to show"
TABLE_START = re.compile(r'<table class="gt_table"[^>]*>')
OUR_NAME = re.compile(r"[a-z]+(_[a-z0-9]+)*_[a-z]+")
SLUG_GAP = re.compile(r"[^a-z0-9]+")


def table(
    frame: pd.DataFrame,
    *,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    currency: str = "",
    most_rows: int = MOST_ROWS,
) -> str:
    """The rows as an HTML table with caption and scopes; the first column names its row.

    Args:
        frame: any tidy rows.
        name: fixed id of the table, unique on its page.
        caption: what the table shows, as text.
        formats: column → one of FORMATS; other columns go by name and type, limits by the
            estimate before them.
        currency: said before money.
        most_rows: rows shown.

    Raises:
        ValueError: a format that nobody knows, or for a column that is not there.
    """
    _check(frame, formats or {})
    kinds = _kinds(frame, formats or {})
    shown = frame.head(most_rows)
    texts = pd.DataFrame(
        {
            f"c{place}": [_cell(value, kinds[column], currency) for value in shown[column]]
            for place, column in enumerate(frame.columns)
        }
    )
    if texts.empty:
        return _empty(name, caption)
    heads = {f"c{place}": words.label(column) for place, column in enumerate(frame.columns)}
    numeric = [f"c{place}" for place, column in enumerate(frame) if kinds[column] != "text"]
    made = GT(texts, id=name, rowname_col="c0").cols_label(**heads).tab_stubhead(heads["c0"])
    return _ours(_aligned(made, heads, numeric).as_raw_html(), name, caption, "c0" in numeric)


def hide_small(frame: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """Counts and money of cells below `min_cell` become missing, and those of one cell more.

    A row is small when one of its counts is above 0 and below `min_cell`. A row hidden alone among
    those that add up (the levels of one stratum) could be found by subtraction, so the next
    smallest of them is hidden with it. A note with a figure would say what is hidden, and goes too.
    """
    columns = [name for name in frame.columns if COUNTS.fullmatch(str(name))]
    if min_cell <= 0 or not columns or frame.empty:
        return frame
    counts = frame[columns].apply(pd.to_numeric, errors="coerce").reset_index(drop=True)
    is_small = ((counts > 0) & (counts < min_cell)).any(axis=1)
    is_hidden = (is_small | _next_smallest(frame, counts[columns[0]], is_small)).to_numpy()
    hidden = frame.copy()
    for name in frame.columns:
        if COUNTS.fullmatch(str(name)) or MONEY.fullmatch(str(name)):
            hidden[name] = frame[name].where(~is_hidden)
        elif name in NOTES and is_hidden.any():
            says = frame[name].astype(str).str.contains(r"\d").to_numpy() & is_hidden
            hidden[name] = frame[name].mask(says, HIDDEN_NOTE)
    return hidden


def _next_smallest(frame: pd.DataFrame, counts: pd.Series, is_small: pd.Series) -> pd.Series:
    """The smallest other cell of each set of rows that add up and hold one small cell alone."""
    sets = [name for name in ADD_UP if name in frame.columns]
    whole = frame.reset_index(drop=True)
    keys = whole.groupby(sets, dropna=False).ngroup() if sets else counts.mul(0).fillna(0)
    alone = is_small.groupby(keys).transform("sum") == 1
    others = counts.where(alone & ~is_small & (counts > 0)).dropna()
    nearest = others.groupby(keys[others.index]).idxmin()
    return pd.Series(counts.index.isin(nearest), index=counts.index)


def slug(text: str) -> str:
    """Text as an id: small letters, digits and hyphens."""
    return SLUG_GAP.sub("-", text.lower()).strip("-")[:60] or "table"


def _check(frame: pd.DataFrame, formats: Mapping[str, str]) -> None:
    unknown = sorted({kind for kind in formats.values() if kind not in FORMATS})
    absent = [column for column in formats if column not in frame.columns]
    if unknown or absent:
        raise ValueError(
            f"formats: no kind {words.listing(unknown)}; no column {words.listing(absent)}. "
            f"Kinds are {words.listing(FORMATS)}; columns are {words.listing(list(frame.columns))}."
        )


def _kinds(frame: pd.DataFrame, formats: Mapping[str, str]) -> dict[Any, str]:
    """What each column holds; limits follow the estimate that stands before them."""
    kinds: dict[Any, str] = {}
    estimate = "share"
    for column in frame.columns:
        is_limit = column in LIMITS and column not in formats
        kinds[column] = estimate if is_limit else _kind(frame, column, formats)
        if not is_limit:
            has_limits = kinds[column] not in ("text", "p") and not COUNTS.fullmatch(str(column))
            estimate = kinds[column] if has_limits else "share"
    return kinds


def _kind(frame: pd.DataFrame, column: Any, formats: Mapping[str, str]) -> str:
    if column in formats:
        return formats[column]
    if not pd.api.types.is_numeric_dtype(frame[column]) or frame[column].dtype == bool:
        return "text"
    fits = (kind for pattern, kind in KINDS_BY_NAME if re.fullmatch(pattern, str(column)))
    is_whole = pd.api.types.is_integer_dtype(frame[column])
    return next(fits, "count" if is_whole else "number")


def _cell(value: Any, kind: str, currency: str) -> str:
    if words.is_missing(value):
        return NOTHING
    if isinstance(value, str) or (kind == "text" and not hasattr(value, "strftime")):
        return FLAGS.get(str(value)) or _readable(str(value)) or NOTHING
    if hasattr(value, "strftime"):
        return words.day(value)
    text = words.count(value) if kind == "days" else words.say(value, kind, currency)
    return text.replace(" ", "\u00a0")


def _readable(value: str) -> str:
    """A day of ISO text as a date; one of our own names, like `source_formula`, in words."""
    if ISO_DAY.fullmatch(value):
        return words.day(value)
    return value.replace("_", " ") if OUR_NAME.fullmatch(value) else value


def _aligned(made: GT, heads: Mapping[str, str], numeric: list[str]) -> GT:
    texts = [name for name in heads if name not in numeric and name != "c0"]
    right = [name for name in numeric if name != "c0"]
    made = made.cols_align("left", columns=texts) if texts else made
    return made.cols_align("right", columns=right) if right else made


def _ours(markup: str, name: str, caption: str, numbers_first: bool) -> str:
    """Only the table element, with our id and caption."""
    start = TABLE_START.search(markup)
    if start is None:
        raise RuntimeError("great_tables wrote no <table class='gt_table'>: look at its version.")
    body = escaping.cells(markup[start.end() : markup.rindex("</table>")].strip())
    style = "gt_table gt_numbers_first" if numbers_first else "gt_table"
    return (
        f'<table class="{style}" id="{escape(name)}"><caption>{escaping.text(caption)}</caption>\n'
        f"{body}\n</table>"
    )


def _empty(name: str, caption: str) -> str:
    return (
        f'<p class="empty" id="{escape(name)}"><strong>{escaping.text(caption)}</strong> '
        "There is nothing to show.</p>"
    )
