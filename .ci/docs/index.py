"""Where does one begin? The page that leads to all others.

Reads the titles of the guides and the first sentence of every room; makes index.html. The subtle
point: the reading order is written here; a guide that it forgets still stands under "More".
"""

from __future__ import annotations

import ast
import html
import re
from pathlib import Path

import reference
from page import document

ROOT = Path(__file__).resolve().parents[2]
FIRST = {
    "README.md": "what it is, how to run it, what a report holds",
    "GLOSSARY.md": "what every published number means",
    "CONTRIBUTING.md": "the laws of the code, and recipes for a change",
    "notebooks/README.md": "which chapter answers which question",
    "docs/data.md": "every table: grain, key, columns, units",
    "docs/operations.md": "unattended runs: schedules, failures, recovery",
    "docs/verification.md": "how well the estimates find a known truth",
    "docs/decisions/README.md": "what was decided, and why",
    "CHANGELOG.md": "what changed, and which numbers moved",
}
ROOMS = ("analysis", "statistics", "reporting", "data", "stages", "checking", "proposal", "run")
"""Packages, in the order in which a data scientist meets them."""


def build(path: Path, guides: dict[str, str], modules: dict[str, str], tutorial: str) -> None:
    """Write index.html.

    Args:
        path: of the page.
        guides: path of each Markdown file → its title.
        modules: module → its page in the reference.
        tutorial: whether it is run, without results, or absent.
    """
    ordered = [name for name in FIRST if name in guides]
    more = [name for name in guides if name not in FIRST]
    parts = [
        "<h1>Lodestar: documentation</h1>",
        *(_tutorial(tutorial) if tutorial != "absent" else ()),
        "<h2>Guides</h2>",
        _listed([_guide(name, guides[name], FIRST[name]) for name in ordered]),
        "<h2>Reference</h2>",
        "<p>What every public function asks and gives. Each page searches all of them.</p>",
        *(
            f"<p>Left out: <code>{module}</code>, for {package} is not installed here.</p>"
            for module, package in reference.left_out().items()
        ),
        _listed([_room(name, modules) for name in _rooms(modules)]),
        "<h2>More</h2>",
        f"<details><summary>{len(more)} pages</summary>",
        _listed([_guide(name, guides[name], "") for name in more]),
        "</details>",
    ]
    path.write_text(document("Documentation", "\n".join(parts), None), encoding="utf-8")


def _tutorial(state: str) -> tuple[str, str]:
    link = '<a href="tutorial.html">From a question to a finding</a>'
    how = "" if state == "run" else f" ({state})"
    said = "the usual wrong turns, each against a known truth, and their cure"
    return "<h2>Tutorial</h2>", f"<p>{link}{how}: {said}.</p>"


def _guide(name: str, title: str, said: str) -> str:
    link = f'<a href="guides/{name.removesuffix(".md")}.html">{html.escape(title)}</a>'
    return f"{link}: {said}" if said else f"{link} <code>{html.escape(name)}</code>"


def _rooms(modules: dict[str, str]) -> list[str]:
    """The rooms in reading order, then the modules beside them."""
    top = [name for name in modules if name.count(".") == 1]
    first = [f"pipeline.{room}" for room in ROOMS if f"pipeline.{room}" in modules]
    return first + [name for name in top if name not in first]


def _room(module: str, modules: dict[str, str]) -> str:
    name = module.removeprefix("pipeline.")
    count = sum(each.startswith(f"{module}.") for each in modules)
    beside = f" ({count} modules)" if count else ""
    said = html.escape(_first_sentence(module))
    return f'<a href="reference/{modules[module]}"><code>{name}</code></a>{beside}: {said}'


def _first_sentence(module: str) -> str:
    text = (ROOT / reference.file_of(module)).read_text(encoding="utf-8")
    found = ast.get_docstring(ast.parse(text)) or ""
    return re.split(r"(?<=[.?!])\s", " ".join(found.split()), maxsplit=1)[0]


def _listed(rows: list[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{row}</li>" for row in rows) + "\n</ul>"
