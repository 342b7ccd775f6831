"""What can be typed? The command line, and the exit codes it ends with.

Every error ends in one clear message on stderr and an exit code of sysexits; what a programmer
needs stands in build/log/.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import children, lock
from pipeline import settings as configuration
from pipeline.exits import (
    BAD_DATA,
    BAD_PARAMETER,
    CANCELLED,
    DONE,
    error_class_of,
    exit_code_of,
    is_foreseen,
)
from pipeline.redaction import redacted
from pipeline.settings import ANNEX, CHAPTERS, ParameterError, Paths, Period, Settings

if TYPE_CHECKING:
    from pipeline.flow import Flow

STAGES = ("simulate", "ingest", "usage", "snapshot")
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command as Ctrl-C does."""

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
    jobs: Annotated[int | None, typer.Option(help="Chapters at a time; else cores + 1.")] = None,
    chapters: Annotated[
        str | None, typer.Option(help="These only, with commas; nothing is published.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no database: the kept extract holds.")
    ] = False,
) -> None:
    """Build every report that is due and not final, or out of date."""
    chosen = Period(period).name if period is not None else None
    only = [name.strip() for name in chapters.split(",")] if chapters is not None else None
    root = PLACE.folder()
    with _locked(root, jobs) as held, contextlib.ExitStack() as at_the_end:
        if dry_run:
            _preview(chosen, force, only)
            return
        if flow := _flow_that_looks(root, held):
            at_the_end.callback(flow.close)
        from pipeline import run as runner  # after the lock: it loads for seconds

        runner.run(
            root,
            chosen,
            force=force,
            jobs=jobs,
            chapters=only,
            held=(held,),
            is_offline=offline,
            flow=flow,
        )


def _flow_that_looks(root: Path, held: int) -> Flow | None:
    """Let DVC look for what is out of date while our own code is loaded; both take their time.

    None where a run first changes the folder (it lays out a flow, or takes an extract), and where
    DVC cannot be started or the disk is nearly full, which the run says. What was laid out earlier
    is brought up to date before DVC looks.
    """
    from pipeline.data import disk
    from pipeline.flow import Flow
    from pipeline.root import PROJECT, is_laid_out, lay_out

    with contextlib.suppress(configuration.ConfigurationError, OSError):
        settings = configuration.load(root)
        has_room = disk.free_mb(root) >= settings.run.free_disk_mb
        has_database = settings.source.database is not None
        if (root / "dvc.yaml").is_file() and has_room and not has_database:
            if is_laid_out(root):
                lay_out(root, PROJECT)
            flow = Flow(root, (held,))
            flow.look_aside()
            return flow
    return None


def _preview(period: str | None, force: bool, chapters: list[str] | None) -> None:
    from pipeline.run import Wanted
    from pipeline.run import status as standing
    from pipeline.run.runner import check_chapters

    settings, paths = PLACE.load()
    check_chapters(chapters, settings)
    periods = (period,) if period else None
    wanted = Wanted(periods, force, tuple(chapters) if chapters else None)
    for line in standing.preview_lines(settings, paths, wanted):
        typer.echo(line)


@contextlib.contextmanager
def _locked(root: Path, jobs: int | None) -> Iterator[int]:
    """The root's lock, for a command that builds."""
    if jobs is not None and jobs < 1:
        raise ParameterError(f"--jobs {jobs}: give a number of 1 or more.")
    if not (root / "params.yaml").is_file():
        raise configuration.ConfigurationError(f"params.yaml is missing in {root}.")
    with lock.locked(root) as held:
        yield held


@app.command()
def lab(
    period: Annotated[str | None, typer.Option(help="YYYY-MM; else the newest month due.")] = None,
    build: Annotated[bool, typer.Option(help="Bring its tables up to date first.")] = True,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Use this port; else a free one.")
    ] = None,
) -> None:
    """Build what the notebooks of one month read and open JupyterLab; publish nothing."""
    chosen = Period(period).name if period is not None else None
    root = PLACE.folder()
    if build:
        _bring_up_to_date(root, chosen)
    from pipeline.run import lab as opening

    opening.open_lab(root, port, opens_browser=browser)


def _bring_up_to_date(root: Path, period: str | None) -> None:
    """DVC looks for what is out of date while our own code is loaded; both take their time."""
    from pipeline.flow import Flow

    try:
        with lock.locked(root) as held, contextlib.closing(Flow(root, (held,))) as flow:
            flow.look_aside()
            from pipeline.run import lab as opening

            opening.bring_up_to_date(root, period, flow)
    except lock.BusyError as error:
        from pipeline.run import lab as opening

        opening.say_not_up_to_date(root, error)


@app.command()
def backfill(
    first: Annotated[str, typer.Argument(metavar="FROM", help="YYYY-MM")],
    last: Annotated[str, typer.Argument(metavar="TO", help="YYYY-MM")],
    mode: Annotated[
        str, typer.Option(help="missing, failed (and missing), or all (finals too).")
    ] = "missing",
    jobs: Annotated[int | None, typer.Option(help="Chapters at a time; else cores + 1.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Build many months; go on after a failure, and name those that failed at the end."""
    Period(first), Period(last)
    root = PLACE.folder()
    if dry_run:
        from pipeline.run import backfill as filling

        for line in filling.preview(root, first, last, mode=mode):
            typer.echo(line)
        return
    with _locked(root, jobs) as held:
        from pipeline.run import backfill as filling  # after the lock: it loads for seconds

        filling.backfill(root, first, last, mode=mode, jobs=jobs, held=(held,))


@app.command()
def status() -> None:
    """Say how the last run went and which periods are due and published, from files alone."""
    from pipeline import run as runner

    settings, paths = PLACE.load()
    for line in runner.status_lines(settings, paths):
        typer.echo(line)


@app.command()
def doctor() -> None:
    """Look whether a run can go well here, more thoroughly than a run does; mend nothing."""
    from pipeline.run import doctor as examining

    settings, paths = PLACE.load()
    findings = examining.examine(paths, settings, is_thorough=True)
    for line in examining.lines(findings):
        typer.echo(line)
    if bad := examining.fatal(findings):
        raise typer.Exit(bad[0].code)


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Remove old run folders, leftovers and cache objects; never a report nor raw data."""
    settings, paths = PLACE.load()
    with lock.locked(paths.root):
        from pipeline.run import prune as pruning

        items = pruning.prune(paths, settings, dry_run=dry_run)
        for line in pruning.lines(items, dry_run=dry_run):
            typer.echo(line)


@app.command()
def init(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of exports; else the one below data/raw.")
    ] = None,
    database: Annotated[
        bool, typer.Option("--database", help="Look at source.database of params.yaml instead.")
    ] = False,
) -> None:
    """Look at exports and propose how to map them, for review; write params.proposed.yaml."""
    from pipeline.proposal import proposing

    root = PLACE.root.resolve() if PLACE.root else configuration.find_root()
    for line in proposing.propose(root, folder, of_database=database):
        typer.echo(redacted(line))


@app.command()
def check(
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines; docs/data.md has the fields.")
    ] = False,
) -> None:
    """Look at the raw data only: read, sort and count them; change nothing."""
    from pipeline import checking
    from pipeline.checking import saying

    settings, paths = PLACE.load()
    answer = checking.check(settings, paths)
    if as_json:
        from pipeline.data import store

        typer.echo(store.dump_json(redacted(answer)), nl=False)
    else:
        saying.say(answer, settings.company_name, settings.currency)
    if answer["exit_code"]:
        raise typer.Exit(answer["exit_code"])


@app.command()
def explain(
    period: Annotated[str, typer.Argument(help="YYYY-MM")],
    headline: Annotated[str, typer.Argument(help="Its name in report.json.")],
) -> None:
    """Say where a published number comes from: formula, rows and steps."""
    from pipeline.reporting.records import explain as explaining

    _, paths = PLACE.load()
    for line in explaining.explain(Period(period), headline, paths):
        typer.echo(line)


@app.command()
def scenario(
    chapter: Annotated[str, typer.Argument(help=", ".join(CHAPTERS))],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of its block in params.yaml."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE,…", help="These accounts alone: segment=smb."),
    ] = None,
    period: Annotated[str | None, typer.Option(help="YYYY-MM; else the newest.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the folder below build/scratch.")] = None,
) -> None:
    """Try other settings in one chapter, aside; publish nothing."""
    from pipeline.run import scenario as trying

    place, told = trying.run(
        PLACE.folder(), chapter, sets=sets or (), onlys=only or (), period=period, name=name
    )
    for line in trying.said(place, told):
        typer.echo(line)


@app.command("new-chapter")
def new_chapter(
    name: Annotated[str, typer.Argument(help="One word for its question, like health.")],
    question: Annotated[str | None, typer.Option(help="Its title: Who is next?")] = None,
) -> None:
    """Make all that a new chapter needs; it passes every check."""
    from pipeline.scaffold import chapter as scaffold

    for file, what in scaffold.new_chapter(name, question, PLACE.folder()):
        typer.echo(f"  {file:<42} {what}")
    typer.echo("Next:")
    for step in scaffold.next_steps(name):
        typer.echo(f"  {step}")


@app.command("verify-report")
def verify_report(
    period: Annotated[str, typer.Argument(help="YYYY-MM")],
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines; docs/operations.md has the fields.")
    ] = False,
) -> None:
    """Recompute the hashes of a published report and of its inputs; change nothing."""
    month = Period(period)
    settings, paths = PLACE.load()
    from pipeline.reporting.records import verify_report

    answer = verify_report.examine(month, settings, paths)
    if as_json:
        from pipeline.data import store

        typer.echo(store.dump_json(redacted(verify_report.as_json(answer))), nl=False)
    else:
        for line in verify_report.said(answer):
            typer.echo(line)
    if not answer.is_good:
        raise typer.Exit(BAD_DATA)


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
    children.bind()
    settings, paths = PLACE.load()
    with lock.writing(paths.root):
        _run_stage(name, settings, paths)


def _run_stage(name: str, settings: Settings, paths: Paths) -> None:
    if name == "simulate":
        from pipeline.stages.simulate import simulate

        simulate(settings.simulate, Paths(paths.root, configuration.SAMPLE).raw, settings.currency)
        return
    import gc
    import importlib

    module = importlib.import_module(f"pipeline.stages.{name}")
    gc.collect()
    gc.freeze()  # what is loaded stays: no sweeping of memory need look at it again
    module.run(settings, paths)


@app.command()
def chapter(
    name: Annotated[str, typer.Argument(help=", ".join((*CHAPTERS, ANNEX)))],
    period: Annotated[str, typer.Argument(help="YYYY-MM")],
) -> None:
    """Run one chapter of one period as it stands in dvc.yaml."""
    if name not in (*CHAPTERS, ANNEX):
        raise ParameterError(f"{name!r} is no chapter; there are {', '.join((*CHAPTERS, ANNEX))}.")
    month = Period(period)
    children.bind()
    settings, paths = PLACE.load()
    with lock.writing(paths.root):
        from pipeline.reporting.execution import execute

        execute.run_chapter(name, month, settings, paths)


@app.command()
def report(period: Annotated[str, typer.Argument(help="YYYY-MM")]) -> None:
    """Publish one period as it stands in dvc.yaml, from chapters that have run."""
    month = Period(period)
    children.bind()
    settings, paths = PLACE.load()
    with lock.writing(paths.root):
        from pipeline.reporting import publish

        result = publish.publish(month, settings, paths)
        publish.write_index(paths)
    typer.echo(f"{month}: {result.status}, revision {result.revision}")


# How a command ends.


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name in another alphabet must not end a run
            stream.reconfigure(errors="backslashreplace")
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _terminated)
    sys.exit(_ended(lambda: app(args=arguments, prog_name="lodestar", standalone_mode=False)))


def _ended(command: Callable[[], object]) -> int:
    try:
        result = command()  # typer gives back the code of an early end, a command gives nothing
        code = result if isinstance(result, int) else DONE
    except typer.Exit as end:
        code = end.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = CANCELLED
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own: a wrong command, option or value
            typer.echo(f"lodestar: {error.format_message()} See lodestar --help.", err=True)
            return BAD_PARAMETER
        return _failed(error)
    if code == CANCELLED:
        typer.echo("lodestar: cancelled; the last reports stay", err=True)
    return code


def _failed(error: Exception) -> int:
    """Say what went wrong on stderr and to the runner; keep the traceback in a file."""
    code = exit_code_of(error)
    message = redacted(str(error).strip() or type(error).__name__)
    if not is_foreseen(error):
        message = f"{type(error).__name__}: {message}"
    typer.echo(f"lodestar: {message}", err=True)
    if not is_foreseen(error) and (kept := _keep_traceback(error)):
        typer.echo(f"lodestar: the traceback is in {kept}", err=True)
    if path := os.environ.get(children.FAILURE_VARIABLE):
        from pipeline import flow

        where = {name: getattr(error, name, None) for name in ("notebook", "cell")}
        where["error_class"] = error_class_of(error)
        with contextlib.suppress(OSError):  # a full disk; the exit code says it too
            flow.leave_failure(code, message, Path(path), **where)
    return code


def _keep_traceback(error: Exception) -> Path | None:
    try:
        path = PLACE.folder() / "build" / "log" / "traceback.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        words = "".join(traceback.format_exception(error))
        path.write_text(redacted(words), encoding="utf-8")
    except (OSError, configuration.ConfigurationError):
        return None
    return path


def _terminated(number: int, frame: FrameType | None) -> None:
    """Stop as after Ctrl-C; no further signal may break off the tidying up."""
    for each in (signal.SIGINT, *ENDING):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
