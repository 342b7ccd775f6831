"""How does a month become a report? Built aside, verified, renamed into place; else the last stays.

Reads the chapters' folders and headline files; makes reports/<period>/ (pages, tables, figures,
report.json, history/) and the pages over all months. The subtle point: a final report in force is
left alone while its slice is unchanged, whatever happened to code or settings, unless forced.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import importlib
import io
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.reporting import words
from pipeline.reporting.execution import gate
from pipeline.reporting.pages import index, origins, site
from pipeline.reporting.pages.page import Page
from pipeline.reporting.records import data_changes, record
from pipeline.reporting.records.page_check import FIND, INDEX, hashes, page_name, verify
from pipeline.reporting.records.record import FILE_NAME, HISTORY, Report
from pipeline.reporting.records.restatements import Restatements
from pipeline.settings import ANNEX, SLUG_FORMAT, SUMMARY, Paths, Period, Settings

BRIDGE = "revenue.mrr_bridge"
ACCOUNT_BRIDGE = "revenue.account_bridge"
FIRST_PUBLISHED = "mrr_end_first_published"
OTHER_COMPANIES = ".other"
FOLDERS = ("tables", "figures")
PAGE_MAKERS = ("pipeline.reporting.pages.exporter", "great_tables")
"""They load for a second."""


@dataclass(frozen=True)
class Publication:
    """What stands in reports/<period> now, and whether this run put it there."""

    period: Period
    status: str
    revision: int
    is_new: bool


def publish(
    period: Period,
    settings: Settings,
    paths: Paths,
    *,
    force: bool = False,
    now: dt.datetime | None = None,
    began: float | None = None,
) -> Publication:
    """Build the report of a period and put it in place, or leave the one in force.

    `began`: when the run began, on the steady clock; None: only now.

    Raises:
        ChapterFailedError: a listed chapter did not pass the gate.
        UnsoundReportError: a file or link of the built report is not there.
    """
    began = time.monotonic() if began is None else began
    for name in gate.pages_of(period, settings):
        gate.check(name, period, paths.chapter(name, period))
    make_room(settings.company, paths)
    place = paths.report(period)
    store.recover_folder(place)
    standing = _standing(place, settings.company)
    if standing and not force and _is_in_force(standing, period, paths):
        return _publication(standing, is_new=False)
    building = place.with_name(f"{period}{store.BUILDING}")
    shutil.rmtree(building, ignore_errors=True)
    try:
        time_of_build = now or dt.datetime.now(dt.UTC)
        report = _build(building, period, settings, paths, time_of_build, began)
        verify(building, report)
        if standing and _is_repeat(report, standing):
            return _publication(standing, is_new=False)
        store.replace_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return _publication(report, is_new=True)


@cache
def load_aside() -> None:
    """Begin to load what pages are made with, aside; the first page would else wait for it."""
    threading.Thread(target=_load, daemon=True).start()


def _load() -> None:
    """What cannot be loaded fails where it is needed."""
    for name in PAGE_MAKERS:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _publication(report: Report, is_new: bool) -> Publication:
    return Publication(Period(report["period"]), report["status"], report["revision"], is_new)


def _standing(place: Path, company: str) -> Report | None:
    """The record of the report in place, when it is this company's and every file is as written."""
    report = record.read(place / FILE_NAME)
    if report is None or report["company"] != company:
        return None
    return report if report["provenance"]["files"] == hashes(place) else None


def is_intact(period: Period, paths: Paths) -> bool:
    """True when the report in place is complete and nobody altered it."""
    return _standing(paths.report(period), paths.company) is not None


def is_settled(period: Period, paths: Paths) -> bool:
    """True when a final report is in place, unaltered, and its facts have not changed since."""
    standing = _standing(paths.report(period), paths.company)
    is_there = (paths.snapshot(period) / slices.FILE_NAME).is_file()
    return standing is not None and is_there and _is_in_force(standing, period, paths)


def _is_in_force(report: Report, period: Period, paths: Paths) -> bool:
    fingerprint = record.slice_hash(record.inputs_of(period, paths))
    is_settled = report["status"] in (record.FINAL, record.REVISED)
    return is_settled and report["provenance"]["slice_sha256"] == fingerprint


def _is_repeat(report: Report, standing: Report) -> bool:
    is_equal = record.is_same(report, standing) and report["status"] == standing["status"]
    return is_equal and report["provenance"]["files"] == standing["provenance"]["files"]


# Building.


def _build(
    folder: Path,
    period: Period,
    settings: Settings,
    paths: Paths,
    now: dt.datetime,
    began: float,
) -> Report:
    """Everything of a report in a folder aside; report.json comes last."""
    from pipeline.reporting.pages import html  # a second of loading, when there is a page to make

    kept = [store.read_json(paths.headline(name, period)) for name in settings.question_chapters]
    report = record.compose(period, settings, paths, kept, now)
    earlier = record.publications(paths.report(period), settings.company)
    for name in gate.pages_of(period, settings):
        _copy_files(paths.chapter(name, period), folder)
    moved = Restatements(report, paths)
    bridges = _fill_first_published(folder, period, moved)
    report["definition_changes"] = record.definition_changes(report, paths)
    changed, report["compared_with"] = data_changes.data_changes(report, paths)
    report["data_changes"] = changed
    is_final = slices.read(paths.snapshot(period)).is_final
    fingerprint = report["provenance"]["slice_sha256"]
    report["status"] = record.status_of(is_final, fingerprint, earlier)
    report["provenance"]["files"] = hashes(folder)
    report["revision"] = record.revision_of(report, earlier)
    report["restatements"] = moved.rows(bridges, report["revision"])
    for name in gate.pages_of(period, settings):
        page = _page(name, report, settings, paths)
        notebook = paths.chapter(name, period) / gate.NOTEBOOK
        store.write_text(html.render_chapter(notebook, page), folder / page_name(name))
    site.write(folder, report, _page(SUMMARY, report, settings, paths), settings, paths)
    report["provenance"]["files"] = hashes(folder)
    report["provenance"]["seconds"] = round(time.monotonic() - began, 1)
    report = record.sealed(report)
    _write_history(folder / HISTORY, report, earlier)
    store.write_json(report, folder / FILE_NAME)
    return report


def _copy_files(chapter: Path, folder: Path) -> None:
    marker = store.read_json(chapter / record.END_MARKER)
    for path in gate.declared_files(marker):
        if path.parts[0] in FOLDERS:
            store.write_bytes((chapter / path).read_bytes(), folder / path)


def _fill_first_published(
    folder: Path, period: Period, moved: Restatements
) -> dict[str, list[dict[str, str]]]:
    """The bridges' rows; in the file the column `mrr_end_first_published` is filled."""
    bridges = {}
    for name in (BRIDGE, ACCOUNT_BRIDGE):
        path = folder / "tables" / f"{name}.csv"
        bridges[name] = store.read_published_rows(path) if path.is_file() else []
    rows = bridges[BRIDGE]
    for row in rows:
        first = moved.first(row["period"], "mrr_end")
        own = row["mrr_end"] if row["period"] == str(period) else ""
        known = None if first is None else first.estimate
        row[FIRST_PUBLISHED] = own if known is None else store.number_text(known)
    if rows:
        store.write_text(_csv_text(rows), folder / "tables" / f"{BRIDGE}.csv")
    return bridges


def _csv_text(rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_history(folder: Path, report: Report, earlier: Sequence[Report]) -> None:
    for publication in earlier:
        if publication["revision"] < report["revision"]:
            store.write_json(publication, folder / f"{publication['revision']}.json")


# Pages.


def _page(name: str, report: Report, settings: Settings, paths: Paths) -> Page:
    period = Period(report["period"])
    is_summary = name == SUMMARY
    marker = store.read_json(paths.chapter(name, period) / record.END_MARKER)
    return Page(
        company_name=settings.company_name,
        period=str(period),
        chapter=name,
        title=title(name),
        status=report["status"],
        revision=report["revision"],
        as_of=report["as_of"],
        cut_off=report["analysis_cut_off"],
        chapters=[
            *((each, title(each), page_name(each)) for each in settings.chapters),
            *_annex_link(period, settings, paths),
        ],
        **site.ways(name, period, settings, paths),
        downloads=_all_downloads(report) if is_summary else _downloads(marker),
        provenance=list(origins.box(report)),
        inputs=origins.inputs(report) if is_summary else {},
        restatements=report["restatements"] if is_summary else (),
        definition_changes=report["definition_changes"] if is_summary else (),
        data_changes=report["data_changes"] if is_summary else (),
        compared_with=report["compared_with"],
        plan=report["plan"] if is_summary else {},
        currency=report["currency"],
    )


def _annex_link(period: Period, settings: Settings, paths: Paths) -> Iterator[tuple[str, str, str]]:
    """Where the annex is that holds for a month: its own, or the last one before it."""
    newest = settings.newest_annex(period)
    if newest is None:
        return
    page = page_name(ANNEX)
    if newest == period:
        yield ANNEX, title(ANNEX), page
    elif (paths.report(newest) / page).is_file():
        yield ANNEX, f"{title(ANNEX)}, {words.month(newest)}", f"../{newest}/{page}"


def _downloads(marker: Mapping[str, Any]) -> list[str]:
    """The tables and figures of one chapter."""
    return [path.as_posix() for path in gate.declared_files(marker) if path.parts[0] in FOLDERS]


def title(chapter: str) -> str:
    """A chapter's name for readers."""
    return words.label(chapter)


def _all_downloads(report: Report) -> list[str]:
    """The record, then every table and figure, chapter by chapter."""
    files = [name for name in report["provenance"]["files"] if name.split("/")[0] in FOLDERS]
    order = {f"{name}.": place for place, name in enumerate(report["chapters"])}
    chapters = [
        next((key for key in order if Path(name).name.startswith(key)), "") for name in files
    ]
    ranked = sorted(
        zip(files, chapters, strict=True),
        key=lambda pair: (order.get(pair[1], len(order)), FOLDERS.index(pair[0].split("/")[0])),
    )
    return [FILE_NAME, *(name for name, _ in ranked)]


# All reports.


def make_room(company: str, paths: Paths) -> None:
    """Move other companies' reports aside and bring this company's own back."""
    others = paths.reports / OTHER_COMPANIES
    for path in record.places(paths):
        owner = _owner(path)
        if owner not in (None, company):
            _move(path.parent, others / owner / path.parent.name)
    for path in sorted((others / company).glob(f"*/{FILE_NAME}")):
        if not (paths.reports / path.parent.name).exists():
            _move(path.parent, paths.reports / path.parent.name)


def _owner(path: Path) -> str | None:
    """The company that a record names, if it is a company's slug."""
    try:
        owner = store.read_json(path).get("company")
    except (store.CorruptDataError, AttributeError):
        return None
    return owner if isinstance(owner, str) and SLUG_FORMAT.fullmatch(owner) else None


def _move(folder: Path, target: Path) -> None:
    """Move a folder; what already stands there is kept under a further name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        taken = len(list(target.parent.glob(f"{target.name}*")))
        target.rename(target.with_name(f"{target.name}.{taken}"))
    folder.rename(target)


def all_reports(paths: Paths) -> list[Report]:
    """The records of this company's reports, newest period first; a month has one record."""
    found = [record.read(path) for path in record.places(paths)]
    own = [report for report in found if report and report["company"] == paths.company]
    return sorted(own, key=lambda report: (report["period"], report["revision"]), reverse=True)


def write_index(paths: Paths) -> bool:
    """Write the pages over all months from what was published; say whether one changed."""
    current = record.code_hash(paths.root)
    reports: list[dict[str, Any]] = [
        report | {"is_older_code": report["provenance"]["code_sha256"] != current}
        for report in all_reports(paths)
    ]
    pages = {
        INDEX: index.render(reports, index.attempts(paths)),
        FIND: site.search_page(reports, paths),
    }
    changed = {
        name: text for name, text in pages.items() if not _stands_there(paths.reports / name, text)
    }
    for name, text in changed.items():
        store.write_text(text, paths.reports / name)
    return bool(changed)


def _stands_there(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode("utf-8")
