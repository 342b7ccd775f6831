"""Which days do subscriptions of a shape speak of, and is none missing?

Works on rows of the shape; makes the day to which the data reach, and stops for a ledger without a
month. The subtle point: everybody would seem to leave in a month of which a ledger says nothing.
"""

from __future__ import annotations

import datetime as dt

import ibis
import ibis.expr.types as ir

from pipeline.data import reading
from pipeline.data.reading import DataError
from pipeline.data.slice import Slice
from pipeline.settings import Period, Settings
from pipeline.stages.shapes.received import CHANGES, INTERVALS, MONTHLY, TENURE


def extract_date_of(rows: ir.Table, settings: Settings) -> dt.date | None:
    """The last day that subscriptions of this shape speak of; None when they do not say.

    A ledger's newest month speaks of its last day. A flat file has no date: `extract_date`, else
    the last day of the newest month listed in `periods`.
    """
    if settings.extract_date:
        return settings.extract_date
    shape = settings.source.shape
    if shape in (INTERVALS, CHANGES):
        return None
    recorded = rows.recorded_at.max().execute() if "recorded_at" in rows.columns else None
    if recorded is not None and recorded == recorded:
        return recorded.date()
    if shape == MONTHLY:
        newest = rows.start_date.max().execute() if "start_date" in rows.columns else None
        return None if newest is None or newest != newest else Period.of(newest).as_of
    if shape == TENURE and settings.periods:
        return Period(max(settings.periods)).as_of
    return None


def check_months(rows: ir.Table, settings: Settings) -> None:
    """DataError names the months in the middle of a ledger that have no row at all.

    Every customer would be lost in such a month and come back in the next.
    """
    if settings.source.shape != MONTHLY:
        return
    given = {Period.of(day) for day in rows.select("period").distinct().period.execute()}
    missing, month = [], min(given, default=None)
    while month and month < max(given):
        month = month.shift(1)
        missing += [] if month in given else [str(month)]
    if missing:
        raise DataError(
            f"The ledger has no row for {len(missing)} months between its first and its last: "
            f"{', '.join(missing[: reading.EXAMPLES])}. Everybody would seem to leave and to come "
            "back. Add the missing months; if nobody paid in them, give one row with mrr 0."
        )


def check_known(subscriptions: ir.Table, cut: Slice, settings: Settings) -> None:
    """DataError when a ledger says nothing of a month by the close of its report.

    Every customer would seem to have left in a month whose rows became known too late.
    """
    if settings.source.shape != MONTHLY:
        return
    own = subscriptions.filter(subscriptions.start_date == ibis.literal(cut.period.start))
    in_time = own.known_on.isnull() | (own.known_on < ibis.literal(cut.known_before))
    n_in_time = own.filter(in_time).count().execute()
    if not n_in_time:
        raise DataError(
            f"Of the ledger's {own.count().execute()} rows of {cut.period} none was known before "
            f"{cut.known_before}, when the month was closed: everybody would seem to have left. "
            "Raise close_lag_days to the days that the ledger takes, or map no recorded_at."
        )


def placed_on(rows: ir.Table, settings: Settings) -> dt.date:
    """The day on which every tenure of a flat file ends: the last of the newest month that ended.

    DataError when nothing says when the file was taken.
    """
    extract = extract_date_of(rows, settings)
    if extract is None:
        raise DataError(
            "A flat file (shape: tenure) has no date, and nothing says when it was taken. Set "
            "extract_date in params.yaml to that day, or list its month in periods."
        )
    month = Period.of(extract)
    return extract if extract == month.as_of else month.shift(-1).as_of
