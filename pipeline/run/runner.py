"""How does a run begin and end? From the first look at the machine to the last word in the files.

Reads params.yaml; makes the manifest of the run and, when it ended, the index. Between them stands
`build`. The subtle point: whatever happens in between, the manifest says how it ended, and the
last good reports stay.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pipeline
from pipeline import settings as configuration
from pipeline.data import choices, reading
from pipeline.exits import INTERRUPTED, error_class_of, exit_code_of, is_foreseen
from pipeline.flow import Flow, StageFailedError
from pipeline.reporting import publish
from pipeline.root import lay_out
from pipeline.run import doctor, manifest, notify, recovery
from pipeline.run.build import SAMPLE, FailedPeriodsError, Run, Wanted
from pipeline.run.manifest import Manifest
from pipeline.run.periods import complete_params
from pipeline.run.progress import Progress
from pipeline.settings import ANNEX, ParameterError, Paths, Period, Settings

PROJECT = Path(pipeline.__file__).resolve().parents[1]
HOUR_SECONDS = 3600


class PreflightError(Exception):
    """A run cannot go well here, and was not begun (its `code` is the exit code)."""

    error_class = "preflight"

    def __init__(self, findings: Sequence[doctor.Finding]) -> None:
        said = " ".join(f"{each.name}: {each.message}. {each.fix}" for each in findings)
        super().__init__(said.strip())
        self.code = findings[0].code


def run(
    root: Path,
    period: str | None = None,
    *,
    force: bool = False,
    jobs: int | None = None,
    chapters: Sequence[str] | None = None,
    held: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Path:
    """Build what is due and out of date below `root`; the path of reports/index.html.

    Args:
        root: folder of params.yaml.
        period: build this one only, and add it to `periods` when it is new.
        force: publish final reports again although their slice did not change.
        jobs: chapters at a time; None: one per core.
        chapters: run these only, and publish nothing.
        held: open files that children keep open: the root's lock, which the caller holds.
        progress: where to say what happens.

    Raises:
        PreflightError: a run cannot go well here.
        NotDueError: the period asked for, or every period, has not ended in the data.
        FailedPeriodsError: a chapter or report failed; all others were built.
    """
    asked = (Period(period).name,) if period else None
    wanted = Wanted(asked, force, tuple(chapters) if chapters else None)
    return carry_out(root, lambda *_: wanted, jobs=jobs, held=held, progress=progress)


def carry_out(
    root: Path,
    choose: Callable[[Settings, Paths], Wanted],
    *,
    jobs: int | None = None,
    held: tuple[int, ...] = (),
    progress: Progress | None = None,
) -> Path:
    """One run with its manifest, from first look to last word; `choose` says what it builds.

    The caller holds the root's lock.
    """
    root = root.resolve()
    said = progress or Progress()
    with recorded(root) as record:
        settings = configuration.load(root)
        paths = Paths(root, settings.company)
        record.note(company=settings.company)
        lay_out(root, PROJECT)
        findings = doctor.examine(paths, settings)
        for finding in findings:
            if not finding.ok and not finding.is_fatal:
                said.say(f"Note: {finding.name}: {finding.message}.")
        if bad := doctor.fatal(findings):
            raise PreflightError(bad)
        for sentence in recovery.recover(paths):
            said.say(sentence)
        settings = complete_params(root, settings)
        choices.check(settings)
        if settings.company != SAMPLE:
            reading.find_all(settings.source.tables, paths.raw)
        wanted = choose(settings, paths)
        _check_chapters(wanted.chapters, settings)
        flow = Flow(root, held, settings.run.retries)
        flow.end_after(settings.run.run_timeout_hours * HOUR_SECONDS)
        try:
            with said.live():
                return Run(flow, settings, said, jobs or os.cpu_count() or 1, record).build(wanted)
        finally:
            flow.close()


def _check_chapters(chapters: Sequence[str] | None, settings: Settings) -> None:
    listed = [*settings.chapters, ANNEX]
    unknown = [name for name in chapters or () if name not in listed]
    if unknown:
        raise ParameterError(
            f"--chapters: {', '.join(unknown)} is not listed; params.yaml lists "
            f"{', '.join(listed)}."
        )


@contextlib.contextmanager
def recorded(root: Path) -> Iterator[Manifest]:
    """A manifest around the block: running, then how the block ended; those who ask are told."""
    record = manifest.begin(Paths(root, ""), ["lodestar", *sys.argv[1:]])
    notify.began(record.journal)
    code = 0
    try:
        yield record
    except KeyboardInterrupt:
        code = INTERRUPTED
        recovery.remove_half_made(record.paths)
        error = record.failure(manifest.CANCELLED, code, "The run was stopped.")
        _end_badly(record, manifest.CANCELLED, error)
        raise
    except Exception as error:
        code = exit_code_of(error)
        first = error.first if isinstance(error, FailedPeriodsError) else None
        _end_badly(record, manifest.FAILED, first or _facts(error, record))
        raise
    else:
        is_new = any(row["state"] == manifest.PUBLISHED for row in record.content["periods"])
        has_run = is_new or bool(record.content["tasks"])
        record.end(manifest.DONE if has_run else manifest.NOTHING_TO_DO)
        publish.write_index(record.paths)
    finally:
        settings = None
        with contextlib.suppress(configuration.ConfigurationError):
            settings = configuration.load(root)
        notify.ended(record.content, code, record.paths, record.journal, settings)


def _end_badly(record: Manifest, state: str, error: dict[str, Any] | None) -> None:
    """The last word on a run that failed; a full disk must not hide why."""
    with contextlib.suppress(OSError):
        record.end(state, error)
        if record.content["company"] and (record.paths.reports / publish.INDEX).is_file():
            publish.write_index(record.paths)


def _facts(error: Exception, record: Manifest) -> dict[str, Any]:
    where = {name: getattr(error, name, None) for name in ("notebook", "cell")}
    logs = record.paths.build / "log"
    log = logs / "dvc.log" if isinstance(error, StageFailedError) else None
    log = log if is_foreseen(error) else logs / "traceback.txt"
    kind, code = error_class_of(error), exit_code_of(error)
    return record.failure(kind, code, str(error), log=log, **where)
