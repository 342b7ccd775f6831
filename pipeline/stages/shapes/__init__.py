"""Subscriptions that come in another shape than intervals: a ledger, changes, or a flat file.

In the order of the story: `received` (which shape, and how it is read), `days` (what days it speaks
of), `accounts` (who is in it), `conversion` (how it becomes intervals). The subtle point: nothing
but `ingest` and the checks before it knows shapes; what comes after reads intervals alone.
"""

from pipeline.stages.shapes.accounts import first_days, one_per_account, with_sign_up
from pipeline.stages.shapes.conversion import as_intervals
from pipeline.stages.shapes.days import check_known, check_months, extract_date_of, placed_on
from pipeline.stages.shapes.received import (
    CHANGES,
    INTERVALS,
    MONTHLY,
    ROW,
    TENURE,
    as_received,
    completed,
    facts,
    is_numbered,
    keyed,
    numbered,
    rules_of,
    without_numbers,
)

__all__ = [
    "CHANGES",
    "INTERVALS",
    "MONTHLY",
    "ROW",
    "TENURE",
    "as_intervals",
    "as_received",
    "check_known",
    "check_months",
    "completed",
    "extract_date_of",
    "facts",
    "first_days",
    "is_numbered",
    "keyed",
    "numbered",
    "one_per_account",
    "placed_on",
    "rules_of",
    "with_sign_up",
    "without_numbers",
]
