"""What holds for every test: a machine that promises a tool may not skip for want of it.

``LODESTAR_REQUIRE`` holds words, for example ``chromium Rscript shared``. A test or module that
skips with one of these words in its reason fails instead.

``test_root`` is a small sample company, built once through the whole machine and used again while
nothing that it is made from has changed.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in a run; must stand before NumPy is loaded

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

REQUIRED = os.environ.get("LODESTAR_REQUIRE", "").lower().split()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, pytest.TestReport]:
    return _fail_if_required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    return _fail_if_required((yield))


def _fail_if_required(report: Any) -> Any:
    if not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    missing = [word for word in REQUIRED if word in reason.lower()]
    if missing:
        report.outcome = "failed"
        report.longrepr = f"{', '.join(missing)} must be here (LODESTAR_REQUIRE), but: {reason}"
    return report


PROJECT = Path(__file__).parents[1]
MADE_FROM = ("pipeline", "notebooks", "dvc.yaml", "requirements.lock", "params.yaml")
BUILD_SECONDS = 1200
SMALL_COMPANY = {
    "periods": ["2026-08", "2026-10"],  # a final month and a provisional one
    "observation_start": "2024-05-01",
    "simulate": {"accounts": 400, "start": "2024-05-01", "months": 30},
    "quarantine": {"max_share_of_rows": 0.5, "max_share_of_mrr": 0.5},  # planted rows weigh more
}


LONG = (
    "stages/test_spark.py", "browser/test_lab.py", "faults/test_machine.py",
    "faults/test_running.py", "faults/test_disk.py", "browser/test_every_page.py",
)  # fmt: skip
"""Files of tests that take minutes come first, so that no worker ends long after another.

The first and third begin without the small company, while the second builds it."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more worker than there are cores: many a test waits for another program."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; and who asks for the small company may have to wait until it is built."""
    items.sort(key=lambda item: _turn(item.path.as_posix()))
    for item in items:
        if "test_root" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


def _turn(path: str) -> int:
    return next((turn for turn, name in enumerate(LONG) if path.endswith(name)), len(LONG))


@pytest.fixture(scope="session")
def test_root() -> Path:
    """The root of a small company whose reports are built; nothing in it may be changed."""
    root = PROJECT / "build" / "test-root"
    root.mkdir(parents=True, exist_ok=True)
    with (root.parent / "test-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, current = root / "build" / "made-from", _hash_of_inputs()
        if not stamp.is_file() or stamp.read_text() != current:
            stamp.unlink(missing_ok=True)
            _build_small_company(root)
            stamp.write_text(current)
    return root


@pytest.fixture(scope="session")
def postgres() -> Generator[Any, None, None]:
    """A PostgreSQL server of this session's own; a test begins with an empty database."""
    from tests import postgres as server  # here, so that this file stands alone

    if server.programs() is None:
        pytest.skip(server.MISSING)
    with server.served() as running:
        yield running


def _hash_of_inputs() -> str:
    digest = hashlib.sha256(repr(SMALL_COMPANY).encode())
    for name in MADE_FROM:
        place = PROJECT / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(PROJECT)).encode() + path.read_bytes())
    return digest.hexdigest()


def _build_small_company(root: Path) -> None:
    shutil.rmtree(root / "reports", ignore_errors=True)  # a first publication, whatever was there
    yaml = YAML()
    params = yaml.load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in SMALL_COMPANY.items():
        if isinstance(value, dict):
            params[key].update(value)
        else:
            params[key] = value
    with (root / "params.yaml").open("w", encoding="utf-8") as text:
        yaml.dump(params, text)
    command = [sys.executable, "-m", "pipeline.cli", "--root", str(root), "run"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(
            f"the small company was not built:\n{done.stdout}\n{done.stderr}", pytrace=False
        )
