"""How does a cell's text become a value? One Ibis expression per kind, empty where unreadable.

A date format is declared, never guessed: without one only ISO 8601 is a date. A time with a zone
is moved to the business time zone (the engine session's); a time without one is already there.
"""

from __future__ import annotations

import re

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from pipeline.data.schema import MONEY
from pipeline.settings import ConfigurationError

ISO_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
ISO_INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)
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
    "instant": "is not a date or time",
    "money": "is not an amount",
    "number": "is not a number",
    "count": "is not a whole number",
    "flag": "is not true or false",
}


def typed(text: ir.StringValue, kind: str, date_format: str | None, decimal: str) -> ir.Value:
    """A text cell read by its kind; null when it is empty or cannot be read."""
    cell = text.strip().nullif("")
    if kind in ("day", "instant"):
        return _moment(cell, kind, date_format)
    if kind == "flag":
        lowered = cell.lower()
        return ibis.cases((lowered.isin(TRUE), True), (lowered.isin(FALSE), False), else_=None)
    if kind in ("money", "number", "count"):
        digits = cell
        if decimal != ".":
            digits = ibis.ifelse(cell.contains("."), ibis.null(str), cell).replace(decimal, ".")
        pattern = WHOLE if kind == "count" else NUMBER
        legal = ibis.ifelse(digits.re_search(pattern), digits, ibis.null(str))
        if kind == "count":
            return legal.try_cast(dt.float64).cast(dt.int64)
        return legal.try_cast(MONEY if kind == "money" else dt.float64)
    return cell


def _moment(cell: ir.StringValue, kind: str, date_format: str | None) -> ir.Value:
    if date_format:
        cell = _iso(cell, date_format)
    legal = ibis.ifelse(cell.re_search(ISO_INSTANT), cell, ibis.null(str))
    if kind == "day":
        plain = ibis.ifelse(legal.re_search(ISO_DAY), legal, ibis.null(str)).try_cast(dt.date)
        return ibis.coalesce(plain, _instant(legal).cast(dt.date))
    return _instant(legal)


def _instant(legal: ir.StringValue) -> ir.Value:
    """Local time: the session's zone reads what has no zone and shows what has one."""
    return legal.try_cast(dt.Timestamp(timezone="UTC")).cast(dt.Timestamp(scale=6))


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
