"""`make bench`: every row and every line of the growth plot, its results and its page.

`python -m tests.bench` measures all; with words, those rows whose names hold them all (`chapter
survival`, `growth`). Results go to build/bench.json, where rows not measured this time stay as they
are while machine and versions are the same, and from there to docs/performance.md. With `--quick`
tiny sizes show that each row runs: build/bench-quick.json, no page, no verdict. It is no test: a
missed target is named and ends well; a row that fails is named, the others run, and the end is 1.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import importlib.util
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.data import store
from tests.bench import growth, machine, measure, page
from tests.bench.growth import Series
from tests.bench.row import Row

MODULES = ("run", "events", "ingest", "engines", "kernels", "grouped", "accounts", "opening")
"""Where rows may stand, in the order of the table; a part that is not built has no module."""
PROJECT = Path(__file__).parents[2]
GROWTH = "growth of"
USAGE = "events to account-months"
Each = TypeVar("Each")
LEFT_OUT = "left out, of a kind that ran"
EVENTS, QUICK_EVENTS = (10**5, 10**6, 10**7, 10**8), (10**4, 10**5)


def modules() -> list[Any]:
    """The modules of rows that are here."""
    names = [f"{__package__}.{name}" for name in MODULES]
    return [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]


def all_rows() -> list[Row]:
    """Every row, in the order of the table."""
    return [row for module in modules() for row in module.ROWS]


def all_series() -> list[Series]:
    """Every line of the growth plot; a module tells its own, or a command for so many events."""
    found: list[Series] = []
    for module in modules():
        found += getattr(module, "SERIES", ())
        if command := getattr(module, "events_command", None):
            found.append(Series(USAGE, "events", EVENTS, QUICK_EVENTS, command))
    return found


def one_of_each_kind(found: Sequence[Each], kind: Callable[[Each], str]) -> list[Each]:
    """The first of each kind, in order: enough to see that what makes them runs."""
    first = {kind(each): each for each in reversed(found)}
    return [each for each in found if first[kind(each)] is each]


def main(argv: Sequence[str] | None = None, place: Path = PROJECT) -> int:
    """Measure what the words choose, keep it, say what was missed; 1 when a row failed."""
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="tiny sizes, for the plumbing")
    options.add_argument("words", nargs="*", help="rows whose names hold all of these")
    given = options.parse_args(argv)
    words = " ".join(given.words).lower().split()
    rows = all_rows()
    chosen = [row for row in rows if _holds(named(row), words)]
    series = [each for each in all_series() if _holds(named(each), words)]
    bench = Bench(place, given.quick)
    if given.quick:
        found = [*map(named, [*chosen, *series])]
        series = one_of_each_kind(series, lambda each: each.of)
        chosen = one_of_each_kind(chosen, lambda row: row.kind or row.name)
        run = {*map(named, [*chosen, *series])}
        bench.verdicts[LEFT_OUT] = [name for name in found if name not in run]
    for row in chosen:
        bench.take("rows", named(row), lambda row=row: bench.row(row))
    for each in series:
        bench.take("growth", named(each), lambda each=each: bench.series(each))
    if not given.quick:
        bench.publish(rows)
    return bench.end()


def named(each: Row | Series) -> str:
    """What the bench calls a row or a series, and words choose."""
    return each.name if isinstance(each, Row) else f"{GROWTH} {each.name} by {each.of}"


def slug(name: str) -> str:
    """A row's name as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _holds(name: str, words: Sequence[str]) -> bool:
    return all(word in name.lower() for word in words)


class Bench:
    """Results of this run beside those kept, written after each row."""

    def __init__(self, place: Path, is_quick: bool) -> None:
        self.place, self.is_quick = place, is_quick
        self.path = place / "build" / ("bench-quick.json" if is_quick else "bench.json")
        self.results: dict[str, Any] = {"rows": {}, "growth": {}}
        self.verdicts: dict[str, list[str]] = {}
        here = machine.described()
        if not is_quick and self.path.is_file():
            kept = store.read_json(self.path)
            self.results = kept if kept.get("machine") == here else self.results
        self.results["machine"] = here

    def take(self, kind: str, name: str, measuring: Callable[[], dict[str, Any]]) -> None:
        """Measure one row or series; what goes wrong is its result, and the next one runs."""
        try:
            found = measuring()
        except Exception as error:
            found = {"verdict": "failed", "why": _why(error)}
        found["date"] = dt.datetime.now(dt.UTC).date().isoformat()
        self.results[kind][name] = found
        self.verdicts.setdefault(found["verdict"], []).append(name)
        print(line(name, found), flush=True)
        store.write_json(self.results, self.path)

    def row(self, row: Row) -> dict[str, Any]:
        """One row measured, or skipped for what this machine does not have."""
        if absent := measure.missing(row):
            return {"verdict": "skipped", "why": f"needs {' and '.join(absent)}"}
        log = self._log(row.name)
        sides = row.make(self.is_quick)
        found = measure.measured(sides, log, is_quick=self.is_quick)
        found["verdict"] = "shown" if self.is_quick else measure.verdict(row, found)
        return found | {"target": row.target, "goal": row.goal, "note": sides.note}

    def series(self, series: Series) -> dict[str, Any]:
        """One line of the growth plot."""
        found = growth.measured(series, self._log(named(series)), is_quick=self.is_quick)
        return found | {"verdict": "shown"}

    def _log(self, name: str) -> Path:
        log = self.place / "build" / "bench" / f"{slug(name)}.log"
        log.unlink(missing_ok=True)
        return log

    def publish(self, rows: Sequence[Row]) -> None:
        """Write the page and its picture."""
        docs = self.place / "docs"
        measured = [each for each in self.results["growth"].values() if "points" in each]
        if measured:
            growth.drawn(measured, docs / page.PICTURE)
        store.write_text(page.page(self.results, rows), docs / "performance.md")

    def end(self) -> int:
        """Name what was missed, skipped, left out or failed."""
        for word in ("missed", "skipped", LEFT_OUT, "failed"):
            names = self.verdicts.get(word, [])
            if names:
                print(f"{len(names)} {word}: {'; '.join(names)}")
        return 1 if "failed" in self.verdicts else 0


def _why(error: Exception) -> str:
    if isinstance(error, measure.SideFailedError):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()


def line(name: str, found: dict[str, Any]) -> str:
    """What the terminal says of one row or series."""
    if "points" in found:
        sizes = "  ".join(
            f"{point['size']:.0e}: {point['seconds']:.2f} s {point['peak_mb']:.0f} MB"
            for point in found["points"]
        )
        return f"{name:52} {sizes}"
    if "subject" not in found:
        return f"{name:52} {found['verdict']}: {found['why']}"
    told = [
        page.seconds(found["subject"]), page.seconds(found.get("peer")),
        f"ratio {page.ratio(found)}" if "ratio" in found else "",
        f"{found['subject']['peak_mb']:.0f} MB" if "peak_mb" in found["subject"] else "",
        "" if found["verdict"] == "shown" else found["verdict"],
    ]  # fmt: skip
    return f"{name:52} {'   '.join(filter(None, told))}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
