"""What was decided before the data were read, and what is not what it was."""

from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.reporting.records import plan
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
BASE = {"company": "acme", "company_name": "Acme", "periods": ["2026-08"]}


def settings_of(**changes: object) -> Settings:
    return configuration.parse(BASE | changes)


def test_the_plan_names_contrasts_families_covariates_and_thresholds() -> None:
    decided = plan.plan_of(configuration.load(ROOT))
    assert {
        "grace_days", "confidence", "seed", "survival.primary_contrast", "survival.covariates",
        "drivers.candidates", "time_to_value.first_value", "families.primary",
        "fit.gross_margin_share",
    } <= set(decided)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"grace_days": 60}, {"survival": {"strata": []}}, {"families": {"primary": ["survival"]}},
        {"drivers": {"false_discovery_rate": 0.2}}, {"observation_start": "2024-01-01"},
    ],
)  # fmt: skip
def test_another_decision_is_another_plan(change: dict) -> None:
    before, now = plan.plan_of(settings_of()), plan.plan_of(settings_of(**change))
    assert plan.hash_of(before) != plan.hash_of(now)
    assert len(plan.changes(before, now)) == 1


@pytest.mark.parametrize("change", [{"company_name": "Other"}, {"periods": []}, {"min_cell": 10}])
def test_what_bears_on_no_number_is_not_in_the_plan(change: dict) -> None:
    assert plan.plan_of(settings_of()) == plan.plan_of(settings_of(**change))


def test_a_change_says_what_was_decided_before_and_now() -> None:
    before, now = {"grace_days": 30, "gone": 1}, {"grace_days": 60}
    assert plan.changes(before, now) == [
        {"setting": "grace_days", "before": 30, "now": 60},
        {"setting": "gone", "before": 1, "now": None},
    ]
