"""By how much faster does a group leave, and does one ratio say so for every age?

Tables made: survival.hazard_ratios, survival.hazard_ratios_by_age. The subtle point: where the
proportional-hazards test fails, one ratio is wrong at every age and ratios by age band replace it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis.survival.models import COX, GROUPED, Regression, cox
from pipeline.analysis.survival.readings import days_to_anniversary
from pipeline.analysis.survival.terms import RATIO_COLUMNS

AGE_BANDS_MONTHS = ((0, 3), (3, 12), (12, None))


def hazard_ratios(regressions: list[Regression], is_grouped: bool) -> pd.DataFrame:
    """The regressions' ratios in one table, the primary model marked.

    Args:
        regressions: Cox and grouped-time.
        is_grouped: from `is_time_grouped`.

    Returns:
        One row per model, term and level, reference rows included (ratio 1, no interval): the
        columns of survival.hazard_ratios, is_primary and note.
    """
    primary = GROUPED if is_grouped else COX
    ratios = [fit.ratios.assign(is_primary=fit.model == primary) for fit in regressions]
    filled = [block for block in ratios if len(block)]
    if not filled:
        return pd.DataFrame(columns=RATIO_COLUMNS)
    return pd.concat(filled, ignore_index=True)[RATIO_COLUMNS]


def hazard_ratios_by_age(
    at_risk: pd.DataFrame,
    covariates: list[str],
    stratify_by: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Cox ratios within bands of age, for when one ratio does not hold at every age.

    Args:
        at_risk: as for `cox`.
        covariates: as for `cox`.
        stratify_by: as for `cox`.
        confidence: as for `cox`.

    Returns:
        One row per age band (months 0–3, 3–12, over 12), term and level: age_band, the columns of
        survival.hazard_ratios and note. A band with too few events has one row that says so.
    """
    blocks = []
    for first, last in AGE_BANDS_MONTHS:
        start = days_to_anniversary(first) if first else 0
        end = days_to_anniversary(last) if last else np.inf
        label = _band(first, last)
        band = at_risk.assign(
            entry_days=np.maximum(at_risk["entry_days"], start),
            duration_days=np.minimum(at_risk["duration_days"], end),
            is_event=at_risk["is_event"] & (at_risk["duration_days"] <= end),
        )
        fit = cox(
            band[band["duration_days"] > band["entry_days"]].reset_index(drop=True),
            covariates, stratify_by, confidence,
        )  # fmt: skip
        ratios = fit.ratios if fit.is_fitted else pd.DataFrame([{
            "model": COX, "term": "", "level": "", "reference": "", "n": fit.n,
            "n_events": fit.n_events, "note": fit.note}])  # fmt: skip
        blocks.append(ratios.assign(age_band=label))
    return pd.concat(blocks, ignore_index=True)


def shown_ratios(ratios: pd.DataFrame, by_age: pd.DataFrame, is_proportional: bool) -> pd.DataFrame:
    """The ratios a reader may use: of the primary model, or by age where one ratio does not hold.

    Args:
        ratios: from `hazard_ratios`.
        by_age: from `hazard_ratios_by_age`.
        is_proportional: from `holds`.

    Returns:
        One row per term and level (and age band): label, age_band, hazard_ratio, ci_low, ci_high,
        q_value, n, n_events, note.
    """
    rows = by_age
    if is_proportional:
        rows = ratios[ratios["is_primary"].astype(bool)].assign(age_band="every age")
    names = rows["term"].astype(str) + " " + rows["level"].astype(str)
    label = names.where(rows["age_band"] == "every age", names + ", " + rows["age_band"])
    columns = ["label", "age_band", "hazard_ratio", "ci_low", "ci_high", "q_value", "n", "n_events"]
    given = rows.assign(label=label.str.replace("_", " ").str.strip(" ,"))
    return given.reindex(columns=[*columns, "note"]).reset_index(drop=True)


def attenuation(by_age: pd.DataFrame) -> str:
    """Do ratios come nearer to one with age, as unmeasured differences would make them?

    Args:
        by_age: from `hazard_ratios_by_age`.

    Returns:
        One sentence with the counts, or that there is nothing to compare.

    Source: Aalen, Borgan and Gjessing (2008), "Survival and event history analysis", chapter 6.
    """
    given = by_age.reindex(columns=["age_band", "term", "level", "reference", "hazard_ratio"])
    ratios = given[given["level"] != given["reference"]].dropna(subset=["hazard_ratio"])
    size = ratios.assign(size=np.abs(np.log(ratios["hazard_ratio"].astype(float))))
    wide = size.pivot_table(index=["term", "level"], columns="age_band", values="size")
    bands = [_band(first, last) for first, last in AGE_BANDS_MONTHS]
    ends = [bands[0], bands[-1]]
    both = wide.reindex(columns=ends).dropna()
    if both.empty:
        return "No ratio is estimated both early and late, so fading with age cannot be looked for."
    nearer = int((both[ends[1]] < both[ends[0]]).sum())
    return (
        f"Of {len(both)} ratios seen at {ends[0]} and {ends[1]}, {nearer} are nearer to one late. "
        "Unmeasured differences between customers do this by themselves: those likely to leave "
        "leave first, and the groups that remain grow alike."
    )


def model_to_read(fit: Regression, is_grouped: bool, is_proportional: bool) -> dict[str, str]:
    """What may be said of the ratios, in words.

    Args:
        fit: the Cox regression.
        is_grouped: from `is_time_grouped`.
        is_proportional: from `holds`.

    Returns:
        `model`: which to read, or why there is none. `ratios`: whether one ratio will do.
    """
    if not fit.is_fitted:
        return {"model": f"No model: {fit.note}", "ratios": "Ratios of leaving are not estimated"}
    primary = "the one on months of tenure" if is_grouped else "Cox on days of age"
    note = f" Left out: {fit.note}." if fit.note else ""
    return {
        "model": f"The model to read is {primary}; the other is its check.{note}",
        "ratios": (
            "No sign that the ratios change with age"
            if is_proportional
            else "Ratios of leaving change with age"
        ),
    }


def _band(first: int, last: int | None) -> str:
    return f"{first}–{last} months" if last else f"over {first} months"
