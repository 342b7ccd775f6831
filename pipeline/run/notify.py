"""Who is told what? A few words when a run fails, recovers, lacks data or publishes with a warning.

Reads this run's manifest, the earlier ones and the reports it published; `post` sends what follows.
The subtle point: a message holds periods, statuses, revisions, names, an error's class, the exit
code and the run's id, never a value of the data nor an error's own words, which may quote one.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline import states
from pipeline.exits import NOT_NOW
from pipeline.reporting import publish
from pipeline.reporting.records import record
from pipeline.run import manifest
from pipeline.run.journal import Journal
from pipeline.run.post import FAIL, NOTIFY_VARIABLE, PING_VARIABLE, START, SUCCESS, Message, Post
from pipeline.settings import Paths, Period, Settings

NEAR_LIMIT = 0.8
"""Share of the quarantine's limit from which a table is near it."""
FRAGILE = "fragile"
BAD = (states.FAILED, states.INTERRUPTED)

Run = Mapping[str, Any]


# What is worth telling.


def messages(run: Run, code: int, earlier: Sequence[Run], notes: Sequence[str]) -> list[Message]:
    """What this run tells, in the order of weight.

    Args:
        run: the manifest of the run that ended.
        code: its exit code.
        earlier: the manifests before it, oldest first.
        notes: names of what a reader of the published reports should look at.
    """
    found = [*_failed(run, code), *_recovered(run, earlier), *_late(run)]
    if notes:
        said = "; ".join(sorted(notes))
        found.append(_message("warnings", "published with warnings", run, [f"{said}."]))
    return found


def _message(kind: str, what: str, run: Run, sentences: Sequence[str]) -> Message:
    run_id = run["run_id"]
    lines = [*sentences, *_published(run), f"Run {run_id}: see build/runs/{run_id}."]
    return Message(kind, f"Lodestar: {what}", "\n".join(lines))


def _failed(run: Run, code: int) -> Iterator[Message]:
    if run["state"] != states.FAILED or code == NOT_NOW:
        return
    error = run.get("error") or {}
    sentences = [f"The run failed: {error.get('class') or 'no class'}, exit code {code}."]
    sentences += [
        f"{row['period']}: not published ({(row.get('error') or {}).get('class') or 'failed'})."
        for row in run["periods"]
        if row["state"] == states.FAILED
    ]
    yield _message("failed", "the run failed", run, sentences)


def _published(run: Run) -> list[str]:
    return [
        f"{row['period']}: published, {row['status']}, revision {row['revision']}."
        for row in run["periods"]
        if row["state"] == states.PUBLISHED
    ]


def _recovered(run: Run, earlier: Sequence[Run]) -> Iterator[Message]:
    """The first success after a failure, of a period or of the run as a whole."""
    good = {
        row["period"]
        for row in run["periods"]
        if row["state"] in (states.PUBLISHED, states.IN_FORCE)
    }
    back = sorted(good & _still_failed(earlier))
    sentences = [f"{name}: recovered, its last run had failed." for name in back]
    if run["state"] in states.GOOD and (how := _ended_badly_before(earlier)):
        sentences.append(f"The run succeeded; the one before ended as {how}.")
    if sentences:
        yield _message("recovered", "recovered", run, sentences)


def _ended_badly_before(earlier: Sequence[Run]) -> str | None:
    """How the run before ended, when it failed as a whole and not for some of its periods."""
    ended = [run for run in earlier if run["state"] in (*states.GOOD, *BAD) and not _is_late(run)]
    if not ended or ended[-1]["state"] not in BAD:
        return None
    is_partly = any(row["state"] == states.FAILED for row in ended[-1]["periods"])
    return None if is_partly else str(ended[-1]["state"])


def _is_late(run: Run) -> bool:
    return (run.get("error") or {}).get("code") == NOT_NOW


def _still_failed(earlier: Sequence[Run]) -> set[str]:
    """Periods whose newest attempt failed."""
    newest: dict[str, str] = {}
    for run in earlier:
        for row in run["periods"]:
            if row["state"] != states.SKIPPED:
                newest[row["period"]] = row["state"]
    return {name for name, state in newest.items() if state == states.FAILED}


def _late(run: Run) -> Iterator[Message]:
    """The month before the one of the run's start is due by the calendar; do the data reach it?"""
    if run.get("extract_date") is None:
        return
    began = dt.datetime.fromisoformat(run["started_at"]).date()
    due = Period.of(began).shift(-1)
    if dt.date.fromisoformat(run["extract_date"]) < due.as_of:
        said = f"{due}: due by the calendar, but the data do not reach its end."
        yield _message("late", "data are late", run, [said])


def notes_on(report: Mapping[str, Any], settings: Settings) -> list[str]:
    """Names of what a reader should look at in a report: headlines, tables, models; no value."""
    period = report["period"]
    fragile = sorted({row["name"] for row in report["headline"] if row["state"] == FRAGILE})
    broken = {
        f"{model['chapter']}.{model['name']}"
        for model in report["models"]
        for check in model["checks"]
        if check["is_hard"] and not check["passed"]
    }
    return [
        *(f"{period}: fragile headline {name}" for name in fragile),
        *(f"{period}: quarantine near its limit for {name}" for name in _nearly(report, settings)),
        *(f"{period}: model {name} does not hold" for name in sorted(broken)),
    ]


def _warned(run: Run) -> Iterator[str]:
    """Chapters of published periods whose libraries warned of this month's numbers."""
    published = {row["period"] for row in run["periods"] if row["state"] == states.PUBLISHED}
    for task in run["tasks"]:
        kinds = {each["category"] for each in task["warnings"] if not each["is_allowed"]}
        if kinds and task["stage"].rpartition("@")[2] in published:
            yield f"{task['stage']}: {', '.join(sorted(kinds))}"


def _nearly(report: Mapping[str, Any], settings: Settings) -> list[str]:
    """Tables whose share of quarantined rows is near the share at which a run stops."""
    shares: dict[str, float] = {}
    for row in report["quality"].get("rules", []):
        if row["kind"] == "quarantined" and row["n_of"]:
            shares[row["table"]] = shares.get(row["table"], 0.0) + row["n"] / row["n_of"]
    limit = NEAR_LIMIT * settings.quarantine.max_share_of_rows
    return sorted(name for name, share in shares.items() if share > 0 and share >= limit)


# Telling it.


def began(journal: Journal, environment: Mapping[str, str] | None = None) -> None:
    """Knock: a run has begun. Nobody waits for the answer."""
    Post(journal).ping(START, _of(environment))


def ended(
    run: Run,
    code: int,
    paths: Paths,
    journal: Journal,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Tell everybody how a run ended, within the budget; whatever goes wrong is only logged.

    Args:
        run: its manifest, as it ended.
        code: its exit code; any but 0 is a failure to the ping.
        paths: where earlier manifests and the reports are.
        journal: the run's log.
        settings: None when params.yaml could not be read.
        environment: where the addresses are; the process's own when None.
    """
    known = _of(environment)
    if not (known.get(NOTIFY_VARIABLE) or known.get(PING_VARIABLE)):
        return
    try:
        post = Post(journal)
        post.ping(SUCCESS if code == 0 else FAIL, known)
        earlier = [one for one in manifest.read_all(paths) if one["run_id"] != run["run_id"]]
        notes = [*_warned(run), *(_all_notes(run, paths, settings) if settings else [])]
        for message in messages(run, code, earlier, notes):
            journal.info("notified", kind=message.kind, title=message.title)
            post.send(message, known)
        post.wait()
    except Exception as error:  # a message that cannot be written costs no run
        journal.error("notify_failed", error=type(error).__name__, message=str(error))


def _of(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environment is None else environment


def _all_notes(run: Run, paths: Paths, settings: Settings) -> list[str]:
    names = {row["period"] for row in run["periods"] if row["state"] == states.PUBLISHED}
    found = [record.read(paths.report(Period(name)) / publish.FILE_NAME) for name in sorted(names)]
    return [note for report in found if report for note in notes_on(report, settings)]
