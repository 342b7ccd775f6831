"""What was known, and until when? The dates of one period's slice.

A slice holds what is known before `known_before` and dated up to the as-of date, plus, per lapse,
the day of a return within the grace. Every date follows from the period's name and the extract
date, never from the clock.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.settings import Paths, Period, Settings

ONE_DAY = dt.timedelta(days=1)
FILE_NAME = "slice.json"


class NotDueError(Exception):
    """The period's month has not ended in the data (exit code 75)."""


@dataclass(frozen=True)
class Slice:
    """The dates that decide what a period's report may know."""

    period: Period
    extract_date: dt.date
    observation_start: dt.date | None
    grace_days: int
    close_lag_days: int
    tenure_unit: str | None = None
    is_money_known: bool = True

    def __repr__(self) -> str:
        return (
            f"Slice({str(self.period)!r}, {self.status}, as of {self.as_of}, "
            f"cut-off {self.cut_off}, grace {self.grace_days} days)"
        )

    @property
    def is_flat(self) -> bool:
        """The data are a flat file of tenures: no date in them but the day of the file."""
        return self.tenure_unit is not None

    @property
    def as_of(self) -> dt.date:
        """Last day of the period."""
        return self.period.as_of

    @property
    def close(self) -> dt.date:
        """From its midnight on the month is settled."""
        return self.as_of + dt.timedelta(days=self.grace_days + self.close_lag_days) + ONE_DAY

    @property
    def known_before(self) -> dt.date:
        """Facts known on this day or later do not enter."""
        return min(self.close, self.extract_date + ONE_DAY)

    @property
    def cut_off(self) -> dt.date:
        """Analysis cut-off: models use settled time only, up to it."""
        settled = self.extract_date - dt.timedelta(days=self.grace_days + self.close_lag_days)
        return min(self.as_of, settled)

    @property
    def is_final(self) -> bool:
        """The extract reaches the close."""
        return self.extract_date >= self.close - ONE_DAY

    @property
    def status(self) -> str:
        """`final` from the close on, `provisional` before."""
        return "final" if self.is_final else "provisional"


def slice_of(period: Period, extract_date: dt.date, settings: Settings) -> Slice:
    """The slice of a period; NotDueError when the data end before the month does."""
    if period.as_of > extract_date:
        raise NotDueError(
            f"{period} is not due: its last day is {period.as_of}, the data end on {extract_date}. "
            "There is no report of an unfinished month."
        )
    if settings.source.shape == "tenure" and period.shift(1).as_of <= extract_date:
        raise NotDueError(
            f"{period} has no report: a flat file (shape: tenure) speaks of one day, and the "
            f"newest month that ended by {extract_date} is a later one."
        )
    return Slice(
        period,
        extract_date,
        settings.observation_start,
        settings.grace_days,
        settings.close_lag_days,
        settings.source.tenure_unit,
    )


def periods(paths: Paths) -> list[str]:
    """The periods that have a snapshot, from the oldest on."""
    return sorted(place.parent.name for place in paths.processed.glob(f"snapshot/*/{FILE_NAME}"))


def write(cut: Slice, folder: Path) -> None:
    """Write the slice's dates beside its tables."""
    content: dict[str, Any] = dataclasses.asdict(cut) | {"period": str(cut.period)}
    for name in ("extract_date", "observation_start"):
        content[name] = content[name].isoformat() if content[name] else None
    # A later extract must not touch a slice that is already closed.
    content["extract_date"] = min(cut.extract_date, cut.close - ONE_DAY).isoformat()
    if not cut.is_flat:
        del content["tenure_unit"], content["is_money_known"]
    store.write_json(content, folder / FILE_NAME)


def read(folder: Path) -> Slice:
    """Read the slice of a snapshot folder."""
    content = store.read_json(folder / FILE_NAME)
    start = content["observation_start"]
    return Slice(
        Period(content["period"]),
        dt.date.fromisoformat(content["extract_date"]),
        dt.date.fromisoformat(start) if start else None,
        content["grace_days"],
        content["close_lag_days"],
        content.get("tenure_unit"),
        content.get("is_money_known", True),
    )
