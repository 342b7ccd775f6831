"""The documents: what they name is there, what must be named is named, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from pipeline import cli, exits, settings
from pipeline.data.schema import RAW
from pipeline.data.schema.published import HEADLINES, STATES, TABLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
TOP = ("README.md", "GLOSSARY.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = sorted(
    [ROOT / name for name in TOP]
    + [
        path
        for room in ("docs", "examples", "notebooks", "ops")
        for path in (ROOT / room).rglob("*.md")
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NOT_BUILT = "## Not built yet"


def verbs_of_the_makefile() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE))


def commands_of_lodestar() -> set[str]:
    names = {command.callback.__name__ for command in cli.app.registered_commands}
    return {name.replace("_", "-") for name in names}


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link: small letters, hyphens, no other sign."""
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", [*HEADLINES, *TABLES, *STATES])
def test_every_published_name_stands_in_the_glossary(name: str) -> None:
    assert f"| `{name}` |" in GLOSSARY


def test_the_glossary_promises_no_headline_that_nobody_publishes() -> None:
    _, _, rest = GLOSSARY.partition("## Headlines")
    promised = re.findall(r"^\| `(\w+)` \|", rest.partition("### States")[0], re.MULTILINE)
    assert sorted(promised) == sorted(HEADLINES)


def test_the_readme_names_every_chapter_with_the_question_of_its_notebook() -> None:
    for place, chapter in enumerate(settings.CHAPTERS):
        path = ROOT / "notebooks" / f"{place:02d}_{chapter}.ipynb"
        question = re.search(r'"# ([^"\\]+\?)', path.read_text(encoding="utf-8"))
        assert question, f"{path.name} has no question as its title"
        assert f"| {chapter.replace('_', ' ')} | {question[1]} |" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_make_command_is_a_verb_of_the_makefile(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M))
    assert named <= verbs_of_the_makefile()


def test_the_readme_names_every_verb_of_the_makefile() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", README))
    assert named == verbs_of_the_makefile() - {"help"}


def test_the_readme_names_the_commands_of_lodestar() -> None:
    built, _, _ = README.partition(NOT_BUILT)
    _, _, listing = built.partition("`.venv/bin/lodestar` is what the verbs call:")
    named = set(re.findall(r"`([a-z][a-z-]*)`", listing.partition("`--help`")[0]))
    assert named == commands_of_lodestar()


def test_every_command_and_script_of_the_operations_page_exists() -> None:
    named = set(re.findall(r"\.venv/bin/lodestar ([a-z][a-z-]*)", OPERATIONS))
    assert named
    assert named <= commands_of_lodestar()
    files = set(re.findall(r"(?<![\w/])ops/[\w./@-]*\w", OPERATIONS))
    assert files
    assert [name for name in sorted(files) if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", [README, OPERATIONS], ids=["README", "operations"])
def test_every_exit_code_is_explained(page: str) -> None:
    codes = {
        value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)
    }
    codes -= {exits.CANCELLED}
    absent = [code for code in sorted(codes) if not re.search(rf"\b{code}\b", page)]
    assert not absent


def test_the_required_columns_of_the_readme_are_those_of_the_schema() -> None:
    required = {name: table for name, table in RAW.items() if table.is_required}
    assert set(required) == {"accounts", "subscriptions"}
    for name, table in required.items():
        row = next(line for line in README.splitlines() if f"| `{name}.csv` |" in line)
        listed = re.findall(r"`(\w+)`", row.split("|")[2].partition(";")[0])
        assert listed == table.required_columns


def test_the_mapping_in_the_readme_is_accepted() -> None:
    text = next(block for block in CODE.findall(README) if block.startswith("```yaml"))
    company = "company: acme\ncompany_name: Acme\nperiods: []\n"
    content = settings.YAML(typ="safe", pure=True).load(
        company + text.strip("`").removeprefix("yaml")
    )
    assert set(settings.parse(content).source.tables) == {"accounts", "subscriptions"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_something(page: Path) -> None:
    lost = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        is_there = file.exists() and file.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(file)):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_document_names_no_path_of_one_machine(page: Path) -> None:
    found = re.findall(
        r"(?<![\w.<>/])/(?:home|root|tmp|opt|work|usr|Users)/\S*", page.read_text("utf-8")
    )
    assert not found


def test_every_decision_is_numbered_listed_and_says_context_decision_and_consequence() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    listing = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert [page.name[:4] for page in pages] == [f"{n:04d}" for n in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert f"]({page.name})" in listing
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequence"))
