"""A chapter that was forked is as good as one started afresh, and shares nothing with others."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from pipeline.data import store
from pipeline.flow import Ended, Flow, RunTimeoutError, Task
from pipeline.settings import Paths
from tests import toy_root
from tests.reporting.summary_run import CLOSE, OCTOBER, notebook_of, root_at

pytestmark = pytest.mark.timeout(300)

PARAMS = {"company": "acme", "company_name": "Acme", "periods": ["2026-10"]}
STEADY = (
    "import os, sys; assert os.environ['PYTHONHASHSEED'] == '0' and os.environ['TZ'] == 'UTC'; "
    "assert os.environ['OMP_NUM_THREADS'] == '1' and not sys.flags.hash_randomization; "
    "assert os.environ['LODESTAR_ROOT'] == os.getcwd() and 'LODESTAR_SECRET' not in os.environ"
)
MARKS = "from pipeline import exits; assert not hasattr(exits, 'mark'); exits.mark = 1"
DRAWS = """
import json, pathlib, random
import numpy as np
drawn = pathlib.Path("drawn.json")
before = json.loads(drawn.read_text()) if drawn.exists() else []
after = [*before, random.random(), np.random.random()]
written = drawn.write_text(json.dumps(after))
"""
LEAVES = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'left')
        time.sleep(60)
    os._exit(0)
while not os.path.exists('left'): time.sleep(0.05)
"""
ANSWERS_LATE = """
import os, sys, threading, time
def made_late(flush, sends, sleep, here):
    def flush_late():
        if here() is not main:
            sleep(0.5)
            if not sends():
                sleep(60)
        flush()
    main = here()
    return flush_late
def told(end):
    return lambda code: (open("ended by itself", "w").close(), end(code))
sends = sys.stdout.pub_thread.thread.is_alive
sys.stdout.flush = made_late(sys.stdout.flush, sends, time.sleep, threading.current_thread)
os._exit = told(os._exit)
"""
"""In closures: at its end IPython forgets the names of cells before the last thread has ended."""
DIES = "block = bytearray(700_000_000)\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
WAITS_ONCE = """
import os, pathlib, time
if not os.path.exists("waits"):
    pathlib.Path("waiting").write_text(f"{os.getpid()} {os.getppid()}")
    os.rename("waiting", "waits")
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A root in which the summary of October can run."""
    made = root_at(tmp_path_factory.mktemp("root"))
    store.write_text(json.dumps(PARAMS), made.params)
    return made


@pytest.fixture(scope="module")
def flow(paths: Paths) -> Iterator[Flow]:
    """One run's flow, whose preload is begun by the first test."""
    made = Flow(paths.root)
    yield made
    made.close()


def run_summary(flow: Flow, paths: Paths, *sources: str) -> Ended:
    nbformat.write(notebook_of(*sources), paths.notebook("summary"))
    (ended,) = flow.run_side_by_side([Task("summary", str(OCTOBER))], 1)
    return ended


def is_gone(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_fork_shares_no_module_and_no_random_state_with_the_one_before(
    flow: Flow, paths: Paths
) -> None:
    first = run_summary(flow, paths, STEADY, MARKS, DRAWS, CLOSE)
    second = run_summary(flow, paths, STEADY, MARKS, DRAWS, CLOSE)
    assert (first.code, first.message, second.code, second.message) == (0, "", 0, "")
    assert flow.n_unforked == 0
    drawn = json.loads((paths.root / "drawn.json").read_text())
    assert len(set(drawn)) == 4


def test_the_memory_and_the_death_of_a_forked_kernel_are_told_truly(
    flow: Flow, paths: Paths
) -> None:
    light = run_summary(flow, paths, CLOSE)
    dead = run_summary(flow, paths, "1", DIES, CLOSE)
    assert flow.n_unforked == 0
    assert (dead.code, dead.error_class, dead.cell) == (70, "kernel_died", "cell-1")
    assert "its kernel died by signal SIGKILL" in dead.message
    assert light.peak_memory_mb < 667 < dead.peak_memory_mb


def test_a_forked_kernel_answers_the_order_to_end_and_ends_by_itself(
    flow: Flow, paths: Paths
) -> None:
    ended = run_summary(flow, paths, ANSWERS_LATE, CLOSE)
    assert (ended.code, ended.message, flow.n_unforked) == (0, "", 0)
    assert (paths.root / "ended by itself").exists()


def test_what_left_the_group_of_a_forked_kernel_ends_with_it(flow: Flow, paths: Paths) -> None:
    ended = run_summary(flow, paths, LEAVES, CLOSE)
    assert (ended.code, flow.n_unforked) == (0, 0)
    assert is_gone(int((paths.root / "left").read_text()))


def test_a_preload_that_dies_takes_its_forks_along_and_the_chapter_starts_afresh(
    flow: Flow, paths: Paths
) -> None:
    waits = paths.root / "waits"

    def kill_preload() -> None:
        toy_root.wait_for(waits.is_file)
        os.kill(flow._preloads[-1].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_preload)
    killer.start()
    ended = run_summary(flow, paths, WAITS_ONCE, CLOSE)
    killer.join()
    assert (ended.code, ended.attempts, flow.n_unforked) == (0, 1, 1)
    assert "code -9" in flow.unforked
    assert all(is_gone(int(pid)) for pid in waits.read_text().split())


# In a root whose chapters only tick.


def test_code_that_changed_since_the_preload_is_never_run_stale(tmp_path: Path) -> None:
    root = toy_root.make(tmp_path / "root")
    flow = Flow(root)
    list(flow.run_side_by_side([Task("quick", "2026-09"), Task("quick", "2026-10")], 2))
    assert len(flow._preloads) == 1
    store.write_text(toy_root.CLI + "print('new words')\n", root / "pipeline" / "cli.py")
    (ended,) = flow.run_side_by_side([Task("quick", "2026-10")], 1)
    assert (ended.code, flow.n_unforked, len(flow._preloads)) == (0, 0, 2)
    assert "new words" in (root / "build" / "log" / "quick-2026-10.log").read_text()
    flow.close()


def test_a_preload_that_cannot_start_costs_no_chapter_and_is_counted(tmp_path: Path) -> None:
    root = toy_root.make(tmp_path / "root")
    store.write_text("raise SystemExit(3)", root / "pipeline" / "preload" / "process.py")
    flow = Flow(root)
    tasks = [Task("quick", "2026-09"), Task("quick", "2026-10")]
    codes = [ended.code for ended in flow.run_side_by_side(tasks, 2)]
    assert (codes, flow.n_unforked) == ([0, 0], 2)
    assert "code 3" in flow.unforked
    flow.close()


def test_our_code_is_compiled_once_whatever_the_caller_wishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    root = toy_root.make(tmp_path / "root")
    flow = Flow(root)
    (ended,) = flow.run_side_by_side([Task("quick", "2026-10")], 1)
    flow.close()
    assert ended.code == 0
    assert list((root / "pipeline" / "__pycache__").glob("lock.*.pyc"))


def test_the_end_of_a_run_ends_its_preload(tmp_path: Path) -> None:
    flow = Flow(toy_root.make(tmp_path / "root"))
    flow.warm_up()
    pid = flow._preloads[0].pid
    assert not is_gone(pid)
    flow.close()
    assert is_gone(pid)


def test_a_chapter_whose_preload_still_loads_is_ended_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.flow.STOP_SECONDS", 1)
    root = toy_root.make(tmp_path / "root")
    store.write_text("import time; time.sleep(60)", root / "pipeline" / "preload" / "process.py")
    flow = Flow(root)
    flow.end_after(1)
    with pytest.raises(RunTimeoutError):
        list(flow.run_side_by_side([Task("tick", "2026-10")], 1))
    assert is_gone(flow._preloads[0].pid)
    assert not (root / "ticks").exists()
    flow.close()
