"""A Cox model of leaving on one exposure, adjusted for what was known at signing.

The subtle point: without enough losses on both sides there is no model, and it says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from scipy import stats

from pipeline.analysis import checks, fits
from pipeline.analysis.checks import Check
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, SMALLEST_N
from pipeline.analysis.time_to_value.covariates import coded, independent
from pipeline.analysis.time_to_value.starters import MANY
from pipeline.statistics import cox_counts
from pipeline.statistics.cox_counts import CoxCounts
from pipeline.statistics.proportional_hazards import proportional_hazards_test

LARGEST_LOG_RATIO = 10.0
"""A coefficient above it is separation, not an effect."""
ON_COUNTS = "fitted on counts by day, without an object of lifelines; read `ratios`"
NEWTON = {"precision": 1e-10, "r_precision": 1e-13}
"""When to stop; the library's own values stop short of R in the seventh digit."""


@dataclass(frozen=True)
class LeavingModel:
    """A model of leaving on one exposure: its hazard ratio, and whether it may be read.

    `ratios` is the tidy frame. `fitted` is lifelines' CoxPHFitter of all `terms`, to go on working
    with; None where nothing was fitted, in `grouped_model`, whose estimator is our own, and where
    rows are so many that they were counted by day (`cox`).
    """

    hazard_ratio: float
    ci_low: float
    ci_high: float
    n: int
    n_events: int
    note: str
    terms: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    p_value: float = np.nan
    fitted: CoxPHFitter | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        n_terms = len(self.terms) if self.converged else 0
        return fits.in_a_line(
            "Model of leaving", self.n, self.n_events, n_terms, self.converged, self.note, "losses"
        )

    def print_summary(self, **how: Any) -> None:
        """Print what lifelines prints of the Cox model; `how` as of CoxPHFitter.print_summary."""
        fits.found(self.fitted, self.note or ON_COUNTS).print_summary(**how)

    @property
    def ratios(self) -> pd.DataFrame:
        """One row: the exposure's term, hazard_ratio, ci_low, ci_high, p_value, n, n_events."""
        named = {"term": self.terms[0] if self.terms else "", "hazard_ratio": self.hazard_ratio}
        counted = {"p_value": self.p_value, "n": self.n, "n_events": self.n_events}
        limits = {"ci_low": self.ci_low, "ci_high": self.ci_high}
        return pd.DataFrame([named | limits | counted | {"note": self.note}])

    @property
    def converged(self) -> bool:
        """A hazard ratio was found."""
        return bool(np.isfinite(self.hazard_ratio))

    @property
    def checked(self) -> pd.DataFrame:
        """What was looked at: one row per check of name, passed, note."""
        return check_table(self.checks)

    @property
    def badge(self) -> dict[str, object]:
        """What report.json says about the model."""
        return {
            "name": "Cox, value as time-varying",
            "n": self.n,
            "n_events": self.n_events,
            "converged": self.converged,
            "checks": self.checks,
        }


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox model: one row per column of hazard_ratio, ci_low, ci_high, p_value."""

    ratios: pd.DataFrame
    checks: tuple[Check, ...]
    fitted: CoxPHFitter | None = field(default=None, repr=False, compare=False)

    @property
    def is_found(self) -> bool:
        """There are ratios to read."""
        return not self.ratios.empty


def check_table(found: Iterable[Check]) -> pd.DataFrame:
    """Checks as a table: one row per check of name, passed, note."""
    rows = [(check.name, check.passed, check.note) for check in found]
    return pd.DataFrame(rows, columns=["name", "passed", "note"])


def leaving_model(
    rows: pd.DataFrame, exposure: str, adjust_for: Iterable[str], confidence: float
) -> LeavingModel:
    """Efron's partial likelihood with delayed entry; no model when there is too little to fit.

    Args:
        rows: one per account and time span: account_id, start and stop (at risk after start and up
            to stop), event (left at stop), the exposure (0 or 1) and the covariates.
        exposure: the column whose hazard ratio it is.
        adjust_for: covariates.
        confidence: level of the interval.
    """
    n, n_events = rows["account_id"].nunique(), int(rows["event"].sum())
    missing = too_little(rows, exposure)
    nothing = LeavingModel(np.nan, np.nan, np.nan, n, n_events, "")
    if missing:
        return replace(nothing, note=missing[0].note, checks=missing)
    own = rows[[exposure]].astype("float64")
    beside = coded(rows, adjust_for)
    kept = independent(beside.columns, own)
    dropped = [*beside.left_out, *(name for name in beside.columns if name not in kept)]
    events = checks.events_per_parameter(n_events, 1 + len(kept))
    if not events.passed:
        kept, events = [], replace(events, note=f"{events.note}; not adjusted", is_hard=False)
    design = own.join(beside.columns[kept])
    fit = cox(rows, design, confidence, checks.rank(dropped), events, [exposure])
    if not fit.is_found:
        return replace(nothing, note=checks.stopped_by(fit.checks), checks=fit.checks)
    ratio, low, high, p_value = fit.ratios.loc[exposure]
    note = "" if events.passed else "not adjusted: too few losses"
    return LeavingModel(
        float(ratio), float(low), float(high), n, n_events, note, tuple(design.columns),
        fit.checks, float(p_value), fit.fitted,
    )  # fmt: skip


def too_little(rows: pd.DataFrame, exposure: str) -> tuple[Check, ...]:
    """The hard check that forbids a model of so few accounts or losses; none when there is one."""
    exposed = rows[exposure] == 1
    for part, words in ((rows[exposed], "with value"), (rows[~exposed], "without value")):
        n, k = part["account_id"].nunique(), int(part["event"].sum())
        note = f"too few for a model: {k} losses among {n} {words}"
        if n < SMALLEST_N:
            return (Check(checks.EVENTS, False, note, is_hard=True),)
        if k == 0:
            return (Check(checks.SEPARATION, False, note, is_hard=True),)
    n, k = rows["account_id"].nunique(), int(rows["event"].sum())
    note = f"too few for a model: {k} losses among {n}"
    enough = k >= EVENTS_PER_PARAMETER
    return () if enough else (Check(checks.EVENTS, False, note, is_hard=True),)


def cox(
    rows: pd.DataFrame,
    design: pd.DataFrame,
    confidence: float,
    rank: Check,
    events: Check,
    tested: Iterable[str] | None = None,
) -> CoxFit:
    """Fit a Cox model with Efron ties and delayed entry, and look at what must hold.

    Of many rows the fit is made on counts by day and pattern of the covariates, which is exact.

    Args:
        rows: start, stop, event, one row per account and time span.
        design: columns of the model, of full rank, aligned with the rows.
        confidence: level of the intervals.
        rank: the check of the design's rank.
        events: the check of events per parameter.
        tested: columns whose ratio is asked to hold still with age; None: all together.
    """
    if len(rows) >= MANY:
        counts = cox_counts.countable(rows["stop"], rows["event"], design, rows["start"])
        if counts is not None:
            return _on_counts(counts, design, confidence, (rank, events), tested)
    table = design.assign(start=rows["start"], stop=rows["stop"], event=rows["event"].astype(int))
    fitter = CoxPHFitter(alpha=1 - confidence)
    try:
        with warnings.catch_warnings():
            # What they warn of is checked below: no coefficient may run away.
            warnings.simplefilter("ignore")
            fitter.fit(
                table, duration_col="stop", event_col="event", entry_col="start",
                fit_options=NEWTON,
            )  # fmt: skip
    except (ConvergenceError, np.linalg.LinAlgError):
        return CoxFit(pd.DataFrame(), (checks.convergence(False), rank, events))
    away = [name for name in design if not abs(fitter.params_[name]) < LARGEST_LOG_RATIO]
    separation = replace(checks.separation(away), is_hard=True)
    looked = (checks.convergence(True), separation, rank, events)
    if away:
        return CoxFit(pd.DataFrame(), looked)
    limits = np.exp(fitter.confidence_intervals_.to_numpy())
    ratios = pd.DataFrame(
        {
            "hazard_ratio": np.exp(fitter.params_),
            "ci_low": limits[:, 0],
            "ci_high": limits[:, 1],
            "p_value": fitter.summary["p"],
        }
    )
    p_value = _hold_still(rows, design, fitter.params_, tested)
    return CoxFit(ratios, (*looked, checks.proportional_hazards(p_value, confidence)), fitter)


def _on_counts(
    counts: CoxCounts,
    design: pd.DataFrame,
    confidence: float,
    given: tuple[Check, Check],
    tested: Iterable[str] | None,
) -> CoxFit:
    """The same fit and the same checks from counts by day and pattern of the covariates."""
    found = cox_counts.fit(counts)
    if not found.converged:
        return CoxFit(pd.DataFrame(), (checks.convergence(False), *given))
    away = [
        name
        for name, param in zip(design, found.params, strict=True)
        if abs(param) >= LARGEST_LOG_RATIO
    ]
    separation = replace(checks.separation(away), is_hard=True)
    looked = (checks.convergence(True), separation, *given)
    if away:
        return CoxFit(pd.DataFrame(), looked)
    error = np.sqrt(np.diag(found.cov))
    reach = stats.norm.ppf(0.5 + confidence / 2) * error
    ratios = pd.DataFrame(
        {
            "hazard_ratio": np.exp(found.params),
            "ci_low": np.exp(found.params - reach),
            "ci_high": np.exp(found.params + reach),
            "p_value": 2 * stats.norm.sf(np.abs(found.params / error)),
        },
        index=design.columns,
    )
    asked = design.columns if tested is None else list(tested)
    p_value = cox_counts.proportional_hazards(
        counts, found.params, design.columns.get_indexer(asked)
    )
    return CoxFit(ratios, (*looked, checks.proportional_hazards(p_value, confidence)))


def _hold_still(
    rows: pd.DataFrame, design: pd.DataFrame, params: pd.Series, tested: Iterable[str] | None
) -> float:
    """p-value of the score test that ratios change with age."""
    asked = design.columns if tested is None else list(tested)
    tests = proportional_hazards_test(
        rows["stop"].to_numpy(),
        rows["event"].to_numpy(bool),
        design.to_numpy(),
        params.loc[design.columns].to_numpy(),
        rows["start"].to_numpy(),
        terms=[0 if name in asked else 1 + place for place, name in enumerate(design.columns)],
    )
    return float(tests.loc[tests["term"] == 0, "p_value"].iloc[0])
