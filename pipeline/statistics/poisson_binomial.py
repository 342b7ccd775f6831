"""How many of many unequal chances come true?

The exact distribution of a sum of independent yes-or-no events with their own probabilities. The
subtle point: given the probabilities it is exact, and therefore too narrow for a forecast whose
probabilities are themselves estimated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MANY, BLOCK = 5_000, 64
"""Events beyond which ends are cut off, and events that are first taken together."""
WEIGHTLESS = 1e-22
VERY_MANY = 50_000
"""Events from which the distribution comes from its characteristic function."""
REACH = 12.0
"""Standard deviations about the mean beyond which nothing is looked at: less than 1e-30."""
LARGEST_RATIO = 0.5
"""Of a power series to the next term, up to which it is used."""
ROUNDING = 1e-17


def distribution(probabilities: ArrayLike) -> NDArray[np.float64]:
    """Probability of 0, 1, …, n events, by exact convolution.

    Args:
        probabilities: one per event, 0 to 1.

    Returns:
        n + 1 probabilities that sum to 1.

    Raises:
        ValueError: a probability is missing or not between 0 and 1.

    Source: Hong (2013), Computational Statistics & Data Analysis 59: 41, section 2; of very many
    events by the Fourier transform given there.
    """
    p = np.asarray(probabilities, dtype=float)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        raise ValueError(
            f"{wrong.sum()} of {len(p)} probabilities are not between 0 and 1 (first: "
            f"{p[wrong][0]:g}). A sum of events needs the chance of each."
        )
    if len(p) >= VERY_MANY and (found := _of_very_many(p)) is not None:
        return found
    if len(p) > MANY:
        return _of_many(p)
    parts = [np.array([1 - chance, chance]) for chance in p] or [np.ones(1)]
    while len(parts) > 1:
        last = parts[-1:] if len(parts) % 2 else []
        parts = [np.convolve(one, two) for one, two in zip(parts[::2], parts[1::2], strict=False)]
        parts += last
    return parts[0]


def _of_many(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for many events: blocks side by side, and what weighs nothing is cut off.

    Of n events the sum lies within some √n of its mean, so that each convolution stays short.
    """
    padded = np.zeros(-(-len(p) // BLOCK) * BLOCK)
    padded[: len(p)] = p
    chances = padded.reshape(-1, BLOCK)
    blocks = np.zeros((len(chances), BLOCK + 1))
    blocks[:, 0] = 1.0
    for at in range(BLOCK):
        came = chances[:, at, None]
        blocks[:, 1:] = blocks[:, 1:] * (1 - came) + blocks[:, :-1] * came
        blocks[:, :1] *= 1 - came
    parts = [_cut(0, block) for block in blocks]
    while len(parts) > 1:
        last = parts[-1:] if len(parts) % 2 else []
        parts = [
            _cut(one[0] + two[0], np.convolve(one[1], two[1]))
            for one, two in zip(parts[::2], parts[1::2], strict=False)
        ] + last
    first, held = parts[0]
    whole = np.zeros(len(p) + 1)
    whole[first : first + len(held)] = held
    return whole


def _of_very_many(p: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The same by the discrete Fourier transform; to some 1e-16, none where it would be less exact.

    log φ(ω) = Σ log(1 + p z) with z = exp(iω) − 1 is Σ (−1)^(m+1) S_m z^m / m with the power sums
    S_m = Σ p^m; |φ| ≤ exp(−σ²(1 − cos ω)), so that only small ω matter. Cost: a pass per power.
    """
    mean, variance = p.sum(), (p * (1 - p)).sum()
    reach = int(np.ceil(REACH * np.sqrt(variance))) + 32
    size = 1 << (2 * reach).bit_length()
    first = int(mean) - size // 2
    omega = 2 * np.pi * np.arange(size // 2 + 1) / size
    is_felt = variance * (1 - np.cos(omega)) < -np.log(WEIGHTLESS)
    z = np.exp(1j * omega[is_felt]) - 1
    ratio = float(p.max() * np.abs(z).max())
    if first < 0 or first + size > len(p) or not 0 < ratio <= LARGEST_RATIO:
        return None
    log_phi, power = np.zeros(len(z), dtype=complex), np.ones(len(p))
    for m in range(1, 1 + int(np.ceil(np.log(ROUNDING / mean) / np.log(ratio)))):
        power *= p
        log_phi -= power.sum() * (-z) ** m / m
    phi = np.zeros(len(omega), dtype=complex)
    phi[is_felt] = np.exp(log_phi - 1j * omega[is_felt] * first)
    whole = np.zeros(len(p) + 1)
    whole[first : first + size] = np.clip(np.fft.irfft(phi.conj(), size), 0.0, None)
    return whole


def _cut(first: int, chances: NDArray[np.float64]) -> tuple[int, NDArray[np.float64]]:
    """A distribution without its weightless ends, and the number at which it now begins."""
    kept = np.flatnonzero(chances > WEIGHTLESS)
    return first + int(kept[0]), chances[kept[0] : kept[-1] + 1]


def quantile(chances: NDArray[np.float64], levels: ArrayLike) -> NDArray[np.int64]:
    """The smallest number of events whose cumulative probability reaches each level.

    Args:
        chances: from `distribution`.
        levels: between 0 and 1.

    Source: definition.
    """
    reached = np.cumsum(chances)
    return np.searchsorted(reached, np.asarray(levels, dtype=float) - 1e-12).clip(
        max=len(chances) - 1
    )
