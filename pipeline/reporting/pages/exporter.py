"""How does nbconvert make a page by our own template? Its exporter, and our two filters.

Reads a prepared notebook. The subtle point: nbconvert loads for a second, so this stands apart
from what pages share, and is loaded when there is a notebook to export.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode


class _PageExporter(TemplateExporter):
    """Notebook → page by our own template; no script, no anchor sign, no style of others."""

    file_extension = ".html"
    output_mimetype = "text/html"

    def default_filters(self) -> Any:
        yield from super().default_filters()
        yield "markdown2html", _markdown
        yield "highlighted", _highlighted


def exported(prepared: NotebookNode, around: Mapping[str, Any]) -> str:
    """The page of a prepared notebook; `around` is what the template puts about it."""
    body, _ = _exporter().from_notebook_node(prepared, resources={"lodestar": around})
    return f"{body.strip()}\n"


@cache
def _exporter() -> _PageExporter:
    """One for all pages, so that the template is read once; it keeps nothing of a page."""
    return _PageExporter(
        template_name="lodestar",
        template_file="index.html.j2",
        extra_template_basedirs=[str(resources.files("pipeline.reporting.pages") / "templates")],
        optimistic_validation=True,  # once, not after each of ten steps
    )


@cache
def _highlighted(source: str) -> str:
    """Code as text with its parts named for our style sheet; the same in every month's page."""
    return str(_highlighter()(source, language="ipython3")).strip()


@cache
def _highlighter() -> Highlight2HTML:
    return Highlight2HTML()


@cache
def _markdown(source: str) -> str:
    """Prose of the notebook; markup in it is shown as text. The same in every month's page."""
    return MarkdownWithMath(
        renderer=IPythonRenderer(escape=True, exclude_anchor_links=True)
    ).render(source)
