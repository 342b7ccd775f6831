"""What does a page say in the midst of its notebook that only a publication knows?

Works on what is said of the reports before this one. Makes the markup that stands in the place of a
markdown cell with the tag of a slot. The subtle point: a notebook knows one month and no
publication, so its own words in that place are for whoever runs it by hand.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.reporting import tables, words
from pipeline.reporting.pages import origins, parts
from pipeline.reporting.records import data_changes

CHANGED, RESTATED = "changed", "restated"
"""Tags of markdown cells."""
NONE_RESTATED = (
    "No MRR and no number of customers of an earlier month is different from what was first "
    "published."
)
FIRST = "There is no report before this one to compare definitions, data and code with."
CAPTIONS = {
    "definitions": "Definitions that are not those of the report before",
    "data": "Data and code that are not those of the report before",
}

Rows = Sequence[Mapping[str, Any]]


def slots(
    definitions: Rows, data: Rows, compared_with: str | None, restatements: Rows, currency: str
) -> dict[str, str]:
    """Tag → markup: what changed since the report before, and what was restated.

    Args:
        definitions: one mapping per decision that the report before took otherwise.
        data: from `data_changes`.
        compared_with: the period of the report before; None: there is none.
        restatements: one mapping per figure that was first published differently.
        currency: said before money.
    """
    restated = origins.restated(restatements, currency)
    none = f'<h2 id="restatements">Restatements</h2>{_say(NONE_RESTATED)}'
    changed = _changed(definitions, data, compared_with)
    return {CHANGED: changed, RESTATED: restated or none}


def left_over(
    found: Mapping[str, str], tags: Collection[str], told: Mapping[str, bool]
) -> list[str]:
    """What has something to tell and no place in the notebook: it stands below it.

    Args:
        found: from `slots`.
        tags: of the notebook's cells.
        told: tag → whether there is anything to tell.
    """
    return [found[tag] for tag, is_told in told.items() if is_told and tag not in tags]


def decided(value: Any) -> str:
    """A setting as a reader sees it."""
    if isinstance(value, list):
        return words.listing(value)
    return "not set" if value is None else str(value)


def _changed(definitions: Rows, data: Rows, compared_with: str | None) -> str:
    blocks = []
    if definitions:
        rows = [
            {
                "Definition": row["setting"],
                "Before": decided(row["before"]),
                "Now": decided(row["now"]),
            }
            for row in definitions
        ]
        blocks.append(_box(rows, "definitions"))
    if data:
        blocks.append(_box([data_changes.say(row) for row in data], "data"))
    lead = _say(_lead(bool(blocks), compared_with))
    return f'<div id="changes" class="slot">{lead}{"".join(blocks)}</div>'


def _lead(has_changed: bool, compared_with: str | None) -> str:
    if compared_with is None:
        return FIRST
    before = f"the report of {words.month(compared_with)}"
    if not has_changed:
        return (
            f"Definitions and code are those of {before}; no table came or went, and columns are "
            "filled as they were."
        )
    return (
        f"Not all is as in {before}: for these reasons a number may differ from what stands there "
        "though nothing happened in the company. Every comparison and chart on these pages is made "
        "anew under today's."
    )


def _box(rows: Rows, kind: str) -> str:
    table = tables.table(pd.DataFrame(rows), name=f"changed-{kind}", caption=CAPTIONS[kind])
    return parts.fragment(parts.table_box(table, CAPTIONS[kind], "", ()))


def _say(sentence: str) -> str:
    return parts.fragment(parts.paragraph(sentence))
