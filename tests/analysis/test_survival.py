"""How long do customers stay: literal spells, R's numbers, known truth."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import survival
from pipeline.analysis.levels import levels_of
from pipeline.analysis.survival import readings
from pipeline.data.schema.published import STATES, TABLES
from pipeline.settings import DAYS_PER_MONTH
from pipeline.statistics.baseline import merge_thin

ORACLES = Path(__file__).parents[1] / "oracles"
SHARED = Path(__file__).parents[2] / ".." / "shared" / "reference"
CUT_OFF = dt.date(2026, 10, 31)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared reference numbers")


def spells_of(
    durations, events, entry=0, end_type="voluntary", cut_off: dt.date = CUT_OFF
) -> pd.DataFrame:
    """First spells; those without an event are paid until the cut-off."""
    events = np.asarray(events, bool)
    durations = np.asarray(durations)
    return pd.DataFrame(
        {
            "account_id": [f"a{number:05d}" for number in range(len(durations))],
            "spell": 1,
            "start_date": pd.Timestamp(cut_off) - pd.to_timedelta(durations, unit="D"),
            "end_type": np.where(events, end_type, None),
            "entry_days": np.broadcast_to(entry, len(durations)),
            "duration_days": durations,
            "is_churn": events,
            "is_age_known": True,
            "is_followed": True,
        }
    )


def at_risk_of(durations, events, entry=0, **strata) -> pd.DataFrame:
    spells = spells_of(durations, events, entry)
    accounts = pd.DataFrame({"account_id": spells["account_id"], **strata})
    return survival.spells_at_risk(spells, accounts, list(strata))


# Who is counted.


def test_only_first_spells_of_known_age_that_were_followed_are_at_risk():
    spells = spells_of([100, 100, 100, 100], [1, 1, 1, 1]).assign(
        spell=[1, 2, 1, 1],
        is_age_known=[True, True, False, True],
        is_followed=[True, True, True, False],
    )
    accounts = pd.DataFrame({"account_id": spells["account_id"]})
    assert list(survival.spells_at_risk(spells, accounts, [])["account_id"]) == ["a00000"]
    assert list(survival.left_out(spells)["n"]) == [1, 1, 1, 0]
    assert survival.left_out(spells)["handling"].eq("left out").tolist() == [True] * 3 + [False]


def test_an_administrative_exit_is_censored_on_its_day_and_counted():
    spells = spells_of([50, 60, 70], [1, 1, 1], end_type=["administrative", None, "completed"])
    accounts = pd.DataFrame({"account_id": spells["account_id"]})
    at_risk = survival.spells_at_risk(spells, accounts, [])
    assert list(at_risk["is_event"]) == [False, True, True]
    assert list(at_risk["cause"].fillna("")) == ["", "unknown", "completed"]
    assert list(at_risk["duration_days"]) == [50, 60, 70]
    assert survival.left_out(spells)["n"].iloc[-1] == 1


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["SMB", None, "MM"], ["SMB", "not measured", "MM"]),
        ([True, False, None], ["yes", "no", "not measured"]),
        ([1.0, 2.0, np.nan], ["1.0", "2.0", "not measured"]),
        (pd.to_datetime(["2025-03-01", None, "2026-01-01"]), ["2025", "not measured", "2026"]),
    ],
)
def test_every_type_of_account_column_becomes_text_levels(values, levels):
    assert list(levels_of(pd.Series(values))) == levels


def test_levels_beyond_the_twelve_most_frequent_become_other_and_numbers_quarters():
    many = pd.Series([f"c{number:02d}" for number in range(20) for _ in range(20 - number)])
    assert levels_of(many).nunique() == 12
    assert "other" in set(levels_of(many))
    assert levels_of(pd.Series(np.arange(100.0))).nunique() == 4


def test_a_stratum_without_a_value_is_told_apart_from_one_with_values():
    accounts = pd.DataFrame({"segment": ["SMB", None], "industry": [None, None]})
    usable = survival.usable_strata(accounts, ["segment", "industry", "plan"])
    assert usable == (["segment"], ["industry", "plan"])


# Curves.


@needs_shared
@pytest.mark.parametrize("level", ["1", "2"])
def test_curves_agree_with_r_on_lung_by_sex(level):
    lung = pd.read_csv(SHARED / "data" / "lung.csv")
    at_risk = at_risk_of(lung["time"], lung["dead"], sex=lung["sex"].astype(str))
    curves = survival.curves(at_risk, ["sex"], 0.95)
    assert_agrees_with_r(curves[curves["level"] == level], "km_lung_sex", f"sex={level}")


@needs_shared
def test_curves_with_delayed_entry_agree_with_r_and_entry_matters():
    accounts = pd.read_csv(SHARED / "data" / "sim_accounts.csv")
    entry, exits = accounts["entry_cycle"].to_numpy(), accounts["last_cycle"].to_numpy()
    at_risk = at_risk_of(exits, accounts["churned"], entry, segment=accounts["segment"].to_numpy())
    curves = survival.curves(at_risk, ["segment"], 0.95)
    for level in ("SMB", "MM", "ENT"):
        assert_agrees_with_r(curves[curves["level"] == level], "sim_km", f"segment={level}")
    without = survival.curves(at_risk.assign(entry_days=0), [], 0.95)
    at_12 = [block.loc[block["time_days"] == 12, "estimate"].iloc[0]
             for block in (without, curves[curves["stratum"] == "all"])]  # fmt: skip
    assert at_12[0] - at_12[1] > 0.05


def assert_agrees_with_r(curve: pd.DataFrame, case: str, stratum: str) -> None:
    expected = pd.read_csv(SHARED / "km.csv").query("case_id == @case and stratum == @stratum")
    assert len(expected) > 2
    for row in expected.itertuples():
        past = curve[curve["time_days"] <= row.time].iloc[-1]
        assert past["estimate"] == pytest.approx(row.surv, rel=1e-8)
        assert past["ci_low"] == pytest.approx(row.lower, rel=1e-8)
        assert past["ci_high"] == pytest.approx(row.upper, rel=1e-8)


def test_curves_have_a_row_for_every_event_and_censoring_time_and_the_promised_columns():
    at_risk = at_risk_of(range(10, 34, 2), [1, 0] * 6, segment=["SMB"] * 12)
    curves = survival.curves(at_risk, ["segment"], 0.95)
    assert tuple(curves.columns) == TABLES["survival.curves"][1]
    assert list(curves["stratum"].value_counts()) == [12, 12]
    assert curves["n_at_risk"].iloc[0] == 12
    assert (curves["n_events"] + curves["n_censored"] == 1).all()


def test_a_level_with_fewer_than_ten_accounts_keeps_its_counts_and_loses_its_curve():
    at_risk = at_risk_of(range(10, 30), [1, 0] * 10, segment=["SMB"] * 11 + ["ENT"] * 9)
    curves = survival.curves(at_risk, ["segment"], 0.95)
    small = curves[curves["level"] == "ENT"]
    assert len(small) == 9
    assert small[["estimate", "ci_low", "ci_high"]].isna().all(axis=None)
    assert small["n_events"].sum() == 4
    levels = survival.levels(at_risk, ["segment"], 0.95)
    assert levels.set_index("level").loc["ENT", "note"] == "5 of 9 had not left"


def test_incidence_of_causes_adds_up_to_what_the_curve_lost():
    causes = ["voluntary", "involuntary", "completed", None] * 10
    at_risk = at_risk_of(range(10, 50), [1] * 30 + [0] * 10)
    at_risk = at_risk.assign(cause=pd.Series(causes).fillna("unknown").where(at_risk["is_event"]))
    incidence = survival.cumulative_incidence(at_risk, [], 0.95)
    curve = survival.curves(at_risk, [], 0.95)
    last = incidence.groupby("cause")["estimate"].last()
    assert set(last.index) == {"voluntary", "involuntary", "completed", "unknown"}
    assert last.sum() == pytest.approx(1 - curve["estimate"].iloc[-1], abs=1e-12)
    assert tuple(incidence.columns) == TABLES["survival.cumulative_incidence"][1]


# Tests, means, hazards.


@needs_shared
def test_the_restricted_mean_difference_agrees_with_r():
    lung = pd.read_csv(SHARED / "data" / "lung.csv")
    at_risk = at_risk_of(lung["time"], lung["dead"], sex=lung["sex"].astype(str).to_numpy())
    means = survival.restricted_means(at_risk, ["sex"], [6], 0.95)
    area = survival.restricted_means(at_risk, [], [6], 0.95)["estimate"].iloc[0] * DAYS_PER_MONTH
    by_hand = np.trapezoid(*step_curve(survival.curves(at_risk, [], 0.95), 184))
    assert area == pytest.approx(by_hand, rel=1e-9)
    levels = means[means["measure"] == "restricted_mean"].set_index("level")["estimate"]
    difference = means[means["measure"] == "difference"].iloc[0]
    assert (difference["reference"], difference["level"]) == ("1", "2")
    assert difference["estimate"] == pytest.approx(levels["2"] - levels["1"], rel=1e-12)


def step_curve(curve: pd.DataFrame, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Heights and times of a step curve with both ends of every step."""
    seen = curve[curve["time_days"] <= horizon]
    times = np.concatenate([[0.0], seen["time_days"], [horizon]])
    heights = np.concatenate([[1.0], seen["estimate"]])
    return np.repeat(heights, 2), np.repeat(times, 2)[1:-1]


def test_a_mean_is_blank_where_too_few_are_followed_to_the_horizon():
    at_risk = at_risk_of(range(100, 300), [1, 0] * 100)
    mean = survival.restricted_means(at_risk, [], [12], 0.95).iloc[0]
    assert np.isnan(mean["estimate"])
    assert mean["note"].startswith("only 0 accounts at risk at day 366")


def test_log_rank_rows_name_a_stratum_that_cannot_be_compared():
    at_risk = at_risk_of(range(10, 40), [1, 0] * 15, one=["x"] * 30, two=["x", "x", "y"] * 10)
    tests = survival.tests(at_risk, ["one", "two"], None).set_index("stratum")
    assert np.isnan(tests.loc["one", "p_value"])
    assert "needs two" in tests.loc["one", "note"]
    assert tests.loc["two", "q_value"] == pytest.approx(tests.loc["two", "p_value"])


def test_the_stratified_log_rank_compares_within_levels_only():
    # Within each site the two plans leave alike; between sites they do not.
    site = ["a"] * 20 + ["b"] * 20
    plan = ["x"] * 15 + ["y"] * 5 + ["x"] * 5 + ["y"] * 15
    durations = [*(10 + 3 * (i % 5) for i in range(20)), *(100 + 3 * (i % 5) for i in range(20))]
    at_risk = at_risk_of(durations, [1] * 40, site=site, plan=plan)
    tests = survival.tests(at_risk, ["plan"], "site").set_index("test")
    assert tests.loc["log_rank", "p_value"] < 0.05
    assert tests.loc["log_rank_stratified", "p_value"] > 0.9


def test_a_lapse_on_the_longest_anniversary_falls_in_its_month_of_tenure():
    at_risk = at_risk_of([31] * 6 + [32] * 6 + [62] * 6, [1] * 12 + [0] * 6)
    hazards = survival.hazard_by_tenure_month(at_risk, 0.95)
    assert list(hazards["n_events"]) == [6, 6]
    assert list(hazards["n_at_risk"]) == [18, 12]
    exposure = 18 * 31 / DAYS_PER_MONTH
    assert hazards["exposure_months"].iloc[0] == pytest.approx(exposure)
    assert hazards["hazard"].iloc[0] == pytest.approx(6 / exposure)


def test_anniversaries_are_the_month_marks():
    marks = {1: 31, 3: 92, 6: 184, 12: 366, 24: 731, 36: 1096}
    assert {months: readings.days_to_anniversary(months) for months in marks} == marks


# Headlines.


def test_twelve_month_retention_is_blank_where_too_few_are_at_risk_there():
    durations = list(range(100, 300)) + [400] * 9
    reading = survival.retention(at_risk_of(durations, [1, 0] * 100 + [0] * 9), 366, 0.95)
    assert np.isnan(reading.estimate)
    assert reading.state == "not_available"
    assert reading.note == "only 9 accounts at risk at day 366, 11 are needed"


def test_an_account_is_at_risk_on_the_day_it_leaves_and_not_on_the_day_it_enters():
    spells = at_risk_of([366, 366, 400, 365], [1, 0, 0, 0], [0, 100, 366, 0])
    assert readings.at_risk_on(spells, 366) == 2


def test_an_all_censored_curve_has_no_interval_and_says_so():
    reading = survival.retention(at_risk_of([400] * 30, [0] * 30), 366, 0.95)
    assert (reading.estimate, reading.state) == (1.0, "fragile")
    assert np.isnan(reading.ci_low)
    assert reading.note == "nobody left among 30: no interval"


def test_fewer_than_ten_accounts_give_k_of_n():
    reading = survival.retention(at_risk_of([400] * 8, [1] * 3 + [0] * 5), 366, 0.95)
    assert (reading.state, reading.note, reading.n) == ("not_available", "5 of 8 had not left", 8)
    assert np.isnan(reading.estimate)


def test_the_median_is_the_first_day_with_half_gone_in_months():
    reading = survival.median_lifetime(at_risk_of(np.arange(1, 101) * 10, [1] * 100), 0.95)
    assert reading.estimate * DAYS_PER_MONTH == pytest.approx(500)
    assert reading.ci_low < reading.estimate < reading.ci_high


def test_a_median_that_is_not_reached_says_how_many_are_left_when():
    at_risk = at_risk_of([*np.arange(1, 31) * 10, *[600] * 70], [1] * 30 + [0] * 70)
    reading = survival.median_lifetime(at_risk, 0.95)
    assert reading.state == "not_reached"
    assert reading.note == "more than half still customers: 0.700 at month 19"


def test_the_recent_form_uses_the_last_years_risk_sets_and_events_only():
    # Two old accounts left long ago; in the last year nobody of the first kind leaves.
    start = pd.Timestamp(CUT_OFF) - pd.to_timedelta([900, 900, 500, 100], unit="D")
    at_risk = pd.DataFrame(
        {"account_id": list("abcd"), "start_date": start, "entry_days": [0, 0, 0, 0],
         "duration_days": [300, 900, 200, 100], "is_event": [True, False, True, False],
         "cause": ["voluntary", None, "voluntary", None]}
    )  # fmt: skip
    window = survival.recent(at_risk, CUT_OFF).set_index("account_id")
    # a left before the window; b entered it aged 535, c aged 135, d was born in it.
    assert list(window.index) == ["b", "c", "d"]
    assert list(window["entry_days"]) == [535, 135, 0]


def test_an_earlier_cut_off_censors_later_churn_and_forgets_later_starts():
    at_risk = at_risk_of([400, 400, 20], [1, 0, 0])
    at_risk = at_risk.assign(start_date=pd.to_datetime(["2025-09-26"] * 2 + ["2026-10-11"]))
    earlier = survival.recut(at_risk, dt.date(2026, 9, 30))
    assert list(earlier["duration_days"]) == [369, 369]
    assert not earlier["is_event"].any()
    assert earlier["cause"].isna().all()


def test_headlines_compare_with_the_same_slice_cut_a_month_and_a_year_earlier():
    draws = np.random.default_rng(20261101)
    start = pd.Timestamp("2023-11-01") + pd.to_timedelta(draws.integers(0, 1095, 600), unit="D")
    length = draws.exponential(400, 600).astype(int) + 1
    age = (pd.Timestamp(CUT_OFF) - start).days.to_numpy()
    at_risk = pd.DataFrame(
        {"account_id": np.arange(600).astype(str), "start_date": start, "entry_days": 0,
         "duration_days": np.minimum(length, age), "is_event": length <= age, "cause": None}
    )  # fmt: skip
    at_risk = at_risk[at_risk["duration_days"] > 0]
    options = {"observation_start": dt.date(2023, 11, 1), "is_final": True, "confidence": 0.95}
    now = survival.headline(at_risk, cut_off=CUT_OFF, **options).set_index("name")
    then = survival.headline(
        survival.recut(at_risk, dt.date(2026, 9, 30)), cut_off=dt.date(2026, 9, 30), **options
    ).set_index("name")
    assert list(now["previous"]) == pytest.approx(list(then["estimate"]), rel=1e-12)
    assert set(now["state"]) <= set(STATES)
    assert now.loc["retention_12_months", "estimate"] == pytest.approx(np.exp(-366 / 400), abs=0.05)
    assert now["year_ago"].notna().all()
    two_years_ago = survival.headline(at_risk, cut_off=dt.date(2025, 6, 30), **options)
    assert np.isnan(two_years_ago.set_index("name").loc["retention_12_months_recent", "year_ago"])


def test_a_provisional_report_has_provisional_headlines():
    at_risk = at_risk_of(np.arange(1, 201) * 5, [1, 0] * 100)
    rows = survival.headline(
        at_risk, cut_off=CUT_OFF, observation_start=None, is_final=False, confidence=0.95
    )
    assert "ok" not in set(rows["state"])
    assert rows["state"].iloc[0] == "provisional"


def test_a_note_without_a_second_part_ends_without_a_semicolon():
    at_risk = at_risk_of([400] * 60 + [100] * 20, [0] * 60 + [1] * 20)
    rows = survival.headline(
        at_risk, cut_off=CUT_OFF, observation_start=dt.date(2026, 3, 1), is_final=True,
        confidence=0.95,
    ).set_index("name")  # fmt: skip
    assert rows.loc["retention_12_months_recent", "note"] == "observed only since 2026-03-01"


def test_the_month_before_a_month_end_is_a_month_end():
    assert survival.earlier_cut_off(dt.date(2026, 2, 28), 1) == dt.date(2026, 1, 31)
    assert survival.earlier_cut_off(dt.date(2026, 9, 27), 12) == dt.date(2025, 9, 27)


# Models.


@pytest.fixture(scope="module")
def oracle_spells() -> pd.DataFrame:
    rows = pd.read_csv(ORACLES / "survival_models_spells.csv")
    return at_risk_of(
        rows["duration_days"].to_numpy(),
        rows["event"],
        rows["entry_days"].to_numpy(),
        size=rows["size"],
        touch=rows["touch"],
    )


@pytest.fixture(scope="module")
def oracle() -> pd.DataFrame:
    return pd.read_csv(ORACLES / "survival_models.csv").set_index(["model", "term"])


@pytest.mark.parametrize("model", ["cox", "grouped"])
def test_both_models_agree_with_r_with_delayed_entry(oracle_spells, oracle, model):
    fit = {"cox": survival.cox, "grouped": survival.grouped_time}[model]
    result = fit(oracle_spells, ["size", "touch"])
    assert result.converged
    ratios = result.ratios[result.ratios["note"] != "reference"]
    assert list(ratios["term"] + ratios["level"]) == ["sizelarge", "sizesmall", "touchtech"]
    for row in ratios.itertuples():
        expected = oracle.loc[(model, row.term + row.level)]
        assert np.log(row.hazard_ratio) == pytest.approx(expected["coef"], rel=1e-6)
        error = np.log(row.ci_high / row.ci_low) / (2 * 1.959963984540054)
        assert error == pytest.approx(expected["se"], rel=1e-6)


def test_the_proportional_hazards_rows_agree_with_r(oracle_spells, oracle):
    fit = survival.cox(oracle_spells, ["size", "touch"])
    tests = survival.proportional_hazards_tests(fit).set_index("stratum")
    names = {"all": "GLOBAL", "size: large": "sizelarge", "size: small": "sizesmall",
             "touch: tech": "touchtech"}  # fmt: skip
    assert list(tests.index) == list(names)
    for stratum, term in names.items():
        expected = oracle.loc[("cox", term), "zph"]
        assert tests.loc[stratum, "statistic"] == pytest.approx(expected, rel=1e-4)
    assert not survival.holds(tests.reset_index(), 0.95)


def test_the_committed_oracle_is_what_r_gives_today(tmp_path):
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("Rscript is not installed")
    script = ORACLES / "survival_models.R"
    subprocess.run([rscript, str(script), str(tmp_path)], check=True, capture_output=True)
    for name in ("survival_models_spells.csv", "survival_models.csv"):
        today, kept = (pd.read_csv(folder / name) for folder in (tmp_path, ORACLES))
        pd.testing.assert_frame_equal(today, kept, rtol=1e-8)


def test_reference_rows_stand_in_the_table_with_ratio_one_and_no_interval(oracle_spells):
    fits = [survival.cox(oracle_spells, ["size"])]
    ratios = survival.hazard_ratios(fits, is_grouped=False)
    assert set(TABLES["survival.hazard_ratios"][1]) <= set(ratios.columns)
    reference = ratios[ratios["level"] == ratios["reference"]]
    assert list(reference["hazard_ratio"]) == [1.0]
    assert reference[["ci_low", "ci_high", "p_value"]].isna().all(axis=None)
    assert ratios["is_primary"].all()


def test_both_models_find_a_known_ratio():
    draws = np.random.default_rng(20261102)
    treated = draws.random(4000) < 0.5
    entry = np.where(draws.random(4000) < 0.3, draws.integers(0, 200, 4000), 0)
    length = np.ceil(draws.exponential(500, 4000) / np.where(treated, 0.5, 1.0))
    censor = draws.integers(250, 1000, 4000)
    duration = np.minimum(length, censor)
    kept = duration > entry
    at_risk = at_risk_of(
        duration[kept].astype(int), (length <= censor)[kept], entry[kept],
        value=np.where(treated, "yes", "no")[kept],
    )  # fmt: skip
    for fit in (survival.cox, survival.grouped_time):
        ratio = fit(at_risk, ["value"]).ratios.set_index("level")
        mate = "yes" if ratio.loc["no", "note"] == "reference" else "no"
        effect = ratio.loc["yes", "hazard_ratio"] / ratio.loc["no", "hazard_ratio"]
        assert np.log(effect) == pytest.approx(np.log(0.5), abs=0.12)
        assert ratio.loc[mate, "ci_low"] < ratio.loc[mate, "hazard_ratio"]


def test_three_leavings_are_too_few_for_a_model():
    at_risk = at_risk_of([100] * 3 + [400] * 497, [1] * 3 + [0] * 497, plan=["x", "y"] * 250)
    for fit in (survival.cox, survival.grouped_time):
        result = fit(at_risk, ["plan"])
        assert not result.is_fitted
        assert result.note.startswith("too few for a model: 3 events for 1 terms")
    assert survival.hazard_ratios([result], is_grouped=False).empty
    assert survival.proportional_hazards_tests(result).empty


def test_a_level_in_which_nobody_left_is_left_out_of_the_model_and_named():
    plan = ["x"] * 50 + ["y"] * 50 + ["z"] * 20
    at_risk = at_risk_of([*range(10, 110), *[300] * 20], [1] * 100 + [0] * 20, plan=plan)
    result = survival.cox(at_risk, ["plan"])
    assert result.note == "plan z: 0 events among 20, left out"
    left = result.ratios.set_index("level").loc["z"]
    assert (left["n"], left["n_events"], left["note"]) == (20, 0, "0 events among 20, left out")
    assert np.isnan(left["hazard_ratio"])
    assert result.n == 100
    looked = {check.name: check for check in survival.model_checks(result, result)}
    assert not looked["separation"].passed
    assert "plan z" in looked["separation"].note


def test_one_level_only_gives_no_model_and_no_crash():
    at_risk = at_risk_of(range(10, 110), [1] * 100, plan=["x"] * 100)
    result = survival.cox(at_risk, ["plan"])
    assert result.note.startswith("no covariate with two levels to compare")


def test_ties_decide_which_model_is_primary():
    days = at_risk_of(np.arange(1, 401), [1] * 400)
    months = at_risk_of(np.repeat([31, 62, 92, 123], 100), [1] * 400)
    assert not survival.is_time_grouped(days)
    assert survival.is_time_grouped(months)


def test_ratios_by_age_see_an_effect_that_fades():
    draws = np.random.default_rng(20261103)
    early = draws.random(3000) < 0.5
    # High hazard for one group in the first three months only.
    first = np.ceil(draws.exponential(np.where(early, 100, 600)))
    later = 92 + np.ceil(draws.exponential(400, 3000))
    length = np.where(first <= 92, first, later)
    at_risk = at_risk_of(
        np.minimum(length, 1000).astype(int), length <= 1000, group=np.where(early, "a", "b")
    )
    assert not survival.holds(
        survival.proportional_hazards_tests(survival.cox(at_risk, ["group"])), 0.95
    )
    bands = survival.hazard_ratios_by_age(at_risk, ["group"])
    ratios = bands.set_index(["age_band", "level"])["hazard_ratio"]
    effect = (ratios.xs("a", level=1) / ratios.xs("b", level=1)).to_dict()
    assert effect["0–3 months"] > 4
    assert effect["3–12 months"] == pytest.approx(1, abs=0.2)
    assert effect["over 12 months"] == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    ("events", "merged"),
    [
        ([20, 20, 20], [0, 1, 2]),
        ([5, 5, 5, 20, 3], [0, 0, 0, 1, 1]),
        ([3, 3], [0, 0]),
        ([20, 3], [0, 0]),
        ([], []),
    ],
)
def test_thin_baseline_bands_join_their_neighbour(events, merged):
    assert list(merge_thin(events, 15)) == merged


def test_ratios_by_age_are_shown_only_where_one_ratio_does_not_hold(oracle_spells):
    fit = survival.cox(oracle_spells, ["size", "touch"])
    other = survival.grouped_time(oracle_spells, ["size", "touch"])
    ratios = survival.hazard_ratios([fit, other], is_grouped=True)
    by_age = survival.hazard_ratios_by_age(oracle_spells, ["size", "touch"])
    assert set(ratios.loc[ratios["is_primary"], "model"]) == {"grouped"}
    whole = survival.shown_ratios(ratios, by_age, is_proportional=True)
    assert list(whole["label"][:2]) == ["size medium", "size large"]
    assert len(whole) == 5
    bands = survival.shown_ratios(ratios, by_age, is_proportional=False)
    assert bands["label"].iloc[0] == "size medium, 0–3 months"
    said = survival.model_to_read(fit, is_grouped=True, is_proportional=False)
    assert said["ratios"] == "Ratios of leaving change with age"
    assert "months of tenure" in said["model"]


def test_checks_fail_loudly_and_say_what_is_shown_instead(oracle_spells):
    fit = survival.cox(oracle_spells, ["size", "touch"])
    other = survival.grouped_time(oracle_spells, ["size", "touch"])
    tests = survival.proportional_hazards_tests(fit)
    found = survival.diagnostics(fit)
    looked = {row.name: row for row in survival.model_checks(fit, other, tests, found)}
    assert list(looked) == [
        "convergence", "separation", "rank", "events per parameter", "proportional hazards",
        "influence", "overall fit", "Cox and grouped time agree",
    ]  # fmt: skip
    assert [name for name, check in looked.items() if not check.passed] == ["proportional hazards"]
    assert "drifts with age" in looked["proportional hazards"].note
    few = survival.cox(oracle_spells.head(20), ["size", "touch"])
    (stopped,) = survival.model_checks(few, few)
    assert (stopped.name, stopped.passed, stopped.is_hard) == ("events per parameter", False, True)
    both = survival.all_tests(survival.tests(oracle_spells, ["size"], None), tests)
    assert list(both["test"].unique()) == ["log_rank", "proportional_hazards"]


def test_gone_by_a_mark_counts_each_cause_up_to_its_day():
    incidence = pd.DataFrame(
        {"stratum": "all", "cause": ["voluntary"] * 3 + ["completed"],
         "time_days": [100, 366, 367, 500], "estimate": [0.1, 0.2, 0.3, 0.05]}
    )  # fmt: skip
    gone = survival.gone_by(incidence)
    assert gone == {"voluntary": 0.2, "involuntary": 0.0, "completed": 0.0, "unknown": 0.0}


def test_only_ages_with_enough_accounts_are_drawn():
    rows = pd.DataFrame({"n_at_risk": [400, 20, 19, 9]})
    assert list(survival.supported(rows)["n_at_risk"]) == [400, 20]


def test_months_kept_and_their_difference_stand_in_one_row():
    means = pd.DataFrame(
        [
            ("all", "all", 12, 50, "restricted_mean", None, 10.0, 9.0, 11.0, None, ""),
            ("segment", "mid", 12, 20, "restricted_mean", None, 11.0, 10.5, 11.5, None, ""),
            ("segment", "mid", 12, 20, "difference", "smb", 2.0, 1.0, 3.0, 0.01, ""),
            ("segment", "smb", 12, 30, "restricted_mean", None, 9.0, 8.0, 10.0, None, ""),
        ],
        columns=["stratum", "level", "horizon_months", "n", "measure", "reference", "estimate",
                 "ci_low", "ci_high", "p_value", "note"],
    )  # fmt: skip
    both = survival.side_by_side(means).set_index(["stratum", "level"])
    assert both["estimate"].tolist() == [10.0, 11.0, 9.0]
    assert both.loc[("segment", "mid"), "difference"] == 2.0
    assert both.loc[("segment", "mid"), ["difference_from", "difference_to"]].tolist() == [1.0, 3.0]
    assert both["reference"].fillna("").tolist() == ["", "smb", "smb"]
    assert both["p_value"].isna().tolist() == [True, False, True]
