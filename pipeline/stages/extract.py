"""What did the database hold when this build began? An extract, kept beside the exports.

Reads the tables and queries that params.yaml maps; makes data/raw/<company>/<table>.parquet, only
the columns that are mapped, every cell as text, and `extract-of-database.json`, which says when,
from what and how much. It is taken once per build, before DVC looks for what is stale. The subtle
point: a file whose content did not change is not touched, so that nothing is built anew; and either
all files are of one moment of the database, or none is replaced.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import store
from pipeline.data.database import Column, Connection, Relation, UnreachableError, connect
from pipeline.data.reading import DataError, RawFile, columns
from pipeline.data.schema import RAW
from pipeline.settings import ConfigurationError, Paths, Settings, SourceTable
from pipeline.stages import shapes

RECORD = "extract-of-database.json"
"""Beside the extract: when it was taken, and of each file its rows, its hash and its source."""
ACCOUNTS, SUBSCRIPTIONS = "accounts", "subscriptions"
OWN_VARIABLES = ("PGPASSWORD", "PGPASSFILE")
"""PostgreSQL's own environment variables for what an address may leave out."""


@dataclass(frozen=True)
class Wanted:
    """One file of the extract: what is read of the database, and which columns of it."""

    name: str
    relation: Relation
    columns: tuple[Column, ...]

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.parquet"


def take(settings: Settings, paths: Paths, *, is_offline: bool = False) -> list[str]:
    """Take the extract of a company whose data are in a database; what happened, in sentences.

    Without a database in params.yaml nothing is done. `is_offline`: the extract that is kept holds,
    once its files are as they were written.

    Raises:
        UnreachableError: the database does not answer; the last extract stays.
        MissingDataError: a table is not there; offline: no extract was ever taken.
        ConfigurationError: an address, a right or a query is wrong.
        DataError: a column is missing or no text, or a file of somebody else is in the way.
        CorruptDataError: offline: a file of the extract was altered.
    """
    declared = settings.source.database
    if declared is None:
        return []
    before = _record(paths.raw)
    if is_offline:
        return [_kept_sentence(before, paths.raw)]
    try:
        with connect(declared, paths.raw) as look:
            wanted = _wanted(settings, look)
            _check_places(wanted, before, paths.raw)
            taken_at = _moment(look)
            counts = _written(look, wanted, before, paths.raw)
    except UnreachableError as error:
        is_kept = before.get("taken_at")
        kept = f" `lodestar run --offline` uses {_said(before)}." if is_kept else ""
        raise UnreachableError(f"{error}{kept}") from None
    tables = {
        each.name: {
            "rows": counts[each.name],
            "sha256": store.sha256(paths.raw / each.file),
            "source": each.relation.query or each.relation.name,
        }
        for each in wanted
    }
    return _recorded(tables, taken_at, before, paths.raw)


def secrets(settings: Settings) -> tuple[str, ...]:
    """Environment variables that only the taking of an extract needs."""
    declared = settings.source.database
    return (declared.url, *OWN_VARIABLES) if declared and declared.url else ()


# What is wanted.


def _wanted(settings: Settings, look: Connection) -> list[Wanted]:
    """The files of the extract, in the order of the schema; all missing columns are named."""
    mapped = _mapped(settings, set(look.names()))
    found, wrong = [], []
    for name in sorted(mapped, key=[*RAW, *mapped].index):
        source = mapped[name]
        relation = Relation(source.table or name, source.query)
        there = look.columns(relation)
        header = [each.name for each in there]
        place = RawFile(Path(), f"{name}, {relation} of the database")
        table = shapes.as_received(RAW[name], settings)
        wrong += columns.problems(header, table, source, place, settings.source.strict)
        places = columns.choose(header, table, source).places
        if name == SUBSCRIPTIONS and ACCOUNTS not in mapped:
            places = list(dict.fromkeys([*places, *_of_accounts(header, settings)]))
        found.append(Wanted(name, relation, tuple(there[place] for place in places)))
    if wrong:
        raise DataError("\n".join(wrong))
    return [*found, *_looked_up(settings, look)]


def _mapped(settings: Settings, there: set[str]) -> dict[str, SourceTable]:
    """Our tables that come from the database, with their mapping.

    A required table that nothing is said of is taken when it is there under our own name. In other
    shapes than intervals accounts stand in the subscriptions' own rows, when no table has them.
    """
    declared = settings.source.of_database
    required = {name for name in RAW if RAW[name].is_required}
    taken = required & there if declared is not None else required | (RAW.keys() & there)
    undeclared = taken - settings.source.tables.keys()
    mapped = {name: SourceTable() for name in RAW if name in undeclared} | (declared or {})
    own = mapped.get(ACCOUNTS)
    rides_along = settings.source.shape != shapes.INTERVALS and ACCOUNTS not in there
    if own and rides_along and not (own.table or own.query):
        del mapped[ACCOUNTS]
    if shapes.is_numbered(mapped.get(SUBSCRIPTIONS)):
        raise ConfigurationError(
            "source.tables.subscriptions.columns.account_id: rows of a database have no order, so "
            "no number can be an id. Name a column, or make one in a query."
        )
    return mapped


def _of_accounts(header: list[str], settings: Settings) -> list[int]:
    """Places of the columns that accounts take from the subscriptions' own rows."""
    own = settings.source.tables.get(ACCOUNTS)
    return columns.choose(header, RAW[ACCOUNTS], own).places


def _looked_up(settings: Settings, look: Connection) -> Iterator[Wanted]:
    """Tables of the database that lookups name and that are none of ours: key and columns."""
    asked: dict[str, list[str]] = {}
    for source in settings.source.tables.values():
        for ours, lookup in source.lookup.items():
            if lookup.table and lookup.table not in RAW:
                names = asked.setdefault(lookup.table, [])
                names += [lookup.key or lookup.by, lookup.column or ours]
    for name, names in sorted(asked.items()):
        relation = Relation(name)
        there = {each.name: each for each in look.columns(relation)}
        if missing := [each for each in names if each not in there]:
            raise DataError(
                f"{relation} of the database: missing columns: {', '.join(missing)}. "
                f"It has: {', '.join(there)}. A `lookup` names them as key or column."
            )
        yield Wanted(name, relation, tuple(there[each] for each in dict.fromkeys(names)))


def _check_places(wanted: list[Wanted], before: dict[str, Any], folder: Path) -> None:
    """An export that somebody put there is never overwritten."""
    known = before.get("tables", {})
    strange = [
        each.file for each in wanted if (folder / each.file).exists() and each.name not in known
    ]
    if strange:
        raise DataError(
            f"{folder}: {', '.join(strange)} would be overwritten by the extract of the database, "
            "and is none. Move it away, or declare it as `file` of its table."
        )


# Taking it.


def _moment(look: Connection) -> str:
    """The moment of the extract by the database's clock, ISO 8601 in UTC."""
    moment = dt.datetime.fromisoformat(look.moment())
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds")


def _written(
    look: Connection, wanted: list[Wanted], before: dict[str, Any], folder: Path
) -> dict[str, int]:
    """Write the files, all or none; rows by name of the file.

    Before a new file takes its place the record names it: after a crash it is known as ours.
    """
    known, counts = before.get("tables", {}), {}
    with contextlib.ExitStack() as stack:
        for each in wanted:
            place = folder / each.file
            append = stack.enter_context(store.appending(place, only_if_changed=True))
            counts[each.name] = 0
            for rows in look.rows(each.relation, each.columns):
                append(rows)
                counts[each.name] += rows.num_rows
        new = {name: {"rows": None, "sha256": None} for name in counts if name not in known}
        if new:
            unfinished = {"taken_at": before.get("taken_at"), "tables": known | new}
            store.write_json(unfinished, folder / RECORD)
    return counts


def _recorded(
    tables: dict[str, Any], taken_at: str, before: dict[str, Any], folder: Path
) -> list[str]:
    """Keep the record in step with the files; remove files that nothing asks for any more."""
    known = before.get("tables", {})
    for name in known.keys() - tables.keys():
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    if tables == known:
        return [f"The database holds what it held: {_said(before)} stays."]
    store.write_json({"taken_at": taken_at, "tables": tables}, folder / RECORD)
    new = [name for name in tables if known.get(name) != tables[name]]
    facts = ", ".join(f"{name} {tables[name]['rows']:,} rows" for name in new) or "fewer tables"
    return [f"Took an extract of the database at {taken_at}: {facts}."]


# What is kept.


def _record(folder: Path) -> dict[str, Any]:
    path = folder / RECORD
    return store.read_json(path) if path.is_file() else {}


def _said(record: dict[str, Any]) -> str:
    return f"the extract of {record['taken_at']}"


def _kept_sentence(record: dict[str, Any], folder: Path) -> str:
    """Offline: the extract that is kept, once its files are as they were written."""
    if not record.get("taken_at"):
        raise store.MissingDataError(
            f"{folder / RECORD} is missing: no extract of the database is kept here. Run once "
            "without --offline, or bring the extract back (`dvc pull`)."
        )
    wrong = [
        f"{name}.parquet"
        for name, facts in sorted(record["tables"].items())
        if not (folder / f"{name}.parquet").is_file()
        or store.sha256(folder / f"{name}.parquet") != facts["sha256"]
    ]
    if wrong:
        raise store.CorruptDataError(
            f"{folder}: {', '.join(wrong)}: not as the extract of the database was written. "
            "Bring it back (`dvc pull`), or run without --offline."
        )
    return f"Offline: {_said(record)} is used; the database was not asked."
