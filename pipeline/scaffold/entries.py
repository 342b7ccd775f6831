"""Where is a chapter named in files that stand already? One small edit for each.

Works on texts. The subtle point: each edit finds its place by a line that must stand there exactly
once; where it does not, nothing is guessed and nothing is written.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.settings import ConfigurationError

WIDTH = 100
Edit = Callable[[str, "Asked"], str]


@dataclass(frozen=True)
class Asked:
    """A chapter that is asked for: its name, its question, the chapter it comes after."""

    name: str
    question: str
    after: str
    number: int

    @property
    def class_name(self) -> str:
        """Of its settings: `TimeToValue`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


def before(anchor: str, text: str) -> Edit:
    """Insert a text before the one line that begins with the anchor."""

    def edit(content: str, asked: Asked) -> str:
        added, line = filled(text, asked), filled(anchor, asked)
        places = [found.start() for found in re.finditer(rf"(?m)^{re.escape(line)}", content)]
        return f"{content[: _only(places, line)]}{added}{content[_only(places, line) :]}"

    return edit


def _only(places: list[int], line: str) -> int:
    if len(places) != 1:
        raise ConfigurationError(
            f"the line {line.strip()!r} stands there {len(places)} times and must stand once: the "
            "new chapter has no place beside it. Put it back, or add the chapter by hand "
            "(CONTRIBUTING, Add a chapter)."
        )
    return places[0]


def filled(text: str, asked: Asked) -> str:
    """A template with the chapter's words in place."""
    known = {
        "@name@": asked.name,
        "@class@": asked.class_name,
        "@question@": asked.question,
        "@after@": asked.after,
        "@label@": asked.name.replace("_", " "),
        "@number@": f"{asked.number:02d}",
    }
    for sign, word in known.items():
        text = text.replace(sign, word)
    return text


def _listed(content: str, asked: Asked) -> str:
    """The name at the end of CHAPTERS."""
    found = list(re.finditer(r"^CHAPTERS = \(([^)]*)\)", content, re.MULTILINE))
    place = found[_only(list(range(len(found))), "CHAPTERS = (…)")]
    names = [each.strip() for each in place[1].split(",") if each.strip()]
    names.append(f'"{asked.name}"')
    line = f"CHAPTERS = ({', '.join(names)})"
    if len(line) > WIDTH:
        line = "CHAPTERS = (\n" + "".join(f"    {name},\n" for name in names) + ")"
    return content[: place.start()] + line + content[place.end() :]


def _planned(content: str, asked: Asked) -> str:
    """The name among the blocks that a report's plan holds."""
    found = list(re.finditer(r"^BLOCKS = \(\n([^)]*)\)", content, re.MULTILINE))
    place = found[_only(list(range(len(found))), "BLOCKS = (…)")]
    names = [each.strip() for each in place[1].split(",") if each.strip()]
    names.insert(names.index('"fit"'), f'"{asked.name}"')
    lines = textwrap.wrap(f"{', '.join(names)},", WIDTH - 4)
    body = "".join(f"    {line}\n" for line in lines)
    return f"{content[: place.start()]}BLOCKS = (\n{body}){content[place.end() :]}"


def _in_use(content: str, asked: Asked) -> str:
    """The name at the end of `chapters` of params.yaml; comments and spacing stay."""
    found = list(re.finditer(r"^chapters: \[([^\]]*)\]", content, re.MULTILINE))
    if not found and re.search(r"^chapters:\s*$", content, re.MULTILINE):
        return before("timezone:", "  - @name@\n")(content, asked)
    place = found[_only(list(range(len(found))), "chapters: […]")]
    names = f"{place[1].rstrip(', ')}, {asked.name}" if place[1].strip() else asked.name
    return f"{content[: place.start()]}chapters: [{names}]{content[place.end() :]}"


def _in_every_plan(content: str, asked: Asked) -> str:
    """The block among the params of annex and report, which hold all that a plan holds."""
    head, sign, tail = content.partition("\n  annex:")
    if not sign:
        _only([], "  annex:")
    return head + sign + tail.replace("      - fit\n", f"      - {asked.name}\n      - fit\n")


STAGE = """\
  @name@:
    matrix:
      period: ${periods}
    cmd: python -m pipeline.cli chapter @name@ ${item.period}
    deps:
      - data/processed/snapshot/${item.period}
      - notebooks/@number@_@name@.ipynb
      - pipeline/analysis/@name@.py
      - pipeline/analysis/wording.py
      - pipeline/statistics
      - pipeline/reporting
      - pipeline/data
      - pipeline/exits.py
      - pipeline/settings.py
      - requirements.lock
    params: [company, chapters, currency, confidence, grace_days, min_cell, reports, @name@]
    outs:
      - data/processed/@name@/${item.period}
      - data/processed/headline/${item.period}/@name@.json

"""
BLOCK = '''\
class @class@(Block):
    """@question@"""

    by: str = "segment"


'''
PROMISE = """\
    "@name@.shares": (
        "one row per group",
        ("group", "n", "n_customers", "share", "ci_low", "ci_high"),
    ),
"""
EDITS: tuple[tuple[str, str, tuple[Edit, ...]], ...] = (
    ("pipeline/settings.py", "its place among the chapters, and its settings", (
        _listed,
        before("class Fit(Block):", BLOCK),
        before("    fit: Fit = Fit()", "    @name@: @class@ = @class@()\n"),
    )),
    ("params.yaml", "its block, and its name under `chapters`", (
        _in_use,
        before("fit:", "@name@:\n  by: segment                    # column of accounts whose "
               "values are the groups\n\n"),
    )),
    ("dvc.yaml", "its stage, which `report` and the annex wait for", (
        before("  annex:", STAGE),
        before("      - data/processed/annex/${item.period}\n      - pipeline/reporting",
               "      - data/processed/@name@/${item.period}\n"),
        _in_every_plan,
    )),
    ("pipeline/data/schema/published.py", "the table that it promises", (
        before('    "annex.grace": (', PROMISE),
    )),
    ("pipeline/data/choices.py", "that its column must exist", (
        before('        "population.churn_marks": ',
               '        "@name@.by": ([settings.@name@.by], accounts),\n'),
    )),
    ("pipeline/reporting/records/plan.py", "its settings in the plan of a report", (_planned,)),
    ("GLOSSARY.md", "what a row of its table says", (
        before("| `annex.grace` |",
               "| `@name@.shares` | one group of accounts: how many there are and what share of "
               "them pays |\n"),
    )),
    ("README.md", "its question", (
        before("| annex, each quarter |", "| @label@ | @question@ |\n"),
    )),
    ("notebooks/README.md", "its place on the page that JupyterLab opens with", (
        before("| [annex](99_annex.ipynb) |",
               "| [@label@](@number@_@name@.ipynb) | @question@ |\n"),
    )),
)  # fmt: skip
"""File, what is added there, and how; in the order in which a person would do it."""
