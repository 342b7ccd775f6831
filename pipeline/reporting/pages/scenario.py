"""What does the page of a scenario say? The chapter as usual, under a banner and a comparison.

Reads the executed notebook of a scenario. The page has the same policy as a published one: no
script, no request. The subtle point: its status is *scenario*, and whatever was tried out stands
before its first number, so that nobody takes it for a publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

from pipeline.reporting import tables, words
from pipeline.reporting.pages import html, parts
from pipeline.reporting.pages.page import Page

BANNER = "scenario"
NOTHING = "nothing stands of this month yet, so there is nothing to compare with"
NUMBERS_CAPTION, TABLES_CAPTION = "Published, and in this scenario", "Tables that differ"

Told = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]


def render(notebook: Path, page: Page, told: Told) -> str:
    """The page of a scenario.

    Args:
        notebook: as it was executed.
        page: what stands around it.
        told: the content of scenario.json.
    """
    whole = nbformat.read(notebook, as_version=4)
    whole.cells = [whole.cells[0], _banner(told), *whole.cells[1:]]
    return html.render_chapter(whole, page)


def _banner(told: Told) -> NotebookNode:
    """A cell that shows what was tried out and what became of it; its code is the command."""
    markup = [
        parts.paragraph(sentence, lead)
        for lead, sentence in zip(("SCENARIO", "Compared with"), sentences(told), strict=True)
    ]
    if told["numbers"]:
        rows = pd.DataFrame(number_rows(told["numbers"], told["currency"]))
        markup.append(_table(rows, NUMBERS_CAPTION, "scenario-numbers"))
    if differing(told):
        markup.append(_table(pd.DataFrame(table_rows(told)), TABLES_CAPTION, "scenario-tables"))
    shown = new_output("display_data", {"text/html": parts.fragment("".join(markup))})
    return new_code_cell(f"# {told['command']}", id=BANNER, outputs=[shown], metadata={"tags": []})


def _table(rows: pd.DataFrame, caption: str, name: str) -> str:
    return parts.table_box(tables.table(rows, name=name, caption=caption), caption, "", ())


# In words, for the page and for a terminal.


def sentences(told: Told) -> tuple[str, str]:
    """What was tried out, and what it is compared with."""
    given = [f"{key} = {_said(value)}" for key, value in told["set"].items()]
    given += [told["accounts"]] if told["accounts"] else []
    first = f"{'; '.join(given)}. Nothing of this is published."
    if told["compared_with"] is None:
        return first, f"{NOTHING}."
    found = len(differing(told))
    differ = f"{words.count(found)} of {words.counted(len(told['tables']), 'table')} differ"
    note = f" {told['note']}" if told["note"] else ""
    return first, f"{told['compared_with']}. {differ if found else 'No table differs'}.{note}"


def number_rows(numbers: Rows, currency: str) -> list[dict[str, str]]:
    """One row per headline or contrast: Number, Unit, Published, Scenario, Change; all in words."""
    return [
        {
            "Number": row["label"],
            "Unit": row["unit"],
            "Published": _number(row["published"], row["unit"], currency),
            "Scenario": _number(row["scenario"], row["unit"], currency),
            "Change": _change(row, currency),
        }
        for row in numbers
    ]


def differing(told: Told) -> list[Mapping[str, Any]]:
    """The tables that are not as published; none where nothing stands to compare with."""
    if told["compared_with"] is None:
        return []
    return [
        row
        for row in told["tables"]
        if row["n_rows_gone"] or row["n_rows_new"] or row["n_rows"] != row["n_rows_published"]
    ]


def table_rows(told: Told) -> list[dict[str, str]]:
    """One row per table that differs: Table, Rows published, Rows, Gone, New, Cells; in words."""
    return [
        {
            "Table": row["table"],
            "Rows published": _count(row["n_rows_published"]),
            "Rows": _count(row["n_rows"]),
            "Rows gone": _count(row["n_rows_gone"]),
            "Rows new": _count(row["n_rows_new"]),
            "Cells that differ": _count(row["n_cells"]),
        }
        for row in differing(told)
    ]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return words.listing(value)
    return "none" if value is None else str(value)


def _count(value: int | None) -> str:
    return "–" if value is None else words.count(value)


def _number(number: Mapping[str, Any] | None, unit: str, currency: str) -> str:
    if number is None:
        return "–"
    if number["estimate"] is None and number["note"]:
        return str(number["note"])
    kind = words.kind_of(unit, number["estimate"])
    return words.with_interval(
        number["estimate"], number["ci_low"], number["ci_high"], kind, currency
    )


def _change(row: Mapping[str, Any], currency: str) -> str:
    if row["change"] is None:
        return "–"
    return words.change(row["change"], row["unit"], currency, arrow=False)
