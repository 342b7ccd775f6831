"""Tables as readers and screen readers get them."""

import re

import pandas as pd
import pytest
from great_tables import GT

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
    assert cells(tables.table(ratios, name="t", caption="c")) == ["2.00", "1.50 to 2.50"]
    kept = pd.DataFrame({"level": ["a"], "kept_share": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    assert cells(tables.table(kept, name="t", caption="c"))[1] == "40.0 % to 60.0 %"
    said = tables.table(ratios, name="t", caption="c", formats={"odds_ratio": "share"})
    assert cells(said)[1] == "150.0 % to 250.0 %"


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


LEVELS = pd.DataFrame(
    {
        "term": ["segment", "region", "segment"],
        "reference": ["smb", "<b>north", "smb"],
        "level": ["mid", "south", "enterprise"],
        "ratio": [0.5, 0.9, 0.4],
        "n": [30, 40, 50],
    }
)


def test_rows_that_share_a_head_stand_under_it_with_the_scope_of_their_group():
    markup, rest, _ = tables.folded(LEVELS, name="t", caption="c", by=["term", "reference"])
    heads = re.findall(r'class="gt_group_heading"[^>]*scope="rowgroup"[^>]*>([^<]*)<', markup)
    assert heads == ["Segment, against smb", "Region, against &lt;b&gt;north"]
    bodies = markup.split("<tbody")[1:]
    assert [re.findall(r'scope="row"[^>]*>([^<]*)<', body) for body in bodies] == [
        ["mid", "enterprise"],
        ["south"],
    ]
    assert rest == ""


@pytest.mark.parametrize("name", ["t", "cut-off-in-a-word-", "t-stub-1"])
def test_every_row_is_as_great_tables_draws_it_itself(name: str):
    rows = pd.DataFrame({"level": ["<a>", "b", "c"], "note": ["c0", "'g0'", "x & y"]})
    drawn = GT(rows, id=name, rowname_col="level").cols_align("left").as_raw_html()
    body = drawn[drawn.index("<tbody") : drawn.index("</table>")].strip()
    markup = tables.table(rows, name=name, caption="c")
    own = markup[markup.index("<tbody") : markup.index("</table>")].strip()
    assert own.replace("-c1", "-note") == body


def test_rows_name_their_own_head_as_great_tables_does_it_itself():
    rows = pd.DataFrame({"by": ["x", "y", "y"], "level": ["a", "b", "c"], "note": ["1", "2", ""]})
    drawn = GT(rows, id="t", rowname_col="level", groupname_col="by").as_raw_html()
    own, _, _ = tables.folded(rows, name="t", caption="c", by=["by"])
    said = re.compile(r'(?:id|headers)="(t-[^"]*)"')
    theirs = said.findall(drawn[drawn.index("<tbody") :])
    renamed = {"t-x": "t-g0", "t-y": "t-g1", "t-note": "t-c1"}
    expected = [" ".join(renamed.get(word, word) for word in each.split()) for each in theirs]
    assert said.findall(own[own.index("<tbody") :]) == expected
    assert "t-stub-3" in " ".join(expected)


def test_a_number_that_heads_rows_is_named():
    rows = pd.DataFrame({"horizon_months": [12, 24], "level": ["a", "a"], "n": [1, 2]})
    markup, _, _ = tables.folded(rows, name="t", caption="c", by=["horizon_months"])
    assert re.findall(r'class="gt_group_heading"[^>]*>([^<]*)<', markup) == [
        "Horizon months 12", "Horizon months 24",
    ]  # fmt: skip


def test_columns_that_belong_together_have_a_head_over_theirs_and_short_heads_under_it():
    rows = pd.DataFrame({"level": ["a"], "first": [1.5], "first_low": [1.0], "first_high": [2.0]})
    spans = {"First year": {"first": "Ratio", "first_low": "Interval"}}
    markup, _, _ = tables.folded(rows, name="t", caption="c", spans=spans)
    assert re.search(r'colspan="2" scope="colgroup"[^>]*>\s*<span[^>]*>First year<', markup)
    heads = re.findall(r'scope="col"[^>]*>([^<]*)<', markup)
    assert heads == ["Level", "Ratio", "Interval"]


@pytest.mark.parametrize(
    ("n_rows", "n_folded"), [(19, 0), (20, 5), (34, 19), (tables.MOST_ROWS + 9, 45)]
)
def test_a_long_table_shows_fifteen_rows_and_folds_the_others_when_five_or_more_follow(
    n_rows, n_folded
):
    rows = pd.DataFrame({"level": [f"l{at}" for at in range(n_rows)], "n": range(n_rows)})
    first, rest, hidden = tables.folded(rows, name="t", caption="Levels", by=[])
    shown = min(n_rows, tables.MOST_ROWS)
    assert hidden == n_folded
    assert first.count('scope="row"') == shown - n_folded
    assert rest.count('scope="row"') == n_folded
    if n_folded:
        assert f"<caption>Levels, rows 16 to {shown}</caption>" in rest
        assert 'id="t-more"' in rest


def test_a_table_is_folded_where_a_head_begins_when_one_is_near():
    rows = pd.DataFrame({"term": ["a"] * 12 + ["b"] * 12, "level": range(24), "n": range(24)})
    first, rest, hidden = tables.folded(rows, name="t", caption="c", by=["term"])
    assert (first.count('scope="row"'), hidden) == (12, 12)
    assert "gt_group_heading" in rest


def test_both_parts_of_a_folded_table_have_the_same_columns():
    rows = pd.DataFrame({"level": range(24), "note": [""] * 23 + ["at the end"]})
    first, rest, _ = tables.folded(rows, name="t", caption="c", by=[])
    heads = [re.findall(r'scope="col"[^>]*>([^<]*)<', part) for part in (first, rest)]
    assert heads == [["Level", "Note"], ["Level", "Note"]]


def test_a_head_or_a_span_over_a_column_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="nobody"):
        tables.folded(LEVELS, name="t", caption="c", by=["nobody"])
    with pytest.raises(ValueError, match="nowhere"):
        tables.folded(LEVELS, name="t", caption="c", spans={"Over": {"nowhere": "Here"}})
