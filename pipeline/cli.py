"""What can be typed? The command line, and the exit codes it ends with.

Every error ends in one clear message on stderr and an exit code of sysexits; what a programmer
needs stands in build/log/.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from pipeline import lock
from pipeline import settings as configuration
from pipeline.settings import ANNEX, CHAPTERS, ParameterError, Paths, Period, Settings

DONE, BAD_PARAMETER, BAD_DATA, MISSING, FAILED = 0, 64, 65, 66, 70
CANNOT_CREATE, CANNOT_WRITE, NOT_NOW, CONFIGURATION = 73, 74, 75, 78
INTERRUPTED = 130
EXIT_CODES = {
    "ConfigurationError": CONFIGURATION,
    "MissingKernelError": CONFIGURATION,
    "ParameterError": BAD_PARAMETER,
    "MissingDataError": MISSING,
    "CorruptDataError": BAD_DATA,
    "DataError": BAD_DATA,
    "NotDueError": NOT_NOW,
    "BusyError": NOT_NOW,
    "ChapterFailedError": FAILED,
    "UnfinishedChapterError": FAILED,
    "UnsoundReportError": FAILED,
    "PermissionError": CANNOT_CREATE,
}
"""Class of an error → exit code; by name, so that no command loads what it does not need."""
WRITE_ERRORS = {
    errno.ENOSPC: CANNOT_WRITE,
    errno.EDQUOT: CANNOT_WRITE,
    errno.EIO: CANNOT_WRITE,
    errno.EROFS: CANNOT_CREATE,
}
STAGES = ("simulate", "ingest", "usage", "snapshot")
EXAMPLES = 5

app = typer.Typer(
    name="lodestar",
    help="Monthly customer success reports from a company's raw exports.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclasses.dataclass
class Place:
    """Where the command works."""

    root: Path | None = None

    def load(self) -> tuple[Settings, Paths]:
        """Settings and paths of the root."""
        root = self.folder()
        settings = configuration.load(root)
        return settings, Paths(root, settings.company)

    def folder(self) -> Path:
        """The root, found upwards from here when none was given."""
        return self.root.resolve() if self.root else configuration.find_root()


PLACE = Place()


@app.callback()
def _options(
    root: Annotated[
        Path | None, typer.Option(help="Folder of params.yaml; else found from here upwards.")
    ] = None,
) -> None:
    PLACE.root = root


@app.command()
def run(
    period: Annotated[str | None, typer.Option(help="This month only, YYYY-MM.")] = None,
    force: Annotated[bool, typer.Option(help="Publish final reports again too.")] = False,
    jobs: Annotated[int | None, typer.Option(help="Chapters at a time; else one per core.")] = None,
) -> None:
    """Build every report that is due and out of date."""
    chosen = Period(period).name if period is not None else None
    if jobs is not None and jobs < 1:
        raise ParameterError(f"--jobs {jobs}: give a number of 1 or more.")
    root = PLACE.folder()
    configuration.load(root)
    with lock.locked(root) as held:
        from pipeline import run as runner  # after the lock: it loads for seconds

        runner.run(root, chosen, force=force, jobs=jobs, held=(held,))


@app.command()
def status() -> None:
    """Say which periods are due, published and up to date."""
    from pipeline import run as runner

    settings, paths = PLACE.load()
    for line in runner.status_lines(settings, paths):
        typer.echo(line)


@app.command()
def check() -> None:
    """Look at the raw data only: read, sort and count them; change nothing."""
    settings, paths = PLACE.load()
    aside = paths.build / "check"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        for line in _check_lines(settings, paths, aside):
            typer.echo(line)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@app.command()
def explain(
    period: Annotated[str, typer.Argument(help="YYYY-MM")],
    headline: Annotated[str, typer.Argument(help="Its name in report.json.")],
) -> None:
    """Say where a published number comes from: formula, rows and steps."""
    from pipeline.reporting import explain as explaining

    _, paths = PLACE.load()
    for line in explaining.explain(Period(period), headline, paths):
        typer.echo(line)


@app.command()
def who(pseudonym: Annotated[str, typer.Argument(help="As it stands in a report.")]) -> None:
    """Find the account behind a pseudonym."""
    from pipeline.data import store
    from pipeline.reporting import chapter

    settings, paths = PLACE.load()
    accounts = store.read_frame(paths.ingest / "accounts.parquet")
    key = os.environ.get(chapter.KEY_VARIABLE) or settings.company
    ids = sorted({str(account) for account in accounts["account_id"]})
    found = [account for account in ids if chapter.pseudonym(account, key) == pseudonym]
    if not found:
        raise ParameterError(
            f"{pseudonym!r} is nobody here. Pseudonyms depend on the company and on "
            f"{chapter.KEY_VARIABLE}: both must be as they were when the report was built."
        )
    for account in found:
        typer.echo(account)


@app.command()
def stage(name: Annotated[str, typer.Argument(help=", ".join(STAGES))]) -> None:
    """Run one stage as it stands in dvc.yaml."""
    if name not in STAGES:
        raise ParameterError(f"{name!r} is no stage; there are {', '.join(STAGES)}.")
    settings, paths = PLACE.load()
    if name == "simulate":
        from pipeline.stages.simulate import simulate

        simulate(settings.simulate, Paths(paths.root, "sample").raw, settings.currency)
        return
    import importlib

    importlib.import_module(f"pipeline.stages.{name}").run(settings, paths)


@app.command()
def chapter(
    name: Annotated[str, typer.Argument(help=", ".join((*CHAPTERS, ANNEX)))],
    period: Annotated[str, typer.Argument(help="YYYY-MM")],
) -> None:
    """Run one chapter of one period as it stands in dvc.yaml."""
    if name not in (*CHAPTERS, ANNEX):
        raise ParameterError(f"{name!r} is no chapter; there are {', '.join((*CHAPTERS, ANNEX))}.")
    month = Period(period)
    settings, paths = PLACE.load()
    from pipeline.reporting import execute

    execute.run_chapter(name, month, settings, paths)


@app.command()
def report(period: Annotated[str, typer.Argument(help="YYYY-MM")]) -> None:
    """Publish one period as it stands in dvc.yaml, from chapters that have run."""
    month = Period(period)
    settings, paths = PLACE.load()
    from pipeline.reporting import publish

    result = publish.publish(month, settings, paths)
    publish.write_index(paths)
    typer.echo(f"{month}: {result.status}, revision {result.revision}")


def _check_lines(settings: Settings, paths: Paths, aside: Path) -> list[str]:
    """What `ingest` would read and set aside; its own files go to a folder that is removed."""
    from pipeline.data import store
    from pipeline.stages import ingest

    copy = ElsewherePaths(paths.root, paths.company, aside)
    ingest.run(settings, copy)
    extract = store.read_json(copy.ingest / "extract.json")
    lines = [f"The data of {settings.company_name} reach to {extract['extract_date']}."]
    for table, count in extract["rows"].items():
        listing = copy.quarantine / f"{table}.csv"
        bad = store.read_published_rows(listing) if listing.is_file() else []
        lines.append(f"{table}: {count:,} rows, {len(bad):,} to quarantine")
        for row in bad[:EXAMPLES]:
            where = f"{row['file']} line {row['line']}, {row['column']}"
            lines.append(f"  {where}: {row['rule']}: {row['value']}")
        if len(bad) > EXAMPLES:
            lines.append(f"  and {len(bad) - EXAMPLES:,} more")
    return lines


@dataclasses.dataclass(frozen=True)
class ElsewherePaths(Paths):
    """Raw data where they are; whatever is made goes to another folder."""

    elsewhere: Path

    @property
    def processed(self) -> Path:
        return self.elsewhere / "processed"

    @property
    def quarantine(self) -> Path:
        return self.elsewhere / "quarantine"


# How a command ends.


def exit_code_of(error: BaseException) -> int:
    """The exit code of an error; 70 when nobody foresaw it."""
    if isinstance(code := getattr(error, "code", None), int):
        return code
    if isinstance(error, OSError) and error.errno in WRITE_ERRORS:
        return WRITE_ERRORS[error.errno]
    for kind in type(error).__mro__:
        if kind.__name__ in EXIT_CODES:
            return EXIT_CODES[kind.__name__]
    return FAILED


def is_foreseen(error: BaseException) -> bool:
    """True when the message alone tells a reader what to do."""
    return hasattr(error, "code") or any(k.__name__ in EXIT_CODES for k in type(error).__mro__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(_ended(lambda: app(args=arguments, prog_name="lodestar", standalone_mode=False)))


def _ended(command: Callable[[], object]) -> int:
    try:
        result = command()  # typer gives back the code of an early end, a command gives nothing
        code = result if isinstance(result, int) else DONE
    except typer.Exit as end:
        code = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: a wrong command, option or value
            typer.echo(f"lodestar: {error.format_message()} See lodestar --help.", err=True)
            return BAD_PARAMETER
        return _failed(error)
    if code == INTERRUPTED:
        typer.echo("lodestar: interrupted; the last reports stay", err=True)
    return code


def _failed(error: Exception) -> int:
    """Say what went wrong on stderr and to the runner; keep the traceback in a file."""
    code = exit_code_of(error)
    message = str(error).strip() or type(error).__name__
    if not is_foreseen(error):
        message = f"{type(error).__name__}: {message}"
    typer.echo(f"lodestar: {message}", err=True)
    if not is_foreseen(error) and (kept := _keep_traceback(error)):
        typer.echo(f"lodestar: the traceback is in {kept}", err=True)
    if path := os.environ.get(lock.FAILURE_VARIABLE):
        from pipeline import flow

        flow.leave_failure(code, message, Path(path))
    return code


def _keep_traceback(error: Exception) -> Path | None:
    try:
        path = PLACE.folder() / "build" / "log" / "traceback.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except (OSError, configuration.ConfigurationError):
        return None
    return path


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
