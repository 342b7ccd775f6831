"""What would this chapter add if more were given? One sentence, from the declared list.

Reads the snapshot's table `quality` (what is given, and how much of it) and schema.adds. The subtle
point: a column that is there and empty in every row is as absent as one that is not there;
and a column that every table may have is absent when no table has it.
"""

from __future__ import annotations

import pandas as pd

from pipeline.data.schema import adds


def sentence(chapter: str, quality: pd.DataFrame, shape: str = "intervals") -> str:
    """What absent tables and columns would add to a chapter; empty when nothing is missing.

    Args:
        chapter: its name.
        quality: table, rule, kind, n; of kind coverage, rule `table` speaks of a whole table.
        shape: of the subscriptions; what it has no place for is not asked for.
    """
    told_of = quality[quality["kind"] == "coverage"]
    missing, given = told_of[told_of["n"] == 0], set(told_of.loc[told_of["n"] > 0, "rule"])
    found: dict[str, list[str]] = {}
    for table, rule in zip(missing["table"], missing["rule"], strict=True):
        if rule != "table" and not adds.can_be_given(table, rule, shape):
            continue
        more = adds.of_table(table) if rule == "table" else adds.of_column(table, rule)
        subject = _subject(table, rule)
        is_elsewhere = rule in adds.ADDS and rule in given
        if (
            chapter in more
            and not is_elsewhere
            and subject not in found.setdefault(more[chapter], [])
        ):
            found[more[chapter]].append(subject)
    told = [f"{more} ({', '.join(subjects)})" for more, subjects in found.items()]
    return f"Data that are not given would add: {'; '.join(told)}." if told else ""


def _subject(table: str, rule: str) -> str:
    """A table's name, or table.column; a column of every table is one thing."""
    if rule == "table":
        return table
    return rule if rule in adds.ADDS else f"{table}.{rule}"
