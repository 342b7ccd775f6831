"""What does a report promise? Headlines and published tables by name, the same every month.

Names, formulas and units hold still: tests, diffs and downstream users depend on them. Columns
named here are always there; a chapter may publish more beside them. What each headline means
stands in headlines.py.
"""

from __future__ import annotations

from pipeline.data.schema.headlines import HEADLINES, Headline

SCHEMA_VERSION = "1.1"
STATES = (
    "exact", "ok", "provisional", "fragile", "not_reached", "not_available", "suppressed",
)  # fmt: skip

TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "population.exclusions": (
        "one row per named step that leaves something out",
        ("table", "step", "reason", "n_before", "n_after", "mrr_affected"),
    ),
    "population.quality": (
        "one row per raw table and rule",
        ("table", "rule", "kind", "n", "n_of", "n_accounts", "mrr_affected", "last_date", "note"),
    ),
    "population.returns": (
        "one row per day mark: share of settled lapses that came back by then",
        ("day", "returned_share", "ci_low", "ci_high", "n"),
    ),
    "population.churn_definitions": (
        "one row per definition of churn, the company's own marks beside ours",
        ("definition", "n_churned", "n_accounts", "share", "note"),
    ),
    "revenue.mrr_bridge": (
        "one row per period to date",
        ("period", "mrr_start", "new", "expansion", "reactivation", "contraction", "churn", "fx",
         "mrr_end", "bridged", "of_which_completed", "of_which_administrative",
         "mrr_end_first_published"),
    ),
    "revenue.account_bridge": (
        "one row per period to date",
        ("period", "customers_start", "new", "reactivation", "churn", "joined_and_left",
         "customers_end"),
    ),
    "revenue.definitions": ("one row per definition", ("definition", "value", "n", "note")),
    "revenue.cohorts": (
        "one row per cohort and age in months",
        ("cohort", "age_months", "n_start", "n", "retained_share", "ci_low", "ci_high",
         "mrr_share"),
    ),
    "revenue.lifetime_value": (
        "one row per level and horizon, the usual wrong number beside",
        ("level", "horizon_months", "estimate", "ci_low", "ci_high", "wrong_revenue_over_churn",
         "n", "n_events", "n_at_risk", "note"),
    ),
    "survival.curves": (
        "one row per stratum, level and event or censoring time",
        ("stratum", "level", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk", "n_events",
         "n_censored"),
    ),
    "survival.cumulative_incidence": (
        "one row per stratum, level, cause and time",
        ("stratum", "level", "cause", "time_days", "estimate", "ci_low", "ci_high", "n_at_risk"),
    ),
    "survival.tests": (
        "one row per test", ("test", "stratum", "statistic", "df", "p_value", "q_value"),
    ),
    "survival.hazard_ratios": (
        "one row per model, term and level",
        ("model", "term", "level", "reference", "hazard_ratio", "ci_low", "ci_high", "p_value",
         "q_value", "n", "n_events"),
    ),
    "drivers.effects": (
        "one row per driver and level",
        ("driver", "level", "unit", "reference", "hazard_ratio", "ci_low", "ci_high", "ame",
         "ame_ci_low", "ame_ci_high", "p_value", "q_value", "n", "n_events", "prevalence",
         "sign_record"),
    ),
    "drivers.moved": (
        "one row per driver and level: its hazard ratio without and with the newest settled month",
        ("driver", "level", "unit", "reference", "hazard_ratio_before", "hazard_ratio", "times",
         "ci_low", "ci_high", "p_value", "q_value", "n", "n_events", "is_moved", "period",
         "previous_period"),
    ),
    "time_to_value.incidence": (
        "one row per group, level and time",
        ("group", "level", "time_days", "value_share", "ci_low", "ci_high",
         "churned_before_value_share", "n_at_risk"),
    ),
    "time_to_value.effect": (
        "one row per method, measure and landmark",
        ("method", "measure", "landmark_day", "estimate", "ci_low", "ci_high", "n", "n_events",
         "is_valid"),
    ),
    "time_to_value.determinants": (
        "one row per term and level: what goes with value, and with churn before value",
        ("term", "level", "reference", "value_hazard_ratio", "value_ci_low", "value_ci_high",
         "value_q_value", "churn_hazard_ratio", "churn_ci_low", "churn_ci_high", "churn_q_value",
         "n", "n_value", "n_churn", "note"),
    ),
    "annex.grace": (
        "one row per grace and month",
        ("grace_days", "cut_off", "period", "is_common", "n", "n_lost", "gross_account_churn_rate",
         "ci_low", "ci_high", "gross_mrr_churn_rate", "note"),
    ),
    "annex.specifications": (
        "one row per chapter, contrast and way to compute it",
        ("chapter", "contrast", "choice", "specification", "estimate", "ci_low", "ci_high", "unit",
         "n", "n_events", "is_primary", "note"),
    ),
    "annex.bias_ledger": (
        "one row per usual shortcut: what it would have said, and the right number",
        ("chapter", "shortcut", "right", "wrong_estimate", "right_estimate", "right_ci_low",
         "right_ci_high", "unit", "n", "note"),
    ),
    "summary.claims": (
        "one row per headline and primary contrast",
        ("chapter", "kind", "name", "claim", "verdict", "failed", "estimate", "ci_low", "ci_high",
         "unit", "n", "n_events", "p_value", "p_adjusted", "estimand", "population", "cut_off"),
    ),
}  # fmt: skip
"""Promised columns of each published table. A chapter may publish further tables of its own."""

__all__ = ["HEADLINES", "SCHEMA_VERSION", "STATES", "TABLES", "Headline"]
