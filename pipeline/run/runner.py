"""How does a run begin and end? From the first look at the machine to the last word in the files.

Reads params.yaml; makes the manifest of the run and, when it ended, the index. Between them stands
`build`. The subtle point: whatever happens in between, the manifest says how it ended, and the
last good reports stay.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import settings as configuration
from pipeline import states
from pipeline.data import choices, reading
from pipeline.exits import CANCELLED, error_class_of, exit_code_of, is_foreseen
from pipeline.flow import Flow, StageFailedError, jobs_here
from pipeline.reporting import publish
from pipeline.root import PROJECT, lay_out
from pipeline.run import doctor, notify, recovery
from pipeline.run.build import FailedPeriodsError, Run, Wanted
from pipeline.run.finding import Finding
from pipeline.run.manifest import Manifest, begin
from pipeline.run.periods import complete_params
from pipeline.run.progress import Progress
from pipeline.settings import ANNEX, SAMPLE, ParameterError, Paths, Period, Settings
from pipeline.stages import extract, shapes

HOUR_SECONDS = 3600


class PreflightError(Exception):
    """A run cannot go well here, and was not begun (its `code` is the exit code)."""

    error_class = "preflight"

    def __init__(self, findings: Sequence[Finding]) -> None:
        said = [
            f"{each.name}: {each.message}{f'. {each.fix}' if each.fix else ''}" for each in findings
        ]
        super().__init__("; ".join(said))
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
    is_offline: bool = False,
    flow: Flow | None = None,
) -> Path:
    """Build what is due and out of date below `root`; the path of reports/index.html.

    Args:
        root: folder of params.yaml.
        period: build this one only, and add it to `periods` when it is new.
        force: publish final reports again although their slice did not change.
        jobs: chapters at a time; None: one more than there are cores.
        chapters: run these only, and publish nothing.
        held: open files that children keep open: the root's lock, which the caller holds.
        progress: where to say what happens.
        is_offline: ask no database; the extract that is kept holds.
        flow: this root's, where DVC was asked before this was called; it is closed at the end.

    Raises:
        PreflightError: a run cannot go well here.
        NotDueError: the period asked for, or every period, has not ended in the data.
        FailedPeriodsError: a chapter or report failed; all others were built.
    """
    asked = (Period(period).name,) if period else None
    wanted = Wanted(asked, force, tuple(chapters) if chapters else None)
    return carry_out(
        root,
        lambda *_: wanted,
        jobs=jobs,
        held=held,
        progress=progress,
        is_offline=is_offline,
        flow=flow,
    )


def carry_out(
    root: Path,
    choose: Callable[[Settings, Paths], Wanted],
    *,
    jobs: int | None = None,
    held: tuple[int, ...] = (),
    progress: Progress | None = None,
    is_offline: bool = False,
    is_recorded: bool = True,
    flow: Flow | None = None,
) -> Path:
    """One run with its manifest, from first look to last word; `choose` says what it builds.

    The caller holds the root's lock. A run that is not recorded is one person's own: it leaves no
    manifest, tells nobody and writes no page.
    """
    root, progress = root.resolve(), progress or Progress()
    kept = recorded(root) if is_recorded else unrecorded(root)
    with kept as manifest, contextlib.closing(flow or Flow(root, held)) as flow:
        settings, paths, is_changed = _made_ready(root, manifest, progress, is_offline, flow)
        if is_changed:
            flow.forget_look()
        wanted = choose(settings, paths)
        check_chapters(wanted.chapters, settings)
        flow.retries, flow.hidden = settings.run.retries, extract.secrets(settings)
        flow.end_after(settings.run.run_timeout_hours * HOUR_SECONDS)
        with progress.live():
            return Run(flow, settings, progress, jobs or jobs_here(), manifest).build(wanted)


def _made_ready(
    root: Path, manifest: Manifest, progress: Progress, is_offline: bool, flow: Flow
) -> tuple[Settings, Paths, bool]:
    """Settings and paths of a root where a run can go well and nothing is left half-made.

    And whether anything in it was changed for that.
    """
    settings = configuration.load(root)
    said: list[str] = []
    before = (root / "params.yaml").read_bytes()
    paths = Paths(root, settings.company)
    manifest.note(company=settings.company)
    lay_out(root, PROJECT)
    findings = doctor.examine(paths, settings)
    for finding in findings:
        if not finding.ok and not finding.is_fatal:
            progress.say(f"Note: {finding.name}: {finding.message}.")
    if bad := doctor.fatal(findings):
        raise PreflightError(bad)
    mended = recovery.recover(
        paths, manifest.run_id, mends_index=manifest.is_kept, let_dvc_end=flow.forget_look
    )
    for sentence in mended:
        said.append(sentence)
        progress.say(sentence)
    settings = complete_params(root, settings)
    choices.check(settings)
    for sentence in extract.take(settings, paths, is_offline=is_offline):
        said.append(sentence)
        progress.say(sentence)
    if settings.company != SAMPLE:
        mapped = shapes.completed(settings, paths.raw).source.tables
        reading.find_all(mapped, paths.raw)
    return settings, paths, bool(said) or paths.params.read_bytes() != before


def check_chapters(chapters: Sequence[str] | None, settings: Settings) -> None:
    """Refuse chapters that params.yaml does not list; ParameterError names them."""
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
    manifest = begin(Paths(root, ""), ["lodestar", *sys.argv[1:]])
    notify.began(manifest.journal)
    code = 0
    try:
        yield manifest
        manifest.end(states.DONE if manifest.has_worked else states.NOTHING_TO_DO)
        publish.write_index(manifest.paths)
    except KeyboardInterrupt:
        code = CANCELLED
        recovery.remove_half_made(manifest.paths)
        error = manifest.failure(states.CANCELLED, code, "Cancelled by Ctrl-C or a signal.")
        _end_badly(manifest, states.CANCELLED, error)
        raise
    except Exception as error:
        code = exit_code_of(error)
        first = error.first if isinstance(error, FailedPeriodsError) else None
        _end_badly(manifest, states.FAILED, first or _facts(error, manifest))
        raise
    finally:
        settings = None
        with contextlib.suppress(configuration.ConfigurationError):
            settings = configuration.load(root)
        notify.ended(manifest.content, code, manifest.paths, manifest.journal, settings)


@contextlib.contextmanager
def unrecorded(root: Path) -> Iterator[Manifest]:
    """A manifest around the block that is nowhere written and of which nobody is told."""
    manifest = begin(Paths(root, ""), ["lodestar", *sys.argv[1:]], is_kept=False)
    try:
        yield manifest
    except KeyboardInterrupt:
        recovery.remove_half_made(manifest.paths)
        raise


def _end_badly(manifest: Manifest, state: str, error: dict[str, Any] | None) -> None:
    """The last word on a run that failed; a full disk must not hide why."""
    with contextlib.suppress(OSError):
        manifest.end(state, error)
        if manifest.content["company"] and (manifest.paths.reports / publish.INDEX).is_file():
            publish.write_index(manifest.paths)


def _facts(error: Exception, manifest: Manifest) -> dict[str, Any]:
    where = {name: getattr(error, name, None) for name in ("notebook", "cell")}
    logs = manifest.paths.build / "log"
    log = logs / "dvc.log" if isinstance(error, StageFailedError) else None
    log = log if is_foreseen(error) else logs / "traceback.txt"
    kind, code = error_class_of(error), exit_code_of(error)
    return manifest.failure(kind, code, str(error), log=log, **where)
