"""Which comparison was named before the data were read, and what does it say?

The chapter's primary contrast. The subtle point: it is always the difference of months kept within
a year. It needs no shape of the curves, so it means the same every month, also when one ratio would
be wrong at every age; the ratio is said beside it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from pipeline.analysis import checks
from pipeline.analysis.checks import Check
from pipeline.analysis.survival.comparisons import mean_within, too_few_followed
from pipeline.analysis.survival.readings import days_to_anniversary

FOLLOW_UP = "followed to the mark"


def contrast(
    at_risk: pd.DataFrame,
    stratum: str,
    confidence: float,
    refused: Collection[str] = (),
    months: int = 12,
) -> dict[str, object]:
    """The chapter's primary contrast: months kept, second largest level against the largest.

    Args:
        at_risk: from `spells_at_risk`, with the stratum.
        stratum: the declared contrast; a column of `at_risk`.
        confidence: of the interval.
        refused: strata that may not be compared, such as those that hold today's value.
        months: the horizon.

    Returns:
        name, statement, estimand, population, estimate, ci_low, ci_high, unit (months), p_value,
        n, n_events, checks, null (0). Blank, with a hard check that says why, without two levels
        or where too few are followed to the horizon.

    Source: Royston and Parmar (2013), BMC Medical Research Methodology 13: 152.
    """
    card = {
        "name": stratum,
        "estimand": f"Difference of the mean months kept within the first {months} months.",
        "population": "First paid relationships of known age, grouped as they were at signing.",
        "unit": "months", "null": 0.0,
    }  # fmt: skip
    pair = None if stratum in refused else pair_of(at_risk, stratum)
    if pair is None:
        blank = dict.fromkeys(("estimate", "ci_low", "ci_high", "p_value"), np.nan)
        lacks = "holds today's value" if stratum in refused else "has no two levels to compare"
        reason = f"{stratum.replace('_', ' ')} {lacks}"
        counts = {"n": len(at_risk), "n_events": int(at_risk["is_event"].sum())}
        alone = [Check(FOLLOW_UP, False, reason, is_hard=True)]
        return card | blank | counts | {"statement": reason, "checks": alone}
    found = months_kept(at_risk, stratum, pair, confidence, months)
    found.pop("note")
    looked_at = _contrast_checks(at_risk, stratum, pair, days_to_anniversary(months))
    what = f"{stratum.replace('_', ' ')} {pair[1]} less {pair[0]}"
    statement = f"mean months kept of the first {months}, {what}"
    return card | found | {"statement": statement, "checks": looked_at}


def ratio_beside(ratios: pd.DataFrame, at_risk: pd.DataFrame, stratum: str) -> dict[str, float]:
    """The primary model's hazard ratio of the same two levels, to be said beside the contrast.

    Args:
        ratios: from `hazard_ratios`.
        at_risk: from `spells_at_risk`, with the stratum.
        stratum: the declared contrast.

    Returns:
        hazard_ratio, ci_low, ci_high; missing where the model gives none for this pair.
    """
    columns = ["hazard_ratio", "ci_low", "ci_high"]
    pair = pair_of(at_risk, stratum)
    if pair is None or ratios.empty:
        return dict.fromkeys(columns, np.nan)
    is_same = (ratios["term"] == stratum) & (ratios["level"] == pair[1])
    own = ratios[is_same & (ratios["reference"] == pair[0]) & ratios["is_primary"].astype(bool)]
    return (
        own[columns].astype("float64").squeeze().to_dict()
        if len(own) == 1
        else (dict.fromkeys(columns, np.nan))
    )


def pair_of(at_risk: pd.DataFrame, stratum: str) -> tuple[str, str] | None:
    """The largest level of a stratum and the second largest; None with fewer than two levels.

    Levels of the same size are taken in the order of their names.
    """
    if stratum not in at_risk:
        return None
    sizes = at_risk.groupby(stratum, sort=True).size().sort_values(ascending=False, kind="stable")
    return (str(sizes.index[0]), str(sizes.index[1])) if len(sizes) > 1 else None


def months_kept(
    at_risk: pd.DataFrame,
    stratum: str,
    pair: tuple[str, str],
    confidence: float,
    months: int = 12,
) -> dict[str, object]:
    """Difference of the mean months kept within a horizon, second level of a pair less the first.

    Args:
        at_risk: from `spells_at_risk`, with the stratum.
        stratum: name of the stratum.
        pair: reference level, other level.
        confidence: of the interval (normal, Greenwood plug-in).
        months: the horizon.

    Returns:
        estimate, ci_low, ci_high in months, p_value of no difference, n, n_events, note (why it is
        blank).
    """
    groups = [at_risk[at_risk[stratum] == level] for level in pair]
    day = days_to_anniversary(months)
    left = sum(int((each["is_event"] & (each["duration_days"] <= day)).sum()) for each in groups)
    counts = {"n": sum(len(each) for each in groups), "n_events": left}
    return mean_within(groups, day, confidence) | counts


def _contrast_checks(
    at_risk: pd.DataFrame, stratum: str, pair: tuple[str, str], day: int
) -> list[Check]:
    """Was each group followed to the mark (hard), and did enough of each leave?"""
    groups = [at_risk[at_risk[stratum] == level] for level in pair]
    note = too_few_followed(groups, day)
    left = [int((each["is_event"] & (each["duration_days"] <= day)).sum()) for each in groups]
    group = "in the group with fewer"
    enough = checks.enough_events(min(left), one=f"leaver {group}", several=f"leavers {group}")
    return [Check(FOLLOW_UP, not note, note, is_hard=True), enough]
