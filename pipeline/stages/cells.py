"""How does a cell's text become a value? One Ibis expression per kind, empty where unreadable.

A date format is declared, never guessed: without one only ISO 8601 is a date. A time with a zone
is moved to the business time zone (the engine session's); a time without one is already there,
unless the source declares the zone it writes in. What the clock skipped or showed twice is marked.
"""

from __future__ import annotations

import re

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from pipeline.data.schema import MONEY
from pipeline.settings import ConfigurationError

ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
ISO_MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
ISO_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-](0[0-9]|1[0-7])(:?[0-5][0-9])?)?)?$"
)
PLAIN_DAY = r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}$"
PLAIN_TIME = r"^(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"
"""As most exports write a day and a local time: what is so plain is read in one way alone."""
WITH_TIME = r"[T ][0-9]{2}:[0-9]{2}"
WITH_ZONE = r"[T ][0-9]{2}:[0-9]{2}[0-9:.]*(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
BARE, ZONED = 1, 2
"""Bits: a column that has both has 3."""
MINUTES_AND_ZONE = r"([T ][0-9]{2}:[0-9]{2})(Z|[+-])"
CLOCK_SHIFTS = (-60, -30, 30, 60)
"""Minutes by which clocks are set forward and back (30: Lord Howe Island), IANA time zones."""
MOMENT, LOCAL = dt.Timestamp(timezone="UTC"), dt.Timestamp(scale=6)
BLANKS = " \u00a0\u202f"
"""Spaces that are written between thousands: plain, no-break, narrow no-break."""
NUMBER = r"^-?[0-9]+(\.[0-9]+)?$"
WHOLE = r"^-?[0-9]+(\.0+)?$"
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
PARTS = {
    "Y": r"([0-9]{4})", "m": r"([0-9]{1,2})", "d": r"([0-9]{1,2})",
    "H": r"([0-9]{1,2})", "M": r"([0-9]{2})", "S": r"([0-9]{2})",
}  # fmt: skip
WORDS = (("YYYY", "%Y"), ("DD", "%d"), ("HH", "%H"), ("hh", "%H"), ("mm", "%M"), ("ss", "%S"))
KIND_WORDS = {
    "day": "is not a date",
    "month": "is not a month YYYY-MM, nor a day in one",
    "instant": "is not a date or time",
    "money": "is not an amount",
    "number": "is not a number",
    "count": "is not a whole number",
    "flag": "is not true or false",
}


def typed(
    text: ir.StringValue,
    kind: str,
    date_format: str | None = None,
    decimal: str = ".",
    thousands: str | None = None,
    zone: str | None = None,
    is_steady: bool = False,
) -> ir.Value:
    """A text cell read by its kind; null when it is empty or cannot be read.

    `thousands` may stand between groups of three digits. `zone` is that of times without one; None
    means the business time zone. `is_steady`: both are one, and its clock is never set forward or
    back.
    """
    cell = text.strip().nullif("")
    if kind == "month":
        return _month(cell, date_format)
    if kind in ("day", "instant"):
        moment = _moment(cell, kind, date_format, zone)
        return moment if date_format else _plain_first(text, kind, moment, is_steady)
    if kind == "flag":
        lowered = cell.lower()
        return ibis.cases((lowered.isin(TRUE), True), (lowered.isin(FALSE), False), else_=None)
    if kind in ("money", "number", "count"):
        digits = _digits(cell, decimal, thousands)
        pattern = WHOLE if kind == "count" else NUMBER
        legal = ibis.ifelse(digits.re_search(pattern), digits, ibis.null(str))
        if kind == "count":
            return legal.re_replace(r"\.0+$", "").try_cast(dt.int64)
        if kind == "money":
            return legal.try_cast(MONEY)
        number = legal.try_cast(dt.float64)
        return number.nullif(float("inf")).nullif(-float("inf"))
    return cell


def _digits(cell: ir.StringValue, decimal: str, thousands: str | None) -> ir.StringValue:
    """A number with `.` for its decimal mark and no mark of thousands; null where groups differ."""
    if thousands:
        marks = BLANKS if thousands in BLANKS else thousands
        group, point = f"[{re.escape(marks)}]", re.escape(decimal)
        grouped = rf"^-?([0-9]+|[0-9]{{1,3}}({group}[0-9]{{3}})+)({point}[0-9]+)?$"
        cell = ibis.ifelse(cell.re_search(grouped), cell, ibis.null(str)).re_replace(group, "")
    elif decimal != ".":
        cell = ibis.ifelse(cell.contains("."), ibis.null(str), cell)
    return cell.replace(decimal, ".") if decimal != "." else cell


def _moment(cell: ir.StringValue, kind: str, date_format: str | None, zone: str | None) -> ir.Value:
    legal = _legal(cell, date_format)
    if kind == "day":
        plain = ibis.ifelse(legal.re_search(ISO_DAY), legal, ibis.null(str)).try_cast(dt.date)
        return ibis.coalesce(plain, _instant(legal, zone).cast(dt.date))
    return _instant(legal, zone)


def _plain_first(text: ir.StringValue, kind: str, moment: ir.Value, is_steady: bool) -> ir.Value:
    """A plain cell read at once, any other as a moment, which costs five times as much."""
    if kind == "instant" and not is_steady:
        return moment
    pattern, type_ = (PLAIN_DAY, dt.date) if kind == "day" else (PLAIN_TIME, LOCAL)
    return ibis.ifelse(text.re_search(pattern), text.try_cast(type_), moment)


def _legal(cell: ir.StringValue, date_format: str | None) -> ir.StringValue:
    """The cell as ISO 8601; null when it is not written as declared."""
    if date_format:
        cell = _iso(cell, date_format)
    whole = cell.re_replace(MINUTES_AND_ZONE, r"\1:00\2")  # the engine asks for seconds there
    return ibis.ifelse(cell.re_search(ISO_INSTANT), whole, ibis.null(str))


def _month(cell: ir.StringValue, date_format: str | None) -> ir.Value:
    """The first day of a month: ISO 8601 or a declared format, with or without a day."""
    if not date_format:
        day = ibis.ifelse(cell.re_search(ISO_MONTH), cell + "-01", cell)
        whole = ibis.ifelse(day.re_search(ISO_DAY), day, ibis.null(str))
        return whole.try_cast(dt.date).truncate("M")
    has_day = "%d" in date_format or "DD" in date_format
    iso = (
        _iso(cell, date_format)
        if has_day
        else _iso(cell + " 01", f"{date_format} {_day_word(date_format)}")
    )
    return iso.try_cast(dt.date).truncate("M")


def _day_word(date_format: str) -> str:
    return "%d" if "%" in date_format else "DD"


def _instant(legal: ir.StringValue, zone: str | None) -> ir.Value:
    """Local time: the session's zone reads what has no zone and shows what has one."""
    if not zone:
        return legal.try_cast(MOMENT).cast(LOCAL)
    bare = ibis.ifelse(legal.re_search(WITH_ZONE), ibis.null(str), legal)
    is_day = legal.re_search(ISO_DAY)
    elsewhere = in_zone(zone, ibis.ifelse(is_day, ibis.null(str), bare).try_cast(LOCAL)).cast(LOCAL)
    return ibis.coalesce(elsewhere, legal.try_cast(MOMENT).cast(LOCAL))


@ibis.udf.scalar.builtin(name="timezone")
def in_zone(zone: str, local: dt.Timestamp(scale=6)) -> dt.Timestamp(timezone="UTC"):  # type: ignore[valid-type]
    """The moment that a local time names in a zone."""


@ibis.udf.scalar.builtin(name="timezone")
def local_time(zone: str, moment: dt.Timestamp(timezone="UTC")) -> dt.Timestamp(scale=6):  # type: ignore[valid-type]
    """The local time of a moment in a zone."""


def zone_words(text: ir.StringValue) -> ir.IntegerValue:
    """BARE for a cell that holds a time without a zone, ZONED for one with a zone, else 0."""
    cell = text.strip()
    return ibis.cases(
        (text.re_search(PLAIN_TIME), BARE),
        (cell.re_search(WITH_ZONE), ZONED),
        (cell.re_search(WITH_TIME), BARE),
        else_=0,
    )


def clock_marks(
    text: ir.StringValue, date_format: str | None, zone: str
) -> tuple[ir.BooleanValue, ir.BooleanValue]:
    """Is a time without a zone one that the clock of its zone skipped; one that it showed twice?"""
    local = _bare(text, date_format)
    moment = in_zone(zone, local)
    is_skipped = local_time(zone, moment) != local
    again = [
        local_time(zone, moment + ibis.interval(minutes=shift)) == local for shift in CLOCK_SHIFTS
    ]
    is_twice = again[0] | again[1] | again[2] | again[3]
    return is_skipped.fill_null(False), is_twice.fill_null(False)


def earlier(text: ir.StringValue, date_format: str | None, zone: str) -> ir.TimestampValue:
    """The first of the moments that a time without a zone may be; the engine takes the last."""
    local = _bare(text, date_format)
    last = first = in_zone(zone, local)
    for shift in (shift for shift in CLOCK_SHIFTS if shift < 0):
        before = last + ibis.interval(minutes=shift)
        first = ibis.ifelse(local_time(zone, before) == local, before, first)
    return first.cast(LOCAL)


def _bare(text: ir.StringValue, date_format: str | None) -> ir.TimestampValue:
    """A time without a zone as it was written; null for anything else."""
    legal = _legal(text.strip().nullif(""), date_format)
    is_bare = legal.re_search(WITH_TIME) & ~legal.re_search(WITH_ZONE)
    return ibis.ifelse(is_bare, legal, ibis.null(str)).try_cast(LOCAL)


def _iso(cell: ir.StringValue, date_format: str) -> ir.StringValue:
    """Rewrite a cell in a declared format as ISO 8601; null when it does not fit."""
    pattern, order = compile_format(date_format)
    part = {name: cell.re_extract(pattern, place) for place, name in enumerate(order, 1)}
    padded = {name: value.lpad(2, "0") for name, value in part.items() if name != "Y"}
    day = part["Y"] + "-" + padded["m"] + "-" + padded["d"]
    if "H" in part:
        day = day + "T" + padded["H"] + ":" + padded.get("M", "00")
        day = day + ":" + padded["S"] if "S" in part else day
    return ibis.ifelse(cell.re_search(pattern), day, ibis.null(str))


def compile_format(date_format: str) -> tuple[str, list[str]]:
    """A regular expression for `%d-%m-%Y %H:%M` or `DD-MM-YYYY HH:mm`, and its parts in order."""
    pattern = date_format
    if "%" not in date_format:
        for word, code in WORDS:
            pattern = pattern.replace(word, code)
        pattern = re.sub("MM", "%m", pattern, count=1)
    codes = re.findall(r"%(.)", pattern)
    unknown = [code for code in codes if code not in PARTS]
    if unknown or not {"Y", "m", "d"} <= set(codes) or len(set(codes)) != len(codes):
        raise ConfigurationError(
            f"date_format {date_format!r}: write day, month and year once each, "
            "like %d-%m-%Y or DD-MM-YYYY, with %H:%M:%S or HH:mm:ss after it where there is a time."
        )
    literal = re.split(r"%.", pattern)
    body = "".join(
        re.escape(text) + (PARTS[codes[place]] if place < len(codes) else "")
        for place, text in enumerate(literal)
    )
    return f"^{body}$", codes
