"""A chapter runs whole or not at all, and whatever goes wrong in its notebook has a name."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from papermill import engines

from pipeline import settings as configuration
from pipeline.children import FAILURE_VARIABLE
from pipeline.data import store
from pipeline.reporting.execution import execute, gate, kernel, prelude
from pipeline.reporting.execution.gate import ChapterFailedError
from pipeline.reporting.execution.kernel import MissingKernelError
from pipeline.settings import ParameterError, Paths, Period, Settings
from tests.reporting.summary_run import CLOSE, OCTOBER, notebook_of, root_at


@pytest.fixture
def settings() -> Settings:
    return with_run()


def with_run(**limits: float) -> Settings:
    content = {"company": "acme", "company_name": "Acme", "periods": ["2026-10"], "run": limits}
    return configuration.parse(content)


def appears(path: Path) -> bool:
    return any(path.exists() or time.sleep(0.05) for _ in range(600))


def ends(pid: int) -> bool:
    """True when the process is gone, or only its parent has not heard of it, within 5 s."""
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return root_at(tmp_path)


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


def test_a_notebook_is_not_written_anew_for_each_of_its_cells(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_written, write = 0, engines.write_ipynb

    def counted(*given: object) -> None:
        nonlocal n_written
        n_written += 1
        write(*given)

    monkeypatch.setattr(engines, "write_ipynb", counted)
    run_summary(paths, settings, "1", "2", "3", CLOSE)
    assert n_written == 2


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
    assert gate.pages_of(OCTOBER, settings)[-1] != "annex"


def test_a_month_with_an_annex_runs_its_notebook(paths: Paths) -> None:
    monthly = configuration.parse(
        {"company": "acme", "company_name": "Acme", "periods": [], "annex": "monthly"}
    )
    assert gate.pages_of(OCTOBER, monthly)[-1] == "annex"
    with pytest.raises(store.MissingDataError, match="99_annex"):
        execute.run_chapter("annex", OCTOBER, monthly, paths)


def test_a_chapter_that_is_not_listed_leaves_a_note_and_an_empty_headline(paths: Paths) -> None:
    content = {"company": "acme", "company_name": "Acme", "periods": [], "chapters": ["summary"]}
    execute.run_chapter("revenue", OCTOBER, configuration.parse(content), paths)
    note = store.read_json(paths.chapter("revenue", OCTOBER) / "not_listed.json")
    assert note == {"chapter": "revenue", "period": "2026-10", "is_listed": False}
    assert store.read_json(paths.headline("revenue", OCTOBER))["headline"] == []


# Poisoned notebooks.

THREAD = "import threading; worker = threading.Thread(target=lambda: 1 / 0); worker.start()"


@pytest.mark.parametrize(
    ("sources", "error_class", "cell", "message"),
    [
        (
            ["1 / 0", CLOSE], "cell_error", "cell-0",
            "cell 'cell-0' failed: ZeroDivisionError: division by zero",
        ),
        (["import sys; sys.exit(0)", CLOSE], "exit", "cell-0", "'cell-0' failed: SystemExit: 0"),
        ([CLOSE, "quit()"], "exit", "cell-1", "a cell called exit or quit"),
        (["%no_such_magic", CLOSE], "cell_error", "cell-0", "magic function `%no_such_magic` not"),
        (["!false", CLOSE], "cell_error", "cell-0", "a chapter runs no shell command"),
        (["input('you?')", CLOSE], "cell_error", "cell-0", "StdinNotImplementedError"),
        (
            [CLOSE, "import os; os._exit(0)"], "kernel_died", "cell-1",
            "cell 'cell-1' failed: its kernel died with exit code 0",
        ),
        (
            ["import os, signal; os.kill(os.getpid(), signal.SIGKILL)", CLOSE], "kernel_died",
            "cell-0", "its kernel died by signal SIGKILL, as a machine without free memory does",
        ),
        (
            [THREAD + "; worker.join()", CLOSE], "thread", "cell-0",
            "at cell 'cell-0': a thread failed: ZeroDivisionError: division by zero",
        ),
        (
            [CLOSE, "import time\n" + THREAD.replace("1 / 0", "[time.sleep(1), 1 / 0]")], "thread",
            "cell-1", "at cell 'cell-1': a thread failed: ZeroDivisionError",
        ),
        (["1 + 1"], "incomplete", None, "did not write its end marker"),
    ],
    ids=[
        "error", "exit", "quit", "magic", "shell", "input", "kernel-death", "kernel-killed",
        "thread", "late-thread", "no-end-marker",
    ],
)  # fmt: skip
def test_a_poisoned_notebook_fails_and_leaves_the_last_good_folder(
    paths: Paths,
    settings: Settings,
    sources: list[str],
    error_class: str,
    cell: str | None,
    message: str,
) -> None:
    place = paths.chapter("summary", OCTOBER)
    store.write_text("good", place / "last")
    with pytest.raises(ChapterFailedError, match="summary") as caught:
        run_summary(paths, settings, *sources)
    assert message in str(caught.value)
    assert (caught.value.error_class, caught.value.cell) == (error_class, cell)
    assert [path.name for path in place.iterdir()] == ["last"]
    assert [path.name for path in place.parent.iterdir()] == ["2026-10"]
    assert caught.value.kept == "build/log/summary-2026-10.ipynb"
    assert (paths.root / caught.value.kept).is_file()


def test_a_failure_names_its_cell_in_the_notebook_that_was_kept(
    paths: Paths, settings: Settings
) -> None:
    with pytest.raises(ChapterFailedError) as caught:
        run_summary(paths, settings, "1", "import os; os._exit(3)", CLOSE)
    kept = nbformat.read(paths.root / str(caught.value.kept), as_version=4)
    assert kept.cells[caught.value.cell_index].id == caught.value.cell == "cell-1"
    assert str(caught.value).endswith(
        f"See cell {caught.value.cell_index + 1} of build/log/summary-2026-10.ipynb."
    )
    states = {cell.id: cell.metadata.papermill.status for cell in kept.cells}
    assert [states[f"cell-{n}"] for n in range(3)] == ["completed", "failed", "pending"]
    assert kept.cells[caught.value.cell_index].outputs[-1].ename == "kernel_died"


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("cell", "it took more than 0.02 minutes (run.cell_timeout_minutes in params.yaml)"),
        ("notebook", "the notebook took more than 0.05 minutes (run.notebook_timeout_minutes"),
    ],
)
def test_a_cell_that_does_not_end_is_stopped_and_named(
    paths: Paths, limit: str, message: str
) -> None:
    minutes = {"cell": 0.02, "notebook": 0.05}
    hurried = with_run(**{f"{limit}_timeout_minutes": minutes[limit]})
    with pytest.raises(ChapterFailedError, match="'cell-1' failed") as caught:
        run_summary(paths, hurried, "1", "while True: pass", CLOSE)
    assert message in str(caught.value)
    assert caught.value.error_class == "timeout"


@pytest.mark.parametrize(
    "source",
    [
        "while True: print('x' * 999)",
        "while True:\n    try: print('x' * 999)\n    except BaseException: pass",
        "print('x' * 50_000_000)",
        "'x' * 50_000_000",
        "from IPython.display import HTML\nHTML('x' * 50_000_000)",
        "from IPython.display import HTML, display\nwhile True: display(HTML('x' * 99_999))",
        "import os\nos.system('yes')",
    ],
    ids=["endless", "stubborn", "one-line", "result", "page", "endless-pages", "subprocess"],
)
def test_a_cell_that_shows_too_much_is_cut_and_fails(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # a kernel that sees it does not watch subprocesses
    with pytest.raises(ChapterFailedError, match="'cell-0' failed: it shows too much") as caught:
        run_summary(paths, settings, source, CLOSE)
    assert caught.value.error_class == "too_much_output"
    kept = paths.root / str(caught.value.kept)
    assert kept.stat().st_size < 1.2 * prelude.MOST_CELL_OUTPUT
    last = nbformat.read(kept, as_version=4).cells[caught.value.cell_index].outputs[-1]
    assert last.output_type == "error"


def test_a_notebook_that_is_edited_while_it_runs_is_refused(
    paths: Paths, settings: Settings
) -> None:
    edit = "p = pathlib.Path('notebooks/00_summary.ipynb'); p.write_text(p.read_text() + ' ')"
    with pytest.raises(ChapterFailedError, match="was edited while it ran") as caught:
        run_summary(paths, settings, CLOSE, edit)
    assert caught.value.error_class == "source_changed"


# Kernels.


def test_what_a_kernel_started_does_not_outlive_it(paths: Paths, settings: Settings) -> None:
    start = "import os, subprocess; child = subprocess.Popen(['sleep', '60'])\n"
    start += "open('child', 'w').write(str(child.pid)); os._exit(1)"
    with pytest.raises(ChapterFailedError, match="exit code 1"):
        run_summary(paths, settings, start, CLOSE)
    assert ends(int((paths.root / "child").read_text()))


def test_a_process_that_left_the_group_of_its_kernel_ends_with_it(
    paths: Paths, settings: Settings
) -> None:
    leave = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
    leave += "        open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'left')\n"
    leave += "        time.sleep(60)\n    os._exit(0)\n"
    leave += "while not os.path.exists('left'): time.sleep(0.05)"
    run_summary(paths, settings, leave, CLOSE)
    assert ends(int((paths.root / "left").read_text()))


def test_a_kernel_ends_with_the_process_that_started_it(paths: Paths) -> None:
    cell = "import os, time; open('pid', 'w').write(str(os.getpid()))\nos.rename('pid', 'kernel')\n"
    nbformat.write(notebook_of(cell + "sum(range(10**13))"), paths.notebook("summary"))
    code = "import sys; from pathlib import Path\n"
    code += "from pipeline.reporting.execution import execute, kernel\n"
    code += "root = Path(sys.argv[1]); limits = kernel.Limits(99, 99)\n"
    code += (
        "execute.execute(root / 'notebooks' / '00_summary.ipynb', root / 'out', {}, root, limits)"
    )
    runner = subprocess.Popen([sys.executable, "-c", code, str(paths.root)])
    try:
        assert appears(paths.root / "kernel")
    finally:
        runner.kill()
        runner.wait()
    assert ends(int((paths.root / "kernel").read_text()))


def test_a_home_of_the_user_changes_nothing_and_stays_as_it_is(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    start_up = tmp_path / "home" / ".ipython" / "profile_default" / "startup" / "00.py"
    start_up.parent.mkdir(parents=True)
    start_up.write_text("smuggled = 1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    line = "import matplotlib; assert matplotlib.get_backend().lower() == 'agg'; "
    assert run_summary(paths, settings, line + "assert 'smuggled' not in globals()", CLOSE).is_dir()
    left = [path for path in (tmp_path / "home" / ".ipython").rglob("*") if path.is_file()]
    assert left == [start_up]


def install_kernel(prefix: Path, program: str) -> None:
    folder = prefix / "share" / "jupyter" / "kernels" / "lodestar"
    folder.mkdir(parents=True)
    spec = {"argv": [program, "{connection_file}"], "display_name": "x", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


def test_a_kernel_that_is_not_there_is_a_fault_of_the_environment(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(KernelSpecManager, "find_kernel_specs", lambda _: {})
        with pytest.raises(MissingKernelError, match=r"rm -r .venv && make report"):
            run_summary(paths, settings, CLOSE)
    install_kernel(tmp_path / "moved", str(tmp_path / "gone" / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "moved"))
    with pytest.raises(MissingKernelError, match="names a Python that is gone"):
        run_summary(paths, settings, CLOSE)


def test_a_kernel_that_does_not_start_is_told_from_one_that_died(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_kernel(tmp_path / "broken", "/bin/false")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "broken"))
    with pytest.raises(ChapterFailedError, match="kernel did not start") as caught:
        run_summary(paths, settings, CLOSE)
    assert caught.value.error_class == "kernel_start"


def test_a_kernel_without_its_guard_proves_nothing(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "KERNEL_ARGUMENTS", ())
    with pytest.raises(ChapterFailedError, match="did not load the guard") as caught:
        run_summary(paths, settings, CLOSE)
    assert caught.value.error_class == "kernel_start"


# Facts.

WARN = """
import threading, warnings
class ConvergenceWarning(UserWarning): pass
for n in range(3): warnings.warn("did not settle", ConvergenceWarning)
warnings.warn("soon gone", FutureWarning)
block = bytearray(400_000_000)
"""


def test_a_run_leaves_its_facts_beside_its_failure(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAILURE_VARIABLE, str(paths.build / "log" / "summary.failure.json"))
    run_summary(paths, settings, WARN, CLOSE)
    left = store.read_json(paths.build / "log" / "summary.facts.json")
    assert left["error"] is None
    assert left["warnings"] == [
        {"category": "ConvergenceWarning", "count": 3, "is_allowed": False},
        {"category": "FutureWarning", "count": 1, "is_allowed": True},
    ]
    assert left["source_sha256"] == store.sha256(paths.notebook("summary"))
    assert left["seconds"] > 0
    assert left["peak_memory_mb"] > 381


def test_the_facts_of_a_failure_name_class_cell_and_first_line(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAILURE_VARIABLE, str(paths.build / "log" / "summary.failure.json"))
    with pytest.raises(ChapterFailedError):
        run_summary(paths, settings, "raise ValueError('bad\\nworse')", CLOSE)
    error = store.read_json(paths.build / "log" / "summary.facts.json")["error"]
    assert (error["class"], error["notebook"], error["cell"]) == (
        "cell_error", "00_summary.ipynb", "cell-0",
    )  # fmt: skip
    assert "ValueError: bad" in error["message"]
    assert "worse" not in error["message"]


def test_a_warning_shown_in_a_notebook_names_no_path_of_the_machine(
    paths: Paths, settings: Settings
) -> None:
    warn = "import warnings; warnings.warn('twice as many', UserWarning)"
    first = (run_summary(paths, settings, warn, CLOSE) / "notebook.ipynb").read_bytes()
    second = (run_summary(paths, settings, warn, CLOSE) / "notebook.ipynb").read_bytes()
    assert b"UserWarning: twice as many" in first
    assert first == second


# Parameters and inputs.


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
    monkeypatch.setattr(kernel, "run", lambda *_: pytest.fail("a kernel started"))
    source = tmp_path / "03_survival.ipynb"
    nbformat.write(notebook_of("1"), source)
    with pytest.raises(ParameterError, match=message):
        execute.execute(source, tmp_path / "out", given, tmp_path, kernel.Limits(9, 9))


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
    with kernel.steady_surroundings(paths.root, paths.scratch):
        assert Path.cwd() == paths.root.resolve()
    assert (Path.cwd(), os.environ["TZ"]) == (before, "Asia/Tokyo")
    assert json.dumps(dict(os.environ))
