"""What is looked at before a run, what stops it, and with which exit code."""

import datetime as dt
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.reporting import publish
from pipeline.reporting.execution import kernel
from pipeline.run import cache, doctor, manifest, recovery
from pipeline.run.finding import Finding
from pipeline.settings import Paths, Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return Paths(tmp_path, "sample")


@pytest.fixture
def settings(paths: Paths) -> Settings:
    return configuration.load(paths.root)


def of(name: str, findings: list[Finding]) -> Finding:
    (found,) = [each for each in findings if each.name == name]
    return found


def cached(content: bytes, paths: Paths, suffix: str = "") -> Path:
    """An object of the cache that is what its name says."""
    name = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = paths.root / ".dvc" / "cache" / "files" / "md5" / name[:2] / f"{name[2:]}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_sound_place_stops_nothing(paths: Paths, settings: Settings) -> None:
    findings = doctor.examine(paths, settings)
    assert doctor.fatal(findings) == []
    assert of("kernel", findings).ok
    assert of("environment", findings).ok
    assert all(finding.message for finding in findings)


def test_a_missing_kernel_stops_a_run_and_names_the_command(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise kernel.MissingKernelError("No kernel is installed. Make it again: make report")

    monkeypatch.setattr(kernel, "kernel_name", missing)
    (found,) = doctor.fatal(doctor.examine(paths, settings))
    assert (found.name, found.code) == ("kernel", 78)
    assert found.message.endswith("make report")


@pytest.mark.parametrize(("package", "is_fatal"), [("pandas", True), ("rich", False)])
def test_a_package_out_of_step_with_the_lock_stops_a_run_when_numbers_hang_on_it(
    paths: Paths, settings: Settings, package: str, is_fatal: bool
) -> None:
    listing = paths.root / "requirements.lock"
    text = listing.read_text()
    (line,) = [line for line in text.splitlines() if line.startswith(f"{package}==")]
    listing.write_text(text.replace(line, f"{package}==0.0.1 \\"))
    found = of("environment", doctor.examine(paths, settings))
    assert (found.ok, found.is_fatal, found.code) == (False, is_fatal, 78)
    assert f"not as in requirements.lock: 1 package, {package} " in found.message


def test_too_little_free_disk_is_74(paths: Paths, settings: Settings) -> None:
    greedy = settings.run.model_copy(update={"free_disk_mb": 10**9})
    wanting = settings.model_copy(update={"run": greedy})
    (found,) = doctor.fatal(doctor.examine(paths, wanting))
    assert (found.name, found.code) == ("disk", 74)
    assert "1,000,000,000" in found.message


def test_a_folder_that_cannot_be_written_is_73(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.reports.mkdir()
    monkeypatch.setattr(os, "access", lambda place, _: Path(place) != paths.reports)
    (found,) = doctor.fatal(doctor.examine(paths, settings))
    assert (found.message, found.code) == ("reports cannot be written", 73)


CONFLICT = "schema: '2.0'\n<<<<<<< HEAD\nstages: {}\n=======\nstages: []\n>>>>>>> theirs\n"


@pytest.mark.parametrize("text", [CONFLICT, "stages:\n  half: way"])
def test_a_lock_of_dvc_with_a_conflict_or_cut_off_stops_a_run_and_says_what_to_do(
    paths: Paths, settings: Settings, text: str
) -> None:
    (paths.root / "dvc.lock").write_text(text)
    (found,) = doctor.fatal(doctor.examine(paths, settings))
    assert (found.name, found.code) == ("dvc.lock", 78)
    assert "git checkout" in found.fix


def test_a_run_that_was_killed_is_named_and_harmless(paths: Paths, settings: Settings) -> None:
    script = "import os, sys; from pathlib import Path; from pipeline.lock import locked\n"
    script += "with locked(Path(sys.argv[1])): os._exit(9)"
    subprocess.run([sys.executable, "-c", script, str(paths.root)], check=False)
    found = of("lock", doctor.examine(paths, settings))
    assert (found.ok, found.is_fatal) == (False, False)
    assert "a run was killed" in found.message


def test_a_folder_on_a_network_is_said(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_file_system", lambda _: "nfs4")
    found = of("lock", doctor.examine(paths, settings))
    assert (found.ok, found.is_fatal) == (False, False)
    assert "lies on nfs4" in found.message


def test_the_file_system_of_a_folder_is_known(tmp_path: Path) -> None:
    assert doctor._file_system(Path("/proc/self")) == "proc"


def test_a_clock_before_the_newest_report_is_said_and_stops_nothing(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
    report = {"provenance": {"built_at": later}}
    monkeypatch.setattr(publish, "all_reports", lambda _: [report])
    found = of("clock", doctor.examine(paths, settings))
    assert (found.ok, found.is_fatal) == (False, False)


def test_names_that_are_not_secret_are_said_of_a_real_company(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LODESTAR_PSEUDONYM_KEY", raising=False)
    real = Paths(paths.root, "acme")
    assert not of("pseudonyms", doctor.examine(real, settings)).ok
    monkeypatch.setenv("LODESTAR_PSEUDONYM_KEY", "long and random")
    assert of("pseudonyms", doctor.examine(real, settings)).ok


def test_a_damaged_object_of_the_cache_is_found_and_set_aside(
    paths: Paths, settings: Settings
) -> None:
    sound = [cached(b"sound", paths), cached(b"[]", paths, ".dir")]
    bad = cached(b"as it was", paths)
    assert of("cache", doctor.examine(paths, settings)).ok
    bad.write_bytes(b"not as it was")
    found = of("cache", doctor.examine(paths, settings))
    assert (found.ok, found.is_fatal) == (False, False)
    assert "1 damaged object in" in found.message
    said = recovery.recover(paths)
    assert [line for line in said if "damaged" in line] == [
        f"build/damaged/{bad.parent.name}{bad.name}: a damaged object of the cache was set aside."
    ]
    assert not bad.exists()
    assert [path.exists() for path in sound] == [True, True]
    assert of("cache", doctor.examine(paths, settings)).ok


def test_a_sound_object_is_read_once_and_by_the_doctor_every_time(
    paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cached(b"content", paths)
    doctor.examine(paths, settings)
    facts = place.stat()
    place.write_bytes(b"CONTENT")
    os.utime(place, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert cache.damaged(paths) == []
    assert cache.damaged(paths, is_thorough=True) == [place]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_list_of_sound_objects_stops_nothing_and_is_made_anew(
    paths: Paths, settings: Settings, text: str
) -> None:
    cached(b"content", paths)
    (paths.build / cache.VERIFIED).parent.mkdir(parents=True, exist_ok=True)
    (paths.build / cache.VERIFIED).write_text(text)
    assert of("cache", doctor.examine(paths, settings)).ok
    assert len(store.read_json(paths.build / cache.VERIFIED)) == 1


def test_findings_read_as_lines_with_what_to_do() -> None:
    findings = [
        Finding("kernel", True, True, "installed"),
        Finding("clock", False, False, "late", "Set it."),
        Finding("disk", False, True, "full", "Free some.", 74),
    ]
    assert list(doctor.lines(findings)) == [
        "ok    kernel: installed",
        "warn  clock: late", "      Set it.",
        "STOP  disk: full", "      Free some.",
    ]  # fmt: skip
    assert [each.name for each in doctor.fatal(findings)] == ["disk"]


def test_after_a_killed_run_dvc_forgets_its_locks_once_none_of_this_run_works(paths: Paths) -> None:
    locks = paths.root / ".dvc" / "tmp" / "rwlock"
    store.write_text("{}", locks)
    seen: list[bool] = []
    recovery.recover(paths, let_dvc_end=lambda: seen.append(locks.exists()))
    assert (seen, locks.exists()) == ([], True)
    manifest.begin(paths, ["lodestar"])
    recovery.recover(paths, let_dvc_end=lambda: seen.append(locks.exists()))
    assert (seen, locks.exists()) == ([True], False)


def test_what_a_killed_run_left_is_put_in_order_and_reports_stay(paths: Paths) -> None:
    kept = paths.reports / "2026-09" / "index.html"
    for path in (
        kept,
        paths.reports / "2026-10.building" / "half.html",
        paths.reports / ".2026-10.old" / "report.html",
        paths.reports / ".2026-09.old" / "older.html",
        paths.processed / "survival" / ".2026-10.building" / "half.csv",
        paths.processed / "survival" / ".2026-08.old" / "whole.csv",
        paths.processed / "snapshot" / "2026-10" / ".spells.parquet.x.part",
        paths.build / "log" / ".failure.json.x.part",
    ):
        store.write_text("text", path)
    said = recovery.recover(paths)
    found = {path.relative_to(paths.root).as_posix() for path in paths.root.rglob("*.*")}
    left = {name for name in found if name.startswith(("reports", "data"))}
    assert left == {
        "reports/2026-09/index.html", "reports/2026-10/report.html",
        "data/processed/survival/2026-08/whole.csv",
    }  # fmt: skip
    assert "reports/2026-10: the last one came back after a crash." in said
    assert recovery.recover(paths) == []
