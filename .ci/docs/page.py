"""How does a page of the documentation look? Like a page of the report: its style, its policy.

Reads nothing; makes markup. The subtle point: headings are named as the links of the Markdown name
them (small letters, hyphens, no other sign), so an anchor that works there works here.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from pipeline.reporting.pages.html import document_start

STYLE = """<style>
.lodestar main pre { overflow-x: auto; background: var(--code); padding: 0.6rem 0.8rem; }
.lodestar main img { max-width: 100%; height: auto; }
.lodestar main table { border-collapse: collapse; display: block; overflow-x: auto; }
.lodestar main :is(th, td) { border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem;
  text-align: left; vertical-align: top; }
.lodestar main li { margin: 0.2rem 0; }
</style>"""

NAVIGATION = '<nav aria-label="Documentation">{}</nav>'


def document(title: str, body: str, to_top: str | None) -> str:
    """A whole page; `to_top` leads to the folder of index.html, None from that page itself."""
    back = f'<a href="{to_top}index.html">All documentation</a>'
    around = "" if to_top is None else NAVIGATION.format(back)
    return (
        f"{document_start(f'{title} · Lodestar')}\n{STYLE}\n<header>{around}</header>\n"
        f'<main id="content" tabindex="-1">\n{body}\n</main>\n</body>\n</html>\n'
    )


def highlighted(source: str, language: str = "ipython3") -> str:
    """Code as text with its parts named for the style sheet."""
    shown = Highlight2HTML()(source, language=language).strip()
    return shown.replace("<pre>", '<pre tabindex="0">', 1)


def prose(source: str, link: Callable[[str], str | None], folder: Path) -> str:
    """Markdown as markup.

    Args:
        source: the Markdown.
        link: what a target becomes on our pages; None: there is no page of it.
        folder: where its pictures begin.
    """
    return str(MarkdownWithMath(renderer=_Renderer(link, folder)).render(source))


class _Renderer(IPythonRenderer):
    """Markdown with our links, our anchors, and pictures that travel within the page."""

    def __init__(self, link: Callable[[str], str | None], folder: Path) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.leads_to, self.folder = link, folder
        self.names: Counter[str] = Counter()

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        name = anchor(html.unescape(re.sub(r"<[^>]+>", "", text)))
        self.names[name] += 1
        again = self.names[name] - 1
        own = html.escape(f"{name}-{again}" if again else name)
        return f'<h{level} id="{own}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = self.leads_to(url)
        return text if target is None else f'<a href="{html.escape(target)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith("data:"):
            kind, _ = mimetypes.guess_type(url)
            content = base64.b64encode((self.folder / url).read_bytes()).decode()
            url = f"data:{kind};base64,{content}"
        return f'<img src="{url}" alt="{html.escape(text)}">'

    def block_code(self, code: str, info: str | None = None) -> str:
        shown = super().block_code(code, info)
        return shown.replace("<pre", '<pre tabindex="0"', 1)


def anchor(title: str) -> str:
    """What a heading is called in a link."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
