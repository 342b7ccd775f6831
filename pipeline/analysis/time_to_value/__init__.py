"""How soon do customers get value, and does it matter for staying?

Reads the snapshot tables accounts, spells and account_months (and returns, for other graces). Makes
time_to_value.incidence, .differences, .tests, .determinants and .effect, the lists beside them, the
headline, the primary contrast, and for the annex its specifications and the bias ledger.

The subtle point: value comes only to those who have not left yet. Churn before value is therefore
a competing event, never a censoring.
"""

from pipeline.analysis.time_to_value.bias_ledger import bias_ledger
from pipeline.analysis.time_to_value.clone_censor import TARGET_TRIAL, clone_censor_weight
from pipeline.analysis.time_to_value.contrast import contrast, headline_checks, unmeasured
from pipeline.analysis.time_to_value.determinants import (
    CauseModel,
    cause_models,
    checks_of,
    determinants,
)
from pipeline.analysis.time_to_value.differences import differences, group_tests
from pipeline.analysis.time_to_value.effect import effect, effect_by_age, hazard_ratios, in_unit
from pipeline.analysis.time_to_value.exposure import (
    landmark_model,
    primary_model,
    start_stop,
    time_varying_model,
)
from pipeline.analysis.time_to_value.grouped import grouped_model
from pipeline.analysis.time_to_value.headline import headline
from pipeline.analysis.time_to_value.incidence import (
    at_start,
    both_outcomes,
    by_start_quarter,
    incidence,
    percentiles,
    shares_by_day,
    trend,
)
from pipeline.analysis.time_to_value.leaving import LeavingModel, leaving_model
from pipeline.analysis.time_to_value.sentences import (
    answer,
    curve_title,
    effect_answer,
    explained_away,
    say_at_start,
    say_groups,
    say_overdue,
    say_trend,
)
from pipeline.analysis.time_to_value.specifications import specifications
from pipeline.analysis.time_to_value.starters import (
    exclusions,
    has_milestones,
    months_before,
    recent,
    starters,
)
from pipeline.analysis.time_to_value.waiting import lost_without_value, overdue, stakes

__all__ = [
    "TARGET_TRIAL",
    "CauseModel",
    "LeavingModel",
    "answer",
    "at_start",
    "bias_ledger",
    "both_outcomes",
    "by_start_quarter",
    "cause_models",
    "checks_of",
    "clone_censor_weight",
    "contrast",
    "curve_title",
    "determinants",
    "differences",
    "effect",
    "effect_answer",
    "effect_by_age",
    "exclusions",
    "explained_away",
    "group_tests",
    "grouped_model",
    "has_milestones",
    "hazard_ratios",
    "headline",
    "headline_checks",
    "in_unit",
    "incidence",
    "landmark_model",
    "leaving_model",
    "lost_without_value",
    "months_before",
    "overdue",
    "percentiles",
    "primary_model",
    "recent",
    "say_at_start",
    "say_groups",
    "say_overdue",
    "say_trend",
    "shares_by_day",
    "specifications",
    "stakes",
    "start_stop",
    "starters",
    "time_varying_model",
    "trend",
    "unmeasured",
]
