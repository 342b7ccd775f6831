"""A Cox model of leaving on one exposure, adjusted for what was known at signing.

The subtle point: without enough losses on both sides there is no model, and it says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from scipy import stats

from pipeline.analysis import checks, fits
from pipeline.analysis.checks import Check
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, SMALLEST_N
from pipeline.analysis.time_to_value.covariates import coded, independent
from pipeline.statistics import cox as partial_likelihood
from pipeline.statistics.proportional_hazards import proportional_hazards_test

LARGEST_LOG_RATIO = 10.0
"""A coefficient above it is separation, not an effect."""
NEWTON = {"precision": 1e-10, "r_precision": 1e-13}
"""When lifelines is to stop; its own values stop short of R in the seventh digit."""
Library = Callable[[], CoxPHFitter]


@dataclass(frozen=True)
class LeavingModel:
    """A model of leaving on one exposure: its hazard ratio, and whether it may be read.

    `ratios` is the tidy frame. `fitted` is lifelines' CoxPHFitter of all `terms`, to go on working
    with, made by `library` when first asked for; None where nothing was fitted, and in
    `grouped_model`, which is no Cox model.
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
    library: Library | None = field(default=None, repr=False, compare=False)

    @cached_property
    def fitted(self) -> CoxPHFitter | None:
        """The library's own object; lifelines fits when it is first asked for."""
        return self.library() if self.library else None

    def __repr__(self) -> str:
        n_terms = len(self.terms) if self.converged else 0
        return fits.in_a_line(
            "Model of leaving", self.n, self.n_events, n_terms, self.converged, self.note, "losses"
        )

    def print_summary(self, **how: Any) -> None:
        """Print what lifelines prints of the Cox model; `how` as of CoxPHFitter.print_summary."""
        fits.found(self.fitted, self.note).print_summary(**how)

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
    """A fitted Cox model: one row per column of hazard_ratio, ci_low, ci_high, p_value.

    `library` fits the same with lifelines.
    """

    ratios: pd.DataFrame
    checks: tuple[Check, ...]
    library: Library | None = field(default=None, repr=False, compare=False)

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
        fit.checks, float(p_value), fit.library,
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

    Args:
        rows: start, stop, event, one row per account and time span.
        design: columns of the model, of full rank, aligned with the rows.
        confidence: level of the intervals.
        rank: the check of the design's rank.
        events: the check of events per parameter.
        tested: columns whose ratio is asked to hold still with age; None: all together.
    """
    found = partial_likelihood.fit(
        rows["stop"], rows["event"], design.to_numpy(dtype=float), rows["start"]
    )
    params = pd.Series(found.coefficients, design.columns)
    away = [name for name in design if abs(params[name]) >= LARGEST_LOG_RATIO]
    if not found.converged and not away:
        return CoxFit(pd.DataFrame(), (checks.convergence(False), rank, events))
    separation = replace(checks.separation(away), is_hard=True)
    looked = (checks.convergence(True), separation, rank, events)
    if away:
        return CoxFit(pd.DataFrame(), looked)
    p_value = _hold_still(rows, design, params, tested)
    return CoxFit(
        _ratios(params, found.cov, confidence),
        (*looked, checks.proportional_hazards(p_value, confidence)),
        partial(_of_lifelines, rows, design, confidence),
    )


def _ratios(params: pd.Series, cov: np.ndarray, confidence: float) -> pd.DataFrame:
    """Hazard ratios with Wald intervals, one row per coefficient."""
    error = np.sqrt(np.diag(cov))
    reach = stats.norm.ppf(0.5 + confidence / 2) * error
    return pd.DataFrame(
        {
            "hazard_ratio": np.exp(params),
            "ci_low": np.exp(params - reach),
            "ci_high": np.exp(params + reach),
            "p_value": 2 * stats.norm.sf(np.abs(params / error)),
        },
        index=params.index,
    )


def _of_lifelines(rows: pd.DataFrame, design: pd.DataFrame, confidence: float) -> CoxPHFitter:
    """The same model as lifelines fits it, for whoever goes on working with it."""
    table = design.assign(start=rows["start"], stop=rows["stop"], event=rows["event"].astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of was checked
        return CoxPHFitter(alpha=1 - confidence).fit(
            table, duration_col="stop", event_col="event", entry_col="start", fit_options=NEWTON
        )


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
