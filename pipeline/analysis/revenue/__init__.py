"""How many customers and how much revenue did we keep and grow?

Reads: mrr_ledger, accounts, spells, returns. Makes: revenue.mrr_bridge, account_bridge,
definitions, arithmetic, cohorts, layers, retention_history, renewals, reasons, end_types,
largest_losses, stay_lost, usual_range, mix_rate and the headlines. The subtle point: a month is the
difference of two snapshots per account, so an account moves once a month however often its terms
changed; and the source's two formulas are net changes that hide what was lost behind what was sold,
so they never stand without their cohort twins.

In the order of the story: `ledger` (what happened), `retention` (what was kept), `bench` (what each
definition says), `cohorts` (how each intake lasts), `losses` (who and why), `change` (is it news).
"""

from pipeline.analysis.revenue.bench import arithmetic, definitions
from pipeline.analysis.revenue.change import mix_rate, usual_range, verdicts
from pipeline.analysis.revenue.cohorts import cohorts, layers, say_cohort, say_layer
from pipeline.analysis.revenue.ledger import (
    account_bridge,
    bridge,
    flows,
    months,
    net_steps,
    observed,
    steps,
)
from pipeline.analysis.revenue.losses import (
    end_types,
    largest_losses,
    reasons,
    renewals,
    stay_lost,
)
from pipeline.analysis.revenue.retention import headline, retention_history

__all__ = [
    "account_bridge",
    "arithmetic",
    "bridge",
    "cohorts",
    "definitions",
    "end_types",
    "flows",
    "headline",
    "largest_losses",
    "layers",
    "mix_rate",
    "months",
    "net_steps",
    "observed",
    "reasons",
    "renewals",
    "retention_history",
    "say_cohort",
    "say_layer",
    "stay_lost",
    "steps",
    "usual_range",
    "verdicts",
]
