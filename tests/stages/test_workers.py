"""Several periods at a time: the same files, errors as ever, and no worker outlives its stage."""

import functools
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipeline.data.reading import DataError
from pipeline.settings import Period
from pipeline.stages import snapshot, workers
from tests.stages.company import Company, accounts_of, write_company

PERIODS = ["2025-01", "2025-02", "2025-03", "2025-04"]
CALM_SECONDS = 20
"""Within so long the workers of a stage that was killed are gone."""


PAID = """
    subscription_id,account_id,start_date,mrr,currency
    s1,A,2024-06-01,100,USD
    s2,B,2024-12-01,50,EUR
    """


def company_of(root: Path, last_rate: str = "2025-05") -> Company:
    """Two accounts and four periods; one of them pays in euros, which have rates up to a month."""
    rates = {month: 1.1 for month in ["2024-12", *PERIODS, "2025-05"] if month <= last_rate}
    files = {"accounts.csv": accounts_of("A", "B"), "subscriptions.csv": PAID}
    return write_company(root, files, periods=PERIODS, extract_date="2025-05-31", fx={"EUR": rates})


def hashes(company: Company) -> dict[str, str]:
    """Every file of the snapshots, by its path."""
    folder = company.paths.processed / "snapshot"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_periods_written_side_by_side_are_those_written_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "_n_at_a_time", lambda *_: 1)
    alone = hashes(company_of(tmp_path / "alone").run())
    monkeypatch.setattr(snapshot, "_n_at_a_time", lambda *_: 2)
    company = company_of(tmp_path / "beside").ingest()
    company.paths.usage.mkdir(parents=True)
    written, tables = [], snapshot.Snapshot.tables
    monkeypatch.setattr(
        snapshot.Snapshot,
        "tables",
        lambda self: written.append(str(self.cut.period)) or tables(self),
    )
    snapshot.run(company.settings, company.paths)

    assert written == PERIODS[::2]  # the others by a worker, which loads code of its own
    assert hashes(company) == alone
    assert {Path(name).parts[0] for name in alone} == set(PERIODS)


@pytest.mark.parametrize(
    ("n_cores", "n_periods", "wanted"), [(2, 3, 1), (2, 4, 2), (2, 30, 2), (8, 9, 4), (1, 30, 1)]
)
def test_a_worker_has_two_periods_and_a_core(tmp_path, monkeypatch, n_cores, n_periods, wanted):
    company = company_of(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: n_cores)

    assert snapshot._n_at_a_time(n_periods, company.settings, company.paths) == wanted


def test_large_tables_and_spark_have_one_period_at_a_time(tmp_path, monkeypatch):
    company = company_of(tmp_path).ingest()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    on_spark = company.settings.model_copy(update={"engine": "pyspark"})
    assert snapshot._n_at_a_time(4, company.settings, company.paths) == 2
    assert snapshot._n_at_a_time(4, on_spark, company.paths) == 1
    monkeypatch.setattr(snapshot, "SMALL_MB", 0.001)
    assert snapshot._n_at_a_time(4, company.settings, company.paths) == 1


def test_what_a_worker_finds_wrong_is_the_error_of_the_stage(tmp_path, monkeypatch):
    company = company_of(tmp_path, last_rate="2025-03").ingest()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(DataError, match=r"fx has no rate for EUR in 2025-04.*subscriptions.csv"):
        snapshot.run(company.settings, company.paths)
    assert (company.paths.snapshot(Period("2025-03")) / "accounts.parquet").is_file()


def test_half_a_file_of_a_worker_that_died_goes(tmp_path, monkeypatch):
    company = company_of(tmp_path).ingest()
    half = company.paths.processed / "snapshot" / PERIODS[0] / ".accounts.parquet.123.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"PAR1")
    monkeypatch.setattr(snapshot, "_n_at_a_time", lambda *_: 1)
    snapshot.run(company.settings, company.paths)

    assert list(half.parent.glob(".*")) == []
    assert (half.parent / "accounts.parquet").is_file()


def in_a_worker() -> bool:
    """True in a process that another Python started."""
    return multiprocessing.parent_process() is not None


def leave_trace(name: str, *, folder: Path, dies_of: str = "") -> None:
    """Say in a file which process did it; workers may be told to fail at one of the names."""
    if in_a_worker() and dies_of == f"killed at {name}":
        os.kill(os.getpid(), signal.SIGKILL)
    if in_a_worker() and dies_of == f"error at {name}":
        raise MemoryError(name)
    (folder / name).write_text(str(os.getpid()))


@pytest.mark.parametrize(
    ("dies_of", "code"), [("", None), ("killed at d", -signal.SIGKILL), ("error at d", 1)]
)
def test_what_a_worker_cannot_do_the_stage_does_and_says_so(tmp_path, caplog, dies_of, code):
    work = functools.partial(leave_trace, folder=tmp_path, dies_of=dies_of)
    workers.share(work, ["a", "b", "c", "d", "e"], 2)

    own = str(os.getpid())
    done = {path.name for path in tmp_path.iterdir() if path.read_text() == own}
    assert {path.name for path in tmp_path.iterdir()} == set("abcde")
    assert done == (set("abcde") if dies_of else set("ace"))
    assert [record.args[0] for record in caplog.records] == ([code] if dies_of else [])


def test_where_no_worker_can_be_started_the_stage_does_all_and_says_so(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuse)
    workers.share(functools.partial(leave_trace, folder=tmp_path), ["a", "b", "c"], 3)

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        "abc", str(os.getpid())
    )
    assert [record.message for record in caplog.records] == [
        "No worker could be started: [Errno 11] too many processes"
    ] * 2


def refuse(_: object) -> None:
    """As the system does it when the limit of processes is reached."""
    raise BlockingIOError(11, "too many processes")


def test_an_error_of_the_stage_ends_its_workers(tmp_path):
    work = functools.partial(fail_when_both_are_here, folder=tmp_path)
    with pytest.raises(ArithmeticError):
        workers.share(work, ["a", "b"], 2)

    assert not multiprocessing.active_children()


def fail_when_both_are_here(name: str, *, folder: Path) -> None:
    """The stage fails while its worker is busy."""
    meet(name, folder=folder)
    if not in_a_worker():
        raise ArithmeticError
    time.sleep(600)


def test_a_stage_and_its_workers_work_at_the_same_time(tmp_path):
    workers.share(functools.partial(meet, folder=tmp_path), ["a", "b", "c"], 3)

    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3
    assert not multiprocessing.active_children()


def meet(name: str, *, folder: Path) -> None:
    """Go on when two are here."""
    leave_trace(name, folder=folder)
    until = time.monotonic() + CALM_SECONDS
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < until, "nobody came"
        time.sleep(0.05)


def test_a_worker_hears_no_ctrl_c(tmp_path):
    workers.share(functools.partial(interrupt_workers, folder=tmp_path), ["a", "b"], 2)

    assert (tmp_path / "b").read_text() != str(os.getpid())


def interrupt_workers(name: str, *, folder: Path) -> None:
    """Send a worker what a terminal sends to all."""
    if in_a_worker():
        os.kill(os.getpid(), signal.SIGINT)
    leave_trace(name, folder=folder)


STAGE = """
    import functools, pathlib, sys
    from pipeline.stages import workers
    from tests.stages import test_workers

    if __name__ == "__main__":
        work = functools.partial(getattr(test_workers, sys.argv[1]), folder=pathlib.Path("traces"))
        workers.share(work, ["a", "b", "c"], 3)
    """


def wait_long(name: str, *, folder: Path) -> None:
    """Be busy for longer than any test."""
    leave_trace(name, folder=folder)
    time.sleep(600)


def start(root: Path, work: str) -> subprocess.Popen[bytes]:
    """Begin a stage with two workers; all of them hold its standard output."""
    (root / "stage.py").write_text(textwrap.dedent(STAGE))
    (root / "traces").mkdir()
    return subprocess.Popen(
        [sys.executable, "stage.py", work],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
    )


def test_no_worker_outlives_a_stage_that_is_killed(tmp_path):
    stage = start(tmp_path, "wait_long")
    wait_for(lambda: len(list((tmp_path / "traces").glob("*"))) == 3)
    pids = [int(path.read_text()) for path in (tmp_path / "traces").iterdir()]
    assert all(is_there(pid) for pid in pids)
    stage.kill()
    stage.communicate(timeout=CALM_SECONDS)
    assert not any(is_there(pid) for pid in pids)


def test_a_worker_whose_stage_died_before_it_was_there_does_nothing(tmp_path):
    stage = start(tmp_path, "end_the_stage")
    stage.communicate(timeout=CALM_SECONDS)

    assert stage.returncode == -signal.SIGKILL
    assert list((tmp_path / "traces").iterdir()) == []


def end_the_stage(name: str, *, folder: Path) -> None:
    """Kill the stage as soon as it has started its workers."""
    if not in_a_worker():
        os.kill(os.getpid(), signal.SIGKILL)
    leave_trace(name, folder=folder)


def is_there(pid: int) -> bool:
    """True while a process runs; one that only waits to be reaped does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_for(is_so) -> None:
    """Wait until something is so; it fails when that takes too long."""
    until = time.monotonic() + CALM_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
