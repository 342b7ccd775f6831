"""What is a cell called? A word from what it says or does, in place of the id an editor drew.

Reads the cells of a notebook; makes ids. The subtle point: an id that a person or an earlier run
has given is never touched, because diffs, tests and messages name cells by it.
"""

from __future__ import annotations

import ast
import re

from nbformat import NotebookNode

READABLE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RANDOM = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{8}")
"""What nbformat (8 digits) and JupyterLab (a UUID) draw."""
MOST_WORDS = 4
LONGEST = 40
NAMELESS = "cell"


def is_random(cell_id: str) -> bool:
    """True for an id that a program drew."""
    return bool(RANDOM.fullmatch(cell_id))


def name_cells(cells: list[NotebookNode]) -> None:
    """Give a readable, unique id to each cell whose id is missing, drawn or already used above."""
    fixed = {cell["id"] for cell in cells if cell.get("id") and not is_random(cell["id"])}
    used: set[str] = set()
    nearest = NAMELESS
    for cell in cells:
        if cell.cell_type == "markdown":
            nearest = _of_prose(cell.source) or nearest
        own = cell.get("id", "")
        if not own or is_random(own) or own in used:
            wanted = (_of_code(cell.source) if cell.cell_type == "code" else "") or nearest
            cell["id"] = _unique(wanted, used | fixed)
        used.add(cell["id"])


def _unique(wanted: str, taken: set[str]) -> str:
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}-{count}"
    return name


def _of_prose(source: str) -> str:
    """The heading, or the first words of the first sentence."""
    lines = [line for line in source.splitlines() if line.strip()]
    headings = [line.lstrip("# ") for line in lines if line.startswith("#")]
    words = (headings or lines or [""])[0]
    return _slug(re.findall(r"[A-Za-z0-9]+", words)[:MOST_WORDS])


def _of_code(source: str) -> str:
    """The first name that is assigned; empty when nothing is."""
    try:
        lines = ast.parse(source).body
    except SyntaxError:
        return ""
    for line in lines:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        for target in targets:
            first = target.elts[0] if isinstance(target, ast.Tuple) else target
            if isinstance(first, ast.Name):
                return _slug(first.id.split("_"))
    return ""


def _slug(words: list[str]) -> str:
    """The words in small letters with hyphens; never like an id that a program drew."""
    name = "-".join(word.lower() for word in words if word)[:LONGEST].strip("-")
    is_usable = bool(READABLE.fullmatch(name)) and not is_random(name)
    return name if is_usable or not name else f"{NAMELESS}-{name}"
