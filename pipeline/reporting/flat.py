"""What does a chapter say of a flat file, in which it has nothing to compute?

Reads the snapshot's accounts. Makes, for a chapter that lives on dates, its page in one sentence,
its promised tables without rows, and its headlines without numbers; of any other chapter, the page
without what needs a calendar. The subtle point: the page has the chapter's own question and
parameters, so that it passes the same gate as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from pipeline.data import store
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting import words
from pipeline.reporting.html import NOT_ON_PAGE

CUSTOMER = "an account that the file calls not churned"
NO_DATES = "a flat file has no dates"
NO_MONEY = "the file has no MRR"
WHY = {
    "revenue": "Nobody can say what was won, kept or lost in a month: the file tells how long each "
    "account stayed, not when. Subscriptions with their start and end, or a ledger of months, "
    "would answer this chapter.",
    "drivers": "This chapter learns from what was known of a customer before each month of its "
    "life, and the file has one row per account. What goes with staying among columns known at "
    "signing stands in the chapter on survival, as hazard ratios.",
    "time_to_value": "The file has no day on which a customer first got value, nor the day on "
    "which it started. Milestones and subscriptions with dates would answer this chapter.",
}
"""Chapters that live on dates, and why each is silent."""
CALENDAR = "calendar"
"""Tag of a cell that has nothing to show where there are no dates."""
SOURCE = """\
from pipeline.reporting import flat
from pipeline.reporting.chapter import open_chapter
chapter = open_chapter({name!r}, period, output)
flat.answer(chapter)"""
ANSWER = """\
## Answer

A flat file (one row per account, tenure and status) cannot answer this question. The next lines
say why, and what would.
"""


def write_notebook(chapter: Path, name: str, place: Path) -> Path:
    """Write the form of a chapter's notebook that a flat file can fill.

    A chapter that lives on dates keeps question, parameters and one answer; of the others, cells
    tagged `calendar` run and are not on the page.
    """
    whole = nbformat.read(chapter, as_version=4)
    if name in WHY:
        whole.cells = _silent(whole, name)
    for cell in whole.cells:
        if CALENDAR in (tags := cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*tags, NOT_ON_PAGE]
    store.write_text(nbformat.writes(whole) + "\n", place)
    return place


def _silent(whole: NotebookNode, name: str) -> list[NotebookNode]:
    parameters = next(cell for cell in whole.cells if "parameters" in cell.metadata.get("tags", []))
    said = new_markdown_cell(ANSWER, id="why")
    answer = new_code_cell(SOURCE.format(name=name), id="answer")
    return [whole.cells[0], parameters, said, answer]


def answer(chapter: Any) -> None:
    """Say why a chapter has no number, publish what it promises without rows, and close it."""
    reason = f"{words.NOT_AVAILABLE[0].upper()}{words.NOT_AVAILABLE[1:]}: {NO_DATES}."
    chapter.say(f"{reason} {WHY[chapter.name]}")
    known = _known(chapter)
    if len(known):
        shown = known.assign(value=[_said(row, chapter) for row in known.to_dict("records")])
        chapter.table(shown.drop(columns="name"), "What the file does tell")
    chapter.definition({"Customer": CUSTOMER})
    for table, (_, columns) in TABLES.items():
        if table.split(".")[0] == chapter.name:
            chapter.publish(table.split(".")[1], pd.DataFrame(columns=list(columns)))
    if any(line.chapter == chapter.name for line in HEADLINES.values()):
        chapter.headline(_headlines(chapter, known))
    if "primary_contrast" in type(chapter.settings).model_fields:
        n_accounts = len(chapter.read("accounts"))
        chapter.contrast(**_contrast(chapter.settings.primary_contrast, n_accounts))
    chapter.close()


def _known(chapter: Any) -> pd.DataFrame:
    """One row per headline that stands on the day of the file alone: name, fact, value, n."""
    if chapter.name != "revenue":
        return pd.DataFrame(columns=["name", "fact", "value", "n"])
    accounts = chapter.read("accounts")
    customers = accounts[accounts["is_customer"].astype(bool)]
    facts = {"customers_end": float(len(customers))}
    if chapter.slice.is_money_known:
        facts["mrr_end"] = float(customers["mrr"].sum())
    return pd.DataFrame(
        [(name, HEADLINES[name].label, value, len(customers)) for name, value in facts.items()],
        columns=["name", "fact", "value", "n"],
    )


def _said(row: Mapping[str, Any], chapter: Any) -> str:
    return words.say(row["value"], HEADLINES[row["name"]].unit, chapter.company.currency)


def _headlines(chapter: Any, known: pd.DataFrame) -> pd.DataFrame:
    """One row per headline of a chapter: those that are known, the others with the reason."""
    values = known.set_index("name")
    rows = []
    for name, line in HEADLINES.items():
        if line.chapter != chapter.name:
            continue
        is_known = name in values.index
        is_moneyless = name == "mrr_end" and not chapter.slice.is_money_known
        rows.append(
            {
                "name": name,
                "estimate": values["value"].get(name),
                "n": values["n"].get(name) if is_known else None,
                "state": "exact" if is_known else "not_available",
                "note": "" if is_known else NO_MONEY if is_moneyless else NO_DATES,
                **dict.fromkeys(("ci_low", "ci_high", "previous", "year_ago")),
            }
        )
    return pd.DataFrame(rows).astype({"estimate": "float64", "n": "float64"})


def _contrast(name: str, n_accounts: int) -> dict[str, Any]:
    """The claim card of a contrast that cannot be made."""
    blank = dict.fromkeys(("estimate", "ci_low", "ci_high", "p_value", "n_events"))
    return {
        "name": name,
        "statement": words.label(name),
        "estimand": "What dated subscriptions would tell; a flat file has none.",
        "population": "All accounts of the file.",
        "unit": "ratio",
        "n": n_accounts,
        "checks": [{"name": "dates", "passed": False, "is_hard": True, "note": NO_DATES}],
        **blank,
    }
