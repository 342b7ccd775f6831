"""Do the parameters fit the notebook? The typed contract of its `parameters` cell.

Reads a notebook; makes nothing. The subtle point: papermill only warns of an unknown parameter and
takes a name with a line break for code, so all is refused here, before any kernel starts.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

from pipeline.redaction import is_secret_name
from pipeline.settings import ParameterError, Period

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def declared_parameters(name: str, notebook: NotebookNode) -> dict[str, tuple[str, Any]]:
    """Type and default of each parameter that the notebook's `parameters` cell declares."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ParameterError(
            f"{name} has {len(cells)} cells tagged `parameters`; it must have exactly one."
        )
    found = {}
    for line in ast.parse(cells[0].source).body:
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            raise ParameterError(f"{name}: a parameter is written `name: type = value`.")
        kind = ast.unparse(line.annotation)
        if kind not in TYPES or line.value is None:
            raise ParameterError(
                f"{name}: {line.target.id} needs a default and a type of {[*TYPES]}."
            )
        if is_secret_name(line.target.id):
            raise ParameterError(
                f"{name}: a parameter is saved with the notebook, and {line.target.id} sounds like "
                "a secret. Keep it in an environment variable of the step that needs it."
            )
        found[line.target.id] = (kind, ast.literal_eval(line.value))
    return found


def validate_parameters(name: str, notebook: NotebookNode, given: Mapping[str, Any]) -> None:
    """Refuse a parameter that the notebook does not declare, or one of another type."""
    declared = declared_parameters(name, notebook)
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise ParameterError(
            f"{name} takes no parameter {', '.join(map(repr, unknown))}; "
            f"it takes {', '.join(declared)}."
        )
    for key, value in given.items():
        kind, standard = declared[key]
        if value is None and standard is None:
            continue
        is_disguised = isinstance(value, bool) and kind != "bool"
        if is_disguised or not isinstance(value, TYPES[kind]):
            raise ParameterError(f"{name}: {key} must be of type {kind}, not {value!r}.")
    if given.get("period") is not None:
        Period(given["period"])
