"""Where do a report's numbers come from, and which of them moved? Restatements and provenance.

Works on the content of report.json; makes markup for the pages. The subtle point: what differs from
build to build (commit, versions, time, duration) stands in report.json alone, so that two builds of
the same inputs give the same pages. The box names it and links there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import tables, words
from pipeline.reporting.pages import parts
from pipeline.reporting.records.record import FILE_NAME
from pipeline.reporting.tables import columns

SHOWN_DIGITS = 12
"""Of a hash; report.json holds all 64."""
BUILD_FACTS = ("git_commit", "is_dirty", "versions", "built_at", "seconds")
"""What a build says of itself; declared in `build_fields`."""
OF_EARLIER_REPORTS = "later facts"

Report = Mapping[str, Any]


def restated(rows: Sequence[Report], currency: str) -> str:
    """The section on figures that are not what was first published; empty without any."""
    if not rows:
        return ""
    shown = pd.DataFrame([_restatement(row, currency) for row in rows])
    caption = "First published, and now"
    sentence = (
        f"{words.counted(len(rows), 'figure is', 'figures are')} no longer what was first "
        "published. Late rows became known after their month was settled; rewritten history is "
        "another past in the exports for the same month."
    )
    return (
        f'<h2 id="restatements">Restatements</h2>{parts.fragment(parts.paragraph(sentence))}'
        f"{_boxed(shown, 'restatements-table', caption)}"
    )


def _restatement(row: Report, currency: str) -> dict[str, str]:
    unit = HEADLINES[row["metric"]].unit
    return {
        "Month": words.month(row["period"]),
        "Figure": words.label(row["metric"]),
        "First published": words.say(row["first_published"], unit, currency),
        "Status then": str(row["first_status"]),
        "Now": words.say(row["now"], unit, currency),
        "Change": words.change(row["difference"], unit, currency, arrow=False),
        "Because of": _because(row, unit, currency),
        "Since the report of": _since(row),
    }


def _because(row: Report, unit: str, currency: str) -> str:
    """The reasons; where there are several, what each did."""
    of_which = row.get("of_which") or {}
    if len(of_which) < 2:
        return str(row.get("reason", OF_EARLIER_REPORTS))
    said = [
        f"{reason} ({words.change(share, unit, currency, arrow=False)})"
        for reason, share in of_which.items()
    ]
    return words.listing(said)


def _since(row: Report) -> str:
    since = row.get("since")
    return (
        f"{words.month(since['period'])}, revision {since['revision']}"
        if since
        else columns.NOTHING
    )


# How it was made.


def inputs(report: Report) -> dict[str, Report]:
    """What was read: caption → its files with hash and rows."""
    facts = report["provenance"]
    return {"Raw files": facts["raw"], "Slice: what was known of this month": facts["inputs"]}


def made_from(inputs_: Report) -> str:
    """The section that names every input with its rows and hash; empty without any."""
    boxes = [
        parts.fragment(parts.folded(f"{caption} ({words.counted(len(files), 'file')})", box))
        for caption, files in inputs_.items()
        if files and (box := _boxed(_files(files), f"{tables.slug(caption)}-table", caption))
    ]
    return f'<h2 id="inputs">What it was made from</h2>{"".join(boxes)}' if boxes else ""


def _files(files: Report) -> pd.DataFrame:
    rows = [
        {
            "File": str(name),
            "Rows": words.count(facts["n_rows"])
            if facts.get("n_rows") is not None
            else columns.NOTHING,
            "SHA-256 begins": facts["sha256"][:SHOWN_DIGITS],
        }
        for name, facts in files.items()
    ]
    return pd.DataFrame(rows)


def box(report: Report) -> Iterator[tuple[str, str]]:
    """What the foot of every page says: (what, its value)."""
    facts = report["provenance"]
    yield "Rebuild with", facts["command"]
    yield "Check it with", f".venv/bin/lodestar verify-report {report['period']}"
    yield "Facts known (hash of the slice)", facts["slice_sha256"][:SHOWN_DIGITS]
    plan = "Decided before the data were read (hash of the plan)"
    yield plan, facts["plan_sha256"][:SHOWN_DIGITS]
    yield "Settings (hash)", facts["params_sha256"][:SHOWN_DIGITS]
    yield "Libraries (hash of the lock)", facts["lock_sha256"][:SHOWN_DIGITS]
    yield "Code (hash)", facts["code_sha256"][:SHOWN_DIGITS]
    if facts["seed"] is not None:
        yield "Seed of the sample", str(facts["seed"])
    yield "Seed of the intervals", str(report["plan"]["seed"])


def build_note() -> str:
    """Where the facts of this one build are: they are not on the page."""
    names = words.listing([f"<code>{name}</code>" for name in BUILD_FACTS])
    return (
        "<dt>Commit, versions and time of this build, seconds since its run began</dt>"
        f'<dd><a href="{FILE_NAME}">{FILE_NAME}</a>, below <code>provenance</code>: {names}</dd>'
    )


def _boxed(rows: pd.DataFrame, name: str, caption: str) -> str:
    table = tables.table(rows, name=name, caption=caption)
    return parts.fragment(parts.table_box(table, caption, "", ()))
