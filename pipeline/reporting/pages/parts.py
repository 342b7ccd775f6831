"""What does a chapter put on its page? Sentences, definitions, figures, tables and tiles as markup.

Everything that comes from data is escaped here, by `escaping`, and nowhere else. Each part stands
in a `lodestar` box, so that it looks the same on a page and in JupyterLab.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.data import targets
from pipeline.data.schema.published import HEADLINES
from pipeline.reporting import escaping, tables, words
from pipeline.reporting.records.claims import UNSETTLED

if TYPE_CHECKING:  # the runner makes pages and draws nothing: it need not load what draws
    from pipeline.reporting.figures import Figure

BOX = '<div class="lodestar">'
ROWS_BEHIND_A_FIGURE = 30
NOTHING_TO_DRAW = '<p class="empty">There is nothing to draw.</p>'
WITHOUT_ARROW = ("retention_12_months",)
"""Its recent twin carries the arrow; GLOSSARY, retention."""
NO_TARGET = "no target"
"""Said only beside tiles that have one."""
AGAINST = {"previous": "a month", "year_ago": "a year"}
STATE_WORDS = {
    "exact": "",
    "ok": "",
    "provisional": "provisional",
    "fragile": "fragile",
    "not_reached": "not reached",
    "not_available": "not available",
    "suppressed": "suppressed",
}
SPACES = {f" {unit}": f"\u00a0{unit}" for unit in ("%", "days", "months", "points")}
Links = Sequence[tuple[str, str]]


def style() -> str:
    """The style sheet of these parts."""
    return template("parts.css")


def template(name: str) -> str:
    """The text of a file in templates/."""
    return (resources.files("pipeline.reporting.pages") / "templates" / name).read_text("utf-8")


def fragment(markup: str) -> str:
    """Markup in the box that our style sheet themes and the page recognises as ours."""
    return f"{BOX}{markup}</div>"


def text(words_: Any) -> str:
    """Any value as text for HTML; a number stays on the line of its unit."""
    escaped = escaping.text(words_)
    for loose, tight in SPACES.items():
        escaped = escaped.replace(loose, tight)
    return escaped


def paragraph(sentence: str, lead: str = "") -> str:
    """A computed sentence; its lead stands before it in bold."""
    before = f"<strong>{text(lead)}:</strong> " if lead else ""
    return f'<p class="said">{before}{text(sentence)}</p>'


def definitions(terms: Mapping[str, Any]) -> str:
    """What is counted, term by term."""
    rows = "".join(f"<dt>{text(term)}</dt><dd>{text(what)}</dd>" for term, what in terms.items())
    return f'<dl class="definition">{rows}</dl>'


def links(files: Links, what: str) -> str:
    """Downloads of one figure or table."""
    if not files:
        return ""
    anchors = " ".join(
        f'<a href="{escape(href)}" download>{text(label)}'
        f'<span class="unseen"> of {text(what)}</span></a>'
        for label, href in files
    )
    return f'<p class="links">Download: {anchors}</p>'


def figure(
    shown: Figure, rows: pd.DataFrame, files: Links, chapter: str, currency: str = ""
) -> str:
    """A picture with its sentence, its data table behind a disclosure, and its files.

    Axes without a point on them would be read as zero, so words stand in their place.
    """
    encoded = base64.b64encode(shown.picture.encode("utf-8")).decode("ascii")
    table = tables.table(
        rows,
        name=f"{chapter}-{tables.slug(shown.name)}-rows",
        caption=f"Data: {shown.title}",
        formats=shown.formats,
        currency=currency,
        most_rows=ROWS_BEHIND_A_FIGURE,
    )
    more = _more(len(rows), ROWS_BEHIND_A_FIGURE, files)
    picture = scroll(_image(encoded, shown.alt), f"Picture: {shown.title}", "picture")
    return (
        f'<figure id="{chapter}-{tables.slug(shown.name)}"><figcaption>'
        f'<span class="title">{text(shown.title)}</span> '
        f'<span class="subtitle">{text(shown.subtitle)}</span></figcaption>'
        f"{NOTHING_TO_DRAW if shown.is_empty else f'{picture}{_source(shown.source)}'}"
        f'<details class="figure-data"><summary>Data table'
        f'<span class="unseen"> of {text(shown.title)}</span></summary>'
        f"{scroll(table, f'Data: {shown.title}')}{more}</details>"
        f"{links(files, shown.title)}</figure>"
    )


def table_box(
    table: str,
    caption: str,
    note: str,
    files: Links,
    rows: int = 0,
    folded: tuple[str, int] = ("", 0),
) -> str:
    """A table that scrolls inside its own box, with a note and its file.

    `folded` is what of the table stands behind a disclosure, and how many rows that are.
    """
    rest, hidden = folded
    more = (
        f'<details class="more"><summary>{words.counted(hidden, "more row")}'
        f'<span class="unseen"> of {text(caption)}</span></summary>'
        f"{scroll(rest, f'{caption}, more rows')}</details>"
        if rest
        else ""
    )
    return (
        f'<div class="table-box">{scroll(table, caption)}{more}{_source(note)}'
        f"{_more(rows, tables.MOST_ROWS, files)}{links(files, caption)}</div>"
    )


def folded(summary: str, markup: str) -> str:
    """Markup behind a disclosure that says what is there."""
    return f"<details><summary>{text(summary)}</summary>{markup}</details>"


def tiles(
    headlines: pd.DataFrame,
    names: Sequence[str | tuple[str, ...]],
    currency: str = "",
    is_final: bool = True,
) -> str:
    """Headlines as tiles in the order of `names`; a tuple is one tile; absent ones leave no gap.

    Args:
        headlines: one row per headline (name, estimate, ci_low, ci_high, n, state, note,
            previous, year_ago; target, target_owner, verdict and reasons where there are any).
        names: headline names; the names in a tuple stand side by side.
        currency: said before money.
        is_final: a provisional report says so once at its head, not on each tile, and says why
            a comparison is missing.
    """
    rows = {row["name"]: row for row in headlines.to_dict("records")}
    alone = [rows[name] for name in names if isinstance(name, str) and name in rows]
    without = NO_TARGET if any(_is_told(row, "target") for row in alone) else ""
    shown = []
    for group in names:
        members, aimless = ((group,), without) if isinstance(group, str) else (group, "")
        found = [_tile(rows[name], currency, is_final, aimless) for name in members if name in rows]
        if len(found) == 1:
            shown.append(f"<li>{found[0]}</li>")
        elif found:
            inside = "".join(f"<div>{tile}</div>" for tile in found)
            shown.append(f'<li class="pair">{inside}</li>')
    return f'<ul class="tiles">{"".join(shown)}</ul>' if shown else ""


def value(row: Mapping[str, Any], currency: str = "") -> str:
    """A headline's value in words, or the reason why there is none."""
    if words.is_missing(row["estimate"]):
        state = str(row.get("state", "not_available"))
        return STATE_WORDS.get(state) or words.NOT_AVAILABLE
    return words.say(row["estimate"], HEADLINES[row["name"]].unit, currency)


def _tile(row: Mapping[str, Any], currency: str, is_final: bool, aimless: str) -> str:
    unit = HEADLINES[row["name"]].unit
    is_absent = words.is_missing(row["estimate"])
    style_ = "tile-value in-words" if is_absent else "tile-value"
    lines = [
        f'<span class="tile-label">{text(HEADLINES[row["name"]].label)}</span>',
        f'<span class="{style_}">{text(value(row, currency))}</span>',
    ]
    if not is_absent and row["name"] not in WITHOUT_ARROW:
        lines += [_line(said, "change") for said in _changes(row, currency, is_final)]
    lines.append(_line(_certainty(row, unit, currency)))
    lines.append(_line(_aim(row, currency) if _is_told(row, "target") else aimless))
    reason = STATE_WORDS.get(str(row["state"]), "")
    note = "" if words.is_missing(row["note"]) else str(row["note"])
    if is_absent and note:
        lines.append(_line(note, "state"))
    elif reason and not is_absent and not (row["state"] == "provisional" and not is_final):
        is_told = row["state"] == "fragile" and note
        lines.append(_line(f"{reason}: {note}" if is_told else reason, "state"))
    if not is_absent:
        lines.append(_line(_doubt(row, note), "state"))
    return " ".join(line for line in lines if line)


def _aim(row: Mapping[str, Any], currency: str) -> str:
    """The target, whether it is met, and who owns it; of a month not settled, so far."""
    aim = f"target {words.say(row['target'], HEADLINES[row['name']].unit, currency)}"
    if not words.is_missing(row["estimate"]):
        is_met = targets.is_met(row["name"], row["estimate"], row["target"])
        so_far = " so far" if row["state"] == "provisional" else ""
        aim = f"{aim} {'met' if is_met else 'missed'}{so_far}"
    owner = row.get("target_owner")
    return aim if words.is_missing(owner) or not owner else f"{aim} · {owner}"


def _doubt(row: Mapping[str, Any], note: str) -> str:
    """The verdict where a number is not supported and the tile does not say so yet.

    Why stands in the table of claims: a tile has one line for it.
    """
    said = {note, *UNSETTLED}
    reasons = row.get("reasons")
    left = [reason for reason in reasons if reason not in said] if reasons else []
    return str(row["verdict"]) if left else ""


def _changes(row: Mapping[str, Any], currency: str, is_final: bool) -> list[str]:
    """The changes in a month and in a year, and one line where there is none to say."""
    unit = HEADLINES[row["name"]].unit
    known = {column: against for column, against in AGAINST.items() if _is_told(row, column)}
    said = [
        f"{words.change(row['estimate'] - row[column], unit, currency)} in {against}"
        for column, against in known.items()
    ]
    absent = [against for column, against in AGAINST.items() if column not in known]
    if not absent:
        return said
    if not is_final and not known:
        return ["not comparable yet"]
    return [*said, f"no figure of {words.listing([f'{each} ago' for each in absent], 'or')}"]


def _is_told(row: Mapping[str, Any], column: str) -> bool:
    return not words.is_missing(row.get(column))


def _certainty(row: Mapping[str, Any], unit: str, currency: str) -> str:
    """Interval, or that the number is exact, and n."""
    n = "" if words.is_missing(row.get("n")) else f"n\u00a0{words.count(row['n'])}"
    has_interval = not (words.is_missing(row["ci_low"]) and words.is_missing(row["ci_high"]))
    exact = {"exact": "exact", "provisional": "exact, not settled"}.get(row["state"], "")
    span = words.interval(row["ci_low"], row["ci_high"], unit, currency) if has_interval else exact
    return " · ".join(part for part in (span, n) if part)


def _line(sentence: str, kind: str = "") -> str:
    style_ = f"tile-line {kind}".strip()
    arrow, _, rest = sentence.partition(" ")
    if arrow in (words.UP, words.DOWN, words.LEVEL):
        return (
            f'<span class="{style_}"><span class="arrow" aria-hidden="true">{arrow}</span>'
            f"{text(rest)}</span>"
        )
    return f'<span class="{style_}">{text(sentence)}</span>' if sentence else ""


def _image(encoded: str, alt: str) -> str:
    return f'<img src="data:image/svg+xml;base64,{encoded}" alt="{escaping.attribute(alt)}">'


def scroll(markup: str, label: str, style_: str = "scroll") -> str:
    """A box that scrolls sideways by itself and can be reached by keyboard."""
    named = f'role="region" aria-label="{escaping.attribute(label)}" tabindex="0"'
    return f'<div class="{style_}" {named}>{markup}</div>'


def _source(note: str) -> str:
    return f'<p class="source">{text(note)}</p>' if note else ""


def _more(rows: int, shown: int, files: Links) -> str:
    if rows <= shown:
        return ""
    where = " The CSV holds them all." if files else ""
    return _source(f"The first {words.count(shown)} of {words.count(rows)} rows.{where}")
