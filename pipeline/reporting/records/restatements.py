"""Which figures are no longer what was first published, by how much, why and since when?

Reads the records of earlier publications and the ledgers of the slices; makes the rows of
`restatements`. The subtle point: why is computed, not guessed. What the slice of the later report
and the month's own slice say of the month differs by the rows recorded after its close, and by
nothing else. The rest is history that was rewritten, a definition or the code. Where the month's
own slice is gone nobody can tell these apart, and the reason says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.data import store
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import words
from pipeline.reporting.records import record
from pipeline.reporting.records.record import PROVISIONAL, Report
from pipeline.settings import Paths, Period

RESTATED = {"mrr_end": "revenue.mrr_bridge", "customers_end": "revenue.account_bridge"}
"""Figure of every month → the published table that has one row per month."""
LEDGER = "mrr_ledger.parquet"
LATE_ROWS, REWRITTEN = "late rows", "rewritten history"
FIRST_LOOK = "facts known since the first look"
NEW_DEFINITION, NEW_CODE = "new definition", "new code"
UNEXPLAINED = "not explained"
"""Facts, definition and code are the same, and still the figure is another one."""
NO_SLICE = "its slice is no longer here"
"""Without the month's own slice nobody can tell what the other reasons tell apart."""
CARRIED = ("reason", "of_which")
"""Fields of a restatement that hold still as long as the figure does; one is read by the other."""
DECIDED = ("plan_sha256", "code_sha256")
SMALLEST = 0.005
"""Half a cent: below it two amounts are the same to a reader."""
COUNTED = ("accounts", "currency per month", "currency per account")
"""Units whose figures are compared to the half cent; others as a reader sees them."""

Bridges = Mapping[str, Sequence[Mapping[str, str]]]


@dataclass(frozen=True)
class First:
    """A figure as its month's first publication had it, and the record of that publication."""

    estimate: float | None
    report: Report


@dataclass
class Restatements:
    """What moved, seen from the report of one period.

    Args:
        report: the record that is being made, with headline, plan and provenance.
        paths: where earlier reports and the slices are.
    """

    report: Report
    paths: Paths
    _published: dict[str, list[Report]] = field(default_factory=dict)

    def rows(self, bridges: Bridges, revision: int) -> list[Report]:
        """One row per month and figure that is not what was first published, oldest first.

        Args:
            bridges: rows of `revenue.mrr_bridge` and `revenue.account_bridge` by table name.
            revision: of the report that is being made.
        """
        here = {"period": self.report["period"], "revision": revision}
        moved = [*self._earlier_months(bridges), *self._own_month(bridges)]
        return [row | self._as_first_said(row, here) for row in moved]

    def first(self, period: str, metric: str) -> First | None:
        """A headline as the period's first publication had it; None when it was never published."""
        earlier = self._publications(period)
        for row in earlier[0]["headline"] if earlier else []:
            if row["name"] == metric:
                return First(row["estimate"], earlier[0])
        return None

    # What moved.

    def _earlier_months(self, bridges: Bridges) -> Iterator[Report]:
        for metric, table in RESTATED.items():
            for row in bridges.get(table, ()):
                if row["period"] == self.report["period"] or not row[metric]:
                    continue
                first = self.first(row["period"], metric)
                now = float(row[metric])
                if first and first.estimate is not None and _differs(metric, first.estimate, now):
                    late = self._came_late(row["period"], metric)
                    cause = self._cause(row["period"], first.report)
                    parts = _parts(now - first.estimate, late, cause)
                    yield _row(row["period"], metric, first, now, parts)

    def _own_month(self, bridges: Bridges) -> Iterator[Report]:
        """Every headline of the month itself, when it is published again."""
        period = self.report["period"]
        for headline in self.report["headline"]:
            metric, now = headline["name"], headline["estimate"]
            first = self.first(period, metric)
            if first and _differs(metric, first.estimate, now):
                cause = self._cause(period, first.report) or UNEXPLAINED
                yield _row(period, metric, first, now, {cause: _difference(first.estimate, now)})

    # Why.

    def _cause(self, period: str, first: Report) -> str:
        """What made the month's own figure another one; empty when nothing of it changed.

        Another definition comes before the slice's bytes: under it they are others although no
        history was rewritten. Without the slice nobody can tell more, and under other code nobody
        can tell rewritten history from it.
        """
        then, now = first["provenance"], self.report["provenance"]
        is_same = {key: then.get(key, now.get(key)) == now.get(key) for key in DECIDED}
        if not is_same["plan_sha256"]:
            return NEW_DEFINITION
        known = self._slice_of(period)
        if known is None:
            return NO_SLICE
        code = "" if is_same["code_sha256"] else NEW_CODE
        if known == then.get("slice_sha256"):
            return code
        if first["status"] == PROVISIONAL:
            return FIRST_LOOK
        return f"{REWRITTEN} or {code}" if code else REWRITTEN

    def _slice_of(self, period: str) -> str | None:
        """The hash of a month's slice as it stands today; None when a file of it is gone."""
        try:
            return record.slice_hash(record.inputs_of(Period(period), self.paths))
        except (store.MissingDataError, FileNotFoundError):
            return None

    def _came_late(self, period: str, metric: str) -> float | None:
        """What rows recorded after a month's close add to its figure.

        The figure in the slice of this report, less that in the month's own slice as it stands
        today. None when the ledger of one of them does not speak of the month.
        """
        slices = (self.report["period"], period)
        seen, own = (self._in_ledger(name, period, metric) for name in slices)
        return None if seen is None or own is None else _rounded(seen - own)

    def _in_ledger(self, slice_of: str, period: str, metric: str) -> float | None:
        path = self.paths.snapshot(Period(slice_of)) / LEDGER
        if not path.is_file():
            return None
        ledger = store.read_frame(path)
        closing = ledger.loc[ledger["period"] == period, "mrr_end"]
        if closing.empty:
            return None
        return float(closing.sum() if metric == "mrr_end" else (closing > 0).sum())

    # Since when.

    def _as_first_said(self, row: Report, here: Mapping[str, Any]) -> Report:
        """`since`, the first build that said what is said now, and the reason first given for it.

        Why a figure moved was decided when it moved: what changed later did not move it. A reason
        is taken with its parts or not at all: records of older code have no parts.
        """
        said = [
            (str(each["provenance"].get("built_at")), each["period"], each["revision"], known)
            for each in self._all_publications()
            for known in each.get("restatements", ())
            if all(known[key] == row[key] for key in ("period", "metric", "now"))
        ]
        if not said:
            return {"since": dict(here)}
        said.sort(key=lambda each: each[:3])
        _, period, revision, known = said[0]
        since = known.get("since", {"period": period, "revision": revision})
        whole = [each for *_, each in said if all(key in each for key in CARRIED)]
        return {"since": since} | {key: whole[0][key] for key in CARRIED if whole}

    def _all_publications(self) -> Iterator[Report]:
        folders = sorted({path.parent.name for path in record.places(self.paths)})
        for name in folders:
            yield from self._publications(name)

    def _publications(self, period: str) -> list[Report]:
        if period not in self._published:
            found = record.publications(self.paths.reports / period, self.paths.company)
            self._published[period] = found
        return self._published[period]


def _differs(metric: str, before: float | None, now: float | None) -> bool:
    """True when a reader would see another figure, or one where there was none."""
    if before is None or now is None:
        return before is not now
    unit = HEADLINES[metric].unit
    if unit in COUNTED:
        return abs(now - before) >= SMALLEST
    return words.say(before, unit) != words.say(now, unit)


def _difference(before: float | None, now: float | None) -> float | None:
    return None if before is None or now is None else _rounded(now - before)


def _rounded(difference: float) -> float:
    """A difference without what binary fractions leave behind."""
    return round(difference, 9)


def _row(
    period: str, metric: str, first: First, now: float | None, parts: Mapping[str, float | None]
) -> Report:
    return {
        "period": period,
        "metric": metric,
        "first_published": first.estimate,
        "first_status": first.report["status"],
        "now": now,
        "difference": _difference(first.estimate, now),
        "reason": "; ".join(parts),
        "of_which": dict(parts),
    }


def _parts(difference: float, late: float | None, cause: str) -> dict[str, float]:
    """Reason → its share of the difference; a part below half a cent is left out.

    The shares add up to the difference but for what is left out; the larger part always stays.
    `late`: the part of rows that came late; None when no ledger tells it, then one reason stands
    for the whole difference. Empty `cause`: the month's own slice, the definition and the code are
    as they were, so that what no ledger tells is in the rows that came late.
    """
    if late is None:
        return {cause or LATE_ROWS: _rounded(difference)}
    shares = {cause or UNEXPLAINED: _rounded(difference - late), LATE_ROWS: late}
    largest = max(shares, key=lambda reason: abs(shares[reason]))
    return {
        reason: share
        for reason, share in shares.items()
        if abs(share) >= SMALLEST or reason == largest
    }
