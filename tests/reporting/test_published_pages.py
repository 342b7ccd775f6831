"""Every figure, table and chapter of a built report has what its reader needs beside it."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import CHAPTERS, SUMMARY

MOST_BYTES = 1_500_000
"""A page: it must open at once on a slow line."""
KINDS_OF_CHART = re.compile(
    r"\b(chart|graph|plot|picture|histogram|heat ?map|waterfall|forest|survival curves)\b", re.I
)
CHAPTER_PAGES = [name for name in CHAPTERS if name != SUMMARY]
YEAR = re.compile(r"\b(19|20)\d\d\b")


class Reader(HTMLParser):
    """The figures, tables and definition boxes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []
        self.terms: list[str] = []
        self._open: list[str] = []
        self._into: tuple[dict[str, Any], str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        kinds = given.get("class", "").split()
        if tag == "figure":
            self.figures.append({"id": given["id"], "hrefs": [], "tables": 0, "details": 0})
            self._open.append("figure")
        inside = self.figures[-1] if self._open else {}
        if tag == "table" and "gt_table" in kinds:
            self.tables.append({"id": given["id"], "scopes": [], "headless": 0})
            inside["tables"] = inside.get("tables", 0) + 1
        if tag == "details" and "figure-data" in kinds:
            inside["details"] += 1
        if tag == "img":
            inside["alt"] = given["alt"]
        if tag == "a" and inside and "download" in given:
            inside["hrefs"].append(given["href"])
        if tag == "th" and self.tables:
            self.tables[-1]["scopes"].append(given.get("scope", ""))
        self._listen(tag, kinds, inside)

    def _listen(self, tag: str, kinds: list[str], inside: dict[str, Any]) -> None:
        for kind in ("title", "subtitle", "source"):
            if self._open and kind in kinds and kind not in inside:
                self._into = (inside, kind)
        if tag == "caption":
            self._into = (self.tables[-1], "caption")
        if tag == "dt":
            self.terms.append("")
            self._into = ({}, "term")

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._open.pop()
        if tag in ("span", "p", "caption", "dt"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into:
            found, kind = self._into
            if kind == "term":
                self.terms[-1] += data
            else:
                found[kind] = found.get(kind, "") + data


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def report(test_root: Path) -> Path:
    """The newest report of the small company."""
    return sorted(path for path in (test_root / "reports").iterdir() if path.is_dir())[-1]


@pytest.fixture(scope="module")
def chapters(report: Path) -> dict[str, Reader]:
    return {name: read(report / f"{name}.html") for name in CHAPTER_PAGES}


def figures_of(chapters: dict[str, Reader]) -> list[dict[str, Any]]:
    found = [figure for reader in chapters.values() for figure in reader.figures]
    assert len(found) >= len(CHAPTER_PAGES)
    return found


def lacking(figures: list[dict[str, Any]], part: str, least: int) -> list[str]:
    return [figure["id"] for figure in figures if len(figure.get(part, "").strip()) < least]


def test_every_figure_has_a_title_a_subtitle_with_its_time_and_a_source_with_its_n(chapters):
    figures = figures_of(chapters)
    for part in ("title", "subtitle", "source"):
        assert lacking(figures, part, 10) == [], part
    assert [each["id"] for each in figures if not YEAR.search(each["subtitle"])] == []
    assert [each["id"] for each in figures if not re.search(r"\d", each["source"])] == []


def test_the_alt_text_of_every_figure_states_its_finding_and_not_the_kind_of_picture(chapters):
    figures = [figure for figure in figures_of(chapters) if "alt" in figure]
    assert lacking(figures, "alt", 25) == []
    named = [
        each["id"]
        for each in figures
        if KINDS_OF_CHART.search(each["alt"]) or each["alt"] == each["subtitle"]
    ]
    assert named == []


def test_every_figure_has_its_data_behind_a_disclosure_and_as_a_file_beside_its_picture(
    report, chapters
):
    for figure in figures_of(chapters):
        assert figure["details"] == 1, figure["id"]
        assert figure["tables"] == 1 or "alt" not in figure, figure["id"]
        assert [Path(href).suffix for href in figure["hrefs"]] == [".csv", ".svg"], figure["id"]
        assert [href for href in figure["hrefs"] if not (report / href).is_file()] == []


def test_every_table_has_a_caption_and_every_head_a_scope(chapters):
    tables = [table for reader in chapters.values() for table in reader.tables]
    assert len(tables) > len(CHAPTER_PAGES)
    assert [table["id"] for table in tables if not table.get("caption", "").strip()] == []
    scopes = {"col", "row", "colgroup", "rowgroup"}
    assert [table["id"] for table in tables if not set(table["scopes"]) <= scopes] == []
    assert [table["id"] for table in tables if not {"col", "row"} <= set(table["scopes"])] == []


@pytest.mark.parametrize("chapter", CHAPTER_PAGES)
def test_the_definition_box_of_every_chapter_says_n_and_the_dates(chapters, chapter):
    terms = [unescape(term) for term in chapters[chapter].terms]
    assert [term for term in ("n", "As of", "Analysis cut-off", "Grace") if term not in terms] == []


@pytest.mark.parametrize("chapter", ["survival", "drivers", "time_to_value"])
def test_a_chapter_that_follows_customers_says_its_clock_its_event_and_who_enters(
    chapters, chapter
):
    said = " ".join(chapters[chapter].terms).lower()
    assert "time zero" in said
    assert "event" in said
    assert "entry" in said or "population" in said


def test_no_page_is_larger_than_a_slow_line_carries(report):
    reports = report.parent
    pages = {page.relative_to(reports).as_posix(): page for page in reports.rglob("*.html")}
    everywhere = {"index.html", "find.html", f"{report.name}/compare.html"}
    assert everywhere | {f"{report.name}/{name}.html" for name in CHAPTER_PAGES} <= set(pages)
    sizes = {name: page.stat().st_size for name, page in pages.items()}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
