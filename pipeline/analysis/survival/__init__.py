"""How long do customers stay, and how do they leave?

Reads the snapshot tables spells and accounts (the specifications: returns, account_months).
Makes survival.curves, levels, cumulative_incidence, tests, restricted_means,
hazard_by_tenure_month, hazard_ratios, hazard_ratios_by_age, effects, censoring, bounds,
every_spell, churns_per_account, diagnostics, left_out and the headlines.

The subtle point: an account that existed before observation began was only seen because it had
stayed so long. It enters the risk set at the age it then had (delayed entry), in every estimate of
this chapter; one that forgets this reads far too high.

In the order of the story: `risk_set` (who), `readings` and `curves` (how long), `causes` (how),
`censoring` (what is not seen), `comparisons` and `contrast` (do groups differ), `models`, `terms`,
`ratios`, `effects` (all else equal), `diagnostics` (does it hold), `returning` (those who came
back), `headline`, and for the annex `specifications` and `bias_ledger`.
"""

from pipeline.analysis.survival.bias_ledger import bias_ledger
from pipeline.analysis.survival.causes import cumulative_incidence, gone_by
from pipeline.analysis.survival.censoring import bounds, censoring
from pipeline.analysis.survival.comparisons import (
    all_tests,
    restricted_means,
    side_by_side,
    tests,
)
from pipeline.analysis.survival.contrast import contrast, ratio_beside
from pipeline.analysis.survival.curves import curves, hazard_by_tenure_month, levels, supported
from pipeline.analysis.survival.diagnostics import (
    cox_snell_slope,
    diagnostics,
    holds,
    model_checks,
    proportional_hazards_tests,
)
from pipeline.analysis.survival.effects import effects
from pipeline.analysis.survival.flat import of_flat_file, say_answer, say_causes, say_curve
from pipeline.analysis.survival.headline import HEADLINES, headline, headline_checks
from pipeline.analysis.survival.models import Regression, cox, grouped_time, is_time_grouped
from pipeline.analysis.survival.ratios import (
    attenuation,
    hazard_ratios,
    hazard_ratios_by_age,
    model_to_read,
    shown_ratios,
)
from pipeline.analysis.survival.readings import (
    Reading,
    earlier_cut_off,
    median_lifetime,
    recent,
    recut,
    retention,
)
from pipeline.analysis.survival.returning import (
    churns_per_account,
    every_spell,
    every_spell_at_risk,
)
from pipeline.analysis.survival.risk_set import left_out, spells_at_risk, usable_strata
from pipeline.analysis.survival.specifications import specifications

__all__ = [
    "HEADLINES",
    "Reading",
    "Regression",
    "all_tests",
    "attenuation",
    "bias_ledger",
    "bounds",
    "censoring",
    "churns_per_account",
    "contrast",
    "cox",
    "cox_snell_slope",
    "cumulative_incidence",
    "curves",
    "diagnostics",
    "earlier_cut_off",
    "effects",
    "every_spell",
    "every_spell_at_risk",
    "gone_by",
    "grouped_time",
    "hazard_by_tenure_month",
    "hazard_ratios",
    "hazard_ratios_by_age",
    "headline",
    "headline_checks",
    "holds",
    "is_time_grouped",
    "left_out",
    "levels",
    "median_lifetime",
    "model_checks",
    "model_to_read",
    "of_flat_file",
    "proportional_hazards_tests",
    "ratio_beside",
    "recent",
    "recut",
    "restricted_means",
    "retention",
    "say_answer",
    "say_causes",
    "say_curve",
    "shown_ratios",
    "side_by_side",
    "specifications",
    "spells_at_risk",
    "supported",
    "tests",
    "usable_strata",
]
