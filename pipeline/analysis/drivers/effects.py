"""What goes with staying, each driver adjusted for the others?

Works on the fitted model. Tables made: drivers.effects. The subtle point: effects are associations,
adjusted for each other. A driver that works through another one (touches through usage) shows only
what is left of it. Words are "goes with", never "causes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.drivers import clusters
from pipeline.analysis.drivers.design import design_of
from pipeline.analysis.drivers.feature import Feature
from pipeline.analysis.drivers.kinds import counted_earlier
from pipeline.analysis.drivers.model import DriverModel
from pipeline.analysis.drivers.months import Months
from pipeline.analysis.drivers.registry import EITHER, FEATURES
from pipeline.analysis.levels import NOT_MEASURED, text_levels
from pipeline.statistics import cloglog, multiplicity
from pipeline.statistics.grouped_hazard import GroupedHazardFit
from pipeline.statistics.marginal_effects import average_marginal_effects

STEADY_SHARE = 0.8
"""A sign that held in fewer of the earlier fits is not called steady."""
HALVED = 0.5
"""A coefficient that keeps less than this when read a month earlier may be reverse causation."""
LEAVING, STAYING = "goes with leaving", "goes with staying"
UNSTEADY, UNCLEAR, REFERENCE = "sign not steady", "no clear sign", "reference"
EFFECT_COLUMNS = [
    "driver", "level", "unit", "reference", "hazard_ratio", "ci_low", "ci_high", "ame",
    "ame_ci_low", "ame_ci_high", "p_value", "q_value", "n", "n_events", "prevalence",
    "sign_record", "held_out_sign", "lagged_hazard_ratio", "is_halved_by_lag", "expected_sign",
    "clustered_by", "n_clusters", "cluster_note", "method", "n_months", "finding",
]  # fmt: skip


def effects(
    model: DriverModel,
    sign_records: pd.Series,
    confidence: float,
    false_discovery_rate: float,
    held_out_signs: pd.Series | None = None,
    lagged_ratios: pd.Series | None = None,
) -> pd.DataFrame:
    """Hazard ratio and next-month difference that go with each driver, adjusted for the others.

    Args:
        model: from `fit`.
        sign_records: share of earlier fits with today's sign, by column of the design.
        confidence: of the intervals.
        false_discovery_rate: largest q value (Benjamini–Hochberg) that is called a finding.
        held_out_signs: from `origins.held_out_signs`: 1 the months kept out point the same way, -1
            the other; None: not looked at.
        lagged_ratios: from `lagged_ratios`: the same with features one month older; None: not
            looked at.

    Returns:
        One row per driver and level, reference levels of categories included: the columns of
        drivers.effects, n_months (rows) and finding. `ame` is a difference of shares. Of a
        penalised fit (see `method`) the ratio is one of odds, which at monthly churn is close to
        that of hazards. Empty when there is no model.
    """
    if model.fitted is None:
        return pd.DataFrame(columns=EFFECT_COLUMNS)
    rows = model.ratios(confidence)
    rows = clusters.widened(rows, clusters.by_manager(model), confidence)
    rows = rows.assign(
        q_value=multiplicity.benjamini_hochberg(rows["p_value"]),
        sign_record=_by_column(sign_records, rows),
        held_out_sign=_by_column(held_out_signs, rows),
        lagged_hazard_ratio=_by_column(lagged_ratios, rows),
        method=model.method,
    ).merge(_marginal_effects(model, model.fitted, confidence), on="column")
    kept = np.log(rows["lagged_hazard_ratio"]) / np.log(rows["hazard_ratio"])
    rows = rows.assign(is_halved_by_lag=(kept < HALVED).where(kept.notna()))
    rows = rows.assign(
        finding=[_finding(row, false_discovery_rate) for row in rows.to_dict("records")]
    )
    return _with_references(model, rows)


def lagged_ratios(model: DriverModel, rows: pd.DataFrame, months: int) -> pd.Series:
    """Hazard ratios of the same columns with features some months older.

    Args:
        model: from `fit`.
        rows: from `driver_rows`; settled months whose older value is not known are left out.
        months: how many calendar months older.

    Returns:
        One ratio per driver column of the model.
    """
    if model.fitted is None or model.is_penalised:
        return pd.Series(dtype=float)
    names = [feature.driver for feature in model.recipe.features]
    earlier = counted_earlier(rows, names, months)
    design = design_of(earlier, model.recipe)
    start = model.fitted.params.to_numpy()
    params = cloglog.scoring(earlier.churned, design, start, earlier.n, with_cov=False).params
    return pd.Series(np.exp(params), index=design.columns)[model.recipe.columns]


def primary_row(effects: pd.DataFrame, driver: str) -> dict[str, Any] | None:
    """The effect of a driver: of several levels, the most frequent after the reference."""
    own = effects[
        (effects["driver"] == driver)
        & (effects["finding"] != REFERENCE)
        & (effects["level"] != NOT_MEASURED)
    ]
    if not len(own):
        return None
    return own.sort_values("n_months", ascending=False, kind="stable").iloc[0].to_dict()


def _by_column(values: pd.Series | None, rows: pd.DataFrame) -> np.ndarray:
    if values is None:
        return np.full(len(rows), np.nan)
    return values.reindex(rows["column"]).to_numpy(float)


def _with_references(model: DriverModel, rows: pd.DataFrame) -> pd.DataFrame:
    """Reference rows, counts and the order of the candidates."""
    features = {feature.driver: feature for feature in model.recipe.features}
    blocks = [block for block in (_references(model), rows) if len(block)]
    whole = pd.concat(blocks, ignore_index=True)
    counts = pd.DataFrame(
        [_counts(model.months, features[row["driver"]], row["level"])
         for row in whole.to_dict("records")]
    )  # fmt: skip
    order = {driver: position for position, driver in enumerate(features)}
    signs = [
        FEATURES[name].expected_sign if name in FEATURES else EITHER for name in whole["driver"]
    ]
    whole = whole.join(counts).assign(
        position=whole["driver"].map(order),
        is_reference=whole["finding"].eq(REFERENCE),
        expected_sign=signs,
    )
    whole = whole.sort_values(["position", "is_reference", "level"], ascending=[True, False, True])
    return whole.reset_index(drop=True)[EFFECT_COLUMNS]


def _marginal_effects(
    model: DriverModel, fitted: GroupedHazardFit, confidence: float
) -> pd.DataFrame:
    """Average difference in next-month churn per column: slope of numbers, step of the others."""
    terms = model.recipe.terms
    siblings = {
        row.column: [
            other
            for other in terms.loc[terms["driver"] == row.driver, "column"]
            if other != row.column and row.kind != "number"
        ]
        for row in terms.itertuples()
    }
    is_slope = (terms["kind"] == "number") & (terms["level"] == "")
    blocks = [
        average_marginal_effects(
            fitted, model.design, list(terms.loc[mask, "column"]), kind, siblings,
            weights=model.months.n, confidence=confidence,
        )
        for kind, mask in (("dydx", is_slope), ("discrete", ~is_slope))
        if mask.any()
    ]  # fmt: skip
    return pd.concat(blocks, ignore_index=True).rename(
        columns={"term": "column", "ci_low": "ame_ci_low", "ci_high": "ame_ci_high"}
    )[["column", "ame", "ame_ci_low", "ame_ci_high"]]


def _references(model: DriverModel) -> pd.DataFrame:
    used = set(model.recipe.terms["driver"])
    rows = [
        {"driver": feature.driver, "level": feature.reference, "unit": REFERENCE,
         "reference": feature.reference, "hazard_ratio": 1.0, "finding": REFERENCE}
        for feature in model.recipe.features
        if feature.kind == "category" and feature.driver in used
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["driver", "level", "unit", "reference", "hazard_ratio",
                                       "finding"])  # fmt: skip


def _counts(months: Months, feature: Feature, level: str) -> dict[str, Any]:
    """Accounts, months and events behind a row, and how common the driver is."""
    column = months.column(feature.driver)
    is_known = column.codes >= 0
    if feature.kind == "category":
        own = text_levels(column.levels).map(feature.levels, na_action="ignore") == level
    elif feature.kind == "flag":
        own = column.levels == True  # noqa: E712 - levels may be of any type
    else:
        own = feature.measured(column.levels) > feature.centre
    present = np.append(own.to_numpy(bool), False)[column.codes]
    if level not in feature.levels.values() and level not in ("", "yes"):
        present, is_known = ~is_known, np.ones(len(is_known), dtype=bool)
    behind = present if feature.kind == "category" else is_known
    share = months.count(present & is_known) / max(months.count(is_known), 1)
    return {
        "n": months.n_accounts(behind),
        "n_events": months.events(behind),
        "n_months": months.count(behind),
        "prevalence": share if is_known.any() else np.nan,
    }


def _finding(row: Mapping[str, Any], false_discovery_rate: float) -> str:
    if not row["q_value"] < false_discovery_rate:
        return UNCLEAR
    if not row["sign_record"] >= STEADY_SHARE or row.get("held_out_sign", np.nan) < 0:
        return UNSTEADY
    return LEAVING if row["hazard_ratio"] > 1 else STAYING
