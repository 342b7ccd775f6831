"""Does `make docs` say what the docstrings say, on pages that stand alone?"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
OF_SPARK = "pipeline/data/spark"
"""The module that needs the optional extra."""
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}
OF_PDOC = {
    "a", "body", "button", "code", "dd", "del", "div", "dl", "dt", "em", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "head", "html", "input", "label", "li", "link", "main", "meta", "nav", "ol",
    "p", "path", "pre", "script", "section", "span", "strong", "style", "sub", "sup", "svg",
    "table", "tbody", "td", "th", "thead", "title", "tr", "ul", "wbr", "blockquote", "hr", "br",
}  # fmt: skip
ASKS = re.compile(
    r"@import|url\(\s*['\"]?(?:https?:)?//|fetch\(|XMLHttpRequest|WebSocket|sendBeacon"
)
KEPT_BY = ("src", "srcset", "poster", "data", "action", "background")
"""Attributes whose address a browser asks for by itself; `href` only of `link`."""


class Read(HTMLParser):
    """Names, links, addresses asked for, tags and text of one page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.asked: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.within: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.asked += [given[name] for name in KEPT_BY if name in given]
        self.asked += [given["href"]] if tag == "link" and "href" in given else []
        if tag not in VOID:
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            while self.within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.within):
            self.words.append(data)


@pytest.fixture(scope="session")
def documentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built once."""
    return built_in(tmp_path_factory.mktemp("documentation"))


def built_in(folder: Path, **variables: str) -> Path:
    """The pages, below a folder without a sample company, so that no notebook is run."""
    built = subprocess.run(
        [sys.executable, ".ci/docs", str(folder / "docs")],
        cwd=ROOT,
        env={**os.environ, "LODESTAR_ROOT": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "docs"


@cache
def read(page: Path) -> Read:
    return Read(page)


def every_page(documentation: Path) -> Iterator[tuple[str, Read]]:
    for page in sorted(documentation.rglob("*.html")):
        yield page.relative_to(documentation).as_posix(), read(page)


def test_every_module_has_a_page(documentation: Path) -> None:
    files = [file.relative_to(ROOT) for file in (ROOT / "pipeline").rglob("*.py")]
    names = {
        file.with_suffix("").as_posix().removesuffix("/__init__")
        for file in files
        if not any(part.startswith("_") and part != "__init__.py" for part in file.parts)
    }
    pages = {
        page.relative_to(documentation / "reference").with_suffix("").as_posix()
        for page in (documentation / "reference").rglob("*.html")
    }
    unloaded = set() if importlib.util.find_spec("pyspark") else {OF_SPARK}
    assert names - pages == unloaded


def test_without_the_extra_its_module_is_left_out_and_the_first_page_says_so(
    tmp_path: Path,
) -> None:
    missing = 'raise ModuleNotFoundError("No module named \'pyspark\'", name="pyspark")'
    (tmp_path / "pyspark.py").write_text(missing)
    documentation = built_in(tmp_path, PYTHONPATH=str(tmp_path))

    assert not (documentation / "reference" / f"{OF_SPARK}.html").exists()
    said = "Left out: pipeline.data.spark, for pyspark is not installed here."
    assert said in read(documentation / "index.html").text
    assert lost_links(documentation) == []


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("pipeline/statistics/proportions", "each of the shape of the input; missing where n is 0"),
        ("pipeline/statistics/proportions", "ValueError: successes are negative or more than n."),
        ("pipeline/statistics/proportions", "Source: Wilson (1927)."),
        ("pipeline/statistics/proportions", "successes: ArrayLike, n: ArrayLike"),
        ("pipeline/analysis/survival/readings", "The reading in months of 30.4375 days."),
        ("pipeline/analysis/survival/readings", "day: age in days, included."),
        ("pipeline/analysis/annex", "One row per specification"),
    ],
)
def test_a_page_says_shapes_units_errors_and_sources(
    documentation: Path, page: str, said: str
) -> None:
    assert said in read(documentation / "reference" / f"{page}.html").text


def test_no_link_leads_nowhere(documentation: Path) -> None:
    assert lost_links(documentation) == []


def lost_links(documentation: Path) -> list[str]:
    lost = []
    for name, page in every_page(documentation):
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            place, _, anchor = unquote(link).partition("#")
            own = documentation / name
            target = (own.parent / place).resolve() if place else own
            if not target.is_file() or (anchor and anchor not in read(target).names):
                lost.append(f"{name}: {link}")
    return lost


def test_no_page_asks_the_network_for_anything(documentation: Path) -> None:
    asking = []
    for name, page in every_page(documentation):
        text = (documentation / name).read_text(encoding="utf-8")
        asking += [f"{name}: {found[0]}" for found in ASKS.finditer(text)]
        asking += [f"{name}: {address}" for address in page.asked if "//" in address[:8]]
    search = (documentation / "reference" / "search.js").read_text(encoding="utf-8")
    assert asking == []
    assert not re.search(r"fetch\(|XMLHttpRequest|importScripts", search)


def test_no_path_or_address_of_this_machine_is_on_a_page(documentation: Path) -> None:
    told = [
        file.relative_to(documentation).as_posix()
        for file in sorted(documentation.rglob("*"))
        if file.is_file()
        and re.search(rf"{re.escape(str(ROOT))}| at 0x[0-9a-f]{{6,}}", file.read_text("utf-8"))
    ]
    assert told == []


def test_what_a_docstring_writes_in_angle_brackets_stays_text(documentation: Path) -> None:
    swallowed = [
        f"{name}: <{tag}>"
        for name, page in every_page(documentation)
        if name.startswith("reference/")
        for tag in page.tags - OF_PDOC
    ]
    assert swallowed == [], "put it in backticks, or the page takes it for markup"


def test_the_first_page_leads_to_tutorial_guides_and_rooms(documentation: Path) -> None:
    links = set(read(documentation / "index.html").links)
    rooms = [path.name for path in (ROOT / "pipeline").iterdir() if (path / "__init__.py").exists()]
    wanted = {"tutorial.html", "guides/README.html", "guides/CONTRIBUTING.html"}
    wanted |= {"guides/GLOSSARY.html", "guides/docs/data.html"}
    wanted |= {f"reference/pipeline/{room}.html" for room in rooms}
    assert sorted(wanted - links) == []


def test_a_tutorial_without_data_says_so(documentation: Path) -> None:
    assert "Shown without results." in read(documentation / "tutorial.html").text


PLACES = ("index.html", "guides/GLOSSARY.html", "reference/pipeline/statistics/proportions.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_a_page_stops_no_screen_reader(
    documentation: Path, window: Callable[..., Any], complaints: list[str], place: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    page = window(color_scheme=scheme)
    page.goto((documentation / place).as_uri())
    found = axe.Axe().run(page).response["violations"]
    serious = [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == []
    assert complaints == []


def test_the_search_finds_a_function_without_a_server(
    documentation: Path, window: Callable[..., Any], complaints: list[str]
) -> None:
    page = window()
    page.goto((documentation / "reference" / "pipeline.html").as_uri())
    page.fill("input[type=search]", "clopper_pearson")
    found = page.locator(".search-result a").first
    found.wait_for()
    assert "pipeline.statistics.proportions.clopper_pearson" in found.inner_text()
    assert [said for said in complaints if "building search index" not in said] == []


@pytest.mark.slow
def test_a_second_build_has_the_same_bytes(documentation: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ".ci/docs", str(tmp_path / "docs")],
        cwd=ROOT,
        env={**os.environ, "LODESTAR_ROOT": str(tmp_path), "PYTHONHASHSEED": "7"},
        check=True,
    )
    first = {file.relative_to(documentation): file for file in documentation.rglob("*.*")}
    again = {file.relative_to(tmp_path / "docs"): file for file in tmp_path.rglob("docs/**/*.*")}
    assert first.keys() == again.keys()
    assert [name for name in first if first[name].read_bytes() != again[name].read_bytes()] == []
