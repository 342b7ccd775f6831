"""Which accounts stay longer, all else equal?

Two regressions of leaving on what was known at signing, side by side: Cox with Efron ties on days,
and the grouped-time model (complementary log-log) on months of tenure. The subtle point: monthly
billing makes leavings tie. Where many leave on the same day of age the grouped model is the primary
one; otherwise Cox is, and the other is its check.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from statsmodels.genmod.families import Binomial, links
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import (
    ConvergenceWarning,
    DomainWarning,
    PerfectSeparationWarning,
)

from pipeline.analysis import fits
from pipeline.analysis.reliability import SMALLEST_N
from pipeline.analysis.survival.readings import month_edges
from pipeline.analysis.survival.terms import (
    RATIO_COLUMNS,
    Design,
    columns_of,
    design_of,
    ratios_of,
)
from pipeline.statistics import baseline, influence, life_table
from pipeline.statistics import cox as cox_model

COX, GROUPED = "cox", "grouped"
TITLES = {COX: "Cox", GROUPED: "Grouped-time"}
FEW_DISTINCT_TIMES = 0.2
LARGE_TIE = 0.05
"""Ties rule: fewer than 0.2 distinct times per event, or an age at which over 5 % of those at risk
leave: then time is grouped, not continuous. Kalbfleisch and Prentice (2002), section 4.8."""
NEWTON = {"precision": 1e-22, "r_precision": 0.0}
"""lifelines' own stopping rule leaves coefficients a relative 1e-5 short of their limit, and one on
the likelihood 1e-8: it is flat there."""
LIFE = ["entry_days", "duration_days", "is_event"]
BASELINE_EVENTS = 15
BASELINE_LIMITS = (*range(1, 13), 18, 24, 36)
"""Last tenure month of each baseline band before merging: months 1 to 12, then bands."""


@dataclass(frozen=True)
class Regression:
    """A fitted regression, or the reason why there is none.

    `params` and `cov` hold the baseline's coefficients (none in Cox) before those of the terms;
    `baseline` has one row per month of tenure, one column per baseline coefficient.

    `ratios` is the tidy frame: one row per covariate and level. `fitted` is the library's own
    object, made by `library`: of `cox` lifelines' CoxPHFitter, which fits when first asked for and
    comes to the same numbers, of `grouped_time` the GLMResults of statsmodels; None where nothing
    was fitted. Its columns are x0, x1, … in the order of `labels`. With clustered errors `cov` and
    `ratios` are by account, what the library says of itself is not.
    """

    model: str
    ratios: pd.DataFrame
    design: Design
    converged: bool
    note: str = ""
    params: np.ndarray = field(default_factory=lambda: np.zeros(0))
    cov: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    baseline: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    stratify_by: str | None = None
    library: Callable[[], Any] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def fitted(self) -> Any:
        """The library's own object; lifelines fits when it is first asked for."""
        return self.library() if self.library and self.is_fitted else None

    def __repr__(self) -> str:
        n_terms = len(self.coefficients)
        name = f"{TITLES[self.model]} model"
        return fits.in_a_line(name, self.n, self.n_events, n_terms, self.converged, self.note)

    def print_summary(self, **how: Any) -> None:
        """Print what lifelines prints of a Cox model, of the other what statsmodels says.

        Args:
            how: of CoxPHFitter.print_summary (decimals, style, columns); a Cox model's only.
        """
        fitted = fits.found(self.fitted, self.note)
        if self.model == COX:
            fits.named(fitted, self.labels).print_summary(**how)
        else:
            print(self.summary())

    def summary(self) -> Any:
        """The library's summary, its terms in words: a frame of lifelines, or statsmodels' own."""
        fitted = fits.found(self.fitted, self.note)
        if self.model == COX:
            return fits.named(fitted, self.labels).summary
        bands = [f"baseline {band + 1}" for band in range(self.baseline.shape[1])]
        return fitted.summary(xname=[*bands, *self.labels], yname="churn")

    @property
    def labels(self) -> list[str]:
        """The fitted terms in words, in the order of the design's columns."""
        terms = self.terms[~self.terms["is_reference"]]
        return [f"{row.term}: {row.level}" for row in terms.itertuples()]

    @property
    def is_fitted(self) -> bool:
        """True when there are coefficients to read."""
        return len(self.params) > 0

    @cached_property
    def n(self) -> int:
        """Accounts in the fit."""
        return self.rows["account_id"].nunique()

    @property
    def n_events(self) -> int:
        """Events in the fit."""
        return self.design.n_events

    @property
    def rows(self) -> pd.DataFrame:
        """The accounts' spells that were modelled: one row per account at risk."""
        return self.design.rows

    @property
    def terms(self) -> pd.DataFrame:
        """One row per covariate and level: term, level, reference, n, n_events, is_reference."""
        return self.design.terms

    @property
    def coefficients(self) -> np.ndarray:
        """Log hazard ratios of the fitted terms."""
        return self.params[self.baseline.shape[1] :]


def is_time_grouped(at_risk: pd.DataFrame) -> bool:
    """Do so many leave at the same age that time comes in steps?

    Args:
        at_risk: from `spells_at_risk`.

    Returns:
        True: the grouped-time model is primary and Cox its check.
    """
    table = life_table.risk_table(
        at_risk["duration_days"].to_numpy(float),
        at_risk["is_event"].to_numpy(bool),
        at_risk["entry_days"].to_numpy(float),
    )
    events, sizes = table.events[table.events > 0], table.at_risk[table.events > 0]
    if not len(events):
        return False
    # A last few at risk always leave in a large share; only a risk set that carries a rate counts.
    carried = sizes >= SMALLEST_N / LARGE_TIE
    is_large = (events[carried] / sizes[carried] > LARGE_TIE).any()
    return bool(len(events) / events.sum() < FEW_DISTINCT_TIMES or is_large)


def cox(
    at_risk: pd.DataFrame,
    covariates: list[str],
    stratify_by: str | None = None,
    confidence: float = 0.95,
    is_clustered: bool = False,
) -> Regression:
    """Cox regression on days of age, delayed entry, Efron ties.

    Args:
        at_risk: from `spells_at_risk`, with the covariates as text levels.
        covariates: names of the covariates.
        stratify_by: a column whose levels get a baseline each; not a covariate then.
        confidence: of the Wald intervals on the log scale.
        is_clustered: errors hold when an account has several rows (Lin and Wei 1989).

    Returns:
        The regression; its `ratios` hold one row per covariate and level, reference included.

    Source: Cox (1972), JRSS B 34: 187; Efron (1977), JASA 72: 557.
    """
    stratify_by = stratify_by if stratify_by in at_risk else None
    design = design_of(at_risk, [name for name in covariates if name != stratify_by])
    if reason := design.reason():
        return _none(COX, design, reason)
    rows = design.rows
    found = cox_model.fit(
        *_times(rows),
        columns_of(rows, design.terms).to_numpy(float),
        rows["entry_days"].to_numpy(float),
        rows[stratify_by].to_numpy() if stratify_by else None,
    )
    if np.isnan(found.coefficients).any():
        return _none(COX, design, "the fit did not converge")
    fit = Regression(
        COX, pd.DataFrame(), design, found.converged, design.notes, found.coefficients, found.cov,
        stratify_by=stratify_by,
        library=lambda: _of_lifelines(design, stratify_by, confidence),
    )  # fmt: skip
    cov = found.cov
    if is_clustered:
        cov = influence.robust_covariance(score_residuals(fit), cov, rows["account_id"])
    ratios = ratios_of(COX, design, found.coefficients, np.sqrt(np.diag(cov)), confidence)
    return replace(fit, ratios=ratios, cov=cov)


def _of_lifelines(design: Design, stratify_by: str | None, confidence: float) -> CoxPHFitter | None:
    """The same fit by lifelines, for who reads it; None where lifelines does not converge."""
    rows = design.rows
    frame = columns_of(rows, design.terms).assign(
        duration=rows["duration_days"], event=rows["is_event"], entry=rows["entry_days"]
    )
    if stratify_by:
        frame = frame.assign(stratum=rows[stratify_by].factorize(sort=True)[0])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `converged` says what they say
            return CoxPHFitter(alpha=1 - confidence).fit(
                frame, "duration", "event", entry_col="entry",
                strata=["stratum"] if stratify_by else None, fit_options=NEWTON,
            )  # fmt: skip
    except ConvergenceError:
        return None


def _times(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return rows["duration_days"].to_numpy(float), rows["is_event"].to_numpy(bool)


def score_residuals(fit: Regression) -> np.ndarray:
    """What each row of a fitted Cox regression adds to the score of each term."""
    rows = fit.rows
    return influence.score_residuals(
        *_times(rows),
        columns_of(rows, fit.terms).to_numpy(float),
        fit.coefficients,
        rows["entry_days"].to_numpy(float),
        rows[fit.stratify_by].to_numpy() if fit.stratify_by else None,
    )


def grouped_time(
    at_risk: pd.DataFrame, covariates: list[str], confidence: float = 0.95
) -> Regression:
    """Grouped-time regression (complementary log-log) on months of tenure.

    Args:
        at_risk: from `spells_at_risk`, with the covariates as text levels.
        covariates: names of the covariates.
        confidence: of the Wald intervals on the log scale.

    Returns:
        The regression; its `ratios` hold one row per covariate and level, reference included.

    Source: Prentice and Gloeckler (1978), Biometrics 34: 57.
    """
    design = design_of(at_risk, covariates)
    if reason := design.reason():
        return _none(GROUPED, design, reason)
    cells = _account_months(design.rows, covariates)
    months = _baseline(cells)
    own = months[cells["tenure_month"].to_numpy() - 1]
    outcome = cells[["n_events", "n_stayed"]].to_numpy(float)
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, DomainWarning, PerfectSeparationWarning):
            warnings.simplefilter("ignore", category)
        fit = GLM(
            outcome,
            np.hstack([own, columns_of(cells, design.terms).to_numpy(float)]),
            family=Binomial(links.CLogLog()),
        ).fit(maxiter=100)
    n_baseline = months.shape[1]
    ratios = ratios_of(GROUPED, design, fit.params[n_baseline:], fit.bse[n_baseline:], confidence)
    return Regression(
        GROUPED, ratios, design, bool(fit.converged), design.notes, fit.params, fit.cov_params(),
        months, library=lambda: fit,
    )  # fmt: skip


def _none(model: str, design: Design, reason: str) -> Regression:
    text = "; ".join(part for part in (reason, design.notes) if part)
    columns = [name for name in RATIO_COLUMNS if name != "is_primary"]
    return Regression(model, pd.DataFrame(columns=columns), design, False, text)


def _account_months(rows: pd.DataFrame, covariates: list[str]) -> pd.DataFrame:
    """Months of tenure counted by month and covariate levels.

    One row per tenure month and combination of levels: n_events, n_stayed. A month seen in part
    without an event counts as that part: under this link a share f of a month without an event is
    exactly f months without one. An account has one spell, so its months are conditionally
    independent and counts lose nothing.
    """
    combinations, cell = _combinations(rows, covariates)
    alike, counts = _counted(rows.assign(cell=cell)[["cell", *LIFE]])
    cell, entry, exits = (
        alike[name].to_numpy() for name in ("cell", "entry_days", "duration_days")
    )
    edges = month_edges(int(exits.max(initial=0)))
    month_of_exit = np.searchsorted(edges, exits, side="left")
    is_event = alike["is_event"].to_numpy(bool)
    blocks = []
    for month in range(1, len(edges)):
        low, high = edges[month - 1], edges[month]
        seen = np.clip(np.minimum(exits, high) - np.maximum(entry, low), 0, None) / (high - low)
        is_gone = is_event & (month_of_exit == month)
        gone = np.bincount(cell, is_gone * counts, minlength=len(combinations))
        stayed = np.bincount(cell, np.where(is_gone, 0, seen * counts), minlength=len(combinations))
        months = combinations.assign(tenure_month=month, n_events=gone, n_stayed=stayed)
        blocks.append(months[gone + stayed > 0])
    if not blocks:
        return combinations.iloc[:0].assign(tenure_month=0, n_events=0.0, n_stayed=0.0)
    return pd.concat(blocks, ignore_index=True)


def _combinations(rows: pd.DataFrame, covariates: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The combinations of levels in the order of their first row, and that of each row."""
    number = np.zeros(len(rows), dtype=np.int64)
    for name in covariates:
        codes, levels = pd.factorize(rows[name], use_na_sentinel=False)
        number = number * len(levels) + codes
    cell = pd.factorize(number)[0]
    first = np.flatnonzero(~pd.Series(cell).duplicated().to_numpy())
    return rows[covariates].iloc[first].reset_index(drop=True), cell


def _counted(lives: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """One row per distinct life, and how many had it: whole days make many alike."""
    counts = lives.value_counts(sort=False)
    return counts.index.to_frame(index=False), counts.to_numpy()


def _baseline(cells: pd.DataFrame) -> np.ndarray:
    """One row per month of tenure, one 0/1 column per band: thin bands merged with neighbours."""
    n_bands = len(BASELINE_LIMITS) + 1
    band_of = np.searchsorted(
        BASELINE_LIMITS, np.arange(1, cells["tenure_month"].max() + 1), side="left"
    )
    band = band_of[cells["tenure_month"].to_numpy() - 1]
    counts = np.bincount(band, cells["n_events"], minlength=n_bands)
    merged = baseline.merge_thin(counts, BASELINE_EVENTS)[band_of]
    return np.equal.outer(merged, np.unique(merged)).astype(float)
