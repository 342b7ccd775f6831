"""What does a fitted model say of itself, and how does a library's summary name its terms?

Works on fitted models. The subtle point: columns of a design are named by position, because names
that come from data must not reach a formula. A summary that a person reads needs the words back, so
they are put on a copy; the fitted object itself stays as the library made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from lifelines import CoxPHFitter

T = TypeVar("T")
NAMED_PARTS = ("params_", "standard_errors_", "confidence_intervals_")
"""What CoxPHFitter.summary and print_summary are made of, one row per term."""


def in_a_line(
    name: str, n: int, n_events: int, n_terms: int, converged: bool, note: str = "",
    events: str = "churns",
) -> str:  # fmt: skip
    """`Cox model: 1,931 accounts, 412 churns, 6 terms, converged`; without a fit the reason."""
    counted = f"{name}: {n:,} accounts, {n_events:,} {events}"
    if not n_terms:
        return f"{counted}, not fitted: {note}" if note else f"{counted}, not fitted"
    terms = f"{n_terms} term{'s' * (n_terms != 1)}"
    return f"{counted}, {terms}, {'converged' if converged else 'did not converge'}"


def named(fitted: CoxPHFitter, names: Sequence[str]) -> CoxPHFitter:
    """A copy of a fitted Cox model whose summary calls its terms by these names.

    Args:
        fitted: from lifelines.
        names: one per term, in the order of the design.

    Returns:
        For `summary` and `print_summary` alone: what predicts still asks for the design's columns.
    """
    shown = _twin(fitted)
    shown._model = _twin(fitted._model)  # it holds what was fitted, the other forwards
    for part in NAMED_PARTS:
        own = getattr(fitted, part)
        setattr(shown._model, part, own.set_axis(list(names)).rename_axis(own.index.name))
    return shown


def _twin(thing: T) -> T:
    """Another object of the same parts."""
    twin = object.__new__(type(thing))
    vars(twin).update(vars(thing))
    return twin


def found(fitted: T | None, note: str) -> T:
    """The fitted object; ValueError with the reason when there is none."""
    if fitted is None:
        raise ValueError(f"There is no fit to summarise: {note or 'the model was not fitted'}.")
    return fitted
