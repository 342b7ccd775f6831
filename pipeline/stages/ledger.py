"""How much was every account worth at every month mark? Marks, and the movements between them.

A mark is the left limit at 00:00 of the first of a month: a paid row [start, end) counts when
start < mark ≤ end. The subtle point: each mark is valued twice, at the opening rate of the month
it closes and of the month it opens; `fx` leads from the first to the second at the start of a
month, so that movements carry no exchange effect and no month needs the next month's rate.
"""

from __future__ import annotations

from decimal import Decimal

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from pipeline.data.engine import Keep
from pipeline.data.reading import EXAMPLES, FILE, LINE, DataError
from pipeline.data.schema import MONEY, UNKNOWN
from pipeline.data.slice import Slice
from pipeline.settings import Period

RATE = pa.decimal128(19, 12)
"""With the digits of an amount, 18, as many as both engines multiply exactly."""
RATES = pa.schema([("rate_currency", pa.string()), ("rate_month", pa.string()), ("rate", RATE)])
FIRST_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def months_to_date(first: Period, last: Period) -> pd.DataFrame:
    """One row per month: period, p0, p1 and the period before."""
    names = []
    period = first
    while period <= last:
        names.append(period)
        period = period.shift(1)
    return pd.DataFrame(
        {
            "period": [str(name) for name in names],
            "before": [str(name.shift(-1)) for name in names],
            "p0": pd.to_datetime([name.start for name in names]).astype("datetime64[us]"),
            "p1": pd.to_datetime([name.end for name in names]).astype("datetime64[us]"),
        }
    )


def month_table(months: pd.DataFrame) -> ir.Table:
    """The months as a table of the engine, with dates."""
    table = ibis.memtable(months)
    return table.mutate(p0=table.p0.cast("date"), p1=table.p1.cast("date"))


def converted(
    rows: ir.Table, rates: dict[str, dict[str, float]], own: str, months: ir.Table
) -> ir.Table:
    """Month × paid row pairs at each mark, with `value` (opening rate) and `value_closing`."""
    pairs = rows.join(months, [rows.start_date < months.p0, months.p0 <= rows.until], how="inner")
    if not rates:
        return pairs.mutate(value=pairs.mrr, value_closing=pairs.mrr)
    both = in_own(pairs, rates, own, "period", "value")
    both = in_own(both, rates, own, "before", "value_closing")
    return both.mutate(value_closing=ibis.coalesce(both.value_closing, both.value))


def in_own(
    rows: ir.Table, rates: dict[str, dict[str, float]], own: str, month: str, name: str
) -> ir.Table:
    """`mrr` in the company's currency at a month's opening rate; empty where there is no rate.

    Rates are exact decimals too, as written: a tie then rounds away from zero on every engine.
    """
    if not rates:
        return rows.mutate(**{name: rows.mrr})
    listed = [
        {"rate_currency": code, "rate_month": at, "rate": round(Decimal(str(rate)), RATE.scale)}
        for code in rates
        for at, rate in rates[code].items()
    ]
    table = ibis.memtable(pa.Table.from_pylist(listed, schema=RATES))
    joined = rows.left_join(table, [("currency", "rate_currency"), (month, "rate_month")])
    is_own = joined.currency.isnull() | (joined.currency == own)
    value = ibis.ifelse(is_own, joined.mrr, (joined.mrr * joined.rate).round(4).cast(MONEY))
    return joined.mutate(**{name: value}).drop("rate_currency", "rate_month", "rate")


def check_rates(pairs: ir.Table, own: str, last: str) -> None:
    """DataError when a month up to `last` lacks the rate of a currency that is used in it."""
    missing = pairs.filter((pairs.currency != own) & pairs.value.isnull() & (pairs.period <= last))
    found = missing.select("currency", "period").distinct().order_by("currency", "period")
    names = [f"{row['currency']} in {row['period']}" for row in found.to_pyarrow().to_pylist()]
    if names:
        rows = missing.select(FILE, LINE).distinct().order_by(FILE, LINE)
        places = [f"{row[FILE]} line {row[LINE]}" for row in rows.to_pyarrow().to_pylist()]
        raise DataError(
            f"fx has no rate for {', '.join(names[:EXAMPLES])}: {len(places)} subscriptions cannot "
            f"be valued ({', '.join(places[:EXAMPLES])}). Give the opening rate of each month."
        )


def marks(pairs: ir.Table) -> ir.Table:
    """One row per account and mark at which it is a customer: value, terms and notice.

    `is_in_notice` when every paid row has a notice before the mark.
    """
    month = pairs.p0
    noticed = (pairs.notice_date < month).fill_null(False)
    opening = ibis.coalesce(pairs.value, pairs.value_closing)
    return pairs.group_by("account_id", "period", "p0", "p1").agg(
        mrr=opening.sum().cast(MONEY),
        mrr_closing=pairs.value_closing.sum().cast(MONEY),
        mrr_bridged=pairs.value_closing.sum(where=pairs.is_bridge).cast(MONEY),
        seats=pairs.seats.sum().cast("int64"),
        is_in_notice=(~noticed).sum() == 0,
        notice_date=pairs.notice_date.max(where=noticed),
        is_due=_is_due(pairs).any(),
        term_ends_on=pairs.term_ends_on.min(where=pairs.term_ends_on >= month),
    )


def _is_due(pairs: ir.Table) -> ir.BooleanValue:
    """The commitment ends in [P0, P1): by its term, else at the next billing boundary."""
    by_term = (pairs.term_ends_on >= pairs.p0) & (pairs.term_ends_on < pairs.p1)
    elapsed = (pairs.p0.year() - pairs.start_date.year()) * 12 + (
        pairs.p0.month() - pairs.start_date.month()
    )
    length = ibis.cases(*[(pairs.billing_interval == name, n) for name, n in FIRST_MONTHS.items()])
    by_billing = elapsed % length == 0
    return ibis.ifelse(pairs.term_ends_on.notnull(), by_term, by_billing)


def mrr_ledger(
    at_marks: ir.Table, spells: ir.Table, months: ir.Table, cut: Slice, keep: Keep
) -> ir.Table:
    """Table `mrr_ledger`: one row per month to date and account that was a customer in it."""
    opening = at_marks.select(
        "account_id",
        "period",
        mrr_start="mrr",
        fx=at_marks.mrr - at_marks.mrr_closing,
        is_due="is_due",
    )
    closes = months.select(closed="period", mark="p1")
    closing = at_marks.join(closes, at_marks.p0 == closes.mark)
    closing = closing.select(
        "account_id",
        period="closed",
        mrr_end="mrr_closing",
        mrr_bridged="mrr_bridged",
    )
    both = opening.outer_join(closing, ["account_id", "period"])
    both = both.select(
        account_id=ibis.coalesce(both.account_id, both.account_id_right),
        period=ibis.coalesce(both.period, both.period_right),
        mrr_start=_or_zero(both.mrr_start),
        mrr_end=_or_zero(both.mrr_end),
        fx=_or_zero(both.fx),
        mrr_bridged=_or_zero(both.mrr_bridged),
        is_due=both.is_due,
    )
    both = keep(both.filter(both.period <= str(cut.period)).join(months, "period"), "at_both_marks")
    both = both.union(_joined_and_left(both, spells, months)[both.columns])
    return _with_movements(both, spells, cut)


def _last_ends(spells: ir.Table) -> ir.Table:
    """One row per account and month in which a spell of it ended: how the last of them did."""
    ended = spells.filter(spells.lapse_date.notnull())
    ended = ended.mutate(period=ended.lapse_date.strftime("%Y-%m"))
    newest = ibis.row_number().over(
        group_by=["account_id", "period"], order_by=ended.lapse_date.desc()
    )
    last = ended.mutate(newest=newest).filter(lambda rows: rows.newest == 0)
    return last.select("account_id", "period", last_type=ibis.coalesce(last.end_type, UNKNOWN))


def _or_zero(amount: ir.DecimalValue) -> ir.DecimalValue:
    return ibis.coalesce(amount, 0).cast(MONEY)


def _joined_and_left(both: ir.Table, spells: ir.Table, months: ir.Table) -> ir.Table:
    """Accounts whose whole spell lies inside one month: in no snapshot, yet they were here."""
    brief = spells.join(
        months,
        [
            spells.start_date >= months.p0,
            spells.lapse_date < months.p1,
            spells.start_date < months.p1,
        ],
    )
    brief = brief.anti_join(both, ["account_id", "period"])
    zero = ibis.literal(0).cast(MONEY)
    return (
        brief.select("account_id", "period", "before", "p0", "p1")
        .distinct()
        .mutate(
            mrr_start=zero, mrr_end=zero, fx=zero, mrr_bridged=zero, is_due=ibis.null("boolean")
        )
    )


def _with_movements(both: ir.Table, spells: ir.Table, cut: Slice) -> ir.Table:
    first = spells.group_by("account_id").agg(first_paid=spells.start_date.min())
    rows = both.join(first, "account_id")
    opened, closed = rows.mrr_start, rows.mrr_end
    movement = ibis.cases(
        ((opened == 0) & (closed == 0), "joined_and_left"),
        ((opened == 0) & (rows.first_paid >= rows.p0), "new"),
        (opened == 0, "reactivation"),
        (closed == 0, "churn"),
        (closed > opened, "expansion"),
        (closed < opened, "contraction"),
        else_="retained",
    )
    rows = rows.mutate(movement=movement)
    with_end = rows.left_join(_last_ends(spells), ["account_id", "period"]).drop(
        "account_id_right", "period_right"
    )
    with_end = with_end.mutate(
        lapse_type=ibis.ifelse(with_end.movement == "churn", with_end.last_type, None)
    )
    is_due = ibis.ifelse(with_end.mrr_start > 0, with_end.is_due, False)
    return with_end.select(
        "period",
        "account_id",
        "mrr_start",
        "mrr_end",
        "fx",
        "movement",
        "mrr_bridged",
        end_type=with_end.lapse_type,
        is_due_for_renewal=is_due,
        is_settled=with_end.p1 - ibis.interval(days=1) <= ibis.literal(cut.cut_off),
    )
