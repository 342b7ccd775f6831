"""The example company: its export is read as it is, and gives what its README says."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from pipeline import settings
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.settings import Paths, Period
from pipeline.stages import ingest, snapshot, usage

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ravenstack"
EXPORT = ROOT / ".." / "shared" / "datasets" / "ravenstack"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
SETTLED, NEWEST = Period("2024-10"), Period("2024-12")

needs_export = pytest.mark.skipif(
    not EXPORT.is_dir(), reason="the shared data sets (../shared/datasets) are not here"
)


@dataclass(frozen=True)
class Example:
    """The example after its stages have run."""

    paths: Paths

    def table(self, name: str, period: Period = NEWEST) -> pd.DataFrame:
        return store.read_frame(self.paths.snapshot(period) / f"{name}.parquet")


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    root = tmp_path_factory.mktemp("ravenstack")
    shutil.copy(EXAMPLE / "params.yaml", root)
    chosen = settings.load(root).model_copy(update={"periods": [str(SETTLED), str(NEWEST)]})
    paths = Paths(root, chosen.company)
    paths.raw.mkdir(parents=True)
    for export in EXPORT.glob("*.csv"):
        shutil.copy(export, paths.raw)
    for stage in (ingest, usage, snapshot):
        stage.run(chosen, paths)
    return Example(paths)


def test_the_example_is_a_legal_params_file_that_raises_no_threshold() -> None:
    chosen, ours = settings.load(EXAMPLE), settings.load(ROOT)
    assert chosen.quarantine == ours.quarantine
    assert chosen.grace_days == ours.grace_days
    assert chosen.population.churn_marks == ["churn_flag", "has_churn_event"]


def test_what_the_company_knows_today_only_is_no_driver_of_the_example() -> None:
    chosen = settings.load(EXAMPLE)
    leaks = {name for name, kept in chosen.attributes.items() if kept.known == "at_extract"}
    assert leaks == {"churn_flag", "has_churn_event"}
    assert not leaks & {*chosen.drivers.candidates, *chosen.survival.covariates}


@needs_export
@pytest.mark.parametrize(
    ("table", "rule", "kind", "n", "n_of", "n_accounts", "mrr"),
    [
        ("usage", "before_subscription", "quarantined", 19_142, 25_000, 500, 10_159_608),
        ("usage", "after_subscription", "quarantined", 290, 25_000, 138, 2_880_067),
        ("usage", "conflicting_key", "quarantined", 14, 25_000, 12, 317_679),
        ("tickets", "before_sign_up", "quarantined", 1_077, 2_000, 389, 8_080_401),
        ("subscriptions", "zero_length", "excluded", 13, 5_000, 13, 309_908),
    ],
)
def test_each_rule_sets_aside_the_rows_and_touches_the_revenue_that_the_readme_says(
    example: Example, table: str, rule: str, kind: str, n: int, n_of: int, n_accounts: int, mrr: int
) -> None:
    rows = example.table("quality").set_index(["table", "rule", "kind"])
    found = rows.loc[(table, rule, kind), ["n", "n_of", "n_accounts", "mrr_affected"]]
    assert found.tolist() == [n, n_of, n_accounts, mrr]
    line = next(line for line in README.splitlines() if f"| {table} | {rule}" in line)
    said = [int(cell.replace(",", "")) for cell in re.findall(r"\| ([\d,]+) (?=\|)", line)]
    assert said == [n, n_of, n_accounts, mrr]


@needs_export
def test_no_other_rule_is_broken(example: Example) -> None:
    rows = example.table("quality")
    problems = rows[rows["kind"].isin(["quarantined", "excluded", "merged", "late", "warning"])]
    assert len(problems) == 5


@needs_export
def test_three_accounts_churned_and_all_are_customers_again(example: Example) -> None:
    spells, accounts = example.table("spells"), example.table("accounts")
    churned = spells[spells["is_churn"]].sort_values("lapse_date")
    lapses = churned["lapse_date"].dt.strftime("%Y-%m-%d").tolist()
    assert lapses == ["2023-04-05", "2023-11-06", "2024-09-13"]
    assert churned["mrr_lost"].tolist() == [245, 12_736, 5_771]
    back = example.table("returns").set_index("account_id")
    assert back.loc[churned["account_id"], "days_observed"].tolist() == [157, 105, 31]
    assert len(accounts) == accounts["is_customer"].sum() == 500


@needs_export
def test_the_companys_own_definitions_of_churn_stand_beside_and_disagree(example: Example) -> None:
    accounts = example.table("accounts")
    assert accounts["churn_flag"].sum() == 110
    assert accounts["has_churn_event"].sum() == 352
    assert (~accounts["is_customer"]).sum() == 0


@needs_export
def test_the_books_hold_all_revenue_of_the_export(example: Example) -> None:
    ledger = example.table("mrr_ledger")
    newest = ledger[ledger["period"] == str(NEWEST)]
    assert newest["mrr_start"].sum() == 8_460_824
    assert newest["mrr_end"].sum() == 10_159_608


@needs_export
def test_the_month_before_last_is_settled_and_the_newest_is_not(example: Example) -> None:
    cuts = {period: slices.read(example.paths.snapshot(period)) for period in (SETTLED, NEWEST)}
    assert cuts[SETTLED].status == "final"
    assert cuts[NEWEST].status == "provisional"


@needs_export
def test_no_export_was_edited(example: Example) -> None:
    for export in EXPORT.glob("*.csv"):
        assert store.sha256(example.paths.raw / export.name) == store.sha256(export)
