"""The set-up: when the environment counts as made, and that the verbs are safe to call."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest

ROOT = Path(__file__).parents[1]
SCRIPTS = ("check", "exit-meaning", "hooks", "run", "set-up")


def test_the_scripts_that_a_person_may_call_are_executable() -> None:
    assert [name for name in SCRIPTS if not os.access(ROOT / ".ci" / name, os.X_OK)] == []


# The verbs, in a folder with a space and Japanese characters, and a lodestar that only records.

FAKE_LODESTAR = """#!/bin/sh
printf '%s\\n' "$#" "$@" > called
exit "${FAKE_CODE:-0}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "a folder 日本"
    shutil.copytree(ROOT / ".ci", place / ".ci")
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, place / name)
    return place


@pytest.fixture
def ready_folder(folder: Path) -> Path:
    """A folder whose .venv counts as made."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "lodestar").write_text(FAKE_LODESTAR)
    (programs / "lodestar").chmod(0o755)
    (folder / ".venv" / ".ready").write_text(recipe(folder))
    return folder


def recipe(folder: Path) -> str:
    """What the set-up itself would write into the stamp of this folder."""
    script = (folder / ".ci" / "set-up").read_text()
    function = re.search(r"^recipe\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    assert function
    done = run(["sh", "-c", f"{function[0]}\nrecipe"], folder)
    return done.stdout


def run(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command there, with nothing of an outer make in the environment."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAG"))}
    outer = ("PERIOD", "PYTHON", "PYTHON_WAS_CHOSEN")
    environment = {key: value for key, value in own.items() if key not in outer} | variables
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def arguments_of_lodestar(folder: Path) -> list[str]:
    return (folder / "called").read_text().splitlines()[1:]


def test_make_report_runs_lodestar_without_a_period(ready_folder: Path) -> None:
    done = run(["make", "report"], ready_folder)
    assert done.returncode == 0, done.stderr
    assert arguments_of_lodestar(ready_folder) == ["run"]


@pytest.mark.parametrize(
    "period",
    [
        "2026-10",
        "2026-10; touch harm",
        "$(touch harm)",
        "$(shell touch harm)",
        "`touch harm`",
        '" ; touch harm ; "',
        "--force",
    ],
)
def test_a_period_reaches_lodestar_as_one_word_and_runs_nothing(
    ready_folder: Path, period: str
) -> None:
    done = run(["make", "report", f"PERIOD={period}"], ready_folder)
    assert done.returncode == 0, done.stderr
    assert arguments_of_lodestar(ready_folder) == ["run", f"--period={period}"]
    assert not (ready_folder / "harm").exists()


@pytest.mark.parametrize("rows", ["cox R", "$(shell touch harm)", "`touch harm`", "--help"])
def test_the_names_of_rows_reach_the_bench_as_words_and_run_nothing(
    ready_folder: Path, rows: str
) -> None:
    bench = ready_folder / "tests" / "bench"
    bench.mkdir(parents=True)
    (bench / "__main__.py").write_text("import sys\nopen('called', 'w').write(repr(sys.argv[1:]))")
    done = run(["make", "bench", f"ROWS={rows}", "QUICK=1"], ready_folder)
    assert done.returncode == 0, done.stderr
    assert (ready_folder / "called").read_text() == repr(["--quick", "--", rows])
    assert not (ready_folder / "harm").exists()


def test_make_report_says_what_the_exit_code_means(ready_folder: Path) -> None:
    done = run(["make", "report"], ready_folder, FAKE_CODE="75")
    assert done.returncode == 2
    assert "exit code 75: not now" in done.stderr


def test_a_second_call_sets_nothing_up(ready_folder: Path) -> None:
    done = run(["make", "report"], ready_folder)
    assert "set-up" not in done.stderr


def test_make_alone_lists_every_verb(folder: Path) -> None:
    text = run(["make"], folder).stdout
    verbs = ("help", "report", "test", "lab", "check", "fix", "hooks", "bench", "verify", "clean")
    assert [verb for verb in verbs if f"make {verb} " not in text] == []


def test_make_clean_keeps_the_raw_data_and_the_environment(ready_folder: Path) -> None:
    made = ["build/x", "data/raw/sample/a.csv", "data/processed/usage/x", "reports/2026-10/x"]
    kept = ["data/raw/acme/a.csv", "data/raw/README.md", "data/processed/README.md"]
    for name in [*made, *kept, "reports/README.md"]:
        (ready_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (ready_folder / name).write_text("x")
    assert run(["make", "clean"], ready_folder).returncode == 0
    assert [name for name in made if (ready_folder / name).exists()] == []
    assert [name for name in kept if not (ready_folder / name).exists()] == []
    assert (ready_folder / ".venv" / ".ready").exists()


# When the environment counts as stale.


def is_stale(folder: Path) -> bool:
    return run(["sh", ".ci/set-up", "--stale"], folder).stdout == "stale\n"


def test_an_environment_made_from_this_lock_in_this_folder_is_ready(ready_folder: Path) -> None:
    assert not is_stale(ready_folder)


def test_an_environment_without_its_stamp_is_stale(ready_folder: Path) -> None:
    (ready_folder / ".venv" / ".ready").unlink()
    assert is_stale(ready_folder)


def test_an_environment_of_another_lock_is_stale(ready_folder: Path) -> None:
    (ready_folder / "requirements.lock").write_text("other==1\n")
    assert is_stale(ready_folder)


def test_a_moved_environment_is_stale(ready_folder: Path) -> None:
    moved = ready_folder.rename(ready_folder.with_name("moved"))
    assert is_stale(moved)


def test_an_environment_whose_python_is_gone_is_stale(ready_folder: Path) -> None:
    python = ready_folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(ready_folder / "gone")
    assert is_stale(ready_folder)


def test_a_changed_linter_setting_does_not_make_the_environment_stale(ready_folder: Path) -> None:
    with (ready_folder / "pyproject.toml").open("a") as project:
        project.write("\n[tool.something]\n")
    assert not is_stale(ready_folder)
    assert run(["make", "report"], ready_folder).returncode == 0


def test_a_python_chosen_on_the_command_line_replaces_another(ready_folder: Path) -> None:
    other = fake_python(ready_folder, "3.99")
    chosen = {"PYTHON": str(other), "PYTHON_WAS_CHOSEN": "command line"}
    done = run(["sh", ".ci/set-up", "--stale"], ready_folder, **chosen)
    assert done.stdout == "stale\n"


# What the set-up refuses.


def fake_python(folder: Path, version: str) -> Path:
    """A python that knows its version and fails at everything else."""
    python = folder / "fake python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo {version} && exit 0\nexit 1\n')
    python.chmod(0o755)
    return python


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.14"])
def test_another_python_is_refused_before_anything_is_touched(
    ready_folder: Path, version: str
) -> None:
    python = fake_python(ready_folder, version)
    done = run(["make", "report", f"PYTHON={python}"], ready_folder)
    assert done.returncode == 2
    assert f"is Python {version}, and Lodestar needs 3.11, 3.12 or 3.13" in done.stderr
    assert (ready_folder / ".venv" / ".ready").exists()


def test_a_missing_python_is_refused_in_words(folder: Path) -> None:
    done = run(["make", "report", "PYTHON=no-such-python"], folder)
    assert "'no-such-python' does not start" in done.stderr


def test_a_set_up_that_fails_half_way_leaves_no_stamp(ready_folder: Path) -> None:
    (ready_folder / "requirements.lock").write_text("other==1\n")
    python = fake_python(ready_folder, "3.11")
    done = run(["make", "report", f"PYTHON={python}"], ready_folder)
    assert done.returncode == 2
    assert "could not make .venv" in done.stderr
    assert not (ready_folder / ".venv" / ".ready").exists()
    assert not (ready_folder / "called").exists()


# The kernel.


def test_our_kernel_starts_the_python_that_runs_the_tests() -> None:
    from jupyter_client.kernelspec import KernelSpecManager

    kernel = KernelSpecManager().get_kernel_spec("lodestar")
    assert kernel.display_name == "Lodestar"
    assert Path(kernel.argv[0]).samefile(sys.executable)


# Skips.

SKIPPING_TESTS = """import pytest
def test_a(): pytest.skip("no Chromium here")
@pytest.mark.skip(reason="no spark here")
def test_b(): pass
@pytest.mark.skipif(True, reason="Rscript is not installed")
def test_c(): pass
"""


def outcome_of_skipping_tests(folder: Path, required: str) -> tuple[int, int]:
    """Run them in a fresh pytest; return how many skipped and how many did not pass for it."""
    shutil.copy2(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_skips.py").write_text(SKIPPING_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = run(command, folder, LODESTAR_REQUIRE=required)
    counts = re.findall(r"(\d+) (skipped|failed|error)", done.stdout)
    skipped = sum(int(number) for number, word in counts if word == "skipped")
    return skipped, sum(int(number) for number, _ in counts) - skipped


def test_a_missing_tool_may_be_skipped_where_nothing_is_required(tmp_path: Path) -> None:
    assert outcome_of_skipping_tests(tmp_path, "") == (3, 0)


def test_a_required_tool_turns_its_skips_into_failures(tmp_path: Path) -> None:
    assert outcome_of_skipping_tests(tmp_path, "chromium Rscript shared") == (1, 2)


def test_a_required_tool_fails_a_whole_module_that_skips(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "tests" / "conftest.py", tmp_path)
    module = 'import pytest\npytest.skip("no chromium", allow_module_level=True)\n'
    (tmp_path / "test_skips.py").write_text(module)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    assert run(command, tmp_path, LODESTAR_REQUIRE="chromium").returncode == 2


def test_the_files_of_tests_that_come_first_are_there() -> None:
    assert [name for name in conftest.LONG if not (ROOT / "tests" / name).is_file()] == []
