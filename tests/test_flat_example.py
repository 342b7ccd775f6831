"""The example of a flat file: read as it is, it gives what R gives and what its README says."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline import settings
from pipeline.analysis import survival
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.settings import Paths, Period
from pipeline.stages import ingest, snapshot, usage

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "pysurvival_saas"
EXPORT = ROOT / ".." / "shared" / "datasets" / "pysurvival_saas" / "churn.csv"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
PERIOD = Period("2019-06")
LOG_RANK = {
    "product_payroll": 481.3, "csat_score": 594.6, "product_accounting": 97.5,
    "product_travel_expense": 55.0, "company_size": 7.68, "us_region": 5.63,
}  # fmt: skip
"""From R, survival 3.x, survdiff."""

needs_export = pytest.mark.skipif(
    not EXPORT.is_file(), reason="the shared data sets (../shared/datasets) are not here"
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    root = tmp_path_factory.mktemp("flat")
    shutil.copy(EXAMPLE / "params.yaml", root)
    chosen = settings.load(root)
    paths = Paths(root, chosen.company)
    paths.raw.mkdir(parents=True)
    shutil.copy(EXPORT, paths.raw)
    for stage in (ingest, usage, snapshot):
        stage.run(chosen, paths)
    return paths


def table(paths: Paths, name: str) -> pd.DataFrame:
    return store.read_frame(paths.snapshot(PERIOD) / f"{name}.parquet")


def at_risk_of(paths: Paths) -> pd.DataFrame:
    chosen = settings.load(EXAMPLE)
    return survival.spells_at_risk(
        table(paths, "spells"), table(paths, "accounts"), chosen.survival.strata
    )


def test_what_nobody_dated_is_no_covariate_of_the_example() -> None:
    chosen = settings.load(EXAMPLE)
    assert set(chosen.survival.strata) == set(LOG_RANK)
    assert not chosen.attributes_of_today & {
        *chosen.survival.covariates,
        *chosen.drivers.candidates,
    }


@needs_export
def test_every_row_is_used_and_accounts_of_no_tenure_are_counted(paths: Paths) -> None:
    quality = table(paths, "quality").set_index(["table", "rule"])
    assert quality.loc[("subscriptions", "used"), ["n", "n_of"]].tolist() == [2000, 2000]
    steps = table(paths, "exclusions").set_index("step")
    kept = steps.loc["started_after_cut_off"]
    assert (kept["n_before"], kept["n_after"]) == (2000, 1958)
    assert "42 accounts of tenure 0" in README


@needs_export
def test_the_log_rank_statistics_are_those_of_r_and_of_the_readme(paths: Paths) -> None:
    found = survival.tests(at_risk_of(paths), list(LOG_RANK), None).set_index("stratum")
    for name, wanted in LOG_RANK.items():
        statistic = found.loc[name, "statistic"]
        assert statistic == pytest.approx(wanted, abs=0.051 if wanted > 10 else 0.0051), name
        said = re.search(rf"\| {name} \| ([\d.]+) \| (\d+) \|", README)
        assert said
        assert (float(said[1]), int(said[2])) == (round(statistic, 2), found.loc[name, "df"])


@needs_export
def test_median_and_curve_are_those_of_r_in_months(paths: Paths) -> None:
    cut = slices.read(paths.snapshot(PERIOD))
    at_risk = at_risk_of(paths)
    headline = survival.headline(
        at_risk, cut_off=cut.cut_off, observation_start=None, is_final=True, confidence=0.95
    )
    known = survival.of_flat_file(headline, cut.tenure_unit).set_index("name")
    median = known.loc["median_lifetime_months", ["estimate", "ci_low", "ci_high"]]
    assert median.tolist() == [6, 5, 7]
    curve = survival.curves(at_risk, [], 0.95).set_index("time_days")
    assert curve.loc[366, "estimate"] == pytest.approx(0.2436, abs=5e-5)
    assert (curve["n_events"] > 0).sum() == 11
    assert survival.is_time_grouped(at_risk)
    year = known.loc["retention_12_months"]
    assert year["note"] == "only 21 accounts at risk at day 366, 98 are needed"
    assert "only 21 accounts were followed so long, and 98 would be needed" in README


@needs_export
def test_no_money_and_no_month_is_told_of_a_file_that_has_neither(paths: Paths) -> None:
    for name in ("mrr_ledger", "account_months", "returns"):
        assert table(paths, name).empty
    accounts = table(paths, "accounts")
    assert accounts["mrr"].isna().all()
    assert accounts["is_customer"].sum() == 1068
    assert not (table(paths, "quality")["kind"] == "freshness").any()


@needs_export
def test_no_export_was_edited(paths: Paths) -> None:
    assert store.sha256(paths.raw / EXPORT.name) == store.sha256(EXPORT)
