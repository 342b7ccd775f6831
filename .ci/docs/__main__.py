"""Where does a newcomer read? One folder of pages: guides, tutorial and reference.

Reads the Markdown of this project, docs/tutorial.ipynb and the docstrings of pipeline/; makes
build/docs/. `make docs` calls it. The pages stand alone: no server, no request to any network.
The subtle point: the same tree gives the same bytes, so an order that Python draws anew at each
start is fixed (PYTHONHASHSEED), and no path of this machine and no clock gets in.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import guides
import index
import reference
import tutorial

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "build" / "docs"
SEED = "PYTHONHASHSEED"


def build(target: Path) -> None:
    """Make every page aside and put the folder in its place when all of them stand."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as aside:
        folder = Path(aside) / "docs"
        modules = reference.build(folder / "reference")
        titles = guides.build(folder / "guides", modules)
        state = tutorial.build(folder / "tutorial.html")
        index.build(folder / "index.html", titles, modules, state)
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)


def main() -> None:
    """Build into the folder that is named, or build/docs."""
    if os.environ.get(SEED) != "0":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, SEED: "0"})
    target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else TARGET
    build(target)
    shown = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    print(f"docs: open {shown / 'index.html'}")


if __name__ == "__main__":
    main()
