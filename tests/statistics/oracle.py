"""The reference numbers, made with R, that the estimators are held against."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

SHARED = Path(__file__).parents[2] / ".." / "shared" / "reference"
OWN = Path(__file__).parents[1] / "oracles"

needs_reference = pytest.mark.skipif(
    not SHARED.is_dir(), reason="no reference numbers in ../shared/reference"
)


def cases(table: str, case_id: str) -> pd.DataFrame:
    """Return the rows of one case of a shared reference table."""
    rows = pd.read_csv(SHARED / f"{table}.csv")
    return rows[rows["case_id"] == case_id].reset_index(drop=True)


def subjects(name: str) -> pd.DataFrame:
    """Return a shared reference data set."""
    return pd.read_csv(SHARED / "data" / f"{name}.csv")


def late_subjects() -> pd.DataFrame:
    """Return the subjects of our own script on delayed entry with ties."""
    return pd.read_csv(OWN / "delayed_entry_subjects.csv")


def late_answers(quantity: str) -> pd.DataFrame:
    """Return R's answers (term, time, value) to one question of that script."""
    answers = pd.read_csv(OWN / "delayed_entry.csv", dtype={"term": str})
    return answers[answers["quantity"] == quantity].reset_index(drop=True)


def at_times(curve: pd.DataFrame, times: pd.Series) -> pd.DataFrame:
    """Return the row of a step curve that holds at each time."""
    held = curve["time"].searchsorted(times, side="right") - 1
    return curve.iloc[held].reset_index(drop=True)
