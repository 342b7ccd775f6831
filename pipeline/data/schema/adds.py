"""What would each chapter add if an optional table or column were given? One sentence each.

Read by the chapters, by `lodestar check` and by docs/data.md. The subtle point: a table without an
entry is read and checked and used by nothing else, and every page says so too; a test takes each
table away and looks whether what is said here is what goes missing.
"""

from __future__ import annotations

from pipeline.data.schema.raw import SHAPES

ADDS: dict[str, dict[str, str]] = {
    "usage": {
        "drivers": "whether use of the product, and a change of it, goes with staying",
    },
    "milestones": {
        "time_to_value": "how soon customers get value, who still waits, and whether those with "
        "value stay longer",
        "drivers": "whether having reached value goes with staying",
    },
    "surveys": {
        "drivers": "whether the latest answer to a survey goes with staying",
    },
    "tickets": {
        "drivers": "whether trouble, and how long it stays open, goes with leaving",
    },
    "touches": {
        "drivers": "whether being in contact goes with staying",
    },
    "plays": {
        "drivers": "whether a play under way goes with staying",
    },
    "contacts": {
        "drivers": "whether losing a champion goes with leaving",
    },
    "targets": {
        "summary": "the target beside each headline, and who answers for it",
    },
    "accounts.segment": {
        "survival": "curves and tests by size class",
        "revenue": "which size class a change of churn comes from",
        "drivers": "whether size goes with staying",
        "time_to_value": "how soon each size class gets value",
    },
    "accounts.touch_model": {
        "survival": "curves and tests by touch model",
        "drivers": "whether the touch model goes with staying",
        "time_to_value": "how soon each touch model brings value",
    },
    "accounts.industry": {"survival": "curves by industry, once survival.strata lists it"},
    "accounts.business_type": {"survival": "curves by who buys, once survival.strata lists it"},
    "accounts.country": {"survival": "curves by country, once survival.strata lists it"},
    "accounts.acquisition_channel": {
        "survival": "curves by channel, once survival.strata lists it",
        "drivers": "whether the channel that brought a customer goes with staying",
    },
    "accounts.acquisition_cost": {
        "revenue": "what a customer brings against what it cost to win, and when that is paid back",
    },
    "accounts.csm_id": {
        "drivers": "intervals that know which customers share a manager",
    },
    "subscriptions.end_date": {
        "population": "former customers; without it nobody ever leaves",
        "revenue": "what was lost; without it nobody ever leaves",
        "survival": "how long customers stay; without it nobody ever leaves",
        "drivers": "what goes with leaving; without it nobody ever leaves",
    },
    "subscriptions.notice_date": {
        "population": "customers who have asked to leave",
        "summary": "the revenue in notice",
        "drivers": "what was known before a customer asked to leave, and nothing later",
    },
    "subscriptions.end_type": {
        "revenue": "losses by kind: chosen, payment failed, completed, moved in our own books",
        "survival": "how customers leave: by choice, by a failed payment, with their goal reached",
    },
    "subscriptions.end_reason": {
        "revenue": "the reasons for leaving, with the revenue behind each",
    },
    "subscriptions.term_ends_on": {
        "summary": "who is due for renewal, and the revenue that hangs on it",
        "revenue": "losses among those who could leave, apart from those who could not",
    },
    "subscriptions.billing_interval": {
        "revenue": "the next billing day as day of renewal, where no term is stated",
        "drivers": "whether a month in which a renewal is due goes with leaving",
    },
    "subscriptions.seats": {
        "drivers": "whether seats go with staying, once drivers.candidates lists them",
    },
    "recorded_at": {
        "population": "what was known when, and which facts came late",
    },
}
"""Table, table.column, or a column of every table → chapter → what it would add."""

USED_BY_ALL = ("subscriptions.currency", "subscriptions.is_trial", "recorded_at")
"""Optional columns that reach every chapter where they are given. Without the first two nothing is
missing, unless the company has several currencies or trials."""


def can_be_given(table: str, column: str, shape: str) -> bool:
    """False for a column of subscriptions that exports of a shape have no place for."""
    return table != "subscriptions" or shape not in SHAPES or column in SHAPES[shape].columns


def of_table(table: str) -> dict[str, str]:
    """What each chapter would add with a whole table."""
    return ADDS.get(table, {})


def of_column(table: str, column: str) -> dict[str, str]:
    """What each chapter would add with a column of a table."""
    return ADDS.get(f"{table}.{column}", ADDS.get(column, {}))


def users(table: str, column: str, is_required: bool) -> str:
    """Which chapters use a column of a raw table, in words; empty: none so far."""
    own = f"{table}.{column}"
    if {own, column} & set(USED_BY_ALL) or (is_required and not of_table(table)):
        return "all"
    return ", ".join(of_column(table, column) or (of_table(table) if is_required else ()))
