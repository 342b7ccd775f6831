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

from pipeline.data import store
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words
from pipeline.reporting.execution import silent
from pipeline.reporting.pages.html import NOT_ON_PAGE

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
        source = silent.SOURCE.format(module="flat", name=name)
        whole.cells = silent.shortened(whole, ANSWER, source)
    for cell in whole.cells:
        if CALENDAR in (tags := cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*tags, NOT_ON_PAGE]
    store.write_text(nbformat.writes(whole) + "\n", place)
    return place


def answer(chapter: Any) -> None:
    """Say why a chapter has no number, publish what it promises without rows, and close it."""
    reason = f"{words.NOT_AVAILABLE[0].upper()}{words.NOT_AVAILABLE[1:]}: {NO_DATES}."
    chapter.say(f"{reason} {WHY[chapter.name]}")
    known = _known(chapter)
    if len(known):
        shown = known.assign(value=[_said(row, chapter) for row in known.to_dict("records")])
        chapter.table(shown.drop(columns="name"), "What the file does tell")
    chapter.definition({"Customer": words.FLAT_CUSTOMER})
    estimand = "What dated subscriptions would tell; a flat file has none."
    silent.leave(chapter, NO_DATES, estimand, "dates", _told(chapter, known))


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


def _told(chapter: Any, known: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The headlines of which the file tells more than that it has no dates."""
    told: dict[str, dict[str, Any]] = {}
    if chapter.name == "revenue" and not chapter.slice.is_money_known:
        told["mrr_end"] = {"note": NO_MONEY}
    for row in known.to_dict("records"):
        number = {"estimate": row["value"], "n": row["n"]}
        told[row["name"]] = {**number, "state": "exact", "note": ""}
    return told
