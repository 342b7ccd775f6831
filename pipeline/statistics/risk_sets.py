"""What do those at risk add up to at each event, when tied events leave one after the other?

The sums that a Cox model stands on: its score and information, its test of proportional hazards and
its residuals. The subtle point: of d tied events the m-th (from 0) sees a risk set from which the
share m/d of the d has gone (Efron). With S the sum over all at risk at an event time and T that
over the tied ones, its mean is (S1 - m/d T1)/(S0 - m/d T0), so every sum over events collapses to
a few numbers per event time:

    Σ mean = S1 Σ 1/D - T1 Σ (m/d)/D,         D = S0 - m/d T0, and so on with 1/D².

What counts per subject is summed over subjects, what counts per time over times, so the cost is
O(n p²) for n rows and p columns whatever the number of event times, and memory is n p.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pipeline.statistics.risk_intervals import RiskIntervals, distinct

ROWS_AT_ONCE = 1 << 15
"""Rows of a product of matrices that stay in the processor's cache."""


@dataclass(frozen=True)
class RiskSets:
    """The event times of one stratum, and who is at risk at each.

    `enters` and `leaves` are positions among the times: a row is at risk from the first, to before
    the second. `tied` counts the events at each time, `gone` has m/d per event, by time.
    """

    times: NDArray[np.float64]
    enters: NDArray[np.int64]
    leaves: NDArray[np.int64]
    happened: NDArray[np.bool_]
    tied: NDArray[np.int64]
    gone: NDArray[np.float64]

    def totals(self, values: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums over all at risk and over the tied events, one per event time.

        Args:
            values: one per row.
        """
        size = len(self.times) + 1
        ending = np.bincount(2 * self.leaves + self.happened, values, minlength=2 * size)
        late = self.enters > 0
        starting = np.bincount(self.enters[late], values[late], minlength=size)
        own = ending.reshape(size, 2)
        tied = own[1:, 1].astype(np.float64, copy=False)
        return _from_here(own.sum(axis=1)) - _from_here(starting), tied

    def while_at_risk(self, values: NDArray) -> NDArray[np.float64]:
        """Add up, per row, the values of the times at which it is at risk; one or more columns."""
        so_far = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        return so_far[self.leaves] - so_far[self.enters]

    def time_of_events(self) -> NDArray[np.int64]:
        """Position of the time of each row with an event, in the order of the rows."""
        return self.leaves[self.happened] - 1


@dataclass(frozen=True)
class RiskSums:
    """Sums at each event time for one set of coefficients.

    `all_sum` and `tied_sum` have one row per time and one column per covariate, weighted by risk;
    the rest one number per time: Σ log D, Σ 1/D, Σ (m/d)/D, Σ 1/D², Σ (m/d)/D², Σ (m/d)²/D².
    """

    all_sum: NDArray[np.float64]
    tied_sum: NDArray[np.float64]
    log_size: NDArray[np.float64]
    hazard: NDArray[np.float64]
    hazard_gone: NDArray[np.float64]
    squared: NDArray[np.float64]
    squared_gone: NDArray[np.float64]
    squared_gone_twice: NDArray[np.float64]

    def mean(self) -> NDArray[np.float64]:
        """Covariates that were expected of the events of each time: one row per time."""
        return self.all_sum * self.hazard[:, None] - self.tied_sum * self.hazard_gone[:, None]

    def mean_products(self, weights: NDArray) -> NDArray[np.float64]:
        """Σ over events of weight · mean mean′; the weights one per time."""
        cross = (self.all_sum * (weights * self.squared_gone)[:, None]).T @ self.tied_sum
        return (
            (self.all_sum * (weights * self.squared)[:, None]).T @ self.all_sum
            - cross
            - cross.T
            + (self.tied_sum * (weights * self.squared_gone_twice)[:, None]).T @ self.tied_sum
        )


def risk_sets(intervals: RiskIntervals) -> RiskSets:
    """Find the event times of one stratum and who is at risk at each.

    Args:
        intervals: checked; any code above 0 is the event.

    Source: Efron (1977), JASA 72: 557.
    """
    happened = intervals.code > 0
    times, where = distinct(intervals.exit[happened])
    tied = np.bincount(where, minlength=len(times))
    first = np.cumsum(tied) - tied
    gone = (np.arange(len(where)) - np.repeat(first, tied)) / np.repeat(tied, tied)
    enters, leaves = (
        np.searchsorted(times, ends, side="right") for ends in (intervals.entry, intervals.exit)
    )
    return RiskSets(times, enters, leaves, happened, tied, gone)


def risk_sums(sets: RiskSets, X: NDArray[np.float64], risk: NDArray[np.float64]) -> RiskSums:
    """Add up what the score and the information of a Cox model are made of.

    Args:
        sets: from `risk_sets`.
        X: one row per subject, one column per covariate; fastest when columns are contiguous.
        risk: relative risk of each subject.

    Source: Therneau and Grambsch, "Modeling survival data" (2000), section 3.3.
    """
    size, tied_size = sets.totals(risk)
    columns = [sets.totals(risk * X[:, column]) for column in range(X.shape[1])]
    all_sum, tied_sum = (
        np.column_stack([sums[side] for sums in columns] or [np.zeros((len(sets.times), 0))])
        for side in (0, 1)
    )
    left = np.repeat(size, sets.tied) - sets.gone * np.repeat(tied_size, sets.tied)
    time_of = np.repeat(np.arange(len(sets.times)), sets.tied)

    def per_time(values: NDArray) -> NDArray:
        return np.bincount(time_of, values, minlength=len(sets.times))

    share, twice = 1 / left, 1 / left**2
    return RiskSums(
        all_sum, tied_sum, per_time(np.log(left)), per_time(share), per_time(sets.gone * share),
        per_time(twice), per_time(sets.gone * twice), per_time(sets.gone**2 * twice),
    )  # fmt: skip


def score(sets: RiskSets, X: NDArray, sums: RiskSums, weights: NDArray) -> NDArray[np.float64]:
    """Σ over events of weight · (covariates − expected); the weights one per time.

    Source: Cox (1972), JRSS B 34: 187.
    """
    own = weights[sets.time_of_events()] @ X[sets.happened]
    return own - weights @ sums.mean()


def information(
    sets: RiskSets, X: NDArray, risk: NDArray, sums: RiskSums, weights: NDArray
) -> NDArray[np.float64]:
    """Σ over events of weight · variance of the covariates at risk; the weights one per time.

    Source: Cox (1972), JRSS B 34: 187; summed per subject instead of per event.
    """
    spent = sets.while_at_risk(weights * sums.hazard)
    spent[sets.happened] -= (weights * sums.hazard_gone)[sets.time_of_events()]
    total = np.zeros((X.shape[1], X.shape[1]))
    for rows in _pieces(len(X)):
        total += X[rows].T @ (X[rows] * (spent[rows] * risk[rows])[:, None])
    return total - sums.mean_products(weights)


def relative_risk(linear_predictor: NDArray) -> NDArray[np.float64]:
    """Exponential of a linear predictor, centred so that it stays within the range of numbers.

    Source: definition.
    """
    centre = linear_predictor.mean() if len(linear_predictor) else 0.0
    return np.asarray(np.exp(linear_predictor - centre), dtype=np.float64)


def layers(strata: ArrayLike | None, n: int) -> list[NDArray[np.bool_] | slice]:
    """The rows of each stratum: all of them, or one mask per label.

    Source: definition.
    """
    if strata is None:
        return [slice(0, n)]
    codes, labels = pd.factorize(np.asarray(strata).astype(object))
    return [codes == number for number in range(len(labels))]


def _from_here(sums: NDArray) -> NDArray[np.float64]:
    """Sums over this and all later positions, but for the one that ends before the first time."""
    return np.cumsum(sums[::-1])[::-1][1:]


def _pieces(n: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, n, ROWS_AT_ONCE))
