"""A checkout of the project for tests: what git would hold, and a .venv that counts as made."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
OF_THE_PROJECT = (
    ".ci", "ops", ".gitignore", ".dvcignore", ".dvc/.gitignore", ".dvc/config", "Makefile",
    "pyproject.toml", "requirements.lock",
)  # fmt: skip
CALLS = {"python": "", "lodestar": " -m pipeline.cli", "dvc": " -m dvc"}
BARE = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "lodestar"}
"""What cron gives a command, but for HOME."""
SECONDS = 600


def lay_out(place: Path) -> None:
    """Copy the verbs and scripts of the project into a folder."""
    (place / ".dvc").mkdir(parents=True, exist_ok=True)
    for name in OF_THE_PROJECT:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copy(PROJECT / name, place / name)


def make_ready(place: Path) -> None:
    """A .venv that the set-up takes for its own; its programs are those of the tests."""
    programs = place / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in CALLS.items():
        write_program(programs / name, f'exec "{sys.executable}"{words} "$@"\n')
    script = (place / ".ci" / "set-up").read_text(encoding="utf-8")
    function = re.search(r"^recipe\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    assert function
    recipe = run(["sh", "-c", f"{function[0]}\nrecipe"], place)
    (place / ".venv" / ".ready").write_text(recipe, encoding="utf-8")


def write_program(path: Path, lines: str) -> None:
    """A shell script that can be called."""
    path.write_text(f"#!/bin/sh\n{lines}", encoding="utf-8")
    path.chmod(0o755)


def environment(place: Path, **variables: str) -> dict[str, str]:
    """What cron gives a command: hardly anything."""
    return BARE | {"HOME": str(place.parent)} | variables


def call(
    command: list[str] | str, place: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command there with cron's environment; a text is read by sh, as cron does it."""
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    return subprocess.run(
        words, cwd=place, env=environment(place, **variables), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, check=False,
    )  # fmt: skip


def run(command: list[str] | str, place: Path, **variables: str) -> str:
    """The same for a command that must succeed; what it printed."""
    done = call(command, place, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def begin_git(place: Path, *left_out: str) -> None:
    """A repository with one commit of all that git may hold, without some files."""
    run("git init --quiet --initial-branch=main", place)
    run("git config user.name tests && git config user.email tests@example.org", place)
    run("git config commit.gpgsign false", place)
    run("git add --all", place)
    for name in left_out:
        run(["git", "reset", "--quiet", "--", name], place)
    commit(place, "Begin")


def commit(place: Path, message: str) -> str:
    """Commit what is staged or changed; the commit's name."""
    run(["git", "commit", "--quiet", "--all", "--allow-empty", "-m", message], place)
    return head(place)


def head(place: Path) -> str:
    """The commit that stands there."""
    return run("git rev-parse HEAD", place).strip()


def tags(place: Path) -> list[str]:
    """Names of the tags, sorted."""
    return run("git tag --list", place).split()
