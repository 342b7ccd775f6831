"""The set-up: lock, environment and package agree; the verbs are safe to call."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
CONDA = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def direct_requirements() -> list[Requirement]:
    texts = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    return [Requirement(text) for text in texts]


def locked_versions() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for match in LOCKED.finditer(LOCK):
        versions.setdefault(canonicalize_name(match["name"]), []).append(match["version"])
    return versions


# Lock and environment.


@pytest.mark.parametrize("requirement", direct_requirements(), ids=lambda each: each.name)
def test_the_lock_holds_every_direct_dependency_at_an_allowed_version(
    requirement: Requirement,
) -> None:
    versions = locked_versions().get(canonicalize_name(requirement.name), [])
    assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
    assert [each for each in versions if each not in requirement.specifier] == []


def test_the_lock_names_no_address() -> None:
    address = re.compile(r"https?:|file:|git\+|@ |--(extra-)?index|--find-links|--trusted-host")
    assert [line for line in LOCK.splitlines() if address.search(line)] == []


def test_every_locked_package_has_a_hash() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(LOCKED.findall(LOCK))
    assert [each.split()[0] for each in blocks if "--hash=sha256:" not in each] == []


def test_conda_users_get_the_same_lock() -> None:
    lists = [each["pip"] for each in CONDA["dependencies"] if isinstance(each, dict)]
    assert lists == [["-r requirements.lock"]]


def test_conda_users_get_a_python_that_the_package_allows() -> None:
    wanted = [each for each in CONDA["dependencies"] if str(each).startswith("python=")]
    version = wanted[0].removeprefix("python=")
    assert version in SpecifierSet(PROJECT["project"]["requires-python"])


def test_the_scripts_of_the_set_up_are_executable() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


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


def test_make_report_says_what_the_exit_code_means(ready_folder: Path) -> None:
    done = run(["make", "report"], ready_folder, FAKE_CODE="75")
    assert done.returncode == 2
    assert "exit code 75: not now" in done.stderr


def test_a_second_call_sets_nothing_up(ready_folder: Path) -> None:
    done = run(["make", "report"], ready_folder)
    assert "set-up" not in done.stderr


def test_make_alone_lists_every_verb(folder: Path) -> None:
    text = run(["make"], folder).stdout
    verbs = ("help", "report", "test", "lab", "check", "fix", "bench", "verify", "clean")
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


# Cleaning notebooks.


@pytest.fixture
def cleaned(tmp_path: Path) -> nbformat.NotebookNode:
    """A notebook that was run, after `make fix`: parameters, a table, a checked cell."""
    new = nbformat.v4
    output = new.new_output("execute_result", {"text/plain": "0.1"}, execution_count=7)
    printed = new.new_output("stream", name="stdout", text="0.1\n")
    cells = [
        new.new_markdown_cell("# Why?"),
        new.new_code_cell("period = None", metadata={"tags": ["parameters"], "papermill": {}}),
        new.new_code_cell("table", outputs=[output], execution_count=3),
        new.new_code_cell(
            "rate",
            outputs=[printed, output],
            execution_count=7,
            metadata={"tags": ["keep_output"]},
            id="checked",
        ),
    ]
    path = tmp_path / "00_x.ipynb"
    nbformat.write(new.new_notebook(cells=cells), path)
    command = [sys.executable, ".ci/clean_notebooks.py", str(tmp_path)]
    assert run(command, ROOT).stdout.startswith("cleaned")
    assert run(command, ROOT).stdout == "", "cleaning twice must change nothing"
    return nbformat.read(path, as_version=4)


def test_a_cleaned_notebook_keeps_only_its_checked_output(cleaned: nbformat.NotebookNode) -> None:
    outputs = [cell.outputs for cell in cleaned.cells if cell.cell_type == "code"]
    assert [len(each) for each in outputs] == [0, 0, 1]
    assert outputs[2][0].text == "0.1\n"
    assert cleaned.cells[3].execution_count == 1, "nbval compares only a cell that was counted"
    assert cleaned.cells[3].id == "checked"


def test_a_cleaned_notebook_keeps_its_tags_and_names_our_kernel(
    cleaned: nbformat.NotebookNode,
) -> None:
    assert cleaned.cells[1].metadata == {"tags": ["parameters"]}
    assert cleaned.metadata.kernelspec.name == "lodestar"


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
