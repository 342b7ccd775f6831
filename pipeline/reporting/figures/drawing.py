"""How does a picture look, in every chart and month? Colours, canvas and SVG text.

The same rows give the same bytes: the ids in the SVG are salted with a fixed word and it holds no
date. Text stays text, so that a reader's machine draws it, finds it and reads it aloud. Text that
came from data is never read as mathematics.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import Formatter

INK, MUTED, GRID, CARD, MASKED = "#1f2933", "#52606d", "#dde3ea", "#ffffff", "#e4e7eb"
PALETTE = ("#0067a5", "#b84a00", "#00735a", "#9b2f78", "#7a5a00", "#37607a", "#a3262a", "#5b4fa2")
"""Distinct under colour-blindness and at least 4.5:1 against the card."""
IN_THE_DARK = {
    INK: "#e8ecf1", MUTED: "#b3bdc9", GRID: "#36414d", CARD: "#1d242c", MASKED: "#39434e",
    "#0067a5": "#6fb7ee", "#b84a00": "#f59b57", "#00735a": "#4fc3a1", "#9b2f78": "#e79bcb",
    "#7a5a00": "#d9b44a", "#37607a": "#a5c0d4", "#a3262a": "#f58d8d", "#5b4fa2": "#b5a8f0",
}  # fmt: skip
"""Each colour for a reader whose page is dark; also at least 4.5:1, against the dark card."""
KNOWN_COLOURS = {
    "all": INK,
    "smb": PALETTE[0], "mid": PALETTE[1], "enterprise": PALETTE[2],
    "high": PALETTE[3], "low": PALETTE[4], "tech": PALETTE[5],
    "voluntary": PALETTE[1], "involuntary": PALETTE[0], "completed": PALETTE[2],
    "unknown": MUTED, "not measured": MUTED, "other": MUTED,
    "up": PALETTE[2], "down": PALETTE[1], "total": PALETTE[0],
}  # fmt: skip
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
BASE_FONT = "DejaVu Sans"
FURTHER_FONTS = ("Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo")
READERS_FONTS = "'DejaVu Sans', Verdana, 'Noto Sans CJK JP', sans-serif"
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML file may hold; XML 1.0, production 2."""
SALT = "lodestar"
TAG = re.compile(r"<[a-z][^>]*>")
LONG_NUMBER = re.compile(r"\d+\.\d{3,}")
COORDINATE_DIGITS = 2
"""A hundredth of a point is finer than any screen or printer."""
SVG_DPI = 72
"""Points of an inch in SVG, whatever is asked for; matplotlib, backend_svg.py."""
RASTER_DPI = 200
"""Of the cells of a heatmap, the only part of a picture that is not drawn as lines."""
MOST_DECIMALS, TICK_GAP = 4, 1e-6
"""Of percent on an axis; a tick nearer than the gap to its label is told by it."""
WIDTH = 7.6
"""Inches; the picture scales with the page."""


def colour_of(level: Any) -> str:
    """The colour of a level: the same in every chart and month."""
    name = str(level)
    if name in KNOWN_COLOURS:
        return KNOWN_COLOURS[name]
    digest = hashlib.sha256(name.encode("utf-8", errors="replace")).digest()
    return PALETTE[digest[0] % len(PALETTE)]


def colours_of(levels: Iterable[Any]) -> dict[Any, str]:
    """A colour for each level; where two share one, the later name takes the next that is free."""
    colours: dict[Any, str] = {}
    for level in sorted(
        set(levels), key=lambda level: (str(level) not in KNOWN_COLOURS, str(level))
    ):
        wanted = colour_of(level)
        free = [colour for colour in PALETTE if colour not in colours.values()]
        colours[level] = wanted if wanted not in colours.values() or not free else free[0]
    return colours


def dash_of(position: int) -> Any:
    """The line style of the level at this position: the second cue beside colour."""
    return DASHES[position % len(DASHES)]


@cache
def _fonts() -> tuple[str, ...]:
    """The base font, which ships with matplotlib, and what this machine has for other scripts."""
    here = {font.name for font in font_manager.fontManager.ttflist}
    return (BASE_FONT, *(name for name in FURTHER_FONTS if name in here))


def _theme() -> dict[str, Any]:
    """Seaborn's white grid in our ink; the font is set last because a theme resets it."""
    return sns.axes_style("whitegrid") | {
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.unicode_minus": True,
        "figure.facecolor": CARD,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "savefig.facecolor": CARD,
        "svg.fonttype": "none",
        "svg.hashsalt": SALT,
        "text.color": INK,
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.color": MUTED,
        "xtick.labelsize": 9,
        "ytick.color": MUTED,
        "ytick.labelsize": 9,
        "font.size": 9,
        "font.family": list(_fonts()),
    }


@contextlib.contextmanager
def canvas(height: float, width: float = WIDTH) -> Iterator[tuple[Canvas, Axes]]:
    """A canvas with one pair of axes under our theme; no window, no global state."""
    with warnings.catch_warnings(), mpl.rc_context(cast(Any, _theme())):
        # A script for which this machine has no font: the reader's machine draws the text.
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing from font", category=UserWarning
        )
        picture = Canvas(figsize=(width, height), layout="constrained")
        yield picture, picture.subplots()


def svg(picture: Canvas) -> str:
    """The SVG text of a canvas, the same bytes for the same drawing; dark on a dark page.

    Laid out here, at the points of SVG: `savefig` would draw the whole once more for that.
    """
    buffer = io.StringIO()
    FigureCanvasSVG(picture)
    picture.set_dpi(SVG_DPI)
    layout = picture.get_layout_engine()
    if layout is not None:
        layout.execute(picture)
        picture.set_layout_engine(None)  # "none" would leave one that asks for a drawing
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    picture.savefig(buffer, format="svg", metadata=nothing, dpi=RASTER_DPI)
    # Drawn by whoever reads: name fonts that their machine may have.
    text = re.sub(r"'DejaVu Sans'(?:, '[^']+')*(?:, sans-serif)?", READERS_FONTS, buffer.getvalue())
    text = TAG.sub(_rounded, text[text.index("<svg") :])
    return NOT_XML.sub("\ufffd", text.replace("</style>", f"{_dark_style()}</style>", 1))


def _rounded(tag: re.Match[str]) -> str:
    """A tag with coordinates as fine as anybody can see; text between tags is left alone."""
    return LONG_NUMBER.sub(
        lambda found: f"{float(found[0]):.{COORDINATE_DIGITS}f}".rstrip("0").rstrip("."), tag[0]
    )


def _dark_style() -> str:
    """The rules that exchange colours where the reader asks for dark, never that of written text.

    The numbers in the cells of a heatmap are dark or white for their own cell.
    """
    rules = []
    for light, dark in IN_THE_DARK.items():
        shapes = ":not(text)" if light == CARD else ""
        for kind in ("fill", "stroke"):
            where = f'{shapes}[style*="{kind}: {light}"],{shapes}[{kind}="{light}"]'
            rules.append(f"{where}{{{kind}:{dark} !important}}")
    return f"@media screen and (prefers-color-scheme: dark){{{''.join(rules)}}}"


class _Percent(Formatter):
    """Shares as percent with the decimals that the ticks need, so that no label is rounded."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        percents = [100 * float(tick) for tick in values]
        decimals = next((few for few in range(MOST_DECIMALS) if _are_told(percents, few)), None)
        decimals = MOST_DECIMALS if decimals is None else decimals
        whole = [round(percent, decimals) + 0.0 for percent in percents]  # no minus before a zero
        return [f"{percent:.{decimals}f} %".replace("-", "−") for percent in whole]


def _are_told(percents: Iterable[float], decimals: int) -> bool:
    return all(abs(percent - round(percent, decimals)) < TICK_GAP for percent in percents)


def share_axis(axis: Any) -> None:
    """Write shares on an axis as percent."""
    axis.set_major_formatter(_Percent())


def count_axis(axis: Any) -> None:
    """Write numbers on an axis with thousands separated."""
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace("-", "−"))
