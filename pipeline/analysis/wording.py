"""How are numbers said? The part of a writer of numbers that sentences need; it is passed in.

Works on nothing. The subtle point: analysis knows no wording of its own, so a sentence is put
together there, and each number in it is said by whoever shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Words(Protocol):
    """How numbers are said; the notebook passes pipeline.reporting.words."""

    def label(self, name: str) -> str:
        """A name of ours in words: `gross_account_churn_rate` as its headline's label."""

    def listing(self, words: Sequence[str]) -> str:
        """`one, two and three`."""

    def share(self, value: float, decimals: int = 1) -> str:
        """0.1234 as `12.3 %`."""

    def number(self, value: float) -> str:
        """2.1249 as `2.12`."""

    def count(self, value: float) -> str:
        """1234 as `1,234`."""

    def counted(self, value: float, one: str, many: str = "") -> str:
        """`1 customer`, `1,234 customers`."""

    def money(self, value: float, currency: str) -> str:
        """305000 as `USD 305,000`."""

    def interval(self, low: float, high: float, kind: str = "share", currency: str = "") -> str:
        """`12.1 % to 13.0 %`."""

    def with_interval(
        self, estimate: float, low: float, high: float, kind: str = "share", currency: str = ""
    ) -> str:
        """`12.1 % (11.0 % to 13.0 %)`."""

    def months(self, value: float) -> str:
        """23.42 as `23.4 months`."""

    def say(self, value: float, kind: str, currency: str = "") -> str:
        """A number in the words of its unit."""

    def change(
        self, value: float, kind: str = "share", currency: str = "", *, arrow: bool = True
    ) -> str:
        """A difference in words: `up 1.2 points`."""

    def kind_of(self, unit: str, *values: float) -> str:
        """How finely numbers of a unit are said."""

    def p_value(self, value: float) -> str:
        """0.0341 as `0.034`."""

    def day(self, value: Any) -> str:
        """A date as `31 October 2026`."""

    def month(self, period: str) -> str:
        """`2026-10` as `October 2026`."""
