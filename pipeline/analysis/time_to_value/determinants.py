"""What goes with reaching value sooner, and what with leaving before it?

One cause-specific Cox model for each of the two. The subtle point: they are read together. A group
may have less value because it gets there more slowly, or because it leaves on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter

from pipeline.analysis import checks, fits
from pipeline.analysis.checks import Check
from pipeline.analysis.reliability import EVENTS_PER_PARAMETER
from pipeline.analysis.time_to_value.covariates import LEVEL_COLUMNS, coded
from pipeline.analysis.time_to_value.leaving import Library, cox
from pipeline.analysis.time_to_value.starters import CHURN, VALUE
from pipeline.statistics.multiplicity import benjamini_hochberg

OUTCOMES = {"value": VALUE, "churn": CHURN}
NAMES = {"value": "Cox, time to value", "churn": "Cox, churn before value"}
RATIO_COLUMNS = ["hazard_ratio", "ci_low", "ci_high", "p_value"]


@dataclass(frozen=True)
class CauseModel:
    """One cause-specific model: its ratios by level (reference rows 1), and what was checked.

    `fitted` is lifelines' CoxPHFitter, to go on working with, made by `library` when first asked
    for; None where nothing was fitted.
    """

    name: str
    n: int
    n_events: int
    note: str
    ratios: pd.DataFrame
    checks: tuple[Check, ...] = field(default_factory=tuple)
    library: Library | None = field(default=None, repr=False, compare=False)

    @cached_property
    def fitted(self) -> CoxPHFitter | None:
        """The library's own object; lifelines fits when it is first asked for."""
        return self.library() if self.library else None

    def __repr__(self) -> str:
        n_terms = 0 if self.note else int((self.ratios["hazard_ratio"] != 1.0).sum())
        return fits.in_a_line(
            self.name, self.n, self.n_events, n_terms, not self.note, self.note, "events"
        )

    def print_summary(self, **how: Any) -> None:
        """Print what lifelines prints of the model; `how` as of CoxPHFitter.print_summary."""
        fits.found(self.fitted, self.note).print_summary(**how)

    @property
    def badge(self) -> dict[str, object]:
        """What report.json says about the model."""
        return {
            "name": self.name,
            "n": self.n,
            "n_events": self.n_events,
            "converged": not self.note,
            "checks": self.checks,
        }


def cause_models(
    starters: pd.DataFrame, covariates: Iterable[str], confidence: float
) -> dict[str, CauseModel]:
    """Fit the two cause-specific models: "value", and "churn" (before value).

    Args:
        starters: account_id, days, outcome, and the covariates, one row per account.
        covariates: columns known at signing.
        confidence: level of the intervals.

    Source: Putter, Fiocco & Geskus (2007), Statistics in Medicine 26: 2389.
    """
    names = list(dict.fromkeys(covariates))
    return {
        outcome: _model(starters, names, outcome, code, confidence)
        for outcome, code in OUTCOMES.items()
    }


def determinants(models: Mapping[str, CauseModel]) -> pd.DataFrame:
    """Both models side by side, one table of many tests with q values over all of them.

    Gives one row per term and level of either model, the reference first: term, level, reference,
    then for value and for churn hazard_ratio, ci_low, ci_high, p_value, q_value (prefixed `value_`
    and `churn_`), n, n_value, n_churn, note. Above 1 value, or churn before it, comes sooner.
    """
    keys = ["term", "level"]
    parts = []
    for outcome, model in models.items():
        names = {name: f"{outcome}_{name}" for name in [*RATIO_COLUMNS, "reference"]}
        names["n_events"] = f"n_{outcome}"
        parts.append(model.ratios.rename(columns=names).set_index(keys))
    value, churn = parts
    order = list(dict.fromkeys([*value.index, *churn.index]))
    table = value.drop(columns="n").join(churn.drop(columns="n"), how="outer").reindex(order)
    reference = table["value_reference"].where(
        table["value_reference"].notna(), table["churn_reference"]
    )
    sizes = value["n"].reindex(order).fillna(churn["n"].reindex(order))
    p_values = np.concatenate([table["value_p_value"], table["churn_p_value"]]).astype(float)
    q_values = np.split(benjamini_hochberg(p_values), 2)
    notes = "; ".join(f"{model.name}: {model.note}" for model in models.values() if model.note)
    table = table.assign(
        reference=reference, n=sizes, value_q_value=q_values[0], churn_q_value=q_values[1],
        note=notes,
    ).reset_index(names=keys)  # fmt: skip
    shown = [f"{outcome}_{name}" for outcome in models for name in [*RATIO_COLUMNS, "q_value"]]
    counts = ["n", *(f"n_{outcome}" for outcome in models)]
    return table[[*keys, "reference", *shown, *counts, "note"]]


def checks_of(models: Mapping[str, CauseModel]) -> pd.DataFrame:
    """What was looked at in both: one row per model and check of model, name, passed, note."""
    rows = [
        (model.name, check.name, check.passed, check.note)
        for model in models.values()
        for check in model.checks
    ]
    return pd.DataFrame(rows, columns=["model", "name", "passed", "note"])


def _model(
    starters: pd.DataFrame, names: list[str], outcome: str, code: int, confidence: float
) -> CauseModel:
    # A day of its own for value on day 0: nobody is at risk on a clock that has not begun.
    rows = starters.assign(
        start=0.0, stop=starters["days"] + 1.0, event=starters["outcome"] == code
    )
    n, n_events = len(rows), int(rows["event"].sum())
    made = coded(rows, names)
    events = checks.events_per_parameter(n_events, made.columns.shape[1])
    looked = (checks.rank(made.left_out), events)
    ratios = made.levels.assign(**dict.fromkeys(RATIO_COLUMNS, np.nan))
    kept = ratios[[*LEVEL_COLUMNS, *RATIO_COLUMNS]].drop(columns="column")
    nothing = CauseModel(NAMES[outcome], n, n_events, "", kept, looked)
    if not made.columns.shape[1]:
        return replace(nothing, note="nothing to compare: every level is the same")
    if not events.passed:
        words = f"{n_events} events, {EVENTS_PER_PARAMETER:g} per ratio are asked for"
        return replace(nothing, note=words)
    fit = cox(rows, made.columns, confidence, *looked)
    if not fit.is_found:
        return replace(nothing, note=checks.stopped_by(fit.checks), checks=fit.checks)
    is_reference = (ratios["column"] == "").to_numpy()
    found = fit.ratios.reindex(ratios["column"])[RATIO_COLUMNS].to_numpy()
    ratios = kept.assign(**dict(zip(RATIO_COLUMNS, found.T, strict=True)))
    ratios.loc[is_reference, "hazard_ratio"] = 1.0
    return replace(nothing, ratios=ratios, checks=fit.checks, library=fit.library)
