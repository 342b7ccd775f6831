"""Which pictures does the report have? Each function draws tidy rows and returns a Figure.

A figure carries its sentence (title), its metric, unit and period (subtitle), what it shows in
words (alt), its source and the rows behind it. Nothing here opens a file, and no name that comes
from data is read as markup or mathematics. Colour is never the only cue.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import FixedLocator

from pipeline.reporting import words
from pipeline.reporting.figures import drawing, marks
from pipeline.reporting.figures.drawing import CARD, GRID, MARKERS, MASKED, MUTED, colour_of
from pipeline.reporting.figures.marks import floats
from pipeline.settings import DAYS_PER_MONTH

MOST_WRITTEN_COLUMNS = 13
"""A wider heatmap shows colours only and names some of its columns."""
FEW_AT_RISK = 10
"""A survival curve is cut where fewer remain; GLOSSARY, reliability."""


SAID = ("title", "subtitle", "alt", "source")
"""What no figure goes without."""


@dataclass(frozen=True)
class Figure:
    """A picture (SVG text), what it says, and the rows it was drawn from.

    `formats` says what the drawn columns hold (column → kind of words), for the data table;
    `drawn` is the column of the picture's points.
    """

    name: str
    title: str
    subtitle: str
    alt: str
    source: str
    picture: str
    rows: pd.DataFrame
    formats: Mapping[str, str] = field(default_factory=dict)
    drawn: str = ""
    redraw: Callable[[pd.DataFrame], Figure] | None = field(default=None, repr=False, compare=False)
    """Draws other rows in the same way, under the same words."""

    def __repr__(self) -> str:
        return f"Figure({self.name!r}: {self.title}; {len(self.rows):,} rows)"

    @property
    def is_empty(self) -> bool:
        """Nothing is on the picture but its axes."""
        return self.rows.empty or (bool(self.drawn) and bool(self.rows[self.drawn].isna().all()))


def _redrawable(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """The same figure, able to be drawn again from rows of which some numbers are hidden."""

    @functools.wraps(draw)
    def drawn(rows: pd.DataFrame, **how: Any) -> Figure:
        return replace(draw(rows, **how), redraw=functools.partial(draw, **how))

    return drawn


@_redrawable
def survival_curves(
    curves: pd.DataFrame,
    *,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    few: int = FEW_AT_RISK,
) -> Figure:
    """Survival as steps with interval and censor marks, at risk, censored and events aligned below.

    `curves` are rows of survival.curves of one stratum. A curve ends where fewer than `few`
    accounts are at risk.
    """
    levels = marks.levels_of(curves["level"])
    is_seen = marks.is_supported(curves, few)
    longest = curves.loc[is_seen, "time_days"].max()
    longest = float(longest if pd.notna(longest) else curves["time_days"].max())
    end = max(longest / DAYS_PER_MONTH, 1.0) if math.isfinite(longest) else 1.0
    ticks = marks.month_ticks(end)
    is_counted = bool(curves["n_at_risk"].notna().any())
    lines = (sum(2 if len(levels) == 1 else 4 for _ in levels) + 1) * is_counted
    with drawing.canvas(3.3 + marks.TABLE_LINE * (lines + 2)) as (picture, axes):
        colours = drawing.colours_of(levels)
        for position, level in enumerate(levels):
            curve = curves[(curves["level"] == level) & is_seen]
            marks.survival_line(axes, curve, colours[level], position)
        axes.set(xlim=(0, end * 1.02), ylim=(0, 1.02), xlabel="Months since first paid day")
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        drawing.share_axis(axes.yaxis)
        marks.name_lines(axes, levels, colours)
        if is_counted:
            marks.risk_table(axes, curves, levels, colours, ticks)
        svg = drawing.svg(picture)
    formats = _formats(True, "estimate", "ci_low", "ci_high")
    kept = curves.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, "estimate")


@_redrawable
def step_lines(
    rows: pd.DataFrame,
    *,
    x: str,
    y: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    by: str | None = None,
    low: str | None = None,
    high: str | None = None,
    percent: bool = True,
    in_months: bool = False,
    x_label: str = "",
    y_label: str = "",
) -> Figure:
    """Steps over a number (incidence over time), one per level of `by`, with their intervals.

    `in_months` draws a number of days in months, as survival curves are drawn.
    """
    with drawing.canvas(3.6) as (picture, axes):
        levels, colours = marks.by_level(rows, by)
        for position, (level, part) in enumerate(marks.split(rows, by, levels)):
            part = marks.thinned(part.sort_values(x, kind="stable"), x)
            colour, at = colours[level], floats(part[x]) / (DAYS_PER_MONTH if in_months else 1)
            if low and high:
                marks.band(axes, at, part[low], part[high], colour, step="post")
            axes.step(at, floats(part[y]), where="post", color=colour, lw=1.8,
                      ls=drawing.dash_of(position))  # fmt: skip
        marks.dress(axes, percent, x_label or words.label(x), y_label)
        axes.set_xlim(left=0)
        if in_months:
            axes.xaxis.set_major_locator(FixedLocator(marks.month_ticks(axes.get_xlim()[1])))
        axes.set_ylim(bottom=0)
        marks.name_lines(axes, levels if by else [], colours)
        svg = drawing.svg(picture)
    formats = _formats(percent, y, low, high)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, y)


@_redrawable
def lines(
    rows: pd.DataFrame,
    *,
    x: str,
    y: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    by: str | None = None,
    low: str | None = None,
    high: str | None = None,
    percent: bool = False,
    reference: float | None = None,
    hollow: str | None = None,
    diagonal: bool = False,
    x_label: str = "",
    y_label: str = "",
) -> Figure:
    """Lines with markers over months or numbers; `hollow` (bool) marks points not yet settled.

    `diagonal` draws y = x and says both axes in the same words, as in a calibration.
    """
    with drawing.canvas(3.4) as (picture, axes):
        levels, colours = marks.by_level(rows, by)
        place = marks.x_places(axes, rows[x])
        if reference is not None:
            axes.axhline(reference, color=MUTED, lw=1, ls=(0, (4, 3)))
        for position, (level, part) in enumerate(marks.split(rows, by, levels)):
            at, colour = place(part[x]), colours[level]
            if low and high:
                marks.band(axes, at, part[low], part[high], colour)
            axes.plot(at, floats(part[y]), color=colour, lw=1.6, ls=drawing.dash_of(position))
            marks.points(axes, at, part, y, hollow, colour, MARKERS[position % len(MARKERS)])
        marks.dress(axes, percent, x_label, y_label)
        marks.diagonal(axes, rows[x], percent) if diagonal else None
        marks.name_lines(axes, levels if by else [], colours, markers=True)
        svg = drawing.svg(picture)
    formats = _formats(percent, y, low, high, x if diagonal else None)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, y)


@_redrawable
def control_chart(
    rows: pd.DataFrame,
    *,
    x: str,
    value: str,
    centre: str,
    lower: str,
    upper: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    signal: str | None = None,
    hollow: str | None = None,
    percent: bool = True,
    y_label: str = "",
) -> Figure:
    """A value month by month within its limits; a signal is ringed, a provisional point hollow."""
    with drawing.canvas(3.2) as (picture, axes):
        at = marks.x_places(axes, rows[x])(rows[x])
        colour = colour_of("total")
        marks.band(axes, at, rows[lower], rows[upper], GRID, step="mid", alpha=0.6)
        axes.step(at, floats(rows[centre]), where="mid", color=MUTED, lw=1, ls=(0, (4, 3)))
        axes.plot(at, floats(rows[value]), color=colour, lw=1.4)
        marks.points(axes, at, rows, value, hollow, colour, "o")
        if signal:
            is_signal = rows[signal].fillna(False).astype(bool).to_numpy()
            axes.plot(at[is_signal], floats(rows[value])[is_signal], "D", mfc="none", ms=10,
                      mec=colour_of("down"), mew=1.8)  # fmt: skip
        marks.dress(axes, percent, "", y_label)
        svg = drawing.svg(picture)
    formats = _formats(percent, value, centre, lower, upper)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, value)


@_redrawable
def bars(
    rows: pd.DataFrame,
    *,
    label: str,
    value: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    low: str | None = None,
    high: str | None = None,
    by: str | None = None,
    percent: bool = False,
    x_label: str = "",
) -> Figure:
    """Horizontal bars with their values written beside; several per label with `by`."""
    labels, (levels, colours) = marks.levels_of(rows[label]), marks.by_level(rows, by)
    height = 0.8 / max(len(levels), 1)
    hatches = ("", "///", "xxx", "--")
    with drawing.canvas(0.9 + 0.34 * max(len(labels), 1) * max(1.0, len(levels) * 0.7)) as canvas:
        picture, axes = canvas
        for position, (level, part) in enumerate(marks.split(rows, by, levels)):
            at = np.array([labels.index(text) for text in part[label]], dtype="float64")
            at += (position - (len(levels) - 1) / 2) * height
            sizes = floats(part[value])
            axes.barh(at, sizes, height * 0.9, label=marks.short_name(level), edgecolor=CARD,
                      lw=0.5, color=colours[level] if by else colour_of("total"),
                      hatch=hatches[position % len(hatches)])  # fmt: skip
            ends = marks.whiskers(axes, at, part, value, low, high)
            for y, end, size in zip(at, ends, sizes, strict=True):
                text = words.share(size) if percent else words.number(size, marks.decimals(size))
                axes.annotate(text, (end, y), (4, 0), textcoords="offset points", va="center")
        marks.dress_bars(axes, labels, percent, x_label)
        if by:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        svg = drawing.svg(picture)
    formats = _formats(percent, value, low, high)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, value)


@_redrawable
def bridge(
    rows: pd.DataFrame,
    *,
    label: str,
    value: str,
    kind: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
) -> Figure:
    """From a total over ups and downs to a total; `kind` is total, up or down, values are ≥ 0."""
    with drawing.canvas(0.9 + 0.36 * max(len(rows), 1)) as (picture, axes):
        hatches = {"total": "", "up": "///", "down": "xxx"}
        signs = {"total": "", "up": "+", "down": words.MINUS}
        spans = marks.spans(rows[value], rows[kind])
        for position, ((start, size), what) in enumerate(zip(spans, rows[kind], strict=True)):
            axes.barh(position, size, 0.66, left=start, color=colour_of(what), edgecolor=CARD,
                      hatch=hatches[what], lw=0.5)  # fmt: skip
            axes.annotate(f"{signs[what]}{words.count(size)}", (start + size, position), (4, 0),
                          textcoords="offset points", va="center")  # fmt: skip
        marks.dress_bars(axes, list(rows[label]), False, "")
        marks.cut_axis(axes, spans, list(rows[kind]))
        svg = drawing.svg(picture)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, {}, value)


@_redrawable
def heatmap(
    rows: pd.DataFrame,
    *,
    row: str,
    column: str,
    value: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    percent: bool = True,
    x_label: str = "",
) -> Figure:
    """Shares by row and column, written in the cells while they fit; unknown cells are grey."""
    grid = rows.pivot(index=row, columns=column, values=value).astype("float64")
    grid.index = grid.index.map(marks.short_name)
    is_small = grid.shape[1] <= MOST_WRITTEN_COLUMNS
    every = math.ceil(grid.shape[1] / MOST_WRITTEN_COLUMNS) or 1
    texts = grid.map(lambda x: "" if pd.isna(x) else f"{100 * x:.0f}" if percent else f"{x:.3g}")
    with drawing.canvas(1.1 + 0.24 * max(len(grid), 1)) as (picture, axes):
        if grid.notna().any(axis=None):
            sns.heatmap(
                grid, ax=axes, cmap="cividis_r", annot=texts if is_small else None, fmt="",
                annot_kws={"fontsize": 8}, linewidths=0, mask=grid.isna(),
                vmin=math.floor(10 * grid.min().min()) / 10 if percent else None,
                vmax=max(1.0, grid.max().max()) if percent else None,
                cbar_kws={"shrink": 0.6, "label": ""}, xticklabels=False, yticklabels=False,
                rasterized=True,
            )  # fmt: skip
            marks.name_cells(axes, grid, every)
            if percent:
                drawing.share_axis(picture.axes[-1].yaxis)
        axes.set_facecolor(MASKED)
        axes.grid(False)
        axes.set(xlabel=x_label or words.label(column), ylabel="")
        svg = drawing.svg(picture)
    formats = _formats(percent, value)
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, value)


@_redrawable
def forest(
    rows: pd.DataFrame,
    *,
    label: str,
    estimate: str,
    low: str,
    high: str,
    name: str,
    title: str,
    subtitle: str,
    alt: str,
    source: str = "",
    reference: float = 1.0,
    log: bool = True,
    valid: str | None = None,
    x_label: str = "",
) -> Figure:
    """Estimates with their intervals around a reference line, the numbers written at the right.

    Rows that are not `valid` (bool) are only outlined.
    """
    with drawing.canvas(0.9 + 0.3 * max(len(rows), 1)) as (picture, axes):
        if log:
            axes.set_xscale("log")
        axes.axvline(reference, color=MUTED, lw=1, ls=(0, (4, 3)))
        at, middles = np.arange(len(rows), dtype="float64"), floats(rows[estimate])
        marks.whiskers(axes, at, rows, estimate, low, high)
        marks.squares(axes, middles, at, rows[valid] if valid else None)
        for y, (middle, start, end) in enumerate(zip(middles, rows[low], rows[high], strict=True)):
            text = "reference" if words.is_missing(start) else words.interval(start, end, "number")
            text = f"{words.number(middle)}  ({text})" if math.isfinite(middle) else "not estimated"
            axes.annotate(text, (1, y), (6, 0), xycoords=("axes fraction", "data"), va="center",
                          textcoords="offset points", annotation_clip=False)  # fmt: skip
        marks.dress_bars(axes, list(rows[label]), False, x_label, from_zero=False)
        marks.log_ticks(axes) if log else None
        svg = drawing.svg(picture)
    formats = dict.fromkeys((estimate, low, high), "number")
    kept = rows.reset_index(drop=True)
    return Figure(name, title, subtitle, alt, source, svg, kept, formats, estimate)


def _formats(percent: bool, *columns: str | None) -> dict[str, str]:
    """What the drawn columns hold: shares in a chart of percent, else what their names say."""
    return {column: "share" for column in columns if column} if percent else {}
