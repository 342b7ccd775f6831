"""Does value matter for staying? The same question by each method, the misleading ones labelled.

The subtle point: rows of different methods answer different questions. At the same age, value
against not yet; at a landmark, value by then against not by then, perhaps later, which is weaker.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.reliability import SMALLEST_N, YEAR_DAYS
from pipeline.analysis.time_to_value.clone_censor import clone_censor_weight
from pipeline.analysis.time_to_value.exposure import (
    LANDMARK,
    TIME_VARYING,
    at_landmark,
    ever_reached_model,
    fast_model,
    start_stop,
)
from pipeline.analysis.time_to_value.leaving import LeavingModel, leaving_model
from pipeline.analysis.time_to_value.parts import difference_of
from pipeline.statistics.life_table import kaplan_meier
from pipeline.statistics.restricted_mean import restricted_mean_difference

AGE_BANDS = ((0, 92), (92, YEAR_DAYS), (YEAR_DAYS, None))
"""Ages in days between which a hazard ratio is read when it does not hold still."""
UNITS = {
    "hazard_ratio": "ratio",
    "survival_12_months_difference": "share",
    "restricted_mean_12_months_difference_days": "days",
    "mean_days": "days",
}
"""Of each measure; rows of different units are never read in one column."""
COLUMNS = [
    "method", "measure", "unit", "landmark_day", "estimate", "ci_low", "ci_high", "n",
    "n_events", "is_valid", "note",
]  # fmt: skip
WHY_NOT = {
    "naive_ever_reached": "biased: who stays longer has longer to reach value",
    "naive_fast_against_slow": "biased: the slow had to stay to be counted as slow",
    "naive_mean_of_achievers": "biased: leaves out all who have not reached value",
}


def effect(
    starters: pd.DataFrame,
    model: LeavingModel,
    landmark_days: Iterable[int],
    adjust_for: Iterable[str],
    confidence: float,
    seed: int | None = None,
) -> pd.DataFrame:
    """What value does to staying, by each method, the misleading ones labelled.

    Args:
        starters: account_id, end_day, value_day (days), is_lost, and the covariates.
        model: the time-varying model.
        landmark_days: days at which to sort by what was known.
        adjust_for: covariates known at signing.
        confidence: level of the intervals.
        seed: of the bootstrap of the clone-censor-weight row; None: without that row.

    Returns:
        One row per method, measure and landmark: the published columns, unit (ratio, share, days)
        and note. A hazard ratio below 1 goes with staying; differences are with value less
        without, over 12 months, after the landmark where there is one.
    """
    adjust_for = list(adjust_for)
    rows = [_effect_row(TIME_VARYING, "hazard_ratio", None, model)]
    for day in landmark_days:
        rows.extend(_landmark(starters, day, adjust_for, confidence))
    if seed is not None:
        rows.append(clone_censor_weight(starters, adjust_for, confidence, seed))
    ever = ever_reached_model(starters, adjust_for, confidence)
    fast = fast_model(starters, adjust_for, confidence)
    rows.append(_effect_row("naive_ever_reached", "hazard_ratio", None, ever))
    rows.append(_effect_row("naive_fast_against_slow", "hazard_ratio", None, fast))
    rows.append(_mean_of_achievers(starters, confidence))
    effects = pd.DataFrame(rows)
    return effects.assign(unit=effects["measure"].map(UNITS))[COLUMNS]


def effect_by_age(
    starters: pd.DataFrame, adjust_for: Iterable[str], confidence: float
) -> pd.DataFrame:
    """The time-varying hazard ratio within bands of age, for when one number does not hold.

    Gives one row per band: band, hazard_ratio, ci_low, ci_high, n, n_events, note.
    """
    parts = start_stop(starters)
    rows = []
    for low, high in AGE_BANDS:
        top = np.inf if high is None else float(high)
        inside = parts[(parts["stop"] > low) & (parts["start"] < top)]
        inside = inside.assign(
            start=inside["start"].clip(lower=low),
            stop=inside["stop"].clip(upper=top),
            event=inside["event"] & (inside["stop"] <= top),
        )
        found = leaving_model(inside, "has_value", list(adjust_for), confidence)
        band = f"over {low} days" if high is None else f"{low} to {high} days"
        limits = found.hazard_ratio, found.ci_low, found.ci_high
        rows.append((band, *limits, found.n, found.n_events, found.note))
    columns = ["band", "hazard_ratio", "ci_low", "ci_high", "n", "n_events", "note"]
    return pd.DataFrame(rows, columns=columns)


def in_unit(effects: pd.DataFrame, unit: str) -> pd.DataFrame:
    """The rows of `effect` in one unit (ratio, share, days), so that a column can be read down.

    Returns:
        The same rows without `unit`, and without landmark_day where no row has one.
    """
    rows = effects[effects["unit"] == unit].drop(columns="unit").reset_index(drop=True)
    return rows if rows["landmark_day"].notna().any() else rows.drop(columns="landmark_day")


def hazard_ratios(effects: pd.DataFrame) -> pd.DataFrame:
    """The hazard ratios of `effect` that there are, named for a reader.

    Gives one row per model: label, estimate, ci_low, ci_high, n, n_events, is_valid.
    """
    ratios = effects[(effects["measure"] == "hazard_ratio") & effects["estimate"].notna()]
    landmark = ratios["landmark_day"].fillna(0).astype(int).astype(str)
    method = ratios["method"]
    names = np.select(
        [method == TIME_VARYING, method == LANDMARK, method == "naive_fast_against_slow"],
        ["value reached, at the same age", "value by day " + landmark, "fast or slow (biased)"],
        "ever reached value (biased)",
    )
    kept = ["label", "estimate", "ci_low", "ci_high", "n", "n_events", "is_valid"]
    return ratios.assign(label=names)[kept].reset_index(drop=True)


def _landmark(
    starters: pd.DataFrame, day: int, adjust_for: list[str], confidence: float
) -> list[dict[str, object]]:
    """The ratio at a landmark, and the differences over the 12 months after it."""
    rows = at_landmark(starters, day)
    found = leaving_model(rows, "by_landmark", adjust_for, confidence)
    ratio = _effect_row(LANDMARK, "hazard_ratio", day, found)
    return [ratio, *_differences(rows, day, found, confidence)]


def _differences(
    rows: pd.DataFrame, day: int, found: LeavingModel, confidence: float
) -> list[dict[str, object]]:
    shown = {
        "survival_12_months_difference": _survival_difference,
        "restricted_mean_12_months_difference_days": _lifetime_difference,
    }
    with_value, without = rows[rows["by_landmark"] == 1], rows[rows["by_landmark"] == 0]
    followed = [int((part["stop"] >= YEAR_DAYS).sum()) for part in (with_value, without)]
    results = []
    for measure, compare in shown.items():
        row = _effect_row(LANDMARK, measure, day, found)
        row.update(estimate=np.nan, ci_low=np.nan, ci_high=np.nan)
        if min(followed) < SMALLEST_N:
            row["note"] = f"followed 12 months: {followed[0]} with value, {followed[1]} without"
        else:
            estimate, low, high = compare(with_value, without, confidence)
            row.update(estimate=estimate, ci_low=low, ci_high=high, note="not adjusted")
        results.append(row)
    return results


def _survival_difference(
    with_value: pd.DataFrame, without: pd.DataFrame, confidence: float
) -> tuple[float, float, float]:
    """S(12 months) with value less without."""
    points = []
    for part in (with_value, without):
        curve = kaplan_meier(part["stop"], part["event"], None, confidence)
        reached = curve[curve["time"] <= YEAR_DAYS]
        point = reached.iloc[-1] if len(reached) else curve.iloc[0]
        is_flat = not reached["events"].any()
        points.append((1.0,) * 3 if is_flat else tuple(point[["estimate", "ci_low", "ci_high"]]))
    return difference_of(*points)


def _lifetime_difference(
    with_value: pd.DataFrame, without: pd.DataFrame, confidence: float
) -> tuple[float, float, float]:
    """Days stayed of the 366 after the landmark, with value less without."""
    found = restricted_mean_difference(
        (without["stop"], without["event"], None),
        (with_value["stop"], with_value["event"], None),
        float(YEAR_DAYS),
        confidence,
    )
    return found.estimate, found.ci_low, found.ci_high


def _effect_row(
    method: str, measure: str, day: int | None, found: LeavingModel
) -> dict[str, object]:
    return {
        "method": method,
        "measure": measure,
        "landmark_day": np.nan if day is None else float(day),
        "estimate": found.hazard_ratio,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "n": found.n,
        "n_events": found.n_events,
        "is_valid": method not in WHY_NOT,
        "note": found.note or WHY_NOT.get(method, ""),
    }


def _mean_of_achievers(starters: pd.DataFrame, confidence: float) -> dict[str, object]:
    """The mean that leaves out everybody who never got there, shown to be warned of."""
    method = "naive_mean_of_achievers"
    days = starters["value_day"].dropna()
    n = len(days)
    mean = low = high = np.nan
    note = f"{n} reached value"
    if n >= SMALLEST_N:
        mean = days.mean()
        reach = stats.t.ppf(0.5 + confidence / 2, n - 1) * days.std(ddof=1) / np.sqrt(n)
        low, high, note = mean - reach, mean + reach, WHY_NOT[method]
    return {
        "method": method, "measure": "mean_days", "landmark_day": np.nan,
        "estimate": mean, "ci_low": low, "ci_high": high, "n": n, "n_events": n,
        "is_valid": False, "note": note,
    }  # fmt: skip
