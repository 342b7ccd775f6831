"""How soon value comes and whether it matters: literal tables, R's numbers, known worlds."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight

from pipeline.analysis import time_to_value as chapter
from pipeline.analysis.time_to_value.parts import difference_of
from pipeline.data.schema.published import HEADLINES, STATES, TABLES
from pipeline.reporting import words
from tests.analysis.starters import CUT_OFF, START, followed, made, world

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
COUNTED_SEED = 20261031


# Who is followed, and to what.


def test_each_account_runs_to_value_to_churn_or_to_the_cut_off():
    table = followed(
        [
            {"paid": "2026-01-01", "value": "2026-01-11"},
            {"paid": "2026-01-01", "lapse": "2026-03-01"},
            {"paid": "2026-01-01"},
            {"paid": "2026-01-01", "value": "2026-01-11", "lapse": "2026-03-01"},
            {"paid": "2026-01-01", "value": "2026-04-01", "lapse": "2026-03-01"},
        ]
    )
    assert table["days"].tolist() == [10, 59, 303, 10, 59]
    assert table["outcome"].tolist() == [1, 2, 0, 1, 2]
    assert table["end_day"].tolist() == [303, 59, 303, 59, 59]
    assert table["is_lost"].tolist() == [False, True, False, True, True]


def test_value_on_or_before_the_first_paid_day_counts_as_day_0_and_is_kept():
    rows = [{"paid": "2026-01-10", "value": day} for day in ("2025-12-01", "2026-01-10")]
    table = followed([*rows, *[{"paid": "2026-01-10"}] * 8])
    assert table["value_day"].tolist()[:2] == [0.0, 0.0]
    row = chapter.at_start(table, 0.95).iloc[0]
    assert (row["share"], row["k"], row["n"]) == (0.2, 2, 10)
    curve = chapter.incidence(table, [], 0.95)
    assert curve.loc[0, ["time_days", "value_share", "n_at_risk"]].tolist() == [0, 0.2, 10]


def test_value_on_the_day_of_the_lapse_came_too_late_and_on_the_cut_off_in_time():
    table = followed(
        [
            {"paid": "2026-01-01", "value": "2026-03-01", "lapse": "2026-03-01"},
            {"paid": "2026-01-01", "value": "2026-10-31"},
            {"paid": "2026-01-01", "value": "2026-11-01"},
        ]
    )
    assert table["outcome"].tolist() == [2, 1, 0]


def test_an_administrative_end_censors_and_a_completed_one_competes_but_is_no_loss():
    table = followed(
        [
            {"paid": "2026-01-01", "lapse": "2026-03-01", "end_type": "administrative"},
            {"paid": "2026-01-01", "lapse": "2026-03-01", "end_type": "completed"},
            {"paid": "2026-01-01", "lapse": "2026-03-01", "end_type": "involuntary"},
        ]
    )
    assert table["outcome"].tolist() == [0, 2, 2]
    assert table["is_lost"].tolist() == [False, False, True]


def test_a_lapse_after_an_earlier_cut_off_is_not_seen_yet():
    row = {"paid": "2026-01-01", "value": "2026-09-20", "lapse": "2026-10-05"}
    seen = [followed([row], day).iloc[0] for day in (CUT_OFF, dt.date(2026, 9, 30))]
    assert [each["is_lost"] for each in seen] == [True, False]
    assert [each["end_day"] for each in seen] == [277, 272]
    assert followed([row], dt.date(2026, 8, 31)).iloc[0]["outcome"] == 0


def test_who_is_left_out_is_counted_step_by_step():
    tables = made(
        [
            {"paid": "2026-01-01", "value": "2026-01-11"},
            {"paid": None},
            {"paid": "2023-11-01", "is_first_paid_known": False},
            {"paid": "2023-10-31", "mrr": 40.0},
            {"paid": "2026-11-02"},
        ]
    )
    table = chapter.exclusions(*tables, CUT_OFF, START)
    assert table["n_before"].tolist() == [5, 4, 3, 2, 1]
    assert table["n_after"].tolist() == [4, 3, 2, 1, 1]
    assert table["mrr_affected"].tolist() == [100.0, 100.0, 40.0, 100.0, 0.0]
    assert len(chapter.starters(*tables, CUT_OFF, START)) == 1
    assert len(chapter.starters(*tables, CUT_OFF, None)) == 2


def test_a_missing_group_has_the_level_not_measured_and_an_unknown_one_is_refused():
    table = followed([{"paid": "2026-01-01", "segment": None}], groups=["segment"])
    assert table["segment"].tolist() == ["not measured"]
    with pytest.raises(ValueError, match="no column colour"):
        followed([{"paid": "2026-01-01"}], groups=["colour"])


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        ("2026-10-31", 1, "2026-09-30"),
        ("2026-10-31", 12, "2025-10-31"),
        ("2025-02-28", 12, "2024-02-29"),
        ("2024-02-29", 12, "2023-02-28"),
        ("2026-10-28", 1, "2026-09-28"),
    ],
)
def test_the_last_day_of_a_month_stays_a_last_day(day: str, months: int, before: str):
    found = chapter.months_before(dt.date.fromisoformat(day), months)
    assert found == dt.date.fromisoformat(before)


# How soon.


def ten(values: list[int], leaves: list[int] = (), followed_days: int = 400) -> pd.DataFrame:
    """Ten starters: some reach value on a day, some leave on a day, the rest are followed."""
    rest = 10 - len(values) - len(leaves)
    end = [followed_days] * len(values) + list(leaves) + [followed_days] * rest
    outcome = [1] * len(values) + [2] * len(leaves) + [0] * rest
    return pd.DataFrame(
        {
            "account_id": [f"a{place}" for place in range(10)],
            "first_paid_date": pd.Timestamp(CUT_OFF) - pd.Timedelta(days=followed_days),
            "start_quarter": "2025-Q3",
            "followed_days": followed_days,
            "end_day": end,
            "value_day": [*map(float, values), *[np.nan] * (10 - len(values))],
            "days": [*values, *leaves, *[followed_days] * rest],
            "outcome": outcome,
            "is_lost": [each == 2 for each in outcome],
        }
    )


def test_early_leavers_stay_in_the_denominator():
    curve = chapter.incidence(ten([10, 20, 40], leaves=[5, 5]), [], 0.95)
    table = chapter.shares_by_day(ten([10, 20, 40], leaves=[5, 5]), curve, [4, 5, 30, 90])
    assert table["value_share"].round(12).tolist()[:4] == [0.0, 0.0, 0.2, 0.3]
    assert table["churned_before_value_share"].round(12).tolist()[:4] == [0.0, 0.2, 0.2, 0.2]


def test_day_30_includes_day_30():
    curve = chapter.incidence(ten([30, 31]), [], 0.95)
    share = chapter.shares_by_day(ten([30, 31]), curve, [30]).iloc[0]["value_share"]
    assert share == pytest.approx(0.1)


def test_a_percentile_is_the_first_day_that_reaches_it_and_else_not_reached():
    curve = chapter.incidence(ten([1, 2, 3, 4, 5]), [], 0.95)
    found = chapter.percentiles(curve).query("group == 'all'")
    assert found["days"].tolist()[:3] == [1.0, 3.0, 5.0]
    assert np.isnan(found["days"].iloc[3])
    assert found["note"].iloc[3] == "not reached: 50.0 % by day 400"
    assert np.isnan(found["ci_high"].iloc[3])


def test_nine_starters_are_k_of_n_and_no_curve():
    curve = chapter.incidence(ten([1, 2, 3]).iloc[:9], [], 0.95).query("group == 'all'")
    assert curve["note"].tolist() == ["3 of 9"]
    assert curve["value_share"].isna().all()


def test_a_share_by_day_90_needs_ten_starters_followed_for_90_days():
    recent = ten([10], followed_days=89)
    table = chapter.shares_by_day(recent, chapter.incidence(recent, [], 0.95), [30, 90])
    assert table["value_share"].notna().tolist()[:2] == [True, False]
    assert table["note"].iloc[1] == "too few are followed for 90 days"


@pytest.mark.skipif(not REFERENCE.exists(), reason="the shared reference folder is absent")
def test_the_incidence_agrees_with_r():
    accounts = pd.read_csv(REFERENCE / "data" / "sim_accounts.csv").query("entry_cycle == 0")
    starters = pd.DataFrame(
        {
            "days": accounts["ttv_time"],
            "outcome": accounts["ttv_event"],
            "followed_days": 2000,
            "start_quarter": "2024-Q1",
        }
    )
    assert (starters["days"] % 1 == 0).all()
    expected = pd.read_csv(REFERENCE / "cif.csv").query("case_id == 'sim_ttv_cif' and cause == 1")
    curve = chapter.incidence(starters, [], 0.95).query("group == 'all'")
    found = chapter.shares_by_day(starters, curve, expected["time"].tolist())
    assert found["value_share"].to_numpy() == pytest.approx(expected["cif"], rel=1e-8)
    assert found["ci_low"].to_numpy() == pytest.approx(expected["lower_loglog"], rel=1e-4)
    assert found["ci_high"].to_numpy() == pytest.approx(expected["upper_loglog"], rel=1e-4)
    wrong = expected["one_minus_km_wrong"].iloc[-1]
    assert abs(found["value_share"].iloc[-1] - wrong) > 0.01


# Its variance divides by those who stay, and where the last one leaves nobody does.
@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
def test_the_incidence_and_its_errors_are_those_of_a_second_library():
    starters = world(1_200, 0.02, 0.005, 1.0, COUNTED_SEED)
    other = CumIncidenceRight(starters["days"].to_numpy(), starters["outcome"].to_numpy())
    half = other.times <= 183
    asked = other.times[half].astype(int)
    curve = chapter.incidence(starters, [], 0.95).query("group == 'all'").set_index("time_days")
    both = curve.loc[asked, ["value_share", "churned_before_value_share"]].to_numpy()
    assert both == pytest.approx(np.column_stack(other.cinc)[half], abs=1e-12)
    share, error = other.cinc[0][half], other.cinc_se[0][half]
    low = share ** np.exp(1.959963984540054 * error / (share * -np.log(share)))
    assert curve.loc[asked, "ci_low"].to_numpy() == pytest.approx(low, rel=1e-8)


def test_the_incidence_finds_the_closed_form():
    value, leaving = 0.02, 0.005
    starters = world(20_000, value, leaving, 1.0, COUNTED_SEED)
    curve = chapter.incidence(starters, [], 0.95).query("group == 'all'")
    found = chapter.shares_by_day(starters, curve, [30, 90, 180])["value_share"]
    both = value + leaving
    truth = [value / both * (1 - np.exp(-both * day)) for day in (30, 90, 180)]
    assert found.to_numpy() == pytest.approx(truth, abs=0.012)


def quarters(shares: list[float], half_width: float = 0.05) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "start_quarter": [f"2025-Q{place + 1}" for place in range(len(shares))],
            "value_share": shares,
            "ci_low": [share - half_width for share in shares],
            "ci_high": [share + half_width for share in shares],
        }
    )


@pytest.mark.parametrize(
    ("shares", "direction"),
    [
        ([0.4, 0.5, 0.6], "sooner"),
        ([0.6, 0.5, 0.4], "later"),
        ([0.5, 0.9, 0.52], "no clear change"),
        ([0.5], "too few quarters"),
    ],
)
def test_the_trend_compares_the_newest_quarter_with_the_oldest(shares, direction):
    found = chapter.trend(quarters(shares)).iloc[0]
    assert found["direction"] == direction
    if len(shares) > 1:
        reach = np.hypot(0.05, 0.05)
        assert found["ci_high"] - found["difference"] == pytest.approx(reach)


def test_a_difference_takes_the_near_limit_of_each_side():
    found = difference_of((0.50, 0.40, 0.70), (0.30, 0.25, 0.45))
    assert found == pytest.approx((0.2, 0.2 - np.hypot(0.10, 0.15), 0.2 + np.hypot(0.20, 0.05)))


def test_a_quarter_counts_only_when_its_last_starter_is_followed_long_enough():
    rows = [{"paid": day, "value": "2026-10-30"} for day in ("2026-04-02", "2026-07-02")] * 10
    for cut_off, kept in (("2026-10-31", ["2026-Q2"]), ("2026-09-27", [])):
        day = dt.date.fromisoformat(cut_off)
        table = followed(rows, day)
        curve = chapter.incidence(table, [], 0.95)
        assert chapter.by_start_quarter(table, curve, day)["start_quarter"].tolist() == kept


# Who waits.


def test_overdue_are_customers_without_value_and_the_most_revenue_comes_first():
    tables = made(
        [
            {"paid": "2026-01-01", "mrr": 50.0},
            {"paid": "2026-02-01", "mrr": 90.0},
            {"paid": "2026-09-01"},
            {"paid": "2026-01-01", "value": "2026-10-30"},
            {"paid": "2026-01-01", "lapse": "2026-05-01"},
            {"paid": "2023-01-01"},
        ]
    )
    late = chapter.overdue(*tables, CUT_OFF, START, 60)
    assert late["account_id"].tolist() == ["a00001", "a00000"]
    assert late["days_waiting"].tolist() == [272, 303]
    exactly = chapter.overdue(*tables, CUT_OFF, START, 272)
    assert exactly["account_id"].tolist() == ["a00000"]


def test_losses_without_value_stand_beside_the_share_of_exposure():
    rows = [{"paid": "2026-01-01", "value": "2026-01-11", "lapse": "2026-01-21"}] * 6
    rows += [{"paid": "2026-01-01", "lapse": "2026-01-11", "mrr": 300.0}] * 6
    table = followed(rows)
    found = chapter.lost_without_value(table, CUT_OFF, 0.95).set_index("what")
    assert found["share"].round(4).to_dict() == {
        "lost customers": 0.5,
        "lost MRR": 0.75,
        "customer days": 0.6667,
    }


def test_a_loss_more_than_12_months_ago_is_not_counted():
    table = followed([{"paid": "2025-01-01", "lapse": "2025-10-31"}] * 12)
    found = chapter.lost_without_value(table, CUT_OFF, 0.95).set_index("what")
    assert found.loc["lost customers", "n"] == 0
    assert found.loc["lost customers", "note"] == "0 of 0"


# Does it matter?


def test_rows_are_split_at_the_day_of_value_so_that_nobody_has_it_before():
    table = followed(
        [
            {"paid": "2026-01-01", "value": "2026-01-11", "lapse": "2026-03-01"},
            {"paid": "2026-01-01", "lapse": "2026-03-01"},
            {"paid": "2026-01-01", "value": "2026-01-01", "lapse": "2026-03-01"},
        ]
    )
    rows = chapter.start_stop(table)[["account_id", "start", "stop", "event", "has_value"]]
    assert rows.to_numpy().tolist() == [
        ["a00000", 0.0, 10.0, False, 0.0],
        ["a00000", 10.0, 59.0, True, 1.0],
        ["a00001", 0.0, 59.0, True, 0.0],
        ["a00002", 0.0, 59.0, True, 1.0],
    ]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the shared reference folder is absent")
def test_the_time_varying_hazard_ratio_agrees_with_r():
    heart = pd.read_csv(REFERENCE / "data" / "heart.csv").rename(columns={"id": "account_id"})
    expected = pd.read_csv(REFERENCE / "immortal_time.csv").query("case_id == 'immortal_tv'")
    found = chapter.leaving_model(heart, "transplant", ["age", "surgery"], 0.95)
    row = expected.set_index("term").loc["transplant"]
    assert found.hazard_ratio == pytest.approx(row["hr"], rel=1e-6)
    assert found.ci_low == pytest.approx(np.exp(row["coef_lower"]), rel=1e-6)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the shared reference folder is absent")
@pytest.mark.parametrize("day", [30, 60])
def test_the_landmark_hazard_ratio_agrees_with_r(day: int):
    jasa = pd.read_csv(REFERENCE / "data" / "jasa.csv")
    starters = pd.DataFrame(
        {
            "account_id": jasa["id"],
            "end_day": jasa["futime"],
            "value_day": jasa["wait.time"].where(jasa["transplant"] == 1),
            "is_lost": jasa["fustat"] == 1,
            "age": jasa["age"],
            "surgery": jasa["surgery"],
        }
    )
    model = chapter.leaving_model(
        chapter.start_stop(starters), "has_value", ["age", "surgery"], 0.95
    )
    table = chapter.effect(starters, model, [day], ["age", "surgery"], 0.95)
    found = table.query("method == 'landmark' and measure == 'hazard_ratio'").iloc[0]
    expected = pd.read_csv(REFERENCE / "immortal_time.csv").set_index(["case_id", "term"])
    assert found["estimate"] == pytest.approx(
        expected.loc[(f"immortal_landmark{day}", "treated_by_L"), "hr"], rel=1e-6
    )


def effects(ratio: float, seed: int) -> pd.DataFrame:
    starters = world(4_000, 0.01, 0.002, ratio, seed)
    model = chapter.time_varying_model(starters, [], 0.95)
    table = chapter.effect(starters, model, [60], [], 0.95)
    return table.set_index(["method", "measure"])


def test_every_row_has_a_unit_and_no_table_mixes_two():
    table = effects(1.0, COUNTED_SEED).reset_index()
    assert table["unit"].notna().all()
    ratios, shares, days = (chapter.in_unit(table, unit) for unit in ("ratio", "share", "days"))
    assert set(ratios["measure"]) == {"hazard_ratio"}
    assert set(shares["measure"]) == {"survival_12_months_difference"}
    assert set(days["measure"]) == {"restricted_mean_12_months_difference_days", "mean_days"}
    assert len(ratios) + len(shares) + len(days) == len(table)


@pytest.mark.parametrize("unit", ["ratio", "share", "days"])
def test_a_table_without_any_number_keeps_its_columns(unit):
    table = effects(1.0, COUNTED_SEED).reset_index()
    blank = table.assign(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
    for rows in (blank, blank.head(0)):
        assert {"estimate", "ci_low", "ci_high", "n"} <= set(chapter.in_unit(rows, unit).columns)


def test_where_value_changes_nothing_only_the_naive_row_claims_an_effect():
    table = effects(1.0, COUNTED_SEED)
    for method in ("time_varying", "landmark"):
        row = table.loc[(method, "hazard_ratio")]
        assert row["is_valid"]
        assert row["ci_low"] < 1 < row["ci_high"]
    naive = table.loc[("naive_ever_reached", "hazard_ratio")]
    assert not naive["is_valid"]
    assert naive["ci_high"] < 0.9
    fast = table.loc[("naive_fast_against_slow", "hazard_ratio")]
    assert not fast["is_valid"]
    assert fast["ci_low"] > 1
    assert naive["note"].startswith("biased")
    for measure in ("survival_12_months_difference", "restricted_mean_12_months_difference_days"):
        row = table.loc[("landmark", measure)]
        assert row["ci_low"] < 0 < row["ci_high"]


def test_a_true_hazard_ratio_of_a_half_is_found():
    table = effects(0.5, COUNTED_SEED + 1)
    row = table.loc[("time_varying", "hazard_ratio")]
    assert row["estimate"] == pytest.approx(0.5, abs=0.07)
    assert row["ci_low"] < 0.5 < row["ci_high"]
    later = table.loc[("landmark", "hazard_ratio")]
    assert row["estimate"] < later["estimate"] < 1
    assert table.loc[("landmark", "survival_12_months_difference"), "ci_low"] > 0
    assert table.loc[("landmark", "restricted_mean_12_months_difference_days"), "ci_low"] > 0


def test_the_mean_of_achievers_is_shown_as_naive_and_is_below_the_truth():
    table = effects(1.0, COUNTED_SEED)
    row = table.loc[("naive_mean_of_achievers", "mean_days")]
    assert not row["is_valid"]
    assert row["estimate"] < 1 / 0.01


def test_too_few_losses_give_no_hazard_ratio_and_say_so():
    table = followed([{"paid": "2026-01-01", "lapse": "2026-03-01"}] * 3 + [{"paid": "2026-01-01", "value": "2026-02-01"}] * 20)  # noqa: E501  # fmt: skip
    model = chapter.time_varying_model(table, [], 0.95)
    assert not model.converged
    assert model.note == "too few for a model: 0 losses among 20 with value"
    rows = chapter.effect(table, model, [30], [], 0.95)
    assert rows["estimate"].isna().tolist() == [True] * 6 + [False]
    assert rows["note"].str.len().gt(0).all()


def test_too_few_losses_for_the_adjustment_leave_the_exposure_alone():
    starters = world(120, 0.01, 0.0005, 1.0, COUNTED_SEED)
    colours = np.array(["red", "green", "blue", "grey", "white", "black"])
    starters = starters.assign(colour=colours[np.arange(120) % 6])
    assert 10 <= starters["is_lost"].sum() < 60
    model = chapter.time_varying_model(starters, ["colour"], 0.95)
    assert model.terms == ("has_value",)
    assert model.note == "not adjusted: too few losses"


def test_a_level_without_losses_joins_others_and_does_not_run_away():
    starters = world(1_000, 0.01, 0.002, 1.0, COUNTED_SEED)
    rare = starters.index < 40
    starters = starters.assign(
        colour=np.where(rare, "rare", np.where(starters.index % 2 == 0, "even", "odd")),
        is_lost=starters["is_lost"] & ~rare,
    )
    model = chapter.time_varying_model(starters, ["colour"], 0.95)
    assert model.converged
    assert "colour: rare" not in model.terms


def test_an_effect_that_fades_fails_the_check_and_shows_by_age():
    kept = world(6_000, 0.01, 0.003, 0.3, COUNTED_SEED)
    draws = np.random.default_rng(COUNTED_SEED)
    gone = np.ceil(np.maximum(92, kept["value_day"]) + draws.exponential(1 / 0.006, len(kept)))
    end = np.fmin(kept["end_day"], gone).astype("int64")
    kept = kept.assign(is_lost=kept["is_lost"] | (gone <= kept["end_day"]), end_day=end)
    model = chapter.time_varying_model(kept, [], 0.95)
    assert not model.checked.set_index("name").loc["proportional hazards", "passed"]
    table = chapter.effect_by_age(kept, [], 0.95)
    assert table["band"].tolist() == ["0 to 92 days", "92 to 366 days", "over 366 days"]
    assert table["hazard_ratio"].iloc[0] < 0.5 < table["hazard_ratio"].iloc[1]


# What is published.


def test_published_columns_are_there_and_days_are_unique():
    table = followed(
        [{"paid": "2026-01-01", "value": "2026-01-11"}] * 12, groups=["segment", "touch_model"]
    )
    curves = chapter.incidence(table, ["segment", "touch_model"], 0.95)
    assert set(TABLES["time_to_value.incidence"][1]) <= set(curves.columns)
    assert curves["group"].unique().tolist() == ["all", "segment", "touch_model", "start_quarter"]
    assert not curves.duplicated(["group", "level", "time_days"]).any()
    model = chapter.time_varying_model(table, [], 0.95)
    rows = chapter.effect(table, model, [30], [], 0.95)
    assert set(TABLES["time_to_value.effect"][1]) <= set(rows.columns)


def test_the_headline_and_its_earlier_values_come_from_one_slice():
    rows = [{"paid": "2025-06-01", "value": "2025-06-21"}] * 6
    rows += [{"paid": "2025-06-01"}] * 6
    rows += [{"paid": "2026-09-01", "value": "2026-10-11"}] * 12
    found = chapter.headline(*made(rows), CUT_OFF, START, 0.95).set_index("name")
    names = [name for name, line in HEADLINES.items() if line.chapter == "time_to_value"]
    assert sorted(found.index) == sorted(names)
    median = found.loc["median_time_to_value_days"]
    assert (median["estimate"], median["year_ago"]) == (40.0, 20.0)
    assert np.isnan(median["previous"])
    share = found.loc["value_by_day_30_share"]
    assert (share["estimate"], share["n"]) == (pytest.approx(0.25), 24)
    assert share["year_ago"] == pytest.approx(0.5)
    recent = found.loc["value_by_day_30_share_recent"]
    assert (recent["estimate"], recent["n"], recent["state"]) == (0.0, 12, "ok")
    assert found.loc["value_by_day_90_share_recent", "state"] == "not_available"


def test_what_a_report_estimates_before_the_close_is_provisional():
    tables = made(
        [{"paid": "2026-01-01", "value": "2026-01-11"}] * 3 + [{"paid": "2026-01-01"}] * 9
    )
    states = {
        is_final: set(chapter.headline(*tables, CUT_OFF, START, 0.95, is_final)["state"])
        for is_final in (True, False)
    }
    assert states == {True: {"ok", "not_reached"}, False: {"provisional", "not_reached"}}


def test_a_median_that_is_not_reached_says_how_far_it_came():
    rows = [{"paid": "2026-01-01", "value": "2026-01-11"}] * 3 + [{"paid": "2026-01-01"}] * 9
    found = chapter.headline(*made(rows), CUT_OFF, START, 0.95).set_index("name")
    median = found.loc["median_time_to_value_days"]
    assert (median["state"], median["note"]) == ("not_reached", "not reached: 25.0 % by day 303")
    assert np.isnan(median["estimate"])


def test_few_starters_give_k_of_n_and_are_not_available():
    found = chapter.headline(*made([{"paid": "2026-01-01"}] * 4), CUT_OFF, START, 0.95)
    assert set(found["state"]) == {"not_available"}
    assert set(found["n"]) == {4}
    assert set(found["note"]) == {"0 of 4"}


def test_a_company_without_milestones_gets_sentences_and_no_numbers():
    accounts, months, spells = made([{"paid": "2026-01-01"}] * 20)
    months = months.assign(has_value=None)
    found = chapter.headline(accounts, months, spells, CUT_OFF, START, 0.95)
    assert set(found["state"]) == {"not_available"}
    assert set(found["state"]) <= set(STATES)
    assert set(found["note"]) == {"the company records no milestones"}
    table = chapter.starters(accounts, months, spells, CUT_OFF, START, ["segment"])
    curves = chapter.incidence(table, ["segment"], 0.95)
    assert curves.empty
    assert chapter.percentiles(curves).empty
    assert chapter.shares_by_day(table, curves).empty
    assert chapter.trend(chapter.by_start_quarter(table, curves, CUT_OFF))[
        "direction"
    ].tolist() == ["too few quarters"]
    model = chapter.time_varying_model(table, ["segment"], 0.95)
    rows = chapter.effect(table, model, [30], ["segment"], 0.95)
    assert rows["estimate"].isna().all()
    assert chapter.effect_by_age(table, ["segment"], 0.95)["hazard_ratio"].isna().all()
    assert chapter.overdue(accounts, months, spells, CUT_OFF, START, 60).empty
    assert chapter.lost_without_value(table, CUT_OFF, 0.95)["share"].isna().all()


# What the notebook shows.


def test_hazard_ratios_are_named_and_the_naive_one_says_so():
    ratios = chapter.hazard_ratios(effects(1.0, COUNTED_SEED).reset_index())
    assert ratios["label"].tolist() == [
        "value reached, at the same age",
        "value by day 60",
        "ever reached value (biased)",
        "fast or slow (biased)",
    ]
    assert ratios["is_valid"].tolist() == [True, True, False, False]


def test_the_two_outcomes_are_drawn_only_where_they_are_supported():
    curve = chapter.incidence(ten([10], leaves=[5]), [], 0.95)
    rows = chapter.both_outcomes(curve)
    assert rows.query("outcome == 'value'")["share"].round(12).tolist() == [0.0, 0.0, 0.1]
    last = rows.query("outcome == 'churned before value'").iloc[-1]
    assert last["share"] == pytest.approx(0.1)
    unsupported = curve.assign(is_supported=curve["time_days"] <= 5)
    assert chapter.both_outcomes(unsupported)["time_days"].max() == 5


def test_the_money_at_stake_is_that_of_those_who_wait():
    tables = made([{"paid": "2026-01-01", "mrr": 50.0}, {"paid": "2026-10-01", "mrr": 150.0}])
    late = chapter.overdue(*tables, CUT_OFF, START, 60)
    assert chapter.stakes(late, tables[0]).iloc[0].to_dict() == {
        "n": 1,
        "mrr": 50.0,
        "mrr_share": 0.25,
    }


def test_without_milestones_no_sentence_says_zero_or_has_empty_brackets():
    tables = made([{"paid": "2026-01-01", "mrr": 50.0}])
    stakes = chapter.stakes(tables[0].iloc[:0], tables[0], is_known=False).iloc[0]
    nobody = pd.Series({"n": 0, "share": np.nan, "ci_low": np.nan, "ci_high": np.nan})
    none = chapter.trend(pd.DataFrame()).iloc[0]
    assert chapter.say_overdue(stakes, 60, "USD", words) == (
        "Who waits for value cannot be said: the company records no milestones."
    )
    assert "there is no starter" in chapter.say_at_start(nobody, words)
    assert chapter.say_trend(none, words) == "Not available: too few quarters."


def test_the_answer_says_how_soon_and_whether_it_matters():
    rows = [{"paid": "2026-01-01", "value": "2026-01-21"}] * 8 + [{"paid": "2026-01-01"}] * 4
    headline = chapter.headline(*made(rows), CUT_OFF, START, 0.95)
    said = chapter.answer(headline, words)
    assert said.startswith("Of all starters half have value by day 20 (20 ")
    assert " and 66.7 % by day 90 (" in said
    assert ". Of those who started in the last 12 months half have value by day 20" in said
    assert chapter.curve_title(headline, words) == "66.7 % have value by day 30, 66.7 % by day 90"
    model = chapter.LeavingModel(0.62, 0.51, 0.75, 100, 50, "")
    assert chapter.effect_answer(model, words) == (
        "At the same age, customers with value leave at 0.62 times the rate of those without "
        "(0.51 to 0.75)."
    )


def test_an_answer_that_is_not_there_says_why():
    few = chapter.headline(*made([{"paid": "2026-01-01"}] * 4), CUT_OFF, START, 0.95)
    assert chapter.answer(few, words) == "How soon customers get value cannot be said: 0 of 4."
    assert chapter.curve_title(few, words) == "How soon customers get value"
    rows = [{"paid": "2026-01-01"}] * 12
    none = chapter.headline(*made(rows), CUT_OFF, START, 0.95)
    assert "fewer than half reach value and 0.0 % by day 90" in chapter.answer(none, words)
    model = chapter.LeavingModel(np.nan, np.nan, np.nan, 4, 0, "too few for a model")
    assert chapter.effect_answer(model, words) == (
        "Whether value goes with staying cannot be said: too few for a model."
    )


def test_the_title_of_the_groups_names_the_first_and_the_last():
    shares = pd.DataFrame(
        {"day": [30, 90, 90, 90], "who": ["A: x", "A: x", "A: y", "B: z"],
         "value_share": [0.99, 0.5, 0.7, np.nan]}
    )  # fmt: skip
    said = chapter.say_groups(shares, 90, words)
    assert said == "Value by day 90: most in A: y (70.0 %), fewest in A: x (50.0 %)"
    assert "too few" in chapter.say_groups(shares.head(2), 90, words)
