"""What does a person see of a run? A moving line on a terminal, a plain line per step elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console


@dataclass
class Progress:
    """What a person sees: a live line on a terminal, one line per finished step elsewhere."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    began: float = field(default_factory=time.monotonic)
    _status: Any = None

    def say(self, text: str) -> None:
        """One line that stays."""
        try:
            self.console.print(text, markup=False)
        except (OSError, SystemExit):  # rich ends the process when the reader of a pipe is gone
            self._fall_silent()

    def _fall_silent(self) -> None:
        """Nobody hears it any more (`| head -1`, a full log, a lost terminal): the run goes on."""
        self.console.quiet = True
        if self.console.file is sys.stdout:
            sys.stdout = None  # what is left in it cannot be written when the process ends either

    def done(self, step: str, seconds: float | None = None) -> None:
        """A step has ended well."""
        took = f" ({seconds:.0f} s)" if seconds is not None else ""
        self.say(f"{time.monotonic() - self.began:6.0f} s  {step}{took}")

    def doing(self, step: str) -> None:
        """What runs now; shown on a terminal only."""
        if self._status:
            self._status.update(step)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show a moving line while the block runs, on a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status("starting") as self._status:
            yield
        self._status = None
