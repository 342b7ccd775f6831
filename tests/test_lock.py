"""One run at a time: the lock, who holds it, and what writes for a stage."""

import dataclasses
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import lock
from pipeline.lock import BusyError, Process, locked, writing


def test_a_second_run_is_refused_at_once_and_names_process_host_and_start(tmp_path: Path) -> None:
    with locked(tmp_path):
        began = time.monotonic()
        said = rf"process {os.getpid()} on {os.uname().nodename}, since 20\d\d-"
        with pytest.raises(BusyError, match=said), locked(tmp_path):
            pass
        assert time.monotonic() - began < 1


def test_the_lock_is_free_after_a_run_that_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert lock.last_holder(tmp_path) is None  # it was not killed
    with locked(tmp_path) as handle:
        assert handle > 0


def test_a_run_that_ended_well_names_nobody(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert lock.last_holder(tmp_path)[0] == Process.of(os.getpid())
    assert lock.last_holder(tmp_path) is None


@pytest.mark.parametrize("text", ["null", "[]", "{}", "7", '{"pid"', "\0\0"])
def test_a_lock_whose_text_is_damaged_names_nobody(tmp_path: Path, text: str) -> None:
    lock.lock_file(tmp_path).parent.mkdir()
    lock.lock_file(tmp_path).write_text(text)
    assert lock.last_holder(tmp_path) is None


def test_a_child_that_outlives_its_run_keeps_the_lock(tmp_path: Path) -> None:
    script = "import os, sys, time; from pathlib import Path; from pipeline.lock import locked\n"
    script += "with locked(Path(sys.argv[1])) as held:\n"
    script += "    os.set_inheritable(held, True)\n"
    script += "    if os.fork(): os._exit(9)\n"
    script += "    print(os.getpid(), flush=True); os.close(1); time.sleep(60)"
    words = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    try:
        with pytest.raises(BusyError, match="A child of a run that is gone"), locked(tmp_path):
            pass
    finally:
        os.kill(int(done.stdout), 9)
    time.sleep(0.1)
    with locked(tmp_path) as handle:
        assert handle > 0


def test_text_left_by_a_dead_process_stops_nobody(tmp_path: Path) -> None:
    path = lock.lock_file(tmp_path)
    path.parent.mkdir()
    path.write_text("process 1 on another-host")
    assert lock.last_holder(tmp_path) is None
    with locked(tmp_path) as handle:
        assert os.pread(handle, 9, 0) == b'{"boot_id'


def test_a_number_that_came_back_is_another_process() -> None:
    own = Process.of(os.getpid())
    assert own.is_alive()
    assert not dataclasses.replace(own, process_start=own.process_start - 1).is_alive()
    assert not dataclasses.replace(own, boot_id="another-boot").is_alive()
    assert dataclasses.replace(own, host="another-host", process_start=1).is_alive()


def test_a_process_that_ended_is_not_alive_though_nobody_asked_for_its_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    known = Process.of(child.pid)
    deadline = time.monotonic() + 10
    while known.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not known.is_alive()
    child.wait()


def test_no_run_begins_while_a_stage_of_another_still_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.1)
    with writing(tmp_path), pytest.raises(BusyError, match="still writes here"), locked(tmp_path):
        pass
    with locked(tmp_path), writing(tmp_path), writing(tmp_path):  # chapters write side by side
        assert not lock.is_quiet(tmp_path, 0)
    assert lock.is_quiet(tmp_path, 0)


def test_the_lock_is_that_of_the_file_and_not_of_its_text(tmp_path: Path) -> None:
    with locked(tmp_path), lock.lock_file(tmp_path).open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert not other.closed
