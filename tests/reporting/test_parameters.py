"""Parameters: a name, type or period that does not fit is refused before anything runs."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline.reporting.execution import parameters
from pipeline.settings import ParameterError


def notebook_of(cell: str) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell(cell, metadata={"tags": ["parameters"]})])


def test_every_declared_type_takes_its_own_kind_and_none_where_none_is_the_default() -> None:
    cell = "days: int = 30\nshare: float = 0.5\nstrata: list = None\nwide: bool = False"
    notebook = notebook_of(cell)
    parameters.validate_parameters(
        "x", notebook, {"days": 7, "share": 1, "strata": None, "wide": True}
    )
    for wrong in ({"days": 7.5}, {"days": None}, {"strata": "segment"}, {"wide": 1}):
        with pytest.raises(ParameterError, match="must be of type"):
            parameters.validate_parameters("x", notebook, wrong)


def test_a_notebook_needs_exactly_one_parameters_cell() -> None:
    notebook = new_notebook(cells=[new_code_cell("1")])
    with pytest.raises(ParameterError, match="exactly one"):
        parameters.validate_parameters("x", notebook, {})
