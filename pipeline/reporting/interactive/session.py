"""When does a person sit at the keyboard, and what is then switched on?

Reads whether a chapter is opened in IPython without an output folder. Switches on displays, short
errors and, in a kernel that a Jupyter server started, fresh modules: an edited module of ours is
loaded anew before the next cell. The subtle point: a run passes an output folder, and then nothing
here happens at all, so that an executed notebook is the same byte by byte.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from IPython import get_ipython

from pipeline.reporting.interactive import errors
from pipeline.reporting.interactive.displays import Displays
from pipeline.settings import ParameterError

SERVER_VARIABLE = "JPY_SESSION_NAME"
"""Set by a Jupyter server in the kernels that it starts for notebooks."""
FRESH_VARIABLE = "LODESTAR_AUTORELOAD"
"""1: load edited modules anew in any interactive kernel; 0: in none."""
RELOADER = "AutoreloadMagics"
"""What IPython's autoreload is registered as."""
DISPLAYS = "_lodestar_displays"
Given = ParamSpec("Given")
Opened = TypeVar("Opened")


def interactive(open_chapter: Callable[Given, Opened]) -> Callable[Given, Opened]:
    """Open a chapter; for a person at the keyboard, with all that helps there."""
    signature = inspect.signature(open_chapter)

    @functools.wraps(open_chapter)
    def opened(*given: Given.args, **named: Given.kwargs) -> Opened:
        try:
            output = signature.bind(*given, **named).arguments.get("output")
        except TypeError:
            output = None  # the call below says what is wrong with it
        shell = None if output else get_ipython()
        if shell is None:
            return open_chapter(*given, **named)
        errors.install(shell)
        keep_fresh(shell)
        chapter = open_chapter(*given, **named)
        displays_of(shell).speak_of(chapter)
        return chapter

    return opened


def displays_of(shell: Any) -> Displays:
    """The displays of a shell, one for its whole life."""
    if not hasattr(shell, DISPLAYS):
        setattr(shell, DISPLAYS, Displays(shell))
    return getattr(shell, DISPLAYS)


def show_frames(kind: str) -> None:
    """Show frames in our words (`lodestar`) or as pandas does (`pandas`) from now on.

    Raises:
        ParameterError: another kind, or nobody is at the keyboard.
    """
    shell = get_ipython()
    if shell is None or not hasattr(shell, DISPLAYS):
        raise ParameterError("Displays are of notebooks that are run by hand; this is none.")
    displays_of(shell).use(kind)


def keep_fresh(shell: Any) -> None:
    """Load edited modules of ours anew before each cell, by IPython's own autoreload.

    Only ours: a library that changes on disk is half of another version. Who has loaded autoreload
    already has chosen how. A class that changed needs a restart where old objects of it live on.
    """
    wanted = os.environ.get(FRESH_VARIABLE) or ("1" if os.environ.get(SERVER_VARIABLE) else "0")
    if wanted != "1" or RELOADER in shell.magics_manager.registry:
        return
    shell.events.register("pre_run_cell", functools.partial(_mark_ours, shell))
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "1")


def _mark_ours(shell: Any, *_: Any) -> None:
    """Name to autoreload what of ours is loaded by now; say again who shows which class."""
    reloader = shell.magics_manager.registry[RELOADER]._reloader
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipeline"]:
        reloader.mark_module_reloadable(name)
    if hasattr(shell, DISPLAYS):
        displays_of(shell).register()
