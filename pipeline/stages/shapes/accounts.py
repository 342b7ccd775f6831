"""Who are the accounts, where subscriptions of another shape name them?

Works on rows of accounts and of the typed subscriptions; makes one row per account with a sign-up
date. The subtle point: what was so at signing is taken from the earliest row, what is so today from
the latest.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from pipeline.data.reading import FILE, LINE
from pipeline.settings import Settings
from pipeline.stages.rules import KNOWN_ON, TEXT
from pipeline.stages.shapes.conversion import start_of
from pipeline.stages.shapes.days import placed_on
from pipeline.stages.shapes.received import CHANGES, MONTHLY, TENURE


def first_days(typed: ir.Table, settings: Settings) -> ir.Table:
    """One row per account: the first day that its subscriptions, typed and not yet judged, name."""
    shape = settings.source.shape
    if shape == TENURE:
        unit = settings.source.tables["subscriptions"].tenure_unit or "days"
        day = start_of(typed, unit, placed_on(typed, settings))
    else:
        day = typed.period if shape == MONTHLY else typed.effective_date.date()
    dated = typed.mutate(first_day=day)
    dated = dated.filter(dated.account_id.notnull() & dated.first_day.notnull())
    return dated.group_by("account_id").agg(first_day=dated.first_day.min())


def with_sign_up(accounts: ir.Table, days: ir.Table, settings: Settings) -> ir.Table:
    """Accounts with the first day of their subscriptions where the source knows no sign-up.

    A flat file's days are placed, so they stand for every account. Of several rows of an account
    that come from its subscriptions' export the earliest speaks.
    """
    if "signed_up_date" not in accounts.columns:
        accounts = accounts.mutate(
            signed_up_date=ibis.null("date"), **{"signed_up_date" + TEXT: ibis.literal("")}
        )
    joined = accounts.left_join(days, "account_id", rname="other_{name}").drop("other_account_id")
    own, first = joined.signed_up_date, joined.first_day
    is_flat = settings.source.shape == TENURE
    day = ibis.coalesce(first, own) if is_flat else ibis.coalesce(own, first)
    written = joined["signed_up_date" + TEXT]
    shown = ibis.ifelse(written.fill_null("") == "", day.cast(str), written)
    dated = joined.mutate(
        **{
            "signed_up_date": day,
            "signed_up_date" + TEXT: shown,
            KNOWN_ON: day if is_flat else ibis.coalesce(joined[KNOWN_ON], day),
        }
    )
    return dated.drop("first_day")


def one_per_account(
    accounts: ir.Table, typed: ir.Table, settings: Settings, todays: list[str]
) -> ir.Table:
    """One row per account out of an export with a row per month or change.

    `typed` are the subscriptions of the same export. What was so at signing is taken from the
    earliest row of the account, an attribute of today (`todays`) from its latest.
    """
    time = {MONTHLY: "period", CHANGES: "effective_date", TENURE: "tenure"}[settings.source.shape]
    moments = typed.select(FILE, LINE, moment=typed[time])
    rows = accounts.join(moments, [FILE, LINE])
    rows = rows.filter(rows.account_id.notnull() & rows.moment.notnull())
    order = [rows.moment, rows[FILE], rows[LINE]]
    window = ibis.window(group_by="account_id", order_by=order)
    whole = ibis.window(group_by="account_id", order_by=order, rows=(None, None))
    latest = {name: rows[name].last().over(whole) for name in todays if name in rows.columns}
    ranked = rows.mutate(place=ibis.row_number().over(window), **latest)
    return ranked.filter(ranked.place == 0).drop("place", "moment")
