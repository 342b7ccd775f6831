"""What does each number on page one mean? Its unit, formula, estimand, population and date.

Names, formulas and units hold still. The subtle point: a fact of the books speaks of the period's
last day, an estimate of the analysis cut-off, the last day that is settled.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF, CUT_OFF = "as_of", "analysis_cut_off"


@dataclass(frozen=True)
class Headline:
    """A number on page one: chapter, label, unit, formula, what it estimates, in whom, by when."""

    name: str
    chapter: str
    label: str
    unit: str
    formula: str
    estimand: str
    population: str
    dated: str


def _headlines(
    chapter: str, population: str, dated: str, rows: dict[str, tuple[str, ...]]
) -> dict[str, Headline]:
    """Headlines of one population; a row may end with a population of its own."""
    made = {}
    for name, (label, unit, formula, estimand, *own) in rows.items():
        whom = own[0] if own else population
        made[name] = Headline(name, chapter, label, unit, formula, estimand, whom, dated)
    return made


AT_START = "Accounts that paid at the start of the month."
EVERYBODY = "All accounts that pay, at the start and at the end of the month."
A_YEAR_AGO = "Accounts that paid twelve months before the end of the month."
FIRST_SPELLS = (
    "First paid relationships, from the age at which they came under observation; accounts of "
    "unknown first paid day are left out."
)
LAST_YEAR = "The same relationships, with only the days of the twelve months to the cut-off."
STARTERS = "Accounts whose first paid day is on or after the first day observed."
RECENT_STARTERS = "Accounts first paid in the twelve months to the cut-off."

HEADLINES: dict[str, Headline] = {
    **_headlines("revenue", AT_START, AS_OF, {
        "account_churn_rate": (
            "Account churn, source formula", "share",
            "(customers at start − customers at end) / customers at start; "
            "negative: customers grew",
            "Net change of the number of customers in the month, new ones included.", EVERYBODY,
        ),
        "revenue_churn_rate": (
            "Revenue churn, source formula", "share",
            "(MRR at start − MRR at end) / MRR at start; negative: revenue grew",
            "Net change of recurring revenue in the month, new revenue included.", EVERYBODY,
        ),
        "gross_account_churn_rate": (
            "Gross account churn", "share",
            "customers at start with no MRR at end / customers at start",
            "Share of customers that were lost in the month, whatever the way they left.",
        ),
        "gross_mrr_churn_rate": (
            "Gross MRR churn", "share", "(churned + contracted MRR) / MRR at start",
            "Share of recurring revenue that was lost or reduced in the month.",
        ),
        "gross_revenue_retention": (
            "Gross revenue retention, this month", "share",
            "Σ min(MRR at start, MRR at end) / Σ MRR at start, customers at start",
            "Share of the starting revenue that is still paid, growth not counted.",
        ),
        "net_revenue_retention": (
            "Net revenue retention, this month", "share",
            "Σ MRR at end / Σ MRR at start, customers at start; no new, no reactivation",
            "Revenue of the starting customers at the end over their revenue at the start.",
        ),
        "gross_revenue_retention_12_months": (
            "Gross revenue retention, 12 months", "share",
            "customers of 12 months ago: Σ min(MRR then, MRR now) / Σ MRR then",
            "Share of the revenue of a year ago that is still paid, growth not counted.",
            A_YEAR_AGO,
        ),
        "net_revenue_retention_12_months": (
            "Net revenue retention, 12 months", "share",
            "customers of 12 months ago: Σ MRR now / Σ MRR then",
            "Revenue now of the customers of a year ago over their revenue then.", A_YEAR_AGO,
        ),
        "quick_ratio": (
            "Quick ratio", "ratio",
            "(new + reactivated + expanded MRR) / (churned + contracted MRR)",
            "Revenue gained in the month for each unit of revenue lost.", EVERYBODY,
        ),
        "mrr_start": (
            "MRR at start", "currency per month", "Σ MRR at P0",
            "Recurring revenue at the start of the month.",
        ),
        "mrr_end": (
            "MRR", "currency per month", "Σ MRR at P1",
            "Recurring revenue at the end of the month.",
            "Accounts that paid at the end of the month.",
        ),
        "customers_start": (
            "Customers at start", "accounts", "accounts with MRR above 0 at P0",
            "Number of paying accounts at the start of the month.",
        ),
        "customers_end": (
            "Customers", "accounts", "accounts with MRR above 0 at P1",
            "Number of paying accounts at the end of the month.",
            "Accounts that paid at the end of the month.",
        ),
    }),
    **_headlines("revenue", FIRST_SPELLS, CUT_OFF, {
        "ltv_36_months": (
            "Lifetime value, 36 months", "currency per account",
            "∫ S(u) · m(u) · e^(−δu) du over 1,096 days; m: mean margin of those still paying at "
            "age u, δ: the discount",
            "Discounted margin of a new account within its first 36 months; revenue where no "
            "margin is set.",
        ),
        "ltv_to_cac": (
            "Lifetime value to acquisition cost", "ratio",
            "lifetime value of 36 months / mean acquisition cost of accounts first paid in the "
            "last 12 months",
            "Margin within 36 months for each unit spent on winning an account.",
        ),
        "cac_payback_months": (
            "Payback of acquisition cost", "months",
            "first t up to 1,096 days with ∫₀ᵗ S · m · e^(−δu) du ≥ acquisition cost, "
            "days / 30.4375",
            "Age at which a new account has, on average, paid back what winning it cost.",
        ),
    }),
    **_headlines("survival", FIRST_SPELLS, CUT_OFF, {
        "retention_12_months": (
            "12-month retention, all time", "share",
            "Kaplan–Meier S(366 days), first spells, delayed entry, no administrative exits",
            "Probability that a new customer is still one after twelve months.",
        ),
        "retention_12_months_recent": (
            "12-month retention, at last year's rates", "share",
            "period life table of the 12 months to the cut-off, S(366 days)",
            "Probability to stay twelve months if the leaving rates of the last year held.",
            LAST_YEAR,
        ),
        "median_lifetime_months": (
            "Median lifetime", "months", "first t with S(t) ≤ 0.5, days / 30.4375",
            "Time by which half of new customers have left.",
        ),
    }),
    **_headlines("time_to_value", STARTERS, CUT_OFF, {
        "median_time_to_value_days": (
            "Median time to value", "days",
            "first day on which the incidence of first value against churn reaches 0.5",
            "Day by which half of all starters have reached first value.",
        ),
        "median_time_to_value_days_recent": (
            "Median time to value, started in the last 12 months", "days",
            "the same, accounts first paid in the 12 months to the cut-off",
            "Day by which half of the recent starters have reached first value.", RECENT_STARTERS,
        ),
        "value_by_day_30_share": (
            "Value by day 30", "share", "incidence of first value at day 30, of all starters",
            "Probability of first value by day 30; those who left before stay in the denominator.",
        ),
        "value_by_day_30_share_recent": (
            "Value by day 30, started in the last 12 months", "share",
            "the same, accounts first paid in the 12 months to the cut-off",
            "Probability of first value by day 30; those who left before stay in the denominator.",
            RECENT_STARTERS,
        ),
        "value_by_day_90_share": (
            "Value by day 90", "share", "incidence of first value at day 90, of all starters",
            "Probability of first value by day 90; those who left before stay in the denominator.",
        ),
        "value_by_day_90_share_recent": (
            "Value by day 90, started in the last 12 months", "share",
            "the same, accounts first paid in the 12 months to the cut-off",
            "Probability of first value by day 90; those who left before stay in the denominator.",
            RECENT_STARTERS,
        ),
    }),
}  # fmt: skip
