"""What a chapter would add if more were given: one sentence, and none where nothing is missing."""

import pandas as pd

from pipeline.data.schema import adds
from pipeline.reporting.chapter import absent


def quality(*rows: tuple[str, str, int]) -> pd.DataFrame:
    """Rows of kind coverage: table, rule, n with a value."""
    return pd.DataFrame(rows, columns=["table", "rule", "n"]).assign(kind="coverage")


def test_a_table_that_is_not_given_is_named_with_what_it_would_add() -> None:
    said = absent.sentence("drivers", quality(("tickets", "table", 0)))
    assert said == (
        "Data that are not given would add: whether trouble, and how long it stays open, goes "
        "with leaving (tickets)."
    )


def test_only_what_the_chapter_itself_would_add_is_said() -> None:
    rows = quality(("milestones", "table", 0), ("targets", "table", 0))
    assert "how soon customers get value" in absent.sentence("time_to_value", rows)
    assert "target" not in absent.sentence("time_to_value", rows)
    assert absent.sentence("survival", rows) == ""


def test_an_empty_column_counts_as_absent_and_a_filled_one_says_nothing() -> None:
    assert "(accounts.segment)" in absent.sentence("survival", quality(("accounts", "segment", 0)))
    assert absent.sentence("survival", quality(("accounts", "segment", 5))) == ""


def test_a_column_that_any_table_may_have_is_absent_when_none_has_it() -> None:
    none = quality(("accounts", "recorded_at", 0), ("subscriptions", "recorded_at", 0))
    some = quality(("accounts", "recorded_at", 0), ("subscriptions", "recorded_at", 9))
    said = absent.sentence("population", none)
    assert said.count("recorded_at") == 1
    assert absent.sentence("population", some) == ""


def test_what_several_would_add_alike_is_said_once() -> None:
    rows = quality(("accounts", "segment", 0), ("subscriptions", "end_type", 0))
    said = absent.sentence("survival", rows)
    assert said.endswith("(subscriptions.end_type).")
    assert said.count(";") == 1
    assert all(len(more) < 100 for chapters in adds.ADDS.values() for more in chapters.values())


def test_a_shape_is_not_asked_for_what_it_has_no_place_for() -> None:
    rows = quality(("subscriptions", "term_ends_on", 0))
    assert "due for renewal" in absent.sentence("summary", rows)
    assert absent.sentence("summary", rows, "monthly") == ""
