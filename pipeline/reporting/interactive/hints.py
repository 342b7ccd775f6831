"""What to do about a slip: the nearest name, what there is, which cell or kernel.

Reads an error and the frames of its traceback; makes sentences. The subtle point: pandas says only
the name that it did not find, so the rows that were asked are looked up where the error was made.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import pandas as pd

from pipeline.reporting import words

MOST_NAMES = 40
"""Columns listed in a hint; account_months, the widest table, has 22."""
NEAR = 0.75
"""Likeness of two names from which one is taken for the other; difflib's ratio."""
QUOTED = re.compile(r"'([^']+)'")


def hints(error: BaseException) -> list[str]:
    """Sentences that tell what to do; none where nothing is known."""
    kinds: tuple[tuple[type[BaseException], Callable[[Any], str]], ...] = (
        (ModuleNotFoundError, _package),
        (NameError, _name),
        (AttributeError, _attribute),
        (KeyError, _column),
        (MemoryError, lambda _: "Keep fewer rows or columns: Kernel → Restart frees the rest."),
    )
    said = next((hint(error) for kind, hint in kinds if isinstance(error, kind)), "")
    return [said] if said else []


def nearest(name: Any, known: Iterable[Any]) -> str:
    """`Did you mean 'segment'? ` or nothing."""
    near = difflib.get_close_matches(str(name), list(map(str, known)), 1, NEAR)
    return f"Did you mean {near[0]!r}? " if near else ""


def _package(error: ModuleNotFoundError) -> str:
    if str(error.name).split(".")[0] == "pipeline":
        return (
            "No such module of ours. If even `import pipeline` fails, this kernel is another one: "
            "choose Lodestar (Kernel → Change Kernel)."
        )
    return (
        f"{error.name} is not in this environment. If it should be, the kernel may be another one: "
        "choose Lodestar (Kernel → Change Kernel). A new package goes into pyproject.toml, then "
        "`make lock`."
    )


def _name(error: NameError) -> str:
    if not error.name:  # a local one without a value yet; the error names it
        return ""
    near = nearest(error.name, _names_there(error.__traceback__)).strip()
    return near or f"No cell has made {error.name!r} yet: Run → Run All Above Selected Cell."


def _names_there(trace: TracebackType | None) -> list[str]:
    """The names that the line of an error could have used, the nearest room first."""
    if trace is None:
        return []
    *_, (deepest, _) = traceback.walk_tb(trace)
    rooms = (deepest.f_locals, deepest.f_globals, deepest.f_builtins)
    return [name for room in rooms for name in room if not name.startswith("_")]


def _attribute(error: AttributeError) -> str:
    asked = error.obj
    if isinstance(asked, pd.DataFrame):
        return f"{nearest(error.name, asked.columns)}{_has(asked.columns)}"
    return ""


def _column(error: KeyError) -> str:
    rows = _rows_asked(error.__traceback__)
    if rows is None or not error.args:
        return ""
    known = list(map(str, [*rows.columns, *filter(None, rows.index.names)]))
    asked = str(error.args[0])
    names = [asked] if not QUOTED.search(asked) else QUOTED.findall(asked)
    wrong = [name for name in names if name not in known]
    return "".join(nearest(name, known) for name in wrong) + _has(rows.columns) if wrong else ""


def _rows_asked(trace: TracebackType | None) -> pd.DataFrame | None:
    """The frame that was asked, from the deepest place in pandas that holds one."""
    found = None
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        own = trace.tb_frame.f_locals.get("obj")
        found = next((each for each in (own, owner) if isinstance(each, pd.DataFrame)), found)
        trace = trace.tb_next
    return found


def _has(columns: Sequence[Any]) -> str:
    if not len(columns):
        return "The frame has no columns."
    listed = ", ".join(str(name) for name in list(columns)[:MOST_NAMES])
    more = len(columns) - MOST_NAMES
    return f"The frame has: {listed}" + (f" and {words.count(more)} more." if more > 0 else ".")
