"""The tutorial runs on the sample company, and its cures find the truth where its mistakes do not.

The subtle point: it reads what is true, which no chapter may. So it lives outside notebooks/, and
what it holds is asked of the very notebook that was run, by one more cell at its end.
"""

import fcntl
import io
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from pipeline import settings
from pipeline.data import store
from pipeline.reporting.execution import gate
from pipeline.reporting.execution.execute import execute
from pipeline.reporting.execution.kernel import Limits
from pipeline.settings import ParameterError, Paths
from pipeline.stages.simulate.known_truth import known_truth
from tests import checked_cells

PROJECT = Path(__file__).parents[1]
TUTORIAL = PROJECT / "docs" / "tutorial.ipynb"
TOLD = "costs-told"
BUILD_SECONDS = 900
NEAR = {
    "only those who left": 0.03,
    "age at first sight forgotten": 0.03,
    "average month compounded": 0.04,
    "one minus Kaplan–Meier": 0.03,
    "immortal time": 0.10,
}
"""How far from the truth a cured number may lie, and a wrong one may not."""


@pytest.fixture(scope="module")
def sample_root() -> Path:
    """The newest month of the shipped sample company, on which the notebooks are checked too."""
    checked_cells.ROOT.parent.mkdir(exist_ok=True)
    with (checked_cells.ROOT.parent / "sample-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        checked_cells.prepare()
    return checked_cells.ROOT


@pytest.fixture(scope="module")
def executed(sample_root: Path, tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The tutorial after a run of ours, with one more cell that tells the table of its costs."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    notebook.cells.append(new_code_cell("print(costs.to_json(orient='records'))", id=TOLD))
    source = tmp_path_factory.mktemp("tutorial") / TUTORIAL.name
    nbformat.write(notebook, source)
    company = settings.load(sample_root)
    execute(source, source.parent / "run", {}, sample_root, Limits.of(company))
    return nbformat.read(source.parent / "run" / gate.NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def costs(executed: NotebookNode) -> pd.DataFrame:
    """One row per wrong turn: wrong, cured, ci_low, ci_high, true."""
    told = next(cell for cell in executed.cells if cell.id == TOLD)
    rows = pd.read_json(io.StringIO(told.outputs[0]["text"]), orient="records")
    return rows.set_index("wrong_turn")


@pytest.mark.timeout(BUILD_SECONDS)
def test_every_cell_of_the_tutorial_runs_and_none_shows_an_error(executed: NotebookNode) -> None:
    gate.examine(TUTORIAL.name, executed)
    shown = [cell for cell in executed.cells if cell.cell_type == "code" and cell.outputs]
    assert len(shown) > 15
    assert [
        cell.id for cell in shown if any("stderr" in o.get("name", "") for o in cell.outputs)
    ] == []


@pytest.mark.timeout(BUILD_SECONDS)
@pytest.mark.parametrize(("turn", "near"), NEAR.items())
def test_a_wrong_turn_misses_the_truth_and_its_cure_finds_it(
    costs: pd.DataFrame, turn: str, near: float
) -> None:
    found = costs.loc[turn]
    assert abs(found["wrong"] - found["true"]) > near
    assert abs(found["cured"] - found["true"]) < near
    assert found["ci_low"] < found["true"] < found["ci_high"]
    assert not found["ci_low"] < found["wrong"] < found["ci_high"]


@pytest.mark.timeout(BUILD_SECONDS)
def test_the_table_holds_every_wrong_turn_and_the_truth_that_was_written_down(
    costs: pd.DataFrame, sample_root: Path
) -> None:
    truth = known_truth(Paths(sample_root, settings.load(sample_root).company))
    assert list(costs.index) == list(NEAR)
    year, gone = truth.retention(12), 1 - truth.retention(36)
    assert costs["true"].tolist() == pytest.approx(
        [year, year, year, gone, truth.hazard_ratio("value")], rel=1e-9
    )


def test_a_company_that_is_not_made_up_has_no_truth(tmp_path: Path) -> None:
    paths = Paths(tmp_path, "acme")
    with pytest.raises(ParameterError, match="only the sample company is made up"):
        known_truth(paths)


def test_the_truth_says_what_it_does_not_know(tmp_path: Path) -> None:
    paths = Paths(tmp_path, "sample")
    marks = {"month_marks": {"all": {"12": 0.7}}}
    store.write_json(
        {"survival": marks, "log_hazard_ratios": {"value": 0.0}}, paths.raw / "truth.json"
    )
    truth = known_truth(paths)
    assert truth.retention(12) == 0.7
    assert truth.hazard_ratio("value") == 1.0
    with pytest.raises(ParameterError, match="no mark in months '13'; it knows 12"):
        truth.retention(13)
    with pytest.raises(ParameterError, match="no driver 'luck'; it knows value"):
        truth.hazard_ratio("luck")


def test_no_chapter_can_reach_the_truth_through_what_it_imports() -> None:
    sources = [*(PROJECT / "pipeline").rglob("*.py"), *(PROJECT / "notebooks").glob("*.ipynb")]
    simulator = PROJECT / "pipeline" / "stages" / "simulate"
    naming = [
        path.relative_to(PROJECT).as_posix()
        for path in sources
        if not path.is_relative_to(simulator) and "known_truth" in path.read_text(encoding="utf-8")
    ]
    assert len(sources) > 100
    assert naming == []
