"""Pictures and folded tables in a real browser: light, dark and on paper."""

import io
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from pipeline.reporting import figures, tables
from pipeline.reporting.figures import drawing
from pipeline.reporting.pages import html, parts

ROWS = pd.DataFrame({"level": [f"level {at}" for at in range(24)], "share": [0.5] * 24})


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with one picture and one table of which some rows are folded."""
    shown = figures.bars(
        ROWS.head(3), label="level", value="share", name="picture", title="Half of each",
        subtitle="Share, 2026", alt="Half of each level", source="n = 24", percent=True,
    )  # fmt: skip
    first, rest, hidden = tables.folded(ROWS, name="levels", caption="Levels")
    body = parts.fragment(
        parts.figure(shown, shown.rows, [], "survival")
        + parts.table_box(first, "Levels", "", [], len(ROWS), (rest, hidden))
    )
    page = tmp_path_factory.mktemp("pictures") / "page.html"
    page.write_text(f"{html.document_start('Pictures')}<main>{body}</main></body></html>", "utf-8")
    return page.as_uri()


def ground(browser: Any, address: str, scheme: str, media: str = "screen") -> str:
    """The colour at the corner of the picture."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    page.emulate_media(media=media, color_scheme=scheme)
    drawn = Image.open(io.BytesIO(page.locator("figure img").screenshot())).convert("RGB")
    page.close()
    return "#{:02x}{:02x}{:02x}".format(*drawn.getpixel((3, 3)))


def test_a_picture_is_dark_on_a_dark_page_and_light_on_a_light_one(browser, address):
    assert ground(browser, address, "light") == drawing.CARD
    assert ground(browser, address, "dark") == drawing.IN_THE_DARK[drawing.CARD]


def test_a_picture_is_printed_on_white_whatever_the_reader_has_set(browser, address):
    assert ground(browser, address, "dark", "print") == drawing.CARD


def test_folded_rows_open_by_keyboard_without_a_script_and_stand_on_paper(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    rest = page.locator("#levels-more")
    assert not rest.is_visible()
    page.emulate_media(media="print")
    assert rest.bounding_box()["height"] > 100
    page.emulate_media(media="screen")
    page.locator("details.more > summary").focus()
    page.keyboard.press("Enter")
    assert rest.is_visible()
    context.close()
