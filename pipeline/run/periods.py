"""Which months does a run build, and how does a new one enter params.yaml?

Reads params.yaml, the extract date that `ingest` found and the reports in place; writes params.yaml
only, and changes no letter of it that need not change. The subtle point: what is due follows from
the data, never from the clock.
"""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode

from pipeline import settings as configuration
from pipeline.data import slice as slices
from pipeline.data import store
from pipeline.data.slice import NotDueError
from pipeline.flow import named_parameters as parameters_of_the_flow
from pipeline.reporting import words
from pipeline.settings import ConfigurationError, ParameterError, Paths, Period, Settings

EXTRACT = "extract.json"
MOST_MONTHS = 600
"""A span of fifty years is a slip of the finger."""


def extract_date(paths: Paths) -> dt.date:
    """The last day that the raw data know about, as `ingest` found it."""
    return dt.date.fromisoformat(store.read_json(paths.ingest / EXTRACT)["extract_date"])


def is_extract_known(paths: Paths) -> bool:
    """True once `ingest` has found how far the data reach."""
    return (paths.ingest / EXTRACT).is_file()


def newly_due(periods: Sequence[str], extract: dt.date) -> list[str]:
    """Months after the newest listed one that ended by the extract date; all listed: none."""
    following = Period(max(periods)).shift(1) if periods else Period.of(extract)
    if not periods and following.as_of > extract:
        following = following.shift(-1)
    found = []
    while following.as_of <= extract:
        found.append(str(following))
        following = following.shift(1)
    return found


def due_and_not(
    periods: Sequence[str], extract: dt.date, settings: Settings
) -> tuple[list[str], dict[str, str]]:
    """The periods that the data reach, and of the others why not."""
    due, not_due = [], {}
    for name in periods:
        try:
            slices.slice_of(Period(name), extract, settings)
        except NotDueError as reason:
            not_due[name] = str(reason)
        else:
            due.append(name)
    return due, not_due


def span(first: Period, last: Period) -> list[str]:
    """Every month from one to another, both included; ParameterError when they are swapped."""
    if last < first:
        raise ParameterError(f"{first} comes after {last}: give the older month first.")
    found = [first]
    while found[-1] < last:
        found.append(found[-1].shift(1))
        if len(found) > MOST_MONTHS:
            raise ParameterError(f"{first} to {last} are more than {MOST_MONTHS} months.")
    return [str(period) for period in found]


# params.yaml, with its comments.


def add_periods(root: Path, new: Sequence[str]) -> Settings:
    """Add periods to params.yaml in order; every other letter of the file stays."""
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    before = configuration.load(root)
    periods = sorted({*before.periods, *new})
    changed = _with_periods(text, periods)
    content = YAML(typ="safe", pure=True).load(changed)
    after = configuration.parse(content)
    if after != before.model_copy(update={"periods": periods}):
        raise ConfigurationError(
            f"params.yaml: could not add {words.listing(list(new))} to periods. Add them by hand."
        )
    store.write_text(changed, path)
    return after


def _with_periods(text: str, periods: Sequence[str]) -> str:
    """The text of params.yaml with another list under `periods`."""
    top = YAML(typ="rt").compose(io.StringIO(text))
    values = {key.value: value for key, value in top.value} if isinstance(top, MappingNode) else {}
    node = values.get("periods")
    if not isinstance(node, SequenceNode):
        raise ConfigurationError("params.yaml: periods must be a list.")
    start, end = node.start_mark.index, node.end_mark.index
    if node.flow_style:
        return f"{text[:start]}[{', '.join(map(json.dumps, periods))}]{text[end:]}"
    lines, listed = text.splitlines(keepends=True), {item.value for item in node.value}
    for name in sorted(set(periods) - listed, reverse=True):
        later = [item.start_mark.line for item in node.value if item.value > name]
        place = min(later, default=node.value[-1].end_mark.line + 1)
        lines.insert(place, f"{' ' * node.start_mark.column}- {json.dumps(name)}\n")
    return "".join(lines)


def complete_params(root: Path, settings: Settings) -> Settings:
    """Write out the defaults of blocks that the flow names and params.yaml leaves to them."""
    path = root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    content = YAML(typ="safe", pure=True).load(text)
    missing = [name for name in parameters_of_the_flow(root) if name not in content]
    if not missing:
        return settings
    defaults = settings.model_dump(mode="json", include=set(missing))
    writer, added = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = False
    writer.dump({name: defaults[name] for name in missing}, added)
    note = "# Left to their defaults until now; written out because the flow depends on them.\n"
    store.write_text(f"{text.rstrip()}\n\n{note}{added.getvalue()}", path)
    return configuration.load(root)
