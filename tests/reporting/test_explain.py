"""Where a number comes from: its meaning, its verdict and the rows behind it."""

import pytest

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting.records import explain
from pipeline.settings import Paths
from tests.reporting.test_publish import OCTOBER, Month

CARD = {
    "kind": "headline", "name": "mrr_end", "verdict": "fragile",
    "reasons": ["the month is not settled"],
    "checks": [{"name": "bridge adds up", "passed": True, "is_hard": True, "note": ""}],
}  # fmt: skip


def test_every_headline_rests_on_rows_that_can_be_shown() -> None:
    assert set(explain.BEHIND) == set(HEADLINES)


@pytest.fixture
def paths(tmp_path) -> Paths:
    month = Month(tmp_path, OCTOBER, claims=[CARD])
    month.publish()
    return month.paths


def test_a_number_is_explained_with_its_estimand_verdict_and_checks(paths: Paths) -> None:
    said = "\n".join(explain.explain(OCTOBER, "mrr_end", paths))
    for part in (
        "estimand  Recurring revenue at the end of the month.",
        "in whom   Accounts that paid at the end of the month.",
        "verdict   fragile: the month is not settled",
        "check     bridge adds up: held",
    ):
        assert part in said
    assert "verdict" not in "\n".join(explain.explain(OCTOBER, "mrr_start", paths))
