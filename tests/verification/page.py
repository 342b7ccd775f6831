"""How is the study told? The text of docs/verification.md, made from checks and nothing else."""

from __future__ import annotations

import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

from tests.verification.results import Check

PACKAGES = ("numpy", "scipy", "pandas", "statsmodels", "lifelines")
HEADER = """# Verification

Are the numbers of the report right where the truth is known? Worlds are drawn from the simulator's
own process, looked at as a company sees them, and handed to the functions that the chapters call.
`make verify` draws them again and writes this page; it fails when a check does not hold.

Every share of replications has a Monte Carlo error of its own, in the column that says so: with
1,000 replications that of a true coverage of 95 % is 0.7 points, and a band of 93 to 97 % is 2.9
errors on either side; fewer replications than the study's own widen a band by the square root.
Where a rule differs from a usual one, the check says why. An *independent study* is an earlier
simulation of the same process on nominal months, written apart from this code; its figures are
shown to compare, all others are computed by the command.

| | |
|---|---|
"""


def page(checks: list[Check], seed: int, day: str) -> str:
    """The whole page as Markdown."""
    held = sum(check.held for check in checks)
    facts = {
        "seed": seed,
        "date": day,
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "checks that held": f"{held} of {len(checks)}",
    }
    lines = [f"| {name} | {value} |" for name, value in facts.items()]
    overview = ["\n| check | what | replications | held |\n|---|---|---|---|"]
    overview += [
        f"| {check.name} | {check.title} | {check.replications:,} | {_word(check.held)} |"
        for check in checks
    ]
    return HEADER + "\n".join([*lines, *overview, *map(_section, checks)]) + "\n"


def _section(check: Check) -> str:
    parts = [
        f"\n## {check.name} {check.title}",
        f"\nRule: {check.rule}. Replications: {check.replications:,}. "
        f"Held: {_word(check.held)}. {check.note}".rstrip(),
        f"\n{table(check.rows)}",
    ]
    return "\n".join(parts)


def table(rows: pd.DataFrame) -> str:
    """A frame as a Markdown table."""
    names = [str(name).replace("_", " ") for name in rows.columns]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    cells = [[_cell(value) for value in row] for row in rows.itertuples(index=False)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in cells])


def _cell(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return _word(bool(value))
    if not isinstance(value, int | float | np.number):
        return str(value)
    if not np.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) >= 10:
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.0005:
        return f"{value:.0e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"


def _word(held: bool) -> str:
    return "yes" if held else "**no**"
