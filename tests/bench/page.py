"""What does docs/performance.md say? The bench's results as a page, and nothing else.

Every number on it comes from build/bench.json. The subtle point: the table has a line for every row
that the bench knows, measured or not, so that a row cannot go missing unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.bench import growth
from tests.bench.row import Row

PICTURE = "images/performance-growth.png"
NOT_MEASURED = (
    "Nothing beyond 10^8 events or 10^6 accounts, and no cluster: the second engine runs on this "
    "one machine, to show that its tables are the same.",
    "No disk that is slower than this one, and no file that is not yet in the page cache.",
    "No other machine. Seconds belong to this one; the ratios are what to hold.",
    "Peak memory only of rows that run in a process of their own; of several processes the largest "
    "counts, so a notebook's parent (about 200 MB) stands beside its kernel.",
)
HEAD = (
    "| row | subject | peer | ratio (least–most) | target | limit | peak MB (peer) | rounds | |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def page(results: dict[str, Any], rows: Sequence[Row]) -> str:
    """The whole page as Markdown."""
    parts = [
        "# Performance",
        "Written by `make bench`; do not edit. Subject and peer run in turn within one run, after "
        "one round that does not count. Times are medians; a ratio is the median of the rounds' "
        "own ratios. A row whose round takes minutes has fewer rounds, and says so. *Limit* is "
        "what no program for the same task could go below, and how many times that the subject "
        "takes; where the goal is a multiple of a raw scan, the scan stands as the peer. Memory is "
        "the peak of a process of its own.",
        "## Machine",
        _machine(results["machine"], [*results["rows"].values(), *results["growth"].values()]),
        "## Rows",
        "\n".join([HEAD, *(_line(row, results["rows"].get(row.name)) for row in rows)]),
        _said(results["rows"], rows),
        "## Growth",
        *_growth(results["growth"]),
        "## What a row means",
        "\n".join(_meaning(row, results["rows"].get(row.name)) for row in rows),
        "## What is not measured",
        "\n".join(f"- {line}" for line in NOT_MEASURED),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _machine(machine: dict[str, Any], found: list[dict[str, Any]]) -> str:
    dates = sorted({each["date"] for each in found})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]])) if dates else "not yet"
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    r = f", R {machine['r']}" if machine["r"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}. Python {machine['python']}{r}. {libraries}. Measured: {when}."
    )


def _line(row: Row, found: dict[str, Any] | None) -> str:
    target = _target(row)
    if found is None or "subject" not in found:
        why = "not measured yet" if found is None else found["verdict"]
        reason = f": {found['why']}" if why == "skipped" else ""
        return f"| {row.name} | | | | {target} | | | | {why}{reason} |"
    cells = [
        row.name, seconds(found["subject"]), seconds(found.get("peer")), ratio(found), target,
        _limit(found), _peaks(found), str(found["rounds"]), found["verdict"],
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _target(row: Row) -> str:
    said = [
        "" if row.target is None else f"≤ {row.target:g}" + ", memory too" * row.is_of_memory,
        "" if row.most_seconds is None else f"≤ {row.most_seconds:g} s",
        "" if row.most_mb is None else f"≤ {row.most_mb:,.0f} MB",
    ]
    return ", ".join(filter(None, said))


def seconds(side: dict[str, float] | None) -> str:
    """A time as the page and the terminal say it; empty when there is none."""
    if side is None:
        return ""
    taken = side["seconds"]
    return f"{taken:,.0f} s" if taken >= 100 else f"{taken:.3g} s"


def ratio(found: dict[str, Any]) -> str:
    """The median ratio with its least and largest round; empty when there is no peer."""
    if "ratio" not in found:
        return ""
    return f"{found['ratio']:.3g} ({found['ratio_low']:.3g}–{found['ratio_high']:.3g})"


def _limit(found: dict[str, Any]) -> str:
    if "limit" not in found:
        return ""
    return f"{seconds(found['limit'])}, × {found['limit_ratio']:.3g}"


def _peaks(found: dict[str, Any]) -> str:
    own, peer = (found.get(side, {}).get("peak_mb") for side in ("subject", "peer"))
    return "" if own is None else f"{own:,.0f}" + ("" if peer is None else f" ({peer:,.0f})")


def _said(found: dict[str, Any], rows: Sequence[Row]) -> str:
    """How many rows held, missed, were skipped or failed, the latter by name."""
    counts = []
    for word in ("met", "missed", "shown", "skipped", "failed"):
        names = [row.name for row in rows if found.get(row.name, {}).get("verdict") == word]
        if names:
            named = "" if word in ("met", "shown") else f" ({'; '.join(names)})"
            counts.append(f"{len(names)} {word}{named}")
    return f"Of {len(rows)} rows: {', '.join(counts)}." if counts else ""


def _growth(found: dict[str, Any]) -> list[str]:
    measured = [series for series in found.values() if "points" in series]
    if not measured:
        return ["Not measured yet."]
    told = [_series(series) for series in measured]
    return [
        f"![Time and peak memory on logarithmic scales. {' '.join(told)}]({PICTURE})",
        "Each point is a fresh process. The exponent is the slope of the three largest sizes: 1 is "
        "proportional, below 1 a fixed cost still weighs.",
        "\n".join(
            ["| what | size | time | CPU | peak MB |", "|---|---|---|---|---|"]
            + [line for series in measured for line in _points(series)]
        ),
    ]


def _series(series: dict[str, Any]) -> str:
    slopes = [
        f"{what} with {growth.said(series[key])}"
        for key, what in (("seconds_exponent", "time"), ("peak_mb_exponent", "memory"))
        if series[key] is not None
    ]
    return f"{series['name']} by {series['of']}: {', '.join(slopes) or 'one size'}."


def _points(series: dict[str, Any]) -> list[str]:
    return [
        f"| {series['name']} | {point['size']:,} {series['of']} | {point['seconds']:,.2f} s "
        f"| {point['cpu_seconds']:,.2f} s | {point['peak_mb']:,.0f} |"
        for point in series["points"]
    ]


def _meaning(row: Row, found: dict[str, Any] | None) -> str:
    note = (found or {}).get("note", "")
    said = [
        f"Goal: {row.goal}." if row.goal else "",
        note,
        f"Needs {row.needs}." if row.needs else "",
    ]
    return f"- **{row.name}**: {' '.join(filter(None, said)) or 'as the name says.'}"
