"""How far a number can be believed: by rule, from what was checked."""

from dataclasses import dataclass

import pytest

from pipeline.data.schema.headlines import HEADLINES
from pipeline.reporting.records import claims
from pipeline.reporting.records.claims import FRAGILE, NOT_IDENTIFIED, SUPPORTED

DATES = {"as_of": "2026-10-31", "analysis_cut_off": "2026-09-28"}


@dataclass(frozen=True)
class Looked:
    name: str
    passed: bool
    note: str = ""
    is_hard: bool = False


def claim_of(**changes: object) -> claims.Claim:
    row = {
        "name": "retention_12_months", "estimate": 0.8, "ci_low": 0.7, "ci_high": 0.9, "n": 200,
        "n_events": 40, "state": "ok", "note": "",
    } | changes  # fmt: skip
    return claims.headline(row, DATES, row.pop("checks", ()))


def contrast_of(**changes: object) -> claims.Claim:
    given = {
        "name": "segment", "statement": "SMB against enterprise", "estimand": "A ratio.",
        "population": "All.", "estimate": 1.4, "ci_low": 1.1, "ci_high": 1.8, "unit": "ratio",
        "p_value": 0.01, "n": 500, "n_events": 60, "checks": [],
    } | changes  # fmt: skip
    return claims.contrast("survival", "2026-09-28", 1.0, **given)


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({}, SUPPORTED, None),
        ({"estimate": None}, NOT_IDENTIFIED, "not available"),
        ({"estimate": None, "state": "not_reached", "ci_low": None}, NOT_IDENTIFIED, "not reached"),
        ({"estimate": float("nan"), "state": "not_reached", "ci_high": None}, SUPPORTED, None),
        ({"estimate": None, "note": "3 of 8"}, NOT_IDENTIFIED, "3 of 8"),
        ({"checks": [Looked("rank", False, "one left out")]}, FRAGILE, "rank: one left out"),
        ({"checks": [Looked("rank", True)]}, SUPPORTED, None),
        ({"name": "mrr_end", "state": "provisional", "note": "x"}, FRAGILE, "not settled"),
        ({"state": "provisional"}, SUPPORTED, None),
        ({"state": "fragile", "note": "few at risk"}, FRAGILE, "few at risk"),
        ({"ci_low": None, "ci_high": None}, FRAGILE, "no interval"),
        ({"ci_high": None}, SUPPORTED, None),
        ({"n_events": 4}, FRAGILE, "5 events"),
        ({"n_events": 5}, SUPPORTED, None),
        ({"n": 9}, FRAGILE, "10 accounts"),
        ({"state": "exact", "ci_low": None, "ci_high": None, "n": 4}, SUPPORTED, None),
    ],
)
def test_the_verdict_follows_from_the_card(changes, verdict, reason):
    card = claim_of(**changes)
    assert card["verdict"] == verdict
    assert reason is None if not card["reasons"] else reason in card["reasons"][0]


def test_a_hard_failure_leaves_its_reason_and_no_number():
    failed = Looked("convergence", False, "the coefficients did not settle", is_hard=True)
    card = contrast_of(checks=[failed, Looked("rank", False)])
    assert (card["verdict"], card["reasons"]) == (NOT_IDENTIFIED, [failed.note])
    assert [card[key] for key in ("estimate", "ci_low", "ci_high", "p_value")] == [None] * 4
    assert (card["n"], card["n_events"]) == (500, 60)


def test_a_contrast_that_shows_no_difference_can_be_supported():
    assert contrast_of(estimate=1.0, ci_low=0.9, ci_high=1.1, p_value=0.9)["verdict"] == SUPPORTED


def test_counts_that_a_frame_made_floats_are_whole_numbers_again():
    card = claim_of(n=200.0, n_events=float("nan"))
    assert (repr(card["n"]), card["n_events"]) == ("200", None)


def test_a_contrast_in_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="'furlongs' is no unit"):
        contrast_of(unit="furlongs")


def test_a_fact_of_the_books_speaks_of_the_last_day_and_an_estimate_of_the_cut_off():
    assert claim_of()["cut_off"] == "2026-09-28"
    assert claim_of(name="mrr_end", state="exact")["cut_off"] == "2026-10-31"


def test_a_check_may_be_a_mapping_and_is_soft_unless_it_says_otherwise():
    assert claims.checks_of([{"name": "rank", "passed": 1}]) == [
        {"name": "rank", "passed": True, "is_hard": False, "note": ""}
    ]


@pytest.mark.parametrize("name", HEADLINES)
def test_every_headline_says_what_it_estimates_and_in_whom(name):
    assert HEADLINES[name].estimand.endswith(".")
    assert HEADLINES[name].population.endswith(".")
