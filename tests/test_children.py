"""A child never outlives its run: not when it is killed, stopped, or runs out of time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.flow import Flow, RunTimeoutError, StageFailedError, Task
from pipeline.lock import forget_cut_locks_of_dvc, locked
from tests import toy_root

ROOT = Path(__file__).parents[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return toy_root.make(tmp_path / "root")


@pytest.mark.parametrize(
    ("way", "name"),
    [("chapter", "tick"), ("chapter", "stubborn"), ("stage", "tick"), ("stage", "behind_a_shell")],
)
def test_nothing_writes_after_the_run_was_killed(root: Path, way: str, name: str) -> None:
    runner = toy_root.start_runner(root, way, name)
    assert toy_root.is_ticking(root)
    runner.kill()
    runner.wait()
    time.sleep(1)
    assert not toy_root.is_ticking(root)
    with locked(root) as held:
        assert held > 0


@pytest.mark.parametrize(("way", "name"), [("chapter", "tick"), ("stage", "behind_a_shell")])
def test_nothing_writes_after_the_run_was_stopped(root: Path, way: str, name: str) -> None:
    runner = toy_root.start_runner(root, way, name)
    runner.send_signal(signal.SIGINT)
    assert runner.wait(30) != 0
    assert not toy_root.is_ticking(root)


def test_asking_dvc_in_between_ends_no_chapter_that_runs(root: Path) -> None:
    flow = Flow(root)
    results = flow.run_side_by_side([Task("tick", "2026-10"), Task("quick", "2026-10")], 2)
    assert next(results).task.chapter == "quick"
    toy_root.wait_for(lambda: (root / "ticks").is_file())
    assert "tick" in flow.stale()
    assert toy_root.is_ticking(root)
    results.close()
    assert not toy_root.is_ticking(root)
    flow.close()


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_nothing_writes_after_a_dvc_started_by_hand_was_killed(root: Path, shell: str) -> None:
    variables = os.environ | {
        "SHELL": shell,  # DVC starts a stage through it; dash stays in between, bash does not
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "LODESTAR_FAILURE": str(root / "failure.json"),
    }
    words = [sys.executable, "-m", "dvc", "repro", "tick"]
    by_hand = subprocess.Popen(words, cwd=root, env=variables, stdout=subprocess.DEVNULL)
    toy_root.wait_for(lambda: (root / "ticks").is_file())
    by_hand.kill()
    by_hand.wait()
    time.sleep(1)
    assert not toy_root.is_ticking(root)


def test_a_run_that_takes_too_long_is_ended_with_all_it_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.flow.STOP_SECONDS", 1)
    flow = Flow(root)
    flow.end_after(6)
    began = time.monotonic()
    with pytest.raises(RunTimeoutError, match="run_timeout_hours") as caught:
        flow.reproduce(["tick"], lambda _: None)
    assert (caught.value.code, caught.value.error_class) == (70, "run_timeout")
    assert time.monotonic() - began < 20
    assert not toy_root.is_ticking(root)
    flow.close()


def test_a_chapter_that_ignores_the_end_of_the_run_is_killed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.flow.STOP_SECONDS", 1)
    flow = Flow(root)
    flow.end_after(3)
    with pytest.raises(RunTimeoutError):
        list(flow.run_side_by_side([Task("stubborn", "2026-10")], 1))
    assert not toy_root.is_ticking(root)
    flow.close()


# Second attempts.


@pytest.fixture
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.flow.BACK_OFF_SECONDS", 0.01)


@pytest.mark.usefixtures("_no_wait")
@pytest.mark.parametrize(
    ("error_class", "retries", "attempts", "code"),
    [
        ("kernel_start", 2, 3, 0),
        ("kernel_start", 1, 2, 65),
        ("io", 5, 3, 0),
        ("kernel_died", 5, 2, 65),
        ("cell_error", 5, 1, 65),
        ("timeout", 5, 1, 65),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(
    root: Path, error_class: str, retries: int, attempts: int, code: int
) -> None:
    with closing(Flow(root, retries=retries)) as flow:
        (ended,) = flow.run_side_by_side([Task("flaky", error_class)], 1)
    assert (ended.attempts, ended.code) == (attempts, code)
    assert (root / "tries-flaky").read_text() == "." * attempts


def test_further_attempts_wait_longer_each_time(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.flow.BACK_OFF_SECONDS", 0.5)
    began = time.monotonic()
    with closing(Flow(root, retries=2)) as flow:
        list(flow.run_side_by_side([Task("flaky", "io")], 1))
    assert time.monotonic() - began > 0.5 + 1.0


def test_a_failed_chapter_brings_its_kind_place_and_facts(root: Path) -> None:
    with closing(Flow(root)) as flow:
        (ended,) = flow.run_side_by_side([Task("bad", "cell_error")], 1)
    assert (ended.code, ended.message) == (65, "2 rows cannot be used")
    assert (ended.error_class, ended.notebook, ended.cell) == ("cell_error", "03.ipynb", "answer")
    assert (ended.peak_memory_mb, ended.attempts) == (12.5, 1)


@pytest.mark.parametrize("cut", [0, 20, 56])
def test_a_lock_that_is_cut_off_is_told_from_a_failed_stage(
    root: Path, cut: int, request: pytest.FixtureRequest
) -> None:
    text = "schema: '2.0'\nstages:\n  bad:\n    cmd: one\n    deps:\n    - path: pipeline\n"
    (root / "dvc.lock").write_text(text)
    request.addfinalizer((flow := Flow(root)).close)
    flow.stale()
    assert (root / "build" / "dvc.lock.whole").read_text() == text
    (root / "dvc.lock").write_text(text[:cut])
    with pytest.raises(StageFailedError, match=r"git checkout dvc\.lock") as caught:
        flow.stale()
    assert caught.value.code == 78
    assert flow.stale_by_kept_lock() is not None
    assert (root / "dvc.lock").read_text() == text


def test_a_failed_stage_keeps_its_code_and_kind_behind_dvc(root: Path) -> None:
    with (
        closing(Flow(root)) as flow,
        pytest.raises(StageFailedError, match="2 rows cannot be used") as caught,
    ):
        flow.reproduce(["bad"], lambda _: None)
    assert (caught.value.code, caught.value.error_class) == (65, "data")


def test_a_summary_follows_the_chapters_of_its_own_month_and_waits_for_no_other(root: Path) -> None:
    quick, slow = ["2026-09", "2026-10"]
    tasks = [Task("quick", slow), Task("tick", slow), Task("quick", quick)]
    with contextlib.closing(Flow(root)) as flow:
        results = flow.run_side_by_side([*tasks, Task("summary", slow), Task("summary", quick)], 2)
        ended = [next(results).task.stage for _ in range(3)]
        assert toy_root.is_ticking(root)
        results.close()
    assert ended == [f"quick@{slow}", f"quick@{quick}", f"summary@{quick}"]


def test_a_summary_of_a_month_in_which_a_chapter_failed_is_left_out(root: Path) -> None:
    tasks = [Task("bad", "cell_error"), Task("quick", "cell_error"), Task("summary", "cell_error")]
    with contextlib.closing(Flow(root)) as flow:
        ended = [each.task.chapter for each in flow.run_side_by_side(tasks, 1)]
    assert ended == ["bad", "quick"]


def test_one_dvc_runs_a_stage_and_says_what_is_out_of_date_after_it(root: Path) -> None:
    (root / "params.yaml").write_text("")
    seen: list[str] = []
    with contextlib.closing(Flow(root)) as flow:
        flow.look_aside()
        assert "quick" in flow.stale()
        dvc = flow._dvc
        flow.reproduce(["quick"], seen.append)
        assert flow.stale() == {"bad", "behind_a_shell", "tick"}
        assert flow._dvc is dvc
        with pytest.raises(StageFailedError, match="2 rows cannot be used"):
            flow.reproduce(["bad"], seen.append)
        assert flow.stale() == {"bad", "behind_a_shell", "tick"}
        assert flow._dvc is not dvc, "what a failed stage started is ended with its DVC"
    assert seen == ["quick", "bad"]


def test_a_dvc_that_was_killed_while_it_waited_is_started_again(root: Path) -> None:
    with closing(Flow(root)) as flow:
        stale = flow.stale()
        assert flow._dvc is not None
        flow._dvc.kill()
        flow._dvc.wait()
        assert flow.stale() == stale


def test_dvc_is_run_by_the_code_of_this_version_in_a_root_of_another(root: Path) -> None:
    older = "raise SystemExit('of an older version')"
    (root / "pipeline" / "bound_dvc.py").write_text(older)
    with closing(Flow(root)) as flow:
        assert "quick" in flow.stale()


@pytest.mark.parametrize("text", ["", '{"read": {'])
def test_a_list_of_locks_that_a_dvc_left_cut_off_stops_no_later_one(root: Path, text: str) -> None:
    locks = root / ".dvc" / "tmp" / "rwlock"
    locks.parent.mkdir(exist_ok=True)
    with locked(root) as held, closing(Flow(root, (held,))) as flow:
        locks.write_text(text)
        assert "quick" in flow.stale()
        assert flow._dvc is not None
        flow._dvc.kill()
        flow._dvc.wait()
        locks.write_text(text)
        assert "quick" in flow.stale()


def test_a_whole_list_of_locks_of_dvc_stays(root: Path) -> None:
    locks = root / ".dvc" / "tmp" / "rwlock"
    locks.parent.mkdir(exist_ok=True)
    forget_cut_locks_of_dvc(root)
    locks.write_text('{"read": {}}')
    forget_cut_locks_of_dvc(root)
    assert locks.read_text() == '{"read": {}}'


def test_a_question_waits_for_the_answer_to_the_one_before(root: Path) -> None:
    (root / "params.yaml").write_text("")
    with closing(Flow(root)) as flow:
        flow.look_aside()
        flow.reproduce(["quick"], lambda _: None)
        assert "quick" in flow.stale(), "as it was at first"
        assert "quick" not in flow.stale()


def test_the_end_of_a_run_waits_for_the_first_look(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object) -> StageFailedError:
        time.sleep(1)
        return StageFailedError("ended")

    monkeypatch.setattr("pipeline.flow._stage_failure", late)
    flow = Flow(root)
    flow.look_aside()
    look, dvc = flow._look, flow._dvc
    flow.close()
    assert look is not None
    assert look.done()
    assert dvc is not None
    assert (dvc.poll(), dvc.stdout.closed) == (-signal.SIGTERM, True)


def test_chapters_that_end_leave_dvc_to_the_run_and_the_end_of_the_run_ends_it(root: Path) -> None:
    flow = Flow(root)
    flow.look_aside()
    list(flow.run_side_by_side([Task("quick", "2026-10")], 1))
    flow.stale()
    dvc = flow._dvc
    assert dvc is not None
    assert dvc.poll() is None
    flow.close()
    assert dvc.poll() is not None


LEAVING = """
import atexit, threading, time
from pipeline.children import leave
atexit.register(print, "registered")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread", end=" "))).start()
print("main", end=" ")
leave(3)
print("never")
"""


def test_a_process_that_leaves_waits_for_threads_and_says_all_it_had_to_say() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LEAVING], text=True, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout == "main thread registered\n"
