"""Say what is wrong with the notebooks, cell by cell; change nothing. Exit code 1 for any fault.

`python .ci/check_notebooks.py [file or folder …]`; without one, every notebook of the project. The
rules are in notebook_rules.py; a notebook outside `docs/` is taken for a chapter.
"""

from __future__ import annotations

import sys
from pathlib import Path

from clean_notebooks import ROOT, UNREADABLE, notebooks_in, why_unreadable
from notebook_file import read
from notebook_rules import CHAPTER_RULES, TUTORIAL_RULES, faults


def faults_of(path: Path) -> list[str]:
    """What is wrong with one notebook, in words."""
    place = path.resolve()
    name = place.relative_to(ROOT).as_posix() if place.is_relative_to(ROOT) else path.name
    is_tutorial = place.is_relative_to(ROOT / "docs")
    try:
        found = faults(read(path, name), TUTORIAL_RULES if is_tutorial else CHAPTER_RULES)
    except UNREADABLE as error:
        return [f"{name}: {why_unreadable(error)}"]
    return [str(fault) for fault in found]


def main(places: list[str]) -> int:
    """Print every fault; 1 when there is one."""
    notebooks = notebooks_in(places)
    found = [line for path in notebooks for line in faults_of(path)]
    for line in found:
        print(line)
    if found:
        print(f"{len(found)} faults in the notebooks (CONTRIBUTING.md, law 5)", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
