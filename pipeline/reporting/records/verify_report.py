"""Is a published report what was published, and is what it was made from still here?

Reads the folder of one report, its record and, as far as they are here, the slice, the raw files,
the settings, the lock and the code; makes nothing. The subtle point: a later export, another
setting and newer code come with the months and alter no report. They are said, as `changed`, and
only what nobody may touch ends in `altered`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.reporting import words
from pipeline.reporting.records import record
from pipeline.reporting.records.page_check import hashes
from pipeline.reporting.records.record import FILE_NAME, HISTORY, Report
from pipeline.settings import Paths, Period, Settings

AGREES, ALTERED, CHANGED = "agrees", "altered", "changed"
MISSING, EXTRA, NOT_LOOKED_AT = "missing", "extra", "not looked at"
BAD = (ALTERED, EXTRA)
"""What only somebody's hand does; a missing file of a report is bad as well."""
RECORD, PAGES, PAST = "record", "file", "history"
SLICE, RAW, CHOICES = "slice", "raw", "settings, libraries and code"
PUBLISHED = (RECORD, PAGES, PAST)
"""What was published; the other groups are what it was made from."""


@dataclass(frozen=True)
class Line:
    """One thing looked at: its group, its name, a finding and, where it helps, a note."""

    group: str
    name: str
    finding: str
    note: str = ""

    @property
    def is_bad(self) -> bool:
        """True when the report cannot be trusted any more.

        An input that is missing was moved or removed, which alters no report.
        """
        return self.finding in BAD or (self.finding == MISSING and self.group in PUBLISHED)


@dataclass(frozen=True)
class Answer:
    """What was found for one report, line by line."""

    period: Period
    status: str
    revision: str
    lines: tuple[Line, ...]

    @property
    def is_as_published(self) -> bool:
        """True when no page, table, figure or record differs from what was published."""
        return not any(line.is_bad for line in self.lines if line.group in PUBLISHED)

    @property
    def is_good(self) -> bool:
        """True when no line is bad."""
        return not any(line.is_bad for line in self.lines)


def examine(period: Period, settings: Settings, paths: Paths) -> Answer:
    """Recompute every hash of a published report and of its inputs.

    Raises:
        MissingDataError: the period has no report.
        CorruptDataError: its report.json cannot be read at all.
    """
    place = paths.report(period)
    if not (place / FILE_NAME).is_file():
        raise store.MissingDataError(
            f"There is no report of {period}: {FILE_NAME} is not in reports/{period}. Build it: "
            f"make report PERIOD={period}"
        )
    report = _readable(place / FILE_NAME, period)
    lines = (
        *_record(report, period, paths),
        *_files(report, place),
        *_history(report, place),
        *_slice(report, period, paths),
        *_raw(report, period, paths),
        *_choices(report, settings, paths),
    )
    return Answer(period, str(report.get("status")), str(report.get("revision")), lines)


def _readable(path: Path, period: Period) -> Report:
    report = store.read_json(path)
    if not isinstance(report, dict) or not isinstance(report.get("provenance"), dict):
        raise store.CorruptDataError(
            f"{FILE_NAME} of {period} holds no record: what was published cannot be told from it. "
            f"Publish the month again: make report PERIOD={period}"
        )
    return report


# What was published.


def _record(report: Report, period: Period, paths: Paths) -> Iterator[Line]:
    is_whole = record.is_sealed(report)
    is_own = (report.get("period"), report.get("company")) == (str(period), paths.company)
    note = "" if is_whole else "its seal does not fit: a value in it was edited"
    if is_whole and not is_own:
        note = "it is the record of another month or company"
    yield Line(RECORD, FILE_NAME, AGREES if is_whole and is_own else ALTERED, note)


def _files(report: Report, place: Path) -> Iterator[Line]:
    """Pages, tables and figures: each that the record names, and each that it does not."""
    named = _named(report, "files")
    here = hashes(place)
    for name in sorted({*named, *here}):
        if name not in named:
            yield Line(PAGES, name, EXTRA, "the record does not name it")
        elif name not in here:
            yield Line(PAGES, name, MISSING)
        else:
            yield Line(PAGES, name, AGREES if here[name] == named[name] else ALTERED)


def _history(report: Report, place: Path) -> Iterator[Line]:
    """Earlier publications: each has its own seal, and none may be lost."""
    kept = {path.stem: path for path in (place / HISTORY).glob("*.json")}
    revision = report.get("revision")
    due = {str(number) for number in range(1, revision)} if isinstance(revision, int) else set()
    for name in sorted({*kept, *due}, key=lambda each: (len(each), each)):
        file = f"{HISTORY}/{name}.json"
        if name not in kept:
            yield Line(PAST, file, MISSING)
            continue
        earlier = record.read(kept[name])
        is_own = earlier is not None and (
            str(earlier["revision"]), earlier["period"], earlier["company"]
        ) == (name, report.get("period"), report.get("company"))  # fmt: skip
        yield Line(PAST, file, AGREES if is_own else ALTERED)


# What it was made from.


def _slice(report: Report, period: Period, paths: Paths) -> Iterator[Line]:
    folder = paths.snapshot(period)
    for name, sha256 in sorted(_named(report, "inputs").items()):
        path = folder / name
        if not path.is_file():
            yield Line(SLICE, name, MISSING)
        elif store.sha256(path) == sha256:
            yield Line(SLICE, name, AGREES)
        elif name == record.QUALITY:
            yield Line(SLICE, name, CHANGED, "counts of rows set aside; no figure rests on them")
        else:
            yield Line(SLICE, name, ALTERED, "the facts known for this month are not the same")


def _raw(report: Report, period: Period, paths: Paths) -> Iterator[Line]:
    """The exports: as they were, or newer ones that were read since and left the facts alone."""
    named = _named(report, "raw")
    if not named:
        yield Line(RAW, f"data/raw/{paths.company}", NOT_LOOKED_AT, "the record names no raw file")
        return
    seen = {name: facts["sha256"] for name, facts in record.raw_files(paths).items()}
    for name, sha256 in sorted(named.items()):
        path = paths.raw / name
        if not path.is_file():
            yield Line(RAW, name, MISSING)
            continue
        now = store.sha256(path)
        if now == sha256:
            yield Line(RAW, name, AGREES)
        elif now == seen.get(name):
            yield Line(RAW, name, CHANGED, "a later export, which was read since")
        else:
            yield Line(RAW, name, ALTERED, "neither as it was then nor as it was read last")


def _choices(report: Report, settings: Settings, paths: Paths) -> Iterator[Line]:
    facts = report["provenance"]
    lock = paths.root / "requirements.lock"
    now = {
        "params.yaml": ("params_sha256", record.params_hash(settings)),
        "requirements.lock": ("lock_sha256", store.sha256(lock) if lock.is_file() else None),
        "code and notebooks": ("code_sha256", record.code_hash(paths.root)),
    }
    for name, (key, here) in now.items():
        if here is None:
            yield Line(CHOICES, name, MISSING)
        elif here == facts.get(key):
            yield Line(CHOICES, name, AGREES)
        else:
            yield Line(CHOICES, name, CHANGED, "a report made today would be made with others")
    yield Line(CHOICES, "the libraries themselves", *_versions(facts))


def _versions(facts: Mapping[str, Any]) -> tuple[str, str]:
    then, now = facts.get("versions"), record.versions()
    then = then if isinstance(then, dict) else {}
    moved = [name for name in now if name in then and then[name] != now[name]]
    if not moved:
        return (AGREES, "") if then else (NOT_LOOKED_AT, "the record names no version")
    return CHANGED, words.listing([f"{name} {then[name]} → {now[name]}" for name in moved])


def _named(report: Report, part: str) -> dict[str, str]:
    """Name → hash of one part of the provenance; an edited record may hold anything."""
    found = report["provenance"].get(part)
    facts = found.items() if isinstance(found, dict) else ()
    return {
        name: str(each["sha256"] if isinstance(each, dict) and "sha256" in each else each)
        for name, each in facts
    }


# How it is said.


def said(answer: Answer) -> Iterator[str]:
    """The answer for people: what does not agree line by line, the rest counted."""
    head = f"{words.month(answer.period)}: {answer.status}, revision {answer.revision}"
    yield head
    for group in dict.fromkeys(line.group for line in answer.lines):
        own = [line for line in answer.lines if line.group == group]
        n_good = sum(line.finding == AGREES for line in own)
        yield f"  {group}: {n_good} of {len(own)} agree"
        for line in own:
            if line.finding != AGREES:
                note = f" ({line.note})" if line.note else ""
                yield f"    {line.finding}: {line.name}{note}"
    yield _verdict(answer)


def _verdict(answer: Answer) -> str:
    n_bad = sum(line.is_bad for line in answer.lines)
    if not n_bad:
        return "The report is what was published."
    if answer.is_as_published:
        return (
            f"The report is what was published, but {words.counted(n_bad, 'input')} of it "
            "was altered since: get the exports back, or run again to take them in."
        )
    return (
        f"The report is not what was published: {words.counted(n_bad, 'thing')} above. "
        f"`lodestar run --period {answer.period}` builds it again from its inputs."
    )


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer for machines: period, status, revision, is_as_published, is_good, lines."""
    return {
        "period": str(answer.period),
        "status": answer.status,
        "revision": answer.revision,
        "is_as_published": answer.is_as_published,
        "is_good": answer.is_good,
        "lines": [asdict(line) | {"is_bad": line.is_bad} for line in answer.lines],
    }
