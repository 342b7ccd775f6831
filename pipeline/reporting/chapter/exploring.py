"""What may a person try out in a chapter, and where may it be kept?

Reads the snapshot's `accounts`. Makes a chapter's settings with other values in place, a choice of
accounts, and the folder that a chapter may write into. The subtle point: what a run keeps is
published, so it takes params.yaml alone; whatever is tried out stays below build/scratch/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.data import choices, store
from pipeline.data import slice as slices
from pipeline.data.schema import SNAPSHOT
from pipeline.reporting import words
from pipeline.reporting.privacy.small_numbers import ACCOUNT_ID
from pipeline.settings import (
    ANNEX,
    OUTPUT_VARIABLE,
    SUMMARY,
    Block,
    ConfigurationError,
    ParameterError,
    Paths,
    Period,
    Settings,
)

CHOSEN_BY = ("text", "code", "flag")
"""Kinds of columns by whose values accounts can be chosen; a company's own attributes come too."""
MOST_VALUES_NAMED = 12
NONE_GIVEN = ""
"""Says *none* where a setting may be null: None keeps the value of params.yaml."""

DECIDED_ELSEWHERE = {
    "time_to_value.first_value": "it decides in the snapshot which milestone is first value",
    "summary.targets": "targets stand beside every headline of the report",
}
"""Settings of a chapter's block that its notebook cannot change, and why."""


# Which month, and which settings.


def chosen_period(period: str | None, paths: Paths) -> Period:
    """The period asked for, or the newest one.

    Raises:
        ParameterError: it is no period.
        MissingDataError: it has no snapshot.
    """
    ready = slices.periods(paths)
    if period is None and ready:
        return Period(ready[-1])
    if period is None or str(Period(period)) not in ready:
        asked = f"of {period} " if period else ""
        raise store.MissingDataError(
            f"There is no snapshot {asked}yet (there are: {words.listing(ready)}). "
            "Run `make lab` or `make report` first."
        )
    return Period(period)


def own_settings(name: str, company: Settings, overrides: Mapping[str, Any]) -> Block:
    """The chapter's block of the settings with the given values in place; an annex has none.

    Raises:
        ParameterError: no such setting, a value of another type, or a column that nobody knows.
    """
    own = block_of(name, company)
    unknown = [key for key in overrides if key not in type(own).model_fields]
    if unknown:
        raise ParameterError(
            f"{name} has no setting {words.listing(unknown)}; "
            f"it has {words.listing(list(type(own).model_fields)) or 'none'}."
        )
    given = {
        key: None if value == NONE_GIVEN and is_nullable(own, key) else value
        for key, value in overrides.items()
        if value is not None
    }
    try:
        made = type(own).model_validate(own.model_dump() | given)
    except ValueError as error:
        raise ParameterError(f"{name}: {_explained(error)}") from None
    if given:
        _check_columns(name, company, made)
    return made


def block_of(name: str, company: Settings) -> Block:
    """The chapter's block of params.yaml as it stands."""
    return Block() if name == ANNEX else getattr(company, name)


def is_nullable(block: Block, key: str) -> bool:
    """True for a setting that may be null in params.yaml."""
    return type(None) in getattr(type(block).model_fields[key].annotation, "__args__", ())


def tried(name: str, company: Settings, own: Block) -> dict[str, Any]:
    """The settings that are not what params.yaml says, by name."""
    given, standing = own.model_dump(mode="json"), block_of(name, company).model_dump(mode="json")
    return {key: value for key, value in given.items() if value != standing[key]}


def values(company: Settings, own: Block) -> dict[str, Any]:
    """Every setting as it is now, for `check_unchanged`: a list can be changed in its place."""
    parts = {"chapter.settings": own, "chapter.company": company}
    return {
        f"{part}.{key}": value
        for part, block in parts.items()
        for key, value in block.model_dump(mode="json").items()
    }


def check_unchanged(name: str, opened: Mapping[str, Any], company: Settings, own: Block) -> None:
    """Refuse what was made after a cell changed the settings that the chapter was opened with.

    Raises:
        ParameterError: names the settings.
    """
    now = values(company, own)
    changed = [key for key in {**opened, **now} if opened.get(key) != now.get(key)]
    if changed:
        raise ParameterError(
            f"A cell of {name} changed {words.listing(changed)} after the chapter was opened, so "
            "nobody could say with which settings the numbers were made. Nothing is kept. Put the "
            "value into the notebook's parameters cell or into params.yaml; a cell that needs "
            "another list makes a copy."
        )


def _check_columns(name: str, company: Settings, own: Block) -> None:
    try:
        choices.check(company.model_copy(update={name: own}))
    except ConfigurationError as error:
        _, _, said = str(error).partition("\n")
        raise ParameterError(" ".join(line.strip() for line in said.splitlines())) from None


def _explained(error: ValueError) -> str:
    """Which setting is wrong, and why, on one line."""
    problems: list[Any] = getattr(error, "errors", list)()
    said = [
        f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}, not {each['input']!r}"
        for each in problems
    ]
    return "; ".join(said) or str(error)


# A choice of accounts.


@dataclass(frozen=True)
class Subset:
    """Some of the accounts, by the values of columns of the snapshot's `accounts`."""

    only: dict[str, list[str]]
    ids: frozenset[Any]
    n_all: int

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The same rows without those of other accounts; rows of no account stay."""
        if ACCOUNT_ID not in rows.columns:
            return rows
        return rows[rows[ACCOUNT_ID].isin(self.ids)].reset_index(drop=True)

    def __str__(self) -> str:
        n_of = f"{words.count(len(self.ids))} of {words.counted(self.n_all, 'account')}"
        return f"{n_of}, where {where(self.only)}"


def where(only: Mapping[str, Sequence[str]]) -> str:
    """The choice in words: `segment is smb or mid_market and country is SE`."""
    said = [f"{column} is {words.listing(values, 'or')}" for column, values in only.items()]
    return " and ".join(said)


def subset(name: str, only: Mapping[str, Any] | None, snapshot: Path) -> Subset | None:
    """The accounts whose columns have one of the values given; None when nothing was asked for.

    Args:
        name: the chapter.
        only: column → one value or a list of values, as text.
        snapshot: folder of the period's tables.

    Raises:
        ParameterError: a column or value that is not there, or no account has them all.
    """
    if not only:
        return None
    if name in (SUMMARY, ANNEX):
        raise ParameterError(
            f"{name} takes no `only`: it repeats what other chapters found for all accounts. "
            "Choose accounts in the chapter that you ask, like "
            "`lodestar scenario survival --only segment=smb`."
        )
    accounts = store.read_frame(snapshot / "accounts.parquet")
    chosen = {column: _listed(values) for column, values in only.items()}
    is_in = pd.Series(True, index=accounts.index)
    for column, values in chosen.items():
        is_in &= _text_of(column, values, accounts).isin(values)
    if not is_in.any():
        raise ParameterError(f"No account is left: there is none where {where(chosen)}.")
    return Subset(chosen, frozenset(accounts.loc[is_in, ACCOUNT_ID]), len(accounts))


def _listed(values: Any) -> list[str]:
    given = [values] if isinstance(values, str | bool | int | float) else list(values)
    return [_as_text(value) for value in given]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text_of(column: str, values: Sequence[str], accounts: pd.DataFrame) -> pd.Series:
    """A column as text, blank cells as they are; ParameterError names what there is instead."""
    known = _columns(accounts)
    if column not in known:
        raise ParameterError(
            f"Accounts cannot be chosen by {column!r}; there are {words.listing(known)}."
        )
    texts = accounts[column].map(_as_text, na_action="ignore")
    there = sorted(texts.dropna().unique())
    if absent := [value for value in values if value not in there]:
        more = len(there) - MOST_VALUES_NAMED
        named = [*there[:MOST_VALUES_NAMED], *([f"{more} more"] if more > 0 else [])]
        raise ParameterError(
            f"No account has {column} {words.listing([repr(each) for each in absent], 'or')}; "
            f"there are {words.listing(named) or 'no values'}."
        )
    return texts


def _columns(accounts: pd.DataFrame) -> list[str]:
    """Columns by which accounts can be chosen; one that may name a person is none of them."""
    declared = SNAPSHOT["accounts"]
    hidden = {ACCOUNT_ID, *declared.personal_columns}
    return [
        column
        for column in accounts.columns
        if column not in hidden
        and (column not in declared.columns or declared.kind(column) in CHOSEN_BY)
    ]


# Where a chapter may write.


def output_folder(
    name: str, output: str | None, paths: Paths, explored: Mapping[str, Any]
) -> Path | None:
    """The folder a chapter writes into: the one that the run gave it, or one of build/scratch.

    Args:
        name: the chapter.
        output: as the notebook was given it; None: it shows and keeps nothing.
        paths: of the root.
        explored: what differs from params.yaml, and which accounts were chosen.

    Raises:
        ParameterError: no folder's name, any other folder, and a run's own for what was tried out.
    """
    if output is None:
        return None
    place, scratch = _resolved(output), paths.scratch.resolve()
    if place != scratch and place.is_relative_to(scratch):
        return place
    given = os.environ.get(OUTPUT_VARIABLE)
    if not given or place != Path(given).resolve():
        aside = os.path.relpath(scratch / "mine")
        raise ParameterError(
            f"output = {output!r} is not a folder that a run gave to this notebook. Only a run "
            "writes among its own folders and reports, so that nothing tried out by hand is "
            f"published. Leave `output = None` to see everything, or write {aside!r} to keep files."
        )
    if explored:
        raise ParameterError(
            f"{name} would be published with {said(explored)}, and not as params.yaml says. Put "
            "None back into the notebook's parameters cell, or write the value into params.yaml. "
            f"To try it out: `lodestar scenario {name} …`."
        )
    return place


def _resolved(output: Any) -> Path:
    """The folder that is meant, whatever links lead there and wherever the kernel goes later."""
    try:
        return Path(output).resolve()
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise ParameterError(
            f"output = {output!r} names no folder ({error}). Leave `output = None` to see "
            "everything, or write a path like 'build/scratch/mine'."
        ) from None


def inside(output: Path, folder: str, file: str) -> Path:
    """The place of a file in a folder of the output; a link there may lead nowhere else.

    Raises:
        ParameterError: the folder is a link, or the output is one by now.
    """
    place = output / folder
    if place.resolve() != output.resolve() / folder or output.resolve() != output:
        raise ParameterError(
            f"{place} is a link to {place.resolve()}: a chapter writes into its own folder alone. "
            "Take the link away, or choose another output folder."
        )
    return place / file


def said(explored: Mapping[str, Any]) -> str:
    """What was tried out: `horizons_months = [6, 12]`."""
    return words.listing([f"{key} = {value}" for key, value in explored.items()])
