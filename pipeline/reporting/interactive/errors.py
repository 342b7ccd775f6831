"""What does a person at the keyboard see of an error? One screen, and what to do.

Reads an error and its traceback; makes a few lines. A foreseen error is its message alone. Any
other one shows the cell's line, our deepest line and the library's, the error, a hint. The subtle
point: nothing is lost, `%tb` shows the whole traceback and `%debug` opens it, because the error is
kept where the two look for it.
"""

from __future__ import annotations

import linecache
import sys
import textwrap
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from IPython.core.error import UsageError

import pipeline
from pipeline.exits import is_foreseen
from pipeline.reporting.interactive import hints
from pipeline.reporting.interactive.lines import WIDEST, cut

MOST_LINES = 25
"""Of one error; what is more of its message is in `%tb`."""
MOST_SAID, MOST_CAUSES = 12, 3
OUR_CODE = Path(pipeline.__file__).parent
WHOLE = "`%tb` shows the whole traceback."
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"
"""For a terminal and JupyterLab alike; a colour would fight with the box of an error."""


def install(shell: Any) -> None:
    """Show errors of cells in short; whoever has a handler of his own keeps it."""
    if not shell.custom_exceptions:
        shell.set_custom_exc((Exception,), shown)


def shown(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    """Show an error of a cell, and keep it for `%tb` and `%debug`; called by IPython."""
    if isinstance(error, SyntaxError | UsageError):
        shell.showtraceback((kind, error, trace))  # IPython says these in short itself
        return []
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    lines = in_short(error, trace, shell.compile.format_code_name)
    shell._showtraceback(kind, error, lines)
    return lines


def in_short(error: BaseException, trace: TracebackType | None, cell_of: Any = None) -> list[str]:
    """An error in a few lines.

    Args:
        error: what was raised.
        trace: its traceback.
        cell_of: a file's name → ("Cell", "In[3]"), or None for what is no cell.
    """
    said = _said(error)
    if is_foreseen(error):
        return said
    told = [line for hint in _hints(error) for line in _wrapped(hint)]
    head, *rest = said
    lines = [*_places(trace, cell_of), f"{BOLD}{head}{PLAIN}", *rest, *_causes(error), *told]
    return [*lines[: MOST_LINES - 1], WHOLE]


def _hints(error: BaseException) -> list[str]:
    """What to do; nothing when the hint itself fails: the error must be shown all the same."""
    try:
        return hints.hints(error)
    except Exception:
        return []


def _said(error: BaseException) -> list[str]:
    """The error in its own words; the class is left out of a message that stands alone."""
    if is_foreseen(error) and str(error):
        text = str(error)
    else:
        text = "".join(traceback.TracebackException.from_exception(error).format_exception_only())
    lines = [part for line in text.strip().splitlines() for part in _wrapped(line)]
    return lines if len(lines) <= MOST_SAID else [*lines[:MOST_SAID], "…"]


def _causes(error: BaseException) -> list[str]:
    """What led to the error, one line each, the nearest first."""
    lines: list[str] = []
    while len(lines) < MOST_CAUSES:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None:
            break
        error = before
        lines.append(cut(f"because {type(error).__name__}: {error}".splitlines()[0]))
    return lines


def _places(trace: TracebackType | None, cell_of: Any) -> list[str]:
    """The line of the cell, our deepest line, and the deepest of all when that is another's."""
    steps = [(frame.f_code.co_filename, line, frame.f_code.co_name)
             for frame, line in traceback.walk_tb(trace)
             if "IPython" not in Path(frame.f_code.co_filename).parts]  # fmt: skip
    cells = [step for step in steps if cell_of and cell_of(step[0])]
    ours = [step for step in steps if Path(step[0]).is_relative_to(OUR_CODE)]
    wanted = dict.fromkeys([*cells[-1:], *ours[-1:], *steps[-1:]])
    return [line for step in wanted for line in _place(*step, cell_of)]


def _place(file: str, line: int, function: str, cell_of: Any) -> list[str]:
    cell = cell_of(file) if cell_of else None
    where = " ".join(cell) if cell else f"{_short(file)}, in {function}"
    source = linecache.getline(file, line).strip()
    return [f"{where}, line {line}:", *([f"    {cut(source)}"] if source else [])]


def _short(file: str) -> str:
    """A file's place below the folder that holds its package."""
    path = Path(file)
    if path.is_relative_to(OUR_CODE.parent) and "site-packages" not in path.parts:
        return path.relative_to(OUR_CODE.parent).as_posix()
    roots = [part for part in ("site-packages", f"python{sys.version_info[0]}."
             f"{sys.version_info[1]}") if part in path.parts]  # fmt: skip
    if not roots:
        return path.name
    return "/".join(path.parts[path.parts.index(roots[0]) + 1 :])


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDEST, drop_whitespace=True) or [""]
