"""What stands in reports/index.html? Every published month, year by year, and what is out of date.

Reads the content of report.json files and the manifests of runs in build/runs/; makes one page
without script. The subtle point: nothing here depends on the times of files. A month's place is
its name, its record is the highest revision, and a run's place is its id, which begins with when
it started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby, pairwise
from typing import Any

import pandas as pd

from pipeline.data import store
from pipeline.exits import NOT_NOW
from pipeline.reporting import words
from pipeline.reporting.pages import html, navigation, parts
from pipeline.reporting.records import claims
from pipeline.reporting.records.page_check import FIND as FIND_PAGE
from pipeline.reporting.tables import columns
from pipeline.settings import PERIOD_FORMAT, Paths
from pipeline.states import (
    CANCELLED,
    FAILED,
    IN_FORCE,
    INTERRUPTED,
    MANIFEST,
    PUBLISHED,
    RUNNING,
    RUNS,
)

INDEX_TILES = (
    "customers_end", "mrr_end", "gross_account_churn_rate", "net_revenue_retention_12_months",
    "retention_12_months_recent", "median_time_to_value_days_recent",
)  # fmt: skip
INDEX_COLUMNS = (
    "customers_end", "mrr_end", "gross_account_churn_rate", "net_revenue_retention_12_months",
    "retention_12_months_recent",
)  # fmt: skip
SPARK_HEADS = ("Headline", "Course", "Newest", "Lowest", "Highest")
FEWEST_FOR_A_COURSE = 3
ANNEX_PAGE = "annex.html"
OLDER_CODE = ' <span class="older">built by older code</span>'
REDEFINED = ' <span class="older">definitions changed</span>'
BROKEN = "; definitions changed in between, see the months below"
SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 160, 32, 4
HOLLOW = ' class="hollow"'
SPEAKING = (FAILED, PUBLISHED, IN_FORCE)
"""States of a period in a manifest; any other says nothing about it."""
ENDED_BADLY = {FAILED: "failed", INTERRUPTED: "was interrupted", CANCELLED: "was cancelled"}

Report = Mapping[str, Any]


@dataclass(frozen=True)
class Attempts:
    """What runs tried and did not finish.

    `not_updated`: period → id of its newest run, where that run failed. `last`: id and end in
    words of the newest run, where it ended badly as a whole.
    """

    not_updated: Mapping[str, str] = field(default_factory=dict)
    last: tuple[str, str] | None = None


NOTHING_TRIED = Attempts()


def attempts(paths: Paths) -> Attempts:
    """What the manifests of this company's runs say; one that nobody can read says nothing.

    Of a run under way count the periods it has named, not yet the run as a whole.
    """
    newest: dict[str, tuple[str, str]] = {}
    last = None
    for run in _manifests(paths):
        periods = [one for one in run.get("periods") or () if _says_something(one)]
        newest |= {one["period"]: (run["run_id"], one["state"]) for one in periods}
        is_said = any(one["state"] == FAILED for one in periods)  # beside the months it failed for
        error = run.get("error")
        is_late = isinstance(error, dict) and error.get("code") == NOT_NOW
        how = None if is_said or is_late else ENDED_BADLY.get(run["state"])
        if run["state"] != RUNNING:
            last = (run["run_id"], how) if how else None
    failed = {name: run_id for name, (run_id, state) in newest.items() if state == FAILED}
    return Attempts(failed, last)


def _says_something(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    is_month = PERIOD_FORMAT.fullmatch(str(entry.get("period"))) is not None
    return is_month and entry.get("state") in SPEAKING


def _manifests(paths: Paths) -> list[dict[str, Any]]:
    """Manifests of this company's runs, and of runs that never learnt theirs; oldest first."""
    found = []
    for path in (paths.build / RUNS).glob(f"*/{MANIFEST}"):
        try:
            run = store.read_json(path)
        except (store.CorruptDataError, store.MissingDataError, OSError):
            continue
        if isinstance(run, dict) and run.get("company") in (paths.company, None) and "state" in run:
            found.append(run | {"run_id": path.parent.name})
    return sorted(found, key=lambda run: str(run["run_id"]))


def render(reports: Sequence[Report], tried: Attempts = NOTHING_TRIED) -> str:
    """The page over all periods, newest first.

    Args:
        reports: the content of report.json files; of two for one month the higher revision counts.
        tried: what the newest runs did not finish.
    """
    newest_first = _newest_first(reports)
    company = _company(newest_first[0]) if newest_first else ""
    title = f"{company}: customer success reports" if company else "Customer success reports"
    body = [_unfinished(tried, {str(report["period"]) for report in newest_first})]
    if newest_first:
        body += [
            _side_by_side(newest_first, tried),
            _sparks(newest_first),
            f'<p class="said"><a href="{FIND_PAGE}">Find</a> a number, a table, a figure or a '
            "definition of any month, from A to Z.</p>",
            "<h2>All months</h2>",
            *_years(newest_first, tried),
        ]
    else:
        body.append(
            "<p>No report has been published yet. <code>make report</code> builds them.</p>"
        )
    return html.render_site(title, navigation.INDEX_PAGE, body)


def _newest_first(reports: Sequence[Report]) -> list[Report]:
    by_period: dict[str, Report] = {}
    for report in sorted(reports, key=lambda one: (str(one["period"]), one.get("revision", 0))):
        by_period[str(report["period"])] = report
    return [by_period[name] for name in sorted(by_period, reverse=True)]


def _company(report: Report) -> str:
    return str(report.get("company_name") or report.get("company", ""))


def _href(report: Report) -> str:
    return f"{escape(str(report['period']))}/index.html"


# What runs did not finish.


def _unfinished(tried: Attempts, published: set[str]) -> str:
    """Sentences on the newest run, and on months that failed before they had any report."""
    said = []
    if tried.last:
        run_id, how = tried.last
        said.append(f"The newest run {how} before its end: see {_place(run_id)}.")
    said += [
        f"{words.month(name)} is not published: see {_place(run_id)}."
        for name, run_id in sorted(tried.not_updated.items())
        if name not in published
    ]
    sentences = "".join(f"<li>{parts.text(sentence)}</li>" for sentence in said)
    return f'<ul class="unfinished">{sentences}</ul>' if said else ""


def _place(run_id: str) -> str:
    return f"build/{RUNS}/{run_id}"


def _not_updated(report: Report, tried: Attempts) -> str:
    run_id = tried.not_updated.get(str(report["period"]))
    if run_id is None:
        return ""
    return f' <span class="older">not updated, see {parts.text(_place(run_id))}</span>'


# The newest months.


def _side_by_side(newest_first: Sequence[Report], tried: Attempts) -> str:
    """The newest settled month and, where there is one, the first look at a later month."""
    settled = [report for report in newest_first if report["status"] != "provisional"]
    looks = [report for report in newest_first[:1] if report["status"] == "provisional"]
    boxes = [("Latest settled", report) for report in settled[:1]]
    boxes += [("First look", report) for report in looks]
    sections = []
    for name, report in boxes:
        frame = _headlines(report)
        shown = parts.tiles(
            frame, INDEX_TILES, str(report.get("currency", "")), report["status"] != "provisional"
        ) if len(frame) else ""  # fmt: skip
        sections.append(
            f'<section><h2>{name}: <a href="{_href(report)}">{words.month(report["period"])}</a> '
            f"{html.status_mark(report['status'])}{_not_updated(report, tried)}</h2>"
            f"{shown}</section>"
        )
    return f'<div class="side-by-side">{"".join(sections)}</div>'


def _headlines(report: Report) -> pd.DataFrame:
    """Headlines with their verdicts; a report of an older schema has no claim cards."""
    rows = claims.with_verdicts(report.get("headline", []), report.get("claims", []))
    return pd.DataFrame(rows)


# The course of each headline.


def _sparks(newest_first: Sequence[Report]) -> str:
    """One small line per headline over all published months, with its newest value and range."""
    months = [str(report["period"]) for report in reversed(newest_first)]
    currency = str(newest_first[0].get("currency", ""))
    rows = []
    for name in INDEX_COLUMNS:
        found = [_headline_of(report, name) for report in reversed(newest_first)]
        known = [
            (month, row)
            for month, row in zip(months, found, strict=True)
            if row and row["estimate"] is not None
        ]
        if len(known) < FEWEST_FOR_A_COURSE:
            continue
        newest = known[-1][1]
        ends = [pick([row["estimate"] for _, row in known]) for pick in (min, max)]
        cells = [
            _spark([(month, row["estimate"], row["state"]) for month, row in known]),
            parts.text(parts.value(newest, currency)),
            *(parts.text(words.say(end, parts.HEADLINES[name].unit, currency)) for end in ends),
        ]
        rows.append(
            f"<tr><th scope='row' class='gt_row gt_left gt_stub'>{parts.text(_label(name))}</th>"
            f"<td>{cells[0]}</td>"
            f"{''.join(f'<td class=gt_right>{cell}</td>' for cell in cells[1:])}</tr>"
        )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col" class="gt_left">{head}</th>' for head in SPARK_HEADS)
    is_broken = any(report.get("definition_changes") for report in newest_first)
    span = f"{words.month(months[0])} to {words.month(months[-1])}"
    caption = f"As published, month by month, {span}" + (BROKEN if is_broken else "")
    table = (
        f'<table class="gt_table"><caption>{caption}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    note = '<p class="source">A hollow point is not settled. A month without a report is a gap.</p>'
    return f"{parts.scroll(table, caption)}{parts.fragment(note)}"


def _spark(course: Sequence[tuple[str, float, str]]) -> str:
    """The line of (month, value, state); it breaks where a month has no report."""
    values = [value for _, value, _ in course]
    low, spread = min(values), (max(values) - min(values)) or 1.0
    at = [int(month[:4]) * 12 + int(month[5:7]) for month, *_ in course]
    step = (SPARK_WIDTH - 2 * SPARK_EDGE) / ((at[-1] - at[0]) or 1)
    height = SPARK_HEIGHT - 2 * SPARK_EDGE
    points = [
        (
            SPARK_EDGE + (month - at[0]) * step,
            SPARK_HEIGHT - SPARK_EDGE - (value - low) / spread * height,
        )
        for month, value in zip(at, values, strict=True)
    ]
    starts = [0, *(place for place in range(1, len(at)) if at[place] - at[place - 1] > 1)]
    pieces = [points[start:end] for start, end in pairwise([*starts, len(points)])]
    lines = "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in piece)}"/>'
        if len(piece) > 1
        else f'<circle cx="{piece[0][0]:.1f}" cy="{piece[0][1]:.1f}" r="1.5"/>'
        for piece in pieces
    )
    is_open = [state == "provisional" for *_, state in course]
    marks = "".join(
        f'<circle{HOLLOW if hollow else ""} cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        for (x, y), hollow in zip(points, is_open, strict=True)
        if hollow or (x, y) == points[-1]
    )
    return (
        f'<svg class="spark" width="{SPARK_WIDTH}" height="{SPARK_HEIGHT}" aria-hidden="true">'
        f"{lines}{marks}</svg>"
    )


# All months.


def _years(newest_first: Sequence[Report], tried: Attempts) -> list[str]:
    """One table per year; links to the years where there are several."""
    years = [
        (year, list(reports))
        for year, reports in groupby(newest_first, lambda report: str(report["period"])[:4])
    ]
    names = [escape(year) for year, _ in years]
    links = " ".join(f'<a href="#year-{name}">{name}</a>' for name in names)
    return [
        f'<nav aria-label="Years"><p>{links}</p></nav>' if len(years) > 1 else "",
        *(_year(name, reports, tried) for name, (_, reports) in zip(names, years, strict=True)),
    ]


def _year(year: str, reports: Sequence[Report], tried: Attempts) -> str:
    heads = ["Period", "Status", "Settled up to", *map(_label, INDEX_COLUMNS)]
    head = "".join(
        f'<th scope="col" class="gt_{"left" if place < 3 else "right"}">{parts.text(name)}</th>'
        for place, name in enumerate(heads)
    )
    rows = "".join(_period_row(report, tried) for report in reports)
    caption = f"Reports of {year}, newest first"
    table = (
        f'<table class="gt_table periods"><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return f'<h3 id="year-{year}">{year}</h3>{parts.scroll(table, caption)}'


def _period_row(report: Report, tried: Attempts) -> str:
    period = escape(str(report["period"]))
    marks = (
        (OLDER_CODE if report.get("is_older_code") else "")
        + (REDEFINED if report.get("definition_changes") else "")
        + _not_updated(report, tried)
    )
    revision = (
        f'<span class="revision">revision\u00a0{parts.text(report.get("revision", ""))}</span>'
    )
    cells = [
        f"{html.status_mark(str(report['status']))} {revision}{marks}",
        words.day(report["analysis_cut_off"]),
    ]
    row = "".join(f"<td>{cell}</td>" for cell in cells)
    for name in INDEX_COLUMNS:
        found = _headline_of(report, name)
        said = parts.value(found, str(report.get("currency", ""))) if found else columns.NOTHING
        row += f'<td class="gt_right">{parts.text(said)}</td>'
    link = f'<a href="{_href(report)}">{words.month(period)}</a>'
    if ANNEX_PAGE in report.get("provenance", {}).get("files", {}):
        link += f' <a href="{period}/{ANNEX_PAGE}">annex</a>'
    return f'<tr id="{period}"><th scope="row" class="gt_left gt_stub">{link}</th>{row}</tr>'


def _headline_of(report: Report, name: str) -> Mapping[str, Any] | None:
    return next((row for row in report.get("headline", []) if row["name"] == name), None)


def _label(name: str) -> str:
    return parts.HEADLINES[name].label
