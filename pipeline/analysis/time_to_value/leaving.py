"""A Cox model of leaving on one exposure, adjusted for what was known at signing.

The subtle point: without enough losses on both sides there is no model, and it says so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError

from pipeline.analysis.levels import OTHER
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER, SMALLEST_N
from pipeline.statistics.proportional_hazards import proportional_hazards_test

CHECK_LEVEL = 0.05
LARGEST_LOG_RATIO = 10.0
"""A coefficient above it is separation, not an effect."""


@dataclass(frozen=True)
class LeavingModel:
    """A Cox model of leaving on one exposure: its hazard ratio, and whether it may be read."""

    hazard_ratio: float
    ci_low: float
    ci_high: float
    n: int
    n_events: int
    note: str
    terms: tuple[str, ...] = ()
    checks: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def converged(self) -> bool:
        """A hazard ratio was found."""
        return bool(np.isfinite(self.hazard_ratio))

    @property
    def badge(self) -> dict[str, object]:
        """What report.json says about the model."""
        return {
            "name": "Cox, value as time-varying",
            "n": self.n,
            "n_events": self.n_events,
            "converged": self.converged,
            "checks": self.checks[["name", "passed", "note"]].to_dict("records"),
        }


def leaving_model(
    rows: pd.DataFrame, exposure: str, adjust_for: list[str], confidence: float
) -> LeavingModel:
    """Efron's partial likelihood with delayed entry; no model when there is too little to fit."""
    n, n_events = rows["account_id"].nunique(), int(rows["event"].sum())
    nothing = LeavingModel(np.nan, np.nan, np.nan, n, n_events, _too_little(rows, exposure))
    if nothing.note:
        return replace(nothing, checks=_checks(n_events, 1, None))
    design = _design(rows, exposure, adjust_for)
    is_full = n_events >= EVENTS_PER_PARAMETER * design.shape[1]
    design = design if is_full else design[[exposure]]
    note = "" if is_full else "not adjusted: too few losses"
    fit, trouble = _fit(rows, design, confidence)
    if fit is None:
        return replace(nothing, note=trouble, checks=_checks(n_events, design.shape[1], None))
    low, high = np.exp(fit.confidence_intervals_.loc[exposure])
    checks = _checks(n_events, design.shape[1], _hold_still(rows, design, fit.params_))
    ratio = float(np.exp(fit.params_[exposure]))
    terms = tuple(design.columns)
    return LeavingModel(ratio, float(low), float(high), n, n_events, note, terms, checks)


def _too_little(rows: pd.DataFrame, exposure: str) -> str:
    exposed = rows[exposure] == 1
    for part, words in ((rows[exposed], "with value"), (rows[~exposed], "without value")):
        n, k = part["account_id"].nunique(), int(part["event"].sum())
        if n < SMALLEST_N or k == 0:
            return f"too few for a model: {k} losses among {n} {words}"
    n, k = rows["account_id"].nunique(), int(rows["event"].sum())
    return "" if k >= EVENTS_PER_PARAMETER else f"too few for a model: {k} losses among {n}"


def _design(rows: pd.DataFrame, exposure: str, adjust_for: list[str]) -> pd.DataFrame:
    """The exposure and indicator columns against each covariate's most frequent level."""
    columns = {exposure: rows[exposure].astype("float64")}
    for name in adjust_for:
        if pd.api.types.is_numeric_dtype(rows[name]):
            columns[name] = rows[name].fillna(rows[name].median()).astype("float64")
            continue
        levels = _merged(rows[name], rows["event"], rows["account_id"])
        reference = levels.value_counts().sort_index().idxmax()
        for level in sorted(set(levels) - {reference}):
            columns[f"{name}: {level}"] = (levels == level).astype("float64")
    design = pd.DataFrame(columns, index=rows.index)
    return design.loc[:, (design.nunique() > 1) | (design.columns == exposure)]


def _merged(levels: pd.Series, events: pd.Series, accounts: pd.Series) -> pd.Series:
    """Levels too small to carry a coefficient become "other", and that the largest level."""
    for name in (OTHER, levels.mode().iloc[0] if len(levels) else OTHER):
        n = accounts.groupby(levels).transform("nunique")
        is_small = (n < SMALLEST_N) | (events.groupby(levels).transform("sum") == 0)
        levels = levels.mask(is_small, name)
    return levels


def _fit(
    rows: pd.DataFrame, design: pd.DataFrame, confidence: float
) -> tuple[CoxPHFitter | None, str]:
    table = design.assign(start=rows["start"], stop=rows["stop"], event=rows["event"].astype(int))
    fitter = CoxPHFitter(alpha=1 - confidence)
    with warnings.catch_warnings():
        # What they warn of is checked below: no coefficient may run away.
        warnings.simplefilter("ignore")
        try:
            fitter.fit(table, duration_col="stop", event_col="event", entry_col="start")
        except (ConvergenceError, np.linalg.LinAlgError):
            return None, "the model did not converge"
    if not (fitter.params_.abs() < LARGEST_LOG_RATIO).all():
        return None, "a group without losses: the model has no finite answer"
    return fitter, ""


def _hold_still(rows: pd.DataFrame, design: pd.DataFrame, params: pd.Series) -> float:
    """p-value of the score test that the exposure's hazard ratio changes with age."""
    tests = proportional_hazards_test(
        rows["stop"].to_numpy(),
        rows["event"].to_numpy(bool),
        design.to_numpy(),
        params.loc[design.columns].to_numpy(),
        rows["start"].to_numpy(),
    )
    return float(tests["p_value"].iloc[0])


def _checks(n_events: int, n_terms: int, p_value: float | None) -> pd.DataFrame:
    """What must hold for the hazard ratio to be read: one row per check."""
    per_term = n_events / max(n_terms, 1)
    rows = [
        ("events per parameter", per_term >= EVENTS_PER_PARAMETER, f"{per_term:.1f}"),
        (
            "hazard ratio holds still with age",
            p_value is not None and bool(p_value >= CHECK_LEVEL),
            "no model" if p_value is None else f"score test, p = {p_value:.3f}",
        ),
    ]
    return pd.DataFrame(rows, columns=["name", "passed", "note"])
