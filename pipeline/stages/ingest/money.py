"""What is an amount worth? Minor units, currencies, and a price level that jumps.

Amounts are exact decimals from the first cell to the last sum. A source that counts in cents says
so; how many make a unit is a matter of the row's own currency. The subtle point: a month whose new
prices stand 100 times higher than the year before has changed its unit, not its customers.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd

from pipeline.data.reading import EXAMPLES, FILE, LINE
from pipeline.data.schema import MONEY, Table
from pipeline.settings import Settings, SourceTable
from pipeline.stages.rules import TEXT

USUAL_DIGITS = 2
MINOR_DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI",
         "VND", "VUV", "XAF", "XOF", "XPF"), 0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMN", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""Decimals of a currency, ISO 4217 list one; every other has two."""
KEPT_DECIMALS = 4
ROUNDED = "row__rounded"
LEAST_ROWS, LEAST_BEFORE, MONTHS_BEFORE = 5, 20, 12
"""A month is judged by at least so many new rows, against at least so many of the year before."""


def in_units(rows: ir.Table, table: Table, source: SourceTable, settings: Settings) -> ir.Table:
    """Amounts in units of their currency, percentages as shares; `row__rounded` where digits go."""
    found = {}
    for name, unit in source.units.items():
        if name not in rows.columns:
            continue
        if unit == "percent":
            found[name] = rows[name] / 100
        else:
            found[name] = (rows[name] * _unit_of(rows, settings)).round(KEPT_DECIMALS).cast(MONEY)
    is_rounded = ibis.literal(False)
    for name in table.columns:
        if name in rows.columns and table.kind(name) == "money":
            digits = KEPT_DECIMALS - (USUAL_DIGITS if source.units.get(name) == "cents" else 0)
            long = rf"[{source.decimal}][0-9]{{{digits}}}[0-9]*[1-9]\s*$"
            is_rounded = is_rounded | rows[name + TEXT].re_search(long).fill_null(False)
    return rows.mutate(**found, **{ROUNDED: is_rounded})


def _unit_of(rows: ir.Table, settings: Settings) -> ir.DecimalValue:
    """What one minor unit of the row's currency is worth in units of it."""
    own = ibis.literal(settings.currency)
    code = ibis.coalesce(rows.currency, own) if "currency" in rows.columns else own
    steps = [
        (code.isin([each for each, n in MINOR_DIGITS.items() if n == digits]), _minor(digits))
        for digits in sorted(set(MINOR_DIGITS.values()))
    ]
    return ibis.cases(*steps, else_=_minor(USUAL_DIGITS))


def _minor(digits: int) -> ir.DecimalScalar:
    return ibis.literal(Decimal(10) ** -digits, type="decimal(6, 4)")


def without_rates(rows: ir.Table, table: Table, settings: Settings) -> str:
    """Names the rows in a currency other than the company's that has no rates; empty: none is."""
    if "currency" not in rows.columns:
        return ""
    known = {settings.currency, *settings.fx}
    foreign = rows.filter(rows.currency.notnull() & ~rows.currency.isin(sorted(known)))
    found = foreign.select(FILE, LINE, "currency").order_by(FILE, LINE).limit(EXAMPLES)
    rows_found = found.to_pyarrow().to_pylist()
    if not rows_found:
        return ""
    examples = "\n  ".join(f"{row[FILE]} line {row[LINE]}: {row['currency']}" for row in rows_found)
    return (
        f"{foreign.count().execute()} {table.name} are in a currency without rates:\n  {examples}"
        f"\nThe company's currency is {settings.currency}. Give rates in fx or map the values."
    )


def level_shifts(rows: ir.Table, currency: str) -> pd.DataFrame:
    """Months whose usual new price is far from that of the 12 months before.

    Takes subscriptions (start_date, mrr, currency). Gives one row per month and currency that has
    rows enough: month (its first day), currency, n, median, median_before, factor (at least 1).
    """
    paid = rows.filter(rows.mrr > 0)
    own = ibis.literal(currency)
    codes = ibis.coalesce(paid.currency, own) if "currency" in paid.columns else own
    prices = paid.select(
        month=paid.start_date.truncate("M"), currency=codes, mrr=paid.mrr.cast("float64")
    ).to_pandas()
    found = []
    for code, own in prices.groupby("currency"):
        months = {month: part["mrr"] for month, part in own.groupby("month")}
        for month, new in sorted(months.items()):
            first = pd.Timestamp(month) - pd.DateOffset(months=MONTHS_BEFORE)
            earlier = [
                part for other, part in months.items() if first <= pd.Timestamp(other) < month
            ]
            before = pd.concat(earlier) if earlier else pd.Series(dtype=float)
            if len(new) >= LEAST_ROWS and len(before) >= LEAST_BEFORE:
                ratio = new.median() / before.median()
                shift = max(ratio, 1 / ratio)
                found.append(
                    (pd.Timestamp(month), code, len(new), new.median(), before.median(), shift)
                )
    names = ["month", "currency", "n", "median", "median_before", "factor"]
    return pd.DataFrame(found, columns=names)


def shift_message(shifts: pd.DataFrame, limit: float) -> str:
    """What jumped, by how much, why that stops the run and what to do."""
    lines = "\n  ".join(
        f"{row.month:%Y-%m}: {row.n} new rows at a usual {row.median:g} {row.currency}, "
        f"{row.median_before:g} in the 12 months before"
        for row in shifts.head(EXAMPLES).itertuples()
    )
    return (
        f"subscriptions: the level of prices jumps by more than {limit:g} times in {len(shifts)} "
        f"month(s):\n  {lines}\nIs mrr in cents there? Mend the export or declare units; when the "
        "prices are right, raise quarantine.level_shift_stops_above."
    )


def starts_in(rows: ir.Table, months: list[dt.date]) -> ir.Table:
    """Paid rows that start in one of the months."""
    return rows.filter((rows.mrr > 0) & rows.start_date.truncate("M").isin(months))
