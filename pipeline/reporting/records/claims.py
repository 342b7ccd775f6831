"""What does a number claim, and how far can it be believed? Claim cards and their verdict by rule.

Works on what a chapter gives for a headline or for its primary contrast. Makes one mapping per
claim: what is estimated, in whom, by when, on how many, what was checked, and the verdict. The
subtle point: a verdict speaks of how far a number can be believed, never of whether it is large;
nobody sets it by hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.data.schema.headlines import CUT_OFF
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words
from pipeline.reporting.records.record import plain

SUPPORTED, FRAGILE, NOT_IDENTIFIED = "supported", "fragile", "not identified"
HEADLINE, CONTRAST = "headline", "contrast"
FEWEST_EVENTS = 5
FEWEST = 10
"""Rates of fewer accounts are said as `k of n` (GLOSSARY.md, small numbers)."""
NOT_SETTLED, CALLED_FRAGILE = "the month is not settled", "its chapter calls it fragile"
UNSETTLED = (NOT_SETTLED, CALLED_FRAGILE)
"""Reasons that the state of a headline already tells."""

Claim = dict[str, Any]


def contrast(chapter: str, cut_off: str, null: float, **given: Any) -> Claim:
    """The claim card of a chapter's primary contrast.

    Args:
        chapter: the chapter that makes it.
        cut_off: the last day it speaks of, ISO.
        null: the value that says "no difference".
        given: name, statement, estimand, population, estimate, ci_low, ci_high, unit, p_value, n,
            n_events, checks.
    """
    if given["unit"] not in words.UNIT_KINDS:
        units = words.listing(list(words.UNIT_KINDS))
        raise ValueError(f"{given['unit']!r} is no unit; there are {units}.")
    card = {"chapter": chapter, "kind": CONTRAST, "cut_off": cut_off, "null": null}
    return _judged(card | given | {"state": "ok", "note": ""})


def headline(row: Mapping[str, Any], dates: Mapping[str, str], checks: Iterable[Any]) -> Claim:
    """The claim card of a headline.

    Args:
        row: the headline as it is kept, `n_events` where it has any.
        dates: ISO days by what dates a headline (`as_of`, `analysis_cut_off`).
        checks: what was checked before it was believed.
    """
    promise = HEADLINES[row["name"]]
    card = {
        "chapter": promise.chapter,
        "name": promise.name,
        "kind": HEADLINE,
        "statement": promise.label,
        "estimand": promise.estimand,
        "population": promise.population,
        "cut_off": dates[promise.dated],
        "unit": promise.unit,
        "null": None,
        "p_value": None,
        "checks": checks,
    }
    numbers = ("estimate", "ci_low", "ci_high", "n", "n_events", "state", "note")
    given = {key: row.get(key) for key in numbers}
    if promise.dated == CUT_OFF and given["state"] == "provisional":
        given["state"] = "ok"  # it speaks of settled time, whatever the month's own state
    return _judged(card | given)


def checks_of(checks: Iterable[Any]) -> list[dict[str, Any]]:
    """Checks as the record keeps them: name, passed, is_hard, note.

    Takes dataclasses or mappings; a check that does not say whether it is hard is not.
    """
    rows = [one if isinstance(one, Mapping) else dataclasses.asdict(one) for one in checks]
    return [
        {
            "name": str(row["name"]),
            "passed": bool(row["passed"]),
            "is_hard": bool(row.get("is_hard", False)),
            "note": str(row.get("note", "")),
        }
        for row in rows
    ]


def stopped_by(checks: Iterable[Mapping[str, Any]]) -> str:
    """The reasons of the hard checks that failed; blank when none did."""
    failed = (row for row in checks if row["is_hard"] and not row["passed"])
    return "; ".join(row["note"] or row["name"] for row in failed)


def with_verdicts(
    headlines: Iterable[Mapping[str, Any]], cards: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Headlines with the verdict and reasons of their cards; one without a card has neither."""
    own = {card["name"]: card for card in cards if card["kind"] == HEADLINE}
    nothing: dict[str, Any] = {"verdict": "", "reasons": []}
    return [
        {**row, **{key: own.get(row["name"], nothing)[key] for key in nothing}} for row in headlines
    ]


def verdict(claim: Mapping[str, Any]) -> tuple[str, list[str]]:
    """How far a claim can be believed, and the reasons when it is not supported.

    *Not identified*: there is no estimate, or a hard check failed; "not reached" with a lower limit
    is an answer and counts as an estimate. *Fragile*: another check failed,
    the month is not settled, an estimate has no interval, or it rests on fewer than 5 events or 10
    accounts; the last two do not touch an exact fact of the books. *Supported*: all others.
    """
    stopped = stopped_by(claim["checks"])
    if stopped:
        return NOT_IDENTIFIED, [stopped]
    is_answer = claim["state"] == "not_reached" and claim["ci_low"] is not None
    if claim["estimate"] is None and not is_answer:
        return NOT_IDENTIFIED, [claim["note"] or _absent(str(claim["state"]))]
    reasons = [f"{row['name']}: {row['note']}" if row["note"] else row["name"]
               for row in claim["checks"] if not row["passed"]]  # fmt: skip
    if claim["state"] == "provisional":
        reasons.append(NOT_SETTLED)
    if claim["state"] == "fragile":
        reasons.append(claim["note"] or CALLED_FRAGILE)
    if claim["state"] != "exact":
        reasons += _thin(claim)
    return (FRAGILE, reasons) if reasons else (SUPPORTED, [])


def _thin(claim: Mapping[str, Any]) -> list[str]:
    """What an estimate lacks to be believed: an interval, accounts, events."""
    is_fact = claim["state"] == "provisional" and claim["kind"] == HEADLINE
    lacks_interval = claim["ci_low"] is None and claim["ci_high"] is None
    found = ["it has no interval"] if lacks_interval and not is_fact else []
    if claim["n"] is not None and claim["n"] < FEWEST:
        found.append(f"it rests on fewer than {FEWEST} accounts")
    if claim["n_events"] is not None and claim["n_events"] < FEWEST_EVENTS:
        found.append(f"it rests on fewer than {FEWEST_EVENTS} events")
    return found


def _absent(state: str) -> str:
    return {"not_reached": "not reached", "suppressed": "too few to say"}.get(
        state, words.NOT_AVAILABLE
    )


def _judged(given: Mapping[str, Any]) -> Claim:
    """The card with its checks, plain numbers and verdict; a hard failure leaves no number."""
    checks = checks_of(given["checks"])
    is_stopped = bool(stopped_by(checks))
    numbers = {
        key: None if is_stopped and key not in COUNTS else plain(given.get(key)) for key in NUMBERS
    }
    counts = {key: numbers[key] for key in COUNTS}
    numbers |= {key: None if n is None else round(n) for key, n in counts.items()}
    texts = {key: str(given[key]) for key in TEXTS}
    note = "" if words.is_missing(given["note"]) else str(given["note"])
    card = texts | numbers | {"null": plain(given["null"]), "checks": checks}
    found, reasons = verdict(card | {"state": str(given["state"]), "note": note})
    return card | {"verdict": found, "reasons": reasons}


TEXTS = ("chapter", "name", "kind", "statement", "estimand", "population", "cut_off", "unit")
COUNTS = ("n", "n_events")
NUMBERS = ("estimate", "ci_low", "ci_high", "p_value", *COUNTS)
