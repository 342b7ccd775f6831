"""Is a report that was built fit to be published? Every file there, no link lost, no secret told.

Reads the folder of one report; makes nothing. The subtle point: a link may leave the folder for the
pages over all months, which are written after the report, and for months that stand beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.data import store
from pipeline.redaction import own_secrets
from pipeline.reporting.records import record
from pipeline.reporting.records.record import FILE_NAME, HISTORY, Report
from pipeline.settings import SUMMARY

INDEX, FIND = "index.html", "find.html"
LINKS = {"a": "href", "img": "src", "link": "href", "script": "src"}


class UnsoundReportError(Exception):
    """The report that was built is not fit to be published (exit code 70)."""


def page_name(chapter: str) -> str:
    """The file of a chapter's page; the summary is the front page."""
    return INDEX if chapter == SUMMARY else f"{chapter}.html"


def hashes(folder: Path) -> dict[str, str]:
    """Hash of every file of a report but its record and history."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): store.sha256(path)
        for name, path in sorted(files.items())
        if name.parts[0] not in (FILE_NAME, HISTORY)
    }


def verify(folder: Path, report: Report) -> None:
    """Refuse a report with a missing file, unreadable JSON or a link that leads nowhere."""
    if record.read(folder / FILE_NAME) != json.loads(store.dump_json(report)):
        raise UnsoundReportError(f"{FILE_NAME} does not read back as it was written.")
    if hashes(folder) != report["provenance"]["files"]:
        raise UnsoundReportError("A file changed while the report was built.")
    pages = [page_name(name) for name in report["chapters"]]
    pages += [path.name for path in sorted(folder.glob("*.html")) if path.name not in pages]
    _refuse_secrets(folder, report["period"])
    absent = [name for name in pages if not (folder / name).is_file()]
    broken = [problem for name in pages if name not in absent for problem in _broken(folder, name)]
    if absent or broken:
        raise UnsoundReportError(
            f"The report of {report['period']} is not fit to be published: "
            f"{len(absent)} pages missing, {len(broken)} links lead nowhere: "
            f"{', '.join([*absent, *broken][:5])}. The last report stays."
        )


def _refuse_secrets(folder: Path, period: str) -> None:
    """A report is read by many: nothing that only this machine may know stands in it."""
    known = [(name, value.encode("utf-8")) for name, value in own_secrets()]
    for path in sorted(folder.rglob("*")) if known else ():
        content = path.read_bytes() if path.is_file() else b""
        for name, value in known:
            if value in content:
                raise UnsoundReportError(
                    f"The report of {period} is not fit to be published: "
                    f"{path.relative_to(folder).as_posix()} holds what {name} holds. Find the cell "
                    "that prints it, or choose a value that is no word. The last report stays."
                )


def _broken(folder: Path, page: str) -> Iterator[str]:
    reader = _Links()
    reader.feed((folder / page).read_text(encoding="utf-8"))
    over_all = {(folder.parent / name).resolve() for name in (INDEX, FIND)}
    for link in reader.links:
        target = urlsplit(link)
        if target.scheme == "data":
            continue
        if target.scheme or target.netloc:
            yield f"{page}: {link} leaves the report"
            continue
        file = (folder / unquote(target.path)).resolve() if target.path else folder / page
        if file in over_all:
            continue
        is_own = file == folder.resolve() / page
        if not file.is_file() or (is_own and target.fragment not in {"", *reader.anchors}):
            yield f"{page}: {link}"


class _Links(HTMLParser):
    """Where a page leads, and the anchors it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == LINKS.get(tag):
                self.links.append(value)
            if value and name == "id":
                self.anchors.add(value)
