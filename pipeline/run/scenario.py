"""What would a chapter say with other settings, or of some accounts alone? Run aside, compared.

Reads params.yaml, a snapshot, the chapter's notebook and what was published. Makes one folder below
build/scratch: the chapter's page with a banner, its tables and figures, and scenario.json. The
subtle point: it passes the same gate as a run and touches no file of one; two equal scenarios give
the same bytes.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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
from pipeline.settings import (
    ANNEX,
    CHAPTERS,
    Block,
    ParameterError,
    Paths,
    Period,
    Settings,
)

LONGEST_NAME = 80
NAME_FORMAT = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
GAP = re.compile(r"[^a-z0-9._]+")
CHANGES_THE_SNAPSHOT = {
    "company", "timezone", "currency", "fx", "extract_date", "observation_start", "grace_days",
    "grace_months", "close_lag_days", "source", "quarantine", "simulate", "usage",
}  # fmt: skip
"""Top keys of params.yaml that decide what a snapshot holds."""


@dataclass(frozen=True)
class Wanted:
    """A chapter of a month with other settings (`given`), of some accounts (`only`)."""

    chapter: str
    period: Period
    given: dict[str, Any]
    only: dict[str, list[str]]
    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        """As the notebook takes them."""
        return _not_null(self.given) | ({"only": self.only} if self.only else {})

    @property
    def command(self) -> str:
        """What to type to have it again."""
        given = [f"{key}={_as_yaml(value)}" for key, value in self.given.items()]
        shown = [f"--set {shlex.quote(each)}" for each in given]
        chosen = [f"{column}={','.join(values)}" for column, values in self.only.items()]
        shown += [f"--only {shlex.quote(each)}" for each in chosen]
        return f"lodestar scenario {self.chapter} {' '.join(shown)} --period {self.period}"


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
        ParameterError: no such chapter, setting, account, period or name, or nothing to try.
        ChapterFailedError: the gate refused; the last scenario of that name stays.
    """
    settings = configuration.load(root)
    choices.check(settings)
    paths = Paths(root, settings.company)
    wanted = asked_for(chapter, sets, onlys, period, name, settings, paths)
    place = paths.scratch / wanted.name
    building = place.with_name(f".{wanted.name}.building")
    before = record.slice_hash(record.inputs_of(wanted.period, paths))
    try:
        execute.run_aside(chapter, wanted.period, building, wanted.parameters, settings, paths)
        told = _told(wanted, building, settings, paths)
        if record.slice_hash(record.inputs_of(wanted.period, paths)) != before:
            raise ParameterError(
                f"The snapshot of {wanted.period} changed while the scenario ran. Run it again."
            )
        store.write_json(told, building / comparing.FILE_NAME)
        page = _page(wanted, told, building, settings, paths)
        store.write_text(page_of.render(building / gate.NOTEBOOK, page, told), building / INDEX)
        store.replace_folder(building, place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return place, told


# What is asked for.


def asked_for(
    chapter: str,
    sets: Sequence[str],
    onlys: Sequence[str],
    period: str | None,
    name: str | None,
    settings: Settings,
    paths: Paths,
) -> Wanted:
    """What was typed, checked before any kernel starts; ParameterError says what is wrong."""
    if chapter == ANNEX:
        raise ParameterError(
            "The annex has no settings: it tries out other choices of every chapter by itself. "
            f"Ask one of {words.listing(CHAPTERS, 'or')}."
        )
    if chapter not in CHAPTERS:
        raise ParameterError(f"{chapter!r} is no chapter; there are {words.listing(CHAPTERS)}.")
    block = exploring.block_of(chapter, settings)
    if not sets and not onlys:
        raise ParameterError(
            f"Nothing to try: give --set key=value or --only column=value. {_has(chapter, block)}"
        )
    given = dict(_setting(chapter, text, block) for text in sets)
    own = exploring.own_settings(chapter, settings, _not_null(given))
    given = {key: own.model_dump(mode="json")[key] for key in sorted(given)}
    only = dict(_chosen(text) for text in onlys)
    month = exploring.chosen_period(period, paths)
    exploring.subset(chapter, only, paths.snapshot(month))
    return Wanted(chapter, month, given, only, _checked_name(name, chapter, month, given, only))


def _setting(chapter: str, text: str, block: Block) -> tuple[str, Any]:
    """`key=value` as a setting of the chapter; one word for a list is a list of one."""
    key, sign, raw = text.partition("=")
    key = key.strip().removeprefix(f"{chapter}.")
    if not sign or not key:
        raise ParameterError(f"--set {text!r}: write key=value, like --set {_example(block)}.")
    if key not in type(block).model_fields or f"{chapter}.{key}" in exploring.DECIDED_ELSEWHERE:
        raise ParameterError(f"--set {text}: {_why_not(chapter, key, block)}")
    try:
        value = YAML(typ="safe", pure=True).load(raw)
    except YAMLError:
        raise ParameterError(f"--set {text}: {raw!r} is not YAML. Put text in quotes.") from None
    if value is None and not exploring.is_nullable(block, key):
        raise ParameterError(f"--set {text}: {key} cannot be null; it is {getattr(block, key)}.")
    is_single = isinstance(getattr(block, key), list) and not isinstance(value, list)
    return key, [value] if is_single else value


def _not_null(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for a notebook, in which null would keep the value of params.yaml."""
    return {key: exploring.NONE_GIVEN if value is None else value for key, value in given.items()}


def _why_not(chapter: str, key: str, block: Block) -> str:
    """Why a key cannot be set in a scenario, and what to do."""
    instead = (
        "Change it in params.yaml and run `make report`; to leave the reports as they are, do so "
        "in a copy of the project's folder."
    )
    full = f"{chapter}.{key}"
    top = key.partition(".")[0]
    if full in exploring.DECIDED_ELSEWHERE:
        return f"{exploring.DECIDED_ELSEWHERE[full]}, so a notebook cannot try it out. {instead}"
    if top in CHANGES_THE_SNAPSHOT:
        return f"{top} changes the snapshot that every chapter reads. {instead}"
    if top in Settings.model_fields:
        of = f"is of {top}" if top in CHAPTERS else "holds for every chapter"
        return f"{key} {of}, not of {chapter} alone. {_has(chapter, block)} {instead}"
    near = difflib.get_close_matches(key, _keys(chapter, block), 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{chapter} has no setting {key}.{hint} {_has(chapter, block)}"


def _keys(chapter: str, block: Block) -> list[str]:
    fields = type(block).model_fields
    return [key for key in fields if f"{chapter}.{key}" not in exploring.DECIDED_ELSEWHERE]


def _has(chapter: str, block: Block) -> str:
    values = block.model_dump(mode="json")
    listed = [f"{key}={_as_yaml(values[key])}" for key in _keys(chapter, block)]
    return f"{chapter} has {', '.join(listed)}."


def _example(block: Block) -> str:
    key, value = next(iter(block.model_dump(mode="json").items()))
    return f"{key}={_as_yaml(value)}"


def _as_yaml(value: Any) -> str:
    """A setting on one line, as it can be typed."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_as_yaml(each)}' for key, each in value.items())}}}"
    return "null" if value is None else str(value)


def _chosen(text: str) -> tuple[str, list[str]]:
    column, _, raw = text.partition("=")
    values = [value.strip() for value in raw.split(",") if value.strip()]
    if not column.strip() or not values:
        raise ParameterError(f"--only {text!r}: write column=value,value, like segment=smb.")
    return column.strip(), values


# Its name.


def _checked_name(
    name: str | None,
    chapter: str,
    period: Period,
    given: Mapping[str, Any],
    only: Mapping[str, Sequence[str]],
) -> str:
    if name is None:
        return default_name(chapter, period, given, only)
    if not NAME_FORMAT.fullmatch(name) or ".." in name:
        raise ParameterError(
            f"--name {name!r} names a folder below build/scratch: use small letters, digits, - . _"
        )
    return name


def default_name(
    chapter: str, period: Period, given: Mapping[str, Any], only: Mapping[str, Sequence[str]]
) -> str:
    """`survival-2026-10-horizons_months-6-12-only-segment-smb`; a long one ends in a digest."""
    words_ = [chapter, str(period)]
    words_ += [f"{key}-{_as_yaml(value)}" for key, value in given.items()]
    words_ += [f"only-{column}-{'-'.join(values)}" for column, values in sorted(only.items())]
    whole = GAP.sub("-", "-".join(words_).lower()).strip("-.")
    if len(whole) <= LONGEST_NAME:
        return whole
    digest = hashlib.sha256("-".join(words_).encode("utf-8")).hexdigest()[:8]
    return f"{whole[: LONGEST_NAME - 9].rstrip('-.')}-{digest}"


# What it came to.


def _told(wanted: Wanted, folder: Path, settings: Settings, paths: Paths) -> dict[str, Any]:
    """The content of scenario.json; nothing in it depends on when or where it was made."""
    kept = store.read_json(folder / record.HEADLINE_FILE)
    before = comparing.standing(wanted.chapter, wanted.period, paths)
    subset = exploring.subset(wanted.chapter, wanted.only, paths.snapshot(wanted.period))
    cut = slices.read(paths.snapshot(wanted.period))
    return {
        "command": wanted.command,
        "chapter": wanted.chapter,
        "period": str(wanted.period),
        "as_of": cut.as_of.isoformat(),
        "analysis_cut_off": cut.cut_off.isoformat(),
        "company": settings.company,
        "currency": settings.currency,
        "set": wanted.given,
        "only": wanted.only,
        "accounts": telling.without_small(str(subset), settings.min_cell) if subset else "",
        "compared_with": before.where if before else None,
        "note": before.note if before else "",
        "numbers": comparing.numbers(before, kept["headline"], kept["claims"]),
        "tables": comparing.tables(wanted.chapter, before, folder),
    }


def _page(
    wanted: Wanted, told: Mapping[str, Any], folder: Path, settings: Settings, paths: Paths
) -> Page:
    """What stands around the scenario's notebook."""
    title = publish.title(wanted.chapter)
    published = paths.report(wanted.period) / page_name(wanted.chapter)
    chapters = [(wanted.chapter, "Scenario", INDEX)]
    if published.is_file():
        chapters.append(("published", f"{title} as published", _href(published, paths)))
    return Page(
        company_name=settings.company_name,
        period=str(wanted.period),
        chapter=wanted.chapter,
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
