"""What is true of the sample company, for those who may know it: tests and the tutorial.

Tables read: ``truth.json`` beside the raw tables. Tables made: none. The subtle point: no module of
ours imports this one and no chapter may (import-linter and the house tests hold it), so no estimate
can be tuned to its answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.data import store
from pipeline.settings import ParameterError, Paths


@dataclass(frozen=True)
class KnownTruth:
    """The numbers that an estimate on the sample company should find."""

    survival: Mapping[str, Mapping[str, float]]
    log_hazard_ratios: Mapping[str, float]

    def retention(self, months: int, segment: str = "all") -> float:
        """Share of new customers still there after so many months: a lapse without a return.

        Args:
            months: one of the marks that were written down (3, 6, 12, 24, 36).
            segment: one segment, or `all`.

        Raises:
            ParameterError: nobody wrote that number down; says which there are.
        """
        marks = _written("segment", segment, self.survival)
        return _written("mark in months", str(months), marks)

    def hazard_ratio(self, driver: str) -> float:
        """Rate of leaving by choice with a driver over the rate without it, all else equal.

        For a driver that is measured, such as usage, by one standard deviation of it. Leaving for
        want of payment, or because a programme is over, does not know the driver.

        Raises:
            ParameterError: no such driver; says which there are.
        """
        return math.exp(_written("driver", driver, self.log_hazard_ratios))


def known_truth(paths: Paths) -> KnownTruth:
    """Read the truth of the sample company.

    Args:
        paths: of the company, as `chapter.paths` has them.

    Raises:
        ParameterError: the company has no written truth, as no real one has.
    """
    place = paths.raw / "truth.json"
    if not place.is_file():
        raise ParameterError(
            f"Nobody wrote down what is true of {paths.raw.name}: only the sample company is made "
            "up. Set `company: sample` in params.yaml, run `make report` and open this again."
        )
    written = store.read_json(place)
    return KnownTruth(written["survival"]["month_marks"], written["log_hazard_ratios"])


def _written(kind: str, name: str, values: Mapping[str, Any]) -> Any:
    if name not in values:
        raise ParameterError(f"The truth knows no {kind} {name!r}; it knows {', '.join(values)}.")
    return values[name]
