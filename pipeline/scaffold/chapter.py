"""How does a new chapter come to be? Named, written in every place, whole or not at all.

Reads the project's own files. Makes the chapter's module, notebook and test, an entry in each file
that names chapters, and docs/data.md anew. The subtle point: every text is made before the first is
written, and whatever goes wrong afterwards puts each file back as it was.
"""

from __future__ import annotations

import builtins
import keyword
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path

from ruamel.yaml import YAML

from pipeline import settings as configuration
from pipeline.data import store
from pipeline.data.schema import RAW, SNAPSHOT
from pipeline.scaffold import notebook
from pipeline.scaffold.entries import EDITS, Asked, filled
from pipeline.settings import (
    ANNEX,
    CHAPTERS,
    NAME_FORMAT,
    SUMMARY,
    ConfigurationError,
    ParameterError,
    Settings,
)

VAGUE = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "tools",
    "lib",
    "chapter",
    "data",
    "test",
}
LONGEST = 24
OF_THE_HOUSE = {
    SUMMARY, ANNEX, "ingest", "snapshot", "report", "headline", "compare", "find", "index",
}  # fmt: skip
"""Names of stages, folders and pages."""
OF_THE_DATA = {"group", *RAW, *SNAPSHOT, *(name for t in SNAPSHOT.values() for name in t.columns)}
"""Names of tables, and of columns that stand in cells beside the chapter's module."""
DICTIONARY = "docs/data.md"
PATTERNS = {
    "module": "pipeline/analysis/@name@.py",
    "notebook": "notebooks/@number@_@name@.ipynb",
    "test": "tests/analysis/test_@name@.py",
}
POPULATION = "notebooks/01_population.ipynb"
DICTIONARY_SECONDS = 120
READ_AFRESH = """\
import pathlib, runpy
from pipeline import settings
from pipeline.data import choices
choices.check(settings.load(pathlib.Path.cwd()))
runpy.run_module("pipeline.data.dictionary", run_name="__main__")
"""
"""The changed settings are read before anything that is made from the declarations is kept."""


def new_chapter(name: str, question: str | None, project: Path) -> list[tuple[str, str]]:
    """Write a new chapter into a project; each file with what it is now, or what was added.

    Args:
        name: the chapter's one word, in small letters, digits and _.
        question: its title, ending in a question mark; None: one to begin with.
        project: the folder of pipeline/, notebooks/ and tests/.

    Raises:
        ParameterError: the name or the question cannot be used; says what can.
        ConfigurationError: a file of the project has no place for it.
    """
    _check_name(name, project)
    asked = Asked(name, _checked_question(question, name), CHAPTERS[-1], len(CHAPTERS))
    texts = _new_files(asked, project) | _edited_files(asked, project)
    with _all_or_nothing([*texts, DICTIONARY], project):
        for file, text in texts.items():
            store.write_text(text, project / file)
        _write_dictionary(project)
    added = {file: f"+ {what}" for file, what, _ in EDITS}
    made = {filled(pattern, asked): f"its {what}" for what, pattern in PATTERNS.items()}
    return [*made.items(), *added.items(), (DICTIONARY, "written anew from the schema")]


def next_steps(name: str) -> list[str]:
    """What a person does now."""
    place = f"notebooks/{len(CHAPTERS):02d}_{name}.ipynb"
    return [
        f"make lab           look at {place}",
        "make check test    everything passes as it is; keep it so",
        "make report        its page stands in every report",
        "CONTRIBUTING.md, Add a chapter, says which file to change for what.",
    ]


# What may be asked for.


def _check_name(name: str, project: Path) -> None:
    reason = _why_not(name, project)
    if reason:
        raise ParameterError(
            f"{name!r} cannot be a chapter: {reason}. Give one word for its question, in small "
            "letters, like `health` or `time_to_value`."
        )


def _why_not(name: str, project: Path) -> str:
    """Why a name cannot be a chapter's; empty: it can."""
    if not NAME_FORMAT.fullmatch(name) or name.endswith("_") or "__" in name:
        return "it becomes the name of files, of a module and of settings"
    if len(name) > LONGEST:
        return f"it is longer than {LONGEST} letters"
    class_name = Asked(name, "", "", 0).class_name
    if any(_is_of_python(word) for word in (name, class_name)):
        return "it is a word of Python"
    if YAML(typ="safe", pure=True).load(name) != name:
        return "params.yaml would read a value in its place, and no name"
    if name in VAGUE:
        return "it says nothing about what the chapter asks"
    if name in CHAPTERS or (project / "pipeline" / "analysis" / name).exists():
        return "there is one already"
    if name in Settings.model_fields:
        return "it is a key of params.yaml"
    if class_name in vars(configuration) or hasattr(Settings, name):
        return "pipeline/settings.py has something of that name"
    if (project / "pipeline" / "analysis" / f"{name}.py").exists():
        return "pipeline/analysis has a module of that name"
    if name in OF_THE_HOUSE | OF_THE_DATA | {*notebook.TAKEN} | _modules(project):
        return "the name has a meaning of its own in every notebook, page or stage"
    if name in sys.stdlib_module_names or name in metadata.packages_distributions():
        return "a library has that name, and a notebook would mean either"
    return ""


def _is_of_python(word: str) -> bool:
    is_reserved = keyword.iskeyword(word) or keyword.issoftkeyword(word)
    return is_reserved or hasattr(builtins, word)


def _modules(project: Path) -> set[str]:
    """What the modules and packages of the project are called."""
    return {path.stem for path in (project / "pipeline").rglob("*") if path.suffix in {"", ".py"}}


def _checked_question(question: str | None, name: str) -> str:
    asked = (question or f"How many customers are there, by {name.replace('_', ' ')}?").strip()
    is_plain = asked.isprintable() and not set(asked) & set('"\\|<>`')
    if not is_plain or not asked.endswith("?") or not asked[0].isupper() or len(asked) > 90:
        raise ParameterError(
            f"--question {asked!r}: the title of a chapter is one plain sentence of at most 90 "
            "signs that begins with a capital letter and ends with a question mark."
        )
    return asked


# What is made.


def _new_files(asked: Asked, project: Path) -> dict[str, str]:
    templates = resources.files("pipeline.scaffold") / "templates"
    checked = notebook.words_of_population(_text(project / POPULATION))
    made = {
        "module": filled((templates / "analysis.py.txt").read_text("utf-8"), asked),
        "notebook": notebook.made(asked.name, asked.question, checked),
        "test": filled((templates / "test.py.txt").read_text("utf-8"), asked),
    }
    texts = {filled(pattern, asked): made[what] for what, pattern in PATTERNS.items()}
    if there := [file for file in texts if (project / file).exists()]:
        raise ParameterError(
            f"{asked.name!r} has left something behind: {', '.join(there)}. Nothing was written. "
            "Move it away, then try again."
        )
    return texts


def _edited_files(asked: Asked, project: Path) -> dict[str, str]:
    texts = {}
    for file, _, edits in EDITS:
        text = _text(project / file)
        for edit in edits:
            try:
                text = edit(text, asked)
            except ConfigurationError as error:
                raise ConfigurationError(f"{file}: {error}") from None
        texts[file] = text
    return texts


def _text(path: Path) -> str:
    if not path.is_file():
        raise ConfigurationError(
            f"{path.name} is not there: a chapter is added to the project itself, with its "
            "pipeline/, notebooks/ and tests/. Go to that folder."
        )
    return path.read_text(encoding="utf-8")


@contextmanager
def _all_or_nothing(files: list[str], project: Path) -> Iterator[None]:
    """Whatever goes wrong inside, each of the files is as it was."""
    paths = [project / file for file in files]
    before = {path: path.read_bytes() if path.is_file() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                store.write_bytes(content, path)
        raise


def _write_dictionary(project: Path) -> None:
    """docs/data.md from the new declarations, in a process that reads them and the settings."""
    code = os.pathsep.join(filter(None, [str(project), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", READ_AFRESH],
        cwd=project,
        env=os.environ | {"PYTHONPATH": code},
        capture_output=True,
        text=True,
        timeout=DICTIONARY_SECONDS,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word why"]
        raise ConfigurationError(
            f"The changed project cannot be read, nor {DICTIONARY} written ({last[0]}); "
            "every file is as it was. Run `make check`: the project is not sound as it stands."
        )
