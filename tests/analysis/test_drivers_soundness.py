"""Would a reviewer sign the drivers? Leaks, lags, separation, checks, contrast, other choices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from pipeline.analysis import drivers
from pipeline.analysis.choices import LEDGER_COLUMNS, SPECIFICATION_COLUMNS
from pipeline.analysis.drivers import clusters, leaks, soundness
from pipeline.analysis.drivers.form import BENT, VIF_COLUMNS
from pipeline.analysis.drivers.model import LARGEST_COEFFICIENT, PENALISED
from pipeline.analysis.drivers.registry import FEATURES
from pipeline.analysis.drivers.validation import VALIDATION_COLUMNS
from tests.analysis.driver_world import CANDIDATES, TRUTH, world

PRIMARY = ("has_value", 0.95)
NO_CURVE = pd.DataFrame(columns=["what", "note"])


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    months = world(1500, 24, 20261110)
    return months.assign(end_type="voluntary", is_in_notice=months.index % 50 == 0)


@pytest.fixture(scope="module")
def model(rows) -> drivers.DriverModel:
    return drivers.fit(drivers.settled(rows), CANDIDATES, 10)


@pytest.fixture(scope="module")
def effects(rows, model) -> pd.DataFrame:
    settled = drivers.settled(rows)
    held = drivers.hold_out(settled, CANDIDATES, 3, 10)
    signs = pd.Series(1.0, index=model.recipe.columns)
    more = drivers.held_out_signs(model, held), drivers.lagged_ratios(model, rows, 1)
    return drivers.effects(model, signs, 0.95, 0.1, *more)


# What may be asked.


@pytest.mark.parametrize(
    "name",
    ["next_month_usage", "status_at_extract", "lifetime_months", "final_invoice",
     "usage_after_notice", "reached_value_ever", "is_in_notice", "end_type", "clever_score"],
)  # fmt: skip
def test_a_candidate_that_may_know_the_future_is_refused(name):
    account_months = pd.DataFrame({"account_id": ["a"], "period": ["2026-01"], name: [1]})
    accounts = pd.DataFrame({"account_id": ["a"]})
    with pytest.raises(drivers.LeakageError, match=name):
        drivers.driver_rows(account_months, accounts, [name])


def test_a_column_that_names_accounts_is_refused():
    ids = [f"n{number}" for number in range(40)]
    accounts = pd.DataFrame({"account_id": ids, "label": ids})
    months = pd.DataFrame({"account_id": ids, "period": "2026-01"})
    with pytest.raises(drivers.LeakageError, match="label has 40 levels in 40 accounts"):
        drivers.driver_rows(months, accounts, ["label"])


def test_every_feature_of_the_account_months_has_a_rule():
    from pipeline.data.schema.stage import ACCOUNT_MONTHS

    plumbing = {"period", "account_id", "tenure_months", "is_age_known", "is_settled", "is_churn",
                "end_type", "is_in_notice"}  # fmt: skip
    assert set(ACCOUNT_MONTHS.columns) - plumbing <= set(FEATURES)
    told = drivers.registered(["usage_days", "own_attribute"])
    assert told["available"].tolist()[1] == "as it was at signing"


def test_an_outcome_that_is_neither_0_nor_1_is_refused():
    months = pd.DataFrame({"is_settled": True, "is_age_known": True, "is_churn": [0, 2, "yes"]})
    with pytest.raises(ValueError, match="2 outcomes in is_churn are neither 0 nor 1"):
        drivers.settled(months)


# Lags and leaks.


def test_a_lag_takes_the_value_of_the_calendar_month_before_and_blanks_what_is_not_there():
    months = pd.DataFrame(
        {"account_id": ["a", "a", "a", "b"], "period": ["2025-12", "2026-01", "2026-03", "2026-03"],
         "usage_days": [1.0, 2.0, 3.0, 4.0], "segment": ["x", "x", "x", "y"]}
    )  # fmt: skip
    found = drivers.lagged(months, ["usage_days", "segment"], 1)
    assert found["is_lag_known"].tolist() == [False, True, False, False]
    assert found["usage_days"].isna().tolist() == [True, False, True, True]
    assert found["usage_days"].iloc[1] == 1.0
    assert found["segment"].tolist() == ["x", "x", "x", "y"]
    assert months["usage_days"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_features_are_lagged_where_no_notice_is_on_file(rows):
    assert drivers.blackout_months(rows) == 0
    assert drivers.blackout_months(rows.assign(is_in_notice=False)) == 1


def test_a_driver_that_knows_the_future_stops_the_model(rows):
    churned = (rows["is_churn"] == True).astype(float)  # noqa: E712 - blank is not known yet
    leaky = rows.assign(hint=churned + np.random.default_rng(9).normal(0, 0.4, len(rows)))
    monitored = leaks.monitor(leaky, [*CANDIDATES, "hint"])
    assert monitored.set_index("driver")["is_leak"].to_dict() == {
        **dict.fromkeys(CANDIDATES, False), "hint": True,
    }  # fmt: skip
    check = leaks.check(monitored)
    assert check.is_hard
    assert "hint (alone it tells leavers from stayers" in check.note
    faded = rows.assign(hint=churned + np.random.default_rng(9).normal(0, 1.0, len(rows)))
    assert "falls from" in leaks.check(leaks.monitor(faded, ["hint"])).note
    stopped = drivers.fit(drivers.settled(leaky), CANDIDATES, 10, 0.95, check.note)
    assert stopped.fitted is None
    nothing, none = pd.DataFrame(), drivers.effects(stopped, pd.Series(dtype=float), 0.95, 0.1)
    told = soundness.checks(stopped, nothing, nothing, monitored, NO_CURVE, none, *PRIMARY)
    card = drivers.contrast(stopped, none, "has_value", told)
    assert np.isnan(card["estimate"])
    assert [check.name for check in card["checks"] if not check.passed] == ["leakage"]


# Few events and separation.


def test_a_level_in_which_nobody_left_gets_a_penalised_fit_with_finite_ratios():
    months = world(500, 10, 20261119)
    settled = drivers.settled(months)
    settled = settled[(settled["segment"] != "ENT") | ~settled["is_churn"]].reset_index(drop=True)
    found = drivers.fit(settled, ["segment", "has_value"], 10)
    assert found.method == PENALISED
    assert found.recipe.separated == ["segment ENT"]
    told = drivers.effects(found, pd.Series(dtype=float), 0.95, 0.1).set_index(["driver", "level"])
    row = told.loc[("segment", "ENT")]
    assert 0 < row["hazard_ratio"] < 0.2
    assert row["ci_high"] < 1
    assert np.isfinite(row[["ci_low", "ame", "ame_ci_low"]].astype(float)).all()
    assert found.fitted.params.abs().max() < LARGEST_COEFFICIENT
    checks = soundness.checks(
        found, drivers.vif(found, 5), pd.DataFrame(columns=VALIDATION_COLUMNS),
        leaks.monitor(months, ["segment"]), NO_CURVE, told.reset_index(), *PRIMARY,
    )  # fmt: skip
    separation = next(check for check in checks if check.name == "separation")
    assert separation.note == "everybody or nobody left at segment ENT; Firth's penalty was used"


@pytest.mark.parametrize(
    ("events", "method"), [(45, "grouped-time hazard"), (25, PENALISED), (15, None)]
)
def test_events_per_term_choose_the_model_by_count_alone(events, method):
    months = drivers.settled(world(300, 8, 20261120))
    keep = months.index[months["is_churn"]][:events]
    months = months.assign(is_churn=months.index.isin(keep))
    found = drivers.fit(months, CANDIDATES, 10)  # four terms
    assert (found.method if found.fitted else None) == method
    if method is None:
        assert found.reason == ("too few for a model: 15 churns for 4 terms, 5 for each are needed")


# Managers.


def managed(n_managers: int) -> pd.DataFrame:
    """Account-months whose driver `script` is one value per manager."""
    months = world(1500, 12, 20261121)
    csm = months["account_id"].astype(int) % n_managers
    return drivers.settled(months.assign(csm_id=csm.astype(str), script=csm % 2 == 0))


def test_errors_of_what_a_manager_sets_are_clustered_by_manager():
    found = drivers.fit(managed(40), ["script", "usage_days"], 10)
    told = clusters.by_manager(found)
    assert len(told) == 1
    y, design = found.rows["is_churn"].to_numpy(float), found.design
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    groups = pd.factorize(found.rows["csm_id"])[0]
    slow = sm.GLM(y, design, family=family).fit(cov_type="cluster", cov_kwds={"groups": groups})
    expected = slow.bse[told["column"].iloc[0]]
    assert told["std_err"].iloc[0] == pytest.approx(expected, rel=1e-6)
    assert told["degrees"].iloc[0] == 38
    effect = drivers.effects(found, pd.Series(dtype=float), 0.95, 0.1).set_index("driver")
    assert effect["clustered_by"].to_dict() == {"script": "csm_id", "usage_days": "account_id"}


def test_fewer_than_eight_managers_describe_and_do_not_test():
    found = drivers.fit(managed(6), ["script", "usage_days"], 10)
    effect = drivers.effects(found, pd.Series(dtype=float), 0.95, 0.1).set_index("driver")
    assert np.isnan(effect.loc["script", "ci_low"])
    assert "descriptive only" in effect.loc["script", "cluster_note"]
    assert effect.loc["script", "finding"] == drivers.UNCLEAR


# Does it hold?


def test_only_a_driver_that_matters_is_missed_when_it_changes_hands(rows):
    held = drivers.hold_out(drivers.settled(rows), CANDIDATES, 6, 10)
    found = drivers.importance(held, 0.95, 3).set_index("driver")
    assert found.loc["usage_days", "ci_low"] > 0
    assert found.loc["noise", "ci_low"] < 0 < found.loc["noise", "ci_high"]
    again = drivers.importance(held, 0.95, 3).set_index("driver")
    pd.testing.assert_frame_equal(found, again)


def test_a_bend_is_found_where_there_is_one():
    months = world(3000, 12, 20261125)
    settled = drivers.settled(months)
    x = np.random.default_rng(11).normal(size=len(settled))
    y = np.random.default_rng(12).random(len(settled)) < -np.expm1(-np.exp(-3 + 0.5 * x**2))
    bent = settled.assign(usage_days=x, is_churn=y)
    found = drivers.functional_form(drivers.fit(bent, ["usage_days", "noise"], 10))
    assert found.set_index("what").loc["usage_days", "note"] == BENT
    straight = drivers.functional_form(drivers.fit(settled, ["usage_days", "noise"], 10))
    assert (straight.set_index("what")["note"] != BENT).all()


def test_effects_tell_how_they_stand_when_read_a_month_earlier(effects):
    value = effects.set_index(["driver", "level"]).loc[("has_value", "yes")]
    assert value["lagged_hazard_ratio"] == pytest.approx(np.exp(TRUTH["value"]), rel=0.35)
    assert not value["is_halved_by_lag"]
    usage = effects.set_index("driver").loc["usage_days"]  # drawn afresh every month
    assert usage["is_halved_by_lag"]
    assert value["held_out_sign"] == 1


def test_a_finding_that_the_months_kept_out_contradict_is_not_steady(model):
    signs = pd.Series(1.0, index=model.recipe.columns)
    against = drivers.effects(model, signs, 0.95, 0.1, held_out_signs=-signs)
    own = against[against["finding"] != drivers.REFERENCE]
    assert set(own["finding"]) <= {drivers.UNSTEADY, drivers.UNCLEAR}


# Checks and the primary contrast.


def limits_of(ratio, slope, gain) -> pd.DataFrame:
    names = ["observed_over_expected", "calibration_slope", "gain_over_one_rate"]
    limits = pd.DataFrame([ratio, slope, gain], columns=["ci_low", "ci_high"])
    return limits.assign(measure=names, estimate=limits.mean(axis=1))


@pytest.mark.parametrize(
    ("limits", "failing"),
    [
        ([(0.9, 1.2), (0.6, 1.2), (0.001, 0.02)], set()),
        ([(0.58, 0.88), (0.6, 1.2), (0.001, 0.02)], {"calibration: observed over expected"}),
        ([(0.9, 1.2), (0.6, 1.2), (-0.001, 0.02)], {"better than one rate"}),
        ([(0.9, 1.2), (0.2, 0.9), (0.001, 0.02)], {"calibration: slope"}),
    ],
    ids=["all hold", "fewer left", "gain not told from none", "too extreme"],
)
def test_each_check_reads_the_interval_of_its_own_measure(rows, model, effects, limits, failing):
    seen = leaks.monitor(rows, CANDIDATES), NO_CURVE, effects, *PRIMARY
    found = soundness.checks(model, drivers.vif(model, 5), limits_of(*limits), *seen)
    notes = {check.name: check.note for check in found}
    assert f"{limits[2][0]:.2%}".replace("%", " %") in notes["better than one rate"]
    assert {check.name for check in found if not check.passed} == failing


def test_without_a_hold_out_no_check_of_it_passes_and_collinear_pairs_are_named(
    rows, model, effects
):
    inflation = pd.DataFrame([("mrr", 1, 9.0, 9.0, 5, True, "seats")], columns=VIF_COLUMNS)
    nothing = pd.DataFrame(columns=VALIDATION_COLUMNS)
    seen = leaks.monitor(rows, CANDIDATES), NO_CURVE, effects, *PRIMARY
    found = soundness.checks(model, inflation, nothing, *seen)
    failed = {check.name: check.note for check in found if not check.passed}
    assert failed["collinearity"] == "cannot be told apart: mrr and seats"
    assert set(failed) == {
        "collinearity", "calibration: observed over expected", "calibration: slope",
        "better than one rate",
    }  # fmt: skip


def test_the_primary_contrast_covers_the_truth_and_carries_the_checks_of_the_model(
    rows, model, effects
):
    seen = leaks.monitor(rows, CANDIDATES), NO_CURVE, effects, *PRIMARY
    held = limits_of((0.9, 1.2), (0.6, 1.2), (0.001, 0.02))
    checks = soundness.checks(model, drivers.vif(model, 5), held, *seen)
    card = drivers.contrast(model, effects, "has_value", checks)
    assert card["ci_low"] < np.exp(TRUTH["value"]) < card["ci_high"]
    assert card["statement"] == (
        "ratio of the hazards of leaving next month, value: yes against no; "
        "below 1 goes with staying"
    )
    assert [check.name for check in card["checks"]][-2:] == [
        "proportional hazards", "holds when a month older",
    ]  # fmt: skip
    assert [check for check in checks if check.name == "proportional hazards"] == [
        card["checks"][-2]
    ]
    assert all(check.passed for check in card["checks"])
    missing = drivers.contrast(model, effects, "seats", [])
    assert np.isnan(missing["estimate"])
    assert (missing["checks"][0].name, missing["checks"][0].is_hard) == ("in the model", True)


# Other choices, and shortcuts.


def test_the_first_specification_is_the_primary_one_and_others_vary_one_choice(rows, effects):
    found = drivers.specifications(rows, CANDIDATES, "has_value", 10, 0.95)
    assert list(found.columns) == SPECIFICATION_COLUMNS
    assert found["is_primary"].tolist() == [True] + [False] * (len(found) - 1)
    primary = effects.set_index(["driver", "level"]).loc[("has_value", "yes")]
    names = ["ci_low", "ci_high"]
    assert found.loc[0, "estimate"] == pytest.approx(primary["hazard_ratio"], rel=1e-6)
    assert found["specification"].str.len().max() < 45
    assert list(found.loc[0, names]) == pytest.approx(list(primary[names]), rel=1e-4)
    assert set(found["choice"]) == {"primary", "lag", "model", "covariates", "sample", "event",
                                    "errors"}  # fmt: skip
    said = found.set_index("specification")["estimate"]
    assert said["logistic"] == pytest.approx(
        said["Primary: grouped-time hazard, all drivers"], rel=0.05
    )
    assert said["Cox on months, errors not clustered"] == pytest.approx(
        said["Primary: grouped-time hazard, all drivers"], rel=0.1
    )


def test_a_specification_that_cannot_be_fitted_keeps_its_row_and_the_reason(rows):
    found = drivers.specifications(rows, CANDIDATES, "has_value", 10_000, 0.95)
    assert found["estimate"].isna().all()
    assert found["note"].str.startswith("too few").all()


def test_shortcuts_are_wrong_in_the_direction_that_theory_says(rows):
    found = drivers.bias_ledger(rows, CANDIDATES, "has_value", 10, 0.95)
    assert list(found.columns) == LEDGER_COLUMNS
    ever = found[found["shortcut"].str.startswith("odds")].iloc[0]
    assert ever["wrong_estimate"] < ever["right_ci_low"]  # who stayed had time to reach value
    assert ever["right_ci_low"] < np.exp(TRUTH["value"]) < ever["right_ci_high"]


# Growing and shrinking.


def test_each_movement_against_staying_agrees_with_the_multinomial_regression():
    draws = np.random.default_rng(20261126)
    settled = drivers.settled(world(1200, 8, 20261127))
    x = settled["usage_days"].to_numpy(float)
    odds = np.exp(np.column_stack([0 * x, -3 - 0.1 * (x - 8), -2.5 + 0.15 * (x - 8)]))
    share = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    which = (draws.random(len(x))[:, None] > share).sum(axis=1)
    names = np.array(["retained", "contraction", "expansion"])
    ledger = settled[["period", "account_id"]].assign(movement=names[which])
    found = drivers.movements(settled, ledger, ["usage_days"], 10, 0.95)
    design = drivers.encode(settled, drivers.learn(settled, ["usage_days"]))
    whole = sm.MNLogit(which, design.to_numpy()).fit(disp=0)
    at = design.shape[1] - 1
    for row, movement in enumerate(("contraction", "expansion")):
        own = found[found["movement"] == movement].iloc[0]
        expected = np.exp(whole.params[at, row])
        assert own["relative_risk_ratio"] == pytest.approx(expected, rel=0.03)
    rare = drivers.movements(settled, ledger.assign(movement="retained"), ["usage_days"], 10, 0.95)
    assert rare["note"].str.startswith("too few: 0").all()


def test_a_movement_that_a_driver_decides_alone_has_a_reason_and_no_number():
    settled = drivers.settled(world(1200, 8, 20261127))
    is_heavy = settled["usage_days"] > settled["usage_days"].median()
    movement = np.where(is_heavy, "expansion", "retained")
    ledger = settled[["period", "account_id"]].assign(movement=movement)
    found = drivers.movements(settled, ledger, ["usage_days"], 10, 0.95)
    own = found[found["movement"] == "expansion"]
    assert own["note"].eq("the coefficients did not settle").all()
    numbers = ["relative_risk_ratio", "ci_low", "ci_high", "p_value", "q_value"]
    assert own[numbers].isna().all(axis=None)
