"""What moved since it was first published: the right figures, why, and since which report.

The months here are written by hand: a slice says what each account paid at the end of a month, the
revenue chapter's table says what the report of a later month says of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.data import store
from pipeline.reporting import publish
from pipeline.reporting.records import record, restatements
from pipeline.settings import Period
from tests.reporting.test_publish import AUGUST, OCTOBER, SEPTEMBER, Month, settings_of

Paid = Mapping[str, float]
"""Account → what it pays at the end of August."""
AS_IT_WAS: Paid = {"a-1": 600.0, "a-2": 400.0}
LESS: Paid = {"a-1": 600.0, "a-2": 370.0}
CAME_LATE: Paid = {"a-3": 250.0}


def month(
    root: Path,
    period: Period,
    august: float,
    own: Paid = AS_IT_WAS,
    late: Paid | None = None,
    **changes: Any,
) -> Month:
    """A month whose report says `august` of August.

    `own`: what August's slice holds; `late`: what the month's slice holds besides.
    """
    made = Month(root, period, settings_of(**changes) if changes else None)
    made.chapter("revenue", {"2026-08": august, str(period): august})
    for name, paid in ((AUGUST, own), (period, {**own, **(late or {})})):
        rows = pd.DataFrame(
            {"period": "2026-08", "account_id": list(paid), "mrr_end": list(paid.values())}
        )
        store.write_parquet(rows, made.paths.snapshot(name) / "mrr_ledger.parquet")
    return made


def moved(made: Month) -> dict[str, Any]:
    """The row on August's MRR in the report of a month; empty without one."""
    made.publish()
    rows = made.report["restatements"]
    return next(
        (row for row in rows if (row["period"], row["metric"]) == ("2026-08", "mrr_end")), {}
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A root in which August is final at 1,000."""
    month(tmp_path, AUGUST, 1000.0).publish()
    return tmp_path


def test_a_month_that_stands_as_published_has_no_row(published: Path) -> None:
    assert moved(month(published, OCTOBER, 1000.0)) == {}


def test_a_row_that_came_after_the_close_is_a_late_row(published: Path) -> None:
    row = moved(month(published, OCTOBER, 1250.0, late=CAME_LATE))
    assert (row["first_published"], row["now"], row["difference"]) == (1000.0, 1250.0, 250.0)
    assert (row["reason"], row["first_status"]) == ("late rows", "final")


def test_another_past_in_the_months_own_slice_is_rewritten_history(published: Path) -> None:
    row = moved(month(published, OCTOBER, 970.0, LESS))
    assert (row["reason"], row["of_which"]) == (
        "rewritten history", {"rewritten history": -30.0},
    )  # fmt: skip


def test_late_rows_and_rewritten_history_each_have_their_part_of_the_difference(
    published: Path,
) -> None:
    row = moved(month(published, OCTOBER, 1220.0, LESS, CAME_LATE))
    assert row["of_which"] == {"rewritten history": -30.0, "late rows": 250.0}
    assert sum(row["of_which"].values()) == row["difference"] == 220.0


def test_another_grace_is_a_new_definition(published: Path) -> None:
    one_lapsed = {"a-1": 600.0, "a-2": 0.0}
    row = moved(month(published, OCTOBER, 600.0, one_lapsed, grace_days=14))
    assert row["of_which"] == {"new definition": -400.0}


def test_other_code_on_the_same_facts_is_new_code(published: Path) -> None:
    later = month(published, OCTOBER, 990.0)
    store.write_text("rounding = 10\n", published / "pipeline" / "rounding.py")
    assert moved(later)["reason"] == "new code"


def test_other_code_and_another_slice_cannot_be_told_apart(published: Path) -> None:
    later = month(published, OCTOBER, 970.0, LESS)
    store.write_text("rounding = 10\n", published / "pipeline" / "rounding.py")
    assert moved(later)["reason"] == "rewritten history or new code"


def test_a_figure_that_moved_though_nothing_changed_is_called_not_explained(
    published: Path,
) -> None:
    august = month(published, AUGUST, 990.0)
    august.publish(force=True)
    rows = {row["metric"]: row for row in august.report["restatements"]}
    assert rows["mrr_end"]["reason"] == "not explained"


def test_half_a_cent_is_no_restatement_and_a_cent_is(published: Path) -> None:
    assert moved(month(published, OCTOBER, 1000.004)) == {}
    assert moved(month(published, OCTOBER, 1000.01))["difference"] == 0.01


def test_the_count_of_customers_moves_with_the_accounts_that_came_late(published: Path) -> None:
    later = month(published, OCTOBER, 1002.0, late={"a-3": 1.0, "a-4": 1.0, "a-5": 0.0})
    later.publish()
    rows = {row["metric"]: row for row in later.report["restatements"]}
    assert rows["customers_end"]["of_which"] == {"late rows": 2.0}


@pytest.mark.parametrize("gone", ["mrr_ledger.parquet", "slice.json", "*"])
def test_without_the_months_own_slice_no_reason_is_guessed(published: Path, gone: str) -> None:
    later = month(published, OCTOBER, 1250.0, late=CAME_LATE)
    found = list(later.paths.snapshot(AUGUST).glob(gone))
    assert found
    for path in found:
        path.unlink()
    row = moved(later)
    late = {"late rows": 250.0}  # the ledgers alone tell it
    expected = late if gone == "slice.json" else {"its slice is no longer here": 250.0}
    assert (row["reason"], row["of_which"]) == ("; ".join(expected), expected)


def test_without_its_slice_the_code_is_not_blamed(published: Path) -> None:
    later = month(published, OCTOBER, 990.0)
    store.write_text("rounding = 10\n", published / "pipeline" / "rounding.py")
    (later.paths.snapshot(AUGUST) / "mrr_ledger.parquet").unlink()
    assert moved(later)["of_which"] == {"its slice is no longer here": -10.0}


def test_without_its_slice_another_definition_is_still_known(published: Path) -> None:
    later = month(published, OCTOBER, 990.0, grace_days=14)
    (later.paths.snapshot(AUGUST) / "mrr_ledger.parquet").unlink()
    assert moved(later)["of_which"] == {"new definition": -10.0}


def test_where_no_ledger_tells_what_came_late_one_reason_stands_for_the_whole() -> None:
    assert restatements._parts(-30.0, None, "") == {"late rows": -30.0}
    assert restatements._parts(-30.0, None, "rewritten history") == {"rewritten history": -30.0}


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (0.002, {"new code": 0.004}),
        (0.004, {"late rows": 0.004}),
        (0.003, {"new code": 0.003}),
        (0.006, {"late rows": 0.006}),
    ],
)
def test_of_two_parts_below_half_a_cent_the_larger_is_the_reason(
    late: float, expected: dict[str, float]
) -> None:
    assert restatements._parts(0.006, late, "new code") == pytest.approx(expected)


# The month itself, when it is published again.


def test_a_first_look_that_settled_lists_every_headline_that_moved(tmp_path: Path) -> None:
    first = month(tmp_path, OCTOBER, 1000.0)
    first.publish()
    first.chapter("revenue", {"2026-08": 1000.0, "2026-10": 900.0})
    first.late_row()
    first.publish()
    rows = [row for row in first.report["restatements"] if row["period"] == "2026-10"]
    assert {row["reason"] for row in rows} == {"facts known since the first look"}
    assert {row["first_status"] for row in rows} == {"provisional"}
    assert {"mrr_start", "customers_end", "quick_ratio", "net_revenue_retention"} <= {
        row["metric"] for row in rows
    }


def test_a_revised_report_lists_what_moved_and_keeps_what_it_said(published: Path) -> None:
    before = store.read_json(published / "reports" / "2026-08" / "report.json")
    august = month(published, AUGUST, 970.0, LESS)
    assert august.publish() == publish.Publication(AUGUST, "revised", 2, True)
    rows = {row["metric"]: row for row in august.report["restatements"]}
    assert (rows["mrr_end"]["first_published"], rows["mrr_end"]["now"]) == (1000.0, 970.0)
    assert rows["mrr_end"]["of_which"] == {"rewritten history": -30.0}
    assert store.read_json(august.place / "history" / "1.json") == before


def test_a_headline_that_can_no_longer_be_said_is_listed_without_a_difference(
    published: Path,
) -> None:
    august = month(published, AUGUST, 1000.0, {"a-1": 1.0})
    august.chapter("revenue", {"2026-07": 5.0})  # nothing of August
    august.publish()
    rows = {row["metric"]: row for row in august.report["restatements"]}
    assert (rows["mrr_end"]["now"], rows["mrr_end"]["difference"]) == (None, None)
    assert rows["mrr_end"]["reason"] == "rewritten history"


# Since when.


def test_a_restatement_names_the_first_report_that_said_what_is_said_now(published: Path) -> None:
    september = month(published, SEPTEMBER, 1250.0, late=CAME_LATE)
    assert moved(september)["since"] == {"period": "2026-09", "revision": 1}
    october = month(published, OCTOBER, 1250.0, late=CAME_LATE)
    assert moved(october)["since"] == {"period": "2026-09", "revision": 1}
    october = month(published, OCTOBER, 1300.0, late={"a-3": 300.0})
    assert moved(october)["since"] == {"period": "2026-10", "revision": 2}


def test_a_reason_holds_still_while_the_figure_does(published: Path) -> None:
    assert moved(month(published, SEPTEMBER, 1250.0, late=CAME_LATE))["reason"] == "late rows"
    store.write_text("rounding = 10\n", published / "pipeline" / "rounding.py")
    october = month(published, OCTOBER, 1250.0, late=CAME_LATE, confidence=0.9)
    row = moved(october)
    assert october.report["definition_changes"] != []
    assert (row["reason"], row["since"]["period"]) == ("late rows", "2026-09")


def as_older_code_wrote(place: Path) -> None:
    """Let a report in force give one reason without its parts, as reports once did."""
    path = place / "report.json"
    report = store.read_json(path)
    for row in report["restatements"]:
        del row["of_which"], row["since"]
        row["reason"] = "later facts"
    store.write_json(record.sealed(report), path)


def test_a_reason_without_parts_is_not_carried_beside_parts_and_since_is(published: Path) -> None:
    september = month(published, SEPTEMBER, 1250.0, late=CAME_LATE)
    assert moved(september)["since"] == {"period": "2026-09", "revision": 1}
    as_older_code_wrote(september.place)
    october = month(published, OCTOBER, 1250.0, late=CAME_LATE)
    row = moved(october)
    assert (row["reason"], row["of_which"]) == ("late rows", {"late rows": 250.0})
    assert row["since"] == {"period": "2026-09", "revision": 1}


def test_no_later_month_touches_a_report_in_force(published: Path) -> None:
    folder = published / "reports" / "2026-08"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    month(published, OCTOBER, 1250.0, late=CAME_LATE).publish()
    again = month(published, AUGUST, 1250.0)  # the same slice, another chapter
    assert again.publish() == publish.Publication(AUGUST, "final", 1, False)
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(folder.rglob("*"))) == len({*before, folder / "tables"})
