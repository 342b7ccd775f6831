"""A new chapter by one command: it passes every check as it is, or leaves nothing behind."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from pipeline import settings as configuration
from pipeline.scaffold import chapter, notebook
from pipeline.scaffold.entries import EDITS
from pipeline.settings import CHAPTERS, ConfigurationError, ParameterError

PROJECT = Path(__file__).parents[2]
MADE_BY_RUNS = {"data/raw", "data/processed", "data/quarantine", "reports", "build", ".dvc/cache"}
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*cache", "*.egg-info", "tmp")
NAME, QUESTION = "health", "Who pays, and in which group?"
NUMBER = f"{len(CHAPTERS):02d}"
SECONDS = 240
TOUCHED = [
    f"pipeline/analysis/{NAME}.py", f"notebooks/{NUMBER}_{NAME}.ipynb",
    f"tests/analysis/test_{NAME}.py", *(file for file, _, _ in EDITS),
]  # fmt: skip


def copied(place: Path) -> Path:
    """The project without what runs made and without its environment."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        here = Path(folder).relative_to(PROJECT).as_posix()
        of_runs = {name for name in names if name != "README.md"} if here in MADE_BY_RUNS else set()
        return of_runs | NOT_COPIED(folder, names)

    shutil.copytree(PROJECT, place, ignore=left_out, dirs_exist_ok=True)
    return place


def run(project: Path, *words: str) -> str:
    """What a program of this environment says in a project; it must end well."""
    program = [str(Path(sys.executable).parent / words[0]), *words[1:]]
    done = subprocess.run(
        program, cwd=project, capture_output=True, text=True, timeout=SECONDS, check=False,
        env=os.environ | {"PYTHONPATH": str(project), "LODESTAR_REQUIRE": ""},
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a new chapter."""
    place = copied(tmp_path_factory.mktemp("project"))
    said = run(place, "python", "-m", "pipeline.cli", "new-chapter", NAME, "--question", QUESTION)
    assert f"notebooks/{NUMBER}_{NAME}.ipynb" in said
    return place


@pytest.mark.timeout(2 * SECONDS)
def test_the_scaffold_keeps_style_imports_and_the_rules_of_notebooks(project: Path) -> None:
    modules = [file for file in TOUCHED if file.endswith(".py")]
    notebook = f"notebooks/{NUMBER}_{NAME}.ipynb"
    assert "passed" in run(project, "ruff", "check", notebook, *modules)
    assert "already formatted" in run(project, "ruff", "format", "--check", *modules)
    assert " 0 broken" in run(project, "lint-imports")
    assert "Success" in run(project, "python", "-m", "mypy", f"pipeline/analysis/{NAME}.py")
    assert run(project, "python", ".ci/check_notebooks.py", notebook) == ""


@pytest.mark.timeout(2 * SECONDS)
def test_the_scaffold_passes_its_own_test_and_those_of_the_house(project: Path) -> None:
    words = ["tests/analysis/test_health.py", "tests/test_house.py", "tests/test_docs.py"]
    words += ["tests/data/test_dictionary.py", "-q", "-p", "no:cacheprovider", "-n", "0"]
    words += ["-k", f"{NAME} or chapter or stage or dictionary or readme or glossary or published"]
    said = run(project, "python", "-m", "pytest", *words)
    assert " failed" not in said
    whose = "import pipeline.settings as s; print(s.__file__, s.CHAPTERS[-1])"
    assert run(project, "python", "-c", whose).split() == [
        str(project / "pipeline" / "settings.py"), NAME,
    ]  # fmt: skip


@pytest.mark.timeout(1200)
def test_the_new_notebook_runs_and_passes_the_gate(project: Path, test_root: Path) -> None:
    month = Path("data/processed/snapshot/2026-10")
    shutil.copytree(test_root / month, project / month)
    run(project, "python", "-m", "pipeline.cli", "chapter", NAME, "2026-10")
    place = project / "data" / "processed" / NAME / "2026-10"
    assert (place / "tables" / f"{NAME}.shares.csv").is_file()
    assert (place / "figures" / f"{NAME}.shares.svg").is_file()
    assert (place / "complete.json").is_file()


def test_comments_and_spacing_of_params_yaml_stay(project: Path) -> None:
    before = (PROJECT / "params.yaml").read_text(encoding="utf-8").splitlines()
    after = (project / "params.yaml").read_text(encoding="utf-8").splitlines()
    gone = [line for line in before if line not in after]
    assert [line.split(":")[0] for line in gone] == ["chapters"]
    assert len(after) == len(before) + 3


def test_a_second_chapter_of_that_name_is_refused_and_another_finds_its_place(
    project: Path,
) -> None:
    before = contents(project)
    again = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "new-chapter", NAME], cwd=project, check=False,
        env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (again.returncode, "there is one already" in again.stderr) == (64, True)
    assert contents(project) == before


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Health", "name of files"), ("2nd", "name of files"), ("he-alth", "name of files"),
        ("../health", "name of files"), ("health_", "name of files"), ("class", "word of Python"),
        ("match", "word of Python"), ("utils", "says nothing"), ("survival", "one already"),
        ("summary", "one already"), ("annex", "key of params.yaml"), ("fit", "key of params.yaml"),
        ("checks", "module of that name"), ("snapshot", "meaning of its own"),
        ("words", "meaning of its own"), ("h" * 25, "longer than"),
        ("true", "word of Python"), ("none", "word of Python"), ("list", "word of Python"),
        ("null", "no name"), ("field", "settings.py has something"),
        ("attributes", "settings.py has something"), ("extract", "meaning of its own"),
        ("targets", "meaning of its own"), ("group", "meaning of its own"),
        ("segment", "meaning of its own"), ("quality", "meaning of its own"),
        ("store", "meaning of its own"), ("account_months", "meaning of its own"),
        ("pandas", "a library"), ("numpy", "a library"), ("csv", "a library"),
        ("test", "says nothing"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_a_chapter_says_why(small: Path, name: str, why: str) -> None:
    for place in ("analysis", "stages", "reporting", "data"):
        for module in (PROJECT / "pipeline" / place).glob("*.py"):
            (small / "pipeline" / place).mkdir(parents=True, exist_ok=True)
            (small / module.relative_to(PROJECT)).touch()
    with pytest.raises(ParameterError, match=why):
        chapter.new_chapter(name, None, small)


@pytest.mark.parametrize("question", ["Who pays", "who pays?", 'Who "pays"?', "Who | what?", "?"])
def test_a_title_that_is_no_plain_question_is_refused(small: Path, question: str) -> None:
    with pytest.raises(ParameterError, match="ends with a question mark"):
        chapter.new_chapter(NAME, question, small)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """The files that a new chapter touches, and no others."""
    for file in [*(file for file, _, _ in EDITS), chapter.POPULATION, chapter.DICTIONARY]:
        place = tmp_path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, place)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths if "__pycache__" not in path.parts}


@pytest.mark.parametrize("broken", ["pipeline/settings.py", "dvc.yaml", "GLOSSARY.md"])
def test_a_file_without_a_place_for_the_chapter_stops_it_before_anything_is_written(
    small: Path, broken: str
) -> None:
    (small / broken).write_text("nothing\n", encoding="utf-8")
    before = contents(small)
    with pytest.raises(ConfigurationError, match=f"{broken}: the line"):
        chapter.new_chapter(NAME, None, small)
    assert contents(small) == before


def test_an_error_half_way_leaves_every_file_as_it_was(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(small)

    def fail(project: Path) -> None:
        assert (project / "pipeline" / "analysis" / f"{NAME}.py").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(chapter, "_write_dictionary", fail)
    with pytest.raises(KeyboardInterrupt):
        chapter.new_chapter(NAME, None, small)
    assert contents(small) == before


@pytest.mark.timeout(2 * SECONDS)
def test_settings_that_cannot_be_read_afterwards_leave_every_file_as_it_was(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PROJECT / "pipeline", small / "pipeline", dirs_exist_ok=True)
    monkeypatch.setattr(chapter, "_why_not", lambda name, project: "")
    before = contents(small)
    with pytest.raises(ConfigurationError, match=r"cannot be read.*SyntaxError"):
        chapter.new_chapter("true", None, small)
    assert contents(small) == before


def test_its_settings_and_stage_are_read_as_they_were_written(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chapter, "_write_dictionary", lambda project: None)
    chapter.new_chapter("key_people", None, small)
    text = (small / "params.yaml").read_text(encoding="utf-8")
    read = configuration.YAML(typ="safe", pure=True).load(text)
    assert read["key_people"] == {"by": "segment"}
    assert read["chapters"] == [*CHAPTERS, "key_people"]
    settings = (small / "pipeline" / "settings.py").read_text(encoding="utf-8")
    assert "    key_people: KeyPeople = KeyPeople()\n    fit: Fit = Fit()" in settings


def test_the_checked_cell_knows_the_customers_that_the_population_counts() -> None:
    text = (PROJECT / chapter.POPULATION).read_text(encoding="utf-8")
    words = notebook.words_of_population(text)
    made = nbformat.reads(notebook.made(NAME, QUESTION, words), as_version=4)
    assert made.cells[-1].outputs[0]["text"] == words
    assert words.split()[0] == "2026-10"
