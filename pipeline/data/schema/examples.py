"""What does a row look like? One made-up row per raw table and shape, as an export writes it.

docs/data.md shows them. The subtle point: they are of one company and fit together, and a test
reads them as an export and sees no row set aside, so that an example is never a wrong one.
"""

from __future__ import annotations

_ACCOUNT = "00017"

EXAMPLES: dict[str, dict[str, str]] = {
    "accounts": {
        "account_id": _ACCOUNT, "signed_up_date": "2026-01-28", "name": "Ødegård & Söhne",
        "segment": "small", "industry": "retail", "country": "NO", "business_type": "b2b",
        "acquisition_channel": "partner", "acquisition_cost": "1200.00", "touch_model": "low",
        "csm_id": "csm-04", "recorded_at": "2026-01-28T09:12:00Z",
    },
    "assignments": {
        "account_id": _ACCOUNT, "valid_from": "2026-01-28", "valid_to": "2026-06-01",
        "touch_model": "low", "csm_id": "csm-04", "segment": "small",
        "recorded_at": "2026-01-28T09:12:00Z",
    },
    "subscriptions": {
        "subscription_id": "S-2093", "account_id": _ACCOUNT, "start_date": "2026-02-01",
        "end_date": "2026-08-01", "mrr": "249.00", "currency": "USD", "product": "core",
        "plan": "team", "seats": "12", "department_count": "2", "billing_interval": "month",
        "term_ends_on": "2026-08-01", "is_trial": "false", "notice_date": "2026-06-20",
        "end_type": "voluntary", "end_reason": "price", "recorded_at": "2026-02-01T00:05:00Z",
    },
    "usage": {
        "usage_id": "U-771203", "account_id": _ACCOUNT, "occurred_at": "2026-02-03T14:07:31Z",
        "feature": "export", "user_id": "u-5", "quantity": "3",
        "recorded_at": "2026-02-03T14:10:00Z",
    },
    "milestones": {
        "account_id": _ACCOUNT, "milestone": "first_value", "reached_at": "2026-02-19T10:00:00Z",
        "target_date": "2026-03-01", "recorded_at": "2026-02-19T10:00:00Z",
    },
    "goals": {
        "goal_id": "G-12", "account_id": _ACCOUNT, "metric": "hours saved", "unit": "hours",
        "baseline": "0", "target": "40", "actual": "31.5", "agreed_date": "2026-02-02",
        "due_date": "2026-05-02", "measured_at": "2026-05-02T08:00:00Z",
        "customer_declared_date": "2026-05-04", "vendor_declared_date": "2026-05-02",
        "recorded_at": "2026-05-04T08:00:00Z",
    },
    "surveys": {
        "response_id": "R-310", "account_id": _ACCOUNT, "contact_id": "c-9", "kind": "nps",
        "mode": "automated", "sent_at": "2026-04-01T06:00:00Z",
        "responded_at": "2026-04-02T11:20:00Z", "score": "8", "comment": "Works, but slow.",
        "reason_code": "speed", "followed_up_at": "2026-04-03T09:00:00Z",
        "closed_at": "2026-04-09T09:00:00Z", "recorded_at": "2026-04-09T09:00:00Z",
    },
    "tickets": {
        "ticket_id": "T-88", "account_id": _ACCOUNT, "opened_at": "2026-03-10T08:30:00Z",
        "first_response_at": "2026-03-10T09:05:00Z", "resolved_at": "2026-03-11T16:00:00Z",
        "handle_minutes": "45", "category": "bug", "severity": "high",
        "recorded_at": "2026-03-11T16:00:00Z",
    },
    "touches": {
        "touch_id": "K-41", "account_id": _ACCOUNT, "contact_id": "c-9",
        "occurred_at": "2026-03-20T13:00:00Z", "mode": "low", "kind": "training",
        "initiated_by": "vendor", "content_id": "intro-2", "completed": "true", "minutes": "30",
        "cost": "25.00", "play_id": "P-7", "recorded_at": "2026-03-20T13:30:00Z",
    },
    "plays": {
        "play_id": "P-7", "account_id": _ACCOUNT, "kind": "low use", "triggered_at":
        "2026-03-18T05:00:00Z", "scheduled_at": "2026-03-20T13:00:00Z",
        "started_at": "2026-03-20T13:00:00Z", "ended_at": "2026-03-20T13:30:00Z",
        "cancelled_by": "", "minutes": "30", "cost": "25.00",
        "recorded_at": "2026-03-20T13:30:00Z",
    },
    "contacts": {
        "contact_id": "c-9", "account_id": _ACCOUNT, "role": "champion", "department": "sales",
        "active_from": "2026-01-28", "active_to": "2026-07-01",
        "recorded_at": "2026-01-28T09:12:00Z",
    },
    "adjustments": {
        "adjustment_id": "X-3", "account_id": _ACCOUNT, "occurred_at": "2026-04-10T00:00:00Z",
        "kind": "concession", "amount": "49.80", "currency": "USD",
        "recorded_at": "2026-04-10T00:00:00Z",
    },
    "referrals": {
        "account_id": _ACCOUNT, "referred_account_id": "00031",
        "occurred_at": "2026-05-05T00:00:00Z", "recorded_at": "2026-05-05T00:00:00Z",
    },
    "targets": {
        "period": "2026-06", "metric": "net_revenue_retention", "owner": "Revenue",
        "target": "1.0",
    },
    "calendar": {
        "date": "2026-05-01", "kind": "price_rise", "label": "5 % on all plans",
        "scope": "new customers",
    },
    "outages": {"table": "usage", "from_date": "2026-03-02", "to_date": "2026-03-03"},
}  # fmt: skip
"""Raw table → its columns → the cell."""

SHAPE_EXAMPLES: dict[str, dict[str, str]] = {
    "monthly": {
        "account_id": _ACCOUNT, "period": "2026-02", "mrr": "249.00", "subscription_id": "S-2093",
        "product": "core", "currency": "USD", "plan": "team", "seats": "12",
        "department_count": "2", "billing_interval": "month", "is_trial": "false",
        "notice_date": "", "end_type": "", "end_reason": "",
        "recorded_at": "2026-03-01T00:05:00Z",
    },
    "changes": {
        "account_id": _ACCOUNT, "effective_date": "2026-02-01", "mrr": "249.00",
        "subscription_id": "S-2093", "product": "core", "currency": "USD", "plan": "team",
        "seats": "12", "department_count": "2", "billing_interval": "month", "is_trial": "false",
        "notice_date": "", "end_type": "", "end_reason": "", "term_ends_on": "2026-08-01",
        "recorded_at": "2026-02-01T00:05:00Z",
    },
    "tenure": {
        "account_id": _ACCOUNT, "tenure": "6", "churned": "true", "mrr": "249.00",
        "currency": "USD", "plan": "team", "seats": "12", "department_count": "2",
        "billing_interval": "month", "end_type": "voluntary", "end_reason": "price",
        "product": "core", "recorded_at": "",
    },
}  # fmt: skip
"""Shape of subscriptions → its columns → the cell."""
