"""The answers beside the R scripts are what the scripts give."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_the_stored_answers_on_delayed_entry_are_those_of_r(tmp_path):
    asked = subprocess.run(
        ["Rscript", str(HERE / "delayed_entry.R"), str(tmp_path)], capture_output=True, text=True
    )
    if "there is no package called" in asked.stderr:
        pytest.skip("Rscript has no package survival")
    assert asked.returncode == 0, asked.stderr
    for name in ("delayed_entry_subjects.csv", "delayed_entry.csv"):
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / name), pd.read_csv(HERE / name), rtol=1e-9, atol=1e-12
        )
