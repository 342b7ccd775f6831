"""What do the guides say? Every Markdown file of the project as a page.

Reads the Markdown; makes guides/<the same path>.html. The subtle point: a link to a module leads
to its page in the reference; a link to any other file of the project is left as words, because the
pages also stand where the project does not.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from page import document, prose

ROOT = Path(__file__).resolve().parents[2]
PLACES = (
    "*.md", "docs/**/*.md", "notebooks/*.md", "examples/*/*.md", "ops/**/*.md", "data/*/*.md",
    "reports/*.md",
)  # fmt: skip
TUTORIAL = "docs/tutorial.ipynb"


def build(folder: Path, modules: dict[str, str]) -> dict[str, str]:
    """Write the guides.

    Args:
        folder: of the guides, beside that of the reference.
        modules: module → its page in the reference.

    Returns:
        Path of each Markdown file → its title, in the order of the paths.
    """
    found = {path.relative_to(ROOT).as_posix() for place in PLACES for path in ROOT.glob(place)}
    targets = {name: f"guides/{_page_of(name)}" for name in found}
    targets[TUTORIAL] = "tutorial.html"
    for module, place in modules.items():
        file = module.replace(".", "/")
        targets |= dict.fromkeys((file, f"{file}.py"), f"reference/{place}")
    titles = {}
    for name in sorted(found):
        text = (ROOT / name).read_text(encoding="utf-8")
        titles[name] = _title(text, name)
        written = folder / _page_of(name)
        written.parent.mkdir(parents=True, exist_ok=True)
        own = Links(name, targets)
        body = prose(text, own.to, (ROOT / name).parent)
        written.write_text(document(titles[name], body, own.up), encoding="utf-8")
    return titles


def _page_of(name: str) -> str:
    return name.removesuffix(".md") + ".html"


def _title(text: str, name: str) -> str:
    """The first heading, without its marks; the path where there is none."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else name


class Links:
    """Where the links of one file lead.

    Args:
        name: path of the file from the root of the project.
        targets: path of a file → its page, from the folder of index.html.
    """

    def __init__(self, name: str, targets: dict[str, str]) -> None:
        self.folder = Path(name).parent
        self.targets = targets
        self.up = "../" * (name.count("/") + 1)

    def to(self, url: str) -> str | None:
        """The link on our page; None where the file has no page."""
        if re.match(r"[a-z]+:", url) or url.startswith("#"):
            return url
        target, _, anchor = url.partition("#")
        name = os.path.normpath(self.folder / target)
        if not (ROOT / name).exists():
            raise SystemExit(f"docs: a guide in {self.folder} links to {url}, which is not there.")
        found = self.targets.get(name, self.targets.get(f"{name}/README.md"))
        return found and f"{self.up}{found}{'#' + anchor if anchor else ''}"
