"""Which groups get value sooner: literal tables, R's numbers, known worlds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import time_to_value as chapter
from tests.analysis.starters import world_of

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
SEED = 20261122


def grouped(n: int, rates: dict[str, float], seed: int = SEED) -> pd.DataFrame:
    """Starters whose days to value depend on a colour; they leave at one rate."""
    draws = np.random.default_rng(seed)
    colour = draws.choice(list(rates), n)
    value = np.array([rates[each] for each in colour])
    table = world_of(value, np.full(n, 0.002), 1.0, draws)
    return table.assign(colour=colour, size=draws.choice(["small", "large"], n))


def counted(group: str, with_value: int, n: int) -> pd.DataFrame:
    """`n` starters of a group, some with value on day 10, all followed for 400 days."""
    value = np.arange(n) < with_value
    return pd.DataFrame(
        {
            "account_id": [f"{group}{place}" for place in range(n)],
            "colour": group,
            "followed_days": 400,
            "days": np.where(value, 10, 400),
            "outcome": np.where(value, 1, 0),
        }
    )


# Differences.


def test_without_censoring_a_difference_is_that_of_two_shares():
    rows = pd.concat([counted("red", 30, 60), counted("blue", 10, 40)], ignore_index=True)
    found = chapter.differences(rows, ["colour"], 0.95).query("day == 30").iloc[0]
    assert (found["level"], found["reference"], found["n"]) == ("blue", "red", 40)
    assert found["difference"] == pytest.approx(0.25 - 0.5)
    spread = np.sqrt((0.25 / 60 + 0.25 * 0.75 / 40) * 100 / 98)
    assert found["ci_high"] == pytest.approx(-0.25 + 1.959964 * spread)
    assert found["adjusted_difference"] == pytest.approx(found["difference"])


def test_the_difference_is_that_of_the_curves_shown_above_it():
    rows = grouped(1_500, {"red": 0.010, "blue": 0.020})
    curves = chapter.incidence(rows, ["colour"], 0.95)
    shares = chapter.shares_by_day(rows, curves).query("group == 'colour' and day == 90")
    by_level = shares.set_index("level")["value_share"]
    found = chapter.differences(rows, ["colour"], 0.95).query("day == 90").iloc[0]
    expected = by_level[found["level"]] - by_level[found["reference"]]
    assert found["difference"] == pytest.approx(expected, abs=2e-3)


def test_a_difference_finds_the_closed_form():
    rates = {"red": 0.010, "blue": 0.020}
    rows = grouped(4_000, rates)
    by_90 = {name: r / (r + 0.002) * -np.expm1(-(r + 0.002) * 90) for name, r in rates.items()}
    found = chapter.differences(rows, ["colour"], 0.95).query("day == 90").iloc[0]
    truth = by_90[found["level"]] - by_90[found["reference"]]
    assert found["ci_low"] < truth < found["ci_high"]
    assert abs(found["difference"] - truth) < 0.04


def test_a_group_that_only_stands_for_another_has_no_difference_of_its_own():
    draws = np.random.default_rng(SEED)
    size = draws.choice(["small", "large"], 3_000)
    rates = np.where(size == "large", 0.025, 0.008)
    agrees = draws.random(3_000) < 0.8
    colour = np.where((size == "large") == agrees, "blue", "red")
    rows = world_of(rates, np.full(3_000, 0.002), 1.0, draws).assign(size=size, colour=colour)
    found = chapter.differences(rows, ["colour", "size"], 0.95)
    row = found.query("group == 'colour' and day == 90").iloc[0]
    assert abs(row["difference"]) > 0.10
    assert row["adjusted_ci_low"] < 0 < row["adjusted_ci_high"]


def test_nine_starters_are_k_of_n_and_too_short_a_follow_up_is_named():
    few = pd.concat([counted("red", 30, 60), counted("blue", 4, 9)], ignore_index=True)
    assert chapter.differences(few, ["colour"], 0.95)["note"].tolist() == ["4 of 9"] * 2
    young = counted("blue", 10, 40).assign(followed_days=60)
    rows = pd.concat([counted("red", 30, 60), young], ignore_index=True)
    found = chapter.differences(rows, ["colour"], 0.95)
    assert found["note"].tolist() == ["", "too few are followed for 90 days"]
    assert found["difference"].isna().tolist() == [False, True]


def test_one_level_leaves_nothing_to_compare_and_no_starter_no_row():
    rows = counted("red", 30, 60)
    assert chapter.differences(rows, ["colour"], 0.95).empty
    assert chapter.differences(rows.head(0), ["colour"], 0.95).empty


# One test for all levels.


def test_groups_that_differ_are_told_from_groups_that_do_not():
    rows = grouped(2_000, {"red": 0.010, "blue": 0.020})
    found = chapter.group_tests(rows, ["colour", "size"]).set_index("stratum")
    assert found.loc["colour", "q_value"] < 0.001
    assert found.loc["size", "p_value"] > 0.05
    assert found["df"].tolist() == [1, 1]
    assert set(found["test"]) == {"gray"}


def test_a_level_too_small_for_a_test_is_left_out_and_named():
    rows = pd.concat([counted("red", 30, 60), counted("blue", 10, 40), counted("rare", 1, 3)])
    found = chapter.group_tests(rows, ["colour"]).iloc[0]
    assert (found["df"], found["n"], found["note"]) == (1, 100, "too few starters: rare")
    alone = chapter.group_tests(counted("red", 3, 60), ["colour"]).iloc[0]
    assert alone["note"] == "1 group: a comparison needs two"
    none = chapter.group_tests(counted("red", 3, 60).head(0), ["colour"]).iloc[0]
    assert none["note"] == "0 group: a comparison needs two"


# Determinants.


def test_both_causes_are_shown_and_a_rate_that_doubles_is_found():
    rows = grouped(3_000, {"red": 0.008, "blue": 0.016})
    table = chapter.determinants(chapter.cause_models(rows, ["colour"], 0.95))
    found = table.set_index("level")
    reference = found.loc[found.loc["red", "reference"]]
    assert reference["value_hazard_ratio"] == reference["churn_hazard_ratio"] == 1.0
    assert np.isnan(reference["value_ci_low"])
    level = found.drop(reference.name).iloc[0]
    truth = 2.0 if level.name == "blue" else 0.5
    assert level["value_ci_low"] < truth < level["value_ci_high"]
    assert level["churn_ci_low"] < 1.0 < level["churn_ci_high"]
    assert table["n"].sum() == 3_000
    both = rows["outcome"].value_counts()
    assert table["n_value"].sum() == both[1]
    assert table["n_churn"].sum() == both[2]


@pytest.mark.skipif(not REFERENCE.exists(), reason="the shared reference folder is absent")
@pytest.mark.parametrize(("outcome", "cause"), [("value", 1), ("churn", 2)])
def test_the_two_models_agree_with_r(outcome: str, cause: int):
    people = pd.read_csv(REFERENCE / "data" / "mgus2.csv")
    rows = people.rename(columns={"id": "account_id", "event": "outcome"}).assign(
        days=people["etime"] - 1, male=people["male"].map({0: "f", 1: "m"})
    )
    table = chapter.determinants(chapter.cause_models(rows, ["male", "age"], 0.95))
    found = table.set_index(["term", "level"])
    cases = pd.read_csv(REFERENCE / "cox_coef.csv").set_index(["case_id", "term"])
    expected = cases.loc[f"cox_mgus2_cs{cause}"]
    sign = 1 if found.loc[("male", "f"), "reference"] == "f" else -1
    other = "m" if sign == 1 else "f"
    ratio = found.loc[("male", other), f"{outcome}_hazard_ratio"] ** sign
    assert ratio == pytest.approx(expected.loc["male", "hr"], rel=1e-6)
    by_age = found.loc[("age", "per unit")]
    assert by_age[f"{outcome}_hazard_ratio"] == pytest.approx(expected.loc["age", "hr"], rel=1e-6)
    assert by_age[f"{outcome}_p_value"] == pytest.approx(expected.loc["age", "p"], rel=1e-5)


def test_value_on_day_0_is_an_event_like_any_other():
    rows = pd.concat(
        [counted("red", 40, 60), counted("blue", 40, 60).assign(days=lambda t: t["days"] - 10)],
        ignore_index=True,
    )
    table = chapter.determinants(chapter.cause_models(rows, ["colour"], 0.95))
    assert table["n_value"].sum() == 80
    assert table["value_hazard_ratio"].notna().all()


def test_q_values_are_taken_over_both_models_together():
    rows = grouped(2_000, {"red": 0.008, "blue": 0.010, "green": 0.014})
    table = chapter.determinants(chapter.cause_models(rows, ["colour", "size"], 0.95))
    p = pd.concat([table["value_p_value"], table["churn_p_value"]]).dropna().sort_values()
    q = pd.concat([table["value_q_value"], table["churn_q_value"]]).dropna().sort_values()
    assert len(p) == len(q) == 6
    raised = (p * 6 / np.arange(1, 7))[::-1].cummin()[::-1]
    assert q.to_numpy() == pytest.approx(raised.to_numpy())


def test_a_column_that_repeats_another_is_left_out_of_both_models_and_named():
    rows = grouped(800, {"red": 0.010, "blue": 0.020})
    rows = rows.assign(tone=rows["colour"].map({"red": "warm", "blue": "cold"}))
    models = chapter.cause_models(rows, ["colour", "tone"], 0.95)
    found = chapter.checks_of(models).query("name == 'rank'")
    assert len(found) == 2
    assert not found["passed"].any()
    assert found["note"].str.contains("tone").all()
    table = chapter.determinants(models).set_index("term")
    assert table.loc["colour", "value_hazard_ratio"].notna().all()
    assert table.loc["tone", "value_p_value"].isna().all()


def test_too_few_events_leave_the_ratios_out_and_say_so():
    rows = grouped(60, {"red": 0.008, "blue": 0.016})
    rows = rows.assign(outcome=np.where(np.arange(60) < 4, rows["outcome"], 0))
    models = chapter.cause_models(rows, ["colour"], 0.95)
    table = chapter.determinants(models)
    assert table["value_hazard_ratio"].isna().all()
    assert "10 per ratio are asked for" in table["note"].iloc[0]
    assert not any(model.badge["converged"] for model in models.values())
