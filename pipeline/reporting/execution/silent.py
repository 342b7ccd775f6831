"""What does a chapter say that has nothing to compute, for want of the table it lives on?

Reads the snapshot's table `quality` (what is given). Makes, for such a chapter, its page in one
sentence, its promised tables without rows, and its headlines without numbers. The subtle point: the
page has the chapter's own question and parameters, so that it passes the same gate as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from pipeline.data import store
from pipeline.data.schema.published import HEADLINES, TABLES
from pipeline.reporting import words


@dataclass(frozen=True)
class Silence:
    """A chapter's table without which none of its questions has an answer."""

    table: str
    reason: str
    """In every headline, in place of the number."""
    unanswered: str
    """What nobody can say for want of it, and what the table would hold."""


SILENCES = {
    "time_to_value": Silence(
        table="milestones",
        reason="the company records no milestones",
        unanswered="so nobody can say who has value, since when, who waits for it and whether it "
        "matters for staying. A table of milestones (account, milestone, day on which it was "
        "reached) would answer this chapter.",
    )
}
SOURCE = """\
from pipeline.reporting.execution import {module}
from pipeline.reporting.chapter import open_chapter
chapter = open_chapter({name!r}, period, output)
{module}.answer(chapter)"""
ANSWER = """\
## Answer

This question needs data that are not given. The next lines say which, and what they would tell.
"""


def is_silent(name: str, quality: pd.DataFrame) -> bool:
    """True for a chapter whose table is not given, or has no value in any row.

    `quality` is the snapshot's table: table, rule, kind, n; of kind coverage, n counts the rows in
    which a column has a value.
    """
    if name not in SILENCES:
        return False
    table = SILENCES[name].table
    own = quality[(quality["table"] == table) & (quality["kind"] == "coverage")]
    return len(own) > 0 and bool((own["n"] == 0).all())


def write_notebook(chapter: Path, name: str, place: Path) -> Path:
    """Write the form of a chapter's notebook that says why it has no answer."""
    whole = nbformat.read(chapter, as_version=4)
    whole.cells = shortened(whole, ANSWER, SOURCE.format(module="silent", name=name))
    store.write_text(nbformat.writes(whole) + "\n", place)
    return place


def shortened(whole: NotebookNode, said: str, source: str) -> list[NotebookNode]:
    """The question and the parameters of a notebook, then one answer."""
    parameters = next(cell for cell in whole.cells if "parameters" in cell.metadata.get("tags", []))
    answer_cells = [new_markdown_cell(said, id="why"), new_code_cell(source, id="answer")]
    return [whole.cells[0], parameters, *answer_cells]


def answer(chapter: Any) -> None:
    """Say why a chapter has no number, publish what it promises without rows, and close it."""
    silence = SILENCES[chapter.name]
    chapter.say(f"{words.NOT_AVAILABLE.capitalize()}: {silence.reason}, {silence.unanswered}")
    n_accounts = len(chapter.read("accounts"))
    chapter.definition(
        {"n": f"{words.counted(n_accounts, 'account')} on file, {silence.table} of none of them"}
    )
    estimand = f"What {silence.table} would tell; none are given."
    leave(chapter, silence.reason, estimand, silence.table)


def leave(
    chapter: Any,
    reason: str,
    estimand: str,
    check: str,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Publish what a chapter promises, without rows and numbers, and close it.

    Args:
        chapter: the open chapter.
        reason: why there is no number, in every headline.
        estimand: what its contrast would have estimated, one sentence.
        check: the hard check that failed, in a word.
        known: headlines that have a number all the same: name → the columns that differ.
    """
    for table, (_, columns) in TABLES.items():
        if table.split(".")[0] == chapter.name:
            chapter.publish(table.split(".")[1], pd.DataFrame(columns=list(columns)))
    rows = [
        _headline(name, reason) | dict((known or {}).get(name, {}))
        for name, line in HEADLINES.items()
        if line.chapter == chapter.name
    ]
    if rows:
        chapter.headline(pd.DataFrame(rows).astype({"estimate": "float64", "n": "float64"}))
    if "primary_contrast" in type(chapter.settings).model_fields:
        name, n_accounts = chapter.settings.primary_contrast, len(chapter.read("accounts"))
        chapter.contrast(**_contrast(name, n_accounts, estimand, check, reason))
    chapter.close()


def _headline(name: str, reason: str) -> dict[str, Any]:
    blank = dict.fromkeys(("estimate", "n", "ci_low", "ci_high", "previous", "year_ago"))
    return {"name": name, "state": "not_available", "note": reason, **blank}


def _contrast(name: str, n_accounts: int, estimand: str, check: str, reason: str) -> dict[str, Any]:
    """The claim card of a contrast that cannot be made."""
    blank = dict.fromkeys(("estimate", "ci_low", "ci_high", "p_value", "n_events"))
    return {
        "name": name,
        "statement": words.label(name),
        "estimand": estimand,
        "population": "All accounts of the file.",
        "unit": "ratio",
        "n": n_accounts,
        "checks": [{"name": check, "passed": False, "is_hard": True, "note": reason}],
        **blank,
    }
