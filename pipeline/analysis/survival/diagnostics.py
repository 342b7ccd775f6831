"""Does the model hold, and may one ratio speak for every age?

Table made: the proportional-hazards rows of survival.tests, and survival.diagnostics. The subtle
point: a ratio that fades with age is what unmeasured differences between customers look like, even
when nothing changes in any one customer; it is said in a sentence, never corrected by hand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.analysis import checks
from pipeline.analysis.checks import Check
from pipeline.analysis.reliability import fewest_at_risk
from pipeline.analysis.survival.models import COX, Regression, score_residuals
from pipeline.analysis.survival.terms import columns_of, fitted
from pipeline.statistics import life_table, multiplicity, proportional_hazards

INFLUENCE, AGREEMENT, OVERALL_FIT = "influence", "Cox and grouped time agree", "overall fit"
LARGEST_SHIFT = 0.5
"""Standard errors by which leaving out one account may move a log ratio; beyond it the ratio hangs
on that account. A convention; Collett (2015), section 4.3, looks for values that stand out."""
SLOPE_MAY_DIFFER_BY = 0.2
"""From 1, of the Cox–Snell residuals' cumulative hazard; a convention."""
TEST_COLUMNS = ["test", "stratum", "statistic", "df", "p_value", "q_value", "note"]


def proportional_hazards_tests(fit: Regression, transform: str = "km") -> pd.DataFrame:
    """Score test of whether each ratio of a Cox regression holds at every age.

    Args:
        fit: from `cox`.
        transform: of age; km: the share gone by then.

    Returns:
        One row for all terms together (stratum "all") and one per term and level: the columns of
        survival.tests and a note. Empty when there is no fit.

    Source: Grambsch and Therneau (1994), Biometrika 81: 515, as a score test.
    """
    if not fit.is_fitted:
        return pd.DataFrame(columns=TEST_COLUMNS)
    rows, terms = fit.rows, fitted(fit.terms)
    scores = proportional_hazards.proportional_hazards_test(
        rows["duration_days"].to_numpy(float),
        rows["is_event"].to_numpy(bool),
        columns_of(rows, fit.terms).to_numpy(float),
        fit.coefficients,
        rows["entry_days"].to_numpy(float),
        transform=transform,
        strata=rows[fit.stratify_by].to_numpy() if fit.stratify_by else None,
    )
    labels = list(terms["term"] + ": " + terms["level"])
    tests = scores[["statistic", "df", "p_value"]].assign(
        test="proportional_hazards", stratum=[*labels, "all"], q_value=np.nan, note="score test"
    )
    tests.loc[tests["stratum"] != "all", "q_value"] = multiplicity.benjamini_hochberg(
        tests.loc[tests["stratum"] != "all", "p_value"].to_numpy()
    )
    return tests[TEST_COLUMNS].iloc[[-1, *range(len(labels))]].reset_index(drop=True)


def holds(ph_tests: pd.DataFrame, confidence: float) -> bool:
    """True unless the global proportional-hazards test rejects."""
    everything = ph_tests.loc[ph_tests["stratum"] == "all", "p_value"]
    return not (everything < 1 - confidence).any()


def diagnostics(fit: Regression) -> pd.DataFrame:
    """How far one account moves each ratio, and whether the fit follows what happened.

    Args:
        fit: from `cox`.

    Returns:
        One row per quantity: what, label, value, limit, note. `largest shift`: of a log ratio when
        one account is left out, in standard errors. `Cox–Snell slope`: of the cumulative hazard of
        the residuals, 1 when the fit follows the events. Empty when there is no fit.

    Source: Therneau and Grambsch (2000), section 7.2; Cox and Snell (1968), JRSS B 30: 248.
    """
    columns = ["what", "label", "value", "limit", "note"]
    if not fit.is_fitted:
        return pd.DataFrame(columns=columns)
    moved = np.abs(score_residuals(fit) @ fit.cov) / np.sqrt(np.diag(fit.cov))
    rows = [
        {"what": "largest shift", "label": f"{term.term} {term.level}".replace("_", " "),
         "value": shift, "limit": LARGEST_SHIFT, "note": "standard errors, one account left out"}
        for term, shift in zip(fitted(fit.terms).itertuples(), moved.max(axis=0), strict=True)
    ]  # fmt: skip
    slope = cox_snell_slope(fit)
    rows.append(
        {"what": "Cox–Snell slope", "label": "all", "value": slope,
         "limit": 1 + SLOPE_MAY_DIFFER_BY, "note": "1 when the fit follows the events"}
    )  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def cox_snell_slope(fit: Regression) -> float:
    """Slope through the origin of the residuals' cumulative hazard while enough are at risk.

    Args:
        fit: a fitted Cox regression; missing without events to read.
    """
    rows = fit.rows
    linear = columns_of(rows, fit.terms).to_numpy(float) @ fit.coefficients
    layer = rows[fit.stratify_by].to_numpy() if fit.stratify_by else np.zeros(len(rows))
    spent = np.zeros((2, len(rows)))
    for name in np.unique(layer):
        own = rows[layer == name]
        ages = [own[column].to_numpy(float) for column in ("entry_days", "duration_days")]
        times, hazard = proportional_hazards.breslow_baseline(
            ages[1], own["is_event"].to_numpy(bool), ages[0], linear[layer == name]
        )
        steps = np.concatenate([[0.0], hazard])
        for side, age in enumerate(ages):
            reached = steps[np.searchsorted(times, age, side="right")]
            spent[side, layer == name] = reached * np.exp(linear[layer == name])
    seen = spent[1] > spent[0]
    table = life_table.risk_table(
        spent[1][seen], rows["is_event"].to_numpy(bool)[seen], spent[0][seen]
    )
    kept = table.at_risk >= fewest_at_risk(float(table.at_risk.max(initial=0)))
    x, weight = table.time[kept], table.at_risk[kept]
    y = np.cumsum(table.events / table.at_risk)[kept]
    return float((weight * x * y).sum() / (weight * x * x).sum()) if kept.any() else np.nan


def model_checks(
    fit: Regression,
    other: Regression,
    ph_tests: pd.DataFrame | None = None,
    found: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> list[Check]:
    """What was looked at before a regression is believed.

    Args:
        fit: the regression.
        other: the regression beside it.
        ph_tests: from `proportional_hazards_tests`; None: the model is not tested for it.
        found: from `diagnostics`; None: not looked at.
        confidence: 1 less the level of the test.

    Returns:
        One Check each. When there is no fit, the hard check that says why comes first.
    """
    n_terms = len(fitted(fit.terms))
    enough = checks.events_per_parameter(fit.n_events, n_terms)
    if not fit.is_fitted:
        if not enough.passed:
            return [Check(enough.name, False, fit.note, is_hard=True)]
        return [checks.convergence(False)]
    is_lost = fit.ratios["note"].str.startswith("separated")
    lost = fit.ratios[is_lost]["term"] + " " + fit.ratios[is_lost]["level"]
    listed = [
        checks.convergence(fit.converged),
        checks.separation([*fit.design.separated, *lost]),
        checks.rank(fit.design.dependent),
        enough,
    ]
    if ph_tests is not None:
        p_value = ph_tests.loc[ph_tests["stratum"] == "all", "p_value"]
        listed.append(checks.proportional_hazards(p_value.iloc[0], confidence))
    if found is not None:
        listed += _influence(found)
    beside = "grouped time" if fit.model == COX else "Cox"
    agrees = Check(AGREEMENT, _agree(fit.ratios, other.ratios), f"each ratio against {beside}'s")
    return [*listed, agrees] if other.is_fitted else listed


def _influence(found: pd.DataFrame) -> list[Check]:
    """The two checks on what `diagnostics` found."""
    shifts = found[found["what"] == "largest shift"]
    worst = shifts.loc[shifts["value"].idxmax()]
    slope = found.loc[found["what"] == "Cox–Snell slope", "value"].iloc[0]
    return [
        Check(
            INFLUENCE,
            bool(worst["value"] <= LARGEST_SHIFT),
            f"one account moves {worst['label']} by {worst['value']:.2f} standard errors at most",
        ),
        Check(
            OVERALL_FIT,
            bool(abs(slope - 1) <= SLOPE_MAY_DIFFER_BY),
            f"Cox–Snell slope {slope:.2f}, 1 is right",
        ),
    ]


def _agree(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Do the ratios of two models lie inside each other's intervals?"""
    both = first.merge(second, on=["term", "level"], suffixes=("", "_other"))
    both = both[both["ci_low"].notna() & both["ci_low_other"].notna()]
    inside = both["hazard_ratio"].between(both["ci_low_other"], both["ci_high_other"])
    back = both["hazard_ratio_other"].between(both["ci_low"], both["ci_high"])
    return bool((inside & back).all())
