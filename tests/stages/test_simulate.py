"""The sample company: seeded, honest about what is wrong in it, and true to its own parameters."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm

from pipeline.data import store
from pipeline.data.schema import RAW
from pipeline.stages import simulate as stage
from pipeline.stages.simulate import activity, scenario, truth
from pipeline.stages.simulate.months import month_grid
from pipeline.stages.simulate.world import draw_world, drawn_month_shocks

SEED = 20260115
EXTRACT = "2026-10-31"
ROOT = Path(__file__).parents[2]
ONE_BLOCK = round(stage.BLOCK * stage.PRESENT_SHARE)
PAST_COLUMNS = (
    "recorded_at", "signed_up_date", "start_date", "occurred_at", "reached_at", "opened_at",
    "first_response_at", "resolved_at", "sent_at", "responded_at", "followed_up_at", "closed_at",
    "triggered_at", "started_at", "ended_at", "notice_date", "agreed_date", "measured_at",
    "customer_declared_date", "vendor_declared_date", "valid_from", "valid_to", "active_from",
    "active_to", "date",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    seed: int = SEED
    accounts: int = 400
    start: date = date(2023, 11, 1)
    months: int = 36
    scenario: str = "sample"


@pytest.fixture(autouse=True)
def few_truth_paths(monkeypatch):
    monkeypatch.setattr(truth, "N_BLOCKS", 1)


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(truth, "N_BLOCKS", 1)
        stage.simulate(Settings(), folder)
    return folder


def test_a_company_of_one_year_has_no_targets_yet_and_no_export_without_rows(tmp_path):
    stage.simulate(Settings(accounts=60, months=12), tmp_path)

    assert not (tmp_path / "targets.csv").exists()
    n_lines = {path.name: path.read_text().count("\n") for path in tmp_path.glob("*.csv")}
    assert len(n_lines) > 10
    assert [name for name, lines in n_lines.items() if lines < 2] == []


def made(folder: Path, **changes) -> Path:
    stage.simulate(replace(Settings(), **changes), folder)
    return folder


def lines_of(folder: Path, table: str) -> list[list[str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def planted(folder: Path) -> list[dict]:
    return json.loads((folder / "truth.json").read_text(encoding="utf-8"))["planted_bad_rows"]


def good_rows(folder: Path, table: str) -> pd.DataFrame:
    header, *rows = lines_of(folder, table)
    bad = {entry["line"] for entry in planted(folder) if entry["file"] == table}
    kept = [row for line, row in enumerate(rows, start=2) if line not in bad]
    return pd.DataFrame(kept, columns=header)


def current_subscriptions(folder: Path) -> pd.DataFrame:
    versions = good_rows(folder, "subscriptions").drop_duplicates().sort_values("recorded_at")
    rows = versions.groupby("subscription_id").tail(1).reset_index(drop=True)
    return rows.assign(
        start=pd.to_datetime(rows["start_date"]),
        end=pd.to_datetime(rows["end_date"].where(rows["end_date"] != "", "2200-01-01")),
        amount=rows["mrr"].astype(float),
    )


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(sample, tmp_path):
    again, other = made(tmp_path / "again"), made(tmp_path / "other", seed=SEED + 1)
    assert hashes(again) == hashes(sample)
    same = {name for name, value in hashes(other).items() if hashes(sample)[name] == value}
    assert same == {"calendar.csv", "outages.csv"}


def test_a_larger_company_begins_with_the_rows_of_the_smaller_one(tmp_path):
    small = made(tmp_path / "small", accounts=ONE_BLOCK, scenario="core")
    large = made(tmp_path / "large", accounts=ONE_BLOCK + 200, scenario="core")
    for name in ("accounts.csv", "subscriptions.csv", "usage.csv", "tickets.csv", "surveys.csv"):
        content = (small / name).read_bytes()
        assert (large / name).read_bytes().startswith(content), name
        assert (large / name).stat().st_size > len(content), name


def test_every_raw_table_is_written_with_declared_columns_only(sample):
    for name, declared in RAW.items():
        header = lines_of(sample, name)[0]
        assert set(header) <= set(declared.columns), name
        assert set(declared.required_columns) <= set(header), name


def test_planted_rows_stand_on_the_lines_that_the_truth_names(sample):
    entries = planted(sample)
    assert 35 <= len(entries) <= 50
    assert len({(entry["file"], entry["rule"]) for entry in entries}) > 20
    for entry in entries:
        header, *rows = lines_of(sample, entry["file"])
        row = dict(zip(header, rows[entry["line"] - 2], strict=True))
        assert row[entry["column"]] == entry["value"], entry


def test_conflicting_rows_share_their_key_and_moment_and_nothing_else_does(sample):
    conflicts = [entry for entry in planted(sample) if entry["rule"] == "conflicting_key"]
    assert len(conflicts) == 6
    for table in RAW:
        header, *lines = lines_of(sample, table)
        at = [entry["line"] - 2 for entry in conflicts if entry["file"] == table]
        rows = pd.DataFrame(lines, columns=header).drop(index=at).drop_duplicates()
        key = [name for name in RAW[table].key if name in rows.columns]
        version = [*key, *({"recorded_at"} & set(rows.columns))]
        assert not rows.duplicated(version).any(), table


def test_without_the_planted_rows_every_account_is_known(sample):
    known = set(good_rows(sample, "accounts")["account_id"])
    for table, declared in RAW.items():
        if "account_id" in declared.columns:
            assert set(good_rows(sample, table)["account_id"]) <= known, table


def test_nothing_happened_after_the_extract(sample):
    for table in RAW:
        rows = good_rows(sample, table)
        for column in set(PAST_COLUMNS) & set(rows.columns):
            assert rows[column].max() <= f"{EXTRACT}T23:59:59", (table, column)
    assert good_rows(sample, "usage")["recorded_at"].max() >= EXTRACT


def test_no_event_precedes_the_sign_up_of_its_account(sample):
    signed = good_rows(sample, "accounts").set_index("account_id")["signed_up_date"]
    for table, column in (
        ("usage", "occurred_at"),
        ("tickets", "opened_at"),
        ("touches", "occurred_at"),
        ("surveys", "sent_at"),
        ("plays", "triggered_at"),
        ("subscriptions", "start_date"),
    ):
        rows = good_rows(sample, table)
        assert (rows[column].str[:10] >= rows["account_id"].map(signed)).all(), table


def test_only_accounts_alive_at_the_observation_start_or_later_are_on_file(sample):
    rows = current_subscriptions(sample)
    spans = rows.groupby("account_id").agg(start=("start", "min"), end=("end", "max"))
    observed = pd.Timestamp("2023-11-01")
    assert (spans["end"] >= observed).all()
    assert 0.2 < (spans["start"] < observed).mean() < 0.6


def test_paid_rows_of_a_product_never_overlap(sample):
    rows = current_subscriptions(sample).sort_values(["account_id", "product", "start"])
    before = rows.groupby(["account_id", "product"])["end"].shift()
    assert (rows["end"] > rows["start"]).all()
    assert not (before > rows["start"]).any()


def test_an_end_is_recorded_no_earlier_than_it_was_announced(sample):
    versions = good_rows(sample, "subscriptions")
    ended = versions[versions["end_date"] != ""]
    announced = ended["notice_date"].where(ended["notice_date"] != "", ended["end_date"])
    assert (ended["recorded_at"].str[:10] >= announced).all()
    opened = versions[versions["end_date"] == ""].groupby("subscription_id")["recorded_at"].max()
    first_known = ended["subscription_id"].map(opened)
    assert first_known.notna().all()
    assert (first_known < ended["recorded_at"]).all()
    assert (ended["end_date"] > EXTRACT).any(), "nobody is in notice at the extract"


def test_names_hold_what_a_report_must_survive(sample):
    names = set(good_rows(sample, "accounts")["name"])
    assert any(name.startswith("=") for name in names)
    assert any("<b>" in name for name in names)
    assert any("株式会社" in name for name in names)


def test_usage_in_the_outage_is_missing_and_no_other_weekday_is_empty(sample):
    days = pd.to_datetime(good_rows(sample, "usage")["occurred_at"]).dt.normalize().unique()
    expected = pd.bdate_range("2023-08-01", EXTRACT)
    gap = good_rows(sample, "outages").iloc[0]
    inside = pd.date_range(gap["from_date"], gap["to_date"])
    assert set(expected) - set(days) == set(inside) & set(expected)


def test_late_and_duplicated_rows_come_at_the_rates_of_the_scenario(sample):
    rows = good_rows(sample, "usage")
    twice = rows.duplicated()
    assert 0.001 < twice.mean() < 0.003
    lag = pd.to_datetime(rows["recorded_at"]) - pd.to_datetime(rows["occurred_at"])
    assert 0.04 < (lag.dt.days.between(1, 20)).mean() < 0.06
    assert 0.003 < (lag.dt.days > 60).mean() < 0.007


def test_core_has_no_nuisance(tmp_path):
    folder = made(tmp_path, scenario="core")
    assert planted(folder) == []
    rows = current_subscriptions(folder)
    assert set(rows["is_trial"]) == {"false"}
    assert set(rows["billing_interval"]) == {"month"}
    assert not rows["account_id"].duplicated().any(), "one row per account: no change, no return"
    usage = good_rows(folder, "usage")
    lag = pd.to_datetime(usage["recorded_at"]) - pd.to_datetime(usage["occurred_at"])
    assert lag.max() < pd.Timedelta(days=1)
    assert not (folder / "outages.csv").exists()


def test_customers_by_the_files_are_the_customers_of_the_world(tmp_path):
    folder = made(tmp_path, scenario="core")
    rows = current_subscriptions(folder)
    grid = month_grid("2023-11-01", 36)
    seed = np.random.SeedSequence(SEED).spawn(3)[2]
    numbers = 1 + np.arange(round(Settings().accounts / stage.PRESENT_SHARE))
    generator = np.random.default_rng(seed.spawn(14)[0])
    world = draw_world(scenario.CORE, grid, numbers, np.zeros(25), generator)
    for month in range(grid.observation, grid.end):
        day = pd.Timestamp(np.datetime64(int(grid.first[month]), "D"))
        on_file = ((rows["start"] < day) & (day <= rows["end"])).sum()
        assert on_file == world.months.at_risk[:, month].sum(), day


def test_lapses_fall_on_the_billing_day(tmp_path):
    rows = current_subscriptions(made(tmp_path, scenario="core"))
    ended = rows[rows["end"] < "2200"]
    last_day = ended["end"].dt.days_in_month
    assert (ended["end"].dt.day == np.minimum(ended["start"].dt.day, last_day)).all()


def test_a_large_company_hands_over_its_usage_as_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "LARGE_COMPANY", 100)
    folder = made(tmp_path, scenario="core")
    assert not (folder / "usage.csv").exists()
    assert pq.read_schema(folder / "usage.parquet").names[1] == "account_id"
    assert store.read_parquet(folder / "usage.parquet").num_rows > 1_000


def test_an_unknown_scenario_is_refused_with_the_list_of_known_ones(tmp_path):
    with pytest.raises(ValueError, match=r"'smaple', which is none of .*sample"):
        made(tmp_path, scenario="smaple")


def test_a_shock_moves_the_hazard_of_every_account_of_its_month_alike():
    grid, numbers = month_grid("2023-11-01", 2), np.arange(1, 201)
    shocks = drawn_month_shocks(scenario.SCENARIOS["shock"], grid, np.random.default_rng(SEED))
    assert 0.1 < shocks.std() < 0.3
    calm, shaken = (
        draw_world(
            scenario.CORE, grid, numbers, np.zeros(25), np.random.default_rng(SEED),
            is_immortal=True, month_shocks=given,
        ).months
        for given in (None, shocks)
    )  # fmt: skip
    risk = calm.at_risk
    ratio = shaken.hazard[risk] / calm.hazard[risk]
    expected = np.broadcast_to(np.exp(shocks), risk.shape)[risk]
    np.testing.assert_allclose(ratio, expected, rtol=1e-12)


def test_no_enterprise_account_leaves_in_no_lapse_and_others_do(tmp_path):
    folder = made(tmp_path, scenario="no_lapse")
    profile = good_rows(folder, "accounts").set_index("account_id")["segment"]
    rows = current_subscriptions(folder)
    ended = rows.loc[rows["end"] < "2200", "account_id"].map(profile)
    assert (profile == "enterprise").sum() > 20
    assert (ended == "smb").sum() > 20
    assert (ended != "enterprise").all()


def test_csm_effect_has_forty_managers_and_the_others_twenty_four(tmp_path):
    for name, highest in (("csm_effect", 40), ("core", 24)):
        rows = good_rows(made(tmp_path / name, scenario=name), "accounts")
        assert rows["csm_id"].max() == "pool"
        numbers = rows["csm_id"].str.extract(r"csm-(\d+)")[0].dropna().astype(int)
        assert highest - 4 < numbers.max() <= highest


def account_months(name: str, n_candidates: int) -> pd.DataFrame:
    """One row per account and month at risk, with what moved its hazard."""
    grid, chosen = month_grid("2023-11-01", 36), scenario.SCENARIOS[name]
    generator = np.random.default_rng(SEED)
    numbers = 1 + np.arange(n_candidates)
    world = draw_world(chosen, grid, numbers, np.zeros(25), generator)
    months, risk = world.months, world.months.at_risk
    segment = np.broadcast_to(world.accounts.segment[:, None], risk.shape)
    return pd.DataFrame(
        {
            "lapsed": months.lapsed[risk].astype(float),
            "completed": months.completed[risk],
            "value": months.value[risk].astype(float),
            "usage": months.usage[risk].astype(float),
            "ticket": months.tickets[risk].astype(float),
            "play": months.play_active[risk].astype(float),
            "mid": (segment[risk] == 1).astype(float),
            "enterprise": (segment[risk] == 2).astype(float),
            "low": (months.touch[risk] == 1).astype(float),
            "high": (months.touch[risk] == 2).astype(float),
        }
    )


def fitted(rows: pd.DataFrame):
    ends = [last for last, _ in scenario.BASELINE_BANDS]
    bands = pd.get_dummies(np.searchsorted(ends, rows["completed"]), dtype=float)
    bands.columns = [f"band_{column}" for column in bands.columns]
    design = pd.concat([bands, rows.drop(columns=["lapsed", "completed"])], axis=1)
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    return sm.GLM(rows["lapsed"], design, family=family).fit()


def test_a_grouped_hazard_regression_finds_the_true_log_hazard_ratios():
    fit = fitted(account_months("core", 15_000))
    for name in ("value", "usage", "ticket", "play", "mid", "enterprise", "low", "high"):
        error = fit.params[name] - getattr(scenario.CORE.effects, name)
        assert abs(error) < 2.5 * fit.bse[name], (name, fit.params[name])
        assert fit.bse[name] < 0.15, name
    for position, (_, rate) in enumerate(scenario.BASELINE_BANDS):
        name = f"band_{position}"
        assert abs(fit.params[name] - np.log(rate)) < 3 * fit.bse[name], name


def test_in_null_value_reaching_value_changes_nothing_and_usage_still_does():
    fit = fitted(account_months("null_value", 6_000))
    assert abs(fit.params["value"]) < 3 * fit.bse["value"]
    assert fit.params["usage"] < -5 * fit.bse["usage"]


def test_the_true_curve_of_the_closed_form_is_its_formula(tmp_path):
    folder = made(tmp_path, accounts=50, scenario="closed_form")
    true = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    for mark, survival in true["survival"]["month_marks"]["all"].items():
        assert survival == pytest.approx(np.exp(-0.03 * int(mark)), rel=1e-12)
    rate, hazard = 0.022, 0.03 / truth.DAYS_PER_MONTH
    for day, share in true["value_incidence"]["by_day"].items():
        formula = rate / (rate + hazard) * (1 - np.exp(-(rate + hazard) * int(day)))
        assert share == pytest.approx(formula, abs=0.04)


def test_core_survival_is_the_published_truth_of_the_specification():
    grid, effects = ("2023-11-01", 36), np.zeros(25)
    seed = np.random.SeedSequence(SEED)
    marks = truth.true_values(scenario.CORE, *grid, effects, seed).survival["month_marks"]
    # An independent simulation of the same process on nominal months, 300,000 paths.
    published = {"3": 0.885, "6": 0.824, "12": 0.740, "24": 0.630, "36": 0.556}
    for mark, survival in published.items():
        assert marks["all"][mark] == pytest.approx(survival, abs=0.015)


def test_plays_are_confounded_by_indication(sample):
    assert activity.play_chance(np.array([-1.0]), np.array([2])) > 5 * activity.play_chance(
        np.array([1.0]), np.array([0])
    )
    kinds = good_rows(sample, "plays").groupby("kind").size()
    assert set(kinds.index) == set(activity.PLAY_KINDS)
    assert kinds.min() > 20


def test_no_other_room_can_see_the_truth():
    rooms = ("analysis", "statistics", "reporting", "data", "stages")
    seen = [path for room in rooms for path in (ROOT / "pipeline" / room).rglob("*.py")]
    assert len(seen) > 10
    for path in seen:
        if "simulate" in path.relative_to(ROOT).parts:
            continue
        code = path.read_text(encoding="utf-8")
        assert "truth.json" not in code, path
        assert "stages.simulate" not in code, path
        assert "import simulate" not in code, path
