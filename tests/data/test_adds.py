"""What the declared list says that a table would add is what goes missing without it."""

import ast
import shutil
from functools import cache
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.data.schema import RAW, adds
from pipeline.settings import CHAPTERS, Paths, Period, Settings, Simulate
from pipeline.stages import ingest, snapshot, usage
from pipeline.stages.simulate import simulate

ROOT = Path(__file__).parents[2]
SEED = 20261122
PERIOD = Period("2024-12")
OPTIONAL = [name for name, table in RAW.items() if not table.is_required]
ADDING = [name for name in OPTIONAL if adds.of_table(name)]
SILENT = [name for name in OPTIONAL if not adds.of_table(name)]
QUICK = ("milestones", "tickets")
"""Tried in every run of the tests; the others with `make verify`."""
THROUGH = {"targets": "targets"}
"""Snapshot tables that reach every chapter with its headlines, not by `chapter.read`."""


@cache
def tables_of(chapter: str) -> set[str]:
    """Snapshot tables that a notebook reads."""
    (path,) = (ROOT / "notebooks").glob(f"*_{chapter}.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    code = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
    reading = [
        node
        for tree in code
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and "chapter.read" in ast.unparse(node)
    ]
    return {
        each.value
        for node in reading
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    } | set(THROUGH)


def test_every_entry_speaks_of_a_declared_table_or_column_and_of_chapters() -> None:
    for subject, more in adds.ADDS.items():
        table, _, column = subject.partition(".")
        assert subject == "recorded_at" or table in RAW, subject
        assert not column or column in RAW[table].columns, subject
        assert not column or column not in RAW[table].required_columns, subject
        assert set(more) <= set(CHAPTERS), subject
        assert not any(sentence.endswith(".") for sentence in more.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Paths]:
    """A small company with every table, ingested and cut to one month."""
    root = tmp_path_factory.mktemp("whole")
    lifted = {"max_share_of_rows": 1.0, "max_share_of_mrr": 1.0, "level_shift_stops_above": None}
    content = {
        "company": "acme", "company_name": "Acme", "periods": [str(PERIOD)], "quarantine": lifted,
    }  # fmt: skip
    settings, paths = configuration.parse(content), Paths(root, "acme")
    simulate(Simulate(seed=SEED, accounts=40, months=14), paths.raw)
    for stage in (ingest, usage, snapshot):
        stage.run(settings, paths)
    return settings, paths


def changed_without(names: list[str], whole: tuple[Settings, Paths], place: Path) -> set[str]:
    """Snapshot tables that are not the same when raw tables are taken away after `ingest`."""
    settings, before = whole
    after = Paths(place, before.company)
    shutil.copytree(before.processed, after.processed)
    for name in names:
        (after.ingest / f"{name}.parquet").unlink(missing_ok=True)
        shutil.rmtree(after.ingest / name, ignore_errors=True)
    if "usage" in names:
        shutil.rmtree(after.usage)
    snapshot.run(settings, after)
    return {
        path.stem
        for path in before.snapshot(PERIOD).glob("*.parquet")
        if not same(path, after.snapshot(PERIOD) / path.name)
    } - {"quality"}


def same(one: Path, other: Path) -> bool:
    left, right = store.read_frame(one), store.read_frame(other)
    return list(left) == list(right) and pd.DataFrame.equals(left, right)


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ADDING],
)
def test_without_a_table_exactly_the_chapters_that_would_add_lose_something(
    name: str, whole: tuple[Settings, Paths], tmp_path: Path
) -> None:
    lost = changed_without([name], whole, tmp_path)
    assert lost, f"nothing misses {name}"
    for chapter in adds.of_table(name):
        assert lost & tables_of(chapter), f"{chapter} reads none of {sorted(lost)}"


def test_without_the_tables_that_add_nothing_no_chapter_loses_anything(
    whole: tuple[Settings, Paths], tmp_path: Path
) -> None:
    assert changed_without(SILENT, whole, tmp_path) == set()
