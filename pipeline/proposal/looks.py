"""What do the cells of a column look like? Formats of dates and numbers, codes, empty words.

Takes text cells, makes judgements with the share of cells they fit. The subtle point: a column may
fit several date formats equally well; then all of them are told, and the order of day and month is
a doubt for a person.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.proposal.vocabulary import EMPTY_WORDS, FALSE, OPEN_ENDS, TRUE

ENOUGH = 0.95
"""Share of cells that must fit before a column is proposed; the rest would go to quarantine."""
ISO = ""
"""No format to declare: the dates are ISO 8601."""
ISO_CELL = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?",
    re.ASCII,
)
DAYS = {
    "DD-MM-YYYY": r"(?P<d>\d{1,2})-(?P<m>\d{1,2})-(?P<Y>\d{4})",
    "MM-DD-YYYY": r"(?P<m>\d{1,2})-(?P<d>\d{1,2})-(?P<Y>\d{4})",
    "DD/MM/YYYY": r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<Y>\d{4})",
    "MM/DD/YYYY": r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<Y>\d{4})",
    "DD.MM.YYYY": r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<Y>\d{4})",
    "YYYY/MM/DD": r"(?P<Y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})",
    "YYYY.MM.DD": r"(?P<Y>\d{4})\.(?P<m>\d{1,2})\.(?P<d>\d{1,2})",
    "YYYYMMDD": r"(?P<Y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})",
}
TIMES = {"": "", " HH:mm": r" \d{1,2}:\d{2}", " HH:mm:ss": r" \d{1,2}:\d{2}:\d{2}"}
FORMATS = {
    day + time: re.compile(DAYS[day] + TIMES[time], re.ASCII) for day in DAYS for time in TIMES
}
MONTHS = {
    ISO: re.compile(r"(\d{4})-(\d{2})", re.ASCII),
    "YYYY/MM": re.compile(r"(\d{4})/(\d{1,2})", re.ASCII),
    "YYYYMM": re.compile(r"((?:19|20)\d{2})(\d{2})", re.ASCII),
    "MM/YYYY": re.compile(r"(?P<m>\d{1,2})/(?P<Y>\d{4})", re.ASCII),
}
POINT = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
COMMA = re.compile(r"-?\d+(,\d+)?", re.ASCII)
POINT_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
COMMA_GROUPED = re.compile(r"-?\d{1,3}(\.\d{3})+(,\d+)?", re.ASCII)
SIGN = re.compile(r"[$€£¥]|\b(USD|EUR|GBP|JPY|CHF)\b")
EPOCH = re.compile(r"1\d{9}(\d{3})?", re.ASCII)
WORD_MONTH = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)


@dataclass(frozen=True)
class Look:
    """How well a column's cells fit a kind, and what must be declared to read them."""

    share: float
    """Of the cells that are not empty; 1 when all are empty."""
    date_format: str | None = None
    also: tuple[str, ...] = ()
    """Date formats that fit as well."""
    decimal: str | None = None
    thousands: str | None = None
    values: dict[str, str] | None = None
    """Codes: theirs → ours."""
    unknown: tuple[str, ...] = ()
    """Codes that nobody knows."""
    odd: tuple[str, ...] = ()
    """Cells that do not fit, up to three."""

    @property
    def is_good(self) -> bool:
        """Nearly every cell can be read."""
        return self.share >= ENOUGH


def plain(name: str) -> str:
    """A name in small letters with _ between its words: `MonthlyCharges` is monthly_charges."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", spaced.lower()).strip("_")


def full(cells: Iterable[str]) -> list[str]:
    """The cells that say something."""
    stripped = (cell.strip() for cell in cells)
    return [cell for cell in stripped if cell and cell.lower() not in EMPTY_WORDS]


def empty_words(cells: Iterable[str]) -> list[str]:
    """Words of the column that mean that nothing is known, as they are written."""
    stripped = {cell.strip() for cell in cells}
    return sorted(cell for cell in stripped if cell and cell.lower() in EMPTY_WORDS)


def open_ends(cells: Iterable[str]) -> list[str]:
    """Far days that stand for no end, as they are written."""
    stripped = {cell.strip() for cell in cells}
    return sorted(cell for cell in stripped if cell[:10] in OPEN_ENDS)


def look(cells: Sequence[str], kind: str, codes: Sequence[str], words: dict[str, str]) -> Look:
    """How a column looks as one of our kinds; `codes` are ours, `words` theirs → ours."""
    said = full(cells)
    if not said:
        return Look(1.0)
    if kind in ("day", "instant"):
        return dates(said)
    if kind in ("money", "number", "count"):
        return numbers(said)
    if kind == "flag":
        return flags(said)
    if codes:
        return coded(said, codes, words)
    return Look(1.0)


def dates(said: Sequence[str]) -> Look:
    """The date format that fits most cells, and those that fit as many."""
    counts = Counter(said)
    fits = {
        layout: sum(n for cell, n in counts.items() if _is_day(pattern.fullmatch(cell)))
        for layout, pattern in {ISO: ISO_CELL, **FORMATS}.items()
    }
    return _best(fits, counts, lambda cell, best: _fits_date(cell, best))


def months(said: Sequence[str]) -> Look:
    """The same for calendar months; a ledger may also write the first or last day of each."""
    counts = Counter(said)
    fits = {
        layout: sum(n for cell, n in counts.items() if _is_month(pattern.fullmatch(cell)))
        for layout, pattern in MONTHS.items()
    }
    return _best(fits, counts, lambda cell, best: _is_month(MONTHS[best].fullmatch(cell)))


def _best(fits: dict[str, int], counts: Counter[str], holds: Callable[[str, str], bool]) -> Look:
    total = sum(counts.values())
    best = max(fits, key=lambda layout: fits[layout])
    also = tuple(name for name, n in fits.items() if n == fits[best] and name != best and n)
    odd = tuple(cell for cell in counts if not holds(cell, best))[:3]
    return Look(fits[best] / total, best, also, odd=odd)


def _fits_date(cell: str, layout: str) -> bool:
    pattern = FORMATS[layout] if layout else ISO_CELL
    return _is_day(pattern.fullmatch(cell))


def _is_day(found: re.Match[str] | None) -> bool:
    return _day(found) is not None


def _day(found: re.Match[str] | None) -> dt.date | None:
    if not found:
        return None
    parts = found.groupdict() or dict(zip("Ymd", found.groups()[:3], strict=True))
    try:
        return dt.date(int(parts["Y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:
        return None


def month_marks(said: Sequence[str]) -> Look:
    """Dates that stand for months: the format in which all are first, or last, days of one."""
    look = dates(said)
    marks = [name for name in (look.date_format or ISO, *look.also) if _are_marks(said, name)]
    if len(marks) == 1 and look.share == 1:
        look = replace(look, date_format=marks[0], also=())
    return replace(look, date_format=look.date_format or "YYYY-MM-DD")


def _are_marks(said: Sequence[str], layout: str) -> bool:
    pattern = FORMATS[layout] if layout else ISO_CELL
    days = {_day(pattern.fullmatch(cell)) for cell in said}
    if None in days:
        return False
    nights = {day + dt.timedelta(days=1) for day in days if day}
    return all(day.day == 1 for day in days if day) or all(day.day == 1 for day in nights)


def _is_month(found: re.Match[str] | None) -> bool:
    if not found:
        return False
    parts = found.groupdict() or dict(zip("Ym", found.groups()[:2], strict=True))
    return 1 <= int(parts["m"]) <= 12


def numbers(said: Sequence[str]) -> Look:
    """Point or comma, with or without groups of thousands, whichever fits most cells."""
    counts = Counter(said)
    ways: dict[tuple[str, str | None], tuple[re.Pattern[str], ...]] = {
        (".", None): (POINT,),
        (",", None): (COMMA,),
        (".", ","): (POINT, POINT_GROUPED),
        (",", "."): (COMMA, COMMA_GROUPED),
    }
    fits = {
        way: sum(n for cell, n in counts.items() if any(p.fullmatch(cell) for p in patterns))
        for way, patterns in ways.items()
    }
    decimal, thousands = max(fits, key=lambda way: fits[way])
    patterns = ways[decimal, thousands]
    odd = tuple(cell for cell in counts if not any(p.fullmatch(cell) for p in patterns))[:3]
    is_said = decimal == "," and any("," in cell for cell in counts)
    share = fits[decimal, thousands] / len(said)
    return Look(share, decimal="," if is_said else None, thousands=thousands, odd=odd)


def flags(said: Sequence[str]) -> Look:
    """True or false in words that are read as they stand, or that need a declaration."""
    counts = Counter(said)
    values: dict[str, str] = {}
    for cell in counts:
        lowered = cell.lower()
        ours = "true" if lowered in TRUE else "false" if lowered in FALSE else ""
        if ours:
            values[cell] = ours
    known = sum(counts[cell] for cell in values)
    needed = {cell: ours for cell, ours in values.items() if cell.lower() not in READ_AS_FLAGS}
    odd = tuple(cell for cell in counts if cell not in values)[:3]
    return Look(known / len(said), values=needed or None, unknown=odd, odd=odd)


READ_AS_FLAGS = ("true", "t", "yes", "y", "1", "false", "f", "no", "n", "0")
"""Words that `ingest` takes without a declaration."""


def coded(said: Sequence[str], codes: Sequence[str], words: dict[str, str]) -> Look:
    """Codes of theirs as codes of ours, by the same word or by the vocabulary."""
    counts = Counter(said)
    values, unknown = {}, []
    for cell in sorted(counts):
        key = plain(cell)
        ours = key if key in codes else words.get(key, "")
        if not ours:
            unknown.append(cell)
        elif cell != ours:
            values[cell] = ours
    known = len(said) - sum(counts[cell] for cell in unknown)
    shown = tuple(unknown[:10])
    return Look(known / len(said), values=values or None, unknown=shown, odd=shown[:3])


def why_not(said: Sequence[str], kind: str) -> str:
    """In a few words, what hinders reading a column of this kind; empty when nobody can tell."""
    head = said[:200]
    if kind in ("day", "instant"):
        if sum(bool(EPOCH.fullmatch(cell)) for cell in head) > len(head) / 2:
            return "they look like seconds since 1970; export them as dates"
        if sum(bool(WORD_MONTH.search(cell)) for cell in head) > len(head) / 2:
            return "months are written as words; export them as numbers, like 2026-10-31"
        return "no date format fits"
    if any(SIGN.search(cell) for cell in head):
        return "amounts carry a sign of their currency; export them without"
    return ""
