"""What is in a report, that somebody may look for? Chapters, figures, tables, definitions, numbers.

Reads the pages of a report as they were built; makes contents.json. The subtle point: only what a
reader can go to is an entry, so the pages themselves are asked; a data table behind its figure is
no entry of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words

FILE = "contents.json"
CHAPTER, FIGURE, TABLE, DEFINITION = "chapter", "figure", "table", "definition"
HEADLINE, DATA = "headline", "CSV"
VOID = {"br", "hr", "img", "meta", "link", "input", "col", "wbr"}

Entry = dict[str, str]


def entries(pages: Mapping[str, tuple[str, str]]) -> list[Entry]:
    """One entry per chapter, figure, table and definition, page by page, in reading order.

    Args:
        pages: file name of a page → its chapter's name for readers, its markup.

    Returns:
        mappings of kind, chapter, name (the same every month), title, said (what stands with it)
        and href (relative to the report).
    """
    return [
        entry for file, (chapter, text) in pages.items() for entry in _of_page(file, chapter, text)
    ]


def _of_page(file: str, chapter: str, text: str) -> list[Entry]:
    reader = _Page()
    reader.feed(text)
    return [
        _entry(
            kind, chapter, name, title, f"{file}#{name}" if kind in (FIGURE, TABLE) else file, said
        )
        for kind, name, title, said in reader.found
    ]


class _Page(HTMLParser):
    """What of a page can be looked for: (kind, name, title, said)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str, str]] = []
        self._within: list[tuple[str, str, str]] = []
        self._text: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        known = {name: value or "" for name, value in attrs}
        self._within.append((tag, known.get("class", ""), known.get("id", "")))
        if tag in ("figure", "table", "dt"):
            self._text = {}

    def handle_data(self, data: str) -> None:
        for tag, style, _ in self._within:
            if (tag, style) in NAMED:
                self._text.setdefault(NAMED[tag, style], []).append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag not in [open_ for open_, _, _ in self._within]:
            return
        while self._within:
            closed, style, name = self._within.pop()
            self._close(closed, style, name)
            if closed == tag:
                return

    def _close(self, tag: str, style: str, name: str) -> None:
        if tag == "h1":
            self._keep(CHAPTER, "", self._said("heading"), "")
        elif tag == "figcaption":
            figure = next((one for one in self._within if one[0] == "figure"), ("", "", ""))
            self._keep(FIGURE, figure[2], self._said("subtitle"), self._said("title"))
        elif tag == "table" and not any(one[1] in BEHIND for one in self._within):
            self._keep(TABLE, name, self._said("caption"), "")
        elif tag == "dd" and any(one[1] == "definition" for one in self._within):
            term = self._said("term")
            if term not in DATES:
                self._keep(DEFINITION, term, term, self._said("meaning"))
            self._text = {}

    def _said(self, part: str) -> str:
        return " ".join("".join(self._text.get(part, ())).split())

    def _keep(self, kind: str, name: str, title: str, said: str) -> None:
        if title and (name or kind == CHAPTER):
            self.found.append((kind, name, title, said))


DATES = ("As of", "Analysis cut-off")
"""What a definition box says of its month and not of a word."""
BEHIND = ("figure-data", "more")
"""Disclosures that hold the data of a figure, or the rest of a table."""
NAMED = {
    ("h1", ""): "heading",
    ("span", "title"): "title",
    ("span", "subtitle"): "subtitle",
    ("caption", ""): "caption",
    ("dt", ""): "term",
    ("dd", ""): "meaning",
}
"""Element and class → the part of an entry that its text is."""


def files(report: Mapping[str, Any]) -> list[Entry]:
    """One entry per page and published table that a record lists; old reports keep no more."""
    made = []
    for href in report.get("provenance", {}).get("files", {}):
        folder, _, file = href.rpartition("/")
        chapter, _, rest = file.partition(".")
        if folder == "tables":
            title = words.label(rest.removesuffix(".csv").replace("-", "_"))
            made.append(_entry(DATA, words.label(chapter), file, title, href))
    return made


def headlines(report: Mapping[str, Any]) -> list[Entry]:
    """One entry per headline of a record; it leads to its chapter's page where there is one."""
    pages = report.get("provenance", {}).get("files", {})
    made = []
    known = [row for row in report.get("headline", []) if row["name"] in HEADLINES]
    for row in known:
        file = f"{row.get('chapter')}.html"
        href = file if file in pages else "index.html"
        label = HEADLINES[row["name"]].label
        made.append(_entry(HEADLINE, words.label(row.get("chapter", "")), row["name"], label, href))
    return made


def _entry(kind: str, chapter: str, name: str, title: str, href: str, said: str = "") -> Entry:
    return {
        "kind": kind, "chapter": chapter, "name": name, "title": title, "href": href, "said": said,
    }  # fmt: skip
