"""How soon do customers get value, and does it matter for staying?

Reads the snapshot tables accounts, spells and account_months. Makes time_to_value.incidence and
time_to_value.effect, the lists beside them, and the headline.

The subtle point: value comes only to those who have not left yet. Churn before value is therefore
a competing event, never a censoring.
"""

from pipeline.analysis.time_to_value.effect import (
    effect,
    effect_by_age,
    hazard_ratios,
    in_unit,
    start_stop,
    time_varying_model,
)
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
from pipeline.analysis.time_to_value.sentences import answer, curve_title, effect_answer
from pipeline.analysis.time_to_value.starters import (
    exclusions,
    has_milestones,
    months_before,
    recent,
    starters,
)
from pipeline.analysis.time_to_value.waiting import lost_without_value, overdue, stakes

__all__ = [
    "LeavingModel",
    "answer",
    "at_start",
    "both_outcomes",
    "by_start_quarter",
    "curve_title",
    "effect",
    "effect_answer",
    "effect_by_age",
    "exclusions",
    "has_milestones",
    "hazard_ratios",
    "headline",
    "in_unit",
    "incidence",
    "leaving_model",
    "lost_without_value",
    "months_before",
    "overdue",
    "percentiles",
    "recent",
    "shares_by_day",
    "stakes",
    "start_stop",
    "starters",
    "time_varying_model",
    "trend",
]
