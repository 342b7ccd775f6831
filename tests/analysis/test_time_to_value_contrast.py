"""What the chapter stakes its word on, on a simulated company whose value changes nothing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import checks
from pipeline.analysis import time_to_value as chapter
from pipeline.analysis.checks import Check
from pipeline.analysis.time_to_value.specifications import dated_on_notice, use_before
from pipeline.data import slice as slices
from pipeline.data.slice import Slice
from pipeline.reporting import words
from pipeline.settings import Period
from pipeline.stages.simulate import simulate
from tests.analysis.starters import CUT_OFF, START, followed, made, world
from tests.stages.company import write_company

NULL_SEED = 1
WORLD_SEED = 20261124
ADJUST_FOR = ["segment", "touch_model"]
TABLES = ("accounts", "account_months", "spells", "returns")
NEEDED = ("accounts", "subscriptions", "milestones")


@pytest.fixture(scope="module")
def null_company(tmp_path_factory: pytest.TempPathFactory) -> tuple[Slice, Mapping]:
    """The slice and snapshot of a company in which reaching value changes no hazard."""
    name = "2026-10"
    company = write_company(
        tmp_path_factory.mktemp("null"),
        {},
        company="sample",
        periods=[name],
        observation_start=str(START),
        extract_date="2026-10-31",
        simulate={"scenario": "null_value", "accounts": 1_500, "seed": NULL_SEED},
    )
    simulate(company.settings.simulate, company.paths.raw)
    for file in company.paths.raw.iterdir():
        if file.stem not in NEEDED:
            file.unlink()
    company.run()
    cut = slices.read(company.paths.snapshot(Period(name)))
    return cut, {table: company.table(name, table) for table in TABLES}


@pytest.fixture(scope="module")
def null_starters(null_company) -> pd.DataFrame:
    cut, tables = null_company
    three = [tables[name] for name in TABLES[:3]]
    return chapter.starters(*three, cut.cut_off, cut.observation_start, ADJUST_FOR)


@pytest.fixture(scope="module")
def curve(null_company) -> pd.DataFrame:
    return specified(null_company, "time_varying")


def specified(null_company, primary_contrast: str) -> pd.DataFrame:
    cut, tables = null_company
    return chapter.specifications(
        **tables, cut_off=cut.cut_off, as_of=cut.as_of, observation_start=cut.observation_start,
        grace_days=cut.grace_days, landmark_days=[30, 60, 90], adjust_for=ADJUST_FOR,
        primary_contrast=primary_contrast, confidence=0.95,
    )  # fmt: skip


# A company in which value changes nothing.


def test_the_chapters_own_effect_covers_one_and_only_the_labelled_naive_one_does_not(null_starters):
    model = chapter.time_varying_model(null_starters, ADJUST_FOR, 0.95)
    table = chapter.effect(null_starters, model, [30, 60, 90], ADJUST_FOR, 0.95, seed=NULL_SEED)
    ratios = table[table["measure"] == "hazard_ratio"]
    valid = ratios[ratios["is_valid"]]
    assert (valid["ci_low"] < 1).all()
    assert (valid["ci_high"] > 1).all()
    naive = ratios.set_index("method").loc["naive_ever_reached"]
    assert not naive["is_valid"]
    assert naive["ci_high"] < 1
    assert naive["note"].startswith("biased")
    trial = table.set_index("method").loc["clone_censor_weight"]
    assert trial["measure"] == "survival_12_months_difference"
    assert trial["ci_low"] < 0 < trial["ci_high"]
    assert trial["is_valid"]


def test_the_naive_ratio_is_far_off_in_the_bias_ledger_and_the_right_one_beside_it(null_starters):
    ledger = chapter.bias_ledger(null_starters, ADJUST_FOR, 0.95)
    ever = ledger[ledger["shortcut"].str.contains("ever having")].iloc[0]
    assert ever["wrong_estimate"] < ever["right_ci_low"] < 1 < ever["right_ci_high"]
    achievers = ledger[ledger["unit"] == "days"].iloc[0]
    assert achievers["wrong_estimate"] < achievers["right_estimate"]
    shares = ledger[ledger["unit"] == "share"]
    assert len(shares) == 2
    assert (shares["wrong_estimate"] > shares["right_estimate"]).all()
    assert shares["wrong_estimate"].iloc[1] - shares["right_estimate"].iloc[1] > 0.01


# The contrast.


def test_the_contrast_is_the_primary_row_whatever_it_says(null_starters, curve):
    model = chapter.primary_model(null_starters, "time_varying", ADJUST_FOR, 0.95)
    card = chapter.contrast(model, "time_varying")
    assert card["estimate"] == curve["estimate"].iloc[0]
    assert (card["name"], card["unit"]) == ("value_reached", "ratio")
    assert card["n"] > card["n_events"] > 100
    assert [check.name for check in card["checks"]] == [
        checks.CONVERGENCE, checks.SEPARATION, checks.RANK, checks.EVENTS,
        checks.PROPORTIONAL_HAZARDS,
    ]  # fmt: skip
    assert 0.05 < card["p_value"] <= 1


def test_the_landmark_contrast_counts_those_still_there_on_day_60():
    starters = world(3_000, 0.02, 0.002, 0.4, WORLD_SEED)
    model = chapter.primary_model(starters, "landmark", [], 0.95)
    card = chapter.contrast(model, "landmark")
    assert card["n"] == (starters["end_day"] > 60).sum()
    assert card["ci_high"] < 1
    assert "day 60" in card["statement"]
    assert "day 60" in card["population"]


def test_an_effect_that_drifts_with_age_fails_one_soft_check_of_the_card():
    draws = np.random.default_rng(WORLD_SEED)
    kept = world(6_000, 0.01, 0.003, 0.3, WORLD_SEED)
    gone = np.ceil(np.maximum(92, kept["value_day"]) + draws.exponential(1 / 0.006, len(kept)))
    end = np.fmin(kept["end_day"], gone).astype("int64")
    kept = kept.assign(is_lost=kept["is_lost"] | (gone <= kept["end_day"]), end_day=end)
    model = chapter.primary_model(kept, "time_varying", [], 0.95)
    failed = [check for check in chapter.contrast(model, "time_varying")["checks"]
              if not check.passed]  # fmt: skip
    assert [(check.name, check.is_hard) for check in failed] == [
        (checks.PROPORTIONAL_HAZARDS, False)
    ]
    assert model.converged


def test_no_loss_on_one_side_stops_the_number_and_says_why():
    rows = [{"paid": "2026-01-01", "lapse": "2026-03-01"}] * 12
    rows += [{"paid": "2026-01-01", "value": "2026-02-01"}] * 20
    model = chapter.primary_model(followed(rows), "time_varying", [], 0.95)
    card = chapter.contrast(model, "time_varying")
    assert np.isnan(card["estimate"])
    assert [check.name for check in card["checks"]] == [checks.SEPARATION]
    assert checks.stopped_by(card["checks"]) == "too few for a model: 0 losses among 20 with value"


def test_too_few_losses_for_the_declared_adjustment_make_it_fragile_and_not_silent():
    starters = world(120, 0.01, 0.0005, 1.0, 20261031)
    colours = np.array(["red", "green", "blue", "grey", "white", "black"])
    starters = starters.assign(colour=colours[np.arange(120) % 6])
    card = chapter.contrast(chapter.time_varying_model(starters, ["colour"], 0.95), "time_varying")
    events = {check.name: check for check in card["checks"]}[checks.EVENTS]
    assert not events.passed
    assert not events.is_hard
    assert events.note.endswith("not adjusted")
    assert np.isfinite(card["estimate"])


def test_a_covariate_that_repeats_another_is_left_out_and_named():
    starters = world(1_000, 0.01, 0.002, 1.0, WORLD_SEED)
    starters = starters.assign(colour=np.where(starters.index % 2 == 0, "even", "odd"))
    starters = starters.assign(parity=starters["colour"].map({"even": "E", "odd": "O"}))
    model = chapter.time_varying_model(starters, ["colour", "parity"], 0.95)
    rank = {check.name: check for check in model.checks}[checks.RANK]
    assert not rank.passed
    assert "parity" in rank.note
    alone = chapter.time_varying_model(starters, ["colour"], 0.95)
    assert model.hazard_ratio == pytest.approx(alone.hazard_ratio)


def test_a_number_that_is_missing_is_not_measured_and_no_average_stands_in_silently():
    starters = world(1_000, 0.01, 0.002, 1.0, WORLD_SEED)
    cost = pd.Series(np.where(starters.index % 3 == 0, np.nan, starters.index % 7), dtype=float)
    model = chapter.time_varying_model(starters.assign(cost=cost), ["cost"], 0.95)
    assert model.terms == ("has_value", "cost", "cost: not measured")


@pytest.mark.parametrize("later", ["first_value_date", "is_customer", "mrr", "is_in_notice"])
def test_what_came_after_signing_is_refused_as_a_covariate(later: str):
    with pytest.raises(ValueError, match=f"{later} is what came after signing"):
        chapter.starters(*made([{"paid": "2026-01-01"}]), CUT_OFF, START, [later])


# The checks of page one.


@pytest.mark.parametrize(("reached", "passes"), [(4, False), (5, True)])
def test_a_headline_from_fewer_than_five_values_is_not_trusted(reached: int, passes: bool):
    rows = [{"paid": "2026-01-01", "value": "2026-01-11"}] * reached
    rows += [{"paid": "2026-01-01"}] * 20
    headline = chapter.headline(*made(rows), CUT_OFF, START, 0.95)
    found = chapter.headline_checks(headline)
    assert set(found) == set(headline["name"])
    assert all(isinstance(check, Check) for each in found.values() for check in each)
    assert {check.passed for each in found.values() for check in each} == {passes}
    assert headline["n_events"].tolist() == [reached] * len(headline)


# Other choices.


def test_the_primary_choice_stands_first_and_one_thing_is_varied_at_a_time(curve):
    assert curve["is_primary"].tolist() == [True] + [False] * (len(curve) - 1)
    assert set(curve["choice"]) == {
        "primary", "model", "covariates", "grace", "event", "sample",
    }  # fmt: skip
    assert not curve.duplicated(["choice", "specification"]).any()
    assert curve["specification"].str.len().max() < 45
    assert set(curve["unit"]) == {"ratio"}
    assert (curve["estimate"].notna() | (curve["note"] != "")).all()
    assert curve["estimate"].notna().mean() > 0.9


def test_no_choice_finds_an_effect_that_is_not_there(curve):
    found = curve.dropna(subset="estimate")
    holds_one = (found["ci_low"] < 1) & (found["ci_high"] > 1)
    assert holds_one.mean() > 0.8
    both = curve.set_index("specification")["estimate"]
    months = both["time-varying, cloglog on months"]
    assert np.log(months) == pytest.approx(np.log(curve["estimate"].iloc[0]), abs=0.1)


def test_a_longer_grace_settles_less_and_another_primary_contrast_leads(null_company, curve):
    n = curve.set_index("specification")["n"]
    assert n["90 days"] < n["60 days"] < n["14 days"] <= n["0 days"]
    other = specified(null_company, "landmark")
    assert other["specification"].iloc[0] == "Primary: landmark, day 60"
    assert "landmark, day 60" not in set(other["specification"])
    assert "time-varying" in set(other["specification"])


def months(rows: list[tuple[str, str, bool, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["account_id", "period", "is_in_notice", "usage_days"])


def test_a_loss_may_be_dated_on_the_first_month_begun_in_notice():
    table = followed(
        [
            {"paid": "2026-01-01", "value": "2026-03-11", "lapse": "2026-05-01"},
            {"paid": "2026-01-01", "value": "2026-01-11", "lapse": "2026-05-01"},
            {"paid": "2026-01-01", "value": "2026-03-11"},
        ]
    )
    listed = [(name, f"2026-0{month}", month > 2, 1.0) for name in table["account_id"]
              for month in (2, 3, 4)]  # fmt: skip
    found = dated_on_notice(table, months(listed))
    assert found["end_day"].tolist() == [59, 59, table["end_day"].iloc[2]]
    assert found["value_day"].isna().tolist() == [True, False, False]
    assert found["is_lost"].tolist() == [True, True, False]


def test_use_before_a_landmark_is_that_of_the_last_month_begun_by_then():
    table = followed([{"paid": "2026-01-15"}] * 2)
    first = table["account_id"].iloc[0]
    listed = [(first, "2026-02", False, 3.0), (first, "2026-03", False, 5.0),
              (first, "2026-04", False, 9.0)]  # fmt: skip
    found = use_before(table, months(listed), 60)  # day 60 is 2026-03-16
    assert found["use_before"].tolist() == ["5.0", "not measured"]


# What is unmeasured.


def test_the_e_values_are_those_of_the_ratio_and_of_the_limit_nearer_one():
    model = chapter.LeavingModel(0.75, 0.60, 0.93, 100, 50, "")
    assert chapter.unmeasured(model) == pytest.approx((1.739139, 1.284495), abs=1e-6)
    assert chapter.unmeasured(replace(model, ci_high=1.1))[1] == 1.0


# Little or nothing to go by.


@pytest.mark.parametrize("n", [0, 4, 40])
def test_a_company_without_milestones_or_with_few_accounts_gets_reasons_and_no_number(n: int):
    rows = [{"paid": "2026-01-01"}] * max(n, 1)
    accounts, listed, spells = made(rows)
    known = None if n == 0 else True
    listed = listed.assign(has_value=known, is_in_notice=False, period="2026-02", usage_days=np.nan)
    started = {"start_date": accounts["first_paid_date"], "entry_days": 0, "end_reason": None}
    spells = spells.assign(**started, duration_days=300, is_followed=True)
    tables = accounts, listed, spells
    returns = spells[["account_id", "lapse_date", "mrr_lost"]].head(0)
    returns = returns.assign(days_observed=np.zeros(0, int), has_returned=np.zeros(0, bool))
    table = chapter.starters(*tables, CUT_OFF, START, ADJUST_FOR)
    assert len(table) == n
    model = chapter.time_varying_model(table, ADJUST_FOR, 0.95)
    effects = chapter.effect(table, model, [30], ADJUST_FOR, 0.95, seed=1)
    assert effects["estimate"].isna().all()
    assert effects["note"].str.len().gt(0).all()
    assert np.isnan(chapter.contrast(model, "time_varying")["estimate"])
    assert checks.stopped_by(model.checks)
    assert "nothing for something unmeasured" in chapter.explained_away(
        model, chapter.unmeasured(model), words
    )
    models = chapter.cause_models(table, ADJUST_FOR, 0.95)
    assert all(each.note for each in models.values())
    assert chapter.determinants(models)["value_p_value"].isna().all()
    assert chapter.differences(table, ADJUST_FOR, 0.95).empty
    assert chapter.group_tests(table, ADJUST_FOR)["p_value"].isna().all()
    ledger = chapter.bias_ledger(table, ADJUST_FOR, 0.95)
    assert ledger[["chapter", "shortcut", "right", "unit"]].notna().all(axis=None)
    assert ledger.loc[ledger["unit"] == "ratio", "note"].str.len().gt(0).all()
    curve = chapter.specifications(
        *tables, returns, CUT_OFF, CUT_OFF, START, 30, [30], ADJUST_FOR, "time_varying", 0.95
    )
    assert curve["estimate"].isna().all()
    assert curve["note"].str.len().gt(0).all()
