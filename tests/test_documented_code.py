"""Every block of code in the documents does what it says.

The subtle point: a document rots in silence. So each block names its language, each language has a
way to be tried, and a command that cannot be tried here stands in a list with its reason.
"""

import os
import re
import shutil
from pathlib import Path

import psycopg
import pytest

from tests import documented
from tests.documented import PROJECT, Block
from tests.ops import checkout
from tests.postgres import Server

BLOCKS = list(documented.every_block())
LANGUAGES = {"sh", "yaml", "sql", "json", "python", "text"}
BESIDE = ("docs", "examples", "tests", "environment.yml", *documented.TOP)
NOT_COPIED = ("__pycache__", ".*.building", "site", "docs")
SCHEMAS = ("billing", "crm")
"""Those that the example's own database has."""
NAMED_TEXT = {("README.md", "params.yaml"): "the rooms: each name leads to a file or folder"}
"""Blocks of text by page and first word, and what is compared."""


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


@pytest.fixture(scope="module")
def sandbox(test_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the small company with its reports, its documents and a .venv that is made."""
    place = tmp_path_factory.mktemp("documents") / "lodestar"
    shutil.copytree(
        test_root, place, ignore=shutil.ignore_patterns(*NOT_COPIED), copy_function=linked
    )
    checkout.lay_out(place)
    for name in BESIDE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copy(PROJECT / name, place / name)
    checkout.make_ready(place)
    write = checkout.write_program
    for name in ("pytest", "ruff"):
        write(place / ".venv" / "bin" / name, f'exec "{checkout.sys.executable}" -m {name} "$@"\n')
    return place


def linked(source: str, target: str) -> None:
    """A second name of the same file: nothing that runs here writes into one."""
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def variables(sandbox: Path) -> dict[str, str]:
    return {"LODESTAR_ROOT": str(sandbox), "PYTHONPATH": str(PROJECT), "HOME": str(sandbox.parent)}


def test_every_block_names_a_language_that_is_tried() -> None:
    assert len(BLOCKS) > 10
    assert {str(block): block.language for block in BLOCKS if block.language not in LANGUAGES} == {}


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_a_block_of_commands_runs(block: Block, sandbox: Path, variables: dict[str, str]) -> None:
    assert documented.wrong_in_shell(block, sandbox, variables) == []


@pytest.mark.parametrize("page", [page for page in documented.pages() if page != "CHANGELOG.md"])
def test_every_command_of_ours_in_a_sentence_is_one_the_command_line_reads(page: str) -> None:
    built = documented.pages()[page].partition("## Not built yet")[0]  # that has its own test
    named = documented.inline_commands(built)
    wrong = {words: said for words in named if (said := documented.wrong_in_words(words))}
    assert wrong == {}


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_block_of_settings_is_accepted_over_the_shipped_ones(block: Block) -> None:
    assert documented.wrong_in_yaml(block) == []


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_a_block_of_json_is_json(block: Block) -> None:
    assert documented.wrong_in_json(block) == []


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_a_block_of_python_runs(block: Block, sandbox: Path, variables: dict[str, str]) -> None:
    assert documented.wrong_in_python(block, sandbox, variables) == []


@pytest.mark.parametrize("block", of("sql"), ids=str)
def test_a_block_of_sql_is_obeyed_by_postgresql(block: Block, postgres: Server) -> None:
    assert wrong_in_sql(block, postgres) == []


def wrong_in_sql(block: Block, postgres: Server) -> list[str]:
    with postgres.database() as name, psycopg.connect(postgres.address(name)) as connection:
        try:
            for schema in SCHEMAS:
                connection.execute(f"CREATE SCHEMA {schema}".encode())
            connection.execute(block.text.encode())
        except psycopg.Error as error:
            return [f"{block}: {error}"]
        finally:
            connection.rollback()
    return []


@pytest.mark.parametrize("block", of("text"), ids=str)
def test_a_block_of_text_shows_what_is_there(block: Block) -> None:
    assert wrong_in_text(block) == []


def wrong_in_text(block: Block) -> list[str]:
    if (block.page, block.text.split()[0]) not in NAMED_TEXT:
        return [f"{block}: name in NAMED_TEXT what this shows, or give it the language it has"]
    lost, above = [], {-1: PROJECT}
    for line in block.text.splitlines():
        depth = len(line) - len(line.lstrip())
        folder = above[max(each for each in above if each < depth)]
        names = line.strip().split("  ")[0].split()
        lost += [f"{block}: {name} is not there" for name in names if not (folder / name).exists()]
        above = {each: place for each, place in above.items() if each < depth}
        above[depth] = folder / names[0]
    return lost


# A planted fault of each kind is found.

SHELL_FAULTS = {
    "no such verb": "make reprot",
    "no such command": ".venv/bin/lodestar rnu",
    "no such option": ".venv/bin/lodestar run --perod 2026-10",
    "a command nobody placed": "frobnicate --all",
    "an open quote": "echo 'x",
    "a file that is not there": "cp nowhere.yaml elsewhere.yaml",
    "a run that stops": ".venv/bin/lodestar --root nowhere status",
    "an example that is gone": "cp examples/none/params.yaml ../none/",
}


@pytest.mark.parametrize("command", SHELL_FAULTS.values(), ids=SHELL_FAULTS)
def test_a_broken_command_is_found(command: str, sandbox: Path, variables: dict[str, str]) -> None:
    assert documented.wrong_in_shell(planted("sh", command), sandbox, variables)


def test_a_broken_block_of_each_other_language_is_found(
    sandbox: Path, variables: dict[str, str]
) -> None:
    assert documented.wrong_in_yaml(planted("yaml", "grace_day: 30"))
    assert documented.wrong_in_yaml(planted("yaml", "source: {tables: ["))
    assert documented.wrong_in_json(planted("json", '{"a": 1,}'))
    assert documented.wrong_in_python(planted("python", "import nowhere"), sandbox, variables)
    assert wrong_in_text(planted("text", "reports/nowhere  pages"))
    assert [block.language for block in documented.blocks("page", "```\nx\n```\n")] == [""]
    with pytest.raises(ValueError, match="no end"):
        documented.blocks("page", "```sh\nmake report\n")


def test_a_broken_block_of_sql_is_found(postgres: Server) -> None:
    assert wrong_in_sql(planted("sql", "GRANT SELCT ON t TO x;"), postgres)


def planted(language: str, text: str) -> Block:
    return Block("planted.md", 1, language, f"{text}\n")


def test_a_command_that_is_not_run_has_a_reason_and_is_used_somewhere() -> None:
    every = [command for block in of("sh") for command in documented.commands(block)]
    prose = " ".join(documented.pages().values())
    for pattern, reason in documented.NOT_RUN.items():
        assert len(reason.split()) > 5
        used = [line for line in every if re.fullmatch(pattern, line)]
        assert used or re.search(pattern, prose), f"{pattern}: no document has it any more"
    for file in re.findall(r"tests/[\w/]+\.py", " ".join(documented.NOT_RUN.values())):
        assert (PROJECT / file).is_file(), file
