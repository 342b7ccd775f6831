"""The report in a real browser: index → report → chapter → back, silent and without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}

if not Path(CHROMIUM).is_file():
    pytest.skip("chromium is not installed", allow_module_level=True)

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def index(test_root: Path) -> str:
    return (test_root / "reports" / "index.html").as_uri()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages said on the console or asked of anybody but this machine's files."""
    return []


def open_page(browser: Any, complaints: list[str], **options: Any) -> Any:
    page = browser.new_context(
        **({"viewport": DESK, "java_script_enabled": True} | options)
    ).new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url[:200]}"))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file://", "data:"))
            else complaints.append(f"asked for {request.url}")
        ),
    )
    return page


def chapter_links(page: Any) -> list[str]:
    links = page.locator("nav.chapters a").all()
    return [link.get_attribute("href") for link in links]


def test_a_reader_goes_from_the_index_to_a_report_to_a_chapter_and_back(browser, index, complaints):
    page = open_page(browser, complaints)
    page.goto(index)
    page.locator("tr[id] a").first.click()
    page.wait_for_url("**/index.html")
    assert page.locator("h1").count() == 1
    assert page.locator("ul.tiles li").count() >= 1
    page.locator("nav.chapters a", has_text="Survival").click()
    page.wait_for_url("**/survival.html")
    assert "customers stay" in page.locator("h1").inner_text()
    assert page.locator("figure img").count() >= 1
    page.locator("nav[aria-label=Periods] a", has_text="All periods").click()
    page.wait_for_url("**/reports/index.html")
    assert page.locator("tr[id]").count() >= 2
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_is_silent_fits_its_window_and_draws_every_picture(
    browser, index, complaints, viewport, scheme
):
    page = open_page(browser, complaints, viewport=viewport, color_scheme=scheme)
    page.goto(index)
    page.locator("tr[id] a").first.click()
    front = page.url
    for href in chapter_links(page):
        page.goto(front.rsplit("/", 1)[0] + "/" + href)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], f"{href} scrolls sideways: {width} px"
        drawn = page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert drawn, f"{href} has a picture that does not load"
    assert complaints == []


def test_the_report_needs_no_script(browser, index, complaints):
    page = open_page(browser, complaints, java_script_enabled=False)
    page.goto(index)
    page.locator("tr[id] a").first.click()
    page.locator("details > summary").first.click()
    assert page.locator("details[open]").count() == 1
    assert complaints == []


def test_the_keyboard_reaches_the_content_first(browser, index, complaints):
    page = open_page(browser, complaints)
    page.goto(index)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("status", ["provisional", "final"])
def test_verdict_and_tiles_stand_on_the_first_screen(browser, index, complaints, status):
    page = open_page(browser, complaints)
    page.goto(index)
    page.locator(f"tr[id]:has(.status.{status}) a").first.click()
    tiles = page.locator("ul.tiles").first.bounding_box()
    assert tiles is not None
    assert tiles["y"] + tiles["height"] <= DESK["height"]
