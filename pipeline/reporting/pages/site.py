"""What binds reports together? Ways from month to month, months side by side, and the search.

Reads the records of earlier reports and the pages of the one being built; makes compare.html,
compare.csv and contents.json beside them, and the text of the pages over all months. The subtle
point: what is read of other months is what stood there when this report was built; a page in force
does not change because another month does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.reporting import words
from pipeline.reporting.pages import compare, find, html, navigation
from pipeline.reporting.pages.page import Page
from pipeline.reporting.records import contents, record
from pipeline.reporting.records.page_check import INDEX, page_name
from pipeline.reporting.records.record import Report
from pipeline.settings import ANNEX, Paths, Period, Settings


def ways(name: str, period: Period, settings: Settings, paths: Paths) -> dict[str, Any]:
    """Where the page of a chapter leads, as the fields of `Page` hold it."""
    found: dict[str, Any] = {"next_href": f"../{INDEX}#{period}", "compare_href": compare.PAGE}
    before = [each for each in settings.periods if each < str(period)]
    if not before:
        return found
    is_there = (paths.reports / before[-1] / INDEX).is_file()
    href = f"../{before[-1]}/{INDEX}" if is_there else f"../{INDEX}#{before[-1]}"
    found |= {"previous": before[-1], "previous_href": href}
    last = _last_with(name, before, paths)
    return found | ({"same": last, "same_href": f"../{last}/{page_name(name)}"} if last else {})


def _last_with(name: str, before: Sequence[str], paths: Paths) -> str | None:
    """The month before, when its report has this page; an annex is made once a quarter."""
    looked_at = before if name == ANNEX else before[-1:]
    return next(
        (
            each
            for each in reversed(looked_at)
            if (paths.reports / each / page_name(name)).is_file()
        ),
        None,
    )


def write(folder: Path, report: Report, front: Page, settings: Settings, paths: Paths) -> None:
    """Put beside the chapters' pages what binds them to other months.

    Args:
        folder: of the report, its chapters' pages already there.
        report: its record.
        front: what stands around its page one.
        settings: who may read how small a number.
        paths: where earlier reports are.
    """
    names = [each.period for each in compare.earlier_of(report["period"], {})]
    published = {
        name: record.publications(paths.reports / name, settings.company) for name in names
    }
    earlier = compare.earlier_of(report["period"], published)
    rows = compare.rows(report, earlier, settings.min_cell)
    page = dataclasses.replace(
        front, chapter=navigation.COMPARE_PAGE, title=navigation.SIDE_BY_SIDE, downloads=(),
        restatements=(), plan={},
    )  # fmt: skip
    store.write_published_csv(rows, folder / compare.FILE)
    text = html.render_body(compare.body(report, earlier, rows), page)
    store.write_text(text, folder / compare.PAGE)
    pages = [page_name(name) for name in (*settings.chapters, ANNEX)]
    titles = dict(zip(pages, (*settings.chapters, ANNEX), strict=True))
    built = {
        name: (words.label(titles[name]), (folder / name).read_text(encoding="utf-8"))
        for name in pages
        if (folder / name).is_file()
    }
    store.write_json(contents.entries(built), folder / contents.FILE)


def search_page(reports: Sequence[Report], paths: Paths) -> str:
    """The text of the page that finds anything in any month; newest record first."""
    newest = reports[0] if reports else {}
    company = str(newest.get("company_name") or newest.get("company") or paths.company)
    return find.render([(each, _entries(each, paths)) for each in reports], company)


def _entries(report: Report, paths: Paths) -> list[contents.Entry]:
    """What the pages of a report hold; a report of older code kept no list."""
    path = paths.reports / str(report["period"]) / contents.FILE
    try:
        return list(store.read_json(path))
    except (store.MissingDataError, store.CorruptDataError):
        return []
