"""How do things stand? What the manifests and reports say, with nothing started or loaded.

Reads build/runs/*/run.json and reports/*/report.json; makes nothing. What is out of date inside the
flow only DVC can tell: `lodestar run --dry-run` asks it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import lock, states
from pipeline.data.slice import NotDueError
from pipeline.flow import Flow, chapter_tasks
from pipeline.reporting import publish
from pipeline.root import FLOW
from pipeline.run import manifest
from pipeline.run.backfill import last_failures
from pipeline.run.build import SNAPSHOT, Wanted, base_stages, is_report_stale
from pipeline.run.periods import due_and_not, extract_date, is_extract_known, newly_due
from pipeline.settings import SUMMARY, Paths, Period, Settings

STATES = {
    states.RUNNING: "is under way",
    states.DONE: "went well",
    states.NOTHING_TO_DO: "found nothing to do",
    states.FAILED: "FAILED",
    states.CANCELLED: "was cancelled",
    states.INTERRUPTED: "was interrupted: killed, or the machine stopped",
}


def status_lines(settings: Settings, paths: Paths) -> Iterator[str]:
    """The last run, then one line per period: due or not, published how, failed where."""
    extract = extract_date(paths) if is_extract_known(paths) else None
    yield f"{settings.company_name}: the data end on {extract or 'a day not known before a run'}."
    yield from _run_lines(paths)
    reports = {report["period"]: report for report in publish.all_reports(paths)}
    failures = last_failures(paths)
    for name in settings.periods:
        report = reports.get(name)
        said = _report_words(report) if report else "not published"
        if extract and Period(name).as_of > extract:
            said = "not due"
        elif report and not publish.is_intact(Period(name), paths):
            said += "; altered or incomplete: the next run builds it anew"
        yield f"{name}  {said}"
        if failure := failures.get(name):
            yield f"         not updated: {_error_words(failure)}"
            yield f"         log: {_log_of(failure)}"
    for name in newly_due(settings.periods, extract) if extract else []:
        yield f"{name}  due, not in periods yet: the next run adds it"


def _report_words(report: Mapping[str, Any]) -> str:
    built = report["provenance"]["built_at"]
    return f"{report['status']}, revision {report['revision']}, built {built}"


def _run_lines(paths: Paths) -> Iterator[str]:
    runs = manifest.read_all(paths)
    if not runs:
        yield "No run yet."
        return
    last = runs[-1]
    yield f"Last run {last['run_id']} {STATES[last['state']]}."
    if last["error"]:
        yield f"  {_error_words(last['error'])}"
    good = [run for run in runs if run["state"] in states.GOOD]
    if good and good[-1] is not last:
        yield f"Last good run: {good[-1]['run_id']}."
    if (held := lock.last_holder(paths.root)) and held[0].is_alive():
        yield f"A run is under way: process {held[0].pid} on {held[0].host}, since {held[1]}."


def _error_words(error: Mapping[str, Any]) -> str:
    """Class and message of an error, and its place where the message does not name it."""
    places = [f"{word} {error[word]}" for word in ("notebook", "cell") if error.get(word)]
    is_named = str(error.get("notebook")) in error["message"]
    where = f" in {', '.join(places)}" if places and not is_named else ""
    return f"{error['class']}{where}: {error['message']}"


def _log_of(error: Mapping[str, Any]) -> str:
    return str(error.get("log") or f"build/runs/{error['run_id']}")


# What a run would do.


def preview_lines(settings: Settings, paths: Paths, wanted: Wanted) -> Iterator[str]:
    """What `lodestar run` would build now, one line per period; nothing is changed.

    Raises:
        NotDueError: the data do not reach the period asked for.
    """
    if not (paths.root / FLOW).is_file():
        yield "Everything: this folder has no flow yet. The first run lays it out, then builds."
        return
    with contextlib.closing(Flow(paths.root)) as flow:
        stale = flow.stale()
    stages = [*base_stages(settings.company), SNAPSHOT]
    if first := [stage for stage in stages if stage in stale]:
        yield f"Stages out of date: {', '.join(first)}. More may follow from what they find."
    if not is_extract_known(paths):
        yield "How far the data reach is not known before the first run."
        return
    extract = extract_date(paths)
    new = newly_due(settings.periods, extract)
    names = sorted(wanted.periods or {*settings.periods, *new})
    due, not_due = due_and_not(names, extract, settings)
    if wanted.periods and not_due:
        raise NotDueError(next(iter(not_due.values())))
    for name in names:
        would = "skip: not due" if name not in due else _would(name, stale, paths, wanted)
        yield f"{name}  {would}"


def _would(name: str, stale: set[str], paths: Paths, wanted: Wanted) -> str:
    """What a run would do with one period that is due."""
    if not wanted.force and publish.is_settled(Period(name), paths):
        return "leave: final, and its facts did not change"
    chapters = [task.chapter for task in chapter_tasks(stale, [name])]
    chapters += [SUMMARY] if f"{SUMMARY}@{name}" in stale else []
    if wanted.chapters is not None:
        chapters = [chapter for chapter in chapters if chapter in wanted.chapters]
        return f"run {', '.join(chapters)}" if chapters else "nothing to do"
    is_due = wanted.force or is_report_stale(name, stale, paths)
    steps = [*chapters, *(["report"] if is_due or chapters else [])]
    return f"build {', '.join(steps)}" if steps else "nothing to do"
