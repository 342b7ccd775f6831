"""Do other choices and the usual shortcuts say the same? Counted, and said in words."""

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import annex
from pipeline.analysis.choices import LEDGER_COLUMNS, SPECIFICATION_COLUMNS
from pipeline.reporting import words


def specification(estimate: float, **changes: object) -> dict[str, object]:
    row = {
        "chapter": "survival", "contrast": "segment", "choice": "grace", "specification": "60 days",
        "estimate": estimate, "ci_low": estimate - 1, "ci_high": estimate + 1, "unit": "months",
        "n": 100, "n_events": 20, "is_primary": False, "note": "",
    }  # fmt: skip
    return row | changes


TRIED = pd.DataFrame([
    specification(2.0, choice="primary", is_primary=True, ci_low=1.0),
    specification(2.5),
    specification(-0.5),
    specification(np.nan, note="too few"),
    specification(0.8, chapter="drivers", unit="ratio", is_primary=True, ci_low=0.7, ci_high=0.9),
    specification(0.95, chapter="drivers", unit="ratio"),
])  # fmt: skip
LEDGER = pd.DataFrame([
    {"chapter": "survival", "shortcut": "1 − KM", "right": "Aalen–Johansen", "wrong_estimate": 0.3,
     "right_estimate": 0.2, "right_ci_low": 0.15, "right_ci_high": 0.25, "unit": "share",
     "n": 100, "note": ""},
    {"chapter": "revenue", "shortcut": "ARPA / churn", "right": "Restricted", "unit": "months",
     "wrong_estimate": 10.0, "right_estimate": 11.0, "right_ci_low": 9.0, "right_ci_high": 13.0,
     "n": 50, "note": ""},
    {"chapter": "revenue", "shortcut": "ARPA / churn", "right": "Restricted", "unit": "months",
     "wrong_estimate": 10.0, "right_estimate": np.nan, "right_ci_low": np.nan,
     "right_ci_high": np.nan, "n": 5, "note": "too few at risk"},
])  # fmt: skip


def test_a_curve_counts_who_says_the_same_and_who_lies_inside_the_interval() -> None:
    curves = annex.curves(TRIED).set_index("chapter")
    counted = ["n_tried", "n_made", "n_agree", "n_inside"]
    assert curves.loc["survival", counted].tolist() == [3, 2, 1, 1]
    assert curves.loc["drivers", counted].tolist() == [1, 1, 1, 0]
    assert curves.loc["survival", ["null", "least", "largest"]].tolist() == [0.0, -0.5, 2.5]
    assert curves.loc["drivers", "null"] == 1.0


def test_where_no_difference_is_clear_the_ways_that_agree_are_those_that_see_none_either() -> None:
    rows = pd.DataFrame(
        [specification(0.2, is_primary=True), specification(-0.3), specification(1.5)]
    )
    curve = annex.curves(rows).loc[0]
    assert not curve["is_clear"]
    assert curve["n_agree"] == 1


def test_the_answer_says_how_many_other_ways_agree() -> None:
    assert annex.say_curves(annex.curves(TRIED), words) == (
        "2 contrasts computed in 3 other ways: 2 say the same as the one chosen beforehand, "
        "1 lie inside its interval."
    )
    nothing = TRIED.assign(estimate=np.nan)
    assert "No primary contrast" in annex.say_curves(annex.curves(nothing), words)


def test_a_curve_is_shown_in_the_words_of_its_unit() -> None:
    table = annex.worded(annex.curves(TRIED), words, "EUR")
    assert table.loc[0, ["primary", "interval", "least", "largest"]].tolist() == [
        "2.0 months", "1.0 to 3.0 months", "−0.5 months", "2.5 months",
    ]  # fmt: skip
    assert table.loc[1, "primary"] == "0.80"


def test_a_shortcut_is_shown_beside_the_right_number_with_the_size_of_its_error() -> None:
    table = annex.errors(LEDGER, words, "EUR")
    assert table["error"].tolist() == [
        "up 10.0 points, outside the right interval", "down 1.0 months", "too few at risk",
    ]  # fmt: skip
    assert table.loc[0, ["wrong", "right_number", "interval"]].tolist() == [
        "30.0 %", "20.0 %", "15.0 % to 25.0 %",
    ]  # fmt: skip


def test_only_listed_chapters_are_stacked_and_a_missing_column_is_named() -> None:
    assert set(annex.specifications([TRIED], ["drivers"])["chapter"]) == {"drivers"}
    assert annex.specifications([TRIED], []).columns.tolist() == SPECIFICATION_COLUMNS
    assert annex.bias_ledger([LEDGER], []).columns.tolist() == LEDGER_COLUMNS
    with pytest.raises(ValueError, match="lack note"):
        annex.specifications([TRIED.drop(columns="note")], ["drivers"])


def test_nothing_tried_leaves_empty_tables() -> None:
    none = annex.specifications([], [])
    assert annex.curves(none).empty
    assert annex.errors(LEDGER.iloc[:0], words, "EUR").empty
