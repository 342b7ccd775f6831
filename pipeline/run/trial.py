"""What may be tried in a chapter? What was typed, checked before any kernel starts, and its name.

Reads a chapter's block of params.yaml and the snapshot's accounts. Makes a `Trial`. The subtle
point: values are read as YAML, like params.yaml itself, and written back so that the same words
give the same trial.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.reporting import words
from pipeline.reporting.chapter import exploring
from pipeline.settings import ANNEX, CHAPTERS, Block, ParameterError, Paths, Period, Settings

LONGEST_NAME = 80
NAME_FORMAT = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
GAP = re.compile(r"[^a-z0-9._]+")
PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""Text that YAML reads as it stands, but for WORDS_OF_YAML."""
WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
PLAIN_IN_A_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*", re.ASCII)
"""A value that a folder's name holds as it is."""
CHANGES_THE_SNAPSHOT = {
    "company", "timezone", "currency", "fx", "extract_date", "observation_start", "grace_days",
    "grace_months", "close_lag_days", "source", "quarantine", "simulate", "usage",
}  # fmt: skip
"""Top keys of params.yaml that decide what a snapshot holds."""


@dataclass(frozen=True)
class Trial:
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
        chosen = [f"{column}={_as_listed(values)}" for column, values in self.only.items()]
        shown += [f"--only {shlex.quote(each)}" for each in chosen]
        own = default_name(self.chapter, self.period, self.given, self.only)
        shown += [f"--period {self.period}"]
        shown += [f"--name {self.name}"] if self.name != own else []
        return f"lodestar scenario {self.chapter} {' '.join(shown)}"


def asked_for(
    chapter: str,
    sets: Sequence[str],
    onlys: Sequence[str],
    period: str | None,
    name: str | None,
    settings: Settings,
    paths: Paths,
) -> Trial:
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
    given = _each_once("--set", [_setting(chapter, text, block) for text in sets])
    own = exploring.own_settings(chapter, settings, _not_null(given))
    given = {key: own.model_dump(mode="json")[key] for key in sorted(given)}
    only = _each_once("--only", [_chosen(text) for text in onlys])
    month = exploring.chosen_period(period, paths)
    exploring.subset(chapter, only, paths.snapshot(month))
    return Trial(chapter, month, given, only, _checked_name(name, chapter, month, given, only))


def _each_once(option: str, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs by key; ParameterError when a key was given twice, for one would be lost."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            both = f"write {option} {key}={_as_listed([*found[key], *value])}"
            once = both if option == "--only" else "give it once; a list is written [6, 12]"
            raise ParameterError(f"{option} {key} was given twice; {once}.")
        found[key] = value
    return found


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
        of, not_ = ("is of", "of") if top in CHAPTERS else ("holds for", "for")
        whom = top if top in CHAPTERS else "every chapter"
        has = _has(chapter, block)
        return f"{key} {of} {whom}, not {not_} {chapter} alone. {has} {instead}"
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
    """A setting on one line, as it can be typed: a plain word as it is, other text in quotes."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, Mapping):
        pairs = [f"{_as_yaml(key)}: {_as_yaml(each)}" for key, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    is_plain = isinstance(value, str) and PLAIN_WORD.fullmatch(value)
    if is_plain and value.lower() not in WORDS_OF_YAML:
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _as_listed(values: Sequence[str]) -> str:
    """The values of `--only` as they can be typed: `a,b`, or a YAML list where that says less."""
    is_plain = all(
        each and each.isprintable() and each == each.strip() and "," not in each for each in values
    )
    if is_plain and not values[0].startswith("["):
        return ",".join(values)
    return json.dumps(list(values), ensure_ascii=False)


def _chosen(text: str) -> tuple[str, list[str]]:
    """`column=value,value`; a value that holds a comma stands in a list, `column=["a, b"]`."""
    column, _, raw = text.partition("=")
    if raw.lstrip().startswith("["):
        values = _texts(raw, text)
    else:
        values = [value.strip() for value in raw.split(",") if value.strip()]
    if not column.strip() or not values:
        raise ParameterError(f"--only {text!r}: write column=value,value, like segment=smb.")
    return column.strip(), values


def _texts(raw: str, text: str) -> list[str]:
    """A YAML list of values, each as the text that was typed."""
    try:
        values = YAML(typ="base", pure=True).load(raw)
    except YAMLError:
        values = None
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ParameterError(
            f'--only {text!r}: {raw!r} is no YAML list of values, like ["a, b", c].'
        )
    return values


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
    """`survival-2026-10-horizons_months-6-12-only-segment-smb`.

    One that is long, or that others would share, ends in a digest.
    """
    words_ = [chapter, str(period)]
    words_ += [f"{key}-{_as_yaml(value)}" for key, value in sorted(given.items())]
    words_ += [f"only-{column}-{'-'.join(values)}" for column, values in sorted(only.items())]
    whole = GAP.sub("-", "-".join(words_).lower()).strip("-.")
    if len(whole) <= LONGEST_NAME and _says_all(chapter, given, only):
        return whole
    asked = json.dumps([chapter, str(period), given, only], sort_keys=True)
    digest = hashlib.sha256(asked.encode("utf-8")).hexdigest()[:8]
    return f"{whole[: LONGEST_NAME - 9].rstrip('-.')}-{digest}"


def _says_all(chapter: str, given: Mapping[str, Any], only: Mapping[str, Sequence[str]]) -> bool:
    """True when no other settings or accounts have the same words between dashes."""
    values: list[Any] = []
    for value in (*given.values(), *only.values()):
        values += value if isinstance(value, list) else [value]
    keys = {"only", *Settings.model_fields[chapter].annotation.model_fields}  # type: ignore[union-attr]
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    are_told = all(PLAIN_IN_A_NAME.fullmatch(text) and text not in keys for text in texts)
    return are_told and all(values != [] for values in (*given.values(), *only.values()))
