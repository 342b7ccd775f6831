"""One Chromium for all browser tests, and windows that note what a page says and asks for."""

import shutil
from collections.abc import Callable, Iterator
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
DESK = {"width": 1280, "height": 800}

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not Path(CHROMIUM).is_file():
        pytest.skip("chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages said on the console or asked of anybody but this machine's files."""
    return []


@pytest.fixture
def window(browser: Any, complaints: list[str]) -> Iterator[Open]:
    """A function that opens an empty window of a reader; all are closed after the test."""
    opened = []

    def open_(**options: Any) -> Any:
        page = browser.new_context(**({"viewport": DESK} | options)).new_page()
        opened.append(page.context)
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda asked: complaints.append(f"failed: {asked.url[:200]}"))
        page.on("request", lambda asked: note(asked.url))
        return page

    def note(address: str) -> None:
        if not address.startswith(("file://", "data:")):
            complaints.append(f"asked for {address}")

    yield open_
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def reports(test_root: Path) -> Path:
    """The folder of the small company's reports."""
    return test_root / "reports"


@pytest.fixture(scope="session")
def pages(reports: Path) -> list[Path]:
    """Every page: those over all months, then report by report."""
    return sorted(reports.rglob("*.html"), key=lambda path: (len(path.parts), path))
