"""Where are the exports, and where does the proposal go? The body of `lodestar init`.

Reads a folder of exports or the database that params.yaml names; writes params.proposed.yaml beside
params.yaml and nothing else. The subtle point: it never overwrites and never copies. What a person
has begun to edit is theirs, and raw data move by their hand alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline import settings as configuration
from pipeline.data import database, peek, store
from pipeline.data.store import MissingDataError
from pipeline.proposal import writing
from pipeline.proposal.doubts import doubts
from pipeline.proposal.draft import Draft, drafted
from pipeline.settings import ConfigurationError, ParameterError, Paths

SAMPLE = "sample"
FILES_SHOWN = 10


@dataclass(frozen=True)
class Source:
    """What is looked at: a folder of one company, or a database."""

    company: str
    folder: Path
    is_elsewhere: bool = False


def propose(root: Path, folder: Path | None, *, of_database: bool = False) -> list[str]:
    """Write a proposal for review and say what it holds; lines for a person.

    Raises:
        ParameterError: there is a proposal already, or more than one company to choose from.
        MissingDataError: no export, or none that looks like one of our tables.
        ConfigurationError: `of_database`, and params.yaml declares none.
    """
    place = root / writing.FILE_NAME
    if place.exists():
        raise ParameterError(
            f"{place.name} is there already, and may hold your edits. Move it away, then again."
        )
    draft, source = _of_database(root) if of_database else _of_folder(root, folder)
    if not draft.tables:
        raise MissingDataError(_nothing_found(draft, source))
    found = doubts(draft)
    text = writing.text(draft, found)
    store.write_text(text, place)
    return [*writing.summary(draft, found), *_next_steps(draft, source, root)]


def _of_folder(root: Path, folder: Path | None) -> tuple[Draft, Source]:
    source = _source(root, folder)
    glimpses, refused = peek.glimpses(source.folder)
    return drafted(glimpses, refused, source.company), source


def _of_database(root: Path) -> tuple[Draft, Source]:
    settings = configuration.load(root)
    declared = settings.source.database
    if declared is None:
        raise ConfigurationError(
            "params.yaml declares no database. Write source.database first, for example\n"
            "  source: {database: {backend: postgres, url: BILLING_DATABASE_URL}}\n"
            "with the address in that environment variable."
        )
    folder = Paths(root, settings.company).raw
    with database.connect(declared, folder) as connection:
        glimpses, refused = peek.tables(connection)
    draft = drafted(glimpses, refused, settings.company)
    draft.database = declared.model_dump(by_alias=True, exclude_defaults=True)
    return draft, Source(settings.company, folder)


def _source(root: Path, folder: Path | None) -> Source:
    raw = root / "data" / "raw"
    if folder is not None:
        return _given(folder, raw)
    own = [path for path in sorted(raw.glob("*")) if path.is_dir() and any(path.iterdir())]
    own = [path for path in own if path.name != SAMPLE and not path.name.startswith(".")]
    if len(own) > 1 and (raw / _company_of(root)) in own:
        return Source(_company_of(root), raw / _company_of(root))
    if len(own) > 1:
        raise ParameterError(
            f"data/raw holds {', '.join(path.name for path in own)}: say which, like "
            f"`lodestar init data/raw/{own[0].name}`."
        )
    if not own:
        raise MissingDataError(
            f"There are no exports in {raw}. Put them into data/raw/<company>/, or name the folder "
            "in which they lie: `lodestar init <folder>`."
        )
    return Source(own[0].name, own[0])


def _company_of(root: Path) -> str:
    """The company that params.yaml names; the sample's where there is none that can be read."""
    try:
        return configuration.load(root).company
    except ConfigurationError:
        return SAMPLE


def _given(folder: Path, raw: Path) -> Source:
    place = folder.resolve()
    if not place.is_dir():
        raise MissingDataError(f"{folder} is no folder. Name the folder in which the exports lie.")
    if place.is_relative_to(raw.resolve()) and place != raw.resolve():
        company = place.relative_to(raw.resolve()).parts[0]
        return Source(company, raw / company)
    return Source(_slug(place.name), place, is_elsewhere=True)


def _slug(name: str) -> str:
    """A folder's name as a company's."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    return slug or "company"


def _nothing_found(draft: Draft, source: Source) -> str:
    listed = "\n  ".join(draft.unused[:FILES_SHOWN]) or "no file at all"
    more = len(draft.unused) - FILES_SHOWN
    rest = f"\n  and {more} more" if more > 0 else ""
    return (
        f"Nothing that lies in {source.folder} looks like accounts or subscriptions:\n  {listed}"
        f"{rest}\nOf accounts, account_id and signed_up_date are needed; of subscriptions "
        "subscription_id, account_id, start_date and mrr, or one of the other shapes. "
        "docs/data.md lists every table."
    )


def _next_steps(draft: Draft, source: Source, root: Path) -> list[str]:
    lines = [f"Written to {root / writing.FILE_NAME}; nothing uses it yet. Next:"]
    steps = []
    if source.is_elsewhere:
        target = Path("data") / "raw" / source.company
        steps.append(f"copy the files from {source.folder} to {target} (nothing was copied)")
    steps.append("read it, and settle every line that begins with `# ?`")
    if (root / "params.yaml").exists():
        steps.append(
            f"keep params.yaml under another name, and call {writing.FILE_NAME} params.yaml"
        )
    else:
        steps.append(f"call {writing.FILE_NAME} params.yaml")
    steps += ["`lodestar check`: what would be set aside, and why", "`make report`"]
    lines += [f"  {n}. {step}" for n, step in enumerate(steps, 1)]
    if not draft.is_whole:
        lines.append("A required table is not found or not whole: see the doubts.")
    return lines
