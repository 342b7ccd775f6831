"""How wide is a line that a person reads on the screen?

Works on plain text: of errors, and of objects that show themselves.
"""

from __future__ import annotations

WIDEST = 100


def cut(line: str) -> str:
    """The line, or what fits of it and `…`."""
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
