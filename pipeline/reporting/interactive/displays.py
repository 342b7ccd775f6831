"""Which objects show themselves in a notebook, and how is pandas' own display had back?

Registers with the shell of the kernel: frames and Series, chapters, settings, figures, fitted
models. The subtle point: what we have no better words for goes to pandas' own display, with pandas'
own options, once ids and small cells are masked. `print` asks no display: it shows all that a frame
holds, and is only kept short.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pandas as pd

from pipeline.reporting.interactive import audience, frames, objects
from pipeline.reporting.interactive.lines import WIDEST
from pipeline.reporting.pages import parts
from pipeline.settings import Block, ParameterError

KINDS = ("lodestar", "pandas")
SHORT = {
    "display.max_rows": 10, "display.min_rows": 8, "display.max_columns": 0,
    "display.width": WIDEST,
}  # fmt: skip
"""Ten lines and what fits the width; 0 columns: as many as fit."""
WIDE = {"display.width": 80}
HTML, TEXT = "text/html", "text/plain"


class Displays:
    """What a shell shows of our objects: of the chapter that was opened last."""

    def __init__(self, shell: Any) -> None:
        self.chapter: Any = None
        self.kind = "pandas"
        self._shell = shell
        self._own: dict[str, Any] = {}

    def speak_of(self, chapter: Any) -> None:
        """Speak of this chapter from now on."""
        if self.chapter is None:
            chapter.display(f"<style>{parts.template('jupyterlab.css')}</style>")
            self.chapter = chapter
            self.use(KINDS[0])
        self.chapter = chapter
        self.register()

    def use(self, kind: str) -> None:
        """Show frames in our words (`lodestar`), or as pandas does (`pandas`).

        Raises:
            ParameterError: another kind.
        """
        if kind not in KINDS:
            raise ParameterError(f"{kind!r} is no kind of display; there are {', '.join(KINDS)}.")
        if kind == self.kind:
            return
        if kind == KINDS[0]:
            self._own = {name: pd.get_option(name) for name in SHORT}
        for name, value in (SHORT if kind == KINDS[0] else self._own).items():
            pd.set_option(name, value)
        self.kind = kind

    def register(self) -> None:
        """Tell the shell who shows what; again for classes that were loaded anew."""
        self._on(HTML).for_type(pd.DataFrame, self._frame_markup)
        self._on(TEXT).for_type(pd.DataFrame, self._printed(self._frame_text))
        self._on(HTML).for_type(pd.Series, self._series_markup)
        self._on(TEXT).for_type(pd.Series, self._printed(self._series_text))
        self._on(TEXT).for_type(Block, self._printed(objects.settings_text))
        chapter, figure = ("pipeline.reporting.chapter", "Chapter"), (
            "pipeline.reporting.figures", "Figure",
        )  # fmt: skip
        self._on(HTML).for_type_by_name(*chapter, objects.chapter_markup)
        self._on(TEXT).for_type_by_name(*chapter, self._printed(objects.chapter_text))
        self._on(HTML).for_type_by_name(*figure, self._with_chapter(objects.figure_markup))
        for name, module in objects.FITS.items():
            self._on(HTML).for_type_by_name(module, name, self._with_chapter(objects.fit_markup))

    def _on(self, form: str) -> Any:
        return self._shell.display_formatter.formatters[form]

    def _with_chapter(self, markup: Callable[[Any, Any], str]) -> Callable[[Any], str]:
        return lambda shown: markup(shown, self.chapter)

    def _printed(self, text: Callable[[Any], str]) -> Callable[[Any, Any, bool], None]:
        return lambda shown, printer, _: printer.text(text(shown))

    def _frame_markup(self, frame: pd.DataFrame) -> str | None:
        if self.kind != KINDS[0]:
            return self._pandas_markup(frame)
        if frames.is_ours(frame):
            # Cells that no format knows, like lists: then pandas shows them, with the same guard.
            with contextlib.suppress(TypeError, ValueError):
                return frames.markup(frame, self.chapter)
        left, said = audience.guarded(frame, self.chapter)
        table = self._pandas_markup(left) if len(left) or frame.empty else ""
        note = parts.fragment(parts.paragraph(" ".join(said))) if said else ""
        return f"{table or ''}{note}" or None

    def _series_markup(self, series: pd.Series) -> str | None:
        return self._frame_markup(series.to_frame()) if self.kind == KINDS[0] else None

    def _pandas_markup(self, frame: pd.DataFrame) -> str | None:
        # Where an option is still the short one of plain text, pandas' own holds for its table.
        own = {name: value if pd.get_option(name) == SHORT[name] else pd.get_option(name)
               for name, value in self._own.items()}  # fmt: skip
        with pd.option_context(*(part for pair in (own or WIDE).items() for part in pair)):
            return pandas_markup(frame)

    def _frame_text(self, frame: pd.DataFrame) -> str:
        return frames.plain(frame, self.chapter) if self.kind == KINDS[0] else repr(frame)

    def _series_text(self, series: pd.Series) -> str:
        return self._frame_text(series.to_frame()) if self.kind == KINDS[0] else repr(series)


def pandas_markup(frame: pd.DataFrame) -> str | None:
    """What pandas itself shows in a notebook, by the method that IPython asks it for."""
    return frame._repr_html_()
