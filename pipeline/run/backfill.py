"""Which months of a span are built again? Many months at one go, and a failure stops none of them.

Reads the reports in place and the manifests; builds through the one runner there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import settings as configuration
from pipeline import states
from pipeline.reporting import publish
from pipeline.run import manifest
from pipeline.run.build import Wanted
from pipeline.run.periods import due_and_not, extract_date, is_extract_known, span
from pipeline.run.progress import Progress
from pipeline.run.runner import carry_out
from pipeline.settings import ParameterError, Paths, Period, Settings

MISSING, FAILED, ALL = "missing", "failed", "all"
MODES = (MISSING, FAILED, ALL)


def backfill(
    root: Path,
    first: str,
    last: str,
    *,
    mode: str = MISSING,
    jobs: int | None = None,
    held: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Path:
    """Build the months from `first` to `last` that `mode` chooses; the path of reports/index.html.

    Modes: `missing` has no sound report; `failed` also those whose last run failed; `all` every
    one, final reports too. Months that the data do not reach are named and skipped.

    Raises:
        ParameterError: the span or the mode is not legal.
        NotDueError: the data reach none of the months.
        FailedPeriodsError: lists the months that failed; all others were built.
    """
    months = _checked(first, last, mode)

    def choose(_: Settings, paths: Paths) -> Wanted:
        chosen = tuple(name for name, _, is_chosen in rows(months, mode, paths) if is_chosen)
        return Wanted(chosen, force=mode == ALL, skips_not_due=True)

    return carry_out(root, choose, jobs=jobs, held=held, progress=progress)


def preview(root: Path, first: str, last: str, *, mode: str = MISSING) -> Iterator[str]:
    """What `backfill` would do, one line per month; nothing is changed."""
    months = _checked(first, last, mode)
    settings = configuration.load(root)
    paths = Paths(root, settings.company)
    not_due: dict[str, str] = {}
    build = "build, if the data reach it"
    if is_extract_known(paths):
        _, not_due = due_and_not(months, extract_date(paths), settings)
        build = "build"
    yield f"period   {'now':<40}  this run"
    for name, now, is_chosen in rows(months, mode, paths):
        would = "skip: not due" if name in not_due else build if is_chosen else "leave"
        yield f"{name}  {now:<40}  {would}"


def rows(months: list[str], mode: str, paths: Paths) -> Iterator[tuple[str, str, bool]]:
    """Per month: its name, what stands there now in words, and whether `mode` chooses it."""
    reports = {report["period"]: report for report in publish.all_reports(paths)}
    failures = last_failures(paths)
    for name in months:
        report, failure = reports.get(name), failures.get(name)
        is_sound = report is not None and publish.is_intact(Period(name), paths)
        now = f"{report['status']}, revision {report['revision']}" if report else "no report"
        now += ", altered or incomplete" if report and not is_sound else ""
        now += f", last run failed ({failure['class']})" if failure else ""
        is_chosen = mode == ALL or not is_sound or (mode == FAILED and failure is not None)
        yield name, now, is_chosen


def last_failures(paths: Paths) -> dict[str, dict[str, Any]]:
    """The error of each period that failed in the last run that tried it, with the run's id."""
    found: dict[str, dict[str, Any]] = {}
    for run in manifest.read_all(paths):
        for row in run["periods"]:
            found.pop(row["period"], None)
            if row["state"] == states.FAILED:
                error = row["error"] or {"class": "unknown", "message": ""}
                found[row["period"]] = error | {"run_id": run["run_id"]}
    return found


def _checked(first: str, last: str, mode: str) -> list[str]:
    if mode not in MODES:
        raise ParameterError(f"{mode!r} is no mode; there are {', '.join(MODES)}.")
    return span(Period(first), Period(last))
