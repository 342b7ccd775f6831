"""How does anybody run one of our notebooks without us? By the command line of papermill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.children import STEADY_ENVIRONMENT
from pipeline.reporting.execution import kernel
from pipeline.settings import OUTPUT_VARIABLE, ROOT_VARIABLE, Paths, Period

EXECUTED = "by_papermill.ipynb"


def execute(name: str, period: Period, paths: Paths, output: Path) -> Path:
    """The notebook of a chapter, executed in a new folder of the root, where its tables go too."""
    output.mkdir(parents=True)
    executed = output / EXECUTED
    given = ["-r", "period", str(period), "-r", "output", output.relative_to(paths.root).as_posix()]
    words = [str(paths.notebook(name)), str(executed), "--kernel", kernel.kernel_name()]
    run("papermill", [*words, "--no-progress-bar", *given], paths, output)
    return executed


def run(module: str, words: list[str], paths: Paths, output: Path) -> None:
    """A command line of the environment, in the root, as steady as a run is."""
    own = {ROOT_VARIABLE: str(paths.root), OUTPUT_VARIABLE: str(output)}
    own["PYTHONPATH"] = str(paths.root)
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=paths.root,
        env=os.environ | STEADY_ENVIRONMENT | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
