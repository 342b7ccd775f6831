"""What does a process load? Memory and start-up time that nobody asked for show here, by name.

Each test starts a process, for this one has loaded everything.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
LARGE = {"duckdb", "great_tables", "ibis", "numpy", "pandas", "pandera", "pyarrow", "pyspark"}


def loaded_by(module: str) -> list[str]:
    """Which of the large libraries stand in a process that has imported one module."""
    program = f"import json, sys, {module}; print(json.dumps(sorted({LARGE} & sys.modules.keys())))"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return list(json.loads(said.stdout))


@pytest.mark.parametrize(
    "module", ["pipeline.cli", "pipeline.flow", "pipeline.root", "pipeline.bound_dvc"]
)
def test_what_asks_whether_there_is_anything_to_do_loads_no_tables(module: str) -> None:
    assert loaded_by(module) == []
