"""What does each column mean? docs/data.md, written from the declarations and nothing else.

Reads the schema: raw, stage and published tables, headlines, examples, and what a check says. Makes
docs/data.md when run as `python -m pipeline.data.dictionary`. The subtle point: a test compares the
file with this module's output, so a column that is declared and not described here cannot be
published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.data import store
from pipeline.data.schema import RAW, SHAPES, SNAPSHOT, USAGE_MONTHS, Table, adds, findings
from pipeline.data.schema.examples import EXAMPLES, SHAPE_EXAMPLES
from pipeline.data.schema.published import HEADLINES, STATES, TABLES
from pipeline.data.schema.rules import RULES
from pipeline.data.schema.table import Column

PAGE = Path("docs") / "data.md"
KINDS = {
    "id": "text that names something; never a number, so leading zeros stay",
    "text": "text as the source writes it",
    "code": "text from a short list; where the list is closed, the column names it",
    "day": "calendar day in the business time zone",
    "month": "calendar month",
    "instant": "date and time, microseconds",
    "money": "DECIMAL(18, 4) in units of the company's currency",
    "number": "number with decimals",
    "count": "whole number",
    "flag": "true, false or blank",
}
INTRODUCTION = """\
# Data

Every table, generated from `pipeline/data/schema/`. Do not edit this page: change the declaration
and run `.venv/bin/python -m pipeline.data.dictionary`. What the words mean stands in the
[glossary](../GLOSSARY.md); how a company's own names are mapped stands in the
[README](../README.md#bring-your-own-data).

Dates are ISO and ids are text. *Required*: a raw table without the column cannot be read, and a row
in which it is blank goes to quarantine; in a stage table it is never blank. *Sensitivity*:
`personal` may name a person and is hidden in the quarantine; `pseudonym` identifies an account,
which appears in reports under a pseudonym.
"""
RAW_WORDS = """\
What a company brings, in `data/raw/<company>/<table>.csv`, `.csv.gz`, `.csv.zip`, `.parquet` or
`.xlsx`, or in a database. Only `accounts` and `subscriptions` are required. `recorded_at` is
optional everywhere; without it a row is known on its own date. Further columns are named by
`lodestar check` and used by nothing, unless they are declared as attributes in params.yaml.
*Used by*: the chapters that a column reaches; blank: read and checked, and used by no chapter yet.
The examples are one row of a company that was made up.
"""
SHAPE_WORDS = """\
Subscriptions may come otherwise than as intervals: `source.tables.subscriptions.shape` in
params.yaml. Of such an export only these columns are asked for. Accounts may then lack
`signed_up_date`, or come from the same export: without a file of accounts, each account there is
one, signed up on its first day.
"""
RULE_WORDS = """\
What a row of a raw table can break, and what is to be done about it. Beside these,
`excluded_<column>` is a row left out by a value declared in `exclude`, and `not_found_<column>` a
cell that a lookup did not find.
"""
CHECK_WORDS = """\
The answer of `lodestar check --json`: one object. A field may be added, none is renamed without a
new `schema_version`.
"""
STAGE_WORDS = """\
What the stages make, in `data/processed/`. `usage` holds one file per month of history, `snapshot`
one folder per period with what was known by its close, and nothing later.
"""
HEADLINE_WORDS = """\
The rows of `headline` in `reports/<period>/report.json`. Each has `name, chapter, label, unit,
estimate, ci_low, ci_high, n, previous, change, year_ago, target, target_owner, state, note`.
Its claim card stands below `claims`: `chapter, kind (headline or contrast), name, statement,
estimand, population, cut_off, estimate, ci_low, ci_high, unit, null, p_value, n, n_events, checks
(name, passed, is_hard, note), verdict, reasons`. So does the card of each chapter's primary
contrast. The rules of a verdict stand in the [glossary](../GLOSSARY.md#claims). `plan` holds what
was decided before the data were read, `definition_changes` what the report before had decided
otherwise, `data_changes` (kind, subject, before, now) what differs in data and code from that
report, `compared_with` its period.
"""
TABLE_WORDS = """\
`reports/<period>/tables/<table>.csv`: UTF-8, tidy, at least 12 significant digits. The columns
named here are always there; others may stand beside, and a chapter may publish further tables.
"""


COLUMN_HEADER = ("column", "kind", "unit", "required", "sensitivity", "allowed", "description")


def dictionary() -> str:
    """The whole of docs/data.md."""
    raw = (_raw_table(table, name, EXAMPLES[name]) for name, table in RAW.items())
    shapes = (
        _raw_table(table, f"subscriptions, shape {shape}", SHAPE_EXAMPLES[shape])
        for shape, table in SHAPES.items()
    )
    snapshot = (_table(table, "snapshot/") for table in SNAPSHOT.values())
    parts = [
        INTRODUCTION,
        _section("Kinds", "", _rows(("kind", "what it holds"), KINDS.items())),
        _section("Raw tables", RAW_WORDS, *raw),
        _section("Shapes of subscriptions", SHAPE_WORDS, *shapes),
        _section("Stage tables", STAGE_WORDS, _table(USAGE_MONTHS), *snapshot),
        _section("Headlines", HEADLINE_WORDS, _headlines()),
        _section("Published tables", TABLE_WORDS, _published()),
        _section("Rules of the raw tables", RULE_WORDS, _rules()),
        _section("Checks of the raw data", CHECK_WORDS, *_findings()),
    ]
    return "\n".join(parts)


def _section(title: str, words: str, *blocks: str) -> str:
    return "\n".join(part for part in (f"## {title}\n", words, *blocks) if part)


def _raw_table(table: Table, title: str, example: dict[str, str]) -> str:
    """One raw table, with an example row, and what each chapter would add with it."""
    header = (*COLUMN_HEADER, "example", "used by")
    rows = (
        (*_column(name, table, column), *_beside(table, name, column, example))
        for name, column in table.columns.items()
    )
    more = adds.of_table(table.name)
    told = [f"{chapter.replace('_', ' ')}: {sentence}." for chapter, sentence in more.items()]
    told = told if told or table.is_required else ["Read and checked; used by no chapter yet."]
    words = " ".join([_facts(table), *told])
    return "\n".join([f"### {title}\n", f"{words}\n", _rows(header, rows)])


def _beside(table: Table, name: str, column: Column, example: dict[str, str]) -> tuple[str, str]:
    shown = f"`{example[name]}`" if example[name] else ""
    return shown, adds.users(table.name, name, column.is_required)


def _table(table: Table, place: str = "") -> str:
    """One table: grain, key, relations, what is known about it, and its columns."""
    rows = (_column(name, table, column) for name, column in table.columns.items())
    title = f"### {place}{table.name}\n"
    return "\n".join([title, f"{_facts(table)}\n", _rows(COLUMN_HEADER, rows)])


def _facts(table: Table) -> str:
    is_required = "; required" if table.is_required else ""
    facts = [f"{table.grain[0].upper()}{table.grain[1:]}{is_required}."]
    facts.append(f"Key: {_codes(table.key)}.")
    if table.event_time:
        facts.append(f"Dated by `{table.event_time}`.")
    facts += [f"`{name}` must stand in `{parent}`." for name, parent in table.parents.items()]
    if table.note:
        facts.append(table.note)
    return " ".join(facts)


def _rules() -> str:
    rows = ((f"`{name}`", words) for name, words in RULES.items())
    return _rows(("rule", "what was found, and what to do"), rows)


def _findings() -> Iterator[str]:
    """The fields of the answer of a check, part by part."""
    for part, fields in findings.PARTS.items():
        rows = ((f"`{name}`", words) for name, words in fields.items())
        title = f"### `{part}`, one object each\n\n" if part else ""
        yield title + _rows(("field", "what it says"), rows)


def _column(name: str, table: Table, column: Column) -> tuple[str, ...]:
    sensitivity = "" if column.sensitivity == "plain" else column.sensitivity
    is_required = "yes" if column.is_required else ""
    allowed = ", ".join(_allowed(column))
    return (
        f"`{name}`",
        table.kind(name),
        column.unit,
        is_required,
        sensitivity,
        allowed,
        column.description,
    )


def _allowed(column: Column) -> Iterator[str]:
    """What may stand in the column, in words."""
    yield from (f"`{value}`" for value in column.values or ())
    if column.lowest is not None:
        yield f"{column.lowest} or more"


def _headlines() -> str:
    rows = (
        (f"`{row.name}`", row.chapter, row.unit, row.label, row.formula, row.estimand,
         row.population, f"`{row.dated}`")
        for row in HEADLINES.values()
    )  # fmt: skip
    heads = ("name", "chapter", "unit", "label", "formula", "estimand", "population", "dated")
    listing = _rows(heads, rows)
    return f"{listing}\n`state` is one of {_codes(STATES)}.\n"


def _published() -> str:
    rows = ((f"`{name}`", grain, _codes(columns)) for name, (grain, columns) in TABLES.items())
    return _rows(("table", "grain", "columns"), rows)


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _rows(header: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [header, ("---",) * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


if __name__ == "__main__":
    store.write_text(dictionary(), Path(__file__).parents[2] / PAGE)
