"""The ways at the head of a page: every month, chapter and search, or words where there is none."""

import re

import pytest

from pipeline.reporting.pages import navigation
from pipeline.reporting.pages.page import Page


def page(**changes: object) -> Page:
    facts = {
        "company_name": "Acme", "period": "2026-10", "chapter": "survival", "title": "Survival",
        "status": "final", "revision": 1, "as_of": "2026-10-31", "cut_off": "2026-10-31",
        "previous": "2026-09", "previous_href": "../2026-09/index.html",
        "same": "2026-09", "same_href": "../2026-09/survival.html",
        "next_href": "../index.html#2026-10", "compare_href": "compare.html",
    }  # fmt: skip
    return Page(**(facts | changes))


def items(markup: str) -> list[tuple[str, str]]:
    """(words, href or blank) of each item."""
    found = re.findall(r'<li>(?:<a href="([^"]*)"[^>]*>|<span>)([^<]*)', markup)
    return [(said, href) for href, said in found]


def test_a_chapter_leads_to_both_months_itself_a_month_earlier_and_everything() -> None:
    assert items(navigation.periods(page())) == [
        ("← September 2026", "../2026-09/index.html"),
        ("Survival in September 2026", "../2026-09/survival.html"),
        ("Next →", "../index.html#2026-10"),
        ("Side by side", "compare.html"),
        ("Find", "../find.html"),
        ("All periods", "../index.html"),
    ]


def test_words_say_that_there_is_no_earlier_report_and_no_such_page_in_it() -> None:
    first = page(previous="", previous_href=None, same="", same_href=None)
    assert items(navigation.periods(first))[0] == ("no earlier report", "")
    new = page(same="", same_href=None)
    assert items(navigation.periods(new))[1] == ("no survival page in September 2026", "")


@pytest.mark.parametrize("chapter", ["summary", "compare"])
def test_page_one_and_the_comparison_have_no_second_way_to_the_month_before(chapter: str) -> None:
    assert len(items(navigation.periods(page(chapter=chapter)))) == 5


def test_the_page_that_is_open_is_marked() -> None:
    assert 'href="compare.html" aria-current="page"' in navigation.periods(page(chapter="compare"))
    assert 'href="index.html" aria-current="page"' in navigation.site("index")
    assert 'href="find.html" aria-current="page"' in navigation.site("find")
    assert "aria-current" not in navigation.periods(page())
