"""Do groups differ in how long they stay, and by how many months?

Tables made: the log-rank rows of survival.tests, survival.restricted_means. The subtle point: a
mean is read only where enough are followed to its horizon, and a group of which nobody left gives
no interval, for it would claim to be certain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.analysis.reliability import DAYS_PER_MONTH
from pipeline.analysis.survival.readings import (
    at_risk_on,
    days_to_anniversary,
    needed,
)
from pipeline.analysis.survival.risk_set import EVERYBODY
from pipeline.statistics import log_rank, multiplicity, restricted_mean

TEST_COLUMNS = ["test", "stratum", "statistic", "df", "p_value", "q_value", "note"]
DIFFERENCE_NAMES = {
    "estimate": "difference", "ci_low": "difference_from", "ci_high": "difference_to",
}  # fmt: skip
"""A difference beside the mean that it belongs to."""


def tests(at_risk: pd.DataFrame, strata: list[str], stratify_by: str | None) -> pd.DataFrame:
    """Log-rank tests with delayed entry: do the curves of a stratum's levels differ?

    Args:
        at_risk: from `spells_at_risk`, with `stratify_by` among its columns when given.
        strata: names of the strata.
        stratify_by: a stratum within whose levels the others are compared as well.

    Returns:
        One row per test: the columns of survival.tests and a note. q values
        (Benjamini–Hochberg) are over the log_rank rows.
    """
    rows = [_log_rank("log_rank", at_risk, stratum, None) for stratum in strata]
    for row, q_value in zip(
        rows, multiplicity.benjamini_hochberg([row["p_value"] for row in rows]), strict=True
    ):
        row["q_value"] = q_value
    if stratify_by in at_risk:
        rows += [
            _log_rank("log_rank_stratified", at_risk, stratum, stratify_by)
            for stratum in strata
            if stratum != stratify_by
        ]
    return pd.DataFrame(rows, columns=TEST_COLUMNS)


def all_tests(log_ranks: pd.DataFrame, ph_tests: pd.DataFrame) -> pd.DataFrame:
    """The rows of `survival.tests`: one row per test, log-rank, then proportional hazards."""
    blocks = [block for block in (log_ranks, ph_tests) if len(block)]
    return pd.concat(blocks, ignore_index=True) if blocks else log_ranks


def restricted_means(
    at_risk: pd.DataFrame, strata: list[str], horizons_months: list[int], confidence: float
) -> pd.DataFrame:
    """Mean months stayed within a horizon, by level, and its difference to the largest level.

    Args:
        at_risk: from `spells_at_risk`.
        strata: names of the strata.
        horizons_months: horizons, in months.
        confidence: of the intervals (normal, Greenwood plug-in).

    Returns:
        One row per stratum, level, horizon and measure (restricted_mean, difference): estimate,
        ci_low, ci_high in months, p_value (of no difference), reference, n, note. Blank where too
        few are followed so far.

    Source: Royston and Parmar (2013), BMC Medical Research Methodology 13: 152.
    """
    rows = []
    for months in horizons_months:
        for stratum in [EVERYBODY, *strata]:
            rows += _restricted_means(at_risk, stratum, months, confidence)
    return pd.DataFrame(rows)


def side_by_side(means: pd.DataFrame) -> pd.DataFrame:
    """The months kept and their difference to the largest level in one row, for the page.

    Args:
        means: from `restricted_means`.

    Returns:
        One row per stratum, level and horizon, by stratum and level: reference, horizon_months, n,
        estimate, ci_low, ci_high, difference, difference_from, difference_to (months), p_value,
        note.
    """
    key = ["stratum", "level", "horizon_months"]
    kept = means[means["measure"] == "restricted_mean"].drop(columns=["reference", "p_value"])
    less = means[means["measure"] == "difference"].rename(columns=DIFFERENCE_NAMES)
    less = less[[*key, "reference", *DIFFERENCE_NAMES.values(), "p_value"]]
    both = kept.merge(less, on=key, how="left")
    largest = both.groupby("stratum")["reference"].transform("first")
    both["reference"] = both["reference"].fillna(largest)
    order = {name: place for place, name in enumerate(both["stratum"].unique())}
    columns = [
        "stratum", "reference", "level", "horizon_months", "n", "estimate", "ci_low", "ci_high",
        *DIFFERENCE_NAMES.values(), "p_value", "note",
    ]  # fmt: skip
    by_stratum = both.assign(order=both["stratum"].map(order))
    return by_stratum.sort_values(["order", "level", "horizon_months"])[columns].reset_index(
        drop=True
    )


def too_few_followed(groups: list[pd.DataFrame], day: int) -> str:
    """Why a curve cannot be read at an age in days; blank when every group's can."""
    for group in groups:
        followed, least = at_risk_on(group, day), needed(group)
        if followed < least:
            return f"only {followed} accounts at risk at day {day}, {least} are needed"
    return ""


def _log_rank(
    test: str, at_risk: pd.DataFrame, stratum: str, stratify_by: str | None
) -> dict[str, Any]:
    result = log_rank.log_rank(
        at_risk["duration_days"].to_numpy(float),
        at_risk["is_event"].to_numpy(bool),
        at_risk[stratum].to_numpy(),
        at_risk["entry_days"].to_numpy(float),
        strata=at_risk[stratify_by].to_numpy() if stratify_by else None,
    )
    within = f"within {stratify_by}" if stratify_by else ""
    return {
        "test": test, "stratum": stratum, "statistic": result.statistic, "df": result.df,
        "p_value": result.p_value, "q_value": np.nan, "note": result.reason or within,
    }  # fmt: skip


def _restricted_means(
    at_risk: pd.DataFrame, stratum: str, months: int, confidence: float
) -> list[dict[str, object]]:
    horizon = days_to_anniversary(months)
    groups = (
        {EVERYBODY: at_risk}
        if stratum == EVERYBODY
        else {str(level): group for level, group in at_risk.groupby(stratum, sort=True)}
    )
    reference = max(groups, key=lambda level: len(groups[level])) if len(groups) > 1 else ""
    rows = []
    for level, group in groups.items():
        common = {"stratum": stratum, "level": level, "horizon_months": months, "n": len(group)}
        kind = {"measure": "restricted_mean", "reference": ""}
        rows.append(common | kind | mean_within([group], horizon, confidence))
        if reference and level != reference:
            kind = {"measure": "difference", "reference": reference}
            pair = [groups[reference], group]
            rows.append(common | kind | mean_within(pair, horizon, confidence))
    return rows


def mean_within(groups: list[pd.DataFrame], horizon: int, confidence: float) -> dict[str, object]:
    """Restricted mean of one group, or of the second less the first, in months."""
    blank = dict.fromkeys(("estimate", "ci_low", "ci_high", "p_value"), np.nan)
    if note := too_few_followed(groups, horizon):
        return blank | {"note": note}
    arrays = [
        (
            group["duration_days"].to_numpy(float),
            group["is_event"].to_numpy(bool),
            group["entry_days"].to_numpy(float),
        )
        for group in groups
    ]
    if len(groups) == 1:
        mean = restricted_mean.restricted_mean(*arrays[0], horizon, confidence)
        p_value = np.nan
    else:
        mean = restricted_mean.restricted_mean_difference(arrays[0], arrays[1], horizon, confidence)
        is_known = mean.std_err > 0
        p_value = 2 * stats.norm.sf(abs(mean.estimate / mean.std_err)) if is_known else np.nan
    values = [value / DAYS_PER_MONTH for value in (mean.estimate, mean.ci_low, mean.ci_high)]
    if note := _nobody_left(groups, horizon):
        return blank | {"estimate": values[0], "note": note}
    return dict(zip(blank, [*values, p_value], strict=True)) | {"note": ""}


def _nobody_left(groups: list[pd.DataFrame], horizon: int) -> str:
    """Why a mean has no interval: a group of which nobody left would claim to be certain."""
    for group in groups:
        if not (group["is_event"] & (group["duration_days"] <= horizon)).any():
            return f"nobody left among {len(group)} by day {horizon}: no interval"
    return ""
