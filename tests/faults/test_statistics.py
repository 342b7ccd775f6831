"""Faults 68 to 92: what the numbers meet in real life, injected through the chapters' functions.

Each test is named after its fault, breaks the data the way real data break, and asks for the right
behaviour: the number with its limits, or the reason in place of the number; never a wrong one.
"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.analysis import checks, drivers, revenue, survival
from pipeline.analysis import time_to_value as ttv
from pipeline.analysis.drivers import clusters
from pipeline.analysis.drivers.design import encode, learn, unseen_levels
from pipeline.analysis.drivers.forecast import SharedShock, losses, sums_of
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.registry import LeakageError
from pipeline.analysis.levels import MOST_LEVELS, NOT_MEASURED, OTHER, levels_of
from pipeline.analysis.time_to_value.clone_censor import clone_censor_weight
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.reporting import chapter
from pipeline.reporting.figures import Figure
from pipeline.reporting.privacy import small_numbers
from pipeline.reporting.records import plan, record
from pipeline.reporting.records.record import plain
from pipeline.reporting.records.restatements import Restatements
from pipeline.settings import Paths
from pipeline.statistics import grouped_hazard, life_table
from pipeline.statistics.proportional_hazards import survival_at

COMPANY = {"company": "acme", "company_name": "Acme", "periods": ["2026-08"]}
OUT = "build/scratch/out"
CUT_OFF = dt.date(2026, 10, 31)
NO_SIGNS = pd.Series(dtype=float)


def at_risk_of(durations, events, entry=0, cause="voluntary", **strata) -> pd.DataFrame:
    """First spells at risk; those without an event are paid until the cut-off."""
    events, durations = np.asarray(events, bool), np.asarray(durations)
    names = [f"a{number:05d}" for number in range(len(durations))]
    spells = pd.DataFrame(
        {
            "account_id": names,
            "spell": 1,
            "start_date": pd.Timestamp(CUT_OFF) - pd.to_timedelta(durations, unit="D"),
            "end_type": np.where(events, cause, None),
            "entry_days": np.broadcast_to(entry, len(durations)),
            "duration_days": durations,
            "is_churn": events,
            "is_age_known": True,
            "is_followed": True,
        }
    )
    accounts = pd.DataFrame({"account_id": names, **strata})
    return survival.spells_at_risk(spells, accounts, list(strata))


def months_of(seed: int, n: int = 400, months: int = 12, hazard=0.05, **candidates):
    """Settled account-months; `hazard` and candidates: one value, n x 1 (accounts), n x months."""
    gone = np.random.default_rng(seed).random((n, months)) < hazard
    account, month = np.nonzero(np.cumsum(gone, axis=1) - gone == 0)
    older = np.random.default_rng(seed + 1).integers(0, 12, n)
    names = pd.period_range("2025-01", periods=months, freq="M").astype(str).to_numpy()
    rows = pd.DataFrame(
        {
            "account_id": [f"a{number:05d}" for number in account],
            "period": names[month],
            "tenure_months": month + older[account],
            "mrr": 100.0,
            "is_churn": gone[account, month],
            "is_settled": True,
            "is_age_known": True,
        }
    )
    values = {
        name: np.broadcast_to(value, (n, months))[account, month]
        for name, value in candidates.items()
    }
    return rows.assign(**values)


def per_account(values) -> np.ndarray:
    return np.asarray(values)[:, None]


def starters_of(value_day, end_day, is_lost, **covariates) -> pd.DataFrame:
    n = len(end_day)
    return pd.DataFrame(
        {"account_id": [f"a{number:05d}" for number in range(n)], "value_day": value_day,
         "end_day": end_day, "is_lost": is_lost, "followed_days": 900, **covariates}
    )  # fmt: skip


# 68 to 70: nothing to compare.


def test_f068_when_nobody_left_the_share_is_1_without_an_interval_and_the_median_is_not_reached():
    at_risk = at_risk_of([400] * 30, [0] * 30, plan=["x", "y"] * 15)
    share = survival.retention(at_risk, 366, 0.95)
    assert (share.estimate, share.note) == (1.0, "nobody left among 30: no interval")
    assert np.isnan([share.ci_low, share.ci_high]).all()
    assert survival.curves(at_risk, [], 0.95)[["ci_low", "ci_high"]].isna().all(axis=None)
    assert survival.median_lifetime(at_risk, 0.95).state == "not_reached"


def test_f068_when_nobody_left_no_model_is_fitted_and_no_group_is_tested():
    at_risk = at_risk_of([400] * 30, [0] * 30, plan=["x", "y"] * 15)
    for fit in (survival.cox, survival.grouped_time):
        assert not fit(at_risk, ["plan"]).is_fitted
    tested = survival.tests(at_risk, ["plan"], None).iloc[0]
    assert (np.isnan(tested["p_value"]), tested["note"]) == (True, "no events")
    rows = months_of(68, hazard=0.0, usage_days=per_account(np.arange(400)))
    assert drivers.fit(rows, ["usage_days"], 10).reason.startswith("too few for a model: 0 churns")


def test_f069_a_segment_in_which_nobody_left_is_shown_with_0_events_and_has_no_ratio():
    plan = ["x", "y", "y", "x"] * 25 + ["z"] * 20
    at_risk = at_risk_of([*range(10, 110), *[300] * 20], [1] * 100 + [0] * 20, plan=plan)
    for fit in (survival.cox, survival.grouped_time):
        result = fit(at_risk, ["plan"])
        empty = result.ratios.set_index("level").loc["z"]
        assert (empty["n"], empty["n_events"]) == (20, 0)
        assert empty["note"] == "0 events among 20, left out"
        assert np.isnan(empty["hazard_ratio"])
        assert "plan z" in result.design.separated
        assert (result.n, result.n_events) == (100, 100)
    others = at_risk[at_risk["plan"] != "z"]
    alone = survival.cox(others, ["plan"]).ratios.set_index("level")["hazard_ratio"]
    kept = survival.cox(at_risk, ["plan"]).ratios.set_index("level")["hazard_ratio"]
    assert kept[alone.index].to_numpy() == pytest.approx(alone.to_numpy(), rel=1e-9)


def test_f070_one_group_is_not_tested_and_the_row_says_why():
    at_risk = at_risk_of(range(10, 40), [1, 0] * 15, one=["x"] * 30, two=["x", "x", "y"] * 10)
    tested = survival.tests(at_risk, ["one", "two"], None).set_index("stratum")
    assert tested.loc["one", ["statistic", "p_value", "q_value"]].isna().all()
    assert tested.loc["one", "note"] == "1 group: a comparison needs two"
    # A test that was not made is not one that was looked at.
    assert tested.loc["two", "q_value"] == tested.loc["two", "p_value"]


# 71 to 79: what models choke on.


def separated_rows() -> pd.DataFrame:
    """Nobody of the 40 accounts of plan z leaves."""
    plan = np.repeat(["x", "y", "z"], [100, 60, 40])
    hazard = per_account(np.where(plan == "z", 0.0, 0.1))
    return months_of(71, n=200, months=8, hazard=hazard, plan=per_account(plan))


def test_f071_a_level_at_which_nobody_left_is_penalised_named_and_never_e_to_the_48():
    rows = separated_rows()
    model = drivers.fit(rows, ["plan"], 10)
    assert model.is_penalised
    assert model.recipe.separated == ["plan z"]
    ratios = drivers.effects(model, NO_SIGNS, 0.95, 0.10).set_index("level")["hazard_ratio"]
    assert 0 < ratios["z"] < 0.1
    assert np.abs(np.log(ratios.astype(float))).max() < 10
    check = checks.separation(model.recipe.separated, penalised=True)
    assert (check.passed, "Firth's penalty was used" in check.note) == (False, True)


def test_f071_a_fit_without_penalty_says_that_it_did_not_settle_instead_of_a_ratio():
    rows = separated_rows()
    design = encode(rows, learn(rows, ["plan"]))
    plain = grouped_hazard.fit(rows["is_churn"], design, rows["account_id"])
    assert not plain.converged


def test_f071_value_after_which_nobody_left_has_no_ratio_but_a_hard_check():
    n = 60
    starters = starters_of(
        value_day=np.where(np.arange(n) < 30, 20.0, np.nan),
        end_day=np.where(np.arange(n) < 30, 400, np.arange(n) * 5 + 10),
        is_lost=np.arange(n) >= 30,
    )
    model = ttv.leaving_model(ttv.start_stop(starters), "has_value", [], 0.95)
    assert np.isnan(model.hazard_ratio)
    assert checks.stopped_by(model.checks) == "too few for a model: 0 losses among 30 with value"


def test_f072_a_number_that_tells_leavers_apart_but_for_one_tie_gets_a_finite_effect():
    generator = np.random.default_rng(72)
    usage = np.round(generator.uniform(0, 10, (400, 1)), 1)
    rows = months_of(72, hazard=(usage < 1.0).astype(float), months=3, usage_days=usage)
    tie = rows.index[rows["usage_days"] == rows.loc[~rows["is_churn"], "usage_days"].min()][0]
    rows.loc[tie, "is_churn"] = True
    assert not grouped_hazard.fit(
        rows["is_churn"], encode(rows, learn(rows, ["usage_days"])), rows["account_id"]
    ).converged
    model = drivers.fit(rows, ["usage_days"], 5)
    ratios = drivers.effects(model, NO_SIGNS, 0.95, 0.10)["hazard_ratio"].astype(float)
    assert model.is_penalised or model.reason
    assert np.abs(np.log(ratios)).max() < 10 or ratios.empty


def test_f073_a_constant_column_is_dropped_before_the_fit_and_named():
    usage = np.random.default_rng(73).poisson(8, (400, 12))
    rows = months_of(73, usage_days=usage, seats=5.0, segment="SMB")
    model = drivers.fit(rows, ["usage_days", "seats", "segment"], 10)
    assert list(model.recipe.terms["driver"]) == ["usage_days"]
    reasons = model.recipe.left_out.set_index("driver")["reason"]
    assert reasons["seats"] == "one value only"
    assert reasons["segment"] == "one level to compare"
    at_risk = at_risk_of(range(10, 110), [1] * 100, plan=["x", "y"] * 50, one=["k"] * 100)
    assert "one: one level, nothing to compare" in survival.cox(at_risk, ["plan", "one"]).note
    starters = starters_of(
        np.where(np.arange(100) % 2, 20.0, np.nan), np.arange(100) * 3 + 30, True, segment="SMB"
    )
    model = ttv.leaving_model(ttv.start_stop(starters), "has_value", ["segment"], 0.95)
    assert (model.converged, model.terms) == (True, ("has_value",))


def test_f074_collinear_columns_are_named_as_a_pair_and_one_of_them_is_left_out():
    usage = np.random.default_rng(74).poisson(8, (400, 12))
    rows = months_of(74, usage_days=usage, usage_events=3.0 * usage)
    model = drivers.fit(rows, ["usage_days", "usage_events"], 10)
    assert list(model.recipe.terms["driver"]) == ["usage_days"]
    assert model.recipe.dependent == ("usage_events (as usage_days)",)
    assert not checks.rank(model.recipe.dependent).passed
    twin = ["x", "y"] * 60
    at_risk = at_risk_of(range(10, 130), [1] * 120, plan=twin, tier=twin)
    result = survival.cox(at_risk, ["plan", "tier"])
    assert result.design.dependent == ("tier y",)
    assert "tier y: follows from the other terms, left out" in result.note


def test_f074_when_all_accounts_began_together_the_calendar_is_left_out_and_named():
    usage = np.random.default_rng(742).poisson(8, (400, 12))
    rows = months_of(742, usage_days=usage)
    rows = rows.assign(tenure_months=rows["period"].str[5:].astype(int) - 1)
    model = drivers.fit(rows, ["usage_days"], 10)
    assert model.fitted.converged
    reason = model.recipe.left_out.set_index("driver").loc["calendar quarter", "reason"]
    assert reason == "follows from the tenure: the accounts began together"


def test_f074_columns_that_nearly_say_the_same_are_marked_by_their_variance_inflation():
    generator = np.random.default_rng(741)
    usage = generator.poisson(8, (400, 12)).astype(float)
    near = usage + generator.normal(0, 0.5, usage.shape)
    rows = months_of(
        741, usage_days=usage, usage_events=near, seats=generator.normal(size=(400, 12))
    )
    inflation = drivers.vif(drivers.fit(rows, ["usage_days", "usage_events", "seats"], 5), 5)
    assert list(inflation.set_index("driver")["is_high"]) == [True, True, False]


@pytest.mark.parametrize(
    ("n", "is_fitted", "is_penalised"),
    [(1200, True, False), (330, True, True), (150, False, False)],
)
def test_f075_events_per_parameter_decide_between_a_model_a_penalised_one_and_none(
    n, is_fitted, is_penalised
):
    generator = np.random.default_rng(75)
    names = ["usage_days", "usage_events", "tickets", "touches"]
    drawn = {name: generator.poisson(5, (n, 4)) for name in names}
    rows = months_of(75, n=n, months=4, hazard=0.025, **drawn)
    model = drivers.fit(rows, names, 10)
    per_term = rows["is_churn"].sum() / 4
    assert (per_term >= 10, per_term >= 5) == (is_fitted and not is_penalised, is_fitted)
    assert (model.fitted is not None, model.is_penalised) == (is_fitted, is_penalised)
    check = checks.events_per_parameter(model.n_events, 4, penalised=model.is_penalised)
    assert bool(checks.stopped_by([check])) is not is_fitted
    assert is_fitted or "for 4 terms" in model.reason


def test_f075_a_cox_model_under_the_floor_is_refused_with_the_counts():
    at_risk = at_risk_of([100] * 19 + [400] * 481, [1] * 19 + [0] * 481,
                         plan=["x", "y", "z", "z", "z"] * 100)  # fmt: skip
    result = survival.cox(at_risk, ["plan"])
    assert not result.is_fitted
    assert result.ratios.empty
    assert "19 events for 2 terms" in result.note


def test_f076_a_column_that_names_accounts_is_refused_as_a_driver():
    months = pd.DataFrame({"account_id": [f"a{k}" for k in range(40)], "period": "2026-01"})
    accounts = months[["account_id"]].assign(vat_number=[f"GB{k}" for k in range(40)])
    with pytest.raises(LeakageError, match="vat_number has 40 levels in 40 accounts"):
        drivers.driver_rows(months, accounts, ["vat_number"])
    with pytest.raises(LeakageError, match="account_id is an id"):
        drivers.driver_rows(months, accounts, ["account_id"])


def test_f076_a_stratum_of_many_levels_shows_the_most_frequent_and_one_other():
    owners = pd.Series([f"o{k % 300}" for k in range(3000)])
    assert levels_of(owners).nunique() == MOST_LEVELS
    assert levels_of(owners).eq(OTHER).sum() == 3000 - 10 * (MOST_LEVELS - 1)


def test_f077_a_level_never_seen_before_counts_as_other_in_a_forecast():
    plan = np.repeat(["x", "y", "r1", "r2", "r3"], [188, 187, 9, 8, 8])
    rows = months_of(77, plan=per_account(plan), hazard=0.1)
    recipe = learn(rows, ["plan"])
    assert OTHER in set(recipe.terms["level"]) | set(recipe.terms["reference"])
    fresh = rows.head(3).assign(plan=["x", "launched yesterday", "r1"])
    design = encode(fresh, recipe)
    assert len(design) == 3
    assert design.notna().all(axis=None)
    told = recipe.terms.set_index("level")["column"]
    assert design[told[OTHER]].tolist() == [0.0, 1.0, 1.0]
    assert unseen_levels(Months(fresh), recipe) == {"plan": 1}


def test_f078_blanks_are_a_level_of_their_own_and_no_row_is_dropped():
    usage = np.random.default_rng(78).poisson(8, (400, 12)).astype(float)
    usage[:100] = np.nan
    segment = np.repeat(["SMB", None, "ENT"], [200, 80, 120])
    rows = months_of(78, usage_days=usage, segment=per_account(segment))
    model = drivers.fit(rows, ["usage_days", "segment"], 5)
    assert model.fitted.n == len(rows)
    table = drivers.effects(model, NO_SIGNS, 0.95, 0.10).set_index(["driver", "level"])
    assert table.loc[("usage_days", ""), "n"] == 300
    blank = rows["usage_days"].isna().mean()
    assert table.loc[("usage_days", NOT_MEASURED), "prevalence"] == pytest.approx(blank)
    assert table.loc[("segment", NOT_MEASURED), "n"] == 80
    plan = ["x", None, "y", "y"] * 30
    result = survival.cox(at_risk_of(range(10, 130), [1] * 120, plan=plan), ["plan"])
    assert result.n == 120
    assert result.ratios.set_index("level").loc[NOT_MEASURED, "n"] == 30


def test_f078_a_blank_that_reaches_a_fit_is_an_error_with_its_count():
    design = pd.DataFrame({"one": 1.0, "usage": [1.0, np.nan, 2.0, np.inf]})
    with pytest.raises(ValueError, match="2 rows have a missing or infinite covariate"):
        grouped_hazard.fit([0, 1, 0, 1], design, None)


@pytest.mark.parametrize("codes", [[0, 2, 0, 2], ["no", "yes", "no", "yes"], [0.0, 0.5, 1.0, 0.0]])
def test_f079_an_outcome_that_is_neither_0_nor_1_stops_the_model(codes):
    rows = months_of(79, n=4, months=1, hazard=0.0).assign(is_churn=codes)
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        drivers.settled(rows)


def test_f079_an_event_coded_2_stops_a_curve():
    with pytest.raises(ValueError, match="2 events are neither 0 nor 1"):
        life_table.kaplan_meier([1, 2, 3, 4], [0, 2, 0, 2])


@pytest.mark.parametrize("codes", [[0, 2, 0, 2], ["no", "yes", "no", "yes"]])
def test_f079_spells_whose_churn_is_no_flag_are_refused(codes):
    flags = at_risk_of([10] * 4, [0] * 4)
    spells = flags.assign(spell=1, end_type=None, is_churn=codes, is_age_known=True,
                          is_followed=True)  # fmt: skip
    with pytest.raises((ValueError, TypeError)):
        survival.spells_at_risk(spells, flags[["account_id"]], [])


# 80 to 87: what makes a right-looking number wrong.


def test_f080_customers_from_before_the_data_enter_late_and_the_known_truth_is_found():
    generator = np.random.default_rng(80)
    length = np.ceil(generator.exponential(500, 6000)).astype(int)
    age_at_window = np.maximum(generator.integers(-700, 1500, 6000), 0)
    seen = length > age_at_window  # the others left before anybody wrote them down
    length, entry = length[seen], age_at_window[seen]
    end = np.minimum(length, entry + 700)
    at_risk = at_risk_of(end, length <= end, entry)
    truth = np.exp(-366 / 500)
    right = survival.retention(at_risk, 366, 0.95)
    assert right.ci_low < truth < right.ci_high
    wrong = survival.retention(at_risk.assign(entry_days=0), 366, 0.95)
    assert wrong.ci_low > truth + 0.05


def test_f080_a_spell_that_ends_before_it_enters_is_an_error_that_names_rows():
    at_risk = at_risk_of(range(10, 30), [1] * 20).assign(entry_days=15)
    with pytest.raises(ValueError, match=r"6 durations do not lie after their entry \(row 0: 10"):
        survival.curves(at_risk, [], 0.95)


def test_f081_one_cause_is_read_beside_the_others_and_1_less_km_overstates_it():
    generator = np.random.default_rng(81)
    voluntary, involuntary = generator.exponential([[400], [600]], (2, 4000))
    first = np.ceil(np.minimum(voluntary, involuntary)).astype(int)
    cause = np.where(voluntary < involuntary, "voluntary", "involuntary")
    at_risk = at_risk_of(np.minimum(first, 1000), first <= 1000, cause=cause)
    rate = 1 / 400 + 1 / 600
    truth = (1 / 400) / rate * (1 - np.exp(-366 * rate))
    incidence = survival.cumulative_incidence(at_risk, [], 0.95)
    year = incidence[(incidence["cause"] == "voluntary") & (incidence["time_days"] <= 366)].iloc[-1]
    assert year["ci_low"] < truth < year["ci_high"]
    assert year["estimate"] == pytest.approx(truth, abs=0.03)
    km = life_table.kaplan_meier(at_risk["duration_days"], at_risk["cause"] == "voluntary")
    assert 1 - km.loc[km["time"] <= 366, "estimate"].iloc[-1] > truth + 0.1
    left = incidence[incidence["time_days"] <= 366].groupby("cause")["estimate"].last().sum()
    curve = survival.curves(at_risk, [], 0.95)
    assert left == pytest.approx(1 - curve.loc[curve["time_days"] <= 366, "estimate"].iloc[-1])


def test_f082_a_ratio_that_drifts_fails_its_check_and_is_shown_by_age():
    generator = np.random.default_rng(82)
    early = generator.random(3000) < 0.5
    first = np.ceil(generator.exponential(np.where(early, 100, 600)))
    length = np.where(first <= 92, first, 92 + np.ceil(generator.exponential(400, 3000)))
    group = np.where(early, "a", "b")
    at_risk = at_risk_of(np.minimum(length, 1000).astype(int), length <= 1000, group=group)
    tested = survival.proportional_hazards_tests(survival.cox(at_risk, ["group"]))
    p_value = tested.loc[tested["stratum"] == "all", "p_value"].iloc[0]
    check = checks.proportional_hazards(p_value, 0.95)
    assert not check.passed
    assert "drifts with age" in check.note
    bands = survival.hazard_ratios_by_age(at_risk, ["group"]).set_index(["age_band", "level"])
    drift = bands["hazard_ratio"].xs("a", level=1) / bands["hazard_ratio"].xs("b", level=1)
    assert drift["0–3 months"] > 4
    assert drift["over 12 months"] < 1.3


def test_f083_nothing_is_read_beyond_follow_up_or_where_too_few_are_at_risk():
    at_risk = at_risk_of([*range(100, 300), *[400] * 9], [1, 0] * 100 + [0] * 9, plan=["x"] * 209)
    for day, left in ((366, 9), (1096, 0)):
        reading = survival.retention(at_risk, day, 0.95)
        assert np.isnan([reading.estimate, reading.ci_low, reading.ci_high]).all()
        assert reading.note == f"only {left} accounts at risk at day {day}, 11 are needed"
    mean = survival.restricted_means(at_risk, [], [12], 0.95).iloc[0]
    assert np.isnan(mean["estimate"])
    assert mean["note"].startswith("only 9 accounts at risk at day 366")


def test_f083_a_prediction_beyond_follow_up_is_missing_and_not_flat():
    baseline = np.array([10.0, 20.0]), np.array([0.1, 0.3])
    predicted = survival_at(*baseline, linear_predictor=[0.0], at=[15, 25], follow_up=20)
    assert predicted[0, 0] == pytest.approx(np.exp(-0.1))
    assert np.isnan(predicted[0, 1])


def test_f083_a_share_with_value_by_a_day_nobody_was_followed_to_is_blank():
    starters = starters_of([5.0, np.nan] * 20, [5, 60] * 20, False).assign(
        days=[5, 60] * 20, outcome=[1, 0] * 20, followed_days=60, start_quarter="2026-Q3"
    )
    curve = ttv.incidence(starters, [], 0.95)
    shares = ttv.shares_by_day(starters, curve, [30, 90])
    everybody = shares[shares["group"] == "all"].set_index("day")
    assert everybody.loc[30, "value_share"] == pytest.approx(0.5)
    assert np.isnan(everybody.loc[90, "value_share"])
    assert everybody.loc[90, "note"] == "too few are followed for 90 days"


def test_f084_when_all_leave_on_monthly_ages_the_grouped_model_is_primary_and_cox_its_check():
    generator = np.random.default_rng(84)
    slow = generator.random(3000) < 0.5
    months = generator.geometric(-np.expm1(-np.where(slow, 0.03, 0.06)))
    marks = np.array([30.4375 * month for month in range(1, 25)]).round().astype(int)
    days, churned = marks[np.minimum(months, 24) - 1], months <= 24
    at_risk = at_risk_of(days, churned, plan=np.where(slow, "slow", "fast"))
    assert survival.is_time_grouped(at_risk)
    assert not survival.is_time_grouped(at_risk_of(np.arange(1, 401), [1] * 400))
    fits = [fit(at_risk, ["plan"]) for fit in (survival.cox, survival.grouped_time)]
    cox, grouped = (fit.ratios.set_index("level")["hazard_ratio"] for fit in fits)
    ratio = grouped["slow"] / grouped["fast"]
    assert np.log(ratio) == pytest.approx(np.log(0.5), abs=0.1)
    assert cox["slow"] / cox["fast"] == pytest.approx(ratio, rel=0.03)


def test_f085_money_in_millions_of_millions_gives_the_same_effect_as_money_in_tens():
    mrr = np.random.default_rng(85).lognormal(4, 1, (400, 1)).round(2) + 1
    tables = []
    for scale in (1.0, 1e12):
        rows = months_of(85, hazard=np.clip(0.05 * (mrr / 60) ** 0.3, 0, 1)).drop(columns="mrr")
        account = rows["account_id"].str[1:].astype(int).to_numpy()
        model = drivers.fit(rows.assign(mrr=scale * mrr[account, 0]), ["mrr"], 5)
        tables.append(drivers.effects(model, NO_SIGNS, 0.95, 0.10).iloc[0])
    small, huge = tables
    assert huge["unit"] == "twice as much"
    numbers = ["hazard_ratio", "ci_low", "ci_high", "ame"]
    assert huge[numbers].astype(float).tolist() == pytest.approx(
        small[numbers].astype(float).tolist(), rel=1e-6
    )
    assert huge["hazard_ratio"] > 1.05


def test_f085_a_count_of_huge_values_is_told_per_interquartile_range():
    events = np.random.default_rng(851).poisson(50, (400, 12)) * 1e12
    rows = months_of(851, usage_events=events)
    row = drivers.effects(drivers.fit(rows, ["usage_events"], 5), NO_SIGNS, 0.95, 0.1).iloc[0]
    assert "one interquartile range" in row["unit"]
    assert 0.5 < row["hazard_ratio"] < 2
    assert row["ci_high"] - row["ci_low"] > 0.01


def test_f086_of_forty_segments_that_say_nothing_none_is_found_and_the_number_looked_at_is_told():
    generator = np.random.default_rng(86)
    strata = {f"s{k:02d}": generator.choice(["a", "b"], 600) for k in range(40)}
    length = np.ceil(generator.exponential(400, 600)).astype(int)
    at_risk = at_risk_of(np.minimum(length, 700), length <= 700, **strata)
    tested = survival.tests(at_risk, list(strata), None)
    assert (tested["p_value"] < 0.05).any()  # the false alarm that one would have printed
    assert (tested["q_value"] > 0.10).all()
    names = [f"n{k:02d}" for k in range(12)]
    drawn = {name: generator.normal(size=(600, 12)) for name in names}
    model = drivers.fit(months_of(860, n=600, **drawn), names, 10)
    table = drivers.effects(model, NO_SIGNS, 0.95, 0.10)
    assert (table["q_value"] >= table["p_value"]).all()
    assert drivers.answer(model, table)["n_looked_at"] == 12


def test_f087_rows_of_one_account_count_as_one_account_in_the_errors_of_a_driver():
    usage = np.random.default_rng(87).poisson(8, (1000, 1))
    rows = months_of(87, n=1000, months=1, hazard=0.4, usage_days=usage)
    doubled = pd.concat([rows, rows], ignore_index=True)
    once, twice = (drivers.fit(table, ["usage_days"], 5).fitted for table in (rows, doubled))
    assert twice.params["x0"] == pytest.approx(once.params["x0"], rel=1e-6)
    clustered = np.sqrt(twice.cov.loc["x0", "x0"] / once.cov.loc["x0", "x0"])
    assert clustered == pytest.approx(1, abs=0.01)
    design = encode(doubled, learn(doubled, ["usage_days"]))
    naive = grouped_hazard.fit(doubled["is_churn"], design, None).cov.loc["x0", "x0"]
    assert np.sqrt(naive / once.cov.loc["x0", "x0"]) == pytest.approx(np.sqrt(0.5), abs=0.05)


def test_f087_several_relationships_of_an_account_have_errors_by_account():
    generator = np.random.default_rng(872)
    plan = generator.choice(["x", "y"], 400)
    length = np.ceil(generator.exponential(400, 400)).astype(int)
    first = at_risk_of(np.minimum(length, 700), length <= 700, plan=plan)
    twice = pd.concat([first, first], ignore_index=True)
    once = survival.cox(first, ["plan"])
    naive, clustered = (survival.cox(twice, ["plan"], is_clustered=is_on) for is_on in (0, 1))
    errors = [np.sqrt(fit.cov[0, 0]) for fit in (once, naive, clustered)]
    assert errors[1] / errors[0] == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert errors[2] / errors[0] == pytest.approx(1, abs=0.05)
    assert clustered.n == 400


def test_f087_a_driver_set_per_manager_has_errors_clustered_by_manager():
    generator = np.random.default_rng(871)
    manager = np.repeat(np.arange(20), 30)
    luck = generator.normal(0, 0.6, 20)
    style = np.where(np.arange(20) % 2 == 0, "calls", "mails")
    hazard = per_account(np.clip(0.04 * np.exp(luck[manager]), 0, 1))
    rows = months_of(871, n=600, hazard=hazard, touch_model=per_account(style[manager]),
                     csm_id=per_account([f"m{number}" for number in manager]))  # fmt: skip
    model = drivers.fit(rows, ["touch_model"], 5)
    found = clusters.by_manager(model).iloc[0]
    by_account = np.sqrt(model.fitted.cov.loc[found["column"], found["column"]])
    assert found["std_err"] > 1.5 * by_account
    assert found["cluster_note"].endswith("errors clustered by 20 of them: fragile")


# 88 to 92: what makes a right number impossible to sign.


def late_starters(n: int = 200) -> pd.DataFrame:
    generator = np.random.default_rng(88)
    value = np.ceil(generator.exponential(30, n))
    end = np.minimum(np.ceil(generator.exponential(600, n)), 700).astype(int)
    return starters_of(np.where(value < end, value, np.nan), end, end < 700,
                       segment=generator.choice(["SMB", "ENT"], n))  # fmt: skip


GLOBAL_DRAWS = (
    "seed", "random", "rand", "randn", "randint", "choice", "normal", "uniform", "multinomial",
    "poisson", "binomial", "exponential", "permutation", "shuffle", "standard_normal",
)  # fmt: skip


def test_f088_a_bootstrap_repeats_itself_and_leaves_the_global_generator_alone(monkeypatch):
    starters = late_starters()
    for name in GLOBAL_DRAWS:
        monkeypatch.setattr(np.random, name, None)
    first = clone_censor_weight(starters, ["segment"], 0.95, seed=7)
    again = clone_censor_weight(starters, ["segment"], 0.95, seed=7)
    assert np.isfinite(first["ci_low"])
    assert first == again
    other = clone_censor_weight(starters, ["segment"], 0.95, seed=8)
    assert other["estimate"] == first["estimate"]
    assert other["ci_low"] != first["ci_low"]


def test_f088_the_draws_of_a_forecast_follow_from_the_seed_of_the_run():
    design, params = np.ones((200, 1)), np.array([-3.0])
    shock = SharedShock(0.2, 11)
    mrr = np.random.default_rng(880).lognormal(4, 1, 200)
    lost = [
        losses(design, params, np.eye(1) * 0.01, sums_of(mrr), shock, np.random.default_rng(seed))
        for seed in (5, 5, 6)
    ]
    first, again, other = (draws["shared_shock"][:, 1].sum() for draws in lost)
    assert first == again
    assert first != other


def test_f088_no_module_draws_from_a_generator_that_nobody_seeded():
    allowed = {"default_rng", "SeedSequence", "Generator", "BitGenerator", "PCG64"}
    package = Path(__file__).parents[2] / "pipeline"
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        drawn = set(re.findall(r"np\.random\.(\w+)", text))
        assert drawn <= allowed, f"{path.name} draws by {sorted(drawn - allowed)}"
        assert "default_rng()" not in text, f"{path.name} has a generator without a seed"


def test_f089_the_last_digits_that_differ_between_machines_are_not_published():
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other
    assert plain(one) == plain(other)
    texts = {store.published_csv(pd.DataFrame({"estimate": [sum_]})) for sum_ in (one, other)}
    assert len(texts) == 1
    kept = float(store.published_csv(pd.DataFrame({"estimate": [1 / 3]})).split()[1])
    assert kept == pytest.approx(1 / 3, rel=1e-12)


def test_f089_the_order_of_rows_moves_no_number_that_is_published():
    usage = np.random.default_rng(89).poisson(8, (400, 12))
    segment = np.where(np.arange(400) < 150, "ENT", "SMB")
    rows = months_of(89, usage_days=usage, segment=per_account(segment))
    shuffled = rows.sample(frac=1, random_state=89).reset_index(drop=True)
    straight, mixed = (
        drivers.effects(drivers.fit(table, ["usage_days", "segment"], 5), NO_SIGNS, 0.95, 0.1)
        for table in (rows, shuffled)
    )
    numbers = ["hazard_ratio", "ci_low", "ci_high", "ame", "q_value"]
    np.testing.assert_allclose(
        mixed[numbers].astype(float), straight[numbers].astype(float), rtol=1e-8
    )


def kept_report(paths: Paths, period: str, **decided: object) -> dict:
    """A published report of a company that decided this before it read its data."""
    plan_ = plan.plan_of(configuration.parse(COMPANY | decided))
    report = {
        "company": "acme", "period": period, "status": "final", "revision": 1, "plan": plan_,
        "headline": [{"name": "mrr_end", "estimate": 1000.0}],
        "provenance": {"plan_sha256": plan.hash_of(plan_)},
    }  # fmt: skip
    store.write_json(record.sealed(report), paths.reports / period / record.FILE_NAME)
    return report


def test_f090_a_changed_churn_rule_is_named_and_its_moved_months_are_no_news(tmp_path):
    paths = Paths(tmp_path, "acme")
    kept_report(paths, "2026-08", grace_days=30)
    later = kept_report(paths, "2026-09", grace_days=60)
    assert record.definition_changes(later, paths) == [
        {"setting": "grace_days", "before": 30, "now": 60, "since": "2026-08"}
    ]
    bridges = {"revenue.mrr_bridge": [{"period": "2026-08", "mrr_end": "1040"}]}
    moved = Restatements(later, paths).rows(bridges, 1)
    assert [row["reason"] for row in moved] == ["new definition"]
    same = kept_report(paths, "2026-10", grace_days=60)
    assert record.definition_changes(same, paths) == []


def test_f091_a_young_cohort_has_no_cell_for_an_age_it_has_not_reached():
    ledger = pd.DataFrame(
        [
            (period, f"{cohort}{number}", 100.0, cohort, period != "2026-10")
            for cohort, since in (("2026-01", 1), ("2026-09", 9))
            for period in [f"2026-{month:02d}" for month in range(since, 11)]
            for number in range(12)
        ],
        columns=["period", "account_id", "mrr_end", "cohort", "is_settled"],
    ).assign(fx=0.0, mrr_start=100.0, mrr_bridged=0.0, movement="retained")
    accounts = ledger.drop_duplicates("account_id")
    accounts = accounts.assign(
        first_paid_date=pd.to_datetime(accounts["cohort"] + "-10"), is_first_paid_known=True
    )
    table = revenue.cohorts(ledger.drop(columns="cohort"), accounts, None, 0.95)
    ages = table.groupby("cohort")["age_months"].max()
    assert ages.to_dict() == {"2026-01": 8, "2026-09": 0}  # the month not settled is masked


def test_f091_a_group_says_how_many_of_it_were_followed_to_the_mark_and_is_blank_when_too_few():
    old = np.arange(200, 1000, 4)
    young = np.arange(20, 120, 1)
    at_risk = at_risk_of(
        [*old, *young], [*(old < 900), *(young < 60)],
        plan=["old"] * len(old) + ["young"] * len(young),
    )  # fmt: skip
    levels = survival.levels(at_risk, ["plan"], 0.95).set_index("level")
    assert levels.loc["young", "n_followed"] == 0
    assert np.isnan(levels.loc["young", "estimate"])
    assert levels.loc["young", "note"].startswith("only 0 accounts at risk at day 366")
    assert levels.loc["old", "n_followed"] == (old >= 366).sum()


def test_f091_a_start_quarter_not_followed_long_enough_is_no_point_of_the_trend():
    quarters = {"2026-Q1": 250, "2026-Q3": 120}  # its first starters; the last have not had 90
    blocks = [
        starters_of([5.0, np.nan] * 20, [5, days] * 20, False).assign(
            days=[5, days] * 20, outcome=[1, 0] * 20, followed_days=days, start_quarter=quarter
        )
        for quarter, days in quarters.items()
    ]
    starters = pd.concat(blocks, ignore_index=True)
    table = ttv.by_start_quarter(starters, ttv.incidence(starters, [], 0.95), CUT_OFF)
    assert table["start_quarter"].tolist() == ["2026-Q1"]


CELLS = pd.DataFrame(
    {
        "stratum": ["all", "segment", "segment", "segment", "touch", "touch"],
        "level": ["all", "SMB", "MM", "ENT", "high", "low"],
        "n": [200, 150, 47, 3, 20, 180],
        "mrr": [9e4, 5e4, 3e4, 1e4, 2e4, 7e4],
        "note": ["", "", "", "1 of 3 had not left", "", ""],
    }
)


def test_f092_a_small_cell_cannot_be_found_by_subtraction_within_its_stratum():
    hidden = small_numbers.hidden(CELLS, 10).set_index("level")
    assert hidden.loc[["ENT", "MM"], ["n", "mrr"]].isna().all(axis=None)
    assert hidden.loc[["all", "SMB", "high", "low"], ["n", "mrr"]].notna().all(axis=None)


def test_f092_the_words_beside_a_small_cell_do_not_say_its_count():
    hidden = small_numbers.hidden(CELLS, 10).set_index("level")
    assert "3" not in hidden.loc["ENT", "note"]
    assert CELLS.loc[3, "note"] == "1 of 3 had not left"
    assert small_numbers.hidden(CELLS, 0) is CELLS


def test_f092_a_small_cell_is_hidden_in_the_page_the_file_the_picture_and_its_words(
    tmp_path, monkeypatch
):
    paths = Paths(tmp_path, "acme")
    with (tmp_path / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(COMPANY | {"min_cell": 10}, file)
    day = dt.date(2026, 8, 31)
    cut = slices.Slice(configuration.Period("2026-08"), day, day, 30, 3)
    slices.write(cut, paths.snapshot(cut.period))
    monkeypatch.setenv("LODESTAR_ROOT", str(tmp_path))
    markup: list[str] = []
    monkeypatch.setattr(chapter, "display", lambda output: markup.append(output.data))
    opened = chapter.open_chapter("survival", "2026-08", str(tmp_path / OUT))
    small = CELLS.assign(n=CELLS["n"].replace(3, 7))
    picture = Figure("cells", "7 of ENT", "Accounts", "ENT has 7 accounts", "Source",
                     "<svg>7</svg>", small)  # fmt: skip
    opened.show(picture)
    opened.table(small, caption="Accounts by level")
    opened.publish("cells", small)
    files = [path for path in (tmp_path / OUT).rglob("*") if path.suffix in (".csv", ".svg")]
    assert len(files) == 4
    assert len(markup) == 2
    for text in [*markup, *(path.read_text(encoding="utf-8") for path in files)]:
        assert not re.search(r"7 of ENT|ENT has 7|>7<|ENT,7", text)
        assert "47" not in text
