"""How many customers and how much revenue did we keep and grow?

Reads: mrr_ledger, accounts, spells, returns. Makes: revenue.mrr_bridge, account_bridge,
definitions, arithmetic, cohorts, layers, retention_history, renewals, reasons, end_types,
largest_losses, stay_lost, usual_range, mix_rate, lifetime_value, grace_rates, standardised, trend,
concentration, the headlines and the primary contrast; for the annex its specifications, its bias
ledger and its intervals by every method. The subtle point: a month is the difference of two
snapshots per account, so an account moves once a month however often its terms changed; and the
source's two formulas are net changes that hide what was lost behind what was sold, so they never
stand without their cohort twins.

In the order of the story: `ledger` (what happened), `retention` (what was kept), `bench` (what each
definition says), `cohorts` (how each intake lasts), `losses` (who and why), `graces` (under another
grace), `concentration` (on how few accounts it hangs), `lives` and `lifetime_value` (what a new
customer is worth), `change` and `trend` (is it news), `contrast` (the primary one),
`identities` (do the books add up), `specifications` and `bias_ledger` (for the annex).
"""

from pipeline.analysis.choices import GRACES_DAYS as GRACES
from pipeline.analysis.revenue.bench import arithmetic, definitions
from pipeline.analysis.revenue.bias_ledger import bias_ledger
from pipeline.analysis.revenue.change import INVOLUNTARY, mix_rate, signals, usual_range
from pipeline.analysis.revenue.cohorts import cohorts, layers, say_cohort, say_layer
from pipeline.analysis.revenue.concentration import concentration, intervals
from pipeline.analysis.revenue.contrast import contrast
from pipeline.analysis.revenue.graces import grace_rates
from pipeline.analysis.revenue.identities import headline_checks
from pipeline.analysis.revenue.ledger import (
    account_bridge,
    bridge,
    flows,
    months,
    net_steps,
    observed,
    steps,
)
from pipeline.analysis.revenue.lifetime_value import (
    Terms,
    lifetime_checks,
    lifetime_headline,
    lifetime_value,
)
from pipeline.analysis.revenue.losses import (
    end_types,
    largest_losses,
    reasons,
    renewals,
    stay_lost,
)
from pipeline.analysis.revenue.retention import headline, retention_history
from pipeline.analysis.revenue.sentences import say_bridge, say_lifetime
from pipeline.analysis.revenue.specifications import specifications
from pipeline.analysis.revenue.trend import standardised, trend

__all__ = [
    "GRACES",
    "INVOLUNTARY",
    "Terms",
    "account_bridge",
    "arithmetic",
    "bias_ledger",
    "bridge",
    "cohorts",
    "concentration",
    "contrast",
    "definitions",
    "end_types",
    "flows",
    "grace_rates",
    "headline",
    "headline_checks",
    "intervals",
    "largest_losses",
    "layers",
    "lifetime_checks",
    "lifetime_headline",
    "lifetime_value",
    "mix_rate",
    "months",
    "net_steps",
    "observed",
    "reasons",
    "renewals",
    "retention_history",
    "say_bridge",
    "say_cohort",
    "say_layer",
    "say_lifetime",
    "signals",
    "specifications",
    "standardised",
    "stay_lost",
    "steps",
    "trend",
    "usual_range",
]
