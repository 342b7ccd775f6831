"""Targets of a period: from the raw table, unless params.yaml says otherwise."""

from pipeline.data import targets
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
