"""Are the survival kernels as fast as promised, beside R and lifelines?

Whole days, about 58 % events, covariates drawn from a written seed. R prints its own seconds, so
that neither its start nor the reading of the data is counted.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.statistics import proportional_hazard_test

from pipeline.statistics import competing_risks, cox, influence, proportional_hazards
from tests.bench.row import Row, Seconds, Sides

SEED = 20261122
LAST_DAY = 1_800
NEEDS_R = "Rscript"
READ_IN_R = """
suppressMessages(library(survival))
d <- as.data.frame(matrix(readBin("{path}", "double", {n} * {columns}), nrow = {n}))
names(d)[1:2] <- c("days", "event")
cat(system.time({expression})["elapsed"])
"""


def cox_whole_days(is_quick: bool) -> Sides:
    """Coefficients with their errors, 10 covariates, whole days, against coxph of R."""
    days, events, covariates = lives(2_000 if is_quick else 1_000_000, 10)
    return Sides(
        subject=lambda: cox.fit(days, events, covariates),
        peer=by_r("coxph(Surv(days, event) ~ ., d)", days, events, covariates),
        limit=lambda: [covariates.T @ covariates for _ in range(6)],
        note="the limit is six products of the covariates with themselves",
    )


def clustered_errors(is_quick: bool) -> Sides:
    """Fit with errors by account, against lifelines' fit with robust errors."""
    days, events, covariates = lives(1_000 if is_quick else 100_000, 10)
    accounts = np.arange(len(days)) // 2
    frame = named(days, events, covariates)

    def subject() -> object:
        fit = cox.fit(days, events, covariates)
        residuals = influence.score_residuals(days, events, covariates, fit.coefficients)
        return influence.robust_covariance(residuals, fit.cov, accounts)

    def robust() -> object:
        return CoxPHFitter().fit(frame, "days", "event", robust=True)

    return Sides(subject, once(robust), note="the peer, quadratic, is measured once a run")


def proportional_hazards_test(is_quick: bool) -> Sides:
    """The score test, against the older approximation of lifelines."""
    days, events, covariates = lives(1_000 if is_quick else 100_000, 10)
    frame = named(days, events, covariates)
    fitter = CoxPHFitter().fit(frame, "days", "event")
    estimate = fitter.params_.to_numpy()

    def subject() -> object:
        return proportional_hazards.proportional_hazards_test(days, events, covariates, estimate)

    def peer() -> object:
        return proportional_hazard_test(fitter, frame, time_transform="km")

    return Sides(subject, once(peer), note="the peer is measured once a run")


def incidence_with_errors(is_quick: bool) -> Sides:
    """Two causes, the incidence at each day with its variance, against survfit of R."""
    days, events, covariates = lives(2_000 if is_quick else 1_000_000, 1)
    causes = np.where(events, 1 + (covariates[:, 0] > 0), 0)
    return Sides(
        subject=lambda: competing_risks.aalen_johansen(days, causes),
        peer=once(by_r("survfit(Surv(days, factor(event)) ~ 1, d)", days, causes, covariates)),
        note="the peer is measured once a run",
    )


def lives(n: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, events, covariates: one row per life, watched for an even time at most LAST_DAY."""
    draw = np.random.default_rng(SEED)
    covariates = draw.normal(size=(n, columns))
    effects = np.linspace(-0.3, 0.3, columns)
    until = draw.uniform(1, LAST_DAY, n)
    leaves = draw.exponential(650 * np.exp(-covariates @ effects))
    return np.ceil(np.minimum(leaves, until)), leaves <= until, covariates


def named(days: np.ndarray, events: np.ndarray, covariates: np.ndarray) -> pd.DataFrame:
    """One row per life, as lifelines reads it."""
    names = [f"x{position}" for position in range(covariates.shape[1])]
    return pd.DataFrame(covariates, columns=names).assign(days=days, event=events)


def by_r(
    expression: str, days: np.ndarray, codes: np.ndarray, covariates: np.ndarray
) -> Callable[[], Seconds]:
    """The seconds that R needs for an expression over the frame d of these columns."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "lives"
    columns = np.column_stack([days, codes, covariates])
    columns.ravel(order="F").astype(float).tofile(path)
    n, width = columns.shape
    script = READ_IN_R.format(path=path, n=n, columns=width, expression=expression)

    def run() -> Seconds:
        assert folder.name  # the folder lives as long as this function
        said = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
        return Seconds(said.stdout)

    return run


def once(work: Callable[[], object]) -> Callable[[], Seconds]:
    """The same work, run one time; later calls give the seconds of the first."""

    @cache
    def run() -> Seconds:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            found = work()
            return found if isinstance(found, Seconds) else Seconds(time.perf_counter() - began)

    return run


ROWS = [
    Row("Cox, 1e6 x 10, whole days / R coxph", 0.35, cox_whole_days,
        "Cox 10^6 x 10 at most 0.35 of R's time", NEEDS_R),
    Row("clustered errors, 1e5 / lifelines robust", 0.01, clustered_errors,
        "clustered errors at 10^5 at most 0.01 of lifelines"),
    Row("proportional-hazards test, 1e5 / lifelines", 0.05, proportional_hazards_test,
        "proportional-hazards test at 10^5 at most 0.05 of lifelines"),
    Row("incidence with variance, 1e6 / R survfit", 0.1, incidence_with_errors,
        "Aalen-Johansen at 10^6 with variance at most 0.1 of R", NEEDS_R),
]  # fmt: skip
