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
from pipeline.analysis.survival.readings import days_to_anniversary
from pipeline.data import store
from pipeline.reporting.execution import gate
from pipeline.reporting.execution.execute import execute
from pipeline.reporting.execution.kernel import Limits
from pipeline.settings import ParameterError, Paths
from pipeline.stages.simulate.known_truth import known_truth
from tests import checked_cells

PROJECT = Path(__file__).parents[1]
TUTORIAL = PROJECT / "docs" / "tutorial.ipynb"
TOLD = "rows-told"
FRAMES = (
    "costs", "curves", "rates", "parts", "whole", "by_value", "ratios", "every_loss.ratios",
)  # fmt: skip
TELLING = f"for rows in ({', '.join(FRAMES)}): print(rows.reset_index().to_json(orient='records'))"
SHOWING = ("chapter.say(", "chapter.show(", "chapter.table(", ".head(")
BUILD_SECONDS = 900
NEAR = {
    "only those who left": 0.03,
    "age at first sight forgotten": 0.03,
    "average month compounded": 0.04,
    "one minus Kaplan–Meier": 0.03,
    "immortal time": 0.05,
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
    """The tutorial after a run of ours, with one more cell that tells the rows of its frames."""
    notebook = nbformat.read(TUTORIAL, as_version=4)
    notebook.cells.append(new_code_cell(TELLING, id=TOLD))
    source = tmp_path_factory.mktemp("tutorial") / TUTORIAL.name
    nbformat.write(notebook, source)
    company = settings.load(sample_root)
    execute(source, source.parent / "run", {}, sample_root, Limits.of(company))
    return nbformat.read(source.parent / "run" / gate.NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def told(executed: NotebookNode) -> dict[str, pd.DataFrame]:
    """Frames that the tutorial's sentences speak of, by their names in it."""
    cell = next(cell for cell in executed.cells if cell.id == TOLD)
    lines = "".join(output["text"] for output in cell.outputs).splitlines()
    frames = [pd.read_json(io.StringIO(line), orient="records") for line in lines]
    return dict(zip(FRAMES, frames, strict=True))


@pytest.fixture(scope="module")
def costs(told: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per wrong turn: wrong, cured, ci_low, ci_high, true."""
    return told["costs"].set_index("wrong_turn")


@pytest.fixture(scope="module")
def ratios(told: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per way of comparing: estimate, ci_low, ci_high of the hazard ratio."""
    return told["ratios"].set_index("method")


def at_age(rows: pd.DataFrame, months: int, column: str = "estimate") -> float:
    """Height of one step curve after so many months."""
    reached = rows[rows["time_days"] <= days_to_anniversary(months)]
    return float(reached.sort_values("time_days")[column].iloc[-1])


@pytest.mark.timeout(BUILD_SECONDS)
def test_every_cell_of_the_tutorial_runs_and_none_shows_an_error(executed: NotebookNode) -> None:
    gate.examine(TUTORIAL.name, executed)
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.id != TOLD]
    speaking = [cell for cell in code if any(verb in cell.source for verb in SHOWING)]
    assert speaking[-1].id == "finding"
    assert [cell.id for cell in speaking if not cell.outputs] == []
    assert [
        cell.id for cell in code if any("stderr" in o.get("name", "") for o in cell.outputs)
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


@pytest.mark.timeout(BUILD_SECONDS)
def test_the_curves_part_from_the_start_and_the_gap_widens_for_three_years(
    told: dict[str, pd.DataFrame],
) -> None:
    watched = told["curves"][told["curves"]["stratum"] == "watched"]
    wrong, right = (
        watched[watched["level"] == level]
        for level in ("from day one", "from the age at first sight")
    )
    gaps = [at_age(wrong, months) - at_age(right, months) for months in (1, 3, 6, 12, 24, 36)]
    assert gaps[0] > 0.01
    assert gaps == sorted(gaps)
    assert at_age(wrong, 48) - at_age(right, 48) < gaps[-1]
    uncounted = [
        at_age(wrong, months, "n_at_risk") - at_age(right, months, "n_at_risk")
        for months in (3, 12, 24)
    ]
    assert min(uncounted) > 300


@pytest.mark.timeout(BUILD_SECONDS)
def test_the_average_month_lies_between_a_first_year_above_it_and_a_third_below(
    told: dict[str, pd.DataFrame], costs: pd.DataFrame
) -> None:
    rates = told["rates"].sort_values("tenure_month")
    average = rates["n_events"].sum() / rates["exposure_months"].sum()
    is_above = rates["hazard"] > average
    assert is_above[rates["tenure_month"] <= 12].mean() > 0.5
    assert is_above[rates["tenure_month"].between(25, 36)].mean() < 0.5
    assert rates.loc[rates["hazard"].head(36).idxmax(), "tenure_month"] == 12
    older = rates.loc[rates["tenure_month"] > 12, "exposure_months"].sum()
    assert older / rates["exposure_months"].sum() > 0.5
    width = costs["ci_high"] - costs["ci_low"]
    assert width["average month compounded"] > width["only those who left"]


@pytest.mark.timeout(BUILD_SECONDS)
def test_the_sum_of_the_causes_leaves_the_whole_further_behind_with_age(
    told: dict[str, pd.DataFrame],
) -> None:
    gaps = [
        at_age(told["parts"], months, "gone") - at_age(told["whole"], months, "gone")
        for months in (3, 12, 24, 36)
    ]
    assert gaps[0] < 0.005
    assert gaps == sorted(gaps)


@pytest.mark.timeout(BUILD_SECONDS)
def test_of_those_who_reach_value_far_fewer_leave_in_the_first_two_months(
    told: dict[str, pd.DataFrame],
) -> None:
    groups = told["by_value"].set_index("level")
    gone = [1 - at_age(groups.loc[level], 2) for level in ("reached value", "never did")]
    assert gone[0] < gone[1] / 3


@pytest.mark.timeout(BUILD_SECONDS)
def test_of_the_ratios_the_sound_one_holds_the_truth_and_each_biased_one_is_as_it_is_said(
    told: dict[str, pd.DataFrame], ratios: pd.DataFrame, costs: pd.DataFrame
) -> None:
    truth = costs.loc["immortal time", "true"]
    sound, ever = ratios.loc["time_varying"], ratios.loc["naive_ever_reached"]
    assert sound["ci_low"] < truth < sound["ci_high"]
    assert ever["ci_high"] < truth
    fast = ratios.loc["naive_fast_against_slow"]
    assert fast["ci_low"] < 1 < fast["ci_high"]
    assert sound["estimate"] < ratios.loc["landmark", "estimate"] < 1
    assert sound["estimate"] < told["every_loss.ratios"]["hazard_ratio"].item() < 1


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


def test_no_chapter_and_no_module_it_may_import_names_the_truth() -> None:
    sources = [*(PROJECT / "pipeline").rglob("*.py"), *(PROJECT / "notebooks").glob("*.ipynb")]
    simulator = PROJECT / "pipeline" / "stages" / "simulate"
    naming = [
        path.relative_to(PROJECT).as_posix()
        for path in sources
        if not path.is_relative_to(simulator)
        and any(name in path.read_text(encoding="utf-8") for name in ("known_truth", "truth.json"))
    ]
    assert len(sources) > 100
    assert naming == []
