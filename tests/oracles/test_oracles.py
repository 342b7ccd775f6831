"""The answers beside the R scripts are what the scripts give."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
SCRIPTS = {
    "delayed_entry.R": ("delayed_entry_subjects.csv", "delayed_entry.csv"),
    "survival_models.R": ("survival_models_spells.csv", "survival_models.csv"),
    "late_models.R": ("late_models.csv",),
    "competing_groups.R": ("competing_groups.csv",),
}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
@pytest.mark.parametrize("script", list(SCRIPTS))
def test_the_stored_answers_are_those_of_r(script, tmp_path):
    asked = subprocess.run(
        ["Rscript", str(HERE / script), str(tmp_path), str(HERE)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "there is no package called" in asked.stderr:
        pytest.skip(f"Rscript lacks a package for {script}: {asked.stderr.splitlines()[0]}")
    assert asked.returncode == 0, asked.stderr
    for name in SCRIPTS[script]:
        pd.testing.assert_frame_equal(
            pd.read_csv(tmp_path / name), pd.read_csv(HERE / name), rtol=1e-9, atol=1e-12
        )


def test_no_script_is_forgotten():
    tests = "".join(path.read_text(encoding="utf-8") for path in HERE.parent.rglob("test_*.py"))
    assert [path.name for path in HERE.glob("*.R") if f'"{path.name}"' not in tests] == []
