"""What goes with staying: literal account-months, R's numbers, known truth."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import drivers
from pipeline.analysis.drivers import design as drivers_design
from pipeline.analysis.drivers.effects import EFFECT_COLUMNS, _finding
from pipeline.data.schema.published import TABLES
from pipeline.reporting import words
from pipeline.statistics import cloglog, grouped_hazard
from tests.analysis.driver_world import CANDIDATES, TRUTH, world

SHARED = Path(__file__).parents[2] / ".." / "shared" / "reference"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared reference numbers")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return world(1500, 24, 20261110)


@pytest.fixture(scope="module")
def model(rows) -> drivers.DriverModel:
    return drivers.fit(drivers.settled(rows), CANDIDATES, 10)


@pytest.fixture(scope="module")
def origins(rows) -> list[drivers.Origin]:
    return drivers.rolling_origins(drivers.settled(rows), CANDIDATES, 10)


@pytest.fixture(scope="module")
def effects(model, origins) -> pd.DataFrame:
    return drivers.effects(model, drivers.sign_records(model, origins), 0.95, 0.10)


# Which rows, which candidates.


def test_rows_not_settled_or_of_unknown_age_teach_nothing_and_are_counted():
    account_months = pd.DataFrame(
        {"is_settled": [True, False, True, False], "is_age_known": [True, True, False, True],
         "is_churn": [True, False, False, None]}
    )  # fmt: skip
    assert len(drivers.settled(account_months)) == 1
    assert list(drivers.not_used(account_months)["n"]) == [1, 1, 1]


def test_an_attribute_known_at_extract_is_refused_as_a_driver():
    refused = {"tier"}
    account_months = pd.DataFrame({"account_id": ["a"], "period": ["2026-01"]})
    accounts = pd.DataFrame({"account_id": ["a"], "tier": ["gold"], "plan": ["pro"]})
    with pytest.raises(ValueError, match="tier hold today's value"):
        drivers.driver_rows(account_months, accounts, ["plan", "tier"], refused)
    joined = drivers.driver_rows(account_months, accounts, ["plan"], refused)
    assert list(joined["plan"]) == ["pro"]
    assert "tier" not in joined


def test_what_a_month_says_wins_over_what_the_account_says_today():
    account_months = pd.DataFrame({"account_id": ["a"], "mrr": [100.0]})
    accounts = pd.DataFrame({"account_id": ["a"], "mrr": [900.0], "segment": ["SMB"]})
    joined = drivers.driver_rows(account_months, accounts, ["mrr", "segment"], set())
    assert joined.loc[0, ["mrr", "segment"]].tolist() == [100.0, "SMB"]


# The design.


def design_rows(**columns) -> pd.DataFrame:
    """Forty accounts of one month, every fourth gone."""
    return pd.DataFrame(
        {"account_id": [f"a{number:02d}" for number in range(40)], "period": "2026-01",
         "tenure_months": 1, "is_churn": [True, False, False, False] * 10, **columns}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * 40, "no value in the data"),
        ([3.0] * 40, "one value only"),
        (["x"] * 40, "one level to compare"),
        ([True] * 40, "0 events among 0 accounts"),
        (pd.date_range("2026-01-01", periods=40), "a date is no driver"),
        (
            [f"id{number}" for number in range(40)],
            "about as many levels as accounts: it names them",
        ),
    ],
)
def test_a_candidate_that_carries_nothing_is_left_out_and_named(values, reason):
    recipe = drivers_design.learn(design_rows(driver=values), ["driver"])
    assert recipe.terms.empty
    assert reason in set(recipe.left_out["reason"])


def test_a_candidate_that_the_data_lack_is_named():
    recipe = drivers_design.learn(design_rows(), ["seats"])
    assert recipe.left_out.iloc[0].tolist() == ["seats", "", "no value in the data"]


def test_without_a_penalty_a_level_in_which_nobody_left_counts_as_the_reference_and_is_named():
    rows = design_rows(plan=["x"] * 20 + ["y"] * 10 + ["z"] * 10)
    rows = rows.assign(is_churn=[True, False] * 15 + [False] * 10)
    recipe = drivers_design.learn(rows, ["plan"], folds_separated=True)
    assert recipe.terms[["level", "reference"]].to_numpy().tolist() == [["y", "x"]]
    assert recipe.left_out[["level", "reason"]].to_numpy().tolist() == [
        ["z", "0 events among 10 accounts; counted as other"],
        ["other", "0 events among 10 accounts; counted as x"],
    ]


def test_missing_numbers_have_a_level_of_their_own_and_sit_at_the_middle():
    values = [np.nan, 1.0, 2.0, 3.0] * 10
    rows = design_rows(usage=values).assign(is_churn=[True, False, True, False, False] * 8)
    recipe = drivers_design.learn(rows, ["usage"])
    assert list(recipe.terms["level"]) == ["", "not measured"]
    design = drivers_design.encode(rows, recipe)
    number, missing = (design[column] for column in recipe.columns)
    assert list(missing[:4]) == [1, 0, 0, 0]
    assert list(number[:4]) == [0, -0.5, 0, 0.5]  # (1, 2, 3) less 2, over 2


@pytest.mark.parametrize(
    ("largest", "unit"),
    [
        (4, "1 more (one unit; the quartiles are equal)"),
        (4.5, "1.507 more (one standard deviation)"),
    ],
    ids=["a count by one", "a measure by its standard deviation"],
)
def test_a_number_whose_quartiles_are_equal_is_measured_otherwise(largest, unit):
    rows = design_rows(tickets=[0, 0, 0, 0, 0, 0, 0, largest] * 5)
    recipe = drivers_design.learn(rows, ["tickets"])
    assert recipe.terms["unit"].iloc[0] == unit


def test_money_is_measured_in_doublings_and_never_breaks_at_nothing():
    rows = design_rows(mrr=[100.0, 200.0, 400.0, 800.0] * 10)
    recipe = drivers_design.learn(rows, ["mrr"])
    assert recipe.terms["unit"].tolist() == ["twice as much"]
    design = drivers_design.encode(rows.assign(mrr=[100.0, 200.0, 0.0, 1e9] * 10), recipe)
    own = design[recipe.columns[0]].iloc[:4]
    assert own.iloc[1] - own.iloc[0] == pytest.approx(1)  # twice as much
    assert own.iloc[2] == own.iloc[0]  # held at the least that was seen
    assert own.iloc[3] - own.iloc[0] == pytest.approx(3)  # and at the most


def test_a_number_without_a_value_in_a_few_rows_counts_at_the_median_and_says_so():
    rows = design_rows(usage=[None, *np.arange(39.0)])
    recipe = drivers_design.learn(rows, ["usage"])
    told = recipe.left_out[["level", "reason"]].to_numpy().tolist()
    assert told == [["not measured", "account-months without a value: 1, counted at the median"]]
    assert drivers_design.encode(rows, recipe)[recipe.columns[0]].iloc[0] == 0


def test_a_column_that_follows_from_another_is_left_out_and_named():
    draws = np.random.default_rng(20261111).normal(size=40)
    recipe = drivers_design.learn(design_rows(one=draws, two=2 * draws + 1), ["one", "two"])
    assert list(recipe.terms["driver"]) == ["one"]
    assert recipe.left_out.iloc[0].tolist() == ["two", "", "says the same as one"]
    assert recipe.dependent == ("two (as one)",)


def test_levels_and_quarters_not_seen_before_count_as_the_nearest_known():
    rows = design_rows(plan=["x", "x", "y", "y"] * 10).assign(is_churn=[True, False] * 20)
    recipe = drivers_design.learn(rows, ["plan"])
    later = rows.assign(plan="new", period="2031-12", tenure_months=90)
    design = drivers_design.encode(later, recipe)
    assert design[recipe.columns].eq(0).all(axis=None)
    assert design.filter(like="tenure").sum(axis=1).eq(1).all()


def test_names_from_data_never_name_a_column():
    rows = design_rows(plan=["__import__('os')", "Q('x')"] * 20)
    rows = rows.assign(is_churn=[True, False, False, True] * 10)
    recipe = drivers_design.learn(rows, ["plan"])
    assert all(column.isalnum() for column in drivers_design.encode(rows, recipe).columns)


# The model.


def test_the_model_finds_the_truth_and_not_the_noise(effects):
    ratios = effects.set_index(["driver", "level"])
    scale = float(ratios.loc[("usage_days", ""), "unit"].split()[0])
    expected = {
        ("usage_days", ""): TRUTH["usage"] * scale,
        ("has_value", "yes"): TRUTH["value"],
        ("segment", "ENT"): TRUTH["ent"],
    }
    for key, truth in expected.items():
        row = ratios.loc[key]
        assert row["ci_low"] < np.exp(truth) < row["ci_high"]
        assert row["finding"] == "goes with staying"
        assert row["ame"] < 0
    assert ratios.loc[("noise", ""), "finding"] in ("no clear sign", "sign not steady")


def test_effects_have_the_promised_columns_and_reference_rows(effects):
    assert set(TABLES["drivers.effects"][1]) <= set(effects.columns)
    reference = effects[effects["finding"] == "reference"]
    assert reference[["driver", "level", "hazard_ratio"]].to_numpy().tolist() == [
        ["segment", "SMB", 1.0]
    ]
    assert reference[["ci_low", "ame", "p_value"]].isna().all(axis=None)


def test_n_and_prevalence_count_what_is_behind_a_row(model, effects):
    rows = model.rows
    row = effects.set_index(["driver", "level"]).loc[("segment", "ENT")]
    own = rows[rows["segment"] == "ENT"]
    assert row["n"] == own["account_id"].nunique()
    assert row["n_months"] == len(own)
    assert row["n_events"] == own["is_churn"].sum()
    assert row["prevalence"] == pytest.approx(len(own) / len(rows))
    flag = effects.set_index(["driver", "level"]).loc[("has_value", "yes")]
    assert flag["prevalence"] == pytest.approx(rows["has_value"].mean())
    assert flag["n"] == model.n_accounts


def test_the_marginal_effect_is_the_mean_difference_in_next_month_churn(model, effects):
    column = model.recipe.terms.set_index("driver").loc["has_value", "column"]
    risks = [
        cloglog.probability(
            model.design.assign(**{column: level}).to_numpy(), model.fitted.params.to_numpy()
        ).mean()
        for level in (1.0, 0.0)
    ]
    ame = effects.set_index(["driver", "level"]).loc[("has_value", "yes"), "ame"]
    assert ame == pytest.approx(risks[0] - risks[1], rel=1e-9)


def test_three_churns_are_too_few_for_a_model_and_nothing_is_claimed():
    rows = world(500, 12, 20261112)
    churned = rows.index[rows["is_churn"] == True][3:]  # noqa: E712
    rows.loc[churned, "is_churn"] = False
    settled = drivers.settled(rows)
    model = drivers.fit(settled, CANDIDATES, 10)
    assert model.fitted is None
    assert model.reason.startswith("too few for a model: 3 churns for")
    origins = drivers.rolling_origins(settled, CANDIDATES, 10)
    signs = drivers.sign_records(model, origins)
    effects = drivers.effects(model, signs, 0.95, 0.1)
    assert effects.empty
    assert set(TABLES["drivers.effects"][1]) <= set(effects.columns)
    assert drivers.page_one(effects).empty
    assert drivers.no_model(model)["reason"].tolist() == [model.reason]
    assert drivers.vif(model, 5).empty
    held = drivers.hold_out(settled, CANDIDATES, 3, 10)
    assert all(table.empty for table in drivers.held_against(held, 0.95))
    assert drivers.importance(held, 0.95).empty
    told = drivers.back_test(origins, settled, 1, 12)
    assert drivers.forecast(told, drivers.shipped(drivers.grades(told, 0.95)), 0.95).empty


def test_no_rows_at_all_give_no_model_and_no_crash():
    rows = drivers.settled(world(50, 6, 20261113)).iloc[:0]
    model = drivers.fit(rows, CANDIDATES, 10)
    assert model.reason == "no driver with two values to compare"
    assert drivers.rolling_origins(rows, CANDIDATES, 10) == []
    assert drivers.hold_out(rows, CANDIDATES, 3, 10) is None


def test_a_finding_needs_a_small_q_and_a_steady_sign():
    row = {"q_value": 0.01, "sign_record": 1.0, "hazard_ratio": 1.5}
    assert _finding(row, 0.1) == "goes with leaving"
    assert _finding(row | {"hazard_ratio": 0.5}, 0.1) == "goes with staying"
    assert _finding(row | {"sign_record": 0.5}, 0.1) == "sign not steady"
    assert _finding(row | {"q_value": 0.2}, 0.1) == "no clear sign"
    assert _finding(row | {"q_value": np.nan}, 0.1) == "no clear sign"


def test_page_one_shows_the_largest_differences_of_each_kind():
    effects = pd.DataFrame(
        {name: [np.nan] * 6 for name in EFFECT_COLUMNS}
        | {"driver": list("abcdef"), "level": "", "ame": [0.01, 0.03, 0.02, 0.04, -0.01, -0.5],
           "finding": [drivers.LEAVING] * 4 + [drivers.STAYING, drivers.UNCLEAR]}
    )  # fmt: skip
    assert list(drivers.page_one(effects)["driver"]) == ["d", "b", "c", "e"]


@needs_shared
def test_inflation_of_single_columns_agrees_with_r():
    pima = pd.read_csv(SHARED / "data" / "pima_train.csv")
    expected = pd.read_csv(SHARED / "vif.csv").set_index("term")["vif"]
    rows = pima.assign(
        account_id=np.arange(len(pima)).astype(str), period="2026-01", tenure_months=1,
        is_churn=pima["y"] == 1,
    )  # fmt: skip
    recipe = drivers_design.learn(rows, list(expected.index))
    design = pima[list(expected.index)].set_axis(recipe.columns, axis=1)
    fitted = SimpleNamespace(params=None)
    model = drivers.DriverModel(rows, recipe, fitted, design)
    inflation = drivers.vif(model, 1.5).set_index("driver")
    assert dict(inflation["gvif"]) == pytest.approx(dict(expected), rel=1e-6)
    assert set(inflation.index[inflation["is_high"].astype(bool)]) == {"npreg", "age"}


def test_quick_scoring_equals_the_regression_it_stands_for(model):
    slow = grouped_hazard.fit(model.rows["is_churn"].to_numpy(float), model.design, None)
    quick = cloglog.scoring(model.rows["is_churn"], model.design.to_numpy())
    assert quick.converged
    assert quick.params == pytest.approx(slow.params.to_numpy(), abs=1e-8)
    assert quick.cov == pytest.approx(slow.cov.to_numpy(), rel=1e-6, abs=1e-10)


# Hold-out and forecast.


@needs_shared
def test_validation_agrees_with_r():
    pima = pd.read_csv(SHARED / "data" / "pima_test_predictions.csv")
    expected = pd.read_csv(SHARED / "binary_validation.csv").set_index("metric")["value"]
    null = float(pima["y"].mean())
    found = drivers.validation(
        pima["p"].to_numpy(), pima["y"].to_numpy(float), null, 0.95
    ).set_index("measure")
    names = {
        "observed_over_expected": "observed_over_expected",
        "calibration_intercept": "calibration_intercept_in_the_large",
        "calibration_slope": "calibration_slope",
        "auc": "auc",
        "gain_over_one_rate": "brier_skill",
    }
    for measure, metric in names.items():
        assert found.loc[measure, "estimate"] == pytest.approx(expected[metric], rel=1e-8)
    auc = found.loc["auc"]
    error = (auc["ci_high"] - auc["estimate"]) / 1.959963984540054
    assert error == pytest.approx(expected["auc_se_delong"], rel=1e-8)
    slope = found.loc["calibration_slope"]
    reach = 1.959963984540054 * expected["calibration_slope_se"]
    assert slope["ci_high"] - slope["estimate"] == pytest.approx(reach, rel=1e-6)


def test_calibration_counts_every_row_once_in_ten_bands():
    draws = np.random.default_rng(20261114)
    risk = draws.random(1003) * 0.2
    churned = (draws.random(1003) < risk).astype(float)
    table = drivers.calibration(risk, churned, 0.95)
    assert list(table["band"]) == list(range(1, 11))
    assert table["n"].sum() == 1003
    assert table["n_events"].sum() == churned.sum()
    assert table["predicted"].is_monotonic_increasing
    assert (table["n"] * table["predicted"]).sum() == pytest.approx(risk.sum())


def test_a_true_model_holds_on_the_months_kept_out(rows):
    settled = drivers.settled(rows)
    held = drivers.hold_out(settled, CANDIDATES, 6, 10)
    calibration, validation = drivers.held_against(held, 0.95)
    measures = validation.set_index("measure")
    assert measures.loc["calibration_slope", "ci_low"] < 1
    assert measures.loc["calibration_slope", "ci_high"] > 1
    assert measures.loc["auc", "ci_low"] > 0.55
    kept_out = sorted(settled["period"].unique())[-6:]
    assert calibration["n"].sum() == settled["period"].isin(kept_out).sum()


def test_later_rows_change_nothing_that_an_earlier_origin_said(rows, origins):
    settled = drivers.settled(rows)
    first = origins[0]
    poisoned = settled.assign(
        usage_days=settled["usage_days"].where(settled["period"] < first.period, 99),
        is_churn=settled["is_churn"] | (settled["period"] >= first.period),
    )
    again = drivers.rolling_origins(poisoned, CANDIDATES, 10)[0]
    assert again.coefficients.params == pytest.approx(first.coefficients.params, abs=1e-12)


def test_outcomes_of_the_months_kept_out_do_not_move_what_is_predicted_for_them(rows):
    settled = drivers.settled(rows)
    kept_out = settled["period"].isin(sorted(settled["period"].unique())[-3:])
    poisoned = settled.assign(is_churn=settled["is_churn"] | (kept_out & (settled["noise"] > 0)))
    said, again = (
        drivers.held_against(drivers.hold_out(either, CANDIDATES, 3, 10), 0.95)[0]
        for either in (settled, poisoned)
    )
    assert list(again["predicted"]) == pytest.approx(list(said["predicted"]), rel=1e-12)
    assert again["observed"].mean() > said["observed"].mean() + 0.3


def test_signs_are_counted_over_the_origins(model, origins):
    records = drivers.sign_records(model, origins)
    terms = model.recipe.terms.set_index("column")
    assert len(origins) == 6
    assert (records[terms["driver"] != "noise"] == 1).all()
    assert records.isin(np.arange(7) / 6).all()


def test_the_answer_names_what_was_found_or_why_nothing_is_claimed(model, effects):
    facts = drivers.answer(model, effects)
    assert set(facts["staying"]) == {"has_value", "segment ENT", "usage_days"}
    assert facts["leaving"] == []
    assert facts["n_events"] == model.rows["is_churn"].sum()
    assert facts["n_looked_at"] == len(effects) - 1  # all but the reference segment
    assert facts["reason"] == ""


def test_labels_say_driver_level_and_unit(effects):
    labels = drivers.labelled(effects).set_index(["driver", "level"])["label"]
    assert labels[("segment", "ENT")] == "segment ENT"
    assert labels[("has_value", "yes")] == "has_value"
    assert labels[("usage_days", "")].startswith("usage_days, ")
    assert labels[("usage_days", "")].endswith(" more")


def test_the_gain_counts_an_account_once_however_many_rows_it_has():
    draws = np.random.default_rng(20261117)
    risk = draws.uniform(0.02, 0.3, 2000)
    churned = (draws.random(2000) < risk).astype(float)
    names = ["ci_low", "ci_high"]
    one = drivers.validation(risk, churned, 0.15, 0.95).set_index("measure")
    four = drivers.validation(
        np.tile(risk, 4), np.tile(churned, 4), 0.15, 0.95, np.tile(np.arange(2000), 4)
    ).set_index("measure")
    own, again = one.loc["gain_over_one_rate", names], four.loc["gain_over_one_rate", names]
    assert list(again) == pytest.approx(list(own), rel=1e-9)
    assert own["ci_low"] > 0


def test_the_interval_of_the_gain_is_as_wide_as_resampled_accounts_say():
    draws = np.random.default_rng(20261118)
    risk = draws.uniform(0.02, 0.3, 1500)
    churned = (draws.random(1500) < risk).astype(float)
    loss, null_loss = (churned - risk) ** 2, (churned - 0.15) ** 2
    again = draws.integers(0, 1500, (2000, 1500))
    resampled = (1 - loss[again].sum(axis=1) / null_loss[again].sum(axis=1)).std()
    row = drivers.validation(risk, churned, 0.15, 0.95).set_index("measure")
    low, high = row.loc["gain_over_one_rate", ["ci_low", "ci_high"]]
    assert (high - low) / 2 / 1.96 == pytest.approx(resampled, rel=0.1)


EFFECTS_TO_READ = pd.DataFrame(
    [
        ("usage_days", "", "4 more (one interquartile range)", "", 0.8, 0.7, 0.9, drivers.STAYING),
        ("has_value", "yes", "yes against no", "no", 0.5, 0.4, 0.6, drivers.STAYING),
        ("segment", "smb", "reference", "smb", 1.0, None, None, drivers.REFERENCE),
        ("segment", "mid", "level against reference", "smb", 0.9, 0.7, 1.2, drivers.UNCLEAR),
    ],
    columns=[
        "driver",
        "level",
        "unit",
        "reference",
        "hazard_ratio",
        "ci_low",
        "ci_high",
        "finding",
    ],
).assign(ame=[-0.01, -0.02, 0.0, 0.0], ame_ci_low=0.0, ame_ci_high=0.0, prevalence=0.5, n=9)


def test_a_row_under_its_driver_says_what_it_compares():
    rows = drivers.compared(EFFECTS_TO_READ)
    assert rows["compared"].tolist() == ["4 more", "yes against no", "smb", "mid"]
    assert list(rows.columns[:2]) == ["driver", "compared"]
    assert not {"level", "unit", "reference"} & set(rows.columns)


def test_a_row_under_its_movement_has_one_name():
    rows = drivers.movement_rows(EFFECTS_TO_READ)
    assert rows["driver"].tolist() == [
        "usage_days, 4 more", "has_value", "segment smb", "segment mid",
    ]  # fmt: skip


def test_the_findings_in_words_have_their_ratio_and_interval():
    said = drivers.say_findings(EFFECTS_TO_READ, words)
    assert said == "Has value 0.50 (0.40 to 0.60) and Usage days 0.80 (0.70 to 0.90)"
    assert drivers.say_findings(EFFECTS_TO_READ.tail(2), words) == "no driver stands out"
