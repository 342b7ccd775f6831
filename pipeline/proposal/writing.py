"""How does a draft read? Commented YAML that loads as params.yaml does, and a summary to print.

Takes a draft and its doubts, makes text. The subtle point: words from the data stand in comments
and quotes only after line breaks and control characters are taken out, so no export can write a
setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.proposal.draft import Draft, TableDraft

FILE_NAME = "params.proposed.yaml"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*", re.ASCII)
KEYWORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
COMMENT_COLUMN = 48
WIDEST_COMMENT = 160
OFFERED_LINES = 40
HEAD = """\
# Proposed by `lodestar init` for {company} from {origin}. Nothing here is used yet.
# 1. Read it, and settle every line that begins with `# ?`.
# 2. Put it in the place of params.yaml (keep yours under another name).
# 3. `lodestar check` says what would be set aside; then `make report`.
# Whatever is not written here has the value of the project's own params.yaml.
"""


def text(draft: Draft, doubts: Sequence[str]) -> str:
    """The whole of params.proposed.yaml."""
    return "\n".join([*_head(draft, doubts), *_source(draft), *_choices(draft)]) + "\n"


def _head(draft: Draft, doubts: Sequence[str]) -> Iterator[str]:
    origin = "its database" if draft.database else f"the exports below data/raw/{draft.company}"
    yield HEAD.format(company=draft.company, origin=origin)
    yield from (f"# ? {_safe(doubt, 10_000)}" for doubt in doubts)
    yield ""
    yield _line("company", draft.company, "folder below data/raw")
    yield _line("company_name", draft.company_name)
    yield _line("periods", [], "the newest month that has ended is added by itself")
    yield _line("timezone", "UTC", "? business time zone: a month begins at its midnight")
    yield _line("currency", draft.currency)
    is_flat = any(table.match.shape == "tenure" for table in draft.tables)
    newest = "null: the newest recorded_at, else sign-up, start or event"
    yield _line("extract_date", None, "? the day the flat file was taken" if is_flat else newest)
    yield _line("observation_start", None, "? first day observed; null: nobody enters late")
    yield ""


def _source(draft: Draft) -> Iterator[str]:
    yield "source:"
    if draft.database:
        yield f"  database: {_flow(draft.database)}"
    yield "  tables:"
    for table in draft.tables:
        yield from _table(table, draft)


def _table(table: TableDraft, draft: Draft) -> Iterator[str]:
    match, marks = table.match, draft.marks if table.match.table.name == "accounts" else {}
    shown = f"{match.export.n_rows:,} rows looked at, {len(match.export.columns)} columns"
    has_settings = any(table.settings.values())
    yield (
        f"    {'' if has_settings else '# '}{match.table.name}:".ljust(COMMENT_COLUMN)
        + f"# {shown}"
    )
    for key, value in table.settings.items():
        if key == "columns":
            yield from _columns(table, value)
        elif key in ("values", "lookup"):
            yield f"      {key}:"
            yield from (f"        {_scalar(name)}: {_flow(row)}" for name, row in value.items())
        else:
            yield f"      {key}: {_flow(value)}"
    for name in match.lacking:
        yield f"      # ? {name} is required and was not found: which column is it?"
    if table.offered or marks:
        yield from _offered(table, marks)


def _columns(table: TableDraft, columns: Mapping[str, str]) -> Iterator[str]:
    same = [name for name, pick in table.match.choices.items() if pick.theirs == name]
    if same:
        yield f"      # under our own names: {', '.join(same)}"
    for name in same:
        if table.notes.get(name):
            yield f"      #   {name}: {_safe(table.notes[name])}"
    if not columns:
        return
    yield "      columns:".ljust(COMMENT_COLUMN) + "# ours: theirs"
    for ours, theirs in columns.items():
        yield _line(ours, theirs, table.notes.get(ours, ""), indent=8)


def _offered(table: TableDraft, marks: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Columns of the company's own, to be chosen: as comments, so that none is used unseen."""
    yield "      # attributes:  # ? columns of your own, to compare groups by; choose what you want"
    yield "      #   known: at_extract is today's value, no driver; at_signup stood so at signing"
    for own in table.offered[:OFFERED_LINES]:
        row = {"column": own.column, "type": own.type, "known": "at_extract"}
        yield f"      #   {own.name}: {_flow(row)}"
    if len(table.offered) > OFFERED_LINES:
        yield f"      #   and {len(table.offered) - OFFERED_LINES} more columns"
    for name, (file, by) in marks.items():
        row = {"file": file, "by": by, "type": "flag", "known": "at_extract"}
        yield f"      #   {name}: {_flow(row)}  # true for an account with a row there"


def _choices(draft: Draft) -> Iterator[str]:
    """Blocks of chapters whose defaults name columns that these exports lack."""
    if not draft.strata:
        return
    strata = _flow(draft.strata)
    yield ""
    yield "survival:"
    yield f"  strata: {strata}"
    yield f"  covariates: {strata}"
    yield f"  primary_contrast: {draft.strata[0]}"
    yield ""
    yield "revenue:"
    yield f"  mix_by: {draft.strata[0]}"
    yield ""
    yield "time_to_value:"
    yield f"  groups: {strata}"
    yield f"  adjust_for: {strata}"


def _line(key: str, value: Any, comment: str = "", indent: int = 0) -> str:
    said = f"{' ' * indent}{_scalar(key)}: {_flow(value)}"
    return f"{said:<{COMMENT_COLUMN}}# {_safe(comment)}" if comment else said


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(row)}" for key, row in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(row) for row in value) + "]"
    return "null" if value is None else _scalar(str(value))


def _scalar(word: str) -> str:
    """A word as YAML 1.2 and 1.1 both read it as text."""
    if PLAIN.fullmatch(word) and word.lower() not in KEYWORDS:
        return word
    quoted = json.dumps(word, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _safe(words: str, most: int = WIDEST_COMMENT) -> str:
    """Words of data as they may stand in a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in words)[:most]


# What is printed.


def summary(draft: Draft, doubts: Sequence[str]) -> list[str]:
    """The draft in lines for a person."""
    lines = [f"Tables found for {draft.company}: {len(draft.tables)}"]
    for table in draft.tables:
        match = table.match
        more = "" if match.shape == "intervals" else f", shape {match.shape}"
        missing = f"; not found: {', '.join(match.lacking)}" if match.lacking else ""
        layout = table.settings.get("date_format")
        dates = f", dates {layout}" if isinstance(layout, str) else ""
        lines.append(
            f"  {match.table.name}: {_safe(match.export.file)}, {len(match.choices)} of "
            f"our {len(match.table.columns)} columns{dates}{more}{missing}"
        )
    lines += [f"  not used: {_safe(sentence)}" for sentence in draft.unused]
    lines.append(f"Doubts for you to settle: {len(doubts)}")
    lines += [f"  {n}. {_safe(doubt, 10_000)}" for n, doubt in enumerate(doubts, 1)]
    return lines
