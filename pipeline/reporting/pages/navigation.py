"""Where does a page lead? Other months, the pages of its report, and what stands over all months.

Works on what a page says about itself; makes the links at its head. The subtle point: where there
is nothing to go to, words stand in the place of the link, and no page changes because a later one
appears: `Next` leads to the month's place in the index.
"""

from __future__ import annotations

from html import escape

from pipeline.reporting import words
from pipeline.reporting.pages import parts
from pipeline.reporting.pages.page import Page

SUMMARY_PAGE, COMPARE_PAGE, FIND_PAGE, INDEX_PAGE = "summary", "compare", "find", "index"
NEXT, SIDE_BY_SIDE, FIND, ALL_PERIODS = "Next →", "Side by side", "Find", "All periods"
NO_EARLIER = "no earlier report"


def periods(page: Page) -> str:
    """The month before, the same page in it, the next, side by side, search, all months."""
    is_compare = page.chapter == COMPARE_PAGE
    items = [
        _previous(page),
        _same(page),
        _link(NEXT, page.next_href, rel="next") if page.next_href else "",
        _link(SIDE_BY_SIDE, page.compare_href, is_here=is_compare) if page.compare_href else "",
        _link(FIND, page.find_href),
        _link(ALL_PERIODS, page.index_href),
    ]
    return _list("Periods", items)


def chapters(page: Page) -> str:
    """The pages of this report."""
    items = [
        _link(title, href, is_here=name == page.chapter) for name, title, href in page.chapters
    ]
    return _list("Chapters", items, "chapters")


def site(here: str) -> str:
    """The pages over all months."""
    items = [
        _link(ALL_PERIODS, "index.html", is_here=here == INDEX_PAGE),
        _link(FIND, "find.html", is_here=here == FIND_PAGE),
    ]
    return _list("Reports", items)


def _previous(page: Page) -> str:
    if not page.previous_href:
        return _words(NO_EARLIER)
    name = words.month(page.previous) if page.previous else "Previous"
    return _link(f"← {name}", page.previous_href, rel="prev")


def _same(page: Page) -> str:
    """This chapter a report earlier; page one needs no second link to page one."""
    if not page.previous_href or page.chapter in (SUMMARY_PAGE, COMPARE_PAGE):
        return ""
    if page.same_href:
        return _link(f"{page.title} in {words.month(page.same)}", page.same_href)
    when = f"in {words.month(page.previous)}" if page.previous else "before"
    return _words(f"no {page.title.lower()} page {when}")


def _link(name: str, href: str, *, is_here: bool = False, rel: str = "") -> str:
    here = ' aria-current="page"' if is_here else ""
    told = f' rel="{rel}"' if rel else ""
    return f'<li><a href="{escape(href)}"{told}{here}>{parts.text(name)}</a></li>'


def _words(sentence: str) -> str:
    return f"<li><span>{parts.text(sentence)}</span></li>"


def _list(label: str, items: list[str], style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<nav{named} aria-label="{label}"><ul>{"".join(items)}</ul></nav>'
