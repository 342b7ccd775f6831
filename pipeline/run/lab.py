"""What does a data scientist need before the first cell? One month's tables, then JupyterLab.

Reads what DVC calls out of date; makes the snapshot and the chapters of one month, and nothing that
a reader sees. The subtle point: JupyterLab opens although something failed, as long as there is a
snapshot to look at, for that is when it is needed most.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from jupyter_core import paths as jupyter

from pipeline import settings as configuration
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.exits import is_foreseen
from pipeline.flow import Flow, StageFailedError, Task
from pipeline.redaction import redacted
from pipeline.reporting import words
from pipeline.reporting.execution import kernel
from pipeline.root import PROJECT
from pipeline.run.build import SNAPSHOT, Wanted, base_stages
from pipeline.run.periods import due_and_not, extract_date, is_extract_known, newly_due
from pipeline.run.progress import Progress
from pipeline.run.runner import carry_out
from pipeline.settings import ROOT_VARIABLE, Paths, Settings
from pipeline.stages import extract

CONFIGURATION = ".jupyter"
"""Folder of the project that holds JupyterLab's settings; the user's own folder is left alone."""
LAYOUT = "layout.json"
WORKSPACE = "default"
START = "notebooks/README.md"


def bring_up_to_date(
    root: Path,
    period: str | None,
    flow: Flow,
    progress: Progress | None = None,
) -> None:
    """Build what the notebooks of a month read, and publish nothing.

    Args:
        root: folder of params.yaml.
        period: YYYY-MM; None: the newest month that is due.
        flow: that of the folder, whose lock it holds.
        progress: where to say what happens.

    Raises:
        Exception: what stopped the build, when no snapshot stands to open JupyterLab on.
    """
    progress = progress or Progress()
    try:
        settings = configuration.load(root)
        paths = Paths(root, settings.company)
        month = _standing(settings, paths, period, flow)
        if month:
            progress.say(f"The tables of {words.month(month)} are up to date.")
            return
        _build(settings, paths, period, flow, progress)
    except Exception as error:
        say_not_up_to_date(root, error, progress)


def say_not_up_to_date(root: Path, error: Exception, progress: Progress | None = None) -> None:
    """Say why nothing was built; raises the error when no snapshot stands to open JupyterLab on."""
    if not (is_foreseen(error) and has_snapshot(root)):
        raise error
    progress = progress or Progress()
    first = getattr(error, "first", None)  # a chapter's own words, where it was a chapter
    progress.say(f"NOT UP TO DATE: {redacted(first['message'] if first else str(error))}")
    progress.say("JupyterLab opens all the same, on the tables that stand.")


def _standing(settings: Settings, paths: Paths, period: str | None, flow: Flow) -> str | None:
    """The month whose tables are all up to date; None when something is to be built."""
    if not is_extract_known(paths):
        return None
    extract_ends = extract_date(paths)
    due, _ = due_and_not(settings.periods, extract_ends, settings)
    month = period or max(due, default=None)
    is_new = period is None and bool(newly_due(settings.periods, extract_ends))
    if month not in due or is_new:
        return None
    needed = {*base_stages(settings.company), SNAPSHOT}
    needed |= {Task(name, month).stage for name in settings.question_chapters}
    try:
        return None if needed & flow.stale() else month
    except StageFailedError:  # a build says why, or puts it right
        return None


def _build(
    settings: Settings, paths: Paths, period: str | None, flow: Flow, progress: Progress
) -> None:
    wanted = Wanted(
        periods=(period,) if period else None,
        force=True,  # a final month's chapters too: they are read, not published
        chapters=tuple(settings.question_chapters),
        newest_only=True,
    )
    carry_out(
        paths.root,
        lambda *_: wanted,
        progress=progress,
        flow=flow,
        is_offline=(paths.raw / extract.RECORD).is_file(),
        is_recorded=False,
    )


def has_snapshot(root: Path) -> bool:
    """True when the notebooks of some month have tables to read."""
    try:
        paths = Paths(root, configuration.load(root).company)
    except configuration.ConfigurationError:
        return False
    return bool(slices.periods(paths))


# JupyterLab.


def open_lab(root: Path, port: int | None = None, *, opens_browser: bool = True) -> NoReturn:
    """Become a JupyterLab of this project, in place of this process.

    Raises:
        MissingDataError: there is no snapshot that a notebook could read.
        MissingKernelError: the kernel of the notebooks is not installed.
    """
    if not has_snapshot(root):
        raise store.MissingDataError(
            f"{root / 'data' / 'processed'} holds no snapshot, so no notebook can run. "
            "`make lab` builds one; `lodestar status` says how things stand."
        )
    if kernel.kernel_name() != kernel.KERNEL:
        raise kernel.MissingKernelError(
            "The kernel `lodestar`, with which the notebooks run, is not in this environment. "
            "Install it: python -m ipykernel install --sys-prefix --name lodestar "
            "--display-name Lodestar"
        )
    _open_panels(root)
    started = command(root, port, opens_browser=opens_browser)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execve(sys.executable, started, environment(root))


def command(root: Path, port: int | None = None, *, opens_browser: bool = True) -> list[str]:
    """The words that start JupyterLab on a root; a port that is given is used or refused."""
    said = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={root}",
        f"--LabApp.workspaces_dir={_workspaces(root)}",
        f"--LabApp.default_url=/lab/tree/{START}",
    ]
    said += [] if opens_browser else ["--no-browser"]
    said += ["--allow-root"] if os.geteuid() == 0 else []  # as in a container; it was chosen
    said += [] if port is None else [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    return said


def environment(root: Path) -> dict[str, str]:
    """The environment of JupyterLab and its kernels: as in a run, but for pictures.

    Pictures are shown by the notebook itself, so matplotlib's own choice holds.
    """
    steady = dict(kernel.STEADY_ENVIRONMENT)
    del steady["MPLBACKEND"]
    own = str(Path(sys.executable).parent)
    return {
        **os.environ,
        **steady,
        **_folders(root),
        ROOT_VARIABLE: str(root),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_CONFIG_PATH": _first(str(PROJECT / CONFIGURATION), "JUPYTER_CONFIG_PATH"),
        "PYTHONPATH": _first(str(root), "PYTHONPATH"),
        "PATH": _first(own, "PATH"),
    }


def _folders(root: Path) -> dict[str, str]:
    """Folders that Jupyter writes into: its own, or below build/lab where the home has no room."""
    usual = {
        "JUPYTER_CONFIG_DIR": jupyter.jupyter_config_dir(),
        "JUPYTER_DATA_DIR": jupyter.jupyter_data_dir(),
        "JUPYTER_RUNTIME_DIR": jupyter.jupyter_runtime_dir(),
    }
    instead = root / "build" / "lab" / "jupyter"
    return {
        variable: str(instead / variable.split("_")[1].lower())
        for variable, place in usual.items()
        if not _is_writable(Path(place))
    }


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _first(place: str, variable: str) -> str:
    return os.pathsep.join(filter(None, [place, os.environ.get(variable, "")]))


def _open_panels(root: Path) -> None:
    """The first time, the table of contents stands open; later, what the last window left."""
    if not any(_workspaces(root).glob("*")):
        from jupyterlab_server.workspaces_handler import WorkspacesManager

        layout = (PROJECT / CONFIGURATION / LAYOUT).read_text(encoding="utf-8")
        WorkspacesManager(str(_workspaces(root))).save(WORKSPACE, layout)


def _workspaces(root: Path) -> Path:
    return root / "build" / "lab" / "workspaces"
