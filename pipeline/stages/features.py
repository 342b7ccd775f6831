"""What was known of each account before each month began? Account-months with as-of features.

One row per customer and month; the outcome lies in the month, every feature before its first day.
From an account's notice on its features stand still (blackout): they are taken as of the first of
the month in which it gave notice. A feature whose table is absent is empty, never zero. The subtle
point: every as-of day is the first of a month, so an event is counted in at the first one after it
is known and out at the first one after it ended, and no account-month is ever paired with all the
events of its account: the cost is that of sorting the events once. What counts for some days only
is put beside the few as-of days that it reaches.
"""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from pipeline.data.engine import Keep
from pipeline.data.schema import UNKNOWN
from pipeline.data.slice import Slice

PLAY_DAYS = 90
CHAMPION_DAYS = 90
SURVEY_DAYS = 180
SHORTEST_MONTH = 28
PROMOTER, PASSIVE = 9, 7
"""Lowest scores of a promoter and of a passive; Reichheld 2003."""
STAYED_ON = ("completed", "administrative")
"""Ends that are no churn for drivers: else reaching success would predict leaving."""


Feature = Callable[[ir.Table, ir.Table, ir.Table | None, Keep], ir.Table]
KEPT_AFTER = ("usage", "touches", "surveys")
"""Tables whose features close a step: of all joins at once, and the sort, memory has no room."""


def account_months(
    at_marks: ir.Table,
    ledger: ir.Table,
    spells: ir.Table,
    events: dict[str, ir.Table],
    cut: Slice,
    keep: Keep,
) -> ir.Table:
    """Table `account_months`; `events` are the raw tables of the slice by name, usage by month."""
    grid = keep(_grid(at_marks, spells), "grid")
    rows = _with_outcome(grid, ledger, cut)
    for name, (needed, feature) in FEATURES.items():
        table = events.get(name)
        is_given = table is not None and needed <= set(table.columns)
        rows = feature(rows, grid, table if is_given else None, keep)
        rows = keep(rows, "months") if name in KEPT_AFTER else rows
    return rows.drop("p0", "asof", "month_before", "month_before_that")


def _grid(at_marks: ir.Table, spells: ir.Table) -> ir.Table:
    """Account × month with `asof`, the day before which features must be known."""
    first = spells.group_by("account_id").agg(
        first_paid=spells.start_date.min(), is_age_known=spells.is_age_known.all()
    )
    rows = at_marks.join(first, "account_id")
    months = (rows.p0.year() - rows.first_paid.year()) * 12 + (
        rows.p0.month() - rows.first_paid.month()
    )
    tenure = months - (rows.first_paid.day() > 1).cast("int64")
    asof = ibis.ifelse(rows.is_in_notice, rows.notice_date.truncate("month"), rows.p0).cast("date")
    rows = rows.mutate(tenure_months=ibis.greatest(tenure, 0).cast("int64"), asof=asof)
    return rows.select(
        "account_id", "period", "p0", "asof", "tenure_months", "is_age_known", "is_in_notice",
        "mrr", "seats", is_due_for_renewal="is_due",
        month_before=(rows.asof - ibis.interval(months=1)).strftime("%Y-%m"),
        month_before_that=(rows.asof - ibis.interval(months=2)).strftime("%Y-%m"),
    )  # fmt: skip


def _with_outcome(grid: ir.Table, ledger: ir.Table, cut: Slice) -> ir.Table:
    outcome = ledger.select("account_id", "period", "movement", "end_type", "is_settled")
    rows = grid.left_join(outcome, ["account_id", "period"]).drop(
        "account_id_right", "period_right"
    )
    is_churn = (rows.movement == "churn") & ~rows.end_type.fill_null(UNKNOWN).isin(STAYED_ON)
    is_past = rows.period <= str(cut.period)
    return rows.mutate(
        is_churn=ibis.ifelse(is_past, is_churn, None),
        is_settled=rows.is_settled.fill_null(False),
    ).drop("movement")


def _has_value(rows: ir.Table, grid: ir.Table, values: ir.Table | None, keep: Keep) -> ir.Table:
    """`values`: one row per account with `first_value_date` and the day it was `known_on`."""
    if values is None:
        return rows.mutate(has_value=ibis.null("boolean"))
    first = values.select("account_id", "first_value_date", value_known_on="known_on")
    joined = rows.left_join(first, "account_id").drop("account_id_right")
    reached = (joined.first_value_date < joined.asof) & (joined.value_known_on < joined.asof)
    return joined.mutate(has_value=reached.fill_null(False)).drop(
        "first_value_date", "value_known_on"
    )


def with_month(usage: ir.Table) -> ir.Table:
    """USAGE_MONTHS of several files, each row with the `month` that its `filename` names."""
    month = usage.filename.re_extract(r"([0-9]{4}-[0-9]{2})\.parquet$", 1)
    return usage.mutate(month=month).drop("filename")


def _usage(rows: ir.Table, grid: ir.Table, usage: ir.Table | None, keep: Keep) -> ir.Table:
    """`usage`: USAGE_MONTHS with the column `month`; a month without events on file is missing."""
    names = {
        "usage_events": "n_events", "usage_days": "active_days", "usage_users": "n_users",
    }  # fmt: skip
    if usage is None:
        absent = {name: ibis.null("int64") for name in (*names, "usage_days_change")}
        return rows.mutate(**absent)
    tracked = usage.select("month").distinct()
    last = usage.select("account_id", month_before="month", **names)
    earlier = usage.select("account_id", month_before_that="month", earlier_days="active_days")
    joined = _left(rows, last, ["account_id", "month_before"])
    joined = _left(joined, earlier, ["account_id", "month_before_that"])
    has_last = joined.month_before.isin(tracked.month)
    has_both = has_last & joined.month_before_that.isin(tracked.month)
    counts = {name: ibis.ifelse(has_last, joined[name].fill_null(0), None) for name in names}
    change = joined.usage_days.fill_null(0) - joined.earlier_days.fill_null(0)
    return joined.mutate(**counts, usage_days_change=ibis.ifelse(has_both, change, None)).drop(
        "earlier_days"
    )


def _left(rows: ir.Table, other: ir.Table, keys: list[str]) -> ir.Table:
    joined = rows.left_join(other, keys)
    return joined.drop(*[f"{key}_right" for key in keys])


def _counted(name: str) -> Feature:
    """A feature: how many rows of a table became known in the month before."""

    def feature(rows: ir.Table, grid: ir.Table, events: ir.Table | None, keep: Keep) -> ir.Table:
        if events is None:
            return rows.mutate(**{name: ibis.null("int64")})
        counts = events.group_by("account_id", month_before=events.known_on.strftime("%Y-%m")).agg(
            **{name: events.count().cast("int64")}
        )
        joined = _left(rows, counts, ["account_id", "month_before"])
        return joined.mutate(**{name: joined[name].fill_null(0)})

    return feature


def _tickets(rows: ir.Table, grid: ir.Table, tickets: ir.Table | None, keep: Keep) -> ir.Table:
    rows = _counted("tickets")(rows, grid, tickets, keep)
    if tickets is None or "resolved_at" not in tickets.columns:
        return rows.mutate(open_tickets=ibis.null("int64"))
    running = tickets_open(grid, tickets)
    is_open = keep(running.filter(running.n_running > 0), "open_tickets")
    joined = _left(rows, is_open, ["account_id", "asof"])
    return joined.mutate(open_tickets=joined.n_running.fill_null(0)).drop("n_running")


def tickets_open(grid: ir.Table, tickets: ir.Table) -> ir.Table:
    """How many tickets of an account were known and not resolved at each as-of day.

    Args:
        grid: One row per account and as-of day `asof`, the first of a month.
        tickets: `account_id`, `known_on`, `resolved_at`.
    """
    spans = tickets.select(
        "account_id", entered_on=tickets.known_on, left_on=tickets.resolved_at.cast("date")
    )
    return _n_running(grid, spans)


def _n_running(grid: ir.Table, spans: ir.Table) -> ir.Table:
    """How many spans of the account run at each as-of day of the grid: `n_running`.

    A span runs from the day after `entered_on` through `left_on`, empty: without end. One row per
    account and as-of day, besides days on which a count changes. One sum over sorted changes.
    """
    known = spans.filter(spans.entered_on.notnull())
    ended = known.filter(known.left_on.notnull())
    entered = known.select("account_id", asof=_next_first(known.entered_on), change=_change(1))
    left = ended.select(
        "account_id",
        asof=_next_first(ibis.greatest(ended.entered_on, ended.left_on)),
        change=_change(-1),
    )
    marks = grid.select("account_id", "asof", change=_change(0))
    every = entered.union(left).union(marks)
    changes = every.group_by("account_id", "asof").agg(change=every.change.sum())
    so_far = ibis.window(group_by="account_id", order_by="asof", rows=(None, 0))
    return changes.select(
        "account_id", "asof", n_running=changes.change.sum().over(so_far).cast("int64")
    )


def _change(number: int) -> ir.IntegerScalar:
    return ibis.literal(number, "int64")


def _next_first(day: ir.DateValue) -> ir.DateValue:
    """The first of the month after a day: the first as-of day that may know of it."""
    return (day.truncate("month") + ibis.interval(months=1)).cast("date")


def _happened(name: str, moment: Callable[[ir.Table], ir.DateValue], days: int) -> Feature:
    """A feature: did something happen in the days before, known by then?"""

    def feature(rows: ir.Table, grid: ir.Table, events: ir.Table | None, keep: Keep) -> ir.Table:
        if events is None:
            return rows.mutate(**{name: ibis.null("boolean")})
        dated = events.select("account_id", "known_on", day=moment(events))
        reached = _reached(dated, days).select("account_id", "asof").distinct()
        joined = _left(rows, reached.mutate(has_happened=True), ["account_id", "asof"])
        return joined.mutate(**{name: joined.has_happened.notnull()}).drop("has_happened")

    return feature


def _reached(dated: ir.Table, days: int) -> ir.Table:
    """One row per event and as-of day `asof` at most so many days after its `day`, once known.

    Events without either day reach none.
    """
    ahead = ibis.memtable(pa.table({"ahead": range(days // SHORTEST_MONTH + 1)}))
    there = dated.filter(dated.day.notnull(), dated.known_on.notnull())
    first = _next_first(ibis.greatest(there.day, there.known_on))
    spread = there.mutate(first=first).cross_join(ahead)
    spread = spread.mutate(asof=(spread.first + spread.ahead.as_interval("M")).cast("date"))
    return spread.filter(spread.asof.delta(spread.day, unit="day") <= days)


def _nps(rows: ir.Table, grid: ir.Table, surveys: ir.Table | None, keep: Keep) -> ir.Table:
    """The latest NPS answer of the account in the days before, whoever gave it."""
    if surveys is None:
        return rows.mutate(nps_band=ibis.null(str))
    answers = surveys.filter(surveys.kind == "nps").select(
        "account_id", "response_id", "score", "known_on", day=surveys.responded_at.date()
    )
    recent = _reached(answers, SURVEY_DAYS).semi_join(grid, ["account_id", "asof"])
    newest = ibis.row_number().over(
        group_by=["account_id", "asof"], order_by=[recent.day.desc(), recent.response_id.desc()]
    )
    latest = recent.mutate(newest=newest).filter(ibis._.newest == 0)
    band = ibis.cases(
        (latest.score >= PROMOTER, "promoter"),
        (latest.score >= PASSIVE, "passive"),
        else_="detractor",
    )
    bands = keep(latest.select("account_id", "asof", nps_band=band), "nps_bands")
    joined = _left(rows, bands, ["account_id", "asof"])
    return joined.mutate(nps_band=joined.nps_band.fill_null("no_answer"))


def _champion_left(contacts: ir.Table) -> ir.DateValue:
    return ibis.ifelse(contacts.role == "champion", contacts.active_to, None)


FEATURES: dict[str, tuple[set[str], Feature]] = {
    "values": (set(), _has_value),
    "usage": (set(), _usage),
    "tickets": (set(), _tickets),
    "touches": (set(), _counted("touches")),
    "plays": (
        {"started_at"},
        _happened("is_play_active", lambda plays: plays.started_at.date(), PLAY_DAYS),
    ),
    "contacts": (
        {"role", "active_to"},
        _happened("is_champion_lost", _champion_left, CHAMPION_DAYS),
    ),
    "surveys": ({"kind", "responded_at", "score"}, _nps),
}
"""By table: the columns it must have, and its feature; in the order of the columns."""
