"""Names of columns in params.yaml: known to the schema, or a mistake."""

import pytest

from pipeline import settings
from pipeline.data import choices
from pipeline.settings import ConfigurationError

COMPANY = {"company": "acme", "company_name": "Acme", "periods": ["2025-01"]}
ATTRIBUTES = {"plan": {"column": "tier", "known": "at_signup"}}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"survival": {"strata": ["segmnt"]}}, "survival.strata: no column 'segmnt'; did you mean"),
        ({"survival": {"stratify_by": "tier"}}, "survival.stratify_by: no column 'tier'"),
        ({"drivers": {"candidates": ["karma"]}}, "drivers.candidates: no column 'karma'"),
        ({"time_to_value": {"groups": ["karma"]}}, "time_to_value.groups: no column 'karma'"),
        ({"revenue": {"mix_by": "karma"}}, "revenue.mix_by: no column 'karma'"),
        ({"population": {"churn_marks": ["left"]}}, "population.churn_marks: no column 'left'"),
    ],
)
def test_a_column_that_nobody_knows_is_a_configuration_error(block, message):
    with pytest.raises(ConfigurationError, match=message):
        choices.check(settings.parse(COMPANY | block))


@pytest.mark.parametrize("name", ["account_id", "name"])
@pytest.mark.parametrize(
    ("block", "key", "is_list"),
    [
        ("survival", "strata", True), ("survival", "covariates", True),
        ("survival", "stratify_by", False), ("survival", "primary_contrast", False),
        ("drivers", "candidates", True), ("time_to_value", "groups", True),
        ("time_to_value", "adjust_for", True), ("revenue", "mix_by", False),
    ],
)  # fmt: skip
def test_a_column_that_says_who_an_account_is_forms_no_groups(block, key, is_list, name):
    chosen = {block: {key: [name] if is_list else name}}
    with pytest.raises(ConfigurationError, match=f"{block}.{key}: '{name}' says who an account is"):
        choices.check(settings.parse(COMPANY | chosen))


def test_the_company_s_own_attributes_and_columns_the_data_may_lack_are_known():
    source = {"tables": {"accounts": {"attributes": ATTRIBUTES}}}
    strata = {"strata": ["plan", "industry"]}
    read = settings.parse(COMPANY | {"source": source, "survival": strata})
    choices.check(read)
    assert read.survival.strata == ["plan", "industry"]


def test_a_time_zone_that_does_not_exist_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="'Mars/X' is no time zone"):
        settings.parse(COMPANY | {"timezone": "Mars/X"})
