"""What does every chapter say to the annex, and how are the choices behind a contrast called?

Works on nothing. The subtle point: a figure has room for about forty signs, so a choice is said
shortly here, and its reason stands in the chapter.
"""

from __future__ import annotations

from pipeline.analysis.reliability import LARGEST_SHARE

SPECIFICATION_COLUMNS = [
    "chapter", "contrast", "choice", "specification", "estimate", "ci_low", "ci_high", "unit", "n",
    "n_events", "is_primary", "note",
]  # fmt: skip
"""A specification: one contrast under one choice."""
LEDGER_COLUMNS = [
    "chapter", "shortcut", "right", "wrong_estimate", "right_estimate", "right_ci_low",
    "right_ci_high", "unit", "n", "note",
]  # fmt: skip
"""A shortcut beside the right number."""
GRACES_DAYS = (0, 14, 30, 60, 90)
"""The graces that the annex looks at; a slice's own is the primary one."""
WITHOUT_LARGEST = f"without the {LARGEST_SHARE:.0%} largest accounts by MRR".replace("%", " %")
ON_NOTICE = "dated on notice"
VOLUNTARY_ONLY = "voluntary exits only"
LAST_YEAR_ONLY = "the last 12 months only"


def primary(words: str) -> str:
    """What the first row is: `Primary: grouped-time hazard`."""
    return f"Primary: {words}"


def days(grace_days: int) -> str:
    """A grace in words: `14 days`."""
    return f"{grace_days} days"


def without(end_type: str) -> str:
    """Exits that are no event: `without completed exits`."""
    return f"without {end_type} exits"


def without_first(days_of_age: int) -> str:
    """Ages left out: `without the first 30 days`."""
    return f"without the first {days_of_age} days"


def without_starters_of(year: object) -> str:
    """A cohort left out: `without those who started in 2024`."""
    return f"without those who started in {year}"
