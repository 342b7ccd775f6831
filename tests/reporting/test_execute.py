"""The gate: a notebook counts as run only when it ran to its end and left what it declares."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting import execute
from pipeline.reporting.execute import ChapterFailedError
from pipeline.settings import ParameterError, Paths, Period, Settings

OCTOBER = Period("2026-10")
PARAMETERS = "period: str = None\noutput: str = None"
CLOSE = """
import json, pathlib
folder = pathlib.Path(output)
marker = {"chapter": "summary", "period": period, "tables": ["summary.claims"], "figures": []}
content = {"headline": [], "claims": [], "models": [], "page_one": {}}
(folder / "tables").mkdir(parents=True, exist_ok=True)
(folder / "tables" / "summary.claims.csv").write_text("chapter")
(folder / "headline.json").write_text(json.dumps(content))
(folder / "complete.json").write_text(json.dumps(marker))
"""


def notebook_of(*sources: str, parameters: str = PARAMETERS) -> nbformat.NotebookNode:
    first = new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})
    rest = [new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    return new_notebook(cells=[new_markdown_cell("# Who?", id="title"), first, *rest])


@pytest.fixture
def settings() -> Settings:
    return configuration.parse({"company": "acme", "company_name": "Acme", "periods": ["2026-10"]})


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A root in which the summary of October can run."""
    paths = Paths(tmp_path, "acme")
    paths.snapshot(OCTOBER).mkdir(parents=True)
    (paths.snapshot(OCTOBER) / "slice.json").write_text("{}")
    paths.notebooks.mkdir()
    return paths


def run_summary(paths: Paths, settings: Settings, *sources: str) -> Path:
    nbformat.write(notebook_of(*sources), paths.notebook("summary"))
    execute.run_chapter("summary", OCTOBER, settings, paths)
    return paths.chapter("summary", OCTOBER)


# Notebooks that run.


def test_a_chapter_that_ran_stands_in_its_folder_with_its_notebook(
    paths: Paths, settings: Settings
) -> None:
    place = run_summary(paths, settings, CLOSE)
    names = sorted(path.name for path in place.iterdir())
    assert names == ["complete.json", "headline.json", "notebook.ipynb", "tables"]
    assert [path.name for path in place.parent.iterdir()] == ["2026-10"]


def test_two_runs_leave_the_same_bytes_and_no_path_of_the_machine(
    paths: Paths, settings: Settings
) -> None:
    first = (run_summary(paths, settings, CLOSE) / "notebook.ipynb").read_bytes()
    second = (run_summary(paths, settings, CLOSE) / "notebook.ipynb").read_bytes()
    assert first == second
    assert str(paths.root).encode() not in first


def test_the_kernel_finds_the_code_of_the_root_and_no_display(
    paths: Paths, settings: Settings
) -> None:
    line = "import os, matplotlib; assert matplotlib.get_backend().lower() == 'agg'; "
    line += "assert os.environ['LODESTAR_ROOT'] == os.getcwd() and os.environ['TZ'] == 'UTC'"
    assert run_summary(paths, settings, line, CLOSE).is_dir()


def test_a_month_without_an_annex_leaves_a_note_and_no_headline(
    paths: Paths, settings: Settings
) -> None:
    execute.run_chapter("annex", OCTOBER, settings, paths)
    assert store.read_json(paths.chapter("annex", OCTOBER) / "not_listed.json") == {
        "chapter": "annex", "period": "2026-10", "is_listed": False,
    }  # fmt: skip
    assert not paths.headline("annex", OCTOBER).exists()
    assert execute.pages_of(OCTOBER, settings)[-1] != "annex"


def test_a_month_with_an_annex_runs_its_notebook(paths: Paths) -> None:
    monthly = configuration.parse(
        {"company": "acme", "company_name": "Acme", "periods": [], "annex": "monthly"}
    )
    assert execute.pages_of(OCTOBER, monthly)[-1] == "annex"
    with pytest.raises(store.MissingDataError, match="99_annex"):
        execute.run_chapter("annex", OCTOBER, monthly, paths)


def test_a_chapter_that_is_not_listed_leaves_a_note_and_an_empty_headline(paths: Paths) -> None:
    content = {"company": "acme", "company_name": "Acme", "periods": [], "chapters": ["summary"]}
    execute.run_chapter("revenue", OCTOBER, configuration.parse(content), paths)
    note = store.read_json(paths.chapter("revenue", OCTOBER) / "not_listed.json")
    assert note == {"chapter": "revenue", "period": "2026-10", "is_listed": False}
    assert store.read_json(paths.headline("revenue", OCTOBER))["headline"] == []


# Poisoned notebooks.


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["1 / 0", CLOSE], "cell 'cell-0' failed: ZeroDivisionError: division by zero"),
        (["import sys; sys.exit(0)", CLOSE], "cell 'cell-0' failed: SystemExit: 0"),
        (["%no_such_magic", CLOSE], "UsageError: Line magic function `%no_such_magic` not found"),
        (["input('your name?')", CLOSE], "cell 'cell-0' failed: StdinNotImplementedError"),
        (["import os; os._exit(0)", CLOSE], "did not run to its end"),
        (["1 + 1"], "did not write its end marker"),
    ],
    ids=["error", "exit", "magic", "input", "kernel-death", "no-end-marker"],
)
def test_a_poisoned_notebook_fails_and_leaves_the_last_good_folder(
    paths: Paths, settings: Settings, sources: list[str], message: str
) -> None:
    place = paths.chapter("summary", OCTOBER)
    store.write_text("good", place / "last")
    with pytest.raises(ChapterFailedError, match="summary") as caught:
        run_summary(paths, settings, *sources)
    assert message in str(caught.value)
    assert [path.name for path in place.iterdir()] == ["last"]
    assert [path.name for path in place.parent.iterdir()] == ["2026-10"]
    assert (paths.build / "log" / "summary-2026-10.ipynb").is_file()


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
        execute.examine("revenue", executed(*counts))


@pytest.mark.parametrize("status", ["pending", "failed", "running"])
def test_a_pending_or_failed_cell_is_refused(status: str) -> None:
    with pytest.raises(ChapterFailedError, match=f"status {status}"):
        execute.examine("revenue", executed(1, 2, status=status))


def test_a_notebook_without_code_is_refused() -> None:
    with pytest.raises(ChapterFailedError, match="no code cell"):
        execute.examine("revenue", new_notebook(cells=[new_markdown_cell("# All is well")]))


def test_an_error_output_is_refused_though_every_cell_says_completed() -> None:
    notebook = executed(1)
    output = new_output("error", ename="ValueError", evalue="bad\nworse", traceback=[])
    notebook.cells[0].outputs = [output]
    with pytest.raises(ChapterFailedError, match=r"ValueError: bad$"):
        execute.examine("revenue", notebook)


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
    execute.check("revenue", OCTOBER, tmp_path)
    assert not (tmp_path / "running.ipynb").exists()


@pytest.mark.parametrize("gone", [*FILES, *FIGURES])
def test_a_declared_file_that_is_not_there_is_named(tmp_path: Path, gone: str) -> None:
    there = [name for name in FILES + FIGURES if name != gone]
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES], there)
    with pytest.raises(ChapterFailedError, match=gone):
        execute.check("revenue", OCTOBER, tmp_path)


def test_a_promised_table_that_the_marker_leaves_out_is_named(tmp_path: Path) -> None:
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES[1:]], FILES + FIGURES)
    with pytest.raises(ChapterFailedError, match=r"did not publish revenue\.mrr_bridge"):
        execute.check("revenue", OCTOBER, tmp_path)


def test_an_end_marker_of_another_period_is_refused(tmp_path: Path) -> None:
    write_revenue(tmp_path, [f"revenue.{name}" for name in TABLES], FILES + FIGURES)
    with pytest.raises(ChapterFailedError, match="of another chapter"):
        execute.check("revenue", Period("2026-09"), tmp_path)


# Parameters.


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"perod": "2026-10"}, "takes no parameter 'perod'"),
        ({"period\nimport os": "2026-10"}, "takes no parameter"),
        ({"period": 202610}, "must be of type str"),
        ({"period": True}, "must be of type str"),
        ({"period": "2026-1"}, "is not a period"),
        ({"period": "2026-13"}, "is not a period"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_a_kernel_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict, message: str
) -> None:
    monkeypatch.setattr(execute, "_run_by_papermill", lambda *_: pytest.fail("a kernel started"))
    source = tmp_path / "03_survival.ipynb"
    nbformat.write(notebook_of("1"), source)
    with pytest.raises(ParameterError, match=message):
        execute.execute(source, tmp_path / "out", given, tmp_path)


def test_every_declared_type_takes_its_own_kind_and_none_where_none_is_the_default() -> None:
    cell = "days: int = 30\nshare: float = 0.5\nstrata: list = None\nwide: bool = False"
    notebook = notebook_of(parameters=cell)
    execute.validate_parameters(
        "x", notebook, {"days": 7, "share": 1, "strata": None, "wide": True}
    )
    for wrong in ({"days": 7.5}, {"days": None}, {"strata": "segment"}, {"wide": 1}):
        with pytest.raises(ParameterError, match="must be of type"):
            execute.validate_parameters("x", notebook, wrong)


def test_a_notebook_needs_exactly_one_parameters_cell() -> None:
    notebook = notebook_of()
    notebook.cells = notebook.cells[:1]
    with pytest.raises(ParameterError, match="exactly one"):
        execute.validate_parameters("x", notebook, {})


def test_a_missing_notebook_or_snapshot_is_missing_input(paths: Paths, settings: Settings) -> None:
    with pytest.raises(store.MissingDataError, match=r"00_summary\.ipynb"):
        execute.run_chapter("summary", OCTOBER, settings, paths)
    nbformat.write(notebook_of(CLOSE), paths.notebook("summary"))
    with pytest.raises(store.MissingDataError, match=r"slice\.json"):
        execute.run_chapter("summary", Period("2026-09"), settings, paths)


def test_the_caller_keeps_folder_and_environment(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = Path.cwd()
    with execute.steady_surroundings(paths.root):
        assert Path.cwd() == paths.root.resolve()
    import os

    assert (Path.cwd(), os.environ["TZ"]) == (before, "Asia/Tokyo")
    assert json.dumps(dict(os.environ))
