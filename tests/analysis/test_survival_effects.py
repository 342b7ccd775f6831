"""What do ratios mean, who came back, what was looked at, and how else could it have been read?"""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import grace, survival
from pipeline.analysis.choices import SPECIFICATION_COLUMNS
from pipeline.analysis.survival.specifications import at_notice
from pipeline.statistics.proportional_hazards import breslow_baseline, survival_at
from tests.analysis.test_survival import CUT_OFF, at_risk_of, spells_of

ORACLES = Path(__file__).parents[1] / "oracles"
BY_HAND = 1 / 30.4375


@pytest.fixture(scope="module")
def oracle_spells() -> pd.DataFrame:
    rows = pd.read_csv(ORACLES / "survival_models_spells.csv")
    return at_risk_of(
        rows["duration_days"].to_numpy(), rows["event"], rows["entry_days"].to_numpy(),
        size=rows["size"], touch=rows["touch"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def oracle() -> pd.DataFrame:
    return pd.read_csv(ORACLES / "survival_effects.csv").set_index(["quantity", "term"])


def test_the_committed_answers_are_what_r_gives_today(tmp_path):
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("Rscript is not installed")
    script = ORACLES / "survival_effects.R"
    asked = subprocess.run(
        [rscript, str(script), str(tmp_path), str(ORACLES)], capture_output=True, text=True
    )
    if "there is no package called" in asked.stderr:
        pytest.skip("Rscript has no package survival")
    assert asked.returncode == 0, asked.stderr
    for name in ("survival_effects.csv", "survival_effects_histories.csv"):
        today, kept = (pd.read_csv(folder / name) for folder in (tmp_path, ORACLES))
        pd.testing.assert_frame_equal(today, kept, rtol=1e-8)


# Effects on the scale of customers.


def test_standardised_survival_and_its_differences_agree_with_r(oracle_spells, oracle):
    fit = survival.grouped_time(oracle_spells, ["size", "touch"])
    effects = survival.effects(fit, 0.95)
    assert list(effects["level"]) == ["medium", "large", "small", "high", "tech"]
    z = 1.959963984540054
    for row in effects.itertuples():
        expected = oracle.loc[("survival_12", f"{row.term} {row.level}")]
        assert row.survival == pytest.approx(expected["value"], rel=1e-6)
        if row.level == row.reference:
            assert np.isnan(row.difference)
            continue
        expected = oracle.loc[("difference_12", f"{row.term} {row.level}")]
        assert row.difference == pytest.approx(expected["value"], rel=1e-6)
        error = (row.difference_to - row.difference_from) / (2 * z)
        assert error == pytest.approx(expected["se"], rel=1e-5)


def test_cox_predictions_with_delayed_entry_see_the_same_differences(oracle_spells):
    names = ["size", "touch"]
    cox, grouped = survival.cox(oracle_spells, names), survival.grouped_time(oracle_spells, names)
    rows = cox.rows
    at_risk = [rows[name].to_numpy(float) for name in ("duration_days", "entry_days")]
    levels = {"large": [1, 0], "small": [0, 1], "medium": [0, 0]}
    touch = (rows["touch"] == "tech").to_numpy(float)
    own = np.column_stack([rows["size"] == "large", rows["size"] == "small", touch])
    times, hazard = breslow_baseline(
        at_risk[0], rows["is_event"], at_risk[1], own @ cox.coefficients
    )
    effects = survival.effects(grouped, 0.95).set_index("level")
    for level, dummies in levels.items():
        world = np.column_stack([np.tile(dummies, (len(rows), 1)), touch]) @ cox.coefficients
        predicted = survival_at(times, hazard, world, 366).mean()
        assert effects.loc[level, "survival"] == pytest.approx(predicted, abs=0.02)


def test_nothing_is_predicted_beyond_what_was_followed():
    at_risk = at_risk_of(np.arange(60, 260), [1, 0] * 100, plan=["x", "y"] * 100)
    at_risk = at_risk.assign(is_event=np.arange(200) % 3 > 0)
    effects = survival.effects(survival.grouped_time(at_risk, ["plan"]), 0.95)
    assert effects[["survival", "ci_low", "difference"]].isna().all(axis=None)
    assert effects["note"].str.startswith("only 0 accounts at risk at day 366").all()


# The comparison named beforehand.


def test_months_kept_agree_with_r_with_delayed_entry(oracle_spells, oracle):
    found = survival.contrast(oracle_spells, "touch", 0.95)
    expected = oracle.loc[("days_kept_difference", "tech - high")]
    said = "mean months kept of the first 12, touch "
    assert found["statement"] in (f"{said}tech less high", f"{said}high less tech")
    sign = 1 if found["statement"].endswith("tech less high") else -1
    assert found["estimate"] == pytest.approx(sign * expected["value"] * BY_HAND, rel=1e-8)
    error = (found["ci_high"] - found["ci_low"]) / (2 * 1.959963984540054)
    assert error == pytest.approx(expected["se"] * BY_HAND, rel=1e-6)
    assert (found["unit"], found["null"]) == ("months", 0.0)
    assert all(check.passed for check in found["checks"])
    assert 0 < found["p_value"] < 0.05


def test_the_contrast_is_the_second_largest_level_against_the_largest():
    plan = ["c"] * 60 + ["a"] * 100 + ["b"] * 80
    left = [1, 0, 0, 0] * 60
    at_risk = at_risk_of([100 if gone else 500 for gone in left], left, plan=plan)
    found = survival.contrast(at_risk, "plan", 0.95)
    assert found["statement"] == "mean months kept of the first 12, plan b less a"
    assert (found["n"], found["n_events"]) == (180, 45)
    assert found["estimate"] == pytest.approx(0.0)
    fit = survival.cox(at_risk, ["plan"])
    ratios = survival.hazard_ratios([fit], is_grouped=False)
    beside = survival.ratio_beside(ratios, at_risk, "plan")
    assert beside["hazard_ratio"] == pytest.approx(1.0)
    assert beside["ci_low"] < 1 < beside["ci_high"]
    assert np.isnan(list(survival.ratio_beside(ratios, at_risk, "absent").values())).all()


@pytest.mark.parametrize(
    ("durations", "stratum", "reason"),
    [
        ([500] * 40, "plan", "plan has no two levels to compare"),
        ([500] * 40, "absent", "absent has no two levels to compare"),
        ([200] * 40, "half", "only 0 accounts at risk at day 366, 10 are needed"),
    ],
)
def test_without_two_groups_or_follow_up_the_reason_stands_for_the_number(
    durations, stratum, reason
):
    at_risk = at_risk_of(durations, [0] * 40, plan=["x"] * 40, half=["a", "b"] * 20)
    found = survival.contrast(at_risk, stratum, 0.95)
    assert np.isnan(found["estimate"])
    assert [check.note for check in found["checks"] if check.is_hard] == [reason]
    assert not found["checks"][0].passed


def test_a_group_of_which_nobody_left_gives_no_interval_and_no_certainty():
    at_risk = at_risk_of([100] * 10 + [500] * 70, [1] * 10 + [0] * 70, half=["a", "b"] * 40)
    at_risk = at_risk.assign(is_event=at_risk["is_event"] & (at_risk["half"] == "a"))
    found = survival.contrast(at_risk, "half", 0.95)
    assert found["estimate"] > 0
    assert np.isnan([found["ci_low"], found["ci_high"], found["p_value"]]).all()
    (enough,) = [check for check in found["checks"] if not check.passed]
    assert enough.note == "0 leavers in the group with fewer; 5 are asked for"
    means = survival.restricted_means(at_risk, ["half"], [12], 0.95)
    assert means["note"].tolist() == ["", "", "nobody left among 40 by day 366: no interval",
                                      "nobody left among 40 by day 366: no interval"]  # fmt: skip


def test_a_group_that_holds_todays_value_is_refused_as_contrast():
    at_risk = at_risk_of([500] * 40, [0] * 40, half=["a", "b"] * 20)
    found = survival.contrast(at_risk, "half", 0.95, refused=["half"])
    assert found["statement"] == "half holds today's value"
    assert np.isnan(found["estimate"])


# Does the model hold?


def test_the_largest_shifts_agree_with_r(oracle_spells, oracle):
    found = survival.diagnostics(survival.cox(oracle_spells, ["size", "touch"]))
    shifts = found[found["what"] == "largest shift"].set_index("label")["value"]
    for label, term in (("size large", "sizelarge"), ("touch tech", "touchtech")):
        expected = oracle.loc[("largest_shift", term), "value"]
        assert shifts[label] == pytest.approx(expected, rel=1e-6)


def test_one_account_that_carries_a_ratio_is_seen():
    # A group of ten in which one account leaves, early; without it nobody does.
    durations = [*range(20, 120), *[400] * 9, 21]
    events = [1] * 100 + [0] * 9 + [1]
    at_risk = at_risk_of(durations, events, plan=["x"] * 100 + ["y"] * 10)
    fit = survival.cox(at_risk, ["plan"])
    found = survival.diagnostics(fit)
    looked = survival.model_checks(fit, fit, found=found)
    (influence,) = [check for check in looked if check.name == "influence"]
    assert not influence.passed
    assert not influence.is_hard


def test_a_column_that_follows_from_the_others_is_left_out_and_named():
    durations, events = np.arange(20, 320), [1, 0, 1] * 100
    size = np.array(["a", "b", "c"] * 100)
    same = np.where(size == "a", "big", "small")
    at_risk = at_risk_of(durations, events, size=size, same=same)
    for model in (survival.cox, survival.grouped_time):
        fit = model(at_risk, ["size", "same"])
        assert fit.is_fitted
        assert len(fit.design.dependent) == 1
        assert fit.design.dependent[0].startswith("same")
        (rank,) = [check for check in survival.model_checks(fit, fit) if check.name == "rank"]
        assert not rank.passed
        assert "same" not in set(fit.ratios["term"])


def test_ratios_that_come_nearer_to_one_with_age_are_counted():
    bands = ["0–3 months", "over 12 months"]
    by_age = pd.DataFrame(
        {"age_band": np.repeat(bands, 3), "term": "plan", "level": ["x", "y", "z"] * 2,
         "reference": "x", "hazard_ratio": [1.0, 0.25, 2.0, 1.0, 0.5, 3.0]}
    )  # fmt: skip
    assert survival.attenuation(by_age).startswith("Of 2 ratios seen at 0–3 months and over 12")
    assert ", 1 are nearer to one late." in survival.attenuation(by_age)
    assert survival.attenuation(by_age.head(3)).startswith("No ratio is estimated both early")


# Whose story is not seen to its end.


def test_bounds_hold_retention_between_all_left_and_none_left():
    ends = ["administrative"] * 10 + ["voluntary"] * 20 + [None] * 70
    spells = spells_of([100] * 10 + [200] * 20 + [500] * 70, [1] * 30 + [0] * 70, end_type=ends)
    spells = spells.assign(start_date=pd.Timestamp(CUT_OFF) - pd.Timedelta(500, unit="D"))
    accounts = pd.DataFrame({"account_id": spells["account_id"]})
    at_risk = survival.spells_at_risk(spells, accounts, [])
    bounds = survival.bounds(at_risk, CUT_OFF, 0.95)["estimate"]
    assert list(bounds) == pytest.approx([70 / 90, 70 / 100, 80 / 100])
    reasons = survival.censoring(at_risk, [], 0.95).iloc[0]
    assert list(reasons[["n", "n_left", "n_still_paid", "n_administrative"]]) == [100, 20, 70, 10]
    assert reasons["followed_months"] == pytest.approx(500 * BY_HAND)
    checks = survival.headline_checks(at_risk, spells, cut_off=CUT_OFF, confidence=0.95)
    held = {check.name: check.passed for check in checks["retention_12_months"]}
    assert held == {"known age": True, "administrative exits": True}
    many = spells.assign(end_type=["administrative"] * 30 + [None] * 70)
    at_risk = survival.spells_at_risk(many, accounts, [])
    assert not at_risk["is_event"].any()


def test_many_relationships_of_unknown_age_fail_a_check_of_every_headline():
    spells = spells_of([400] * 100, [0] * 100).assign(is_age_known=[False] * 6 + [True] * 94)
    accounts = pd.DataFrame({"account_id": spells["account_id"]})
    at_risk = survival.spells_at_risk(spells, accounts, [])
    checks = survival.headline_checks(at_risk, spells, cut_off=CUT_OFF, confidence=0.95)
    assert set(checks) == set(survival.HEADLINES)
    for listed in checks.values():
        assert not listed[0].passed
        assert listed[0].note.startswith("6 of 100 first relationships")


def test_a_young_group_shows_how_few_were_followed_to_the_mark():
    at_risk = at_risk_of([500] * 40 + [90] * 40, [0] * 80, plan=["old"] * 40 + ["new"] * 40)
    levels = survival.levels(at_risk, ["plan"], 0.95).set_index("level")
    assert levels.loc["new", "n_followed"] == 0
    assert np.isnan(levels.loc["new", "estimate"])
    assert levels.loc["old", "n_followed"] == 40


# Those who came back.


def test_churns_per_account_count_every_churn_of_accounts_seen_from_their_start():
    cut_off = dt.date(2026, 10, 31)
    start = pd.Timestamp(cut_off) - pd.Timedelta(800, unit="D")
    first = pd.DataFrame(
        {"account_id": [f"a{n}" for n in range(20)], "spell": 1, "start_date": start,
         "lapse_date": [start + pd.Timedelta(100, unit="D")] * 10 + [pd.NaT] * 10,
         "end_type": ["voluntary"] * 10 + [None] * 10, "entry_days": [0] * 19 + [30],
         "duration_days": [100] * 10 + [800] * 10, "is_churn": [True] * 10 + [False] * 10,
         "is_age_known": True, "is_followed": True}
    )  # fmt: skip
    again = first.head(4).assign(
        spell=2, start_date=start + pd.Timedelta(200, unit="D"),
        lapse_date=start + pd.Timedelta(300, unit="D"),
    )  # fmt: skip
    counts = survival.churns_per_account(pd.concat([first, again]), cut_off, 0.95)
    assert counts.set_index("months").loc[12, "estimate"] == pytest.approx(14 / 19)
    assert counts.set_index("months").loc[12, ["n", "n_at_risk", "n_events"]].tolist() == [
        19,
        19,
        14,
    ]
    assert np.isnan(counts.set_index("months").loc[36, "estimate"])


def test_every_relationship_is_compared_within_its_number_and_counted_by_account():
    draws = np.random.default_rng(20261121)
    n = 600
    fast = np.arange(n) % 2 == 0
    first = np.ceil(draws.exponential(np.where(fast, 150, 300)))
    second = np.ceil(draws.exponential(np.where(fast, 150, 300)))
    ids = np.array([f"a{number:04d}" for number in range(n)])
    spells = pd.concat(
        [spells_of(np.minimum(days, 500).astype(int), days <= 500).assign(account_id=ids, spell=k)
         for k, days in ((1, first), (2, second))], ignore_index=True,
    )  # fmt: skip
    accounts = pd.DataFrame({"account_id": ids, "pace": np.where(fast, "fast", "slow")})
    every = survival.every_spell_at_risk(spells, accounts, ["pace"])
    assert set(every["spell_number"]) == {"1", "2 or later"}
    fit = survival.cox(survival.spells_at_risk(spells, accounts, ["pace"]), ["pace"])
    table = survival.every_spell(fit, every, ["pace"], 0.95).set_index("level")
    ratio = table.loc["slow", "ratio"]
    assert ratio == pytest.approx(0.5, abs=0.08)
    assert table.loc["slow", ["n", "n_spells"]].tolist() == [300, 600]
    assert table.loc["slow", "ci_low"] < ratio < table.loc["slow", "ci_high"]


# How else it could have been read.


@pytest.fixture(scope="module")
def company() -> dict[str, pd.DataFrame]:
    """Six hundred accounts of two plans: the slice's tables, a few gaps bridged, some notices."""
    draws = np.random.default_rng(20261122)
    n = 600
    plan = np.where(draws.random(n) < 0.6, "x", "y")
    length = np.ceil(draws.exponential(np.where(plan == "x", 300, 600))).astype(int)
    age = draws.integers(60, 1000, n)
    start = pd.Timestamp("2026-09-28") - pd.to_timedelta(age, unit="D")
    gone = length <= age
    lapse = pd.Series(start + pd.to_timedelta(length, unit="D")).where(gone)
    cause = np.where(draws.random(n) < 0.8, "voluntary", "involuntary")
    ids = [f"a{number:04d}" for number in range(n)]
    spells = pd.DataFrame(
        {"account_id": ids, "spell": 1, "start_date": start, "lapse_date": lapse,
         "end_type": np.where(gone, cause, None), "end_reason": None, "mrr_lost": 100.0,
         "entry_days": 0, "duration_days": np.minimum(length, age), "is_churn": gone,
         "is_age_known": True, "is_followed": True}
    )  # fmt: skip
    bridged = spells[(spells["duration_days"] > 100)].head(30)
    returns = pd.concat(
        [pd.DataFrame({"account_id": bridged["account_id"],
                       "lapse_date": bridged["start_date"] + pd.Timedelta(50, unit="D"),
                       "days_observed": 20, "has_returned": True, "mrr_lost": 100.0}),
         pd.DataFrame({"account_id": spells["account_id"], "lapse_date": spells["lapse_date"],
                       "days_observed": 400, "has_returned": False, "mrr_lost": 100.0})[gone]],
        ignore_index=True,
    )  # fmt: skip
    months = pd.DataFrame({"account_id": ids, "period": "2026-09", "mrr": draws.gamma(2, 100, n),
                           "is_in_notice": False})  # fmt: skip
    accounts = pd.DataFrame({"account_id": ids, "plan": plan})
    return {"spells": spells, "accounts": accounts, "returns": returns, "account_months": months}


GRACES = (0, 14, 60, 90)
CHOICES = {
    "stratum": "plan", "covariates": ["plan"], "cut_off": dt.date(2026, 9, 28),
    "as_of": dt.date(2026, 10, 31), "grace_days": 30, "confidence": 0.95,
}  # fmt: skip


def test_specifications_vary_one_choice_at_a_time_and_lead_with_the_primary_one(company):
    rows = survival.specifications(**company, **CHOICES)
    assert list(rows.columns) == SPECIFICATION_COLUMNS
    kept, ratios = (rows[rows["contrast"] == name] for name in rows["contrast"].unique())
    for block in (kept, ratios):
        assert block["is_primary"].tolist() == [True] + [False] * (len(block) - 1)
    at_risk = survival.spells_at_risk(company["spells"], company["accounts"], ["plan"])
    primary = survival.contrast(at_risk, "plan", 0.95)
    assert kept["estimate"].iloc[0] == primary["estimate"]
    assert (kept["estimate"].dropna() > 0).all()
    assert (ratios["estimate"].dropna() < 1).all()
    graces = kept[kept["choice"] == "grace"]["specification"]
    until = [grace.cut_off_of(days, 30, CHOICES["as_of"], CHOICES["cut_off"]) for days in GRACES]
    assert list(graces) == [f"{days} days" for days in GRACES]
    assert list(kept[kept["choice"] == "grace"]["note"]) == [f"to {day}" for day in until]
    assert rows["contrast"].unique().tolist() == [primary["name"], "plan, hazard ratio"]
    assert kept["specification"].iloc[0].startswith("Primary: ")
    assert rows["specification"].str.len().max() < 45
    without = kept[kept["specification"] == "dated on notice"].iloc[0]
    assert (np.isnan(without["estimate"]), without["note"]) == (True, "no notice is recorded")


def test_a_shorter_grace_counts_bridged_gaps_as_leaving(company):
    rows = survival.specifications(**company, **CHOICES)
    kept = rows[rows["contrast"] == "plan"]
    events = kept.set_index("specification")["n_events"]
    (shortest,) = events[events.index.str.startswith("0 days")]
    assert shortest > events.iloc[0] + 10


def test_notice_moves_the_exit_to_the_month_it_was_given_in():
    at_risk = at_risk_of([200, 200, 200, 20], [1, 0, 1, 1])
    at_risk = at_risk.assign(start_date=pd.Timestamp("2026-01-01"))
    months = pd.DataFrame(
        [("a00000", "2026-05", True), ("a00000", "2026-06", True), ("a00001", "2026-04", True),
         ("a00001", "2026-05", False), ("a00002", "2026-03", False)],
        columns=["account_id", "period", "is_in_notice"],
    )  # fmt: skip
    moved = at_notice(at_risk, months).set_index("account_id")
    assert moved["duration_days"].tolist() == [120, 200, 200, 20]
    assert moved["is_event"].tolist() == [True, False, True, True]


def test_one_level_gives_no_specifications(company):
    alone = company | {"accounts": company["accounts"].assign(plan="x")}
    assert survival.specifications(**alone, **CHOICES).empty


def test_shortcuts_err_in_the_directions_they_are_known_for():
    draws = np.random.default_rng(20261123)
    start = draws.integers(-900, 720, 4000)
    # A falling hazard: those who leave do so early.
    length = np.ceil(500 * draws.weibull(0.7, 4000)).astype(int)
    age = 720 - start
    entry, stop = np.maximum(0, -start), np.minimum(length, age)
    seen = stop > entry
    at_risk = at_risk_of(stop[seen], (length <= age)[seen], entry[seen])
    at_risk = at_risk.assign(
        start_date=(pd.Timestamp(CUT_OFF) - pd.to_timedelta(age, unit="D"))[seen],
        cause=pd.Series(np.where(draws.random(seen.sum()) < 0.6, "voluntary", "involuntary")).where(
            at_risk["is_event"]
        ),
    )
    rows = survival.bias_ledger(at_risk, cut_off=CUT_OFF, confidence=0.95).set_index("shortcut")
    truth = np.exp(-((366 / 500) ** 0.7))
    right, wrong = rows["right_estimate"], rows["wrong_estimate"]
    assert right.iloc[0] == pytest.approx(truth, abs=0.04)
    assert rows["right_ci_low"].iloc[0] < truth < rows["right_ci_high"].iloc[0]
    assert wrong.iloc[0] > right.iloc[0] + 0.05
    assert wrong.iloc[1] < right.iloc[1] - 0.05
    assert (wrong.iloc[2:4] - right.iloc[2:4]).abs().min() > 0.02
    assert wrong.iloc[4] > right.iloc[4] + 0.01


def test_a_ledger_without_follow_up_is_blank_and_says_why():
    at_risk = at_risk_of([100] * 40, [1, 0] * 20)
    rows = survival.bias_ledger(at_risk, cut_off=CUT_OFF, confidence=0.95)
    assert rows[["wrong_estimate", "right_estimate"]].isna().all(axis=None)
    assert rows["note"].str.startswith("only 0 accounts at risk").all()


@pytest.mark.parametrize("n", [0, 1, 5, 60])
def test_a_tiny_company_gets_through_every_step_without_a_number_it_cannot_have(n):
    events = [1] * min(n, 3) + [0] * max(n - 3, 0)
    spells = spells_of(np.full(n, 500), events).assign(end_reason=None, mrr_lost=1.0)
    ends = spells["start_date"] + pd.to_timedelta(spells["duration_days"], unit="D")
    spells = spells.assign(lapse_date=ends.where(spells["is_churn"]))
    accounts = pd.DataFrame(
        {"account_id": spells["account_id"], "plan": pd.Series((["x", "y"] * n)[:n], dtype=object)}
    )
    at_risk = survival.spells_at_risk(spells, accounts, ["plan"])
    fit, grouped = survival.cox(at_risk, ["plan"]), survival.grouped_time(at_risk, ["plan"])
    tests, found = survival.proportional_hazards_tests(fit), survival.diagnostics(fit)
    looked = survival.model_checks(fit, grouped, tests, found)
    assert [check.is_hard for check in looked if not check.passed] == [True]
    by_age = survival.hazard_ratios_by_age(at_risk, ["plan"])
    assert survival.attenuation(by_age).startswith("No ratio")
    assert survival.effects(grouped, 0.95).empty
    every = survival.every_spell_at_risk(spells, accounts, ["plan"])
    assert survival.every_spell(fit, every, ["plan"], 0.95).empty
    contrast = survival.contrast(at_risk, "plan", 0.95)
    assert np.isnan(contrast["p_value"])
    ledger = survival.bias_ledger(at_risk, cut_off=CUT_OFF, confidence=0.95)
    assert ledger["right_ci_low"].isna().all()
    counts = survival.churns_per_account(spells, CUT_OFF, 0.95)
    assert counts["n"].tolist() == [n] * 3
