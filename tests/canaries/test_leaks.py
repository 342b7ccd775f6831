"""Canaries that know the future: each is refused, and each misleads once its guard is off."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import drivers
from pipeline.analysis.drivers import leaks, rows

PIPELINE = Path(__file__).parents[2] / "pipeline"
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CANARIES = (
    "canary_next_cycle_usage",
    "canary_status_at_extract",
    "canary_days_since_last_login_at_extract",
    "canary_lifetime_months",
    "canary_final_invoice",
    "canary_usage_after_notice",
    "reached_value_ever",
)


def company(n_accounts: int = 700, n_months: int = 20, seed: int = 20261103) -> pd.DataFrame:
    """Account-months of a company where neither usage nor value changes who leaves."""
    draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, 1)))
    start = draw.integers(0, n_months, n_accounts)
    life = draw.geometric(0.06, n_accounts)
    value_at = draw.geometric(0.15, n_accounts)
    blocks = []
    for month in range(n_months):
        seen = np.flatnonzero((start <= month) & (month < start + life))
        tenure = month - start[seen]
        leaves = tenure == life[seen] - 1
        usage = draw.poisson(9, len(seen))
        lived = np.minimum(life[seen], n_months - start[seen])
        has_left = life[seen] < n_months - start[seen]
        blocks.append(
            pd.DataFrame(
                {
                    "period": str(pd.Period("2025-01", "M") + month),
                    "account_id": seen.astype(str),
                    "tenure_months": tenure,
                    "usage_days": usage,
                    "has_value": tenure >= value_at[seen],
                    "mrr": 100.0,
                    "is_age_known": True,
                    "is_settled": True,
                    "is_churn": leaves,
                    "canary_next_cycle_usage": np.where(leaves, 0, draw.poisson(9, len(seen))),
                    "canary_status_at_extract": np.where(has_left, "former", "customer"),
                    "canary_days_since_last_login_at_extract": 30.0 * (n_months - month) * has_left,
                    "canary_lifetime_months": lived.astype(float),
                    "canary_final_invoice": np.where(has_left, 0.0, 100.0),
                    "canary_usage_after_notice": np.where(leaves, 1, usage + 2),
                    "reached_value_ever": value_at[seen] <= lived,
                }
            )
        )
    return pd.concat(blocks, ignore_index=True)


@pytest.fixture(scope="module")
def account_months() -> pd.DataFrame:
    return company()


def accounts_of(account_months: pd.DataFrame) -> pd.DataFrame:
    return account_months[["account_id"]].drop_duplicates()


def unguarded(account_months: pd.DataFrame, names: list[str], monkeypatch) -> pd.DataFrame:
    monkeypatch.setattr(rows, "refuse", lambda *_: None)
    return drivers.driver_rows(account_months, accounts_of(account_months), names)


@pytest.mark.parametrize("canary", CANARIES)
def test_c1_c10_a_feature_that_holds_the_future_is_refused_by_name(account_months, canary):
    with pytest.raises(drivers.LeakageError, match=canary):
        drivers.driver_rows(account_months, accounts_of(account_months), ["usage_days", canary])


def test_c1_a_feature_without_a_rule_of_availability_is_refused(account_months):
    odd = account_months.assign(clever_score=1.0)
    with pytest.raises(drivers.LeakageError, match="clever_score has no rule"):
        drivers.driver_rows(odd, accounts_of(odd), ["clever_score"])


def test_c1_honest_features_pass_the_monitor(account_months):
    honest = ["usage_days", "has_value"]
    found = drivers.driver_rows(account_months, accounts_of(account_months), honest)
    monitored = leaks.monitor(found, honest)
    assert not monitored["is_leak"].any()
    assert leaks.check(monitored).passed


@pytest.mark.parametrize("canary", ["canary_next_cycle_usage", "canary_usage_after_notice"])
def test_c1_with_the_registry_off_the_monitor_sees_what_changes_with_the_leaving(
    account_months, canary, monkeypatch
):
    monitored = leaks.monitor(unguarded(account_months, [canary], monkeypatch), [canary])
    assert monitored["is_leak"].all()
    check = leaks.check(monitored)
    assert not check.passed
    assert check.is_hard
    assert canary in check.note


@pytest.mark.parametrize(
    "canary", ["canary_status_at_extract", "canary_final_invoice", "canary_lifetime_months"]
)
def test_c1_without_the_registry_a_state_at_the_extract_looks_like_a_strong_driver(
    account_months, canary, monkeypatch
):
    found = unguarded(account_months, ["usage_days", canary], monkeypatch)
    auc = leaks.monitor(found, ["usage_days", canary]).set_index("driver")["auc"]
    assert auc["usage_days"] < 0.53
    assert auc[canary] > auc["usage_days"] + 0.15


def log_ratio(model: drivers.DriverModel) -> tuple[float, float]:
    """The log hazard ratio of a model's only driver, yes against no, and its error."""
    (column,) = model.recipe.columns
    return model.fitted.params[column], np.sqrt(model.fitted.cov.loc[column, column])


def test_c10_ever_having_reached_value_looks_protective_where_value_does_nothing(
    account_months, monkeypatch
):
    found = unguarded(account_months, ["has_value", "reached_value_ever"], monkeypatch)
    honest = drivers.fit(drivers.settled(found), ["has_value"], 10)
    naive = drivers.fit(drivers.settled(found), ["reached_value_ever"], 10)
    right, error = log_ratio(honest)
    wrong, _ = log_ratio(naive)
    assert abs(right) < 2.6 * error
    assert wrong < -0.4


# C11: nobody but the simulator and its runner knows the truth.


def readers_of_truth(sources: dict[str, str]) -> list[str]:
    """Files that import the simulator or name its truth file."""
    found = []
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            is_import = isinstance(node, ast.Import | ast.ImportFrom)
            modules = [alias.name for alias in node.names] if is_import else []
            modules += [getattr(node, "module", "") or ""]
            text_of = node.value if isinstance(node, ast.Constant) else ""
            if any("simulate" in module or module.startswith("truth") for module in modules) or (
                isinstance(text_of, str) and "truth.json" in text_of
            ):
                found.append(name)
                break
    return found


def test_c11_no_file_of_analysis_statistics_or_reporting_knows_the_truth():
    sources = {
        path.name: path.read_text(encoding="utf-8")
        for room in ("analysis", "statistics", "reporting", "data")
        for path in (PIPELINE / room).rglob("*.py")
    }
    assert len(sources) > 60
    assert readers_of_truth(sources) == []
    notebooks = {path.name: path.read_text(encoding="utf-8") for path in NOTEBOOKS.glob("*.ipynb")}
    assert [name for name, text in notebooks.items() if "simulate" in text] == []


def test_c11_a_file_that_reads_the_truth_is_found():
    bad = {
        "a.py": "from pipeline.stages.simulate import truth",
        "b.py": "import pipeline.stages.simulate.truth",
        "c.py": "path = folder / 'truth.json'",
        "d.py": "import pandas",
    }
    assert readers_of_truth(bad) == ["a.py", "b.py", "c.py"]
