"""How does a contrast look under other choices? One figure per contrast, the primary one on top.

Draws rows of annex.specifications. The band is the interval of the primary specification, carried
through all others, so that a way of computing that says something else is seen at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.reporting import words
from pipeline.reporting.figures import Figure, drawing, marks
from pipeline.reporting.figures.drawing import CARD, GRID, MUTED, colour_of
from pipeline.reporting.figures.marks import floats

DIFFERENCE = "difference of shares"
BAND = "the band is the interval of the primary specification"


def specification_figures(
    specifications: pd.DataFrame,
    curves: pd.DataFrame,
    currency: str = "",
    source: str = "",
    observed: str = "",
) -> list[Figure]:
    """One figure per chapter and contrast, in the order of the rows.

    Args:
        specifications: chapter, contrast, choice, specification, estimate, ci_low, ci_high, unit,
            is_primary, note.
        curves: one row per chapter and contrast: null, is_clear, n_made, n_agree.
        currency: said before money.
        source: line below each figure.
        observed: the time that the data are seen in.
    """
    parts = specifications.groupby(["chapter", "contrast"], sort=False)
    summed = {(row["chapter"], row["contrast"]): row for row in curves.to_dict("records")}
    return [
        _figure(rows.reset_index(drop=True), summed[key], currency, source, observed)
        for key, rows in parts
    ]


def _figure(
    rows: pd.DataFrame, curve: Mapping[str, Any], currency: str, source: str, observed: str
) -> Figure:
    first = rows.iloc[0]
    chapter, contrast = words.label(first["chapter"]), words.label(first["contrast"])
    unit = str(first["unit"])
    said = _sentence(curve)
    picture = _drawn(rows, float(curve["null"]), unit, currency)
    name = f"specifications-{first['chapter']}-{first['contrast']}"
    kind = words.kind_of(unit, *rows["estimate"])
    formats = dict.fromkeys(("estimate", "ci_low", "ci_high"), kind)
    return Figure(
        re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        f"{chapter}: {said}",
        "; ".join(filter(None, (f"{contrast}, {unit}", observed, BAND))),
        f"{contrast} of chapter {chapter} under each choice: {said}.",
        source,
        picture,
        rows,
        formats,
        "estimate",
    )


def _sentence(curve: Mapping[str, Any]) -> str:
    if not curve["n_made"] or words.is_missing(curve["estimate"]):
        return "no other way to compute the contrast"
    made = words.counted(curve["n_made"], "other way")
    agree = words.count(curve["n_agree"])
    if curve["is_clear"]:
        return f"{agree} of {made} lie on the same side of no difference"
    return f"no clear difference, and none in {agree} of {made}"


def _drawn(rows: pd.DataFrame, null: float, unit: str, currency: str) -> str:
    is_primary = rows["is_primary"].astype(bool).to_numpy()
    middles, at = floats(rows["estimate"]), np.arange(len(rows), dtype="float64")
    with drawing.canvas(1.0 + 0.27 * max(len(rows), 1)) as (picture, axes):
        if unit == "ratio":
            axes.set_xscale("log")
        low, high = floats(rows["ci_low"])[is_primary][0], floats(rows["ci_high"])[is_primary][0]
        if math.isfinite(low) and math.isfinite(high):
            axes.axvspan(low, high, color=GRID, alpha=0.6, lw=0)
        axes.axvline(null, color=MUTED, lw=1, ls=(0, (4, 3)))
        marks.whiskers(axes, at, rows, "estimate", "ci_low", "ci_high")
        colour = colour_of("total")
        axes.plot(middles[is_primary], at[is_primary], "D", color=colour, ms=7)
        axes.plot(middles[~is_primary], at[~is_primary], "o", mec=colour, mfc=CARD, ms=5, mew=1.4)
        for y, row in zip(at, rows.to_dict("records"), strict=True):
            axes.annotate(_numbers(row, unit, currency), (1, y), (6, 0), va="center", fontsize=8.5,
                          xycoords=("axes fraction", "data"), textcoords="offset points",
                          annotation_clip=False)  # fmt: skip
        labels = [_label(row) for row in rows.to_dict("records")]
        marks.dress_bars(axes, labels, unit == "share", "", from_zero=False)
        if unit == DIFFERENCE:
            axes.xaxis.set_major_formatter(lambda value, _: words.number(100 * value, 1))
            axes.set_xlabel("percentage points")
        if unit == "ratio":
            marks.log_ticks(axes)
        return drawing.svg(picture)


def _numbers(row: dict[str, object], unit: str, currency: str) -> str:
    if words.is_missing(row["estimate"]):
        return "not estimated"
    limits = row["ci_low"], row["ci_high"]
    kind = words.kind_of(unit, row["estimate"], *limits)
    said = words.say(row["estimate"], kind, currency)
    return f"{said}  ({words.interval(*limits, kind, currency)})"


def _label(row: dict[str, object]) -> str:
    """The choice and what was chosen; what was chosen alone where both are too long to be read."""
    alone = str(row["specification"])
    both = f"{row['choice']}: {alone}"
    return alone if row["is_primary"] or len(both) > marks.LONGEST_LABEL else both
