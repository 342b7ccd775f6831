"""What does a report promise? Headlines and published tables by name, the same every month.

Names, formulas and units hold still: tests, diffs and downstream users depend on them. Columns
named here are always there; a chapter may publish more beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = "1.0"
STATES = (
    "exact", "ok", "provisional", "fragile", "not_reached", "not_available", "suppressed",
)  # fmt: skip


@dataclass(frozen=True)
class Headline:
    """A number on page one: its chapter, label, unit and formula in words."""

    name: str
    chapter: str
    label: str
    unit: str
    formula: str


def _headlines(chapter: str, rows: dict[str, tuple[str, str, str]]) -> dict[str, Headline]:
    return {name: Headline(name, chapter, *words) for name, words in rows.items()}


HEADLINES: dict[str, Headline] = {
    **_headlines(
        "revenue",
        {
            "account_churn_rate": (
                "Account churn, source formula", "share",
                "(customers at start − customers at end) / customers at start; "
                "negative: customers grew",
            ),
            "revenue_churn_rate": (
                "Revenue churn, source formula", "share",
                "(MRR at start − MRR at end) / MRR at start; negative: revenue grew",
            ),
            "gross_account_churn_rate": (
                "Gross account churn", "share",
                "customers at start with no MRR at end / customers at start",
            ),
            "gross_mrr_churn_rate": (
                "Gross MRR churn", "share", "(churned + contracted MRR) / MRR at start",
            ),
            "gross_revenue_retention": (
                "Gross revenue retention, this month", "share",
                "Σ min(MRR at start, MRR at end) / Σ MRR at start, customers at start",
            ),
            "net_revenue_retention": (
                "Net revenue retention, this month", "share",
                "Σ MRR at end / Σ MRR at start, customers at start; no new, no reactivation",
            ),
            "gross_revenue_retention_12_months": (
                "Gross revenue retention, 12 months", "share",
                "customers of 12 months ago: Σ min(MRR then, MRR now) / Σ MRR then",
            ),
            "net_revenue_retention_12_months": (
                "Net revenue retention, 12 months", "share",
                "customers of 12 months ago: Σ MRR now / Σ MRR then",
            ),
            "quick_ratio": (
                "Quick ratio", "ratio",
                "(new + reactivated + expanded MRR) / (churned + contracted MRR)",
            ),
            "mrr_start": ("MRR at start", "currency per month", "Σ MRR at P0"),
            "mrr_end": ("MRR", "currency per month", "Σ MRR at P1"),
            "customers_start": (
                "Customers at start", "accounts", "accounts with MRR above 0 at P0",
            ),
            "customers_end": ("Customers", "accounts", "accounts with MRR above 0 at P1"),
        },
    ),
    **_headlines(
        "survival",
        {
            "retention_12_months": (
                "12-month retention, all time", "share",
                "Kaplan–Meier S(366 days), first spells, delayed entry, no administrative exits",
            ),
            "retention_12_months_recent": (
                "12-month retention, at last year's rates", "share",
                "period life table of the 12 months to the cut-off, S(366 days)",
            ),
            "median_lifetime_months": (
                "Median lifetime", "months", "first t with S(t) ≤ 0.5, days / 30.4375",
            ),
        },
    ),
    **_headlines(
        "time_to_value",
        {
            "median_time_to_value_days": (
                "Median time to value", "days",
                "first day on which the incidence of first value against churn reaches 0.5",
            ),
            "median_time_to_value_days_recent": (
                "Median time to value, started in the last 12 months", "days",
                "the same, accounts first paid in the 12 months to the cut-off",
            ),
            "value_by_day_30_share": (
                "Value by day 30", "share", "incidence of first value at day 30, of all starters",
            ),
            "value_by_day_30_share_recent": (
                "Value by day 30, started in the last 12 months", "share",
                "the same, accounts first paid in the 12 months to the cut-off",
            ),
            "value_by_day_90_share": (
                "Value by day 90", "share", "incidence of first value at day 90, of all starters",
            ),
            "value_by_day_90_share_recent": (
                "Value by day 90, started in the last 12 months", "share",
                "the same, accounts first paid in the 12 months to the cut-off",
            ),
        },
    ),
}  # fmt: skip

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
}  # fmt: skip
"""Promised columns of each published table. A chapter may publish further tables of its own."""
