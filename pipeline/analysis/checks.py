"""What is looked at before a number is believed? The same checks, under the same names, everywhere.

Works on counts and test results alone. A check is *hard* when its failure leaves nothing to
believe: the reason is then printed in place of the number. Every other failure makes the number
fragile. The subtle point: a check that could not be made has not passed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, FEWEST_EVENTS

CONVERGENCE = "convergence"
SEPARATION = "separation"
RANK = "rank"
EVENTS = "events per parameter"
ENOUGH_EVENTS = "enough events"
PROPORTIONAL_HAZARDS = "proportional hazards"
CALIBRATION = "calibration"
EFFECTIVE_N = "effective sample size"
IDENTITY = "identity"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: its name, whether it held, what was seen."""

    name: str
    passed: bool
    note: str = ""
    is_hard: bool = False


def convergence(has_converged: bool) -> Check:
    """Did the fit settle? Hard: coefficients on the way to somewhere say nothing."""
    note = "" if has_converged else "the coefficients did not settle"
    return Check(CONVERGENCE, bool(has_converged), note, is_hard=True)


def rank(left_out: Collection[str]) -> Check:
    """Does each column say something of its own? Columns that do not are left out and named."""
    note = f"left out, they follow from the others: {', '.join(left_out)}" if left_out else ""
    return Check(RANK, not left_out, note)


def separation(separated: Collection[str], penalised: bool = False) -> Check:
    """Is there a level at which everybody or nobody left?

    Args:
        separated: names of such levels.
        penalised: Firth's penalty was used, so that their ratios are finite.
    """
    done = "Firth's penalty was used" if penalised else "no ratio is given"
    note = f"everybody or nobody left at {', '.join(separated)}; {done}" if separated else ""
    return Check(SEPARATION, not separated, note)


def events_per_parameter(
    n_events: int, n_terms: int, least: float = EVENTS_PER_PARAMETER, penalised: bool = False
) -> Check:
    """Are there enough events for the terms? Hard, unless the fit was penalised.

    Args:
        n_events: events in the fit.
        n_terms: coefficients, the baseline not counted.
        least: events that each needs.
        penalised: a penalty was used.

    Source: Peduzzi et al. (1995), J Clin Epidemiol 48: 1503.
    """
    enough = n_terms > 0 and n_events >= least * n_terms
    terms = "term" if n_terms == 1 else "terms"
    note = f"{n_events} events for {n_terms} {terms}; {least:g} for each are asked for"
    return Check(EVENTS, enough, note, is_hard=not penalised)


def enough_events(
    n_events: int,
    least: float = FEWEST_EVENTS,
    one: str = "event",
    several: str = "events",
    *,
    is_hard: bool = False,
) -> Check:
    """Are there enough events for one number that no model stands behind?

    Args:
        n_events: events behind it.
        least: fewest that are asked for.
        one: what an event is called.
        several: the same in the plural.
        is_hard: whether fewer leave nothing to believe.
    """
    note = f"{n_events} {one if n_events == 1 else several}; {least:g} are asked for"
    return Check(ENOUGH_EVENTS, bool(n_events >= least), note, is_hard)


def proportional_hazards(p_value: float, confidence: float) -> Check:
    """Is one ratio right at every age? A small p value says no; a blank one could not be made."""
    if p_value != p_value:
        return Check(PROPORTIONAL_HAZARDS, False, "the test could not be made")
    passed = p_value >= 1 - confidence
    drift = "" if passed else "; the ratio drifts with age"
    return Check(PROPORTIONAL_HAZARDS, passed, f"score test p = {p_value:.3f}{drift}")


def calibration(low: float, high: float, target: float = 1.0, what: str = "") -> Check:
    """Does the interval of a calibration measure hold its target? Blank limits: it does not."""
    passed = bool(low <= target <= high)
    span = f"{low:.2f} to {high:.2f}" if low == low and high == high else "no interval"
    name = f"{CALIBRATION}: {what}" if what else CALIBRATION
    return Check(name, passed, f"{span}, {target:g} is right")


def stopped_by(checks: Iterable[Check]) -> str:
    """Why there is no number: the notes of the hard checks that failed; blank when none did."""
    return "; ".join(
        check.note or check.name for check in checks if check.is_hard and not check.passed
    )


def effective_sample_size(effective_n: float, least: float) -> Check:
    """Do enough accounts carry the money, that no single one decides?"""
    enough = bool(effective_n >= least)
    note = f"effective sample size {effective_n:.0f}; {least:.0f} are asked for"
    return Check(EFFECTIVE_N, enough, note)


def identity(what: str, gap: float, tolerance: float) -> Check:
    """Do the books add up? Hard: a sum that does not close hides something.

    Args:
        what: what should add up, like `bridge`.
        gap: the largest difference found; missing when nothing could be added.
        tolerance: what rounding may leave.
    """
    passed = bool(gap <= tolerance)
    note = "" if passed else f"{what} does not add up: off by {gap:g}"
    return Check(f"{IDENTITY}: {what}", passed, note, is_hard=True)
