"""The report of a company whose every name is an attack, in a real browser: nothing of it runs.

The pages are opened twice: as a reader opens them, and without the policy that forbids scripts, so
that the first wall alone, escaping, is seen to hold.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.faults import hostile

BUILD_SECONDS = 900
LIVE = """() => [...document.querySelectorAll('*')].flatMap(one => [
    ...(['SCRIPT', 'IFRAME', 'OBJECT', 'EMBED', 'FORM'].includes(one.tagName) ? [one.tagName] : []),
    ...one.getAttributeNames().filter(name => name.startsWith('on')),
    ...['href', 'src'].map(name => one.getAttribute(name) || '')
        .filter(link => /^\\s*(javascript|https?|data:text)/i.test(link)),
])"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the hostile company's reports; nothing in it may be changed."""
    return hostile.built(tmp_path_factory.mktemp("hostile") / "company").paths.reports


def opened(browser: Any, complaints: list[str], **options: Any) -> Any:
    """A page that notes whatever runs, speaks or asks."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
    page.on("console", lambda message: complaints.append(f"console: {message.text[:200]}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {str(error)[:200]}"))
    page.on("popup", lambda _: complaints.append("popup"))
    page.on("request", lambda asked: _note(asked.url, complaints))
    return page


def _note(url: str, complaints: list[str]) -> None:
    if not url.startswith(("file://", "data:image/svg+xml")):
        complaints.append(f"asked for {url[:200]}")


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize("options", [{}, {"bypass_csp": True}], ids=["as read", "without policy"])
def test_nothing_that_a_name_holds_runs_on_any_page(reports, browser, options) -> None:
    found: dict[str, list[str]] = {}
    pages = sorted(reports.rglob("*.html"))
    for path in pages:
        complaints: list[str] = []
        page = opened(browser, complaints, **options)
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.mouse.move(400, 300)
        found[path.name] = complaints + page.evaluate(LIVE)
        page.context.close()
    assert len(pages) > len(hostile.CHAPTERS)
    assert {name: live for name, live in found.items() if live} == {}


@pytest.mark.timeout(BUILD_SECONDS)
def test_nothing_runs_in_a_picture_that_is_opened_by_itself(reports, browser) -> None:
    found: dict[str, list[str]] = {}
    pictures = sorted(reports.rglob("*.svg"))
    for path in pictures:
        complaints: list[str] = []
        page = opened(browser, complaints)
        page.goto(path.as_uri())
        found[path.name] = complaints + page.evaluate(LIVE)
        page.context.close()
    assert len(pictures) > 5
    assert {name: live for name, live in found.items() if live} == {}


@pytest.mark.timeout(BUILD_SECONDS)
def test_a_hostile_name_is_read_as_it_was_written(reports, browser) -> None:
    page = opened(browser, [])
    page.goto((reports / str(hostile.PERIOD) / "index.html").as_uri())
    assert f"<script>{hostile.MARK}(1)</script>" in page.locator("body").inner_text()
