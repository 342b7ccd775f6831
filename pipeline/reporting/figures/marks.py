"""What do the pictures share? Curves, points, labels and axes drawn on a canvas that is given.

Every mark has a second cue beside its colour: a line style, a marker, a hatch or its name written
at its end. Names that stand at the ends of lines are moved apart, never onto each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from pipeline.reporting import words
from pipeline.reporting.figures import drawing
from pipeline.reporting.figures.drawing import CARD, INK, MARKERS, MUTED
from pipeline.settings import DAYS_PER_MONTH

MOST_DIRECT_LABELS = 8
"""As many as there are colours."""
LONGEST_LABEL = 38
MOST_TICKS = 9
MOST_CENSOR_MARKS = 40
SMALL_MOVEMENTS = 0.2
"""Below this share of the total a movement is too thin to be read from a full bar."""
FINEST_COLUMNS = 400
TABLE_LINE = 0.17
"""Height in inches of one line of the risk table."""
HIDDEN = "–"


def survival_line(axes: Axes, curve: pd.DataFrame, colour: str, position: int) -> None:
    """One curve from (0, 1) on; a tick where somebody was censored."""
    start = pd.DataFrame({"time_days": [0.0], "estimate": [1.0], "ci_low": [1.0], "ci_high": [1.0]})
    steps = pd.concat([start, curve[list(start.columns)].astype("float64")], ignore_index=True)
    steps = thinned(steps.sort_values("time_days", kind="stable"), "time_days")
    age = steps["time_days"] / DAYS_PER_MONTH
    band(axes, age, steps["ci_low"], steps["ci_high"], colour, step="post")
    axes.step(age, steps["estimate"], where="post", color=colour, lw=1.8,
              ls=drawing.dash_of(position), label=position)  # fmt: skip
    censored = curve[curve["n_censored"] > 0]
    thin = censored.iloc[:: max(1, len(censored) // MOST_CENSOR_MARKS)]
    axes.plot(
        thin["time_days"] / DAYS_PER_MONTH, thin["estimate"], "|", color=colour, ms=5, mew=0.8
    )


def thinned(rows: pd.DataFrame, x: str) -> pd.DataFrame:
    """The same rows, sorted, one row per narrow column of the picture, first and last among them.

    Only the drawing is thinned, by less than a reader can see; no file is.
    """
    at = floats(rows[x])
    if len(rows) <= FINEST_COLUMNS:
        return rows
    column = np.floor((at - at[0]) / (at[-1] - at[0] or 1.0) * FINEST_COLUMNS)
    is_last = np.append(np.diff(column) > 0, True)
    is_last[0] = True
    return rows[is_last]


def band(
    axes: Axes,
    at: Any,
    low: pd.Series,
    high: pd.Series,
    colour: str,
    step: Any = None,
    alpha: float = 0.15,
) -> None:
    """An interval, or limits, as a shaded band."""
    axes.fill_between(at, floats(low), floats(high), step=step, color=colour, alpha=alpha, lw=0)


def is_supported(curves: pd.DataFrame, few: int) -> pd.Series:
    """Rows with at least `few` at risk; a hidden count stands beside an estimate only if it was."""
    is_hidden = curves["n_at_risk"].isna() & curves["estimate"].notna()
    return (curves["n_at_risk"] >= few) | is_hidden


def risk_table(
    axes: Axes, curves: pd.DataFrame, levels: list[Any], colours: dict[Any, str], ticks: list[float]
) -> None:
    """At risk at the tick, censored and events up to it, one block per level below the axis."""
    cells: list[tuple[str, list[float], str]] = []
    for level in levels:
        curve = curves[curves["level"] == level].sort_values("time_days")
        if len(levels) > 1:
            cells.append((short_name(level), [], colours[level]))
        ages = curve["time_days"].to_numpy() / DAYS_PER_MONTH
        first = np.searchsorted(ages, ticks, side="left")
        upto = np.searchsorted(ages, ticks, side="right")
        at_risk = np.append(curve["n_at_risk"].to_numpy(), 0)[first]
        cells.append(("At risk", list(at_risk), MUTED))
        for head, column in (("Censored", "n_censored"), ("Events", "n_events")):
            sums = np.append(0, curve[column].to_numpy().cumsum())[upto]
            cells.append((head, list(sums), MUTED))
    line = -TABLE_LINE * 72
    place: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "va": "top"}
    for row, (head, counts, colour) in enumerate(cells):
        drop = -38 + row * line
        axes.annotate(head, (0, 0), (-62, drop), color=colour, fontsize=8.5,
                      fontweight="normal" if counts else "bold",
                      xycoords=("axes fraction"), **place)  # fmt: skip
        for tick, n in zip(ticks, counts, strict=False):
            said = HIDDEN if words.is_missing(n) else words.count(n)
            axes.annotate(said, (tick, 0), (0, drop), ha="center", fontsize=8.5,
                          xycoords=("data", "axes fraction"), **place)  # fmt: skip


def levels_of(values: pd.Series) -> list[Any]:
    """Levels in the order of the rows, which their maker chose."""
    return list(dict.fromkeys(values))


def by_level(rows: pd.DataFrame, by: str | None) -> tuple[list[Any], dict[Any, str]]:
    """The levels of a column with their colours; one nameless level without a column."""
    levels = levels_of(rows[by]) if by else ["total"]
    return levels, drawing.colours_of(levels)


def split(rows: pd.DataFrame, by: str | None, levels: list[Any]) -> list[tuple[Any, pd.DataFrame]]:
    """The rows of each level.

    Returns:
        Level and its rows, the same rows in the same order, one row per point of the picture.
    """
    return [(level, rows[rows[by] == level] if by else rows) for level in levels]


def floats(column: pd.Series) -> np.ndarray:
    """A column as floats; missing is NaN."""
    return column.astype("float64").to_numpy()


def short_name(level: Any) -> str:
    """A level's name, cut when it would push the picture aside."""
    text = " ".join(words.label(level).split())
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def decimals(size: float) -> int:
    """Decimals that a number beside a bar needs."""
    return 0 if not math.isfinite(size) or size == round(size) or abs(size) >= 1000 else 2


def month_ticks(end: float) -> list[float]:
    """Months at which an axis of ages is labelled."""
    step = next(step for step in (1, 2, 3, 6, 12, 24, 60, 120, 1200) if end / step <= MOST_TICKS)
    return [float(month) for month in range(0, int(end) + 1, step)]


def x_places(axes: Axes, values: pd.Series) -> Any:
    """Numbers and days stand where they are; months and other names stand side by side."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return lambda part: part.to_numpy()
    names = sorted(set(values.astype(str)))
    every = max(1, math.ceil(len(names) / MOST_TICKS))
    shown = range((len(names) - 1) % every, len(names), every)
    axes.xaxis.set_major_locator(FixedLocator(list(shown)))
    axes.xaxis.set_major_formatter(lambda at, _: names[int(at)] if 0 <= at < len(names) else "")
    axes.set_xlim(-0.5, max(len(names) - 0.5, 0.5))
    places = {name: place for place, name in enumerate(names)}
    return lambda part: part.astype(str).map(places).to_numpy(dtype="float64")


def points(
    axes: Axes, at: Any, part: pd.DataFrame, y: str, hollow: str | None, colour: str, marker: str
) -> None:
    """Markers; a hollow one says that the value is provisional."""
    values = floats(part[y])
    is_hollow = (
        part[hollow].fillna(False).astype(bool).to_numpy() if hollow else np.zeros(len(part), bool)
    )
    axes.plot(at[~is_hollow], values[~is_hollow], marker, color=colour, ms=4.5)
    axes.plot(at[is_hollow], values[is_hollow], marker, mec=colour, mfc=CARD, ms=6, mew=1.5)


def whiskers(
    axes: Axes, at: np.ndarray, part: pd.DataFrame, value: str, low: str | None, high: str | None
) -> np.ndarray:
    """Interval lines; returns where each ends, so that text can stand beyond it."""
    middles = floats(part[value])
    if not (low and high):
        return np.nan_to_num(middles)
    lows, highs = floats(part[low]), floats(part[high])
    axes.hlines(at, lows, highs, color=INK, lw=1.3)
    return np.nan_to_num(np.fmax(middles, np.where(np.isfinite(highs), highs, middles)))


def squares(axes: Axes, middles: np.ndarray, at: np.ndarray, valid: pd.Series | None) -> None:
    """Estimates of a forest; those that are not valid are only outlined."""
    is_hollow = np.zeros(len(at), dtype=bool) if valid is None else ~valid.to_numpy(dtype=bool)
    colour = drawing.colour_of("total")
    axes.plot(middles[~is_hollow], at[~is_hollow], "s", color=colour, ms=5)
    axes.plot(middles[is_hollow], at[is_hollow], "s", mec=colour, mfc=drawing.CARD, ms=5, mew=1.4)


def diagonal(axes: Axes, x: pd.Series, percent: bool) -> None:
    """The line y = x over the range of x, and x in the words of y."""
    ends = [float(x.min()), float(x.max())] if len(x) else [0.0, 1.0]
    axes.plot(ends, ends, color=drawing.MUTED, lw=1, ls=(0, (4, 3)))
    drawing.share_axis(axes.xaxis) if percent else drawing.count_axis(axes.xaxis)


def dress(axes: Axes, percent: bool, x_label: str, y_label: str) -> None:
    """Axis labels and number formats of a chart with an upright value axis."""
    if percent:
        drawing.share_axis(axes.yaxis)
    else:
        drawing.count_axis(axes.yaxis)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.grid(axis="x", visible=False)


def dress_bars(
    axes: Axes, labels: Sequence[Any], percent: bool, x_label: str, from_zero: bool = True
) -> None:
    """Names down the side, the first row on top."""
    axes.set_yticks(range(len(labels)), [short_name(text) for text in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelcolor=INK)
    if from_zero:
        axes.margins(x=0.14)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    if percent:
        drawing.share_axis(axes.xaxis)
    elif from_zero:
        drawing.count_axis(axes.xaxis)
    axes.set_xlabel(x_label)


def name_cells(axes: Axes, grid: pd.DataFrame, every: int) -> None:
    """Names of the rows and of some columns; seaborn would draw all once to see if they overlap."""
    columns = np.arange(0, grid.shape[1], every)
    axes.set_xticks(columns + 0.5, [str(grid.columns[place]) for place in columns])
    axes.set_yticks(np.arange(len(grid)) + 0.5, [str(name) for name in grid.index], va="center")


def spans(sizes: pd.Series, kinds: pd.Series) -> list[tuple[float, float]]:
    """Where each bar of a bridge starts, and its size."""
    level, found = 0.0, []
    for size, kind in zip(np.nan_to_num(floats(sizes)), kinds, strict=True):
        start = {"total": 0.0, "up": level, "down": level - size}[kind]
        level = start if kind == "down" else start + size
        found.append((float(start), float(size)))
    return found


def cut_axis(axes: Axes, bars: Sequence[tuple[float, float]], kinds: Sequence[str]) -> None:
    """Let the axis start later, and say so, where movements are too small beside the totals."""
    steps = [bar for bar, kind in zip(bars, kinds, strict=True) if kind != "total"]
    if not steps:
        return
    lowest = min(start for start, _ in steps)
    highest = max(start + size for start, size in steps)
    if highest - lowest > SMALL_MOVEMENTS * highest:
        return
    scale = 10 ** math.floor(math.log10(max(highest - lowest, 1.0)))
    start = math.floor((lowest - 0.5 * (highest - lowest)) / scale) * scale
    if start > 0:
        axes.set_xlim(start, highest + 0.2 * (highest - start))
        axes.set_xlabel(f"The axis starts at {words.count(start)}, not at 0")


def log_ticks(axes: Axes) -> None:
    """Plain numbers on a logarithmic axis."""
    start, end = axes.get_xlim()
    marks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 50, 100]
    shown = [mark for mark in marks if start <= mark <= end] or [1]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def name_lines(
    axes: Axes, levels: list[Any], colours: dict[Any, str], markers: bool = False
) -> None:
    """Names at the right end of the lines, nudged apart; a legend where they are too many."""
    if len(levels) < 2:
        return
    styles = [
        dict(color=colours[level], ls=drawing.dash_of(place), lw=1.8,
             marker=MARKERS[place % len(MARKERS)] if markers else None, ms=4.5)
        for place, level in enumerate(levels)
    ]  # fmt: skip
    if len(levels) > MOST_DIRECT_LABELS:
        handles = [axes.plot([], [], **style)[0] for style in styles]
        axes.legend(handles, [short_name(level) for level in levels], frameon=False,
                    loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=3)  # fmt: skip
        return
    ends = line_ends(axes, [style["color"] for style in styles])
    for level, height in zip(levels, apart(ends, axes.get_ylim()), strict=True):
        axes.annotate(short_name(level), (1, height), (6, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", va="center", color=colours[level],
                      fontweight="bold", annotation_clip=False)  # fmt: skip


def line_ends(axes: Axes, colours: list[str]) -> list[float]:
    """The last height of the drawn line of each colour."""
    ends = []
    for colour in colours:
        heights = [
            float(value)
            for line in axes.get_lines()
            if line.get_color() == colour and line.get_linestyle() != "None"
            for value in np.asarray(line.get_ydata(), dtype="float64")
            if math.isfinite(value)
        ]
        ends.append(heights[-1] if heights else float(np.mean(axes.get_ylim())))
    return ends


def apart(heights: list[float], limits: tuple[float, float]) -> list[float]:
    """Heights moved up where they would overlap, and back below the top."""
    gap = 0.065 * (limits[1] - limits[0])
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    moved = list(heights)
    for before, after in itertools.pairwise(order):
        moved[after] = max(moved[after], moved[before] + gap)
    excess = max(0.0, max(moved) - limits[1])
    return [height - excess for height in moved]
