"""Which calendar months does the sample company live through?

Tables read: none. Tables made: none. Days are whole numbers since 1970-01-01, months are
positions in the grid. The subtle point: the grid begins four years before the observation does
(customers who came and stayed) and runs a little past the extract (ends that were already
announced).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

HISTORY_MONTHS = 48  # customers joined for up to four years before the observation starts
LOOK_AHEAD_MONTHS = 3  # notice is at most 90 days, so later ends are unknown at the extract
EVENT_LEAD_MONTHS = 3  # usage, tickets and touches are on file for so long before the observation
SPARE_MONTHS = 26  # terms that end after the last month
NEVER = np.int64(2**31)


@dataclass(frozen=True)
class MonthGrid:
    """The months of one simulated world: first days, lengths, and the positions that matter."""

    first: np.ndarray
    length: np.ndarray
    month_of_year: np.ndarray
    observation: int
    end: int
    simulated: int

    @property
    def observation_day(self) -> int:
        """First day of the observation."""
        return int(self.first[self.observation])

    @property
    def extract_day(self) -> int:
        """Last day that the raw data know about."""
        return int(self.first[self.end]) - 1

    @property
    def first_event_month(self) -> int:
        """Position of the first month with usage, tickets and touches on file."""
        return self.observation - EVENT_LEAD_MONTHS

    def position(self, days: np.ndarray) -> np.ndarray:
        """Return the position of the month in which each day falls."""
        return np.searchsorted(self.first, days, side="right") - 1

    def boundary(self, months: np.ndarray | int, anchors: np.ndarray) -> np.ndarray:
        """Return the billing day in each month: the anchor day, at most the month's last."""
        return self.first[months] + np.minimum(anchors, self.length[months]) - 1

    def anchor(self, days: np.ndarray) -> np.ndarray:
        """Return the day of the month, 1 to 31, of each day."""
        return days - self.first[self.position(days)] + 1


def month_grid(start: date | str, months: int, look_ahead: int = LOOK_AHEAD_MONTHS) -> MonthGrid:
    """Return the grid around ``months`` calendar months of observation from ``start`` on."""
    begin = np.datetime64(str(start), "M")
    count = HISTORY_MONTHS + months + look_ahead
    names = begin - HISTORY_MONTHS + np.arange(count + SPARE_MONTHS + 1)
    first = names.astype("datetime64[D]").astype(np.int64)
    return MonthGrid(
        first=first,
        length=np.append(np.diff(first), 31),
        month_of_year=names.astype(np.int64) % 12 + 1,
        observation=HISTORY_MONTHS,
        end=HISTORY_MONTHS + months,
        simulated=count,
    )
