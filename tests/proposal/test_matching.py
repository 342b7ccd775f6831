"""Which names are taken for ours, how surely, and which never."""

import pytest

from pipeline.data.schema import RAW, SHAPES
from pipeline.proposal import matching, vocabulary


@pytest.mark.parametrize(
    ("theirs", "ours", "table"),
    [
        ("mrr", "mrr", "subscriptions"),
        ("MonthlyCharges", "mrr", "subscriptions"),
        ("mrr_usd", "mrr", "subscriptions"),
        ("customerID", "account_id", "accounts"),
        ("Customer Since", "signed_up_date", "accounts"),
        ("cancelled_at", "end_date", "subscriptions"),
        ("churn_date", "end_date", "subscriptions"),
        ("subscription_start_date", "start_date", "subscriptions"),
        ("id", "ticket_id", "tickets"),
        ("signup_dat", "signup_date", "accounts"),
    ],
)
def test_a_name_of_the_field_is_taken_for_ours(theirs: str, ours: str, table: str) -> None:
    assert matching.alike(ours, theirs, table) > 0


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("arr_amount", "mrr"),
        ("annual_amount", "mrr"),
        ("total_charges", "mrr"),
        ("lifetime_revenue_mrr", "mrr"),
        ("updated_at", "recorded_at"),
        ("loaded_at", "recorded_at"),
        ("current_period_end", "end_date"),
        ("shoe_size", "mrr"),
        ("", "mrr"),
    ],
)
def test_a_name_that_means_something_else_is_never_taken(theirs: str, ours: str) -> None:
    assert matching.alike(ours, theirs, "subscriptions") == 0


def test_our_own_name_is_surer_than_a_word_of_the_field_and_that_than_a_part() -> None:
    own, known, part = (
        matching.alike("mrr", name, "subscriptions") for name in ("mrr", "mrr_amount", "new_mrr")
    )
    assert own > known > part > 0


def test_the_vocabulary_speaks_of_declared_tables_columns_and_codes() -> None:
    assert set(vocabulary.TABLES) == set(RAW)
    tables = [*RAW.values(), *SHAPES.values()]
    columns = {name for table in tables for name in table.columns}
    for subject in (*vocabulary.COLUMNS, *vocabulary.REFUSED, *vocabulary.CODES):
        table, _, column = subject.rpartition(".")
        assert column in (RAW[table].columns if table else columns), subject
    for column, words in vocabulary.CODES.items():
        codes = {code for table in tables if column in table.columns
                 for code in matching.codes_of(table, column)}  # fmt: skip
        assert set(words.values()) <= codes, column
