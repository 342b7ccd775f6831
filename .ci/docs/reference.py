"""What does each function ask and give? The docstrings of pipeline/ as pages, by pdoc.

Reads the modules of pipeline/; makes reference/<module>.html and search.js. The subtle point: pdoc
hands the index of the search to node where there is one; here it never is, or the bytes would
depend on the machine. The reader's browser makes it at the first search.
"""

from __future__ import annotations

import importlib
import json
import re
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pdoc
import pdoc.doc
import pdoc.docstrings
import pdoc.render

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "pipeline"
LONGEST_VALUE = 160
"""Signs of a constant's value that a page shows; the file holds the rest."""

OF_AN_EXTRA = {"pipeline.data.spark": "pyspark"}
"""Module → the package that it needs and that an extra installs, not everybody's set-up."""

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where an object lay in memory, which differs from start to start."""


def build(folder: Path) -> dict[str, str]:
    """Write one page per public module, but for those that are left out.

    Returns:
        Module → its page, relative to the reference's folder.
    """
    pdoc.render.configure(docformat="google", show_source=False, template_directory=TEMPLATES)
    pdoc.render.env.filters["file_of"] = file_of
    pdoc.render.env.tests["in_package"] = _is_in
    with (
        warnings.catch_warnings(),
        mock.patch.object(pdoc.doc.Variable, "default_value_str", property(_value)),
        mock.patch("pdoc.doc.safe_eval_type", _as_written),
        mock.patch("pdoc.doc_types.safe_eval_type", _as_written),
        mock.patch("pdoc.extract.walk_specs", list),
        mock.patch("pdoc.docstrings.convert", _with_brackets),
        mock.patch("pdoc.render.precompile_index", lambda documents, _: json.dumps(documents)),
    ):
        warnings.simplefilter("ignore")  # classes of others that we build on speak of unknown types
        pdoc.pdoc(*modules(), output_directory=folder)
    (folder / "index.html").unlink()  # it only leads to the page of the package
    for page in folder.rglob("*.html"):
        page.write_text(_without_dead_ends(page.read_text(encoding="utf-8")), encoding="utf-8")
    pages = sorted(page.relative_to(folder).as_posix() for page in folder.rglob("*.html"))
    return {page.removesuffix(".html").replace("/", "."): page for page in pages}


def _without_dead_ends(page: str) -> str:
    """The page with words for each link to a place that it lacks: pdoc links inherited members."""
    places = set(re.findall(r' id="([^"]+)"', page))
    return OWN_LINK.sub(lambda link: link[0] if link[1] in places else link[2], page)


OWN_LINK = re.compile(r'<a href="#([^"]+)">(.*?)</a>')


def modules() -> list[str]:
    """Every module of the package: one that its package does not hand on has a page too."""
    files = (ROOT / PACKAGE).rglob("*.py")
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return sorted({name.removesuffix(".__init__") for name in names} - set(left_out()))


def left_out() -> dict[str, str]:
    """Modules that cannot be loaded here, each with the package of an extra that it lacks."""
    return {name: package for name, package in OF_AN_EXTRA.items() if _is_missing(package)}


def _is_missing(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ModuleNotFoundError:  # or something that it needs
        return True
    return False


CONVERT = pdoc.docstrings.convert
TEMPLATES = Path(__file__).resolve().parent / "templates"


def file_of(module: str) -> str:
    """The file of a module, from the root of the project."""
    path = ROOT.joinpath(*module.split("."))
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found.relative_to(ROOT).as_posix()


def _is_in(name: str, package: str) -> bool:
    """Whether a module stands in a package itself; `package` ends with a point."""
    return name.startswith(package) and "." not in name.removeprefix(package)


def _with_brackets(docstring: str, form: str, file: Path | None) -> str:
    """The docstring as Markdown; `<company>` outside of backticks stays what it is: words."""
    parts = re.split(r"(`[^`]*`)", CONVERT(docstring, form, file))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


class _Written:
    """A type in the words of the source: `ArrayLike`, and not the ten types that it stands for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _as_written(annotation: Any, *_: Any) -> Any:
    words = getattr(annotation, "__forward_arg__", annotation)
    return _Written(words) if isinstance(words, str) else annotation


def _value(variable: pdoc.doc.Variable) -> str:
    """The value of a constant as text: one line, no path or address of this machine."""
    if variable.default_value is pdoc.doc.empty:
        return ""
    text = ADDRESS.sub("", repr(variable.default_value)).replace(str(ROOT), ".")
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"
