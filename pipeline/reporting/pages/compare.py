"""How does each number stand beside the month before and the year before? Side by side, one by one.

Works on the record of a report and on what was published of the two earlier months. Makes the rows
of compare.csv and the content of compare.html. The subtle point: a change is one of vintages and
definitions alike, so it speaks of the earlier number *recomputed* from this report's data; what an
earlier report printed stands beside it, and is compared only when both reports are of one age.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from pipeline.data.schema.headlines import CUT_OFF
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import tables, words
from pipeline.reporting.pages import parts
from pipeline.reporting.records import plan
from pipeline.reporting.records.record import PROVISIONAL, Report
from pipeline.reporting.records.restatements import (
    FIRST_LOOK,
    LATE_ROWS,
    NEW_CODE,
    NEW_DEFINITION,
    REWRITTEN,
)
from pipeline.reporting.tables import columns
from pipeline.settings import Period

PAGE, FILE = "compare.html", "compare.csv"
RECOMPUTED, FIRST = "recomputed", "first published"
ANOTHER_CUT_OFF = "another cut-off"
NOT_COMPARABLE, NO_FIGURE = "not comparable yet", "no figure"
NUMBERS = ("estimate", "ci_low", "ci_high", "n")
COLUMNS = (
    "against", "period", "name", "chapter", "unit", "state", *NUMBERS, "recomputed", "change",
    "change_against", *(f"first_{each}" for each in NUMBERS), "first_status",
    *(f"in_force_{each}" for each in NUMBERS), "in_force_status", "in_force_revision", "differs",
)  # fmt: skip
HOW_TO_READ = (
    "Each headline of this report beside the same number earlier, recomputed from the data of this "
    "report: one set of facts, one definition. The change is between these two. What the earlier "
    "report itself said stands beside them, and what may make the two differ. Numbers of settled "
    "time are recomputed up to this report's cut-off, a month or a year earlier. A month that is "
    "not settled is compared only with a report of the same age."
)


@dataclass(frozen=True)
class Earlier:
    """An earlier month: how far back it lies, and what was published of it, first to last."""

    against: str
    column: str
    """The headline's column that holds the number recomputed for that month."""
    period: str
    published: Sequence[Report] = ()


STEPS = (("the month before", "previous", 1), ("the year before", "year_ago", 12))
"""What a report is set beside: in words, the recomputed column, months back."""


def earlier_of(period: str, published: Mapping[str, Sequence[Report]]) -> list[Earlier]:
    """The month and the year before a period, with what `published` holds of them by period."""
    found = []
    for against, column, back in STEPS:
        name = str(Period(period).shift(-back))
        found.append(Earlier(against, column, name, published.get(name, ())))
    return found


def rows(report: Report, earlier: Sequence[Earlier], min_cell: int = 0) -> pd.DataFrame:
    """One row per earlier month and headline: COLUMNS, numbers in the headline's unit.

    `change` is blank where nothing of the same age stands beside; `change_against` says what it was
    taken from. An earlier figure of fewer than `min_cell` accounts is not told again.
    """
    made = [_row(line, report, each, min_cell) for each in earlier for line in report["headline"]]
    return pd.DataFrame(made, columns=list(COLUMNS))


def body(report: Report, earlier: Sequence[Earlier], found: pd.DataFrame) -> str:
    """The content of the page: one table per earlier month, and what differs between the reports.

    Args:
        report: the record of this report.
        earlier: as for `rows`.
        found: the rows of `rows`.
    """
    month = words.month(report["period"])
    title = f"{month} beside {words.month(earlier[0].period)} and {words.month(earlier[1].period)}"
    sections = [_section(report, each, found[found["against"] == each.against]) for each in earlier]
    said = parts.fragment(parts.paragraph(HOW_TO_READ))
    return "\n".join([f"<h1>{parts.text(title)}</h1>", said, *sections])


# Rows.


def _row(
    line: Mapping[str, Any], report: Report, earlier: Earlier, min_cell: int
) -> dict[str, Any]:
    first = _line_of(earlier.published[:1], line, min_cell)
    in_force = _line_of(earlier.published[-1:], line, min_cell)
    recomputed = line.get(earlier.column)
    change, taken_from = _change(line, report, earlier, first)
    last = earlier.published[-1] if earlier.published else {}
    return {
        "against": earlier.against,
        "period": earlier.period,
        "name": line["name"],
        "chapter": line["chapter"],
        "unit": line["unit"],
        "state": line["state"],
        **{each: line.get(each) for each in NUMBERS},
        "recomputed": recomputed,
        "change": change,
        "change_against": taken_from,
        **{f"first_{each}": first.get(each) for each in NUMBERS},
        "first_status": earlier.published[0]["status"] if first else None,
        **{f"in_force_{each}": in_force.get(each) for each in NUMBERS},
        "in_force_status": last.get("status") if in_force else None,
        "in_force_revision": last.get("revision") if in_force else None,
        "differs": _differs(line, recomputed, in_force, report, earlier),
    }


def _line_of(
    published: Sequence[Report], line: Mapping[str, Any], min_cell: int
) -> Mapping[str, Any]:
    """The same headline as a report had it; nothing where it is hidden here, or too small."""
    rows_ = published[0]["headline"] if published else []
    found: Mapping[str, Any] = next((row for row in rows_ if row["name"] == line["name"]), {})
    n = found.get("n")
    is_small = n is not None and 0 < n < min_cell
    return {} if is_small or line["state"] == "suppressed" else found


def _change(
    line: Mapping[str, Any], report: Report, earlier: Earlier, first: Mapping[str, Any]
) -> tuple[float | None, str | None]:
    now, before = line["estimate"], line.get(earlier.column)
    if words.is_missing(now):
        return None, None
    if not words.is_missing(before):
        return now - before, RECOMPUTED
    told = first.get("estimate")
    if words.is_missing(told) or not _is_of_one_age(line["name"], report, earlier.published[0]):
        return None, None
    return now - told, FIRST


def _is_of_one_age(name: str, report: Report, other: Report) -> bool:
    """True when both speak of settled time, or were cut as long after their month's end.

    Under another plan they measure another thing.
    """
    if _plan_changes(report, other):
        return False
    return HEADLINES[name].dated == CUT_OFF or _unsettled_days(report) == _unsettled_days(other)


def _unsettled_days(report: Report) -> int:
    """Days of the month that are not settled: the same number tells the same age."""
    ends = [dt.date.fromisoformat(report[name]) for name in ("as_of", "analysis_cut_off")]
    return (ends[0] - ends[1]).days


def _differs(
    line: Mapping[str, Any],
    recomputed: float | None,
    published: Mapping[str, Any],
    report: Report,
    earlier: Earlier,
) -> str:
    """What may have moved a number between its report and today; blank where a reader sees none.

    Later facts are named where nothing else is known that parts the two.
    """
    told = published.get("estimate")
    if words.is_missing(told) or words.is_missing(recomputed):
        return ""
    unit = HEADLINES[line["name"]].unit
    if words.say(told, unit) == words.say(recomputed, unit):
        return ""
    other = earlier.published[-1]
    settings = [row["setting"] for row in _plan_changes(report, other)]
    touched = [name for name in settings if _touches(name, line["chapter"], report["chapters"])]
    known = {
        NEW_DEFINITION: bool(touched),
        NEW_CODE: _fact(report, "code_sha256") != _fact(other, "code_sha256"),
        ANOTHER_CUT_OFF: _is_cut_elsewhere(line["name"], report, earlier),
    }
    later = FIRST_LOOK if other["status"] == PROVISIONAL else f"{LATE_ROWS} or {REWRITTEN}"
    return ", ".join(reason for reason, holds in known.items() if holds) or later


def _is_cut_elsewhere(name: str, report: Report, earlier: Earlier) -> bool:
    """True when the number recomputed for that month ends on another day than the published one.

    A number of settled time is recomputed up to this report's cut-off, so many months earlier; the
    last day of a month stays the last day of a month.
    """
    if HEADLINES[name].dated != CUT_OFF:
        return False
    back = next(months for _, column, months in STEPS if column == earlier.column)
    day = pd.Timestamp(report["analysis_cut_off"])
    recomputed = day - pd.DateOffset(months=back)
    if day.is_month_end:
        recomputed += pd.offsets.MonthEnd(0)
    return recomputed != pd.Timestamp(earlier.published[-1]["analysis_cut_off"])


def _touches(setting: str, chapter: str, chapters: Sequence[str]) -> bool:
    """A block of another chapter touches no number of this one; every other rule may."""
    block, dot, _ = setting.partition(".")
    return not dot or block == chapter or block not in chapters


def _plan_changes(report: Report, other: Report) -> list[dict[str, Any]]:
    return plan.changes(other["plan"], report["plan"]) if "plan" in other else []


def _fact(report: Report, name: str) -> Any:
    return report.get("provenance", {}).get(name)


# The page.


def _section(report: Report, earlier: Earlier, found: pd.DataFrame) -> str:
    """One earlier month: what stands between the two reports, then number by number."""
    month = words.month(earlier.period)
    caption = f"{words.month(report['period'])} and {earlier.against}, {month}"
    shown = pd.DataFrame([_said(row, report, earlier) for row in found.to_dict("records")])
    table = tables.table(shown, name=f"with-{earlier.column.replace('_', '-')}", caption=caption)
    box = parts.table_box(table, caption, "", [("CSV", FILE)], len(shown))
    return (
        f'<h2 id="{earlier.period}">With {earlier.against}, {month}</h2>'
        f"{parts.fragment(_between(report, earlier))}{parts.fragment(box)}"
    )


def _between(report: Report, earlier: Earlier) -> str:
    """What the two reports have in common, and what not."""
    month = words.month(earlier.period)
    if not earlier.published:
        return parts.paragraph(
            f"When this page was made there was no report of {month}. What is said of it here is "
            "recomputed from the data of this report."
        )
    first, last = earlier.published[0], earlier.published[-1]
    link = f'<a href="../{escape(earlier.period)}/index.html">Report of {month}</a>'
    settings = [row["setting"] for row in _plan_changes(report, last)]
    terms = {
        "In force": f"{last['status']}, revision {last['revision']}, settled up to "
        f"{words.day(last['analysis_cut_off'])}",
        "First published": f"{first['status']}, settled up to "
        f"{words.day(first['analysis_cut_off'])}",
        "Definitions": f"differ in {words.listing(settings)}" if settings else "the same",
        "Code": _same_or_not(report, last, "code_sha256"),
        "Libraries": _same_or_not(report, last, "lock_sha256"),
    }
    return f'<p class="said">{link}</p>{parts.definitions(terms)}'


def _same_or_not(report: Report, other: Report, name: str) -> str:
    return "the same" if _fact(report, name) == _fact(other, name) else "another version"


def _said(row: Mapping[str, Any], report: Report, earlier: Earlier) -> dict[str, str]:
    """One line of the table in words; without an earlier report there is nothing it said."""
    unit, currency = HEADLINES[row["name"]].unit, str(report["currency"])
    now, month = words.month(report["period"]), words.month(earlier.period)
    line = {
        "Headline": HEADLINES[row["name"]].label,
        now: _value(row, unit, currency),
        "Interval": _interval(row, "", unit, currency) or columns.NOTHING,
        "n": columns.NOTHING if words.is_missing(row["n"]) else words.count(row["n"]),
        f"{month}, recomputed": _recomputed(row, unit, currency),
        "Change": _change_said(row, report, unit, currency),
    }
    if earlier.published:
        line |= {
            f"{month}, as published": _published(row, unit, currency),
            "Why it may differ": row["differs"] or columns.NOTHING,
        }
    return {head: _tight(text, currency) for head, text in line.items()}


def _value(row: Mapping[str, Any], unit: str, currency: str) -> str:
    if words.is_missing(row["estimate"]):
        return parts.STATE_WORDS.get(str(row["state"])) or words.NOT_AVAILABLE
    return words.say(row["estimate"], unit, currency)


def _interval(row: Mapping[str, Any], prefix: str, unit: str, currency: str) -> str:
    low, high = (row[f"{prefix}{each}"] for each in ("ci_low", "ci_high"))
    if words.is_missing(low) and words.is_missing(high):
        return ""
    return words.interval(low, high, unit, currency)


def _recomputed(row: Mapping[str, Any], unit: str, currency: str) -> str:
    if words.is_missing(row["recomputed"]):
        return columns.NOTHING
    return words.say(row["recomputed"], unit, currency)


def _change_said(row: Mapping[str, Any], report: Report, unit: str, currency: str) -> str:
    """The change, or why there is none."""
    if not words.is_missing(row["change"]):
        said = words.change(row["change"], unit, currency)
        return f"{said} on what was {FIRST}" if row["change_against"] == FIRST else said
    if words.is_missing(row["estimate"]):
        return columns.NOTHING
    is_open = report["status"] == "provisional" and HEADLINES[row["name"]].dated != CUT_OFF
    return NOT_COMPARABLE if is_open else NO_FIGURE


def _published(row: Mapping[str, Any], unit: str, currency: str) -> str:
    """What the earlier report said at first, and what it says now where that is another thing."""
    first, now = (_told(row, prefix, unit, currency) for prefix in ("first_", "in_force_"))
    return first if first == now else f"{first}; now {now}"


def _told(row: Mapping[str, Any], prefix: str, unit: str, currency: str) -> str:
    if words.is_missing(row[f"{prefix}estimate"]):
        return NO_FIGURE
    said = words.say(row[f"{prefix}estimate"], unit, currency)
    span = _interval(row, prefix, unit, currency)
    n = row[f"{prefix}n"]
    inside = [span, "" if words.is_missing(n) else f"n {words.count(n)}"]
    return f"{said} ({', '.join(each for each in inside if each)})" if any(inside) else said


def _tight(text: str, currency: str) -> str:
    """A number stays on the line of its unit."""
    pairs = {**parts.SPACES, " n ": " n\u00a0", "(n ": "(n\u00a0"}
    pairs |= {f"{currency} ": f"{currency}\u00a0"} if currency else {}
    for loose, close in pairs.items():
        text = text.replace(loose, close)
    return text
