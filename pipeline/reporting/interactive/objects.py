"""How do a chapter, its settings, a figure and a fitted model look as the last line of a cell?

Reads the object; makes HTML, and a few lines of plain text. The subtle point: objects are known by
what they hold, not by their class, because analysis may not know how it is shown and a class that
was loaded anew is another one.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.data import readable
from pipeline.reporting import words
from pipeline.reporting.interactive import audience, frames
from pipeline.reporting.interactive.lines import cut
from pipeline.reporting.pages import parts
from pipeline.reporting.privacy import small_numbers

FITS = {
    "Regression": "pipeline.analysis.survival.models",
    "DriverModel": "pipeline.analysis.drivers.model",
    "LeavingModel": "pipeline.analysis.time_to_value.leaving",
    "CauseModel": "pipeline.analysis.time_to_value.determinants",
}
"""Class of a fitted model → its module. Each has `ratios`, one row per effect."""


def chapter_markup(chapter: Any) -> str:
    """Which month is open, what can be read of it, and which settings hold."""
    facts = parts.definitions(_facts(chapter))
    there = readable.readable(chapter.paths.snapshot(chapter.period))
    tables = frames.of_rows(there, "What chapter.read(…) finds", chapter)
    settings = frames.of_rows(_settings(chapter), "What chapter.settings holds", chapter)
    return f"{parts.fragment(facts)}{tables}{settings}"


def chapter_text(chapter: Any) -> str:
    """The same in plain text."""
    lines = [f"{title}: {said}" for title, said in _facts(chapter).items()]
    there = readable.readable(chapter.paths.snapshot(chapter.period))
    lines += [
        f"  {row.table:<15} {words.count(row.rows):>9} rows × {row.columns} columns, {row.one_row}"
        for row in there.itertuples()
    ]
    lines += [
        f"  {row.setting} = {row.value}"
        + (f"  (params.yaml: {row.params_yaml})" if row.params_yaml else "")
        for row in _settings(chapter).itertuples()
    ]
    return "\n".join(cut(line) for line in lines)


def settings_text(block: Any) -> str:
    """A block of params.yaml, one setting a line."""
    lines = [f"{name} = {_said(value)}" for name, value in block]
    return "\n".join([f"{type(block).__name__} of params.yaml", *(cut(f"  {x}") for x in lines)])


def figure_markup(figure: Any, chapter: Any) -> str:
    """A figure as the chapter would show it, nothing kept."""
    figure = small_numbers.picture(figure, chapter.company.min_cell)
    rows = audience.seen(figure.rows, chapter, len(figure.rows))
    box = parts.figure(figure, rows, (), chapter.name, chapter.company.currency)
    return parts.fragment(box)


def fit_markup(fit: Any, chapter: Any) -> str:
    """A fitted model's own line above its effects."""
    ratios = fit.ratios() if callable(fit.ratios) else fit.ratios
    return frames.of_rows(ratios, repr(fit), chapter)


def _facts(chapter: Any) -> dict[str, str]:
    cut = chapter.slice
    return {
        "Chapter": f"{chapter.name} of {words.month(chapter.period)} ({chapter.period})",
        "Status": f"{cut.status}, as of {cut.as_of}, analysis cut-off {cut.cut_off}",
        "Accounts": str(chapter.subset) if chapter.subset else "all",
        "Output": str(chapter.output) if chapter.output else "none: shown here, published nowhere",
    }


def _settings(chapter: Any) -> pd.DataFrame:
    """One row per setting of the chapter: setting, value, params_yaml where it says another."""
    of_file = getattr(chapter.company, chapter.name, chapter.settings)
    found = []
    for name, value in chapter.settings:
        standing = getattr(of_file, name)
        found.append((name, _said(value), None if value == standing else _said(standing)))
    return pd.DataFrame(found, columns=["setting", "value", "params_yaml"])


def _said(value: Any) -> str:
    return str(value) if hasattr(value, "strftime") else repr(value)
