"""What would a chapter say with other settings, or of some accounts alone? Run aside, compared.

Reads params.yaml, a snapshot, the chapter's notebook and what was published. Makes one folder below
build/scratch: the chapter's page with a banner, its tables and figures, and scenario.json. The
subtle point: it passes the same gate as a run and touches no file of one; two equal scenarios give
the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import lock
from pipeline import settings as configuration
from pipeline.data import choices, store
from pipeline.data import slice as slices
from pipeline.reporting import publish, words
from pipeline.reporting.chapter import exploring
from pipeline.reporting.execution import execute, gate
from pipeline.reporting.pages import scenario as page_of
from pipeline.reporting.pages.page import Page
from pipeline.reporting.privacy import telling
from pipeline.reporting.records import record
from pipeline.reporting.records import scenario as comparing
from pipeline.reporting.records.page_check import FIND, INDEX, page_name
from pipeline.run.trial import Trial, asked_for
from pipeline.settings import SUMMARY, ParameterError, Paths, Settings


def run(
    root: Path,
    chapter: str,
    *,
    sets: Sequence[str] = (),
    onlys: Sequence[str] = (),
    period: str | None = None,
    name: str | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Run a chapter aside with other settings; its folder, and what scenario.json holds.

    Args:
        root: folder of params.yaml.
        chapter: one of settings.CHAPTERS.
        sets: `key=value`, the value as in params.yaml.
        onlys: `column=value,value` of the snapshot's accounts.
        period: YYYY-MM; None: the newest that has a snapshot.
        name: of the folder below build/scratch; None: made of what was given.

    Raises:
        ParameterError: no such chapter, setting, account or name, nothing to try, or a folder of
            that name that no scenario made.
        MissingDataError: no such notebook, no snapshot, or no headlines for the summary.
        BusyError: another process is making the scenario of that name.
        ChapterFailedError: the gate refused; the last scenario of that name stays.
    """
    settings = configuration.load(root)
    choices.check(settings)
    paths = Paths(root, settings.company)
    trial = asked_for(chapter, sets, onlys, period, name, settings, paths)
    _check_ready(trial, settings, paths)
    locks = paths.build / "locks" / f"scenario-{trial.name}"
    with lock.held_alone(locks, f"The scenario {trial.name}"):
        return _made(trial, settings, paths)


def _made(trial: Trial, settings: Settings, paths: Paths) -> tuple[Path, dict[str, Any]]:
    """Run it aside, set it beside what stands and put its folder in place, whole or not at all."""
    place = paths.scratch / trial.name
    _check_room(place)
    building = place.with_name(f".{trial.name}{store.BUILDING}")
    before = record.slice_hash(record.inputs_of(trial.period, paths))
    try:
        execute.run_aside(trial.chapter, trial.period, building, trial.parameters, settings, paths)
        told = _told(trial, building, settings, paths)
        if record.slice_hash(record.inputs_of(trial.period, paths)) != before:
            raise ParameterError(
                f"The snapshot of {trial.period} changed while the scenario ran. Run it again."
            )
        store.write_json(told, building / comparing.FILE_NAME)
        page = _page(trial, told, building, settings, paths)
        store.write_text(page_of.render(building / gate.NOTEBOOK, page, told), building / INDEX)
        gate.check(trial.chapter, trial.period, building, may_be_scenario=True)
        _check_room(place)
        store.replace_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return place, told


def _check_ready(trial: Trial, settings: Settings, paths: Paths) -> None:
    """MissingDataError, before any kernel starts, when there is nothing to run or to run on."""
    notebook = paths.notebook(trial.chapter)
    if not notebook.is_file():
        raise store.MissingDataError(
            f"{notebook} is missing. A scenario runs the project's own notebook, so the root must "
            "hold the project's notebooks/, not data alone: give the project's folder as --root."
        )
    needed = settings.question_chapters if trial.chapter == SUMMARY else ()
    heads = [paths.headline(name, trial.period) for name in needed]
    if absent := [head.name for head in heads if not head.is_file()]:
        raise store.MissingDataError(
            f"{words.listing(absent)} of {trial.period} (in {heads[0].parent}) "
            f"{'is' if len(absent) == 1 else 'are'} missing: the summary repeats what the other "
            "chapters found. Run `make report` first."
        )


def _check_room(place: Path) -> None:
    """ParameterError when a folder of that name holds files that no scenario made."""
    is_own = (place / comparing.FILE_NAME).is_file() and not place.is_symlink()
    if not is_own and os.path.lexists(place):
        raise ParameterError(
            f"{place} holds no {comparing.FILE_NAME}, so no scenario made it, and a scenario would "
            "take its place with all that is in it. Choose another --name, or move it away."
        )


# What it came to.


def _told(trial: Trial, folder: Path, settings: Settings, paths: Paths) -> dict[str, Any]:
    """The content of scenario.json; nothing in it depends on when or where it was made."""
    kept = store.read_json(folder / record.HEADLINE_FILE)
    before = comparing.standing(trial.chapter, trial.period, paths)
    subset = exploring.subset(trial.chapter, trial.only, paths.snapshot(trial.period))
    cut = slices.read(paths.snapshot(trial.period))
    return {
        "command": trial.command,
        "chapter": trial.chapter,
        "period": str(trial.period),
        "as_of": cut.as_of.isoformat(),
        "analysis_cut_off": cut.cut_off.isoformat(),
        "company": settings.company,
        "currency": settings.currency,
        "set": trial.given,
        "only": trial.only,
        "accounts": telling.without_small(str(subset), settings.min_cell) if subset else "",
        "compared_with": before.where if before else None,
        "note": before.note if before else "",
        "numbers": comparing.numbers(before, kept["headline"], kept["claims"]),
        "tables": comparing.tables(trial.chapter, before, folder),
    }


def _page(
    trial: Trial, told: Mapping[str, Any], folder: Path, settings: Settings, paths: Paths
) -> Page:
    """What stands around the scenario's notebook."""
    title = publish.title(trial.chapter)
    published = paths.report(trial.period) / page_name(trial.chapter)
    chapters = [(trial.chapter, "Scenario", INDEX)]
    if published.is_file():
        chapters.append(("published", f"{title} as published", _href(published, paths)))
    return Page(
        company_name=settings.company_name,
        period=str(trial.period),
        chapter=trial.chapter,
        title=f"Scenario of {title.lower()}",
        status="scenario",
        revision=0,
        as_of=told["as_of"],
        cut_off=told["analysis_cut_off"],
        chapters=chapters,
        index_href=_href(paths.reports / INDEX, paths),
        find_href=_href(paths.reports / FIND, paths),
        downloads=_downloads(folder),
        provenance=[("Command", told["command"]), ("Record", comparing.FILE_NAME)],
        currency=settings.currency,
    )


def _downloads(folder: Path) -> list[str]:
    marker = store.read_json(folder / record.END_MARKER)
    files = gate.declared_files(marker)
    return [path.as_posix() for path in files if path.parts[0] in publish.FOLDERS]


def _href(target: Path, paths: Paths) -> str:
    return Path(os.path.relpath(target, paths.scratch / "any")).as_posix()


# On a terminal.


def said(place: Path, told: Mapping[str, Any]) -> Iterator[str]:
    """What a person at a terminal reads."""
    first, second = page_of.sentences(told)
    yield f"Scenario of {told['chapter']}, {words.month(told['period'])}: {first}"
    yield f"Compared with: {second}"
    if told["numbers"]:
        yield ""
        yield from _aligned(page_of.number_rows(told["numbers"], told["currency"]))
    if rows := page_of.table_rows(told):
        yield ""
        yield from _aligned(rows)
    yield ""
    yield f"{place / INDEX}"


def _aligned(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Rows of words as columns of equal width."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(padded).rstrip()
