"""How sure are we of a share, and of the difference of two?

Wilson and Newcombe score intervals, over statsmodels. The subtle point: nobody asked (n = 0) is
missing, not 0 %. The Wald interval is not offered: at 2 % of 50 it covers the truth in 64 of 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

Shape = TypeVar("Shape", np.float64, NDArray[np.float64])


class Proportion(NamedTuple, Generic[Shape]):
    """A share or a difference of shares with its limits: numbers, or arrays of one length."""

    estimate: Shape
    ci_low: Shape
    ci_high: Shape


@overload
def wilson(successes: float, n: float, confidence: float = ...) -> Proportion[np.float64]: ...
@overload
def wilson(
    successes: NDArray | Sequence[float], n: NDArray | Sequence[float], confidence: float = ...
) -> Proportion[NDArray[np.float64]]: ...
def wilson(
    successes: ArrayLike, n: ArrayLike, confidence: float = 0.95
) -> Proportion[np.float64] | Proportion[NDArray[np.float64]]:
    """Estimate a share with its Wilson score interval.

    Args:
        successes: how many had the property; a number or an array.
        n: of how many; the same shape.
        confidence: level of the two-sided interval.

    Returns:
        (estimate, ci_low, ci_high), each of the shape of the input; missing where n is 0.

    Raises:
        ValueError: successes are negative or more than n.

    Source: Wilson (1927).
    """
    count, total = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    wrong = (count < 0) | (count > total)
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} counts are negative or exceed their n "
            f"(first: {count[wrong][0]:g} of {total[wrong][0]:g}). A share needs a part of a whole."
        )
    known = total > 0
    of = np.where(known, total, 1.0)
    low, high = proportion_confint(count, of, alpha=1 - confidence, method="wilson")
    low = np.where(count == 0, 0.0, low)
    high = np.where(count == of, 1.0, high)
    values = (np.where(known, part, np.nan)[()] for part in (count / of, low, high))
    return Proportion(*values)


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Proportion[np.float64]:
    """Estimate a share with its exact binomial interval, which covers at least as often as it says.

    Returns:
        (estimate, ci_low, ci_high); missing when n is 0.

    Source: Clopper and Pearson (1934).
    """
    if n == 0:
        return Proportion(np.float64(np.nan), np.float64(np.nan), np.float64(np.nan))
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="beta")
    return Proportion(np.float64(successes / n), np.float64(low), np.float64(high))


def newcombe(
    successes_1: int, n_1: int, successes_2: int, n_2: int, confidence: float = 0.95
) -> Proportion[np.float64]:
    """Estimate the first share minus the second with Newcombe's hybrid score interval.

    Returns:
        (estimate, ci_low, ci_high); missing when either n is 0.

    Source: Newcombe (1998), method 10.
    """
    if n_1 == 0 or n_2 == 0:
        return Proportion(np.float64(np.nan), np.float64(np.nan), np.float64(np.nan))
    low, high = confint_proportions_2indep(
        successes_1, n_1, successes_2, n_2, method="newcomb", compare="diff", alpha=1 - confidence
    )
    return Proportion(np.float64(successes_1 / n_1 - successes_2 / n_2), low, high)
