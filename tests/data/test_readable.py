"""Which tables can be read, and what a misspelt one is told."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import readable, store
from pipeline.settings import ParameterError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("accounts", "spells", "company_own"):
        store.write_parquet(pd.DataFrame({"a": [1, 2], "b": [3, 4]}), tmp_path / f"{name}.parquet")
    return tmp_path


def test_tables_are_listed_with_size_and_grain(folder: Path):
    rows = readable.readable(folder).set_index("table")
    assert list(rows.index) == ["accounts", "company_own", "spells"]
    assert rows.loc["accounts"].tolist() == [2, 2, "one row per account known by the slice"]
    assert rows.loc["company_own", "one_row"] == ""


def test_a_folder_without_tables_has_none(tmp_path: Path):
    assert list(readable.readable(tmp_path).columns) == readable.COLUMNS
    assert readable.readable(tmp_path).empty


def test_a_name_that_nobody_knows_is_refused_with_the_nearest_and_all(folder: Path):
    with pytest.raises(ParameterError) as refused:
        readable.check_name("acounts", folder)
    assert "Did you mean 'accounts'? There are: accounts, company_own, spells." in str(
        refused.value
    )


def test_a_name_that_is_like_nothing_gets_no_guess_and_no_folder_a_way_out(tmp_path: Path):
    with pytest.raises(ParameterError, match=r"snapshot\. There are: none yet; run `make lab`"):
        readable.check_name("weather", tmp_path)


def test_declared_tables_and_own_ones_pass(folder: Path):
    passed = [readable.check_name(name, folder) for name in ("returns", "company_own")]
    assert passed == [None, None]
