"""How long did each paid relationship last? Paid intervals to spells, gaps and lapses.

Rows of one account are laid end to end in order of their start; a gap of at most `grace_days`
does not end a spell, and in it the old MRR goes on. The subtle point: the open end is a day far
ahead, so that one running maximum finds every gap whatever overlaps or nests.
"""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from pipeline.data.schema import END_TYPES, UNKNOWN
from pipeline.data.slice import Slice

OPEN = dt.date(9999, 12, 31)
SIGN_UP_LEAD_DAYS = 30
"""A first row on the day the billing data begin, this long after sign-up, starts in mid-life."""


def chained(paid: ir.Table, grace_days: int) -> ir.Table:
    """Paid rows with the end of all earlier ones of the account, the gap before and the spell."""
    filled = paid.mutate(until=ibis.coalesce(paid.end_date, OPEN))
    order = [filled.start_date, filled.until, filled.subscription_id]
    reach = filled.until.max().over(
        ibis.window(group_by="account_id", order_by=order, rows=(None, 0))
    )
    reached = filled.mutate(reach=reach)
    before = reached.reach.lag().over(
        ibis.window(
            group_by="account_id",
            order_by=[reached.start_date, reached.until, reached.subscription_id],
        )
    )
    linked = reached.mutate(reached_before=before)
    gap = linked.start_date.delta(linked.reached_before, unit="day")
    linked = linked.mutate(gap_days=gap, opens=linked.reached_before.isnull() | (gap > grace_days))
    spell = (
        linked.opens.cast("int64")
        .sum()
        .over(
            ibis.window(
                group_by="account_id",
                order_by=[linked.start_date, linked.until, linked.subscription_id],
                rows=(None, 0),
            )
        )
    )
    return linked.mutate(spell=spell)


def lapses(rows: ir.Table) -> ir.Table:
    """One row per account and day on which its MRR fell to 0: its MRR before, end type, reason.

    `returned_on` is the first paid day after it, if there is one; `month` is the lapse's own.
    """
    gaps = rows.filter(rows.gap_days > 0).select(
        "account_id", lapse_date=rows.reached_before, returned_on=rows.start_date
    )
    last = rows.group_by("account_id").agg(lapse_date=rows.until.max())
    last = last.filter(last.lapse_date < OPEN).mutate(returned_on=ibis.null("date"))
    days = gaps.union(last.select("account_id", "lapse_date", "returned_on"), distinct=True)
    ending = rows.group_by("account_id", "until").agg(
        mrr=rows.mrr.sum().cast("decimal(18, 4)"),
        currency=rows.currency.max(),
        rank=_rank(rows.end_type).min(),
        end_reason=rows.end_reason.min(),
    )
    return days.join(
        ending, [days.account_id == ending.account_id, days.lapse_date == ending.until]
    ).select(
        days.account_id,
        days.lapse_date,
        days.returned_on,
        ending.mrr,
        ending.currency,
        end_type=_named(ending.rank),
        end_reason=ending.end_reason,
        month=days.lapse_date.strftime("%Y-%m"),
    )


def _rank(end_type: ir.StringValue) -> ir.IntegerValue:
    """The place of an end type in the order that decides between several on one day."""
    return ibis.cases(*[(end_type == name, place) for place, name in enumerate(END_TYPES)], else_=9)


def _named(rank: ir.IntegerValue) -> ir.StringValue:
    return ibis.cases(
        *[(rank == place, name) for place, name in enumerate(END_TYPES)], else_=UNKNOWN
    )


def bridges(rows: ir.Table, ended: ir.Table, grace_days: int) -> ir.Table:
    """One row per gap within the grace: the interval in which the old MRR goes on."""
    short = ended.filter(ended.returned_on.delta(ended.lapse_date, unit="day") <= grace_days)
    return short.select(
        "account_id", "mrr", "currency", start_date=short.lapse_date, until=short.returned_on
    )


def returns(ended: ir.Table, cut: Slice) -> ir.Table:
    """Table `returns`: each lapse by the as-of date, until its return or the last day known."""
    past = ended.filter(ended.lapse_date <= cut.as_of)
    gap = past.returned_on.delta(past.lapse_date, unit="day")
    has_returned = ((past.returned_on <= cut.as_of) | (gap <= cut.grace_days)).fill_null(False)
    last_known = cut.known_before - dt.timedelta(days=1)
    until = ibis.greatest(
        cut.as_of, ibis.least(last_known, past.lapse_date + ibis.interval(days=cut.grace_days))
    )
    observed = ibis.ifelse(has_returned, gap, until.cast("date").delta(past.lapse_date, unit="day"))
    return past.select(
        "account_id",
        "lapse_date",
        days_observed=observed.cast("int64"),
        has_returned=has_returned,
        mrr_lost=past.mrr_lost,
    )


def spells(rows: ir.Table, ended: ir.Table, signed: ir.Table, cut: Slice) -> ir.Table:
    """Table `spells`: start, lapse, end type, delayed entry and settled duration.

    `signed` has one row per account with `signed_up_date`.
    """
    billing_start = rows.start_date.min().as_scalar()
    own = rows.filter(~rows.is_later)
    starts = own.group_by("account_id", "spell").agg(start_date=own.start_date.min())
    ends = rows.group_by("account_id", "spell").agg(until=rows.until.max())
    spans = starts.join(ends, ["account_id", "spell"])
    joined = spans.left_join(
        ended, [spans.account_id == ended.account_id, spans.until == ended.lapse_date]
    ).select(spans, ended.lapse_date, ended.end_type, ended.end_reason, ended.mrr_lost)
    joined = joined.left_join(signed, "account_id").drop("account_id_right")
    first = joined.group_by("account_id").agg(first_paid=joined.start_date.min())
    joined = joined.join(first, "account_id")
    lead = joined.first_paid.delta(joined.signed_up_date, unit="day")
    is_cut = (joined.first_paid == billing_start) & (lead > SIGN_UP_LEAD_DAYS)
    return _with_ages(joined.mutate(is_age_known=~is_cut.fill_null(False)), cut)


def _with_ages(joined: ir.Table, cut: Slice) -> ir.Table:
    """Ages in days at entry and at the lapse or the cut-off."""
    settled = (joined.lapse_date <= cut.cut_off).fill_null(False)
    stop = ibis.ifelse(settled, joined.lapse_date, cut.cut_off)
    duration = stop.cast("date").delta(joined.start_date, unit="day").cast("int64")
    entry = ibis.literal(0, "int64")
    if cut.observation_start:
        start = ibis.literal(cut.observation_start)
        entry = ibis.greatest(0, start.delta(joined.start_date, unit="day")).cast("int64")
    return joined.select(
        "account_id",
        "spell",
        "start_date",
        "lapse_date",
        "end_type",
        "end_reason",
        "mrr_lost",
        entry_days=entry,
        duration_days=duration,
        is_churn=settled,
        is_age_known=joined.is_age_known,
        is_followed=duration > entry,
    )
