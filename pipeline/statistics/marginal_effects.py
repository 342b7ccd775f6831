"""By how much does the chance of the event change with a column, on average over the rows?

Works on a fit of `grouped_hazard`. The subtle point: the average of changes is not the change at
the average row, so its error is carried on from the coefficients' covariance, clustered where that
is, by the gradient of the average itself (delta method).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.genmod.families import links

from pipeline.statistics.design_rows import DesignRows, column_of, rows_of
from pipeline.statistics.grouped_hazard import LINKS, GroupedHazardFit


def average_marginal_effects(
    fitted: GroupedHazardFit,
    design: pd.DataFrame | DesignRows,
    columns: Sequence[str],
    kind: str = "dydx",
    siblings: Mapping[str, Sequence[str]] | None = None,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Average over the rows the change in the probability of the event that goes with a column.

    Args:
        fitted: the model.
        design: the rows to average over, columns as fitted.
        columns: columns to report.
        kind: "dydx" = per unit of the column; "discrete" = the column at 1 against 0.
        siblings: for a dummy of a factor, the other dummies of it, held at 0 on both sides.
        weights: of the rows; None = 1 each.
        confidence: level of the two-sided interval.

    Returns:
        One row per column: term, ame (share points as a share: 0.01), std_err, ci_low, ci_high,
        p_value. Errors by the delta method from the model's covariance.

    Source: Greene (2018), section 17.3; delta method.
    """
    if kind not in ("dydx", "discrete"):
        raise ValueError(f"unknown kind {kind!r}: choose dydx or discrete")
    rows = rows_of(design)
    n = rows.shape[0]
    share = np.full(n, 1 / n) if weights is None else np.asarray(weights, float)
    averages = _Averages.of(fitted, rows, share / share.sum())
    if kind == "dydx":
        effects = [averages.slope(column) for column in columns]
    else:
        beside = siblings or {}
        effects = [averages.step(column, beside.get(column, ())) for column in columns]
    ame = np.array([effect for effect, _ in effects])
    std_err = np.array([np.sqrt(g @ fitted.cov.to_numpy() @ g) for _, g in effects])
    reach = stats.norm.ppf((1 + confidence) / 2) * std_err
    limits = {"ci_low": ame - reach, "ci_high": ame + reach}
    p_value = 2 * stats.norm.sf(np.abs(ame / np.where(std_err > 0, std_err, np.nan)))
    return pd.DataFrame(
        {"term": list(columns), "ame": ame, "std_err": std_err, **limits, "p_value": p_value}
    )


@dataclass(frozen=True)
class _Averages:
    """Averages over the rows, each with its gradient in the coefficients."""

    params: pd.Series
    rows: DesignRows
    eta: NDArray
    link: links.Link
    share: NDArray
    known: dict[frozenset[str], tuple[NDArray, float, NDArray]] = field(default_factory=dict)

    @classmethod
    def of(cls, fitted: GroupedHazardFit, rows: DesignRows, share: NDArray) -> _Averages:
        """Those of a fit; `share` weighs the rows and adds up to 1."""
        eta = rows.linear(fitted.params.to_numpy())
        return cls(fitted.params, rows, eta, LINKS[fitted.link](), share)

    def slope(self, column: str) -> tuple[float, NDArray]:
        """The derivative by one column."""
        slope, bend = self.link.inverse_deriv(self.eta), self.link.inverse_deriv2(self.eta)
        gradient = self.params[column] * self.rows.pull(self.share * bend)
        gradient[self.rows.columns.get_loc(column)] += self.share @ slope
        return float(self.params[column] * (self.share @ slope)), gradient

    def step(self, column: str, siblings: Sequence[str]) -> tuple[float, NDArray]:
        """The change from 0 to 1 of one column, its siblings at 0 on both sides."""
        held = [column, *siblings]
        off, risk, gradient = self._without(held)
        stepped, slope, pulled = self._held(off + self.params[column], held)
        slope[self.rows.columns.get_loc(column)] = pulled
        return float(stepped - risk), slope - gradient

    def _without(self, held: Sequence[str]) -> tuple[NDArray, float, NDArray]:
        """The predictor, average risk and gradient at 0 of a factor, kept for its next column."""
        if (key := frozenset(held)) not in self.known:
            off = self.eta - sum(self.params[name] * column_of(self.rows, name) for name in held)
            self.known.clear()
            self.known[key] = off, *self._held(off, held)[:2]
        return self.known[key]

    def _held(self, eta: NDArray, held: Sequence[str]) -> tuple[float, NDArray, float]:
        """The average risk at a predictor, its gradient, 0 for the columns held, and its slope."""
        pulled = self.share * self.link.inverse_deriv(eta)
        gradient = self.rows.pull(pulled)
        gradient[self.rows.columns.get_indexer(held)] = 0.0  # what the columns are set to
        return float(self.share @ self.link.inverse(eta)), gradient, float(pulled.sum())
