"""What may a company bring? Every raw table, one declaration each.

Only accounts and subscriptions are required. `recorded_at` is optional everywhere.
"""

from __future__ import annotations

from pipeline.data.schema.table import Column, Table, column, table

END_TYPES = ("voluntary", "involuntary", "completed", "administrative")
"""In the order that decides when several rows of an account end on one day; blank is unknown."""
TOUCH_MODELS = ("high", "low", "tech")


def _account() -> Column:
    return column("id", "The customer.", must=True, sensitivity="pseudonym")


def _recorded() -> Column:
    return column("instant", "When the row became known to the source system.")


_OF_ACCOUNT = {"account_id": "accounts"}

ACCOUNTS = table(
    "accounts",
    "one row per customer",
    ("account_id",),
    {
        "account_id": _account(),
        "signed_up_date": column(
            "day", "Day of sign-up, before or at the first payment.", must=True
        ),
        "name": column("text", "Company or person.", sensitivity="personal"),
        "segment": column("text", "Size class at signing."),
        "industry": column("text", "Line of business."),
        "country": column("text", "Country, as the source writes it."),
        "business_type": column("code", "Who buys.", values=("b2b", "b2c")),
        "acquisition_channel": column("text", "How the customer was won."),
        "acquisition_cost": column(
            "money", "Cost of winning the account.", lowest=0, unit="currency"
        ),
        "touch_model": column("code", "Touch model at signing.", values=TOUCH_MODELS),
        "csm_id": column("id", "Customer success manager at signing."),
        "recorded_at": _recorded(),
    },
    note="segment, touch_model and csm_id are the values at signing; their history is assignments.",
    is_required=True,
    event_time="signed_up_date",
)
ASSIGNMENTS = table(
    "assignments",
    "one row per account and interval",
    ("account_id", "valid_from"),
    {
        "account_id": _account(),
        "valid_from": column("day", "First day of the assignment.", must=True),
        "valid_to": column("day", "First day after it; blank: still valid."),
        "touch_model": column("code", "Touch model.", values=TOUCH_MODELS),
        "csm_id": column("id", "Customer success manager."),
        "segment": column("text", "Size class."),
        "recorded_at": _recorded(),
    },
    event_time="valid_from",
    parents=_OF_ACCOUNT,
)
SUBSCRIPTIONS = table(
    "subscriptions",
    "one row per interval of constant terms",
    ("subscription_id",),
    {
        "subscription_id": column("id", "The interval.", must=True),
        "account_id": _account(),
        "start_date": column("day", "First paid day.", must=True),
        "end_date": column("day", "First day not paid; blank: open."),
        "mrr": column(
            "money", "Monthly recurring revenue.", must=True, lowest=0, unit="currency per month"
        ),
        "currency": column("code", "ISO 4217 code of mrr; blank: the company's."),
        "product": column("text", "Product line."),
        "plan": column("text", "Plan."),
        "seats": column("count", "Seats.", lowest=0, unit="seats"),
        "department_count": column("count", "Departments.", lowest=0, unit="departments"),
        "billing_interval": column("code", "Billing.", values=("month", "quarter", "year")),
        "term_ends_on": column("day", "The commitment ends or renews.", is_planned=True),
        "is_trial": column("flag", "A trial row is never a customer."),
        "notice_date": column("day", "Cancellation asked for."),
        "end_type": column("code", "How it ended.", values=END_TYPES, known_with="end_date"),
        "end_reason": column(
            "text", "Why it ended, as coded by the source.", known_with="end_date"
        ),
        "recorded_at": _recorded(),
    },
    note="A change of plan, seats or price is a new row; end_date is exclusive.",
    is_required=True,
    event_time="start_date",
    parents=_OF_ACCOUNT,
)
_LINE = {
    "subscription_id": column(
        "id", "The line, where an account has several at a time; part of the key where given."
    ),
    "product": column("text", "Product line; part of the key where given."),
}
_TERMS = {
    "currency": column("code", "ISO 4217 code of mrr; blank: the company's."),
    "plan": column("text", "Plan."),
    "seats": column("count", "Seats.", lowest=0, unit="seats"),
    "department_count": column("count", "Departments.", lowest=0, unit="departments"),
    "billing_interval": column("code", "Billing.", values=("month", "quarter", "year")),
    "is_trial": column("flag", "A trial row is never a customer."),
    "notice_date": column("day", "Cancellation asked for."),
    "end_type": column("code", "How it ended.", values=END_TYPES),
    "end_reason": column("text", "Why it ended, as coded by the source."),
}

SHAPES: dict[str, Table] = {
    "monthly": table(
        "subscriptions",
        "one row per account and month (and product, line)",
        ("account_id", "period", "product", "subscription_id"),
        {
            "account_id": _account(),
            "period": column("month", "The month paid for, YYYY-MM or a day in it.", must=True),
            "mrr": column(
                "money", "MRR of the month; 0: not paid.", must=True, lowest=0,
                unit="currency per month",
            ),
            **_LINE,
            **_TERMS,
            "recorded_at": _recorded(),
        },
        note="A customer-month ledger. Lines of one account and month add up. A month without a "
        "row, or with mrr 0, is not paid; a gap of at most grace_months is no churn.",
        is_required=True,
        event_time="period",
        parents=_OF_ACCOUNT,
    ),
    "changes": table(
        "subscriptions",
        "one row per account and change (and product, line)",
        ("account_id", "effective_date", "product", "subscription_id"),
        {
            "account_id": _account(),
            "effective_date": column("instant", "First day of the new MRR.", must=True),
            "mrr": column(
                "money", "MRR from that day on, not the difference; 0: nothing is paid any more.",
                must=True, lowest=0, unit="currency per month",
            ),
            **_LINE,
            **_TERMS,
            "term_ends_on": column("day", "The commitment ends or renews.", is_planned=True),
            "recorded_at": _recorded(),
        },
        note="Each row holds until the next one of its account, product and line. What a row with "
        "mrr 0 says of the end belongs to the row before it.",
        is_required=True,
        event_time="effective_date",
        parents=_OF_ACCOUNT,
    ),
    "tenure": table(
        "subscriptions",
        "one row per account",
        ("account_id",),
        {
            "account_id": _account(),
            "tenure": column(
                "number", "Time stayed so far, or until leaving, in `tenure_unit`.", must=True,
                lowest=0, unit="days or months",
            ),
            "churned": column("flag", "True: left after that time; false: still there.", must=True),
            "mrr": column(
                "money", "MRR, of leavers the last; without it no money is reported.", lowest=0,
                unit="currency per month",
            ),
            **{name: _TERMS[name] for name in _TERMS if name not in ("notice_date", "is_trial")},
            "product": column("text", "Product line."),
            "recorded_at": _recorded(),
        },
        note="A flat file has no calendar: each account is placed so that its tenure ends on the "
        "analysis cut-off, and only what does not need a date is reported.",
        is_required=True,
        parents=_OF_ACCOUNT,
    ),
}  # fmt: skip
"""The other shapes of subscriptions, declared as `shape`; ingest makes intervals of them."""
USAGE = table(
    "usage",
    "one row per event",
    ("usage_id",),
    {
        "usage_id": column("id", "The event, where the source numbers them."),
        "account_id": _account(),
        "occurred_at": column("instant", "When it happened.", must=True),
        "feature": column("text", "Feature used.", must=True),
        "user_id": column("id", "User.", sensitivity="personal"),
        "quantity": column("number", "How much; blank counts as 1.", lowest=0),
        "recorded_at": _recorded(),
    },
    note="Without usage_id, rows that agree in every column are several events.",
    event_time="occurred_at",
    parents=_OF_ACCOUNT,
)
MILESTONES = table(
    "milestones",
    "one row per account and milestone",
    ("account_id", "milestone"),
    {
        "account_id": _account(),
        "milestone": column("text", "Name of the milestone.", must=True),
        "reached_at": column("instant", "When it was reached; blank: not yet."),
        "target_date": column("day", "Planned day.", is_planned=True),
        "recorded_at": _recorded(),
    },
    event_time="reached_at",
    parents=_OF_ACCOUNT,
)
GOALS = table(
    "goals",
    "one row per agreed success goal",
    ("goal_id",),
    {
        "goal_id": column("id", "The goal.", must=True),
        "account_id": _account(),
        "metric": column("text", "What is measured."),
        "unit": column("text", "Unit of the measure."),
        "baseline": column("number", "Value at agreement."),
        "target": column("number", "Value agreed."),
        "actual": column("number", "Value measured.", known_with="measured_at"),
        "agreed_date": column("day", "Day of agreement."),
        "due_date": column("day", "Day due.", is_planned=True),
        "measured_at": column("instant", "When measured."),
        "customer_declared_date": column("day", "Customer declared it achieved."),
        "vendor_declared_date": column("day", "Vendor declared it achieved."),
        "recorded_at": _recorded(),
    },
    event_time="agreed_date",
    parents=_OF_ACCOUNT,
)
SURVEYS = table(
    "surveys",
    "one row per request",
    ("response_id",),
    {
        "response_id": column("id", "The request.", must=True),
        "account_id": _account(),
        "contact_id": column("id", "Who was asked.", sensitivity="personal"),
        "kind": column("code", "Instrument.", values=("nps", "csat", "ces")),
        "mode": column("code", "How it was asked.", values=("automated", "live")),
        "sent_at": column("instant", "When it was sent.", must=True),
        "responded_at": column("instant", "When it was answered; blank: not answered."),
        "score": column("number", "Answer.", lowest=0, unit="points", known_with="responded_at"),
        "comment": column(
            "text", "Words of the customer.", sensitivity="personal", known_with="responded_at"
        ),
        "reason_code": column(
            "text", "Coded reason, of stayers and leavers.", known_with="responded_at"
        ),
        "followed_up_at": column("instant", "When somebody came back to it."),
        "closed_at": column("instant", "When the loop was closed."),
        "recorded_at": _recorded(),
    },
    event_time="sent_at",
    parents=_OF_ACCOUNT,
)
TICKETS = table(
    "tickets",
    "one row per ticket",
    ("ticket_id",),
    {
        "ticket_id": column("id", "The ticket.", must=True),
        "account_id": _account(),
        "opened_at": column("instant", "When it was opened.", must=True),
        "first_response_at": column("instant", "First answer."),
        "resolved_at": column("instant", "When it was resolved; blank: open."),
        "handle_minutes": column(
            "number", "Working time.", lowest=0, unit="minutes", known_with="resolved_at"
        ),
        "category": column("code", "Kind.", values=("question", "bug", "complaint", "billing")),
        "severity": column("text", "Severity, as the source writes it."),
        "recorded_at": _recorded(),
    },
    event_time="opened_at",
    parents=_OF_ACCOUNT,
)
TOUCHES = table(
    "touches",
    "one row per contact event",
    ("touch_id",),
    {
        "touch_id": column("id", "The touch.", must=True),
        "account_id": _account(),
        "contact_id": column("id", "With whom.", sensitivity="personal"),
        "occurred_at": column("instant", "When.", must=True),
        "mode": column("code", "Touch model it belongs to.", values=TOUCH_MODELS),
        "kind": column("text", "Review, training, webinar, email, call, …"),
        "initiated_by": column("code", "Who began it.", values=("vendor", "customer")),
        "content_id": column("id", "Content shown."),
        "completed": column("flag", "Content was completed."),
        "minutes": column("number", "Length.", lowest=0, unit="minutes"),
        "cost": column("money", "Cost.", lowest=0, unit="currency"),
        "play_id": column("id", "Play it was part of."),
        "recorded_at": _recorded(),
    },
    event_time="occurred_at",
    parents=_OF_ACCOUNT,
)
PLAYS = table(
    "plays",
    "one row per intervention",
    ("play_id",),
    {
        "play_id": column("id", "The intervention.", must=True),
        "account_id": _account(),
        "kind": column("text", "Kind of intervention.", must=True),
        "triggered_at": column("instant", "When its trigger fired.", must=True),
        "scheduled_at": column("instant", "Planned start.", is_planned=True),
        "started_at": column("instant", "Start; blank: never started."),
        "ended_at": column("instant", "End."),
        "cancelled_by": column("code", "Who cancelled it.", values=("vendor", "customer")),
        "minutes": column(
            "number", "Working time.", lowest=0, unit="minutes", known_with="ended_at"
        ),
        "cost": column("money", "Cost.", lowest=0, unit="currency", known_with="ended_at"),
        "recorded_at": _recorded(),
    },
    event_time="triggered_at",
    parents=_OF_ACCOUNT,
)
CONTACTS = table(
    "contacts",
    "one row per person and role interval",
    ("contact_id", "role", "active_from"),
    {
        "contact_id": column("id", "The person.", must=True, sensitivity="personal"),
        "account_id": _account(),
        "role": column("code", "Role.", values=("executive", "decision_maker", "champion", "user")),
        "department": column("text", "Department."),
        "active_from": column("day", "First day in the role.", must=True),
        "active_to": column("day", "First day after it; blank: still active."),
        "recorded_at": _recorded(),
    },
    event_time="active_from",
    parents=_OF_ACCOUNT,
)
ADJUSTMENTS = table(
    "adjustments",
    "one row per refund, chargeback, return or concession",
    ("adjustment_id",),
    {
        "adjustment_id": column("id", "The adjustment.", must=True),
        "account_id": _account(),
        "occurred_at": column("instant", "When.", must=True),
        "kind": column("code", "Kind.", values=("refund", "chargeback", "return", "concession")),
        "amount": column("money", "Amount given back.", must=True, lowest=0, unit="currency"),
        "currency": column("code", "ISO 4217 code; blank: the company's."),
        "recorded_at": _recorded(),
    },
    event_time="occurred_at",
    parents=_OF_ACCOUNT,
)
REFERRALS = table(
    "referrals",
    "one row per referral",
    ("account_id", "occurred_at"),
    {
        "account_id": _account(),
        "referred_account_id": column("id", "Who was referred.", sensitivity="pseudonym"),
        "occurred_at": column("instant", "When.", must=True),
        "recorded_at": _recorded(),
    },
    event_time="occurred_at",
    parents=_OF_ACCOUNT,
)
TARGETS = table(
    "targets",
    "one row per period and metric",
    ("period", "metric"),
    {
        "period": column("text", "Month, YYYY-MM.", must=True),
        "metric": column("text", "Name of the headline.", must=True),
        "owner": column("text", "Who answers for it."),
        "target": column("number", "Value aimed at.", must=True),
    },
)
CALENDAR = table(
    "calendar",
    "one row per event in the world",
    ("date", "kind", "label"),
    {
        "date": column("day", "Day.", must=True),
        "kind": column(
            "code", "Kind.", must=True, values=("release", "price_rise", "competitor", "holiday")
        ),
        "label": column("text", "What happened."),
        "scope": column("text", "Whom it touches."),
    },
    event_time="date",
)
OUTAGES = table(
    "outages",
    "one row per gap in tracking",
    ("table", "from_date"),
    {
        "table": column("text", "Table whose rows are missing.", must=True),
        "from_date": column("day", "First day of the gap.", must=True),
        "to_date": column("day", "Last day of the gap.", must=True),
    },
    note="Usage in a gap is missing, not zero.",
    event_time="from_date",
)

RAW: dict[str, Table] = {
    table.name: table
    for table in (
        ACCOUNTS, ASSIGNMENTS, SUBSCRIPTIONS, USAGE, MILESTONES, GOALS, SURVEYS, TICKETS, TOUCHES,
        PLAYS, CONTACTS, ADJUSTMENTS, REFERRALS, TARGETS, CALENDAR, OUTAGES,
    )
}  # fmt: skip
