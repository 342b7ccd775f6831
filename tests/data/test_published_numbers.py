"""What a published number looks like: the same on every machine, and to the cent."""

import pandas as pd
import pytest

from pipeline.data import store


@pytest.mark.parametrize(
    ("value", "published"),
    [
        (0.1 + 0.2, 0.3),
        (1 / 3, 0.3333333333333),
        (1.0 + 4e-16, 1.0),
        (123456789012.34, 123456789012.34),
        (305000.1234, 305000.1234),
        (-2 / 3, -0.6666666666667),
    ],
)
def test_the_last_bits_of_a_number_are_not_published_and_its_cents_are(value, published):
    assert store.published_number(value) == published


def test_a_table_has_published_numbers_in_columns_of_mixed_kinds_too():
    rows = pd.DataFrame({"a": [1 / 3, None], "b": pd.Series([2 / 3, "k of n"], dtype=object)})
    assert store.published_csv(rows) == ("a,b\n0.3333333333333,0.6666666666667\n,k of n\n")
