"""In what order is a month built? Stages, chapters side by side, summaries, reports.

Reads what DVC says is out of date and the extract date that `ingest` found. The subtle point: which
periods are due follows from the data, never from the clock; a chapter that fails costs its own
period only, and the last report of that period stays; a final report is left alone while its facts
have not changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import states
from pipeline.data.slice import NotDueError
from pipeline.exits import FAILED, NOT_NOW
from pipeline.flow import BAD_LOCK, Ended, Flow, StageFailedError, Task, chapter_tasks
from pipeline.reporting import publish, words
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.records.page_check import UnsoundReportError
from pipeline.run.manifest import Manifest
from pipeline.run.periods import (
    add_periods,
    due_and_not,
    extract_date,
    is_extract_known,
    newly_due,
)
from pipeline.run.progress import Progress
from pipeline.settings import SAMPLE, SUMMARY, Paths, Period, Settings

SAMPLE_STAGE = "simulate"
BASE_STAGES = ("ingest", "usage")
SNAPSHOT = "snapshot"
RECORD_SECONDS = 60
"""How often finished chapters are recorded: what a killed run has to do again at most."""
FIGURES_SAID = (
    "net_revenue_retention_12_months", "gross_account_churn_rate", "mrr_end", "customers_end",
)  # fmt: skip
"""Headlines that the last line of a run says; the first of the report where it has none of them."""
MOST_FIGURES_SAID = 3


class FailedPeriodsError(Exception):
    """Some periods could not be built; the others were (its `code` is the exit code)."""

    def __init__(self, message: str, code: int, first: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.first = first


@dataclass(frozen=True)
class Wanted:
    """What a run was asked for.

    `periods` None: every period due; else these only. `chapters` None: all, and the reports.
    `newest_only`: of the periods due only the newest.
    """

    periods: tuple[str, ...] | None = None
    force: bool = False
    chapters: tuple[str, ...] | None = None
    skips_not_due: bool = False
    newest_only: bool = False


@dataclass
class Run:
    """One run: its settings may gain periods, its failures are collected."""

    flow: Flow
    settings: Settings
    progress: Progress
    jobs: int
    manifest: Manifest
    failures: dict[str, Ended] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    _passed: list[str] = field(default_factory=list)
    _recorded: float = field(default_factory=time.monotonic)
    _n_unforked_said: int = 0

    @property
    def paths(self) -> Paths:
        """Paths of this root and company."""
        return Paths(self.flow.root, self.settings.company)

    def build(self, wanted: Wanted) -> Path:
        """Stages, chapters, summaries, reports, index; FailedPeriodsError at the end if any."""
        self.progress.doing("looking for what is out of date")
        try:
            stale = self._stages(self._stale_at_first(), wanted)
        except StageFailedError as error:
            self._mark_not_updated(error, wanted)
            raise
        periods = self._due(wanted)[-1 if wanted.newest_only else 0 :]
        self._build_periods(stale, self._unsettled(periods, wanted.force), wanted)
        return self._finish(periods, is_publishing=wanted.chapters is None)

    def _build_periods(self, stale: set[str], periods: Sequence[str], wanted: Wanted) -> None:
        chosen = wanted.chapters
        tasks = chapter_tasks(stale, periods)
        if tasks and chosen is None:
            publish.load_aside()
        if chosen is not None:
            tasks = [task for task in tasks if task.chapter in chosen]
        if not is_known_after(stale, tasks):
            stale, tasks = self._chapters(stale, tasks), []
        if chosen is None or SUMMARY in chosen:
            tasks += [
                Task(SUMMARY, name)
                for name in periods
                if f"{SUMMARY}@{name}" in stale and name not in self.failures
            ]
        stale = self._chapters(stale, tasks)
        if chosen is None:
            self._reports(stale, periods, wanted.force)
        else:
            self.progress.say(f"Only {words.listing(list(chosen))}: nothing is published.")
        self._record()

    # Stages.

    def _stale_at_first(self) -> set[str]:
        """What is out of date; a dvc.lock that a killed DVC left half-written is put right."""
        try:
            return self.flow.stale()
        except StageFailedError as error:
            is_cut = error.error_class == BAD_LOCK
            stale = self.flow.stale_by_kept_lock() if is_cut else None
            if stale is None:
                raise
        self.progress.say("dvc.lock was cut off by a crash: the last whole one came back.")
        return stale

    def _mark_not_updated(self, error: StageFailedError, wanted: Wanted) -> None:
        """A stage that all months share failed: it costs each month that is not settled."""
        if error.code == NOT_NOW:
            return
        facts = self.manifest.failure(
            error.error_class, error.code, str(error), log=self.flow.log / "dvc.log"
        )
        for name in self.settings.periods if wanted.periods is None else wanted.periods:
            if wanted.force or not publish.is_settled(Period(name), self.paths):
                self.manifest.period(name, states.FAILED, error=facts)

    def _stages(self, stale: set[str], wanted: Wanted) -> set[str]:
        """Bring the stages up to date and `periods` to what is due; what is stale after that."""
        base = base_stages(self.settings.company)
        has_run = bool(stale & set(base)) or not is_extract_known(self.paths)
        if has_run or SNAPSHOT in stale:
            self.flow.warm_up()  # on a core that the stages leave free
        if has_run:
            self._reproduce(base)
        self.manifest.note(extract_date=extract_date(self.paths).isoformat())
        added = self._add_periods(wanted)
        if has_run or added or SNAPSHOT in stale:
            self._reproduce([SNAPSHOT])
            return self.flow.stale()
        return stale

    def _reproduce(self, stages: list[str]) -> None:
        self.progress.doing(f"stages: {', '.join(stages)}")
        began = time.monotonic()
        seen: list[tuple[str, float]] = []

        def note(stage: str) -> None:
            seen.append((stage, time.monotonic()))
            self.progress.doing(f"stage {stage}")

        code = FAILED
        try:
            self.flow.reproduce(stages, note)
            code = 0
        except StageFailedError as error:
            code = error.code
            raise
        finally:
            ends = [start for _, start in seen[1:]] + [time.monotonic()]
            for (stage, start), end in zip(seen, ends, strict=False):
                is_last = stage == seen[-1][0]
                self.manifest.stage(stage, end - start, code if is_last else 0)
        self.progress.done(f"stages up to date: {', '.join(stages)}", time.monotonic() - began)

    def _add_periods(self, wanted: Wanted) -> bool:
        extract = extract_date(self.paths)
        if wanted.periods is None:
            new = newly_due(self.settings.periods, extract)
        else:
            new, not_due = due_and_not(wanted.periods, extract, self.settings)
            if not_due and not (new and wanted.skips_not_due):
                raise NotDueError(next(iter(not_due.values())))
        new = [name for name in new if name not in self.settings.periods]
        if new:
            self.settings = add_periods(self.flow.root, new)
            self.progress.say(f"params.yaml: added {words.listing(new)} to periods.")
        return bool(new)

    def _due(self, wanted: Wanted) -> list[str]:
        """The periods to build, oldest first; those not due are named and skipped."""
        extract = extract_date(self.paths)
        names = self.settings.periods if wanted.periods is None else sorted(wanted.periods)
        due, not_due = due_and_not(names, extract, self.settings)
        for name, reason in not_due.items():
            self.progress.say(f"Skipped: {reason}")
            self.manifest.period(name, states.SKIPPED)
        if not due and names:
            raise NotDueError(f"No period of params.yaml is due: the data end on {extract}.")
        return due

    def _unsettled(self, periods: Sequence[str], force: bool) -> list[str]:
        """The periods without a final report whose slice still holds; all of them when forced."""
        left = []
        for name in periods:
            if force or not publish.is_settled(Period(name), self.paths):
                left.append(name)
            else:
                self._note_in_force(name)
        return left

    def _note_in_force(self, name: str) -> None:
        for report in publish.all_reports(self.paths):
            if report["period"] == name:
                facts = {key: report[key] for key in ("status", "revision")}
                self.manifest.period(name, states.IN_FORCE, **facts)

    # Chapters.

    def _chapters(self, stale: set[str], tasks: Sequence[Task]) -> set[str]:
        """Run chapters side by side; what is stale after that, from DVC where it is not known."""
        if not tasks:
            return stale
        left = len(tasks)
        if not self._passed:
            self._recorded = time.monotonic()
        self.progress.doing(f"{left} chapters")
        for ended in self.flow.run_side_by_side(tasks, self.jobs):
            left -= 1
            self.manifest.task(ended)
            if ended.code:
                self._fail(ended)
            else:
                self._passed.append(ended.task.stage)
                self.progress.done(f"{ended.task.chapter} {ended.task.period}", ended.seconds)
            if time.monotonic() - self._recorded > RECORD_SECONDS:
                self._record()
            self.progress.doing(f"{left} chapters to go")
        self._say_unforked()
        if is_known_after(stale, tasks):
            return stale - {task.stage for task in tasks}
        self.progress.doing("chapters have run; DVC takes them down")
        self._record()
        return self.flow.stale()

    def _record(self) -> None:
        """Let DVC take down what has passed since the last time."""
        self.flow.record(self._passed)
        self._passed, self._recorded = [], time.monotonic()

    def _say_unforked(self) -> None:
        """A chapter that loaded everything for itself is slow, not wrong; the run says so once."""
        flow = self.flow
        if flow.n_unforked > self._n_unforked_said:
            self._n_unforked_said = flow.n_unforked
            n_chapters = words.counted(flow.n_unforked, "chapter")
            said = f"{n_chapters} started without the preload: {flow.unforked}"
            self.progress.say(f"Note: {said}.")
            self.manifest.journal.warning("unforked", n_chapters=flow.n_unforked, why=flow.unforked)

    def _fail(self, ended: Ended) -> None:
        """A failure is said, and the first of a period is the period's."""
        first = self.failures.setdefault(ended.task.period, ended)
        if first is ended:
            error = self._error_of(ended)
            self.manifest.period(ended.task.period, states.FAILED, error=error)
        self.progress.say(f"FAILED  {ended.task.stage}: {ended.message}")

    def _error_of(self, ended: Ended) -> dict[str, Any]:
        return self.manifest.failure(
            ended.error_class,
            ended.code,
            ended.message,
            log=ended.log,
            notebook=ended.notebook,
            cell=ended.cell,
        )

    # Reports.

    def _reports(self, stale: set[str], periods: Sequence[str], force: bool) -> None:
        """Publish what is out of date, altered or forced, oldest first."""
        for name in periods:
            if name in self.failures:
                continue
            if not (force or is_report_stale(name, stale, self.paths)):
                self._note_in_force(name)
                continue
            self.flow.check_time()
            self.progress.doing(f"report {name}")
            if self._report(Period(name), force):
                self._passed.append(f"report@{name}")

    def _report(self, period: Period, force: bool) -> bool:
        began = time.monotonic()
        task = Task("report", str(period))
        try:
            result = publish.publish(
                period, self.settings, self.paths, force=force, began=self.began
            )
        except (UnsoundReportError, ChapterFailedError) as error:
            kind = getattr(error, "error_class", "unsound_report")
            self._fail(Ended(task, FAILED, str(error), 0, error_class=kind))
            return False
        state = states.PUBLISHED if result.is_new else states.IN_FORCE
        self.manifest.period(str(period), state, status=result.status, revision=result.revision)
        what = "published" if result.is_new else "stays in force"
        self.progress.done(
            f"report {period} {what}: {result.status}, revision {result.revision}",
            time.monotonic() - began,
        )
        return True

    def _finish(self, periods: Sequence[str], is_publishing: bool) -> Path:
        index = self.paths.reports / publish.INDEX
        if self.failures:
            codes = {ended.code for ended in self.failures.values()}
            first = next(iter(self.failures.values()))
            raise FailedPeriodsError(
                f"{len(self.failures)} of {words.counted(len(periods), 'month')} not published: "
                f"{', '.join(sorted(self.failures))}; what stood before stays. The first reason: "
                f"{first.message}",
                codes.pop() if len(codes) == 1 else FAILED,
                self._error_of(first),
            )
        if not is_publishing:
            return index
        if not self.manifest.has_worked:
            self.progress.say("Nothing to do: every report that is due is in force.")
        standing = [report["period"] for report in publish.all_reports(self.paths)]
        newest = periods[-1] if periods else max(standing, default="")
        self.progress.say(f"{index}: {headline_sentence(self.paths, newest)}")
        return index


def base_stages(company: str) -> list[str]:
    """The stages before the snapshot; only the sample company's exports are made by one."""
    return [SAMPLE_STAGE, *BASE_STAGES] if company == SAMPLE else [*BASE_STAGES]


def is_known_after(stale: set[str], tasks: Sequence[Task]) -> bool:
    """True when all that follows from these tasks is out of date as it is: nobody need ask DVC."""
    later = {f"report@{task.period}" for task in tasks}
    later |= {f"{SUMMARY}@{task.period}" for task in tasks if task.chapter != SUMMARY}
    return later <= stale


def is_report_stale(period: str, stale: set[str], paths: Paths) -> bool:
    """True when DVC calls the report out of date, or it is incomplete or altered."""
    return f"report@{period}" in stale or not publish.is_intact(Period(period), paths)


def headline_sentence(paths: Paths, period: str) -> str:
    """The headline of one report in words."""
    found = [report for report in publish.all_reports(paths) if report["period"] == period]
    if not found:
        return "no report yet."
    report = found[0]
    rows = {row["name"]: row for row in report["headline"]}
    names = [name for name in FIGURES_SAID if name in rows] or list(rows)[:MOST_FIGURES_SAID]
    said = [_said(rows[name], report["currency"]) for name in names]
    facts = "; ".join(said) or "no headline: no chapter that has one is listed"
    return f"{words.month(period)} ({report['status']}): {facts}."


def _said(row: dict[str, Any], currency: str) -> str:
    if row["estimate"] is None and row["note"]:
        return f"{row['label']}: {row['note']}"
    return f"{row['label']} {words.say(row['estimate'], row['unit'], currency)}"
