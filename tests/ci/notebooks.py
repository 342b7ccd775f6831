"""A small chapter that keeps every rule, to be broken in one place by a test."""

from __future__ import annotations

from nbformat import NotebookNode, from_dict, v4

METADATA = {
    "kernelspec": {"display_name": "Lodestar", "language": "python", "name": "lodestar"},
    "language_info": {"name": "python"},
}
CHECKED_TAGS = ["checked", "keep_output", "nbval-check-output", "not-on-page"]
IMPORTS = """from pipeline.analysis import survival
from pipeline.reporting.chapter import open_chapter"""


def chapter() -> NotebookNode:
    """03_survival.ipynb in small."""
    printed = v4.new_output("stream", name="stdout", text="0.1\n")
    cells = [
        prose("title", "# How long do customers stay?\n\nMost of the time has not happened yet."),
        code("parameters", "period: str = None\noutput: str = None", tags=["parameters"]),
        code("imports", IMPORTS),
        code("open", 'chapter = open_chapter("survival", period, output)'),
        prose("answer", "## Answer\n\nThe share still customer after 12 months."),
        code("headline", 'headline = survival.headline(chapter.read("spells"))'),
        prose("counted", "## What is counted\n\nFirst paid relationships."),
        prose("limits", "## Limits\n\n- One.\n- Two.\n- Three."),
        prose("published", "## What is published\n\nThe headline."),
        code("publish", 'chapter.publish("headline", headline)'),
        prose("checked-note", "The rounded headline, kept as this notebook's own check."),
        code("checked", "print(headline)", CHECKED_TAGS, outputs=[printed], execution_count=1),
    ]
    notebook = v4.new_notebook(cells=cells, metadata=METADATA)
    return from_dict({**notebook, "nbformat_minor": 5})


def prose(cell_id: str, source: str) -> NotebookNode:
    """A cell of prose."""
    return v4.new_markdown_cell(source, id=cell_id)


def code(
    cell_id: str, source: str, tags: list[str] | None = None, **fields: object
) -> NotebookNode:
    """A cell of code."""
    metadata = {"tags": [*tags]} if tags else {}
    return v4.new_code_cell(source, id=cell_id, metadata=metadata, **fields)


def text_of(notebook: NotebookNode) -> str:
    """The bytes that are kept."""
    return v4.writes(notebook) + "\n"
