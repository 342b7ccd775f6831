"""What do others call it? The field's words for our tables, columns and codes.

Data, and no more. The words are those of exports of billing systems (Stripe, Chargebee, Recurly),
of customer databases (Salesforce, HubSpot), of help desks (Zendesk) and of churn data sets that
analysts pass on. The subtle point: a word stands here only if it can hardly mean something else;
a yearly amount is no MRR and a day of a last change is not when a row became known, so those words
stand under REFUSED.
"""

from __future__ import annotations

TABLES: dict[str, tuple[str, ...]] = {
    "accounts": (
        "account", "customer", "client", "company", "organization", "organisation", "tenant",
        "member", "subscriber", "user", "crm",
    ),
    "assignments": ("assignment", "owner", "ownership", "csm", "territory"),
    "subscriptions": (
        "subscription", "contract", "licence", "license", "membership", "plan", "mrr", "billing",
        "revenue", "ledger", "sub", "recurring", "churn",
    ),
    "usage": (
        "usage", "event", "activity", "login", "session", "telemetry", "log", "product_usage",
        "feature_usage",
    ),
    "milestones": ("milestone", "onboarding", "activation", "go_live", "implementation"),
    "goals": ("goal", "objective", "success_plan", "outcome"),
    "surveys": ("survey", "nps", "csat", "ces", "feedback", "response"),
    "tickets": ("ticket", "support", "case", "issue", "incident", "helpdesk", "support_ticket"),
    "touches": ("touch", "meeting", "call", "email", "interaction", "engagement", "touchpoint"),
    "plays": ("play", "playbook", "intervention", "campaign", "treatment"),
    "contacts": ("contact", "person", "people", "stakeholder"),
    "adjustments": ("adjustment", "refund", "credit", "credit_note", "chargeback", "concession"),
    "referrals": ("referral", "referred"),
    "targets": ("target", "budget", "quota"),
    "calendar": ("calendar", "release", "holiday"),
    "outages": ("outage", "downtime", "tracking_gap"),
}  # fmt: skip
"""Our table → words in the name of a file, one by one and in the singular."""

_ACCOUNT_ID = (
    "customer_id", "client_id", "account_no", "account_number", "customer_no", "customer_number",
    "company_id", "organization_id", "organisation_id", "org_id", "tenant_id", "member_id",
    "subscriber_id", "user_id", "customer", "client", "account", "cust_id", "acct_id", "crm_id",
    "kunde_id", "kundennummer", "kunden_nr", "id_client", "cliente", "顧客id", "顧客番号",
)  # fmt: skip

COLUMNS: dict[str, tuple[str, ...]] = {
    "account_id": _ACCOUNT_ID,
    "accounts.account_id": (*_ACCOUNT_ID, "id"),
    "signed_up_date": (
        "signup_date", "sign_up_date", "signed_up_at", "signup_at", "signup", "created_at",
        "created_date", "created_on", "created", "create_date", "customer_since", "registered_at",
        "registration_date", "joined_at", "join_date", "joined", "date_joined", "onboarded_at",
        "first_seen", "opened_on", "account_created",
    ),
    "name": (
        "account_name", "customer_name", "client_name", "company_name", "company", "full_name",
        "organization_name",
    ),
    "segment": ("customer_segment", "size_class", "company_size", "size", "account_segment"),
    "industry": ("sector", "vertical", "line_of_business", "branche"),
    "country": ("country_code", "billing_country", "nation", "land"),
    "business_type": ("customer_type", "b2b_b2c"),
    "acquisition_channel": (
        "channel", "referral_source", "lead_source", "source", "utm_source", "acquisition_source",
        "marketing_channel",
    ),
    "acquisition_cost": ("cac", "cost_of_acquisition", "customer_acquisition_cost"),
    "touch_model": ("touch", "service_model", "coverage_model"),
    "csm_id": ("csm", "customer_success_manager", "account_manager", "owner_id", "csm_name"),
    "valid_from": ("from_date", "effective_from", "start_date", "assigned_on"),
    "valid_to": ("to_date", "effective_to", "end_date", "unassigned_on"),
    "subscription_id": (
        "sub_id", "contract_id", "contract_no", "contract_number", "subscription", "licence_id",
        "license_id", "membership_id", "subscription_no", "vertragsnummer",
    ),
    "subscriptions.subscription_id": ("id",),
    "start_date": (
        "start", "started_at", "started_on", "starts_on", "start_on", "subscription_start",
        "subscription_start_date", "contract_start", "contract_start_date", "valid_from",
        "effective_from", "from_date", "begin_date", "activated_at", "activation_date",
        "current_period_start", "beginn", "service_start",
    ),
    "end_date": (
        "end", "ended_at", "ended_on", "ends_on", "churn_date", "churned_at", "churned_on",
        "cancelled_at", "canceled_at", "cancellation_date", "cancel_date", "cancelled_on",
        "canceled_on", "subscription_end", "subscription_end_date", "contract_end",
        "contract_end_date", "valid_to", "effective_to", "to_date", "terminated_at",
        "termination_date", "deactivated_at", "service_end", "ende",
    ),
    "mrr": (
        "mrr_amount", "monthly_recurring_revenue", "monthly_charges", "monthly_charge",
        "monthly_revenue", "monthly_amount", "monthly_fee", "monthly_price", "plan_amount",
        "recurring_amount", "mrr_usd", "mrr_eur", "mrr_gbp", "mrr_jpy", "mrr_cents",
        "price_per_month", "amount_per_month", "monatsbetrag", "amount",
    ),
    "currency": ("currency_code", "iso_currency", "curr", "waehrung", "währung"),
    "product": ("product_name", "product_line", "product_id", "sku"),
    "plan": ("plan_name", "plan_tier", "tier", "plan_id", "package", "edition"),
    "seats": ("licences", "licenses", "seat_count", "n_seats", "users", "quantity", "user_count"),
    "department_count": ("departments", "n_departments"),
    "billing_interval": (
        "billing_frequency", "billing_period", "billing_cycle", "interval", "plan_interval",
        "payment_frequency", "frequency", "billing_term",
    ),
    "term_ends_on": (
        "renewal_date", "renews_on", "renewal_on", "next_renewal_date", "term_end", "term_end_date",
        "current_term_end", "commitment_end", "expires_on", "expiry_date",
    ),
    "is_trial": ("trial", "trial_flag", "on_trial", "is_free_trial"),
    "notice_date": (
        "cancellation_requested_at", "cancel_requested_at", "notice_given_on", "notice_given_at",
        "cancellation_notice_date", "noticed_on",
    ),
    "end_type": ("churn_type", "cancellation_type", "termination_type"),
    "end_reason": (
        "churn_reason", "cancellation_reason", "cancel_reason", "reason", "reason_code",
        "termination_reason",
    ),
    "period": ("month", "year_month", "billing_month", "ym", "mrr_month", "revenue_month", "monat"),
    "effective_date": (
        "change_date", "changed_at", "changed_on", "effective_at", "effective_on", "event_date",
        "date",
    ),
    "tenure": (
        "months_active", "tenure_months", "tenure_days", "days_active", "months_as_customer",
        "customer_tenure", "account_length", "lifetime_months", "duration_months",
    ),
    "churned": (
        "churn", "churn_flag", "is_churned", "has_churned", "churn_value", "exited", "cancelled",
        "canceled", "attrition", "is_churn",
    ),
    "usage_id": ("event_id",),
    "occurred_at": (
        "event_time", "event_at", "timestamp", "ts", "usage_date", "event_date", "date",
        "occurred_on", "event_timestamp", "logged_at", "created_at", "time",
    ),
    "feature": ("feature_name", "event_name", "event", "event_type", "action", "module"),
    "user_id": ("end_user_id", "login_id", "actor_id"),
    "quantity": ("usage_count", "count", "n_events", "amount_used", "units", "event_count"),
    "milestone": ("milestone_name", "stage", "step"),
    "reached_at": ("completed_at", "achieved_at", "reached_on", "done_at", "completed_on"),
    "target_date": ("due_date", "planned_date", "due_on"),
    "goal_id": ("objective_id",),
    "agreed_date": ("agreed_on", "agreed_at", "set_on"),
    "due_date": ("due_on", "target_date", "deadline"),
    "customer_declared_date": ("customer_confirmed_on", "confirmed_by_customer_at"),
    "vendor_declared_date": ("vendor_confirmed_on", "confirmed_by_vendor_at"),
    "response_id": ("survey_id", "feedback_id"),
    "surveys.response_id": ("id",),
    "contact_id": ("person_id", "respondent_id", "stakeholder_id"),
    "contacts.contact_id": ("id",),
    "kind": ("type", "event_kind"),
    "surveys.kind": ("survey_type", "survey_kind", "instrument"),
    "touches.kind": ("touch_type", "activity_type", "interaction_type"),
    "plays.kind": ("play_type", "play_name", "playbook"),
    "adjustments.kind": ("adjustment_type", "refund_type"),
    "mode": ("channel_mode",),
    "sent_at": ("sent_on", "survey_date", "sent", "asked_at", "surveyed_on"),
    "responded_at": ("answered_at", "responded_on", "response_date", "answered_on"),
    "score": ("rating", "nps_score", "csat_score", "answer", "survey_score"),
    "comment": ("feedback_text", "comments", "verbatim", "free_text"),
    "ticket_id": ("case_id", "case_number", "issue_id", "incident_id", "ticket_no"),
    "tickets.ticket_id": ("id",),
    "opened_at": (
        "submitted_at", "created_at", "opened_on", "created_on", "reported_at", "open_date",
        "created",
    ),
    "first_response_at": ("first_reply_at", "first_responded_at", "answered_at"),
    "resolved_at": ("closed_at", "solved_at", "resolved_on", "closed_on", "close_date"),
    "handle_minutes": ("handling_minutes", "handle_time_minutes", "work_minutes"),
    "category": ("ticket_type", "case_type", "topic", "type"),
    "severity": ("priority", "urgency", "impact"),
    "touch_id": ("activity_id", "interaction_id", "meeting_id"),
    "initiated_by": ("direction", "started_by"),
    "minutes": ("duration_minutes", "length_minutes", "duration"),
    "play_id": ("intervention_id", "playbook_id", "campaign_id"),
    "triggered_at": ("trigger_date", "triggered_on"),
    "scheduled_at": ("scheduled_on", "planned_at"),
    "cancelled_by": ("canceled_by",),
    "role": ("contact_role", "job_role", "title"),
    "active_from": ("from_date", "valid_from", "start_date"),
    "active_to": ("to_date", "valid_to", "end_date", "left_on"),
    "adjustment_id": ("refund_id", "credit_note_id"),
    "adjustments.amount": ("refund_amount", "credit_amount", "refund_amount_usd"),
    "referred_account_id": ("referred_customer_id", "referred_id", "referee_id"),
}  # fmt: skip
"""Our column, or table.column where the word holds in that table only → names others give it."""

REFUSED: dict[str, tuple[str, ...]] = {
    "mrr": (
        "arr", "arr_amount", "annual", "annually", "yearly", "per_year", "total_charges", "ltv",
        "lifetime", "invoice_amount", "acv", "tcv",
    ),
    "recorded_at": (
        "updated_at", "loaded_at", "ingested_at", "modified_at", "last_modified",
    ),
}  # fmt: skip
"""Words in a column's name that look near and mean something else: a yearly or total amount, or a
day of a last change, which would hide from every earlier month what was known all along."""

CODES: dict[str, dict[str, str]] = {
    "billing_interval": {
        "monthly": "month", "m": "month", "1m": "month", "p1m": "month", "mensuel": "month",
        "quarterly": "quarter", "q": "quarter", "3m": "quarter", "p3m": "quarter",
        "annual": "year", "annually": "year", "yearly": "year", "y": "year", "12m": "year",
        "p1y": "year", "p12m": "year",
    },
    "end_type": {
        "payment_failed": "involuntary", "payment_failure": "involuntary",
        "failed_payment": "involuntary", "non_payment": "involuntary", "unpaid": "involuntary",
        "bankruptcy": "involuntary", "insolvency": "involuntary", "cancelled": "voluntary",
        "canceled": "voluntary", "customer_cancelled": "voluntary", "merged": "administrative",
        "migrated": "administrative", "migration": "administrative", "merger": "administrative",
        "expired": "completed", "finished": "completed",
    },
    "touch_model": {
        "high_touch": "high", "hightouch": "high", "low_touch": "low", "lowtouch": "low",
        "tech_touch": "tech", "digital": "tech", "self_service": "tech", "selfserve": "tech",
    },
    "business_type": {"business": "b2b", "consumer": "b2c", "private": "b2c"},
    "category": {
        "question": "question", "how_to": "question", "defect": "bug", "error": "bug",
        "incident": "bug", "invoice": "billing", "payment": "billing",
    },
    "initiated_by": {"inbound": "customer", "outbound": "vendor", "us": "vendor"},
    "mode": {"high_touch": "high", "low_touch": "low", "tech_touch": "tech", "digital": "tech"},
}  # fmt: skip
"""Our column → their code in small letters, with _ for other signs → ours."""

TRUE = ("true", "t", "yes", "y", "1", "1.0", "ja", "oui", "churned", "active")
FALSE = ("false", "f", "no", "n", "0", "0.0", "nein", "non", "stayed", "inactive")

EMPTY_WORDS = ("na", "n/a", "#n/a", "null", "none", "nan", "nil", "-", "--", "?", "unknown")
"""In small letters; in a column of dates or numbers each of them means that nothing is known."""

OPEN_ENDS = ("9999-12-31", "2999-12-31", "31.12.9999", "31/12/9999", "12/31/9999")
"""Ends that a system writes where there is none."""
