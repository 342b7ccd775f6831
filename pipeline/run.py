"""How does a month get built with nobody watching? One run, from raw exports to the index.

Reads params.yaml, what DVC says is out of date and the extract date that `ingest` found; makes the
stages' tables, chapters side by side, then the summaries, then the reports. The subtle point: which
periods are due follows from the data, never from the clock; a chapter that fails costs its own
period only, and the last report of that period stays.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode

import pipeline
from pipeline import settings as configuration
from pipeline.data import choices, reading, store
from pipeline.data import slice as slices
from pipeline.data.slice import NotDueError
from pipeline.flow import SOFTWARE_ERROR, Ended, Flow, Task, chapter_tasks, lay_out
from pipeline.flow import named_parameters as parameters_of_the_flow
from pipeline.reporting import publish, words
from pipeline.settings import SUMMARY, ConfigurationError, Paths, Period, Settings

PROJECT = Path(pipeline.__file__).resolve().parents[1]
SAMPLE = "sample"
SAMPLE_STAGE = "simulate"
BASE_STAGES = ("ingest", "usage")
SNAPSHOT = "snapshot"
EXTRACT = "extract.json"
FIGURES_SAID = (
    "net_revenue_retention_12_months", "gross_account_churn_rate", "mrr_end", "customers_end",
)  # fmt: skip
"""Headlines that the last line of a run says; the first of the report where it has none of them."""
MOST_FIGURES_SAID = 3


class FailedPeriodsError(Exception):
    """Some periods could not be built; the others were (its `code` is the exit code)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Progress:
    """What a person sees: a live line on a terminal, one line per finished step elsewhere."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))
    began: float = field(default_factory=time.monotonic)
    _status: Any = None

    def say(self, text: str) -> None:
        """One line that stays."""
        self.console.print(text, markup=False)

    def done(self, step: str, seconds: float | None = None) -> None:
        """A step has ended well."""
        took = f" ({seconds:.0f} s)" if seconds is not None else ""
        self.say(f"{time.monotonic() - self.began:6.0f} s  {step}{took}")

    def doing(self, step: str) -> None:
        """What runs now; shown on a terminal only."""
        if self._status:
            self._status.update(step)

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show a moving line while the block runs, on a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status("starting") as self._status:
            yield
        self._status = None


def run(
    root: Path,
    period: str | None = None,
    *,
    force: bool = False,
    jobs: int | None = None,
    held: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Path:
    """Build what is due and out of date below `root`; the path of reports/index.html.

    Args:
        root: folder of params.yaml.
        period: build this one only, and add it to `periods` when it is new.
        force: publish final reports again although their slice did not change.
        jobs: chapters at a time; None: one per core.
        held: open files that children keep open: the root's lock, which the caller holds.
        progress: where to say what happens.

    Raises:
        NotDueError: the period asked for, or every period, has not ended in the data.
        FailedPeriodsError: a chapter or report failed; all others were built.
    """
    root = root.resolve()
    asked = Period(period) if period else None
    configuration.load(root)
    lay_out(root, PROJECT)
    settings = complete_params(root, configuration.load(root))
    choices.check(settings)
    if settings.company != SAMPLE:
        reading.find_all(settings.source.tables, Paths(root, settings.company).raw)
    flow = Flow(root, held)
    this = Run(flow, settings, progress or Progress(), jobs or os.cpu_count() or 1)
    try:
        with this.progress.live():
            return this.build(asked, force)
    finally:
        flow.stop()


@dataclass
class Run:
    """One run: its settings may gain periods, its failures are collected."""

    flow: Flow
    settings: Settings
    progress: Progress
    jobs: int
    failures: dict[str, Ended] = field(default_factory=dict)

    @property
    def paths(self) -> Paths:
        """Paths of this root and company."""
        return Paths(self.flow.root, self.settings.company)

    def build(self, asked: Period | None, force: bool) -> Path:
        """Stages, chapters, summaries, reports, index; FailedPeriodsError at the end if any."""
        self.progress.doing("looking for what is out of date")
        stale = self._stages(self.flow.stale(), asked)
        periods = self._due(asked)
        stale = self._chapters(stale, chapter_tasks(stale, periods), "chapters")
        summaries = [Task(SUMMARY, name) for name in periods if f"{SUMMARY}@{name}" in stale]
        whole = [task for task in summaries if task.period not in self.failures]
        stale = self._chapters(stale, whole, "summaries")
        self._reports(stale, periods, force)
        publish.write_index(self.paths)
        return self._finish(periods)

    # Stages.

    def _stages(self, stale: set[str], asked: Period | None) -> set[str]:
        """Bring the stages up to date and `periods` to what is due; what is stale after that."""
        base = [SAMPLE_STAGE, *BASE_STAGES] if self.settings.company == SAMPLE else [*BASE_STAGES]
        is_known = (self.paths.ingest / EXTRACT).is_file()
        has_run = bool(stale & set(base)) or not is_known
        if has_run:
            self._reproduce(base)
        added = self._add_periods(asked)
        if has_run or added or SNAPSHOT in stale:
            self._reproduce([SNAPSHOT])
            return self.flow.stale()
        return stale

    def _reproduce(self, stages: list[str]) -> None:
        self.progress.doing(f"stages: {', '.join(stages)}")
        began = time.monotonic()
        self.flow.reproduce(stages, lambda stage: self.progress.doing(f"stage {stage}"))
        self.progress.done(f"stages up to date: {', '.join(stages)}", time.monotonic() - began)

    def _add_periods(self, asked: Period | None) -> bool:
        extract = extract_date(self.paths)
        if asked:
            slices.slice_of(asked, extract, self.settings)
        new = [str(asked)] if asked else newly_due(self.settings.periods, extract)
        new = [name for name in new if name not in self.settings.periods]
        if new:
            self.settings = add_periods(self.flow.root, new)
            self.progress.say(f"params.yaml: added {words.listing(new)} to periods.")
        return bool(new)

    def _due(self, asked: Period | None) -> list[str]:
        """The periods to build, oldest first; those not due are named and skipped."""
        extract = extract_date(self.paths)
        if asked:
            return [str(asked)]
        due = []
        for name in self.settings.periods:
            try:
                slices.slice_of(Period(name), extract, self.settings)
            except NotDueError as reason:
                self.progress.say(f"Skipped: {reason}")
            else:
                due.append(name)
        if not due:
            raise NotDueError(f"No period of params.yaml is due: the data end on {extract}.")
        return due

    # Chapters.

    def _chapters(self, stale: set[str], tasks: Sequence[Task], what: str) -> set[str]:
        """Run chapters side by side and record those that passed; what is stale after that."""
        if not tasks:
            return stale
        passed, left = [], len(tasks)
        self.progress.doing(f"{left} {what}")
        for ended in self.flow.run_side_by_side(tasks, self.jobs):
            left -= 1
            if ended.code:
                self.failures.setdefault(ended.task.period, ended)
                self.progress.say(f"FAILED  {ended.task.stage}: {ended.message}")
            else:
                passed.append(ended.task.stage)
                self.progress.done(f"{ended.task.chapter} {ended.task.period}", ended.seconds)
            self.progress.doing(f"{left} {what} to go")
        self.flow.record(passed)
        return self.flow.stale()

    # Reports.

    def _reports(self, stale: set[str], periods: Sequence[str], force: bool) -> None:
        """Publish what is out of date, altered or forced, oldest first."""
        built = []
        for name in periods:
            period = Period(name)
            is_due = force or f"report@{name}" in stale or not publish.is_intact(period, self.paths)
            if name in self.failures or not is_due:
                continue
            self.progress.doing(f"report {name}")
            if self._report(period, force):
                built.append(f"report@{name}")
        self.flow.record(built)

    def _report(self, period: Period, force: bool) -> bool:
        began = time.monotonic()
        try:
            result = publish.publish(period, self.settings, self.paths, force=force)
        except (publish.UnsoundReportError, publish.execute.ChapterFailedError) as error:
            failed = Ended(Task("report", str(period)), SOFTWARE_ERROR, str(error), 0)
            self.failures[str(period)] = failed
            self.progress.say(f"FAILED  report {period}: {error}")
            return False
        what = "published" if result.is_new else "stays in force"
        self.progress.done(
            f"report {period} {what}: {result.status}, revision {result.revision}",
            time.monotonic() - began,
        )
        return True

    def _finish(self, periods: Sequence[str]) -> Path:
        index = self.paths.reports / publish.INDEX
        if self.failures:
            codes = {ended.code for ended in self.failures.values()}
            raise FailedPeriodsError(
                f"{len(self.failures)} of {len(periods)} periods were not published "
                f"({', '.join(sorted(self.failures))}); their last reports stay. The first reason: "
                f"{next(iter(self.failures.values())).message}",
                codes.pop() if len(codes) == 1 else SOFTWARE_ERROR,
            )
        self.progress.say(f"{index}: {headline_sentence(self.paths, periods[-1])}")
        return index


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


def status_lines(settings: Settings, paths: Paths) -> Iterator[str]:
    """One line per period: due or not, published how, up to date or not."""
    stale = Flow(paths.root).stale() if (paths.root / "dvc.yaml").is_file() else set()
    is_known = (paths.ingest / EXTRACT).is_file()
    extract = extract_date(paths) if is_known else None
    yield f"{settings.company_name}: the data end on {extract or 'a day not known before a run'}."
    reports = {report["period"]: report for report in publish.all_reports(paths)}
    for name in settings.periods:
        report = reports.get(name)
        said = f"{report['status']}, revision {report['revision']}" if report else "not published"
        if extract and Period(name).as_of > extract:
            said = "not due"
        waiting = sorted(stage.split("@")[0] for stage in stale if stage.endswith(f"@{name}"))
        yield f"{name}  {said}; " + (f"out of date: {', '.join(waiting)}" if waiting else "current")
    for name in newly_due(settings.periods, extract) if extract else []:
        yield f"{name}  due, not in periods yet: the next run adds it"


# Which periods.


def extract_date(paths: Paths) -> dt.date:
    """The last day that the raw data know about, as `ingest` found it."""
    return dt.date.fromisoformat(store.read_json(paths.ingest / EXTRACT)["extract_date"])


def newly_due(periods: Sequence[str], extract: dt.date) -> list[str]:
    """Months after the newest listed one that ended by the extract date; all listed: none."""
    following = Period(max(periods)).shift(1) if periods else Period.of(extract)
    if not periods and following.as_of > extract:
        following = following.shift(-1)
    found = []
    while following.as_of <= extract:
        found.append(str(following))
        following = following.shift(1)
    return found


# params.yaml, with its comments.


def add_periods(root: Path, new: Sequence[str]) -> Settings:
    """Add periods to params.yaml in order; every other letter of the file stays."""
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    before = configuration.load(root)
    periods = sorted({*before.periods, *new})
    changed = _with_periods(text, periods)
    content = YAML(typ="safe", pure=True).load(changed)
    after = configuration.parse(content)
    if after != before.model_copy(update={"periods": periods}):
        raise ConfigurationError(
            f"params.yaml: could not add {words.listing(list(new))} to periods. Add them by hand."
        )
    store.write_text(changed, path)
    return after


def _with_periods(text: str, periods: Sequence[str]) -> str:
    """The text of params.yaml with another list under `periods`."""
    top = YAML(typ="rt").compose(io.StringIO(text))
    values = {key.value: value for key, value in top.value} if isinstance(top, MappingNode) else {}
    node = values.get("periods")
    if not isinstance(node, SequenceNode):
        raise ConfigurationError("params.yaml: periods must be a list.")
    start, end = node.start_mark.index, node.end_mark.index
    if node.flow_style:
        return f"{text[:start]}[{', '.join(map(json.dumps, periods))}]{text[end:]}"
    lines, listed = text.splitlines(keepends=True), {item.value for item in node.value}
    for name in sorted(set(periods) - listed, reverse=True):
        later = [item.start_mark.line for item in node.value if item.value > name]
        place = min(later, default=node.value[-1].end_mark.line + 1)
        lines.insert(place, f"{' ' * node.start_mark.column}- {json.dumps(name)}\n")
    return "".join(lines)


def complete_params(root: Path, settings: Settings) -> Settings:
    """Write out the defaults of blocks that the flow names and params.yaml leaves to them."""
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    content = YAML(typ="safe", pure=True).load(text)
    missing = [name for name in parameters_of_the_flow(root) if name not in content]
    if not missing:
        return settings
    defaults = settings.model_dump(mode="json", include=set(missing))
    writer, added = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = False
    writer.dump({name: defaults[name] for name in missing}, added)
    note = "# Left to their defaults until now; written out because the flow depends on them.\n"
    store.write_text(f"{text.rstrip()}\n\n{note}{added.getvalue()}", path)
    return configuration.load(root)
