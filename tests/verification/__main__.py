"""`make verify`: run the simulation study, write docs/verification.md, fail when a check fails.

Replications are kept in build/verification; `--kept core` takes that study from there instead of
drawing it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd

from pipeline.data import store
from tests.verification import page
from tests.verification.results import Check
from tests.verification.studies import SEED, STUDIES, Study, named, replicates

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "verification"
PAGE = ROOT / "docs" / "verification.md"


def main(words: list[str] | None = None) -> int:
    """Run the studies; 0 when every check held, 1 when one did not."""
    chosen = _arguments(words)
    kept = {study.name for study in named(chosen.kept)} if chosen.kept else set()
    checks: list[Check] = []
    for study in STUDIES:
        rows = _rows(study, study.name not in kept, chosen.share, chosen.workers)
        checks += study.checks(rows)
    store.write_text(page.page(checks, SEED, chosen.date), chosen.page)
    for check in checks:
        print(f"{check.name:5} {'held' if check.held else 'FAILED':7} {check.title}")
    return 0 if all(check.held for check in checks) else 1


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.verification")
    parser.add_argument("--kept", nargs="*", default=[], help="studies not to draw again")
    parser.add_argument("--share", type=float, default=1.0, help="of the replications")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--date", default=date.today().isoformat(), help="written on the page")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page is written")
    return parser.parse_args(words)


def _rows(study: Study, is_drawn: bool, share: float, workers: int) -> pd.DataFrame:
    path = KEPT / f"{study.name}.parquet"
    if is_drawn or not path.is_file():
        began, count = time.monotonic(), max(round(study.replications * share), 2)
        print(f"{study.name}: {count} replications …", flush=True)
        store.write_parquet(replicates(study, count, workers), path)
        print(f"{study.name}: {time.monotonic() - began:.0f} s", flush=True)
    return store.read_frame(path)


if __name__ == "__main__":
    sys.exit(main())
