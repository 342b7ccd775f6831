"""What does a page say around its chapter? Its place among months and chapters, its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Page:
    """What a page says around its chapter; hrefs are relative to the page, dates ISO."""

    company_name: str
    period: str
    chapter: str
    title: str
    status: str
    revision: int
    """0: of no publication, like a scenario."""
    as_of: str
    cut_off: str
    chapters: Sequence[tuple[str, str, str]] = ()
    """(name, title, href) of each chapter of this report."""
    previous: str = ""
    """The period of the report before this one."""
    previous_href: str | None = None
    same: str = ""
    """The period of the last report before this one that has this chapter, and where it is."""
    same_href: str | None = None
    next_href: str | None = None
    compare_href: str | None = None
    index_href: str = "../index.html"
    find_href: str = "../find.html"
    downloads: Sequence[str] = ()
    """Hrefs in the order shown: report.json, `tables/<chapter>.<name>.csv`, `figures/…`."""
    provenance: Sequence[tuple[str, str]] = ()
    """(what, value)"""
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the report was made from, as `origins.inputs` says it; only the summary has any."""
    restatements: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """One mapping per figure that was first published differently; only the summary has any."""
    definition_changes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """One mapping per decision that the report before took otherwise."""
    data_changes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    """One mapping per difference of data and code from the report before."""
    compared_with: str | None = None
    """The period of that report; None: there is none."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What was decided before the data were read; only the summary shows it."""
    currency: str = ""
