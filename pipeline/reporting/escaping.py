"""How does text that came from data enter a page? As text, in reading order, and never too long.

Reads any value, makes markup or the content of an attribute. The subtle point: a name stands in the
middle of our sentences, and nobody can tell any more where it ends. So marks that turn the reading
order are left out, letters that are read from the right stand apart from what surrounds them, and a
word that is far too long is cut; the whole of it is the title of what is left.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

LONGEST_WORD = 100
"""Characters of a word without a space."""
LONGEST_CELL = 200
"""Characters of a table's cell."""
CUT = "…"
ORDER_MARKS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the order in which text is read; UAX #9, explicit formatting."""
_FROM_THE_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
FROM_THE_RIGHT = re.compile(f"[{_FROM_THE_RIGHT}]+(?:[ ][{_FROM_THE_RIGHT}]+)*")
"""Hebrew, Arabic and the scripts beside them."""
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD + 1},}}")
CELL_TEXT = re.compile(r"(?<=>)[^<>]+(?=</t[dh]>)")


def text(said: Any) -> str:
    """Any value as markup."""
    plain = ORDER_MARKS.sub("", str(said))
    parts, end = [], 0
    for word in LONG_WORD.finditer(plain):
        parts += [_isolated(plain[end : word.start()]), _titled(_short(word[0]), word[0])]
        end = word.end()
    return "".join([*parts, _isolated(plain[end:])])


def attribute(said: Any) -> str:
    """Any value as the content of an attribute or title."""
    return escape(_short(ORDER_MARKS.sub("", str(said))))


def cells(markup: str) -> str:
    """The rows of a table that somebody else escaped, each cell in reading order and not too long.

    A cell is a paragraph of its own, so that nothing in it turns what stands beside it.
    """
    return CELL_TEXT.sub(lambda cell: _cell(ORDER_MARKS.sub("", cell[0])), markup)


def _cell(escaped: str) -> str:
    plain = unescape(escaped)
    short = _short(plain)
    if len(short) > LONGEST_CELL:
        short = short[: LONGEST_CELL - 1] + CUT
    return escaped if short == plain else _titled(short, plain)


def _short(plain: str) -> str:
    return LONG_WORD.sub(lambda word: word[0][: LONGEST_WORD - 1] + CUT, plain)


def _isolated(plain: str) -> str:
    return FROM_THE_RIGHT.sub(lambda run: f"<bdi>{run[0]}</bdi>", escape(plain))


def _titled(short: str, whole: str) -> str:
    return f'<span title="{escape(whole)}">{_isolated(short)}</span>'
