"""Where is a number, a figure, a table or a definition? Everything of every report, from A to Z.

Works on the records of reports and on what their pages hold; makes reports/find.html. It needs no
server and no script: the browser's own search finds a word on it. The subtle point: an entry is one
thing over all months and leads to the newest; a headline tells its value in every month, all else
leads to the last twelve months, so that ten years stay light.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby

from pipeline.reporting import words
from pipeline.reporting.pages import html, navigation, parts
from pipeline.reporting.records.contents import CHAPTER, HEADLINE, Entry, files, headlines
from pipeline.reporting.records.record import Report

MONTHS_SHOWN = 12
"""Earlier months of an entry that is no headline and no chapter."""
LONGEST_SAID = 240
OTHERS = "0–9"
HOW_TO_FIND = (
    "Press Ctrl and F (on a Mac, Command and F) and type a word: the browser finds it here, "
    "without a server. Each entry leads to its newest place; the months behind it lead to "
    "earlier ones."
)

Found = list[tuple[str, Entry]]
"""One thing by month, newest first: (period, entry)."""


def render(reports: Sequence[tuple[Report, Sequence[Entry]]], company: str) -> str:
    """The page over everything that was published.

    Args:
        reports: each record in force with the entries of its pages, in any order.
        company: its name for readers.
    """
    newest_first = sorted(reports, key=lambda one: str(one[0]["period"]), reverse=True)
    records = {str(report["period"]): report for report, _ in newest_first}
    things = sorted(_things(newest_first), key=_place)
    letters = [(letter, list(group)) for letter, group in groupby(things, key=_letter)]
    links = "".join(
        f'<li><a href="#{_anchor(letter)}">{parts.text(letter)}</a></li>' for letter, _ in letters
    )
    title = f"{company}: find a number, a table, a figure, a definition"
    body = [
        parts.fragment(parts.paragraph(HOW_TO_FIND)),
        f'<nav aria-label="Letters"><ul class="letters">{links}</ul></nav>' if links else "",
        *(_section(letter, group, records) for letter, group in letters),
    ]
    return html.render_site(title, navigation.FIND_PAGE, body)


def _things(newest_first: Iterable[tuple[Report, Sequence[Entry]]]) -> list[Found]:
    """The entries of all months, put together by what they are of."""
    found: dict[tuple[str, str, str], Found] = {}
    for report, entries in newest_first:
        for entry in [*headlines(report), *entries, *files(report)]:
            key = (entry["kind"], entry["chapter"], entry["name"])
            months = found.setdefault(key, [])
            if not months or months[-1][0] != str(report["period"]):
                months.append((str(report["period"]), entry))
    return list(found.values())


def _place(found: Found) -> tuple[str, str, str, str, str]:
    entry = found[0][1]
    return (
        _letter(found), entry["title"].casefold(), entry["kind"], entry["chapter"], entry["name"]
    )  # fmt: skip


def _letter(found: Found) -> str:
    first = found[0][1]["title"][:1].upper()
    return first if first.isalpha() else OTHERS


def _anchor(letter: str) -> str:
    return "letter-others" if letter == OTHERS else f"letter-{escape(letter.casefold())}"


def _section(letter: str, things: Sequence[Found], records: Mapping[str, Report]) -> str:
    items = "".join(f"<li>{_thing(found, records)}</li>" for found in things)
    return f'<h2 id="{_anchor(letter)}">{parts.text(letter)}</h2><ul class="entries">{items}</ul>'


def _thing(found: Found, records: Mapping[str, Report]) -> str:
    """What it is, where the newest stands, what it said, and its earlier months."""
    period, entry = found[0]
    said = entry["said"] or _value(entry, records[period]).strip()
    said = said if len(said) <= LONGEST_SAID else f"{said[: LONGEST_SAID - 1]}…"
    after = f'<span class="told">{parts.text(said)}</span>' if said else ""
    kind = f"{entry['chapter']}, {entry['kind']}"
    return (
        f'<a href="{_href(period, entry)}">{parts.text(entry["title"])}</a> '
        f'<span class="kind">{parts.text(kind)}</span> {after}{_months(found, records)}'
    )


def _months(found: Found, records: Mapping[str, Report]) -> str:
    """Its months, newest first, year by year; a headline with its values."""
    has_all = found[0][1]["kind"] in (HEADLINE, CHAPTER)
    shown = found if has_all else found[: MONTHS_SHOWN + 1]
    years = [
        (year, list(months)) for year, months in groupby(shown, key=lambda month: month[0][:4])
    ]
    lines = "".join(
        f'<span class="year">{escape(year)}: '
        f"{' '.join(_month(*month, records) for month in months)}</span> "
        for year, months in years
    )
    rest = len(found) - len(shown)
    oldest = f"and {words.counted(rest, 'earlier month')}, from {words.month(found[-1][0])}"
    lines += f'<span class="year">{oldest}</span>' if rest else ""
    if len(found) == 1:
        return f'<span class="months">{lines}</span>'
    head = f"{words.counted(len(found), 'month')}"
    label = f'<span class="unseen"> of {parts.text(found[0][1]["title"])}</span>'
    return f'<details><summary>{head}{label}</summary><span class="months">{lines}</span></details>'


def _month(period: str, entry: Entry, records: Mapping[str, Report]) -> str:
    name = words.MONTH_NAMES[int(period[5:7]) - 1][:3]
    return (
        f'<a href="{_href(period, entry)}">{name}</a>{parts.text(_value(entry, records[period]))}'
    )


def _value(entry: Entry, report: Report) -> str:
    if entry["kind"] != HEADLINE:
        return ""
    row = next(row for row in report["headline"] if row["name"] == entry["name"])
    return f" {parts.value(row, str(report.get('currency', '')))}"


def _href(period: str, entry: Entry) -> str:
    return f"{escape(period)}/{escape(entry['href'])}"
