"""Two builds of the same inputs: the same bytes, but for the fields that report.json declares.

`tests/faults/test_machine.py` crosses locales, time zones and hash seeds on a tiny company. Here
the small company is built a second time, whole, in another folder and on the other side of the date
line, and is compared file by file.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.reporting.records import record
from tests.reporting.test_publish import NOW, OCTOBER, Month, publish

PROJECT = Path(__file__).parents[2]
BUILD_SECONDS = 1800
ELSEWHERE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "ja_JP.UTF-8",
    "LANG": "de_DE.UTF-8",
    "PYTHONHASHSEED": "4242",
}
"""A zone 14 hours ahead, a locale that may not be installed, another order of sets."""
BUILT_ANEW = ("reports/*/**/*", "data/processed/**/*")


def without_build_fields(content: bytes) -> dict[str, Any]:
    """A record without what it declares to differ from build to build."""
    report = dict(json.loads(content))
    for name in report["provenance"]["build_fields"]:
        where = report["provenance"] if name.startswith("provenance.") else report
        where.pop(name.rpartition(".")[2], None)
    return report


def built(root: Path) -> dict[str, Any]:
    """Every file of the reports and of what they were made from; records without build fields."""
    found: dict[str, Any] = {}
    for path in sorted(path for pattern in BUILT_ANEW for path in root.glob(pattern)):
        if path.is_file() and path.name != ".gitignore":
            name, content = path.relative_to(root).as_posix(), path.read_bytes()
            is_record = path.name == record.FILE_NAME
            found[name] = without_build_fields(content) if is_record else content
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


@pytest.fixture
def month(tmp_path: Path) -> Callable[[str], Month]:
    """A published month in a folder of this name."""

    def published(name: str) -> Month:
        made = Month(tmp_path / name, OCTOBER)
        made.publish()
        return made

    return published


def test_every_declared_field_is_in_the_record_or_in_a_table(month: Callable[[str], Month]) -> None:
    made = month("one")
    declared = made.report["provenance"]["build_fields"]
    for name in declared:
        file, is_column, column = name.partition(":")
        if is_column:
            assert column in (made.place / file).read_text(encoding="utf-8").splitlines()[0]
        else:
            part, is_inner, inner = name.partition(".")
            assert (inner or part) in (made.report[part] if is_inner else made.report), name


def test_two_folders_two_days_and_two_durations_make_the_same_files(
    month: Callable[[str], Month], tmp_path: Path
) -> None:
    month("one")
    other = Month(tmp_path / "the other 二", OCTOBER)
    publish.publish(OCTOBER, other.settings, other.paths, now=NOW.replace(day=9), began=-1000.0)
    found = differing(built(tmp_path / "one"), built(tmp_path / "the other 二"))
    assert [name for name in found if name.startswith("reports/")] == []


def test_a_field_that_is_not_declared_may_not_differ(month: Callable[[str], Month]) -> None:
    root = month("one").paths.root
    before = built(root)
    path = root / "reports" / "2026-10" / "report.json"
    for name, is_declared in (("built_at", True), ("command", False)):
        report = json.loads(path.read_text(encoding="utf-8"))
        report["provenance"][name] = "another"
        path.write_text(json.dumps(report), encoding="utf-8")
        found = differing(before, built(root))
        assert found == ([] if is_declared else ["reports/2026-10/report.json"])


@pytest.mark.slow
@pytest.mark.timeout(BUILD_SECONDS)
def test_the_small_company_built_again_on_another_machine_has_the_same_bytes(
    test_root: Path, tmp_path: Path
) -> None:
    again = tmp_path / "noch einmal もう一度"
    again.mkdir()
    shutil.copy(test_root / "params.yaml", again)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--root", str(again), "run"],
        cwd=PROJECT, env=os.environ | ELSEWHERE, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    one, other = built(test_root), built(again)
    assert sum(name.endswith(".html") for name in one) > 10
    assert differing(one, other) == []
