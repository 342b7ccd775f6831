"""Targets of a period: from the raw table, unless params.yaml says otherwise."""

import pytest

from pipeline.data import targets
from pipeline.data.schema.published import HEADLINES
from pipeline.settings import Period
from tests.stages.company import accounts_of, write_company

SUBSCRIPTIONS = "subscription_id,account_id,start_date,end_date,mrr\nS1,A,2025-01-05,,100\n"
TARGETS = """
    period,metric,owner,target
    2025-01,mrr_end,Revenue,150
    2025-01,customers_end,Sales,2
    2025-02,mrr_end,Revenue,999
"""


def aims(root, files, **params):
    company = write_company(
        root,
        {"accounts.csv": accounts_of("A"), "subscriptions.csv": SUBSCRIPTIONS} | files,
        extract_date="2025-03-31",
        **params,
    ).run()
    return targets.of_period(company.settings, company.paths.snapshot(Period("2025-01")))


def test_the_period_s_own_rows_are_its_targets_and_params_go_first(tmp_path):
    summary = {"targets": {"customers_end": {"target": 5.0, "owner": "Board"}}}
    found = aims(tmp_path, {"targets.csv": TARGETS}, summary=summary)
    assert targets.named("mrr_end", found) == {"target": 150.0, "target_owner": "Revenue"}
    assert targets.named("customers_end", found) == {"target": 5.0, "target_owner": "Board"}


def test_without_any_target_the_fields_are_null(tmp_path):
    found = aims(tmp_path, {})
    assert targets.named("mrr_end", found) == {"target": None, "target_owner": None}


@pytest.mark.parametrize(
    ("headline", "value", "is_met"),
    [
        ("net_revenue_retention", 1.02, True),
        ("net_revenue_retention", 0.99, False),
        ("gross_account_churn_rate", 0.99, True),
        ("gross_account_churn_rate", 1.02, False),
        ("median_time_to_value_days_recent", 0.5, True),
        ("mrr_end", 1.0, True),
    ],
)
def test_a_target_is_met_on_its_better_side(headline, value, is_met):
    assert targets.is_met(headline, value, 1.0) is is_met


def test_each_headline_of_which_less_is_better_exists():
    assert set(targets.LESS_IS_BETTER) <= set(HEADLINES)
