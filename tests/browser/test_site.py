"""The report in a real browser: index → report → chapter → back, silent and without a network."""

import pytest

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
FIRST_SCREEN = DESK["height"]


@pytest.fixture
def index(reports):
    return (reports / "index.html").as_uri()


def test_a_reader_goes_from_the_index_to_a_report_to_a_chapter_and_back(window, index, complaints):
    page = window()
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


def test_a_chapter_leads_to_itself_in_the_report_before(window, index, complaints):
    page = window()
    page.goto(index)
    newest, oldest = (page.locator("tr[id]").nth(place).get_attribute("id") for place in (0, -1))
    page.goto(index.replace("index.html", f"{newest}/revenue.html"))
    page.locator("nav[aria-label=Periods] a", has_text="Revenue in").click()
    assert page.url.endswith(f"/{oldest}/revenue.html")
    assert "no earlier report" in page.locator("nav[aria-label=Periods]").inner_text()
    assert complaints == []


def test_a_reader_sets_a_report_beside_the_month_and_the_year_before(window, index, complaints):
    page = window()
    page.goto(index)
    page.locator("tr[id]:has(.status.final) a").first.click()
    page.locator("nav[aria-label=Periods] a", has_text="Side by side").click()
    page.wait_for_url("**/compare.html")
    assert page.locator("table.gt_table").count() == 2
    headlines = page.locator("tbody th", has_text="Gross account churn")
    assert headlines.count() == 2
    assert complaints == []


def test_a_reader_finds_a_number_without_a_server(window, index, complaints):
    page = window(java_script_enabled=False)
    page.goto(index)
    page.locator("nav[aria-label=Reports] a", has_text="Find").click()
    page.wait_for_url("**/find.html")
    page.locator(".entries a", has_text="Gross account churn").first.click()
    page.wait_for_url("**/revenue.html")
    assert complaints == []


def test_the_report_needs_no_script(window, index, complaints):
    page = window(java_script_enabled=False)
    page.goto(index)
    page.locator("tr[id] a").first.click()
    page.locator("details > summary").first.click()
    assert page.locator("details[open]").count() == 1
    assert complaints == []


@pytest.mark.parametrize("status", ["provisional", "final"])
def test_identity_verdict_and_tiles_stand_on_the_first_screen(window, index, complaints, status):
    page = window(viewport=DESK)
    page.goto(index)
    page.locator(f"tr[id]:has(.status.{status}) a").first.click()
    tiles = page.locator("ul.tiles").first.bounding_box()
    assert tiles is not None
    assert tiles["y"] + tiles["height"] <= FIRST_SCREEN
    assert complaints == []


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_index_shows_its_months_whole(window, index, viewport):
    page = window(viewport=viewport)
    page.goto(index)
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter(b => b.scrollWidth > b.clientWidth + 1)"
        ".map(b => b.ariaLabel)"
    )
    assert cut == [] or viewport is PHONE  # a phone scrolls a table inside its own box
