"""Every page in a real browser: accessible, silent, within its window, on paper and by keyboard.

axe-core's rules are those of its defaults with WCAG 2.2's target size. What stands behind
disclosures is looked at in the newest report; the other differs from it in its numbers.
"""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
PAPER_WIDTH, PAPER_WIDTH_ON_ITS_SIDE = 688, 1016
"""A4 within its margins (14 mm at each side), in CSS pixels, upright and on its side."""
PAPER = {"width": PAPER_WIDTH, "height": 1000}
MANY_KEYS = 1500

OPEN = """() => {
  document.querySelectorAll('details:not(.code)').forEach(each => { each.open = true; });
  [...document.querySelectorAll('details.code')].slice(0, 3).forEach(each => { each.open = true; });
  document.querySelectorAll('details tbody tr:nth-child(n+5)').forEach(each => each.remove());
}"""
"""Rows of one table are alike, and so is the code of one cell to the next: a few stand for all."""
LOOK = """asked => axe.run(document, {resultTypes: ['violations'], ...asked})
  .then(found => found.violations.map(one => `${one.id}: ${one.nodes[0].html.slice(0, 200)}`))"""
EVERY_RULE = {"rules": {"target-size": {"enabled": True}}}
EVERY_OTHER_RULE = {"rules": EVERY_RULE["rules"] | {"color-contrast": {"enabled": False}}}
"""Where colours have been looked at: they are the same in every window, and take the longest."""
RULES_OF_COLOUR = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""What else there is of a page is the same in the dark."""
TOO_WIDE_FOR_PAPER = f"""[...document.querySelectorAll('table, img, pre, dl, ul, p')]
  .filter(one => {{
    const box = one.getBoundingClientRect();
    const page = getComputedStyle(one).page;
    return box.right > (page === 'wide' ? {PAPER_WIDTH_ON_ITS_SIDE} : {PAPER_WIDTH}) + 1;
  }}).map(one => `${{one.tagName}} ${{one.id || one.className}}`)"""
OUT_OF_WINDOW = """[...document.querySelectorAll('main *, header *, nav *, footer *')]
  .filter(one => !one.closest('.scroll, .picture, .unseen, pre, details:not([open])'))
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1)
  .map(one => `${one.tagName} ${one.id || one.className}`)"""
NOT_DRAWN = """[...document.images].filter(one => !(one.complete && one.naturalWidth > 0))
  .map(one => one.alt)"""
REACHABLE = """[...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
  .filter(one => one.checkVisibility() && one.getClientRects().length).length"""
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const box = one.getBoundingClientRect();
  const isSeen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const hasRing = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  one.dataset.visits = Number(one.dataset.visits || 0) + 1;
  return [one.outerHTML.slice(0, 120), isSeen, hasRing, one.dataset.visits];
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The text of axe-core; run through the debugger, so that no page has to allow it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def newest(pages: list[Path], reports: Path) -> list[Path]:
    """The pages over all months and those of the newest report."""
    last = max(path.parent.name for path in pages if path.parent != reports)
    return [path for path in pages if path.parent == reports or path.parent.name == last]


def named(path: Path, found: list[str]) -> list[str]:
    return [f"{path.parent.name}/{path.name}: {problem}" for problem in found]


def test_there_is_every_page_of_two_months_and_both_over_all_months(pages, reports):
    names = {path.relative_to(reports).as_posix() for path in pages}
    chapters = ("index", "population", "revenue", "survival", "drivers", "time_to_value", "compare")
    months = sorted({name.split("/")[0] for name in names if "/" in name})
    assert len(months) == 2
    assert {"index.html", "find.html"} <= names
    assert {f"{month}/{each}.html" for month in months for each in chapters} <= names


def test_axe_finds_nothing_on_any_page(window, pages, newest, axe, complaints):
    page = window(color_scheme="light")
    found = []
    for path in pages:
        page.goto(path.as_uri())
        page.evaluate(f"{axe}\n;0")
        for viewport in (PHONE, DESK, PHONE) if path in newest else (PHONE, DESK):
            page.set_viewport_size(viewport)
            rules = EVERY_RULE if viewport is DESK else EVERY_OTHER_RULE
            where = f"{viewport['width']} px"
            found += named(path, [f"{where}: {one}" for one in page.evaluate(LOOK, rules)])
            if path in newest:
                page.evaluate(OPEN)
    assert found == []
    assert complaints == []


def test_axe_finds_no_colour_that_cannot_be_read_in_the_dark(
    window, pages, newest, axe, complaints
):
    page = window(color_scheme="dark", viewport=DESK)
    found = []
    for path in pages:
        page.goto(path.as_uri())
        page.evaluate(f"{axe}\n;0")
        if path in newest:
            page.evaluate(OPEN)
        found += named(path, page.evaluate(LOOK, RULES_OF_COLOUR))
    assert found == []
    assert complaints == []


def test_every_page_is_silent_fits_its_window_and_draws_every_picture(window, pages, complaints):
    page = window()
    found = []
    for path in pages:
        page.goto(path.as_uri())
        for viewport in (DESK, PHONE):
            page.set_viewport_size(viewport)
            width = page.evaluate("document.documentElement.scrollWidth")
            found += named(path, [f"{width} px"] if width > viewport["width"] else [])
            found += named(path, page.evaluate(OUT_OF_WINDOW))
        found += named(path, page.evaluate(NOT_DRAWN))
    assert found == []
    assert complaints == []


def test_every_page_has_a_title_of_its_own_and_one_heading_above_all(window, pages):
    page = window(java_script_enabled=False)
    titles = []
    for path in pages:
        page.goto(path.as_uri())
        assert page.locator("h1").count() == 1, path
        titles.append(page.title())
    assert len(set(titles)) == len(titles)


def test_no_table_picture_or_line_is_wider_than_the_paper(window, pages):
    page = window(viewport=PAPER)
    page.emulate_media(media="print")
    found = []
    for path in pages:
        page.goto(path.as_uri())
        found += named(path, page.evaluate(TOO_WIDE_FOR_PAPER))
    assert found == []


def test_a_page_prints_on_a4_and_its_style_repeats_heads_and_forbids_to_cut_a_row(window, newest):
    page, n_tables = window(), 0
    for path in newest:
        page.goto(path.as_uri())
        printed = page.pdf(prefer_css_page_size=True)
        sizes = set(re.findall(rb"MediaBox \[0 0 (\d+)\.?\d* (\d+)\.?\d*\]", printed))
        assert sizes <= {(b"594", b"841"), (b"595", b"842"), (b"841", b"594"), (b"842", b"595")}
        page.emulate_media(media="print")
        rows, heads = page.evaluate(
            "['tbody tr', 'thead'].map(what => [...new Set([...document.querySelectorAll(what)]"
            ".map(one => getComputedStyle(one)).map(one => what === 'thead' ? one.display "
            ": one.breakInside))])"
        )
        has_table = page.locator("table").count() > 0
        assert set(rows) == ({"avoid"} if has_table else set()), path
        assert set(heads) == ({"table-header-group"} if has_table else set()), path
        n_tables += has_table
        page.emulate_media(media="screen")
    assert n_tables > 1


def test_the_keyboard_reaches_the_content_first(window, pages):
    page = window()
    for path in pages:
        page.goto(path.as_uri())
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip", path
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content", path


def test_the_keyboard_reaches_everything_once_and_a_reader_sees_where_it_is(window, newest):
    page = window()
    for path in newest:
        page.goto(path.as_uri())
        reachable, reached = page.evaluate(REACHABLE), 0
        for _ in range(MANY_KEYS):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None or (focused[-1] != "1" and reached == reachable):
                break
            element, is_seen, has_ring, visits = focused
            assert is_seen, f"{path.name}: the focus is out of sight on {element}"
            assert has_ring, f"{path.name}: nothing shows the focus on {element}"
            assert visits == "1", f"{path.name}: the focus comes twice to {element}"
            reached += 1
        assert reached == reachable, path


def test_a_disclosure_opens_by_keyboard(window, reports, newest):
    page = window(java_script_enabled=True)
    page.goto(next(path for path in newest if path.name == "revenue.html").as_uri())
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1
