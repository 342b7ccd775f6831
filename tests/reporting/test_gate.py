"""The gate: a chapter passes only with every cell run in order and every declared file there."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipeline.data import store
from pipeline.reporting.execution import gate
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.settings import Period

OCTOBER = Period("2026-10")


def executed(*counts: int | None, status: str = "completed") -> nbformat.NotebookNode:
    cells = [
        new_code_cell("1", execution_count=count, metadata={"papermill": {"status": status}})
        for count in counts
    ]
    return new_notebook(cells=cells)


@pytest.mark.parametrize("counts", [(1, None), (2, 1), (1, 1), (2, 3)])
def test_cells_that_did_not_run_once_each_in_order_are_refused(
    counts: tuple[int | None, ...],
) -> None:
    with pytest.raises(ChapterFailedError, match=r"in order|did not run"):
        gate.examine("revenue", executed(*counts))


@pytest.mark.parametrize("status", ["pending", "failed", "running"])
def test_a_pending_or_failed_cell_is_refused(status: str) -> None:
    with pytest.raises(ChapterFailedError, match=f"status {status}"):
        gate.examine("revenue", executed(1, 2, status=status))


def test_a_notebook_without_code_is_refused() -> None:
    with pytest.raises(ChapterFailedError, match="no code cell"):
        gate.examine("revenue", new_notebook(cells=[new_markdown_cell("# All is well")]))


def test_an_error_output_is_refused_though_every_cell_says_completed() -> None:
    notebook = executed(1)
    output = new_output("error", ename="ValueError", evalue="bad\nworse", traceback=[])
    notebook.cells[0].outputs = [output]
    with pytest.raises(ChapterFailedError, match=r"ValueError: bad$"):
        gate.examine("revenue", notebook)


def write_revenue(folder: Path, tables: list[str], files: list[str]) -> None:
    nbformat.write(executed(1), folder / "notebook.ipynb")
    marker = {"chapter": "revenue", "period": "2026-10", "tables": tables, "figures": ["revenue.x"]}
    store.write_json(marker, folder / "complete.json")
    for name in files:
        store.write_text("x", folder / name)


TABLES = ["mrr_bridge", "account_bridge", "definitions", "cohorts", "lifetime_value"]
FILES = [f"tables/revenue.{name}.csv" for name in TABLES]
FIGURES = ["figures/revenue.x.svg", "figures/revenue.x.csv", "headline.json"]


def test_a_chapter_with_all_that_it_declares_passes(tmp_path: Path) -> None:
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES], FILES + FIGURES)
    gate.check("revenue", OCTOBER, tmp_path)
    assert not (tmp_path / "running.ipynb").exists()


@pytest.mark.parametrize("gone", [*FILES, *FIGURES])
def test_a_declared_file_that_is_not_there_is_named(tmp_path: Path, gone: str) -> None:
    there = [name for name in FILES + FIGURES if name != gone]
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES], there)
    with pytest.raises(ChapterFailedError, match=gone):
        gate.check("revenue", OCTOBER, tmp_path)


def test_a_promised_table_that_the_marker_leaves_out_is_named(tmp_path: Path) -> None:
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES[1:]], FILES + FIGURES)
    with pytest.raises(ChapterFailedError, match=r"did not publish revenue\.mrr_bridge"):
        gate.check("revenue", OCTOBER, tmp_path)


def test_an_end_marker_of_another_period_is_refused(tmp_path: Path) -> None:
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES], FILES + FIGURES)
    with pytest.raises(ChapterFailedError, match="of another chapter"):
        gate.check("revenue", Period("2026-09"), tmp_path)
