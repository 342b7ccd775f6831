"""How many customers and how much revenue did we keep and grow?

Reads: mrr_ledger, accounts, spells, returns. Makes: revenue.mrr_bridge, account_bridge,
definitions, cohorts, retention_history, renewals, usual_range, mix_rate, reasons, largest_losses
and the headlines. The subtle point: a month is the difference of two snapshots per account, so an
account moves once a month however often its terms changed; and the source's two formulas are net
changes that can hide the opposite story, so they never stand without their cohort twins.

In the order of the story: `ledger` (what happened), `retention` (what was kept), `bench` (what each
definition says), `cohorts` (how each intake lasts), `losses` (who and why), `change` (is it news).
"""

from pipeline.analysis.revenue.bench import annualised, arithmetic, customers_at, definitions
from pipeline.analysis.revenue.change import mix_rate, usual_range, verdicts
from pipeline.analysis.revenue.cohorts import cohorts, layers
from pipeline.analysis.revenue.ledger import (
    account_bridge,
    bridge,
    flows,
    months,
    net_steps,
    observed,
    steps,
    year_pairs,
)
from pipeline.analysis.revenue.losses import (
    end_types,
    largest_losses,
    losses,
    reasons,
    renewals,
    stay_lost,
)
from pipeline.analysis.revenue.retention import headline, rates, retention_history

__all__ = [
    "account_bridge",
    "annualised",
    "arithmetic",
    "bridge",
    "cohorts",
    "customers_at",
    "definitions",
    "end_types",
    "flows",
    "headline",
    "largest_losses",
    "layers",
    "losses",
    "mix_rate",
    "months",
    "net_steps",
    "observed",
    "rates",
    "reasons",
    "renewals",
    "retention_history",
    "stay_lost",
    "steps",
    "usual_range",
    "verdicts",
    "year_pairs",
]
