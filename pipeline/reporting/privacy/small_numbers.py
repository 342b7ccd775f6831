"""Which numbers are too small for readers outside? Rows, words, headlines and cards without them.

Works on whatever a chapter is about to show or keep; every artefact passes here on its way out, so
that none can be forgotten. With `min_cell` at 0 nothing changes. The subtle point: a cell that is
hidden alone among those that add up is found by subtraction, and a share of the total or a picture
tells it as well as the count does; so a row loses all that speaks of it, and a neighbour goes too.

A company's own totals are not hidden: customers and MRR at start and end, the months' movements
(but for of_which_… and bridged) and forecasts. Every other headline is, where few carry it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.schema.headlines import HEADLINES
from pipeline.reporting import words
from pipeline.reporting.privacy import telling

ACCOUNT_ID = "account_id"
"""The source's own id; it leaves a chapter only when `reports.show_names` is set."""
ONE_ACCOUNT = ("account", ACCOUNT_ID, "contact_id")
"""A row with one of these columns is a cell of one."""
COUNTS = re.compile(r"n|n_.*")
NO_ACCOUNTS = re.compile(
    r"n_(settled|months|exchanges|forerunners|made|agree|specifications|origins|rows)"
)
"""They count months, draws or rows of a file."""
OF_MONTHS = ("grade", "is_shipped")
"""A table with one of these columns counts months in its n."""
SIZES = ("n_accounts", "n_start", "n_started", "n_due", "n_at_risk", "n")
"""How many accounts a row speaks of: the first of these that it has. Other counts are parts."""
BESIDE = ("n_this_month",)
"""A count of another time than the row's; it is hidden alone."""
STEP = ("n_before", "n_after")
"""What lies between the two was left out."""
MONEY = re.compile(r"mrr|mrr_(?!share).*|.*_mrr|amount")
OF_UNKNOWN_SIZE = re.compile(r"of_which_.*|bridged")
"""Parts of a bridge; how many accounts are behind them stands in no column beside."""
SHARES = re.compile(r"share|share_of_.*|.*_share|prevalence")
LIMITS = ("ci_low", "ci_high")
KEYS = re.compile(
    r"time_days|tenure_month|age_months|day|months|horizon_months|landmark_day|band|grace_days"
    r"|paid_since|period"
)
"""Numbers that name a row."""
ADD_UP = (
    "stratum", "group", "term", "driver", "model", "measure", "months", "horizon_months", "day",
    "time_days", "period", "age_months", "cause", "movement",
)  # fmt: skip
"""Columns that part rows into sets that add up; rows of one set are the levels of one stratum."""
WHOLE = "all"
"""The level of everybody: a total, no part of one."""
NOTE = "note"
NOTES = (NOTE, "meaning")
SENTENCES = re.compile(r".*note|meaning|failed|sentence|badge|reasons|finding|said|change")
"""Columns of words that we write; names that came from data are in none of them."""
SUPPRESSED = "suppressed"
COUNTS_HIDDEN = "counts hidden"
UNDER = "Hidden: counts and money of fewer than {} accounts, and what would give them away."
LISTED = "Not shown: its rows are single accounts, and cells below {} are hidden."
COMPANY_TOTALS = ("mrr_start", "mrr_end", "customers_start", "customers_end")
CAME_HIDDEN = "counts_hidden"
"""Flag of rows of which something was hidden: in their `attrs`, and in each row that is kept."""
EARLIER = ("previous", "year_ago")
SIZE_OF_THE_MONTH = "customers_start"
"""The headline that counts who paid at the start of the month, then as now."""
FAR_ABOVE = 10
"""A headline that so many times the limit carry today is taken to have had enough a year ago."""
NUMBERS = ("estimate", "ci_low", "ci_high", "p_value", *EARLIER, "change")
WITHHELD = {
    "title": "Not drawn: some cells are smaller than min_cell",
    "alt": "No picture: some of the cells it would show are smaller than min_cell.",
    "picture": '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>',
}
"""A picture, its title and its words would say what the table hides."""


# Rows.


def hidden(rows: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The rows without what they tell of cells below `min_cell`; the very same where that is 0.

    A row is small when one of its counts is above 0 and below `min_cell`. It loses its counts, its
    money and its shares; when the accounts that it speaks of are themselves so few, every number. A
    row that is small alone among those that add up takes the next smallest with it. Of rows that
    are single accounts none is left. Words lose the clauses that tell such a count. Rows that lost
    something bear the flag CAME_HIDDEN.
    """
    if min_cell <= 0 or rows.empty:
        return rows
    if is_list_of_accounts(rows):
        return rows.iloc[:0] if min_cell > 1 else rows
    left = _without_small(rows, min_cell)
    return left if left.equals(rows) else flagged(left)


def _without_small(rows: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    left = _without_told(rows, min_cell)
    for name in (name for name in rows.columns if OF_UNKNOWN_SIZE.fullmatch(str(name))):
        left[name] = left[name].where(_numbers(rows[name]).eq(0).to_numpy())
    for name in (name for name in BESIDE if name in rows.columns):
        counts = _numbers(rows[name])
        left[name] = left[name].where(~_with_next(rows, counts, _few(counts, min_cell)))
    columns = _counted(rows)
    if not columns:
        return left
    counts = pd.concat([_numbers(rows[name]) for name in columns], axis=1)
    parts = pd.concat([counts, _left_out(rows)], axis=1)
    is_small = (parts.gt(0) & parts.lt(min_cell)).any(axis=1)
    size = _numbers(rows[_size_of(columns)])
    is_hidden = is_small.to_numpy() if _are_steps(rows) else _with_next(rows, size, is_small)
    return _blanked(left, is_hidden, _few(size, min_cell).to_numpy())


def is_list_of_accounts(rows: pd.DataFrame) -> bool:
    """True when each row is one account."""
    return any(name in rows.columns for name in ONE_ACCOUNT)


def remark(before: pd.DataFrame, after: pd.DataFrame, min_cell: int) -> str:
    """What to say under rows of which something was hidden; blank when nothing was."""
    if min_cell > 1 and is_list_of_accounts(before):
        return LISTED.format(min_cell)
    is_bare = min_cell <= 0 or (after.equals(before) and not came_hidden(after))
    return "" if is_bare else UNDER.format(min_cell)


def came_hidden(rows: pd.DataFrame) -> bool:
    """True for rows that lost something before; a count that is blank says nothing of why."""
    return bool(rows.attrs.get(CAME_HIDDEN, False))


def has_blanks(rows: pd.DataFrame) -> bool:
    """True for rows without some of their counts, whatever the reason."""
    return bool(rows[_counted(rows)].isna().to_numpy().any())


def flagged(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, with the flag that something of them was hidden."""
    left = rows.copy()
    left.attrs[CAME_HIDDEN] = True
    return left


def gone(before: pd.DataFrame, after: pd.DataFrame) -> list[float]:
    """Every number that was hidden."""
    found = []
    for name in before.columns if len(before) == len(after) else ():
        was, left = _numbers(before[name]), _numbers(after[name])
        found += was[was.notna() & left.isna() & was.ne(0)].tolist()
    return found


def _counted(rows: pd.DataFrame) -> list[str]:
    """The columns that count accounts, or events of accounts."""
    if any(name in rows.columns for name in OF_MONTHS):
        return []
    return [
        name
        for name in rows.columns
        if COUNTS.fullmatch(str(name)) and not NO_ACCOUNTS.fullmatch(str(name))
        if name not in BESIDE
    ]


def _size_of(columns: Sequence[str]) -> str:
    return next((name for name in SIZES if name in columns), columns[0])


def _numbers(column: pd.Series) -> pd.Series:
    """The numbers of a column; text and flags hold none."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return pd.Series(np.nan, index=range(len(column)))
    return pd.to_numeric(column, errors="coerce").astype("float64").reset_index(drop=True)


def _few(counts: pd.Series, min_cell: int) -> pd.Series:
    return counts.gt(0) & counts.lt(min_cell)


def _are_steps(rows: pd.DataFrame) -> bool:
    """True where rows follow upon each other and do not add up."""
    return all(name in rows.columns for name in STEP)


def _left_out(rows: pd.DataFrame) -> pd.Series:
    """What a step left out, where a table says it by two counts."""
    if not _are_steps(rows):
        return pd.Series(np.nan, index=range(len(rows)))
    before, after = (_numbers(rows[name]) for name in STEP)
    return before - after


def _with_next(rows: pd.DataFrame, counts: pd.Series, is_small: pd.Series) -> np.ndarray:
    """The small rows, and the smallest other of each set that holds one alone; totals stay."""
    whole = rows.reset_index(drop=True)
    sets = [name for name in ADD_UP if name in rows.columns]
    keys = whole.groupby(sets, dropna=False).ngroup() if sets else counts.mul(0).fillna(0)
    is_total = whole.astype(str).eq(WHOLE).any(axis=1)
    alone = (is_small & ~is_total).groupby(keys).transform("sum") == 1
    others = counts.where(alone & ~is_small & ~is_total & (counts > 0)).dropna()
    nearest = others.groupby(keys[others.index]).idxmin()
    return (is_small | counts.index.isin(nearest)).to_numpy()


def _blanked(rows: pd.DataFrame, is_hidden: np.ndarray, is_few: np.ndarray) -> pd.DataFrame:
    """The rows without counts, money and shares where hidden, without any number where few."""
    left, follows_share = rows.copy(), False
    for name in rows.columns:
        title = str(name)
        if title not in LIMITS:
            follows_share = SHARES.fullmatch(title) is not None
        if title in NOTES or title == "state":
            left[name] = _said_of(rows[name], title, is_hidden, is_few)
        elif follows_share or COUNTS.fullmatch(title) or MONEY.fullmatch(title):
            left[name] = rows[name].where(~is_hidden)
        elif _is_measure(rows[name], title):
            left[name] = rows[name].where(~(is_hidden & is_few))
    return left


def _said_of(column: pd.Series, title: str, is_hidden: np.ndarray, is_few: np.ndarray) -> pd.Series:
    """States and notes; a neighbour that is hidden for its sake alone keeps its rates."""
    if not is_hidden.any():
        return column
    if title == "state":
        return column.mask(is_hidden, SUPPRESSED)
    return column.mask(is_hidden & is_few, telling.TOO_FEW).mask(is_hidden & ~is_few, COUNTS_HIDDEN)


def _is_measure(column: pd.Series, name: str) -> bool:
    is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return is_number and KEYS.fullmatch(name) is None


def _without_told(rows: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The rows, the sentences in them without what tells a small count; names stay."""
    left = rows.copy()
    for name in (name for name in rows.columns if SENTENCES.fullmatch(str(name))):
        left[name] = [
            telling.reason(text, min_cell) if isinstance(text, str) else text for text in rows[name]
        ]
    return left


# Pictures.


def picture(figure: Any, min_cell: int, blank: Mapping[str, str] = WITHHELD) -> Any:
    """A figure drawn anew from what may be shown, with words that tell no more than it does.

    Args:
        figure: the figure as its chapter made it (figures.Figure).
        min_cell: cells below it are hidden.
        blank: title, alt and picture of a figure of which nothing is left.
    """
    rows = hidden(figure.rows, min_cell)
    said = {name: getattr(figure, name) for name in WORDS_OF_A_FIGURE}
    told = {name: telling.without_small(text, min_cell) for name, text in said.items()}
    if rows.equals(figure.rows):
        return dataclasses.replace(figure, **told)
    left = figure.redraw(rows) if figure.redraw and len(rows) else None
    if left is None or left.is_empty:
        return dataclasses.replace(figure, **{**told, **blank}, rows=rows)
    lost = gone(figure.rows, rows)
    for name in ("title", "alt"):
        if told[name] != said[name] or telling.tells_any(told[name], lost):
            told[name] = blank_title(figure.name)
    source = " · ".join(each for each in (told["source"], UNDER.format(min_cell)) if each)
    return dataclasses.replace(left, **{**told, "source": source})


WORDS_OF_A_FIGURE = ("title", "subtitle", "alt", "source")


def blank_title(name: str) -> str:
    """What a figure is called when its own sentence would tell what is hidden."""
    return f"{words.label(name.replace('-', '_'))}; small cells are hidden"


# Headlines and cards.


def headline(
    row: Mapping[str, Any], min_cell: int, then: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A headline as it may be kept: suppressed where few accounts carry it, but for totals.

    `previous` and `year_ago` stay where enough accounts carried them: `then`, from `sizes_then`,
    says how many. Where nobody knows, FAR_ABOVE times the limit must carry the headline today; else
    both are blank, and the tile says that there is no figure of that time.
    """
    if min_cell <= 0:
        return dict(row)
    kept = {**row, "note": telling.without_small(_text(row.get("note")), min_cell)}
    if row["name"] in COMPANY_TOTALS:
        return kept
    if not _is_few(row.get("n"), min_cell):
        return _without_earlier(kept, min_cell, then or {})
    reason = f"fewer than {min_cell} accounts"
    nothing = dict.fromkeys([*NUMBERS, "n", "n_events"])
    given = {key: None for key in nothing if key in row}
    return {**kept, **given, "state": SUPPRESSED, "note": reason}


def _without_earlier(
    row: Mapping[str, Any], min_cell: int, then: Mapping[str, Any]
) -> dict[str, Any]:
    """The headline without figures of a time whose n is small, nor the change."""
    is_of_month = _population(row["name"]) == _population(SIZE_OF_THE_MONTH)
    told = {name: then.get(name) if is_of_month else None for name in EARLIER}
    guess = 0.0 if words.is_missing(row.get("n")) else float(row["n"]) / FAR_ABOVE
    sizes = {
        name: guess if n is None or words.is_missing(n) else float(n) for name, n in told.items()
    }
    lost = [name for name, n in sizes.items() if n < min_cell]
    lost += ["change"] if "previous" in lost else []
    return {**row, **{name: None for name in lost if name in row}}


def sizes_then(rows: pd.DataFrame) -> dict[str, Any]:
    """How many accounts paid at the start of the month before, and a year before; by column.

    A headline's own n of that time is kept nowhere. Those of the accounts that paid at the start of
    the month rest on SIZE_OF_THE_MONTH, which is a headline itself; of others nothing is known.
    """
    found = rows[rows["name"] == SIZE_OF_THE_MONTH]
    return {name: found[name].iloc[0] for name in EARLIER if len(found)}


def headlines(rows: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """Headlines as tiles may show them; the very same where `min_cell` is 0."""
    if min_cell <= 0:
        return rows
    then = sizes_then(rows)
    kept = [headline(row, min_cell, then) for row in rows.to_dict("records")]
    return pd.DataFrame(kept, columns=rows.columns)


def card(claim: Mapping[str, Any], min_cell: int) -> dict[str, Any]:
    """A claim card, or what a model was fitted on, without small counts and what tells them."""
    kept = dict(claim)
    if min_cell <= 0:
        return kept
    if _is_few(claim.get("n"), min_cell) and claim.get("name") not in COMPANY_TOTALS:
        kept |= {name: None for name in NUMBERS if name in claim}
    for name in ("n", "n_events"):
        if _is_few(claim.get(name), min_cell):
            kept[name] = None
    notes = [telling.reason(_text(check.get(NOTE)), min_cell) for check in claim["checks"]]
    kept["checks"] = [
        {**check, NOTE: note} for check, note in zip(claim["checks"], notes, strict=True)
    ]
    if "reasons" in claim:
        kept["reasons"] = [telling.reason(reason, min_cell) for reason in claim["reasons"]]
    return kept


def _population(name: str) -> str:
    return HEADLINES[name].population


def _is_few(count: Any, min_cell: int) -> bool:
    return not words.is_missing(count) and 0 < float(count) < min_cell


def _text(said: Any) -> str:
    return "" if words.is_missing(said) else str(said)
