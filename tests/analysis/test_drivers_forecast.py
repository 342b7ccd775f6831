"""What the drivers' model expects of a month: layers, back-test, grades, when it is not shown."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.analysis import drivers
from pipeline.analysis.drivers.back_test import BACK_TEST_COLUMNS, benchmarks, crps
from pipeline.analysis.drivers.forecast import (
    SharedShock,
    interval,
    losses,
    recalibration,
    shared_shock,
    shifted,
    sums_of,
)
from tests.analysis.driver_world import CANDIDATES, world

SEED = 20261115


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return world(1500, 24, 20261110)


@pytest.fixture(scope="module")
def back_test(rows) -> pd.DataFrame:
    settled = drivers.settled(rows)
    origins = drivers.rolling_origins(settled, CANDIDATES, 10, 18)
    coming = drivers.coming_month(rows, settled, CANDIDATES, 10)
    return drivers.back_test(drivers.in_order(origins, coming), settled, SEED, 12)


# The layers.


def test_chance_alone_is_the_exact_distribution_of_unequal_chances():
    design, params = np.ones((40, 1)), np.array([np.log(-np.log1p(-0.25))])
    found = interval(design, params, np.zeros((1, 1)), SharedShock(), 1, layer="chance")
    expected = stats.binom.ppf([[0.1, 0.9], [0.025, 0.975]], 40, 0.25)
    assert found[["ci_low", "ci_high"]].to_numpy().tolist() == expected.tolist()
    assert found["expected"].tolist() == pytest.approx([10, 10])


def test_each_layer_adds_its_own_variance():
    design, params, cov = np.ones((2000, 1)), np.array([-3.0]), np.array([[0.04]])
    shock = SharedShock(0.3, 10**9)  # so many degrees of freedom: normal
    draws = losses(design, params, cov, sums_of(np.ones(2000)), shock, np.random.default_rng(3),
                   n_draws=4000)  # fmt: skip
    p = float(shifted(1 - np.exp(-np.exp(-3.0)), 0.0))
    expected, chance = 2000 * p, 2000 * p * (1 - p)
    rate = 2000 * np.exp(-3.0) * (1 - p)  # how the mean moves with the log hazard
    assert draws["chance"][:, 0].mean() == pytest.approx(expected, rel=0.01)
    assert draws["chance"][:, 0].var() == pytest.approx(chance, rel=0.1)
    assert draws["coefficients"][:, 0].var() == pytest.approx(chance + rate**2 * 0.04, rel=0.15)
    assert draws["shared_shock"][:, 0].var() == pytest.approx(chance + rate**2 * 0.13, rel=0.25)
    np.testing.assert_array_equal(draws["chance"][:, 0], draws["chance"][:, 1])  # MRR of 1 each


def test_the_shared_shock_is_found_by_its_moments():
    draws = np.random.default_rng(20261123)
    expected = np.full(4000, 40.0)
    observed = draws.poisson(expected * np.exp(0.25 * draws.standard_normal(4000)))
    assert shared_shock(expected, expected, observed).size == pytest.approx(0.25, abs=0.03)
    assert shared_shock(expected, expected, observed).degrees == 3999
    assert shared_shock([40.0], [40.0], [90.0]) == SharedShock()


def test_recalibration_makes_earlier_forecasts_right_on_the_whole():
    risks = [np.array([0.1, 0.2, 0.4]), np.array([0.3])]
    shift = recalibration(risks, 1.6)
    assert sum(shifted(risk, shift).sum() for risk in risks) == pytest.approx(1.6)
    assert recalibration(risks, 0.0) == -3
    assert recalibration([], 5.0) == 0


# The back-test.


def test_an_origin_learns_only_from_months_that_were_settled_by_then(rows):
    settled = drivers.settled(rows)
    origin = drivers.rolling_origins(settled, CANDIDATES, 10, 1, behind=3)[0]
    last = "2025-09"  # the origin is 2025-12
    poisoned = settled.assign(is_churn=settled["is_churn"] | (settled["period"] > last))
    again = drivers.rolling_origins(poisoned, CANDIDATES, 10, 1, behind=3)[0]
    assert origin.period == "2025-12"
    assert again.coefficients.params == pytest.approx(origin.coefficients.params, abs=1e-12)
    closer = settled.assign(is_churn=settled["is_churn"] | (settled["period"] >= last))
    moved = drivers.rolling_origins(closer, CANDIDATES, 10, 1, behind=3)[0]
    assert moved.probability.mean() > origin.probability.mean() + 0.01


def test_the_newest_settled_month_may_lie_months_behind_the_one_to_come():
    rows = pd.DataFrame(
        {"period": ["2026-08", "2026-09", "2026-11"], "is_churn": [True, True, None],
         "is_settled": [True, False, False]}
    )  # fmt: skip
    assert drivers.months_behind(rows) == 3
    assert drivers.months_behind(rows.iloc[:2]) == 1


def test_a_later_outcome_moves_no_earlier_forecast(rows):
    settled = drivers.settled(rows)
    origins = drivers.rolling_origins(settled, CANDIDATES, 10, 9)
    newest = settled["period"] == origins[-1].period
    poisoned = settled.assign(is_churn=settled["is_churn"] | newest)
    again = drivers.rolling_origins(poisoned, CANDIDATES, 10, 9)
    said, told = (
        drivers.back_test(one, known, SEED, 9)
        for one, known in ((origins, settled), (again, poisoned))
    )
    same = said["period"] < origins[-1].period
    pd.testing.assert_frame_equal(said[same], told[same])
    same_forecast = ["expected", "ci_low", "ci_high", "mean_of_3_months"]
    pd.testing.assert_frame_equal(said[same_forecast], told[same_forecast])


def test_the_back_test_has_a_row_per_origin_and_measure_and_the_month_to_come(back_test):
    assert list(back_test.columns) == BACK_TEST_COLUMNS
    past = back_test[~back_test["is_next"].astype(bool)]
    assert len(past) == 24
    assert past["n_forerunners"].min() >= 5
    coming = back_test[back_test["is_next"].astype(bool)].set_index("measure")
    assert coming["period"].tolist() == ["2026-01"] * 2
    assert coming["observed"].isna().all()
    lost = coming.loc["customers_lost"]
    assert lost["ci_low"] < lost["expected"] < lost["ci_high"]
    assert coming.loc["mrr_lost", "expected"] == pytest.approx(100 * lost["expected"])
    wide, narrow = (past[f"{layer}_95_high"] - past[f"{layer}_95_low"] for layer in
                    ("shared_shock", "chance"))  # fmt: skip
    assert (wide >= narrow * 0.9).all()


def test_a_forecast_learns_from_no_miss_that_was_not_settled_by_then(rows):
    settled = drivers.settled(rows)
    origins = drivers.rolling_origins(settled, CANDIDATES, 10, 5, behind=3)
    told = drivers.back_test(origins, settled, SEED, 5, behind=3)
    assert told["n_forerunners"].tolist()[::2] == [0, 0, 0, 1, 2]


def test_benchmarks_use_only_months_known_by_then():
    history = pd.DataFrame(
        {"n": 100.0, "lost": [1.0, 2.0, 3.0, 9.0], "mrr": 1000.0, "mrr_lost": [0.0, 10, 20, 90]},
        index=[10, 11, 12, 13],
    )
    found = benchmarks(history, 14, behind=2)
    assert list(found["mean_of_3_months"]) == pytest.approx([0.02, 0.01])
    assert np.isnan(found["same_month_last_year"]).all()
    assert list(benchmarks(history, 22, 12)["same_month_last_year"]) == pytest.approx([0.01, 0.0])


# Grades.


def test_the_score_of_a_sample_is_its_distance_less_half_its_spread():
    assert crps(np.array([1.0, 3.0]), 2.0) == pytest.approx(1 - 0.5)
    draws = np.random.default_rng(7).normal(size=20000)
    normal = 2 * stats.norm.pdf(0) - 1 / np.sqrt(np.pi)  # of N(0, 1) at 0; Gneiting (2007)
    assert crps(draws, 0.0) == pytest.approx(normal, abs=0.01)


def test_coverage_has_exact_limits_and_says_that_it_cannot_certify(back_test):
    found = drivers.grades(back_test, 0.95)
    own = found[(found["grade"] == "coverage") & (found["measure"] == "customers_lost")]
    assert len(own) == 6
    assert own["note"].str.contains("cannot certify").all()
    row = own.iloc[-1]
    k = round(row["estimate"] * 12)
    expected = stats.beta.ppf(0.025, k, 13 - k)
    assert row["ci_low"] == pytest.approx(expected)
    pit = found[(found["grade"] == "pit") & (found["measure"] == "customers_lost")]
    assert pit["estimate"].sum() == 12


@pytest.mark.parametrize(("factor", "method"), [(0.0, "model"), (30.0, "mean_of_3_months")])
def test_a_model_no_better_than_the_mean_of_three_months_is_not_shown(back_test, factor, method):
    is_past = ~back_test["is_next"].astype(bool)
    nearer = back_test["observed"] + factor * back_test["mean_of_3_months"].std()
    changed = back_test.assign(expected=nearer.where(is_past, back_test["expected"]))
    ships = drivers.shipped(drivers.grades(changed, 0.95))
    shown = drivers.forecast(changed, ships, 0.95)
    assert set(shown["method"]) == {method}
    coming = shown[shown["is_next"].astype(bool) & (shown["measure"] == "customers_lost")].iloc[0]
    column = "expected" if method == "model" else "mean_of_3_months"
    own = changed[~is_past & (changed["measure"] == "customers_lost")].iloc[0]
    assert coming["expected"] == own[column]
    assert coming["ci_low"] < coming["expected"] < coming["ci_high"]
    assert ("no better" in coming["note"]) == (method != "model")


def test_months_in_which_nobody_leaves_are_graded_without_a_ratio(back_test):
    quiet = back_test.assign(observed=0.0, mean_of_3_months=0.0, same_month_last_year=0.0)
    grades = drivers.grades(quiet, 0.95)  # warnings are errors: no 0 / 0
    ratios = grades[grades["grade"] == "observed_over_expected"].set_index("forecast")
    assert ratios.loc["mean_of_3_months", "estimate"].isna().all()
    assert ratios.loc["model", "estimate"].eq(0).all()
    shown = drivers.forecast(quiet, drivers.shipped(grades), 0.95)
    assert shown[["ci_low", "ci_high"]].isna().all(axis=None)


def test_page_one_has_the_last_forecast_beside_its_outcome_and_the_next(back_test):
    ships = drivers.shipped(drivers.grades(back_test, 0.95))
    table = drivers.forecast(back_test, ships, 0.95)
    beside = drivers.side_by_side(table)
    assert list(beside["target_period"]) == ["2025-12", "2026-01"]
    assert beside["customers_observed"].notna().tolist() == [True, False]
    empty = drivers.side_by_side(table.iloc[:0])
    assert empty.empty
    assert list(empty.columns) == list(beside.columns)


def test_a_level_not_seen_before_counts_as_another_and_is_told(rows):
    settled = drivers.settled(rows)
    coming = rows[rows["is_churn"].isna()].assign(segment="GOV")
    origin = drivers.coming_month(pd.concat([settled, coming]), settled, CANDIDATES, 10)
    told = drivers.back_test([origin], settled, SEED, 1)
    assert told["note"].str.contains(f"{len(coming)} accounts with a level of segment").all()


def test_luck_drawn_for_many_accounts_together_spreads_as_it_does_one_by_one(monkeypatch):
    draws = np.random.default_rng(20261125)
    design = np.column_stack([np.ones(4000), draws.normal(size=(4000, 2))])
    params, cov = np.array([-2.5, 0.6, -0.3]), np.diag([0.01, 0.004, 0.004])
    mrr, shock = draws.lognormal(4, 1, 4000), SharedShock(0.1, 17)
    given = design, params, cov, sums_of(mrr), shock
    one_by_one = losses(*given, np.random.default_rng(7), 0.1, 4000)
    monkeypatch.setattr(sys.modules[losses.__module__], "MANY", 4000)
    together = losses(*given, np.random.default_rng(8), 0.1, 4000)
    for layer, slow in one_by_one.items():
        quick = together[layer]
        error = slow.std(axis=0) / np.sqrt(4000)
        assert (np.abs(quick.mean(axis=0) - slow.mean(axis=0)) < 6 * error).all()
        np.testing.assert_allclose(quick.std(axis=0), slow.std(axis=0), rtol=0.1)
        assert np.corrcoef(quick.T)[0, 1] == pytest.approx(np.corrcoef(slow.T)[0, 1], abs=0.05)
