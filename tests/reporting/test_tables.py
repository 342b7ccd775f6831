"""Tables as readers and screen readers get them."""

import re

import pandas as pd
import pytest

from pipeline.reporting import tables

EFFECTS = pd.DataFrame(
    {
        "term": ["segment", "<img src=x onerror=alert(1)>"],
        "hazard_ratio": [0.7123, None],
        "p_value": [0.00001, None],
        "n": [1234, 5],
        "mrr": [12345.5, 3.25],
        "first_day": pd.to_datetime(["2026-01-03", None]),
        "is_known": [True, False],
    }
)


def cells(markup: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]*)</td>", markup)


def test_cells_are_formatted_by_what_their_column_holds():
    markup = tables.table(EFFECTS, name="t", caption="Effects", currency="USD")
    assert cells(markup)[:6] == [
        "0.71", "&lt;\u00a00.001", "1,234", "USD\u00a012,346", "3 January 2026", "yes",
    ]  # fmt: skip


def test_a_missing_cell_is_a_dash():
    markup = tables.table(EFFECTS, name="t", caption="Effects")
    assert cells(markup)[6:] == ["–", "–", "5", "3.25", "–", "no"]


def test_a_caller_says_what_a_column_holds():
    markup = tables.table(EFFECTS, name="t", caption="Effects", formats={"hazard_ratio": "share"})
    assert cells(markup)[0] == "71.2\u00a0%"


def test_limits_hold_what_their_estimate_holds():
    ratios = pd.DataFrame({"level": ["a"], "odds_ratio": [2.0], "ci_low": [1.5], "ci_high": [2.5]})
    assert cells(tables.table(ratios, name="t", caption="c")) == ["2.00", "1.50", "2.50"]
    kept = pd.DataFrame({"level": ["a"], "kept_share": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    assert cells(tables.table(kept, name="t", caption="c"))[1] == "40.0\u00a0%"
    said = tables.table(ratios, name="t", caption="c", formats={"odds_ratio": "share"})
    assert cells(said)[1] == "150.0\u00a0%"


def test_the_difference_of_two_shares_is_in_points():
    effects = pd.DataFrame({"level": ["a"], "ame": [0.002], "ame_ci_low": [-0.0113]})
    said = cells(tables.table(effects, name="t", caption="c"))
    assert said == ["0.2\u00a0points", "−1.1\u00a0points"]


def test_a_day_as_iso_text_is_said_as_a_date_and_a_flag_as_yes_or_no():
    frame = pd.DataFrame({"n": [1, 2], "what": ["2026-12-16", "True"]})
    assert cells(tables.table(frame, name="t", caption="c")) == ["16 December 2026", "yes"]


def test_names_from_data_are_shown_as_text_in_cells_heads_and_caption():
    hostile = pd.DataFrame({"<b>head": ["<script>alert(1)</script>", "[x](javascript:1) **b**"]})
    markup = tables.table(hostile, name="t", caption="<i>caption")
    assert "<script>" not in markup
    assert "<b>" not in markup
    assert "<i>" not in markup
    assert "[x](javascript:1) **b**" in markup


def test_a_table_has_a_caption_scopes_its_id_and_no_style_of_others():
    markup = tables.table(EFFECTS, name="my-table", caption="Effects")
    assert markup.startswith('<table class="gt_table" id="my-table"><caption>Effects</caption>')
    assert markup.count('scope="col"') == len(EFFECTS.columns)
    assert markup.count('scope="row"') == len(EFFECTS)
    assert "<style" not in markup


def test_the_same_rows_make_the_same_bytes():
    first, second = (tables.table(EFFECTS, name="t", caption="Effects") for _ in range(2))
    assert first == second


def test_columns_of_one_name_do_not_share_an_id():
    frame = pd.DataFrame([["a", "b", "c"]], columns=["A b", "A  b", "a_b"])
    ids = re.findall(r' id="([^"]+)"', tables.table(frame, name="t", caption="c"))
    assert len(ids) == len(set(ids))


def test_our_own_names_lose_their_underscores_and_ids_keep_them():
    frame = pd.DataFrame({"n": [1, 2], "what": ["mrr_left_after_churn", "acc_001"]})
    assert cells(tables.table(frame, name="t", caption="c")) == ["mrr left after churn", "acc_001"]


def test_an_empty_table_says_that_there_is_nothing_to_show():
    assert "nothing to show" in tables.table(EFFECTS.head(0), name="t", caption="Effects")


def test_an_unknown_format_or_column_is_refused_by_name():
    with pytest.raises(ValueError, match="furlongs"):
        tables.table(EFFECTS, name="t", caption="c", formats={"n": "furlongs"})
    with pytest.raises(ValueError, match="nobody"):
        tables.table(EFFECTS, name="t", caption="c", formats={"nobody": "count"})


def test_counts_and_money_of_a_small_cell_are_hidden_with_one_cell_more():
    cells_ = pd.DataFrame(
        {"level": list("abc"), "n": [4, 30, 200], "mrr": [10.0, 20.0, 30.0], "share": [0.1] * 3}
    )
    hidden = tables.hide_small(cells_, 10)
    assert hidden["n"].isna().tolist() == [True, True, False]
    assert hidden["mrr"].isna().tolist() == [True, True, False]
    assert hidden["share"].tolist() == [0.1, 0.1, 0.1]
    assert cells_["n"].tolist() == [4, 30, 200]


def test_nothing_is_hidden_inside_the_company():
    assert tables.hide_small(EFFECTS, 0) is EFFECTS
