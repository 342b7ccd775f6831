"""What does the notebook of a new chapter say? Every section, one table, one figure, one check.

Makes a notebook as it is kept: unrun, with readable cell ids, and the checked cell's words. The
subtle point: the checked cell counts the sample company's customers, which the chapter on the
population counts too, so its words are known before anything runs.
"""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

KERNEL = {"name": "lodestar", "display_name": "Lodestar", "language": "python"}
HIDDEN = ("not-on-page",)
CHECKED = ("checked", "keep_output", "nbval-check-output", "not-on-page")
PROSE, CODE = "markdown", "code"
CELLS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (PROSE, "title", (), """\
# @question@

A sentence on who asks this, and what they decide by the answer. A second one on what would
surprise them."""),
    (CODE, "parameters", ("parameters",), """\
period: str = None  # YYYY-MM; None: the newest period that has a snapshot
output: str = None  # folder the runner passes; None: show only, publish nothing
only: dict = None  # {"segment": ["smb"]}: these accounts alone; None: all
by: str = None  # None: @name@.by of params.yaml"""),
    (CODE, "imports", (), """\
from pipeline.analysis import @name@
from pipeline.reporting import figures, words
from pipeline.reporting.chapter import open_chapter"""),
    (CODE, "open", (), """\
chapter = open_chapter("@name@", period, output, only, by=by)
as_of, confidence = chapter.slice.as_of, chapter.company.confidence
accounts = chapter.read("accounts")"""),
    (PROSE, "answer-heading", (), """\
## Answer

How many of the accounts on file pay, in all and in the largest group."""),
    (CODE, "answer", (), """\
shares = @name@.shares(accounts, chapter.settings.by, confidence)
finding = @name@.say_shares(shares, words)
chapter.say(f"{finding}, on {words.day(as_of)}.")"""),
    (PROSE, "counted-heading", (), """\
## What is counted

The words below mean the same in every chapter."""),
    (CODE, "counted", (), """\
chapter.definition({
    "n": f"{words.counted(len(accounts), 'account')} on file",
    "Customer": "an account with MRR above 0 over all its rows; trials and free plans never",
    "Group": f"by {words.label(chapter.settings.by).lower()}; blank is a group of its own",
})"""),
    (PROSE, "shares-intro", (), """\
The groups, the largest first. A surprise would be a large group that hardly pays."""),
    (CODE, "shares", (), """\
chapter.table(shares, "Accounts that pay, by group", published="shares")"""),
    (PROSE, "shares-figure-intro", (), """\
The same as a picture: intervals that overlap much say that the groups may well be alike."""),
    (CODE, "shares-figure", (), """\
chapter.show(figures.bars(
    shares, label="group", value="share", low="ci_low", high="ci_high", percent=True,
    name="shares", title=finding,
    subtitle=f"Share of the accounts on file that pay, {words.day(as_of)}",
    alt=f"Bars: share of the accounts on file that pay, by group. {finding}.",
    source=words.counted(len(accounts), "account"), x_label="Share that pays"))"""),
    (PROSE, "limits", (), """\
The figure does not show since when they pay, nor why a group differs from another.

## Limits

- Accounts that left before observation began are not on file and cannot be counted.
- A share of all accounts on file mixes old ones with new ones.
- Groups differ in many ways at once: a difference here is no effect.

## What is published

The table above, under the name that tests and downstream users rely on."""),
    (CODE, "publish", HIDDEN, """\
chapter.publish("shares", shares)
chapter.close()"""),
    (PROSE, "checked-heading", HIDDEN, """\
For the sample company this count holds still."""),
    (CODE, "checked", CHECKED, """\
is_sample = chapter.company.company == "sample"
print(chapter.period, int(shares["n_customers"].sum())) if is_sample else None"""),
)  # fmt: skip
TAKEN = (
    "accounts", "as_of", "by", "chapter", "confidence", "figures", "finding", "is_sample", "only",
    "open_chapter", "output", "period", "shares", "words",
)  # fmt: skip
"""Names that the notebook uses itself: a module of that name would be lost."""


def made(name: str, question: str, checked: str) -> str:
    """The text of the notebook; `checked` is what its checked cell prints for the sample."""
    cells = [_cell(*cell, name, question) for cell in CELLS]
    cells[-1].outputs = [new_output("stream", name="stdout", text=checked)]
    cells[-1].execution_count = 1
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = new_notebook(cells=cells, metadata=metadata)
    notebook.nbformat_minor = 5
    return f"{nbformat.writes(notebook)}\n"


def _cell(
    kind: str, cell_id: str, tags: tuple[str, ...], source: str, name: str, question: str
) -> NotebookNode:
    text = source.replace("@name@", name).replace("@question@", question)
    metadata = {"tags": list(tags)} if tags else {}
    make = new_code_cell if kind == CODE else new_markdown_cell
    return make(text, id=cell_id, metadata=metadata)


def words_of_population(notebook: str) -> str:
    """Month and customers of the sample company, as the chapter on the population checks them."""
    cells = nbformat.reads(notebook, as_version=4).cells
    printed = [cell.outputs[0]["text"] for cell in cells if cell.get("id") == "checked"]
    month, customers, *_ = printed[0].split()
    return f"{month} {customers}\n"
