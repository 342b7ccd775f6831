"""What do the stages make? The tables below `ingest`, one declaration each.

`usage` holds one file per month of history; `snapshot` one folder per period with what was known
by its close and nothing later. Booleans and counts are exact; nothing here is a floating sum.
"""

from __future__ import annotations

from pipeline.data.schema.raw import END_TYPES, TOUCH_MODELS
from pipeline.data.schema.table import Column, Table, column, table

UNKNOWN = "unknown"
CAUSES = ("voluntary", "involuntary", "completed", UNKNOWN)
MOVEMENTS = (
    "retained", "new", "expansion", "reactivation", "contraction", "churn", "joined_and_left",
)  # fmt: skip
BY_MONTH = "currency per month"


def _account() -> Column:
    return column("id", "The customer.", must=True, sensitivity="pseudonym")


def _period(what: str) -> Column:
    return column("text", f"{what}, YYYY-MM.", must=True)


USAGE_MONTHS = table(
    "usage_months",
    "one row per account and month in which its events became known",
    ("account_id",),
    {
        "account_id": _account(),
        "n_events": column("count", "Events known in time.", must=True, unit="events"),
        "active_days": column("count", "Distinct days with an event.", must=True, unit="days"),
        "n_users": column("count", "Distinct users; 0: the source names none.", must=True),
        "n_features": column("count", "Distinct features.", must=True),
        "last_event_date": column("day", "Last day with an event.", must=True),
        "n_late": column("count", "Events known too late to enter a feature.", must=True),
    },
)
ACCOUNTS = table(
    "accounts",
    "one row per account known by the slice",
    ("account_id",),
    {
        "account_id": _account(),
        "signed_up_date": column("day", "Day of sign-up."),
        "name": column("text", "Company or person.", sensitivity="personal"),
        "segment": column("text", "Size class at signing."),
        "industry": column("text", "Line of business."),
        "country": column("text", "Country."),
        "business_type": column("code", "b2b or b2c."),
        "acquisition_channel": column("text", "How the customer was won."),
        "acquisition_cost": column("money", "Cost of winning the account.", unit="currency"),
        "touch_model": column("code", "Touch model at signing.", values=TOUCH_MODELS),
        "csm_id": column("id", "Customer success manager at signing."),
        "first_paid_date": column("day", "First paid day; blank: never paid."),
        "is_first_paid_known": column(
            "flag", "False: the billing data begin in mid-life.", must=True
        ),
        "billing_interval": column("code", "Billing of the first paid row."),
        "is_customer": column("flag", "MRR above 0 at P1, bridged.", must=True),
        "mrr": column(
            "money",
            "MRR at P1, bridged, at the opening rate; blank: a flat file without money.",
            unit=BY_MONTH,
        ),
        "is_in_notice": column(
            "flag", "A customer who asked to cancel by the as-of date.", must=True
        ),
        "notice_date": column("day", "When; blank: not in notice."),
        "term_ends_on": column("day", "Next stated end of the commitment after the as-of date."),
        "first_value_date": column("day", "First milestone of `first_value`; blank: not yet."),
    },
    note="The company's own attributes stand beside, under their declared names.",
)
SPELLS = table(
    "spells",
    "one row per account and uninterrupted paid relationship",
    ("account_id", "spell"),
    {
        "account_id": _account(),
        "spell": column("count", "1 for the first paid relationship.", must=True),
        "start_date": column("day", "First paid day of the spell.", must=True),
        "lapse_date": column("day", "First unserved day, by the as-of date; blank: still paid."),
        "end_type": column("code", "How it ended.", values=(*END_TYPES, UNKNOWN)),
        "end_reason": column("text", "Why it ended, as coded by the source."),
        "mrr_lost": column("money", "MRR the day before the lapse.", unit=BY_MONTH),
        "entry_days": column(
            "count", "Age when observation begins; 0: seen from the start.", must=True, unit="days"
        ),
        "duration_days": column(
            "count", "Age at lapse, or at the analysis cut-off.", must=True, unit="days"
        ),
        "is_churn": column("flag", "Lapsed by the cut-off, any end type.", must=True),
        "is_age_known": column("flag", "False: left out of age-based curves.", must=True),
        "is_followed": column("flag", "At risk at some time: duration above entry.", must=True),
    },
    note="A gap of at most grace_days does not end a spell. Administrative ends are churn here; "
    "survival censors them.",
)
MRR_LEDGER = table(
    "mrr_ledger",
    "one row per month to date and account that was a customer at some time in it",
    ("period", "account_id"),
    {
        "period": _period("Month"),
        "account_id": _account(),
        "mrr_start": column(
            "money", "MRR at P0 at the opening rate, bridged.", must=True, unit=BY_MONTH
        ),
        "mrr_end": column(
            "money", "MRR at P1 at the opening rate, bridged.", must=True, unit=BY_MONTH
        ),
        "fx": column("money", "MRR at P0 at this opening rate less at the last.", must=True),
        "movement": column("code", "What happened.", must=True, values=MOVEMENTS),
        "mrr_bridged": column(
            "money", "Part of mrr_end that is a gap within the grace.", must=True
        ),
        "end_type": column("code", "Of a churn.", values=(*END_TYPES, UNKNOWN)),
        "is_due_for_renewal": column(
            "flag",
            "Customer at P0 whose term (else billing period) ends in the month; blank: no terms.",
        ),
        "is_settled": column("flag", "The whole month lies by the analysis cut-off.", must=True),
    },
)
ACCOUNT_MONTHS = table(
    "account_months",
    "one row per calendar month and account that was a customer at P0, plus the next month's rows "
    "with no outcome",
    ("period", "account_id"),
    {
        "period": _period("Month"),
        "account_id": _account(),
        "tenure_months": column(
            "count", "Completed months since the first paid day.", must=True, unit="months"
        ),
        "is_age_known": column("flag", "False: tenure counts from the first day seen.", must=True),
        "is_settled": column("flag", "The outcome is settled by the cut-off.", must=True),
        "is_churn": column(
            "flag", "Churn in the month, not completed or administrative; blank: next month."
        ),
        "end_type": column("code", "Of the lapse.", values=(*END_TYPES, UNKNOWN)),
        "is_in_notice": column(
            "flag", "Notice given before P0; features stand still since.", must=True
        ),
        "mrr": column("money", "MRR at P0.", must=True, unit=BY_MONTH),
        "seats": column("count", "Seats at P0.", unit="seats"),
        "is_due_for_renewal": column(
            "flag", "Term ends in the month; where none is stated, the billing period does."
        ),
        "has_value": column("flag", "First value reached before P0."),
        "usage_events": column("count", "Events in the month before P0.", unit="events"),
        "usage_days": column("count", "Active days in the month before P0.", unit="days"),
        "usage_users": column("count", "Users in the month before P0.", unit="users"),
        "usage_days_change": column(
            "count", "Active days less those of the month before.", unit="days"
        ),
        "tickets": column("count", "Tickets of the month before P0.", unit="tickets"),
        "open_tickets": column("count", "Unresolved at P0.", unit="tickets"),
        "touches": column("count", "Contact events of the month before P0.", unit="touches"),
        "is_play_active": column("flag", "A play started in the 90 days before P0."),
        "is_champion_lost": column("flag", "A champion left in the 90 days before P0."),
        "nps_band": column(
            "code", "Latest answer in 180 days before P0: promoter, passive, detractor, no_answer."
        ),
    },
    note="Features use only what was known before P0; blank means the table is not there.",
)
RETURNS = table(
    "returns",
    "one row per lapse by the as-of date",
    ("account_id", "lapse_date"),
    {
        "account_id": _account(),
        "lapse_date": column("day", "First unserved day.", must=True),
        "days_observed": column(
            "count",
            "Days from the lapse to the return or to the last known day.",
            must=True,
            unit="days",
        ),
        "has_returned": column("flag", "Paid service began again within days_observed.", must=True),
        "mrr_lost": column("money", "MRR the day before the lapse.", must=True, unit=BY_MONTH),
    },
)
EXCLUSIONS = table(
    "exclusions",
    "one row per named step that leaves something out",
    ("table", "step"),
    {
        "table": column("text", "Where.", must=True),
        "step": column("text", "Name of the step.", must=True),
        "reason": column("text", "Why, in one sentence.", must=True),
        "n_before": column("count", "Rows before.", must=True, unit="rows"),
        "n_after": column("count", "Rows after.", must=True, unit="rows"),
        "mrr_affected": column("money", "MRR of the accounts touched.", unit=BY_MONTH),
    },
)
QUALITY = table(
    "quality",
    "one row per table and rule",
    ("table", "rule"),
    {
        "table": column("text", "Raw table.", must=True),
        "rule": column("text", "What was looked at.", must=True),
        "kind": column(
            "code", "What the row says.", must=True,
            values=(
                "rows", "quarantined", "merged", "excluded", "warning", "late", "coverage",
                "freshness",
            ),
        ),
        "n": column("count", "Rows (coverage: rows with a value).", must=True),
        "n_of": column("count", "Out of.", must=True),
        "n_accounts": column("count", "Accounts touched.", unit="accounts"),
        "mrr_affected": column(
            "money", "MRR at P1 of these accounts, and of unreadable rows.", unit=BY_MONTH
        ),
        "last_date": column("day", "Newest event date (freshness)."),
        "note": column("text", "In words."),
    },
)  # fmt: skip

TARGETS = table(
    "targets",
    "one row per metric with a target for the period",
    ("metric",),
    {
        "metric": column("text", "Name of the headline.", must=True),
        "owner": column("text", "Who answers for it."),
        "target": column("number", "Value aimed at.", must=True),
    },
)

SNAPSHOT: dict[str, Table] = {
    table.name: table
    for table in (
        ACCOUNTS, SPELLS, MRR_LEDGER, ACCOUNT_MONTHS, RETURNS, EXCLUSIONS, QUALITY, TARGETS,
    )
}  # fmt: skip
