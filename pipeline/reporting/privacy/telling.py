"""Which words tell how many accounts there are? Sentences, titles and notes without small counts.

Works on text that a chapter is about to show. The subtle point: nobody can know beforehand what a
sentence will say of a month; so it is read as a reader would, and a clause that tells a small count
goes whole, because what stands beside the count (its money, its share) tells it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.reporting import words

TOO_FEW = "too few to show"
NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
WHO = (
    r"accounts?|customers?|lapses?|loss(?:es)?|churns?|starters?|leavers?|leavings?|events?|"
    r"returns?|accounts? won|relationships?|logos?|companies"
)
FIGURE = rf"(?<!fewer than )(?<![\d.,−–-])\b(\d+|{'|'.join(NUMBER_WORDS)})"
TOLD = (
    re.compile(rf"{FIGURE} (?:(?!of )[a-z-]+ ){{0,2}}?(?:{WHO})\b", re.IGNORECASE),
    re.compile(rf"{FIGURE} (?:out )?of (?:the |them\b|\d)", re.IGNORECASE),
    re.compile(
        rf"{FIGURE} (?:came|went|expected|within|lost|left|stay|leave|have value|reached|more)\b",
        re.IGNORECASE,
    ),
)
"""How our sentences tell a count of accounts."""
NOT_OF_ACCOUNTS = re.compile(
    r"\d+ of (?:the |these )?(?:\d[\d,]* )?(?:claims?|numbers?|ratios?|months?|figures?|models?)"
)
MOST_LIKE_A_SUM = 100
"""A smaller whole number in a sentence may be anything: a day, a month, a limit."""
CLAUSES = {"; ": "; ", ". ": " "}


def without_small(text: str, min_cell: int) -> str:
    """The text without the clauses that tell a count of accounts below `min_cell`.

    "too few to show" stands where nothing else is left.
    """
    if min_cell <= 0 or not _tells(text, min_cell):
        return text
    for between, joint in CLAUSES.items():
        clauses = text.split(between)
        kept = [clause for clause in clauses if not _tells(clause, min_cell)]
        if kept and len(clauses) > 1:
            return joint.join(_ended(clause, between) for clause in kept)
    return f"{TOO_FEW[:1].upper()}{TOO_FEW[1:]}." if text.endswith(".") else TOO_FEW


def _ended(clause: str, between: str) -> str:
    return f"{clause}." if between == ". " and not clause.endswith((".", ":")) else clause


def _tells(text: str, min_cell: int) -> bool:
    return any(0 < figure < min_cell for figure in _told(text))


def _told(text: str) -> set[int]:
    """The counts of accounts that a text tells."""
    plain = NOT_OF_ACCOUNTS.sub("", text)
    return {_figure(match[1].lower()) for way in TOLD for match in way.finditer(plain)}


def _figure(text: str) -> int:
    return int(text) if text.isdigit() else NUMBER_WORDS.index(text) + 1


def tells_any(text: str, numbers: Sequence[float]) -> bool:
    """True when the text says one of the numbers: a share, a sum, or a count of accounts."""
    said = {words.share(number) for number in numbers if 0 < number < 1}
    said |= {words.count(number) for number in numbers if number >= MOST_LIKE_A_SUM}
    if any(re.search(rf"(?<![\d.,]){re.escape(one)}(?!\d|[.,]\d)", text) for one in said):
        return True
    counts = {int(number) for number in numbers if number == round(number)}
    return any(figure in counts for figure in _told(text))


def reason(text: str, min_cell: int) -> str:
    """A reason as it stands, or its name alone: its half says nothing."""
    if min_cell <= 0 or not _tells(text, min_cell):
        return text
    name, is_named, _ = text.partition(": ")
    return f"{name}: {TOO_FEW}" if is_named and not _tells(name, min_cell) else TOO_FEW
