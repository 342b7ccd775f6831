"""Numbers in words, as literal pairs."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words

MISSING = [None, float("nan"), np.nan, pd.NaT, pd.NA]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.1234, "12.3 %"),
        (-30000 / 275000, "−10.9 %"),
        (0.1, "10.0 %"),
        (0.00049, "0.0 %"),
        (-0.00049, "0.0 %"),
        (0.0005, "0.1 %"),
        (0.14695, "14.7 %"),
        (12.0, "1,200.0 %"),
    ],
)
def test_a_share_is_said_in_percent_with_one_decimal(value, said):
    assert words.share(value) == said


def test_a_source_formula_of_minus_ten_point_nine_rounds_to_minus_eleven():
    assert words.share(-30000 / 275000, decimals=0) == "−11 %"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (305000, "USD 305,000"),
        (12.5, "USD 12.50"),
        (999.999, "USD 1,000.00"),
        (-1234.5, "−USD 1,235"),
        (0, "USD 0"),
    ],
)
def test_money_names_its_currency_and_keeps_cents_only_when_small(value, said):
    assert words.money(value, "USD") == said


def test_counts_days_months_and_p_values_read_like_prose():
    assert words.count(1234567) == "1,234,567"
    assert words.counted(1, "account") == "1 account"
    assert words.counted(2, "day") == "2 days"
    assert words.days(1) == "1 day"
    assert words.days(47.5) == "47.5 days"
    assert words.months(23.42) == "23.4 months"
    assert words.number(2.1249) == "2.12"
    assert words.p_value(0.0341) == "0.034"
    assert words.p_value(0.0002) == "< 0.001"


@pytest.mark.parametrize("value", MISSING)
@pytest.mark.parametrize("kind", ["share", "money", "count", "number", "days", "months", "p"])
def test_a_missing_number_is_said_as_not_available(kind, value):
    assert words.say(value, kind) == "not available"


def test_every_unit_of_a_headline_can_be_said():
    said = {line.unit: words.say(1.0, line.unit, "USD") for line in HEADLINES.values()}
    assert all(said.values())


def test_an_unknown_kind_of_number_is_refused():
    with pytest.raises(ValueError, match="no kind of number"):
        words.say(1.0, "furlongs")


def test_an_estimate_and_its_interval_stand_in_one_cell_and_the_limits_leave():
    rows = pd.DataFrame(
        {"level": ["a", "b", "c"], "ratio": [1.0, 0.5, np.nan], "low": [np.nan, 0.3, np.nan],
         "high": [np.nan, 0.8, np.nan]}
    )  # fmt: skip
    said = words.in_one_cell(rows, {"ratio": ("low", "high", "number")})
    assert list(said.columns) == ["level", "ratio"]
    assert said["ratio"].tolist() == ["1.00", "0.50 (0.30 to 0.80)", None]
    assert rows["ratio"].isna().tolist() == [False, False, True]


def test_an_interval_says_its_unit_and_its_open_end():
    assert words.interval(0.121, 0.13) == "12.1 % to 13.0 %"
    assert words.interval(41, 52, "days") == "41 to 52 days"
    assert words.interval(41, None, "days") == "41 days or more"
    assert words.interval(20.0, float("inf"), "months") == "20.0 months or more"
    assert words.interval(None, 0.2) == "20.0 % or less"
    assert words.interval(None, None) == "not available"
    assert words.interval(42186, 51992, "currency per account", "USD") == "USD 42,186 to 51,992"
    assert words.interval(-5, -2, "money", "USD") == "−USD 5 to −USD 2"


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (0.012, "share", "▲ up 1.2 points"),
        (-0.012, "share", "▼ down 1.2 points"),
        (0.0004, "share", "■ no change"),
        (-3000, "currency per month", "▼ down USD 3,000"),
        (2, "accounts", "▲ up 2"),
        (0, "days", "■ no change"),
        (None, "share", "not available"),
    ],
)
def test_a_change_has_an_arrow_and_a_word_and_zero_is_judged_after_rounding(value, kind, said):
    assert words.change(value, kind, "USD") == said


def test_a_change_in_a_title_has_no_arrow():
    assert words.change(0.012, arrow=False) == "up 1.2 points"
    assert words.change(0, "days", arrow=False) == "no change"


def test_a_difference_of_shares_is_said_in_points():
    assert words.say(0.002, "share_points") == "0.2 points"
    assert words.say(-0.0113, "share_points") == "−1.1 points"
    assert words.interval(-0.01, 0.02, "share_points") == "−1.0 to 2.0 points"


def test_dates_are_said_in_english_whatever_the_locale():
    assert words.month("2026-10") == "October 2026"
    assert words.day(dt.date(2026, 10, 31)) == "31 October 2026"
    assert words.day(pd.Timestamp("2026-03-01")) == "1 March 2026"
    assert words.day("2026-03-01") == "1 March 2026"
    assert words.day(pd.NaT) == "not available"


def test_a_listing_joins_the_last_word_with_and():
    assert words.listing([]) == "none"
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"


def test_a_column_name_becomes_a_label():
    assert words.label("touch_model") == "Touch model"
    assert words.label("ci_low") == "From"
    assert words.label("n_of") == "Out of"
    assert words.label("gvif") == "GVIF"


def test_a_headline_has_the_label_that_its_tile_has():
    said = {name: words.label(name) for name in HEADLINES}
    assert said == {name: line.label for name, line in HEADLINES.items()}


def test_small_shares_are_told_apart_by_a_decimal_more():
    assert words.kind_of("share", -0.0012, 0.002, None) == "fine_share"
    assert words.say(-0.0012, "fine_share") == "−0.12 %"
    assert words.change(-0.0012, "fine_share", arrow=False) == "down 0.12 points"
    assert words.kind_of("share", -0.0012, 0.02) == "share"
    assert words.kind_of("months", 0.001) == "months"
    assert words.kind_of("width of an interval", 0.001) == "number"


def test_a_contrast_says_its_interval_or_else_why_there_is_no_number():
    failed = SimpleNamespace(passed=False, note="only 11 accounts at risk, 34 are needed")
    found = {
        "statement": "smb less enterprise", "unit": "months", "estimate": -0.4, "ci_low": -0.9,
        "ci_high": 0.1, "p_value": 0.1, "n": 1, "n_events": 2, "checks": [failed],
    }  # fmt: skip
    assert words.contrast(found, "account", "churn") == (
        "SMB less enterprise: −0.4 months (−0.9 to 0.1 months); p 0.100, 1 account, 2 churns."
    )
    said = words.contrast(found | {"estimate": float("nan")}, "account", "churn")
    assert said == (
        "SMB less enterprise: not available, because of this: only 11 accounts at risk, 34 are "
        "needed; 1 account, 2 churns."
    )


def test_money_and_its_interval_stand_in_one_cell_and_no_rows_stay_none():
    rows = pd.DataFrame({"mrr": [1000.0], "low": [900.0], "high": [1100.0]})
    said = words.in_one_cell(rows, {"mrr": ("low", "high", "money")}, "USD")
    assert said["mrr"].tolist() == ["USD 1,000 (USD 900 to 1,100)"]
    assert words.in_one_cell(pd.DataFrame(), {"mrr": ("low", "high", "money")}).empty


def test_an_estimate_without_an_interval_has_no_empty_brackets():
    nothing = float("nan")
    assert words.with_interval(0.5, nothing, nothing) == "50.0 %"
    assert words.with_interval(nothing, nothing, nothing) == "not available"


def test_a_unit_is_said_once_where_an_estimate_and_its_interval_share_a_cell():
    rows = pd.DataFrame(
        {"ame": [-0.004, 0.5], "low": [-0.006, 0.4], "high": [-0.002, None]}, dtype="float64"
    )
    said = words.in_one_cell(rows, {"ame": ("low", "high", "share_points")})
    assert said["ame"].tolist() == [
        "−0.4 (−0.6 to −0.2) points",
        "50.0 points (40.0 points or more)",
    ]


def test_months_are_said_from_the_first_to_the_last():
    assert words.span(["2026-03", "2025-11", "2026-01"]) == "November 2025 to March 2026"
    assert words.span(["2026-03", "2026-03"]) == "March 2026"
    assert words.span([]) == "not available"
