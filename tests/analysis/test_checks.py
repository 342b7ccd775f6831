"""The checks before a number is believed: when each holds, what it says, which one is hard."""

from __future__ import annotations

import pytest

from pipeline.analysis import checks
from pipeline.analysis.checks import Check


@pytest.mark.parametrize(
    ("check", "name", "passed", "note"),
    [
        (checks.convergence(True), "convergence", True, ""),
        (checks.convergence(False), "convergence", False, "the coefficients did not settle"),
        (checks.rank([]), "rank", True, ""),
        (
            checks.rank(["seats", "plan pro"]), "rank", False,
            "left out, they follow from the others: seats, plan pro",
        ),
        (checks.separation([]), "separation", True, ""),
        (
            checks.separation(["plan pro"]), "separation", False,
            "everybody or nobody left at plan pro; no ratio is given",
        ),
        (
            checks.separation(["plan pro"], penalised=True), "separation", False,
            "everybody or nobody left at plan pro; Firth's penalty was used",
        ),
        (
            checks.events_per_parameter(20, 2), "events per parameter", True,
            "20 events for 2 terms; 10 for each are asked for",
        ),
        (
            checks.events_per_parameter(19, 2), "events per parameter", False,
            "19 events for 2 terms; 10 for each are asked for",
        ),
        (
            checks.proportional_hazards(0.06, 0.95), "proportional hazards", True,
            "score test p = 0.060",
        ),
        (
            checks.proportional_hazards(0.04, 0.95), "proportional hazards", False,
            "score test p = 0.040; the ratio drifts with age",
        ),
        (checks.enough_events(5), "enough events", True, "5 events; 5 are asked for"),
        (
            checks.enough_events(4, one="loss", several="losses"), "enough events", False,
            "4 losses; 5 are asked for",
        ),
        (checks.calibration(0.8, 1.1), "calibration", True, "0.80 to 1.10, 1 is right"),
        (checks.calibration(1.1, 1.4), "calibration", False, "1.10 to 1.40, 1 is right"),
        (
            checks.calibration(-0.2, 0.3, target=0, what="intercept"), "calibration: intercept",
            True, "-0.20 to 0.30, 0 is right",
        ),
    ],
)  # fmt: skip
def test_a_check_says_what_was_looked_at_whether_it_held_and_what_was_seen(
    check, name, passed, note
):
    assert (check.name, check.passed, check.note) == (name, passed, note)
    assert isinstance(check.passed, bool)


@pytest.mark.parametrize(
    "check",
    [
        checks.proportional_hazards(float("nan"), 0.95),
        checks.calibration(float("nan"), float("nan")),
        checks.calibration(0.5, float("nan")),
        checks.events_per_parameter(100, 0),
    ],
)
def test_a_check_that_could_not_be_made_has_not_passed(check):
    assert check.passed is False
    assert check.note


def test_a_test_of_proportional_hazards_that_could_not_be_made_says_so():
    check = checks.proportional_hazards(float("nan"), 0.95)
    assert check.note == "the test could not be made"


def test_a_fit_that_did_not_settle_or_has_too_few_events_is_hard_unless_it_was_penalised():
    assert checks.convergence(False).is_hard
    assert checks.events_per_parameter(5, 2).is_hard
    assert not checks.events_per_parameter(5, 2, penalised=True).is_hard
    assert not checks.rank(["seats"]).is_hard
    assert not checks.separation(["plan pro"]).is_hard
    assert not checks.proportional_hazards(0.01, 0.95).is_hard
    assert not checks.calibration(1.1, 1.4).is_hard


def test_only_a_hard_check_that_failed_takes_the_number_away():
    soft = Check("rank", False, "left out")
    held = Check("convergence", True, "settled", is_hard=True)
    assert checks.stopped_by([]) == ""
    assert checks.stopped_by([soft, held]) == ""


def test_the_reasons_of_all_hard_failures_are_said_by_name_where_there_is_no_note():
    failed = [
        Check("convergence", False, "did not settle", is_hard=True),
        Check("rank", False, "left out"),
        Check("leakage", False, is_hard=True),
    ]
    assert checks.stopped_by(failed) == "did not settle; leakage"
