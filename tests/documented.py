"""The blocks of code in the documents, and how each one is tried.

A command that is ours is run in a sandbox, or read by the very parser that would run it when it
takes minutes. What can only be parsed stands in NOT_RUN, each with its reason.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import typer
from ruamel.yaml.error import YAMLError
from typer.testing import CliRunner

from pipeline import cli, settings

PROJECT = Path(__file__).parents[1]
TOP = ("README.md", "GLOSSARY.md", "CONTRIBUTING.md", "CHANGELOG.md")
ROOMS = ("docs", "examples", "ops", "notebooks")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)[^`]*$")
INLINE = re.compile(r"`(?:\.venv/bin/)?lodestar ([a-z-]+(?: [^`]*)?)`")
PLACEHOLDER = re.compile(r"<[a-z][^>]*>")
SECONDS = 280

NOT_RUN = {
    r"git (clone|pull|push|worktree|add|commit|checkout|status|log|diff)\b.*": (
        "needs a repository with a remote; tests/ops/test_remote.py and test_keep.py have one"
    ),
    r"cd (lodestar|\.\./lodestar-2025-10)": (
        "the checkout that the line before makes; the sandbox stands in its place"
    ),
    r"\.venv/bin/dvc (remote|add|pull|push)\b.*": (
        "needs a DVC remote; tests/ops/test_remote.py runs these lines"
    ),
    r"sh ops/keep": "needs a remote of git and of DVC; tests/ops/test_keep.py runs it",
    r"sudo .*": (
        "changes the services of the machine; tests/ops/test_schedules.py reads the units"
    ),
    r"cp <where you have (it|them)>/.*": "an export of others, which nobody may pass on",
    r"conda .*": "conda is not here; tests/test_setup.py holds environment.yml to the lock",
}
"""Commands that are only parsed, each with the reason."""
AS_THEY_STAND = (
    r"(mkdir|cp|cd|export) .*",
    r"\.venv/bin/lodestar( --root \S+)? (doctor|check|status|run --dry-run)",
    r"\.venv/bin/lodestar( --root \S+)? (explain|verify-report|who) .*",
    r"\.venv/bin/(ruff|lint-imports)\b.*",
)
INSTEAD = {
    r"make (.*)": r"make --dry-run \1",
    r"(\.venv/bin/lodestar --root \S+) run": r"\1 status",
    r"(\.venv/bin/pytest .*)": r"\1 --collect-only --quiet",
    r"(\.venv/bin/python -m pipeline\.data\.dictionary)": r"\1",
}
"""What takes minutes, and what is run in its place: the same words read, nothing built."""
ONLY_READ = r"(?:\.venv/bin/)?lodestar (.*)"
"""Other commands of ours: their words are read by the command line itself."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a document: where it begins, its language, its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> dict[str, str]:
    """Every document by its name: Markdown files, and the prose of the tutorial."""
    found = [PROJECT / name for name in TOP]
    found += [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.md"))]
    texts = {path.relative_to(PROJECT).as_posix(): path.read_text("utf-8") for path in found}
    for path in sorted((PROJECT / "docs").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
        texts[path.relative_to(PROJECT).as_posix()] = "\n\n".join(prose)
    return texts


def blocks(page: str, text: str) -> list[Block]:
    """The fenced blocks of a document, also those inside a list."""
    found: list[Block] = []
    opened: re.Match[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        fence = FENCE.match(line)
        if opened is None and fence:
            opened, first, kept = fence, number, []
        elif opened is not None and line.strip() == "```":
            content = textwrap.dedent("\n".join(kept)) + "\n"
            found.append(Block(page, first, opened["language"], content))
            opened = None
        elif opened is not None:
            kept.append(line)
    if opened is not None:
        raise ValueError(f"{page}:{first}: the block has no end")
    return found


def commands(block: Block) -> list[str]:
    """The commands of a block of shell, without comments."""
    joined = block.text.replace("\\\n", " ")
    lines = [re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.splitlines()]
    return [line for line in lines if line]


def inline_commands(text: str) -> list[str]:
    """The words after `lodestar` of every command that a sentence names; a bare name asks help."""
    return [words if " " in words else f"{words} --help" for words in INLINE.findall(text)]


# How each language is tried. Every function gives what is wrong, one line each.


def wrong_in_shell(block: Block, place: Path, variables: dict[str, str]) -> list[str]:
    """Parse the block as sh does, read each command, run what can be run in the sandbox."""
    parsed = _sh(PLACEHOLDER.sub("x", block.text), place, variables, "-n")
    if parsed.returncode:
        return [f"{block}: sh cannot read it: {parsed.stderr.strip()}"]
    found, script = [], []
    for command in commands(block):
        wrong, line = _tried(command)
        found += [f"{block}: {command!r}: {each}" for each in wrong]
        script += [line] if line and not wrong else []
    if found or not script:
        return found
    done = _sh("set -e\n" + "\n".join(script), place, variables)
    said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return [f"{block} ended with {done.returncode}:\n{said}"] if done.returncode else []


def _tried(command: str) -> tuple[list[str], str]:
    """What is wrong with a command, and the line that is run for it; empty: none is."""
    if any(re.fullmatch(pattern, command) for pattern in NOT_RUN):
        return [], ""
    if ours := re.fullmatch(r"(?:\.venv/bin/)?lodestar (.*)", command):
        wrong = wrong_in_words(ours[1])
        if wrong:
            return wrong, ""
    if any(re.fullmatch(pattern, command) for pattern in AS_THEY_STAND):
        return [], command
    for pattern, instead in INSTEAD.items():
        if re.fullmatch(pattern, command):
            return [], re.sub(pattern, instead, command)
    if re.fullmatch(ONLY_READ, command):
        return [], ""
    return ["nobody said how this is tried; give it a place in tests/documented.py"], ""


def wrong_in_words(words: str) -> list[str]:
    """Let the command line read the words after `lodestar`, without running anything."""
    given = shlex.split(PLACEHOLDER.sub("x", words).replace("…", "x"))
    done = CliRunner().invoke(_inert_program(), given)
    return [done.output.strip()] if done.exit_code else []


@functools.cache
def _inert_program() -> typer.Typer:
    """The command line with all its words, and nothing behind them."""
    program = typer.Typer()
    top = cli.app.registered_callback
    if top and top.callback:
        program.callback()(_inert(top.callback))
    for command in cli.app.registered_commands:
        if command.callback:
            program.command(command.name)(_inert(command.callback))
    return program


def _inert(callback: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(callback)
    def nothing(*_: Any, **__: Any) -> None:
        return None

    return nothing


def wrong_in_yaml(block: Block) -> list[str]:
    """Lay the block over the shipped params.yaml; settings must accept the whole."""
    read = settings.YAML(typ="safe", pure=True).load
    shipped = read((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    try:
        settings.parse(_laid_over(shipped, read(block.text)))
    except (settings.ConfigurationError, YAMLError) as error:
        return [f"{block}: {error}"]
    return []


def wrong_in_json(block: Block) -> list[str]:
    """The block must be JSON."""
    try:
        json.loads(block.text)
    except json.JSONDecodeError as error:
        return [f"{block}: {error}"]
    return []


def wrong_in_python(block: Block, place: Path, variables: dict[str, str]) -> list[str]:
    """Run the block by itself in the sandbox."""
    done = subprocess.run(
        [str(place / ".venv" / "bin" / "python"), "-W", "error", "-c", block.text],
        cwd=place, env=os.environ | variables, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    return [f"{block} failed:\n{done.stderr[-2000:]}"] if done.returncode else []


def _laid_over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def _sh(
    script: str, place: Path, variables: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", *options], input=script, cwd=place, env=os.environ | variables,
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip


def every_block() -> Iterator[Block]:
    """All blocks of all documents."""
    for page, text in pages().items():
        yield from blocks(page, text)
