"""Which columns a reader sees, and in which words."""

import pandas as pd

from pipeline.reporting.tables import columns


def seen(frame: pd.DataFrame, **formats: str) -> dict[str, list[str]]:
    return {column.head: column.cells for column in columns.formatted(frame, formats, "USD")}


def test_two_limits_are_one_column_and_an_open_end_is_said():
    frame = pd.DataFrame(
        {"level": list("abcd"), "ratio": [2.0, 1.0, 3.0, 4.0],
         "ci_low": [1.5, None, 2.5, None], "ci_high": [2.5, None, None, 5.0]}
    )  # fmt: skip
    assert seen(frame)["Interval"] == ["1.50 to 2.50", "–", "2.50 or more", "5.00 or less"]
    assert list(seen(frame)) == ["Level", "Ratio", "Interval"]


def test_an_interval_is_named_for_its_estimate_and_says_its_unit_once():
    frame = pd.DataFrame(
        {"level": ["a"], "mrr_expected": [1000.0], "mrr_low": [900.0], "mrr_high": [1100.0],
         "stay": [3.0], "stay_from": [2.0], "stay_to": [4.0]}
    )  # fmt: skip
    said = seen(frame, stay="months", stay_from="months", stay_to="months")
    assert said["MRR interval"] == ["USD 900 to 1,100"]
    assert said["Stay interval"] == ["2.0 to 4.0 months"]


def test_days_and_texts_that_end_in_from_and_to_are_no_interval():
    frame = pd.DataFrame(
        {"level": ["a"], "valid_from": pd.to_datetime(["2026-01-03"]),
         "valid_to": pd.to_datetime(["2026-02-03"]), "way_from": ["x"], "way_to": ["y"]}
    )  # fmt: skip
    assert list(seen(frame)) == ["Level", "Valid from", "Valid to", "Way from", "Way to"]


def test_a_column_of_words_that_no_row_has_is_left_out_and_a_column_of_numbers_never():
    frame = pd.DataFrame({"level": ["", ""], "note": ["", None], "n": [None, None]})
    frame = frame.astype({"n": "float64"})
    assert list(seen(frame)) == ["Level", "n"]


def test_an_estimate_with_its_interval_in_one_cell_stands_like_a_number():
    frame = pd.DataFrame({"level": ["a"], "ratio": ["0.79 (0.73 to 0.87)"], "note": ["seen"]})
    found = columns.formatted(frame, {"ratio": "interval"})
    assert [column.is_number for column in found] == [False, True, False]
    assert found[1].cells == ["0.79 (0.73 to 0.87)"]
