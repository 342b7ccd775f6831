"""What only a publication knows stands in the place that the notebook keeps for it."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipeline.reporting.pages import html, parts, slots
from pipeline.reporting.pages.page import Page

DEFINITION = {"setting": "grace_days", "before": 30, "now": 60, "since": "2026-09"}
DATA = {"kind": "given", "subject": "<b>surveys</b>", "before": False, "now": True}
RESTATED = {
    "period": "2026-06", "metric": "mrr_end", "first_status": "final", "first_published": 90000.0,
    "now": 88000.0, "difference": -2000.0, "reason": "late rows",
}  # fmt: skip


CELLS = [
    new_markdown_cell("# What?", id="title"),
    new_markdown_cell("Only by hand.", id="a", metadata={"tags": ["changed"]}),
    new_markdown_cell("Only by hand.", id="b", metadata={"tags": ["restated"]}),
    new_markdown_cell("## Limits", id="c"),
    new_code_cell("1", id="d"),
]


def page_of(cells: list[NotebookNode], **changes: object) -> str:
    around = {
        "company_name": "Acme", "period": "2026-10", "chapter": "summary", "title": "Summary",
        "status": "final", "revision": 1, "as_of": "2026-10-31", "cut_off": "2026-10-31",
        "currency": "USD",
    }  # fmt: skip
    text = html.render_chapter(new_notebook(cells=cells), Page(**(around | changes)))
    return text.replace("\u00a0", " ")


def page(**changes: object) -> str:
    return page_of(CELLS, **changes)


def test_without_anything_to_tell_the_page_says_so_and_not_what_the_notebook_says():
    text = page(compared_with="2026-09")
    assert (
        "Definitions and code are those of the report of September 2026; no table came or went"
        in text
    )
    assert slots.NONE_RESTATED in text
    assert "Only by hand." not in text
    assert slots.FIRST in page()


def test_a_definition_and_data_that_changed_stand_in_their_place_and_the_head_names_the_first():
    text = page(compared_with="2026-09", definition_changes=[DEFINITION], data_changes=[DATA])
    assert "Definitions changed since the report of September 2026: grace_days." in text
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", text[text.index('id="changes"') :])
    assert cells[:6] == ["Definition", "Before", "Now", "grace days", "30", "60"]
    assert "&lt;b&gt;surveys&lt;/b&gt;" in text
    assert text.index('id="changes"') < text.index('id="restatements"') < text.index("Limits")


def test_restatements_stand_in_their_place_once():
    text = page(restatements=[RESTATED])
    assert text.count('id="restatements"') == 1
    assert "USD 88,000" in text
    assert text.index("USD 88,000") < text.index("Limits")


def test_what_the_notebook_has_no_place_for_stands_below_it():
    found = {"changed": "<p>new</p>", "restated": "<p>moved</p>"}
    told = {"changed": True, "restated": True}
    assert slots.left_over(found, {"changed"}, told) == ["<p>moved</p>"]
    assert slots.left_over(found, set(), told) == ["<p>new</p>", "<p>moved</p>"]
    assert slots.left_over(found, set(), {"changed": False, "restated": False}) == []


def optional(prose: str, shown: bool) -> str:
    output = new_output("display_data", {"text/html": parts.fragment("<p>A row.</p>")})
    cells = [
        new_markdown_cell("# What?", id="title"),
        new_markdown_cell(prose, id="prose"),
        new_code_cell(
            "1", id="rows", metadata={"tags": ["optional"]}, outputs=[output] if shown else []
        ),
    ]
    return page_of(cells)


def test_prose_goes_with_the_rows_of_a_chapter_that_is_absent_and_a_heading_stays():
    assert "These are the rows." in optional("These are the rows.", shown=True)
    assert "These are the rows." not in optional("These are the rows.", shown=False)
    assert "Coming" in optional("## Coming", shown=False)
