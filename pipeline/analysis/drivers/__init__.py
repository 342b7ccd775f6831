"""What goes with staying?

Reads: account_months, accounts (attributes at signing), mrr_ledger (movements). Makes:
drivers.registry, leaks, effects, vif, form, importance, movements, moved, left_out, not_used,
calibration, validation, back_test, back_test_grades, forecast. One row of the model is one account
in one settled calendar month; the event is churn in it (completed and administrative exits are no
event); features were known before the month began. The subtle point: effects are associations,
adjusted for each other; words are "goes with", never "causes".

In the order of the story: `registry` and `leaks` (what may be asked), `rows` (of whom), `feature`
and `design` (in which unit), `kinds` and `months` (how many are alike), `model`, `effects`,
`clusters` and `reading` (what goes with leaving),
`form` (in which shape), `origins` and `validation` (does it hold), `moved` (is it still so),
`movements` (what else), `forecast`, `back_test` and `grades` (what next), `soundness` and
`contrast` (would a reviewer sign), `specifications` and `bias_ledger` (for the annex).
"""

from pipeline.analysis.drivers import leaks
from pipeline.analysis.drivers.back_test import back_test
from pipeline.analysis.drivers.bias_ledger import bias_ledger
from pipeline.analysis.drivers.contrast import contrast
from pipeline.analysis.drivers.design import Recipe, encode, learn
from pipeline.analysis.drivers.effects import (
    LEAVING,
    REFERENCE,
    STAYING,
    STEADY_SHARE,
    UNCLEAR,
    UNSTEADY,
    effects,
    lagged_ratios,
)
from pipeline.analysis.drivers.form import functional_form, vif
from pipeline.analysis.drivers.grades import (
    AS_SHARES,
    FORECAST_SPANS,
    compact,
    forecast,
    grades,
    shipped,
    side_by_side,
)
from pipeline.analysis.drivers.model import DriverModel, fit
from pipeline.analysis.drivers.moved import moved, say_moved
from pipeline.analysis.drivers.movements import MOVED_BY, movements
from pipeline.analysis.drivers.origins import (
    WINDOWS,
    Origin,
    coming_month,
    held_out_signs,
    hold_out,
    in_order,
    months_behind,
    rolling_origins,
    sign_records,
)
from pipeline.analysis.drivers.reading import (
    answer,
    compared,
    labelled,
    movement_rows,
    no_model,
    page_one,
    say_findings,
    shown,
)
from pipeline.analysis.drivers.registry import LeakageError, registered
from pipeline.analysis.drivers.rows import (
    MONTHLY,
    blackout_months,
    driver_rows,
    lagged,
    not_used,
    settled,
)
from pipeline.analysis.drivers.soundness import checks
from pipeline.analysis.drivers.specifications import specifications
from pipeline.analysis.drivers.validation import (
    calibration,
    held_against,
    importance,
    validation,
)

__all__ = [
    "AS_SHARES",
    "FORECAST_SPANS",
    "LEAVING",
    "MONTHLY",
    "MOVED_BY",
    "REFERENCE",
    "STAYING",
    "STEADY_SHARE",
    "UNCLEAR",
    "UNSTEADY",
    "WINDOWS",
    "DriverModel",
    "LeakageError",
    "Origin",
    "Recipe",
    "answer",
    "back_test",
    "bias_ledger",
    "blackout_months",
    "calibration",
    "checks",
    "coming_month",
    "compact",
    "compared",
    "contrast",
    "driver_rows",
    "effects",
    "encode",
    "fit",
    "forecast",
    "functional_form",
    "grades",
    "held_against",
    "held_out_signs",
    "hold_out",
    "importance",
    "in_order",
    "labelled",
    "lagged",
    "lagged_ratios",
    "leaks",
    "learn",
    "months_behind",
    "moved",
    "movement_rows",
    "movements",
    "no_model",
    "not_used",
    "page_one",
    "registered",
    "rolling_origins",
    "say_findings",
    "say_moved",
    "settled",
    "shipped",
    "shown",
    "side_by_side",
    "sign_records",
    "specifications",
    "validation",
    "vif",
]
