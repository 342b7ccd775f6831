"""What does a reader open? Executed notebooks as pages.

Reads an executed notebook. The pages hold no script and ask for nothing over the network. Only
outputs that `parts` made enter as markup; anything else a cell printed is shown as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode
from nbformat.v4 import new_output

from pipeline.reporting import escaping, tables, words
from pipeline.reporting.pages import navigation, origins, parts, slots
from pipeline.reporting.pages.page import Page

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
CHECKED, PUBLISH, NOT_ON_PAGE = "checked", "publish", "not-on-page"
"""Tags of cells; what stands before a cell of the first two that shows nothing goes with it."""
OPTIONAL = "optional"
"""Tag of a cell that shows nothing where its chapter is absent; prose without a heading before it
goes with it."""


def render_chapter(notebook: NotebookNode | Mapping[str, Any] | Path | str, page: Page) -> str:
    """The page of one executed notebook.

    Args:
        notebook: the executed notebook, or the path of one.
        page: what stands around it.
    """
    if isinstance(notebook, Path | str):
        notebook = nbformat.read(notebook, as_version=4)
    cells = nbformat.from_dict(notebook)
    prepared, quiet = _prepared(cells)
    inside = slots.slots(
        page.definition_changes,
        page.data_changes,
        page.compared_with,
        page.restatements,
        page.currency,
    )
    told = {
        slots.CHANGED: bool(page.definition_changes or page.data_changes),
        slots.RESTATED: bool(page.restatements),
    }
    around = {
        "head": _head(page),
        "slots": inside,
        "after": _after(page, slots.left_over(inside, _all_tags(prepared), told)),
        "foot": _foot(page),
        "quiet_cells": quiet,
    }
    from pipeline.reporting.pages import exporter  # loads for a second, which a page is worth

    return exporter.exported(prepared, around)


def render_body(body: str, page: Page) -> str:
    """A page whose content no notebook made: the same head and foot around it.

    Args:
        body: markup, already escaped, with the page's one h1.
        page: what stands around it.
    """
    return "\n".join([_head(page), body, "</main>", _foot(page), ""])


def render_site(title: str, here: str, body: Sequence[str]) -> str:
    """A page over all months; `here` is its place in `navigation`."""
    around = [
        document_start(title),
        f"<header>{navigation.site(here)}</header>",
        f'<main id="content" class="{here}" tabindex="-1"><h1>{parts.text(title)}</h1>',
        *body,
        f"</main>\n<footer><p>{FOOTER_WORDS}</p></footer>\n</body>\n</html>\n",
    ]
    return "\n".join(part for part in around if part)


FOOTER_WORDS = (
    "Made by Lodestar. Shares are rounded here; report.json and the tables hold every digit."
)


# The page of a chapter.


def _prepared(notebook: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """A copy in which each cell that shows something knows the sources of those that led to it.

    And the sources of those that show nothing and lead to no cell that does.
    """
    prepared = nbformat.from_dict(notebook)
    prepared.cells = _on_page(prepared.cells)
    quiet: list[str] = []
    for cell in prepared.cells:
        if cell.cell_type != "code":
            continue
        is_checked = CHECKED in _tags(cell)
        cell.outputs = [] if is_checked else [_only_ours(output) for output in cell.outputs]
        cell.metadata["lodestar_shows"] = bool(cell.outputs)
        if cell.outputs:
            cell.metadata["lodestar_before"], quiet = quiet, []
        elif cell.source.strip():
            quiet.append(cell.source)
    return prepared, quiet


def _on_page(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """The cells that a reader of the page needs; the others speak to whoever runs the notebook."""
    after = [*cells[1:], None]
    return [
        cell
        for cell, next_ in zip(cells, after, strict=True)
        if NOT_ON_PAGE not in _tags(cell) and not _leads_to_nothing(cell, next_)
    ]


def _leads_to_nothing(cell: NotebookNode, next_: NotebookNode | None) -> bool:
    """True for prose before the checked cell, or before a cell that may show nothing and does."""
    if cell.cell_type != "markdown" or next_ is None or next_.cell_type != "code":
        return False
    tags = _tags(next_)
    is_headless = OPTIONAL in tags and not cell.source.startswith("#")
    return CHECKED in tags or ((PUBLISH in tags or is_headless) and not next_.outputs)


def _all_tags(notebook: NotebookNode) -> set[str]:
    return {tag for cell in notebook.cells for tag in _tags(cell)}


def _tags(cell: NotebookNode) -> Sequence[str]:
    return cell.metadata.get("tags", [])


def _only_ours(output: NotebookNode) -> NotebookNode:
    """Markup of others gives way to the plain text beside it; a result is shown like a display."""
    if output.output_type not in ("display_data", "execute_result"):
        return output
    markup = _joined(output.data.get("text/html", ""))
    is_ours = markup.startswith(parts.BOX)
    kept = {"text/html": markup} if is_ours else {"text/plain": output.data.get("text/plain", "")}
    return new_output("display_data", kept)


def _joined(lines: str | Sequence[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def document_start(title: str) -> str:
    """Everything of a page before its content: head, style, the link that skips to it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escaping.attribute(title)}</title>\n"
        f"<style>\n{parts.style()}{parts.template('page.css')}</style>\n</head>\n"
        '<body class="lodestar">\n<a class="skip" href="#content">Skip to content</a>'
    )


def _head(page: Page) -> str:
    title = f"{page.title} · {words.month(page.period)} · {page.company_name}"
    return (
        f"{document_start(title)}\n<header><div class='identity'>"
        f'<p class="company">{parts.text(page.company_name)} · {words.month(page.period)}</p>'
        f"{navigation.periods(page)}</div>{_facts(page)}</header>\n{navigation.chapters(page)}\n"
        f'<main id="content" class="{escape(page.chapter)}" tabindex="-1">{_redefined(page)}'
    )


def _facts(page: Page) -> str:
    facts = {
        "As of": words.day(page.as_of),
        "Analysis cut-off": words.day(page.cut_off),
        **({"Revision": str(page.revision)} if page.revision else {}),
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{what}</dd></div>" for name, what in facts.items())
    status = f"<div><dt>Status</dt><dd>{status_mark(page.status)}</dd></div>"
    return f'<dl class="facts">{status}{rows}</dl>'


def status_mark(status: str) -> str:
    """Provisional, final or revised, as a mark."""
    return f'<span class="status {escape(status)}">{parts.text(status)}</span>'


def _redefined(page: Page) -> str:
    """That definitions are not what they were in the report before; which stands further down."""
    if not page.definition_changes:
        return ""
    named = words.listing([row["setting"] for row in page.definition_changes])
    since = words.month(page.definition_changes[0]["since"])
    sentence = f"Definitions changed since the report of {since}: {named}."
    return parts.fragment(parts.paragraph(sentence, "Break"))


def _after(page: Page, left_over: Sequence[str]) -> str:
    """What the notebook had no place for, then plan and inputs, below the chapter."""
    sections = (*left_over, _planned(page), origins.made_from(page.inputs))
    return "\n".join(section for section in sections if section)


def _planned(page: Page) -> str:
    """What was decided before the data were read."""
    if not page.plan:
        return ""
    rows = pd.DataFrame(
        {"Decision": list(page.plan), "As decided": [slots.decided(v) for v in page.plan.values()]}
    )
    caption = "Decided before the data were read"
    table = tables.table(rows, name="plan-table", caption=caption)
    sentence = (
        "Contrasts, thresholds and families of tests are named in params.yaml before a month is "
        "looked at. A hash of this list stands below and in report.json."
    )
    listed = parts.folded(
        f"{words.count(len(rows))} decisions", parts.table_box(table, caption, "", ())
    )
    return (
        f'<h2 id="plan">Method</h2>{parts.fragment(parts.paragraph(sentence))}'
        f"{parts.fragment(listed)}"
    )


def _downloads(page: Page) -> str:
    """One line per chapter and kind of file."""
    if not page.downloads:
        return ""
    lines: dict[str, list[str]] = {}
    for href in page.downloads:
        group, label = _named(href, page.chapter)
        link = f'<a href="{escape(href)}" download>{parts.text(label)}</a>'
        lines.setdefault(group, []).append(link)
    rows = "".join(
        f"<dt>{parts.text(group)}</dt><dd>{' · '.join(found)}</dd>"
        for group, found in lines.items()
    )
    listed = f'<dl class="downloads">{rows}</dl>'
    files = words.counted(len(page.downloads), "file")
    return f'<h2 id="downloads">Downloads</h2>{parts.fragment(parts.folded(files, listed))}'


def _named(href: str, here: str) -> tuple[str, str]:
    """The line that a file stands on, and its name there.

    `tables/revenue.mrr_bridge.csv` is `MRR bridge (CSV)` on the line `Revenue, tables`; a page's
    own chapter is not said again.
    """
    folder, _, file = href.rpartition("/")
    if not folder:
        return "Whole report", file
    chapter, _, rest = file.partition(".")
    name, _, kind = rest.rpartition(".")
    group = words.label(folder) if chapter == here else f"{words.label(chapter)}, {folder}"
    return group, f"{words.label(name.replace('-', '_'))} ({kind.upper()})"


def _foot(page: Page) -> str:
    rows = "".join(
        f"<dt>{parts.text(what)}</dt><dd><code>{parts.text(said)}</code></dd>"
        for what, said in page.provenance
    )
    rows += origins.build_note() if rows else ""
    made = f'<h2 id="provenance">How this was made</h2><dl>{rows}</dl>' if rows else ""
    return f"<footer>{made}{_downloads(page)}<p>{FOOTER_WORDS}</p></footer>\n</body>\n</html>"
