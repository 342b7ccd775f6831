"""How does a person read the answer of a check? Plain lines, with tables on a terminal.

Takes the answer of `rows.check`, makes lines of text. The subtle point: the same words go to a
terminal and into a pipe; only the rules stand in a table where there is a terminal to draw it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table as Drawn

from pipeline.redaction import redacted

KINDS = {
    "quarantined": "set aside",
    "merged": "merged",
    "excluded": "left out",
    "warning": "used, with a remark",
}
SOUND = "A run can use these data."
STOPPED = "a run would stop with exit code {code}; the last reports stay"


def say(answer: dict[str, Any], company_name: str, currency: str) -> None:
    """Print the answer: what was found on stdout, what a run stops for on stderr."""
    answer = redacted(answer)
    console = Console(highlight=False, soft_wrap=True)
    for line in lines(answer, company_name, currency, has_table=console.is_terminal):
        if line is RULES:
            console.print(drawn(answer, currency), soft_wrap=False)
        else:
            console.print(line, markup=False)
    errors = Console(highlight=False, soft_wrap=True, stderr=True)
    for line in stops(answer):
        errors.print(f"lodestar: {line}", markup=False)


RULES = "\0rules"
"""Stands where the table of rules is drawn."""


def lines(
    answer: dict[str, Any], company_name: str, currency: str, *, has_table: bool = False
) -> Iterator[str]:
    """The answer in lines; RULES among them where a table is drawn instead."""
    if answer["extract_date"]:
        yield f"The data of {company_name} reach to {answer['extract_date']}."
    if answer["mrr"] is not None:
        yield f"MRR on that day: {answer['mrr']:,.2f} {currency}."
    yield from map(_of_table, answer["tables"])
    if answer["rules"]:
        yield ""
        yield from [RULES] if has_table else _of_rules(answer, currency)
    yield from _of_warnings(answer)
    yield from _of_absent(answer)
    if not answer["exit_code"]:
        yield ""
        yield SOUND


def _of_table(row: dict[str, Any]) -> str:
    out = [f"{row['rows']:,} rows", f"{row['used']:,} used"]
    out += [
        f"{row[key]:,} {word}"
        for key, word in (
            ("quarantined", "to quarantine"), ("merged", "merged"), ("excluded", "left out"),
        )
        if row[key] or key == "quarantined"
    ]  # fmt: skip
    return f"{row['table']}: {', '.join(out)}"


def _of_rules(answer: dict[str, Any], currency: str) -> Iterator[str]:
    for row in answer["rules"]:
        yield (
            f"{row['table']}: {row['rule']}: {row['n']:,} of {row['n_of']:,} rows "
            f"{KINDS[row['kind']]}{_money(row, currency)}"
        )
        yield from (f"    {_place(example)}" for example in row["examples"])
        if row["examples"] and row["n"] > len(row["examples"]):
            yield f"    and {row['n'] - len(row['examples']):,} more"
        if row["what_to_do"]:
            yield f"    {row['what_to_do']}"


def _money(row: dict[str, Any], currency: str) -> str:
    if not row["n_accounts"] and not row["mrr"]:
        return ""
    if row["mrr"] is None:
        return f"; accounts: {row['n_accounts']:,}"
    share = "" if row["mrr_share"] is None else f" ({row['mrr_share']:.1%} of all)"
    return f"; {row['n_accounts']:,} accounts, MRR {row['mrr']:,.2f} {currency}{share}"


def _place(example: dict[str, Any]) -> str:
    column = f", {example['column']}" if example["column"] else ""
    return f"{example['file']} line {example['line']}{column}: {example['value']}"


def drawn(answer: dict[str, Any], currency: str) -> Drawn:
    """The rules as a table for a terminal; words of data are text, never markup."""
    table = Drawn(box=SIMPLE, pad_edge=False)
    columns: tuple[tuple[str, Literal["left", "right"]], ...] = (
        ("table", "left"), ("rule", "left"), ("rows", "right"), ("MRR", "right"),
        ("share", "right"), ("where, and what to do", "left"),
    )  # fmt: skip
    for head, side in columns:
        table.add_column(head, justify=side, no_wrap=head in ("rows", "MRR", "share"))
    for row in answer["rules"]:
        share = "" if row["mrr_share"] is None else f"{row['mrr_share']:.1%}"
        money = "" if row["mrr"] is None else f"{row['mrr']:,.0f} {currency}"
        where = [_place(example) for example in row["examples"][:1]]
        cells = (
            row["table"], f"{row['rule']} ({KINDS[row['kind']]})", f"{row['n']:,}",
            money, share, "\n".join([*where, row["what_to_do"]]),
        )  # fmt: skip
        table.add_row(*(_plain(cell) for cell in cells))
    return table


def _plain(cell: str) -> Any:
    from rich.text import Text

    return Text(cell)


def _of_warnings(answer: dict[str, Any]) -> Iterator[str]:
    if answer["warnings"]:
        yield ""
    yield from (f"warning: {row['message']}" for row in answer["warnings"])


def _of_absent(answer: dict[str, Any]) -> Iterator[str]:
    if answer["not_given"]:
        yield ""
        yield "Not given; a report is published all the same. Each would add:"
    for row in answer["not_given"]:
        told = "; ".join(f"{chapter}: {more}" for chapter, more in row["adds"].items())
        yield f"  {row['subject']}: {told}"


def stops(answer: dict[str, Any]) -> Iterator[str]:
    """What a run stops for, for stderr; nothing when it would not."""
    yield from (stop["message"] for stop in answer["stops"])
    if answer["exit_code"]:
        yield STOPPED.format(code=answer["exit_code"])
