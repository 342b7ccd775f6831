"""How do time and memory grow with the size of a company? Points on a log-log plot, and a slope.

Each size is one fresh process, small ones several times. The slope is fitted to the largest sizes,
where starting a process no longer hides the work. The subtle point: an exponent below 1 says only
that a fixed cost still weighs; above 1 it says that doubling the company more than doubles the run.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import measure
from tests.bench.row import Command

REPEAT_BELOW_SECONDS = 20.0
REPEATS = 3
FITTED = 3
"""So many of the largest sizes are fitted."""
COLOURS = ("#1b4f72", "#b9770e", "#7d3c98", "#1e8449")
MARKERS = ("o", "s", "^", "D")
WIDTH, HEIGHT = 9.0, 3.6


@dataclass(frozen=True)
class Series:
    """One line of the plot: a program at several sizes, counted in events or in accounts."""

    name: str
    of: str
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    command: Callable[[int], Command]


def measured(series: Series, log: Path, *, is_quick: bool) -> dict[str, Any]:
    """The points of one series and its two exponents; SideFailedError when a program fails."""
    sizes = series.quick_sizes if is_quick else series.sizes
    points = [{"size": size} | _point(series.command(size), log, is_quick) for size in sizes]
    return {"name": series.name, "of": series.of, "points": points} | {
        f"{key}_exponent": exponent(sizes, [point[key] for point in points])
        for key in ("seconds", "peak_mb")
    }


def _point(command: Command, log: Path, is_quick: bool) -> dict[str, float]:
    calls = [measure.once(command, log)]
    if calls[0].seconds < REPEAT_BELOW_SECONDS and not is_quick:
        calls += [measure.once(command, log) for _ in range(REPEATS - 1)]
    return {
        key: statistics.median(getattr(taken, key) for taken in calls)
        for key in ("seconds", "cpu_seconds", "peak_mb")
    }


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float | None:
    """Slope of the logarithm of a value on that of the size, over the largest sizes."""
    if len(sizes) < 2:
        return None
    slope, _ = np.polyfit(np.log(sizes[-FITTED:]), np.log(values[-FITTED:]), 1)
    return float(slope)


def drawn(found: Sequence[dict[str, Any]], place: Path) -> None:
    """One picture: a row per kind of size, time on the left and memory on the right, both log."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(series["of"] for series in found))
    figure, panels = plt.subplots(
        len(kinds), 2, figsize=(WIDTH, HEIGHT * len(kinds)), squeeze=False, layout="constrained"
    )
    for row, kind in zip(panels, kinds, strict=True):
        of_kind = [series for series in found if series["of"] == kind]
        for panel, key, unit in zip(row, ("seconds", "peak_mb"), ("s", "MB"), strict=True):
            _panel(panel, of_kind, key)
            panel.set(
                xlabel=kind, ylabel=f"{'time' if key == 'seconds' else 'peak memory'} ({unit})"
            )
    place.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(place, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _panel(panel: Any, found: Sequence[dict[str, Any]], key: str) -> None:
    for series, colour, marker in zip(found, COLOURS, MARKERS, strict=False):
        sizes = [point["size"] for point in series["points"]]
        values = [point[key] for point in series["points"]]
        label = ": ".join(filter(None, [series["name"], said(series[f"{key}_exponent"])]))
        panel.plot(sizes, values, color=colour, marker=marker, markersize=4, label=label)
    shown = [point[key] for series in found for point in series["points"]]
    panel.set(xscale="log", yscale="log", ylim=decades(shown))
    panel.grid(alpha=0.3)
    panel.legend(frameon=False, fontsize=8)


def said(slope: float | None) -> str:
    """An exponent in words; empty where one size tells of no growth."""
    return "" if slope is None else f"exponent {slope:z.2f}"


def decades(values: Sequence[float]) -> tuple[float, float]:
    """Whole powers of ten around the values: what is flat looks flat."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)
