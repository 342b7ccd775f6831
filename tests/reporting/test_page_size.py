"""A report does not grow with the number of accounts: pages, pictures and tables speak of groups.

The small company and the same one with each account ten times: what a chapter leaves weighs the
same, but for longer numbers. Copies share their days, so a curve has the same steps: what is found
here is a row, a point or a word for each account.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.reporting.execution.gate import NOTEBOOK
from pipeline.reporting.pages import html
from pipeline.reporting.pages.page import Page
from pipeline.settings import Paths, Period
from tests.bench import company

PROJECT = Path(__file__).parents[2]
PERIOD = Period("2026-10")
FEW, MANY = 3_000, 30_000
MOST_GROWTH = 0.05
TICKS = 4_000
"""Bytes that other ticks and longer numbers may take; a mark for each of 27,000 more accounts
would take many times that."""
SECONDS = 1800


def weights(root: Path, chapter: str) -> dict[str, int]:
    """Bytes of the page, and of the pictures and tables beside it."""
    folder = Paths(root, "sample").chapter(chapter, PERIOD)
    around = Page("Acme", str(PERIOD), chapter, chapter, "final", 1, "2026-10-31", "2026-09-30")
    found = {"page": len(html.render_chapter(folder / NOTEBOOK, around).encode())}
    for kind in ("figures", "tables"):
        found[kind] = sum(path.stat().st_size for path in (folder / kind).glob("*"))
    return found


def left_by(chapter: str, accounts: int, test_root: Path, place: Path) -> dict[str, int]:
    """What a chapter leaves of a company of so many accounts, copied from the small one."""
    source = Paths(test_root, "sample").snapshot(PERIOD)
    root = company.root_of(source, accounts, place, test_root)
    command = [sys.executable, "-m", "pipeline.cli", "--root", str(root), "chapter", chapter]
    done = subprocess.run(
        [*command, str(PERIOD)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{chapter} of {accounts} accounts: {done.stdout}{done.stderr}")
    return weights(root, chapter)


def grown(few: dict[str, int], many: dict[str, int]) -> dict[str, str]:
    """What weighs more than it may: bytes before and after."""
    return {
        kind: f"{few[kind]:,} → {many[kind]:,}"
        for kind in few
        if many[kind] > (1 + MOST_GROWTH) * few[kind] + TICKS
    }


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    "chapter",
    [
        "population",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("revenue", "survival", "drivers", "time_to_value")
        ),
    ],
)
def test_a_chapter_of_ten_times_the_accounts_weighs_the_same(
    chapter: str, test_root: Path, tmp_path: Path
) -> None:
    few = left_by(chapter, FEW, test_root, tmp_path / "few")
    many = left_by(chapter, MANY, test_root, tmp_path / "many")
    assert min(few.values()) > 0
    assert grown(few, many) == {}
