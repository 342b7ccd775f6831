"""What must hold of a notebook? Law 5, and the hygiene of the file itself, one rule a function.

Reads a notebook's text; makes faults, each with its place and what to do. A chapter keeps all of
`CHAPTER_RULES`; a tutorial in docs/, which teaches and publishes nothing, keeps `TUTORIAL_RULES`.
The subtle point: nothing is imported from `pipeline`, so that a broken pipeline does not hide a
broken notebook; what a notebook and the code must agree on is held by tests/test_house.py.
"""

from __future__ import annotations

import ast
import itertools
import re
import statistics
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from cell_names import READABLE, is_random
from notebook_file import Cell, Notebook

KERNEL = {"name": "lodestar", "display_name": "Lodestar", "language": "python"}
METADATA = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
CHECKED, KEPT = "checked", "keep_output"
TAGS = {
    "parameters", CHECKED, KEPT, "nbval-check-output", "not-on-page", "optional", "calendar",
    "changed", "restated",
}  # fmt: skip
"""A tag with a typing error would be silent, so only these are known."""
OPENING = ("title", "parameters", "imports", "open")
SUMMARY, ANNEX = "summary", "annex"
SECTIONS = ("## Answer", "## What is counted", "## Limits", "## What is published")
SECTIONS_OF = {SUMMARY: ("## Verdict", "## Limits", "## What is published")}
LIMITS = 3
MOST_LINES = 10
MEDIAN_STATEMENTS = 3
TYPES = ("bool", "dict", "float", "int", "list", "str")
FIRST_PARAMETERS = ["period", "output"]
NEVER_IN_A_CELL = {
    ast.FunctionDef: "def", ast.AsyncFunctionDef: "def", ast.ClassDef: "class",
    ast.Lambda: "lambda", ast.For: "for", ast.AsyncFor: "for", ast.While: "while",
    ast.ListComp: "a comprehension", ast.DictComp: "a comprehension",
    ast.SetComp: "a comprehension", ast.GeneratorExp: "a comprehension", ast.With: "with",
    ast.AsyncWith: "with", ast.Try: "try", ast.TryStar: "try", ast.If: "if",
    ast.Match: "match", ast.Assert: "assert", ast.Raise: "raise", ast.Global: "global",
    ast.Nonlocal: "nonlocal", ast.Delete: "del",
}  # fmt: skip
"""`x if a else b` is an expression, and stays."""
TOUCHING = {
    "Path", "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "getattr", "input",
    "mkdir", "open", "replace_folder", "rmtree", "savefig", "scan_parquet", "setattr",
    "system", "to_clipboard", "to_csv", "to_excel", "to_feather", "to_hdf", "to_html", "to_json",
    "to_latex", "to_markdown", "to_parquet", "to_pickle", "to_sql", "tofile", "unlink",
    "write_bytes", "write_csv", "write_table", "write_text",
}  # fmt: skip
"""Calls that touch a file or a shell, or hide what is called."""
READING = re.compile(
    r"read_(bytes|clipboard|csv|excel|feather|frame|fwf|gbq|hdf|html|json|orc|parquet|pickle|sas"
    r"|spss|sql\w*|stata|table|text|xml|yaml)"
)
RUNNING = {"os", "papermill", "subprocess"}
"""Modules whose `run` and the like start a program."""
CHANGING = {
    "append", "clear", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update",
}  # fmt: skip
OWN_CHAPTER = "chapter"
PATH = re.compile(
    r"^(~|\.{1,2})/\w|^/\w[^\s/]*/|^/\w[^\s/]*\.\w+$|^[A-Za-z]:\\"
    r"|^(build|data|docs|notebooks|reports)/\S*$"
    r"|^\S+\.(csv|ipynb|json|parquet|png|svg|xlsx|yaml)$"
)
"""All of the text is a path: a sentence may name a file, and a unit may begin with `/`."""
SHARE = r"%|percent\b|per cent\b|pct\b|USD|EUR|GBP|JPY|€|£|\$|¥"
TYPED = re.compile(
    rf"\d[\d.,]*\s*({SHARE})|[€£$¥]\s?\d|\b(USD|EUR|GBP|JPY)\s?\d"
    r"|\b\d+[.,]\d+\b|\b20\d\d-\d\d\b|\b[1-9]\d{3,}\b"
)
"""A share, an amount, a number with decimals, a period, a count from 1000 on: results, all."""
NO_RESULT = re.compile(
    r"\b\d+(\.\d+)?\s?%(?=\s+(confidence\s+)?(interval|CI\b|band))"
    r"|\b[pq]\s*(below|under|above|of|[<>=≤≥])\s*0?\.\d+\b"
    r"|\b(HR|ratio of|hazard ratio of|hazard ratio)\s+1\.0\b"
    r"|\b(Python|version|section|chapter|pandas|nbformat|law)\s+\d+(\.\d+)+\b"
    r"|\b0\.5\b"
    r"|\b(19|20)\d\d\b(?![-\d.,]\d)(?!\s*(customers?|accounts?|losses|USD|EUR|GBP|JPY|€|£|\$|¥|%))",
    re.IGNORECASE,
)
"""A level of confidence, a threshold, no difference, a version, a place, the middle, a year."""
ALWAYS_ALLOWED = (
    "pipeline.reporting.figures",
    "pipeline.reporting.words",
    "pipeline.reporting.chapter",
)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where; `position` counts cells from 1, 0 is the whole file."""

    notebook: str
    rule: str
    position: int
    cell: str
    what: str

    def __str__(self) -> str:
        here = f"cell {self.position} ({self.cell}): " if self.position else ""
        return f"{self.notebook}: {here}{self.what} [{self.rule}]"


Found = Iterator[tuple[Cell | None, str]]
Rule = Callable[[Notebook], Found]


def faults(notebook: Notebook, rules: dict[str, Rule]) -> list[Fault]:
    """Everything that these rules find, in the order of the cells."""
    found = [
        Fault(notebook.name, rule, cell.position if cell else 0, cell.id if cell else "", what)
        for rule, look in rules.items()
        for cell, what in look(notebook)
    ]
    return sorted(found, key=lambda fault: fault.position)


# The file.


def valid_format(notebook: Notebook) -> Found:
    """It holds to the schema of nbformat 4.5, where cells have ids."""
    if notebook.node.get("nbformat_minor", 0) < 5:
        yield None, "written before cells had ids (nbformat 4.5); run `make fix`"
        return
    for error in itertools.islice(
        nbformat.validator.iter_validate(_without_ids(notebook.node)), LIMITS
    ):
        yield None, f"no valid notebook: {str(error).splitlines()[0]}"


def _without_ids(node: NotebookNode) -> NotebookNode:
    """Ids have a rule of their own, which says more than the schema."""
    cells = [{**cell, "id": f"c{place}"} for place, cell in enumerate(node.cells)]
    return nbformat.from_dict({**node, "cells": cells})


def written_as_kept(notebook: Notebook) -> Found:
    """The bytes that nbformat writes, so that a diff shows changes and nothing else."""
    if notebook.text != nbformat.v4.writes(notebook.node) + "\n":
        yield None, "not written as nbformat writes it; run `make fix`"


def our_kernel(notebook: Notebook) -> Found:
    """The kernel Lodestar, and no word of the machine on which it was edited."""
    if notebook.node.metadata != METADATA:
        yield None, "its metadata name another kernel, or a machine; run `make fix`"


def readable_ids(notebook: Notebook) -> Found:
    """Each cell has a name of its own that a person can say, and that stays."""
    seen: set[str] = set()
    for cell in notebook.cells:
        if is_random(cell.id):
            yield cell, "its id is drawn at random; run `make fix`, or write a word for it"
        elif not READABLE.fullmatch(cell.id):
            yield cell, "its id is no word in small letters like `curves-figure`; write one"
        if cell.id in seen:
            yield cell, "a cell above has the same id; run `make fix`"
        seen.add(cell.id)


def known_tags(notebook: Notebook) -> Found:
    """Tags that something reads, and no other metadata of a cell."""
    for cell in notebook.cells:
        unknown = [tag for tag in cell.tags if tag not in TAGS]
        if unknown:
            yield cell, f"nothing reads the tag {unknown[0]!r}; known: {', '.join(sorted(TAGS))}"
        if set(cell.node.metadata) - {"tags"}:
            yield cell, f"metadata of a run: {sorted(cell.node.metadata)}; run `make fix`"


def no_outputs(notebook: Notebook) -> Found:
    """No output and no count but those of the checked cell."""
    for cell in notebook.code:
        is_kept = CHECKED in cell.tags
        if not is_kept and (cell.node.get("outputs") or cell.node.get("execution_count")):
            yield cell, "keeps what a run showed; run `make fix`"
        others = [each for each in cell.node.get("outputs", []) if each.get("name") != "stdout"]
        if is_kept and others:
            yield cell, "keeps more than what it prints; run `make fix`"


def no_outputs_at_all(notebook: Notebook) -> Found:
    """A tutorial is shown as it is before anybody ran it."""
    for cell in notebook.code:
        if cell.node.get("outputs") or cell.node.get("execution_count"):
            yield cell, "keeps what a run showed; run `make fix`"


def no_blank_ends(notebook: Notebook) -> Found:
    """No empty cell, no blank line at the end of one, no space at the end of a line of code."""
    for cell in notebook.cells:
        if not cell.source.strip():
            yield cell, "is empty; run `make fix`"
        elif cell.source != cell.source.rstrip():
            yield cell, "ends in a blank line or space; run `make fix`"
        elif cell.is_code and re.search(r"[ \t]+$", cell.source, re.MULTILINE):
            yield cell, "a line of code ends in a space; take it away"


# The code.


def plain_python(notebook: Notebook) -> Found:
    """No magic, no shell: what runs here must run in a module too."""
    for cell in notebook.code:
        if cell.tree is None:
            yield cell, "no plain Python: is there a magic (`%`, `!`, `?`) or a typing error?"
    for cell, node in notebook.nodes:
        if isinstance(node, ast.Name) and node.id == "get_ipython":
            yield cell, f"line {node.lineno} asks IPython itself; a chapter is plain Python"


def defines_nothing(notebook: Notebook) -> Found:
    """Logic has a home in pipeline/analysis, where it is tested; a cell holds no branch of it."""
    for cell, node in notebook.nodes:
        if type(node) in NEVER_IN_A_CELL:
            what, home = NEVER_IN_A_CELL[type(node)], f"pipeline/analysis/{notebook.chapter}"
            yield cell, f"line {node.lineno} holds {what}: give it a home in {home}"


def short_cells(notebook: Notebook) -> Found:
    """A statement that shows a figure names its parts line by line and still says one thing."""
    for cell in notebook.code:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > MOST_LINES:
            yield cell, f"{len(lines)} lines, and {MOST_LINES} is the most: split it"
        for line in _shared_lines(cell):
            yield cell, f"line {line} holds two statements: give each a line of its own"
    statements = [len(cell.tree.body) for cell in notebook.code if cell.tree]
    if statements and statistics.median(statements) > MEDIAN_STATEMENTS:
        yield None, f"half of its cells hold more than {MEDIAN_STATEMENTS} statements: split them"


def _shared_lines(cell: Cell) -> list[int]:
    """Lines on which one statement ends and another begins, as `a; b`."""
    body = cell.tree.body if cell.tree else []
    return [
        after.lineno for one, after in itertools.pairwise(body) if one.end_lineno == after.lineno
    ]


def parameters_cell(notebook: Notebook) -> Found:
    """One cell of typed parameters: `period`, `output`, then settings; each None by default."""
    tagged = [cell for cell in notebook.code if "parameters" in cell.tags]
    if len(tagged) != 1:
        yield None, f"{len(tagged)} cells are tagged `parameters`, and it must be one"
        return
    names = []
    for line in tagged[0].tree.body if tagged[0].tree else ():
        is_typed = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if not is_typed or ast.unparse(line.annotation) not in TYPES:
            yield (
                tagged[0],
                f"line {line.lineno} is not `name: type = None`; types: {', '.join(TYPES)}",
            )
            continue
        names.append(line.target.id)
        if not (isinstance(line.value, ast.Constant) and line.value.value is None):
            yield tagged[0], f"{line.target.id} is not None by default: params.yaml holds choices"
    if names[:2] != FIRST_PARAMETERS:
        yield tagged[0], "the first two parameters are `period` and `output`"


def allowed_imports(notebook: Notebook) -> Found:
    """Its own analysis, figures, words and the chapter; the annex meets every analysis."""
    own = "" if notebook.chapter == ANNEX else f".{notebook.chapter}"
    allowed = (*ALWAYS_ALLOWED, f"pipeline.analysis{own}")
    for cell, dotted, _, line in _imports(notebook):
        if not any(dotted == name or dotted.startswith(f"{name}.") for name in allowed):
            yield cell, f"line {line} imports {dotted}; it may import {', '.join(allowed)}"


def used_imports(notebook: Notebook) -> Found:
    """What is imported is used."""
    used = {node.id for _, node in notebook.nodes if isinstance(node, ast.Name)}
    for cell, dotted, name, line in _imports(notebook):
        if name not in used:
            yield cell, f"line {line} imports {dotted}, which no cell uses: take it away"


def _imports(notebook: Notebook) -> Iterator[tuple[Cell, str, str, int]]:
    """Each import: its cell, its full name, the name it has here, its line."""
    for cell, node in notebook.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            room = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for each in node.names:
                own = each.asname or (each.name if room else each.name.partition(".")[0])
                yield cell, f"{room}{each.name}", own, node.lineno


def no_paths(notebook: Notebook) -> Found:
    """A chapter asks `chapter.read` for a table by its name; where it lies is not its business."""
    for cell, node in notebook.nodes:
        if isinstance(node, ast.Call) and (called := _touches(node)):
            yield cell, f"line {node.lineno} calls {called}; use chapter.read"
        elif isinstance(node, ast.Constant) and PATH.search(str(node.value)):
            yield cell, f"line {node.lineno} holds the path {node.value!r}; use chapter.read"


def _touches(call: ast.Call) -> str:
    """The name of a call that touches a file or a shell; empty: it does not."""
    called = call.func
    name = str(getattr(called, "attr", None) or getattr(called, "id", ""))
    if name in TOUCHING or READING.fullmatch(name):
        return name
    if not isinstance(called, ast.Attribute):
        return ""
    is_program = isinstance(called.value, ast.Name) and called.value.id in RUNNING
    # A frame renames by keyword, a series by a word, a file by a path that was computed.
    is_file = name == "rename" and any(not isinstance(each, ast.Constant) for each in call.args)
    return name if is_program or is_file else ""


def only_asks_the_chapter(notebook: Notebook) -> Found:
    """`chapter` is asked, never changed: no attribute of it is set, no inside is looked into."""
    for cell, node in notebook.nodes:
        is_hidden = isinstance(node, ast.Attribute) and node.attr.startswith("_")
        if is_hidden and node.attr != "__getitem__":  # which `map` needs
            yield cell, f"line {node.lineno} looks at {node.attr}, which is nobody's outside"
        if isinstance(node, ast.Attribute) and _is_chapter(node.value) and node.attr == "paths":
            yield cell, f"line {node.lineno} asks for chapter.paths; use chapter.read"
        if _changed(node):
            yield cell, f"line {node.lineno} changes {ast.unparse(node)}; make a new name for it"


def _is_chapter(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == OWN_CHAPTER


def _changed(node: ast.AST) -> bool:
    """True for a target, or a call that changes something, inside the chapter."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        return not isinstance(node.ctx, ast.Load) and _is_inside(node.value)
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if not is_method or node.func.attr not in CHANGING:
        return False
    return isinstance(node.func.value, ast.Attribute) and _is_inside(node.func.value)


def _is_inside(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return _is_chapter(node)


# The story.


def sentence_first(notebook: Notebook) -> Found:
    """A sentence before each cell says what is about to be seen and why."""
    if notebook.cells and notebook.cells[0].is_code:
        yield notebook.cells[0], "begins the notebook: its question comes first"
    for before, cell in itertools.pairwise(notebook.cells):
        if not cell.is_code or cell.id in OPENING:
            continue
        if before.is_code:
            yield cell, f"follows cell ({before.id}) without a sentence between"
        elif before.source.strip().splitlines()[-1:] and _is_heading(before):
            yield cell, "a heading stands before it and no sentence: say what is about to be seen"


def _is_heading(cell: Cell) -> bool:
    return cell.source.strip().splitlines()[-1].startswith("#")


def sections_in_order(notebook: Notebook) -> Found:
    """Question, parameters, imports, then answer, what is counted, three limits, what is kept."""
    title = notebook.prose[0].source.splitlines()[0] if notebook.prose else ""
    if not (title.startswith("# ") and title.endswith("?")):
        yield None, "its title is no question: the first line is `# …?`"
    opening = tuple(cell.id for cell in notebook.cells[: len(OPENING)])
    if opening != OPENING:
        yield None, f"it opens with the cells {opening}, not {OPENING}"
    lines = [line for cell in notebook.prose for line in cell.source.splitlines()]
    wanted = SECTIONS_OF.get(notebook.chapter, SECTIONS)
    found = [line for line in lines if line in wanted]
    if found != list(wanted):
        yield None, f"its sections are {found}; they are {list(wanted)}, in this order"
    for cell in notebook.prose:
        points = [line for line in cell.source.splitlines() if line.startswith(("- ", "* "))]
        if "## Limits" in cell.source.splitlines() and len(points) != LIMITS:
            yield cell, f"{len(points)} limits; a chapter names {LIMITS}"


def computed_numbers(notebook: Notebook) -> Found:
    """A number in a sentence is computed, or it is wrong next month.

    Found, in sentences and in text of code: a share, an amount of money, a number with decimals, a
    month, a count from 1000 on, in digits of any width. Not found: smaller counts (`12 months` is
    no result, and nobody but a reader can tell it from `12 losses`), a lone year, numbers in words,
    and what stands for itself: `95% interval`, `p below 0.05`, `HR 1.0`, a version, a section.
    """
    for cell in notebook.prose:
        for number, line in enumerate(cell.source.splitlines(), start=1):
            for typed in _typed(line):
                yield cell, f"line {number}: {typed!r} is typed; compute it and say it"
    for cell in notebook.code:
        for text in _texts(cell.tree) if cell.tree else ():
            for typed in _typed(text.value):
                yield cell, f"line {text.lineno}: {typed!r} is typed; compute it"


def typed_results(notebook: Notebook) -> Found:
    """A number in prose is computed in a cell; code of a tutorial may choose numbers."""
    for cell, what in computed_numbers(notebook):
        if cell is None or not cell.is_code:
            yield cell, what


def _typed(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text)
    return [match[0] for match in TYPED.finditer(NO_RESULT.sub("…", plain))]


def _texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """Text that a reader sees: no comment, and no format such as `.1%`."""
    formats = [
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.format_spec
        for part in ast.walk(node.format_spec)
    ]
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and node not in formats:
            yield node


def checked_cell(notebook: Notebook) -> Found:
    """The last cell prints the rounded headline, and what it printed is kept and compared."""
    if notebook.chapter == SUMMARY:  # it keeps no headline of its own
        return
    tagged = [cell for cell in notebook.code if CHECKED in cell.tags]
    if len(tagged) != 1 or tagged[0] is not notebook.cells[-1]:
        yield None, "it ends without its checked cell, tagged checked, keep_output …"
        return
    missing = {KEPT, "nbval-check-output", "not-on-page"} - set(tagged[0].tags)
    if missing:
        yield tagged[0], f"is checked and lacks the tag {sorted(missing)[0]!r}"
    if not tagged[0].node.get("outputs") or tagged[0].node.get("execution_count") != 1:
        yield tagged[0], "holds nothing to compare; run `python -m tests.checked_cells fill`"


def _by_name(*rules: Rule) -> dict[str, Rule]:
    return {rule.__name__.replace("_", "-"): rule for rule in rules}


TUTORIAL_RULES = _by_name(
    valid_format, written_as_kept, our_kernel, readable_ids, known_tags, no_outputs_at_all,
    no_blank_ends, plain_python, no_paths, sentence_first, typed_results,
)  # fmt: skip
CHAPTER_RULES = _by_name(
    valid_format, written_as_kept, our_kernel, readable_ids, known_tags, no_outputs,
    no_blank_ends, plain_python, defines_nothing, short_cells, parameters_cell, allowed_imports,
    used_imports, no_paths, only_asks_the_chapter, sentence_first, sections_in_order,
    computed_numbers, checked_cell,
)  # fmt: skip
