"""Reads every number that the pages of a report show, and looks each up where it must come from.

A number in a table comes from the file named under it, in one row of it; without a file, and in
prose and tiles, from report.json or a published file of the report. What is no result (a date, a
setting, a constant of a definition) comes from a list of named sources, outside of tables: there a
setting that happens to be equal would vouch for a wrong n.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from pipeline.reporting import words

DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
SHARE = r"\s?(?:%|(?:percentage )?points)"
"""What stands after a share; a range and an interval say it once, at their end."""
NUMBER = re.compile(
    rf"(?<![\w.,/:-])[−-]?(?P<digits>{DIGITS})"
    rf"(?P<unit>{SHARE}|(?= to [−-]?{DIGITS}\)?{SHARE}|\){SHARE}| \([^()]*\){SHARE}))?"
    r"(?![\w:/]|[.,-]\d)"
)
ISO = re.compile(r"\b\d{4}-\d{2}(?:-\d{2})?\b")
DATE = re.compile(rf"(?:\b\d{{1,2}} )?\b(?:{'|'.join(words.MONTH_NAMES)}) \d{{4}}\b")
INTERVAL = re.compile(
    r"[−-]?[\d.,]+(?:\s?%)?[^().;:]{0,30}\s\([−-]?[\d.,]+[^()]{0,20}? to [^()]{1,30}\)"
)
IN_TABLES = ("smallest p",)
"""The only named sources of a table's numbers."""
MOST_DECIMALS = 4
PERCENT, LARGEST_SHARE = 100, 10
VOID = {"br", "img", "meta", "link", "hr", "wbr", "col", "input"}
CELLS = {"td", "th"}
SKIPPED = {"style", "script", "svg", "pre", "code", "head", "nav"}


@dataclass(frozen=True)
class Shown:
    """A number on a page: its digits as they stand there, and what it is part of."""

    digits: str
    is_share: bool
    """It stands before a percent sign, or counts points."""
    text: str
    """The sentence, tile line or cell around it."""


@dataclass
class Place:
    """A table row, a sentence or a tile line: its words, and the files named under it."""

    kind: str
    text: str
    files: list[str] = field(default_factory=list)
    caption: str = ""

    @property
    def plain(self) -> str:
        """Its words with plain spaces."""
        return self.text.replace("\u00a0", " ")

    def numbers(self) -> Iterator[Shown]:
        """The numbers in it."""
        for found in NUMBER.finditer(self.plain):
            yield Shown(found["digits"], found["unit"] is not None, self.text)


class Reader(HTMLParser):
    """Splits a page into places."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.places: list[Place] = []
        self.box: list[Place] = []
        self.words: list[str] = []
        self.caption = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "download" in given and self._is_in("figure", "table-box"):
            for place in self.box:
                place.files.append(given["href"])
        if tag in VOID:
            return
        if tag in BREAKS:
            self._end()
        self.open.append((tag, given.get("class", "")))
        if tag == "figure" or "table-box" in given.get("class", ""):
            self.box = []

    def handle_endtag(self, tag: str) -> None:
        if tag in BREAKS:
            self._end()
        if tag in CELLS:
            self.words.append(" ")
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(tag in SKIPPED for tag, _ in self.open):
            self.words.append(data)

    def _is_in(self, *names: str) -> bool:
        return any(tag in names or set(names) & set(style.split()) for tag, style in self.open)

    def _end(self) -> None:
        text = " ".join("".join(self.words).split())
        self.words = []
        if not text:
            return
        if self._is_in("caption"):
            self.caption = text
        place = Place(self._kind(), text, caption=self.caption)
        if self._is_in("figure", "table-box"):
            self.box.append(place)
        self.places.append(place)

    def _kind(self) -> str:
        kinds = (
            "footer",
            "tiles",
            "caption",
            "thead",
            "table",
            "figure",
            "definition",
            "facts",
            "said",
        )
        return next((kind for kind in kinds if self._is_in(kind)), "prose")


BREAKS = {
    "p", "tr", "caption", "li", "dt", "dd", "h1", "h2", "h3", "h4", "div", "summary", "figcaption",
    "figure", "table", "thead", "tbody", "footer", "header", "ul", "dl", "section",
}  # fmt: skip


def places(page: str) -> list[Place]:
    """The places of a page in order."""
    reader = Reader()
    reader.feed(page)
    reader._end()
    return reader.places


# Where numbers come from.


def forms(value: float) -> set[tuple[str, bool]]:
    """How a number may be shown: digits rounded half away from zero, as it is and as a share."""
    exact = abs(Decimal(repr(float(value))))
    ways = [(1, False)]
    ways += [(1, True)] if exact >= 1 or not exact else []  # points of a score
    ways += [(PERCENT, True)] if exact < LARGEST_SHARE else []
    rounded = [
        ((exact * factor).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP), is_share)
        for factor, is_share in ways
        for places in range(MOST_DECIMALS + 1)
    ]
    years = {(f"{number}", is_share) for number, is_share in rounded}
    return years | {(f"{number:,}", is_share) for number, is_share in rounded}


def forms_of(values: Iterable[Any]) -> set[tuple[str, bool]]:
    """The forms of every number among values, those inside of texts included."""
    found: set[tuple[str, bool]] = set()
    for value in values:
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float):
            found |= forms(value)
            continue
        text = str(value).replace("_", " ").replace("\u00a0", " ")
        try:
            number = float(text)
        except ValueError:
            found |= {(said["digits"], said["unit"] is not None) for said in NUMBER.finditer(text)}
            found |= {(said["digits"], False) for said in NUMBER.finditer(text)}
        else:
            found |= forms(number) if math.isfinite(number) else set()
    return found


def leaves(content: Any) -> Iterator[Any]:
    """Every value of nested JSON."""
    if isinstance(content, dict):
        for each in content.values():
            yield from leaves(each)
    elif isinstance(content, list):
        for each in content:
            yield from leaves(each)
    else:
        yield content


@dataclass
class Sources:
    """What a report published, as numbers are looked up in it."""

    folder: Path
    named: Mapping[str, Iterable[Any]]
    """Name → values that are no result of this report: settings, constants, notebooks' prose."""

    def __post_init__(self) -> None:
        record = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        headlines = record["headline"]
        changes = [change for row in headlines for change in _changes(row)]
        self.record = forms_of([*leaves(record), *changes])
        self.tiles = {row["label"]: forms_of([*leaves(row), *_changes(row)]) for row in headlines}
        self.others = {name: forms_of(values) for name, values in self.named.items()}
        self.dicts = [forms_of([*own, *_changes(each)]) for each, own in mappings(record)]
        files = sorted(self.folder.rglob("*.csv"))
        self.rows = {path.relative_to(self.folder).as_posix(): _rows(path) for path in files}
        self.files = {name: set().union(*rows) for name, rows in self.rows.items()}
        texts = [path.read_text(encoding="utf-8") for path in files]
        days = set(ISO.findall("\n".join([*texts, json.dumps(record)])))
        self.days = {words.month(day[:7]) for day in days}
        self.days |= {words.day(day) for day in days if len(day) == len("2026-10-31")}

    def of(self, place: Place, shown: Shown) -> str:
        """Where a number is found; empty when nowhere."""
        key = (shown.digits, shown.is_share)
        for name in place.files:
            if key in self.files.get(name, ()):
                return name
        others = self._others(place)
        own = next((name for name, known in others.items() if key in known), "")
        if place.files and place.kind == "table":
            return own
        if place.kind == "tiles" and (label := self._label(place)):
            is_there = key in self.tiles[label] or key in forms_of([label])
            return "report.json" if is_there else ""
        if key in self.record:
            return "report.json"
        return own or next((name for name, known in self.files.items() if key in known), "")

    def _others(self, place: Place) -> dict[str, set[tuple[str, bool]]]:
        """The sources beside the report's results that a place may draw on."""
        names = IN_TABLES if place.kind == "table" else self.others
        return {name: self.others[name] for name in names if name in self.others}

    def _label(self, place: Place) -> str:
        """The headline that a tile or row shows: the longest label that it begins with."""
        fitting = (label for label in self.tiles if place.plain.startswith(label))
        return max(fitting, key=len, default="")

    def has_row(self, place: Place) -> bool:
        """True when all numbers of a table's row stand in one row of the file under it.

        A file that is not there holds no row.
        """
        files = [name for name in place.files if name.endswith(".csv")]
        if any(name not in self.rows for name in files):
            return False
        keys = {(shown.digits, shown.is_share) for shown in self.numbers(place)}
        keys -= set().union(*self._others(place).values())
        rows = [row for name in files for row in self.rows[name]]
        return not keys or not files or any(keys <= row for row in rows)

    def has_interval(self, place: Place) -> bool:
        """True when an estimate and its limits in a sentence belong to one row or one record."""
        for found in INTERVAL.finditer(place.plain):
            keys = {(shown.digits, shown.is_share) for shown in Place("", found[0]).numbers()}
            groups = (*self.dicts, *(row for rows in self.rows.values() for row in rows))
            if len(keys) > 1 and not any(keys <= group for group in groups):
                return False
        return True

    def numbers(self, place: Place) -> list[Shown]:
        """The numbers of a place without those of dates and of a row's label that it knows."""
        label = self._label(place) if place.kind == "table" else ""
        plain = place.plain.removeprefix(label)
        text = DATE.sub(lambda date: "" if date[0] in self.days else date[0], plain)
        return list(Place(place.kind, text).numbers())


def mappings(content: Any) -> Iterator[tuple[Mapping[str, Any], list[Any]]]:
    """Every mapping of nested JSON with its own values."""
    if isinstance(content, dict):
        yield content, [value for value in content.values() if not isinstance(value, dict | list)]
    for each in content.values() if isinstance(content, dict) else content:
        if isinstance(each, dict | list):
            yield from mappings(each)


def _changes(row: Mapping[str, Any]) -> list[float]:
    """A headline's change in a month and in a year, as a tile says them."""
    now = row.get("estimate")
    then = [row[before] for before in ("previous", "year_ago") if row.get(before) is not None]
    return [now - before for before in then] if now is not None else []


@dataclass(frozen=True)
class Lost:
    """A number of a page that comes from nowhere, or a row that no row of its file holds."""

    page: str
    text: str
    number: str = ""


@dataclass(frozen=True)
class Walk:
    """What was found of a report: numbers by where they come from, and what comes from nowhere."""

    found: Counter[str]
    lost: list[Lost]
    broken: list[Lost]
    """Rows whose numbers are in the file under the table, but not together in one row of it; and
    sentences in which an estimate and its limits do not belong together."""


def walk(sources: Sources, pivoted: Collection[str] = ()) -> Walk:
    """Look every number of every page up; `pivoted`: files whose rows a page shows side by side."""
    found: Counter[str] = Counter()
    lost, broken = [], []
    for path in sorted(sources.folder.glob("*.html")):
        for place in places(path.read_text(encoding="utf-8")):
            for shown in sources.numbers(place):
                where = sources.of(place, shown)
                found[where or "nowhere"] += 1
                if not where:
                    lost.append(Lost(path.name, place.plain, shown.digits))
            is_row = place.kind == "table" and not set(place.files) & set(pivoted)
            is_whole = sources.has_row(place) if is_row else sources.has_interval(place)
            if not is_whole:
                broken.append(Lost(path.name, place.plain))
    return Walk(found, lost, broken)


def _rows(path: Path) -> list[set[tuple[str, bool]]]:
    """The forms of each row of a file; its head, with the count of rows, is the first."""
    with path.open(encoding="utf-8", newline="") as lines:
        head, *rows = list(csv.reader(lines)) or [[]]
    return [forms_of([*head, len(rows)]), *(forms_of(row) for row in rows)]
