"""Which tables can be read, and what a misspelt one is told."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.data import readable, store
from pipeline.data.schema import RAW, SNAPSHOT
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


def test_a_chapter_finds_no_raw_events_in_a_snapshot(test_root: Path):
    folder = test_root / "data" / "processed" / "snapshot" / "2026-10"
    found = {path.stem for path in folder.glob("*.parquet")}
    assert found == set(SNAPSHOT)
    assert found & set(RAW) == {"accounts", "targets"}


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


def test_columns_are_told_with_their_unit_and_meaning(tmp_path: Path):
    store.write_parquet(pd.DataFrame({"mrr_lost": [1.0], "own": [1]}), tmp_path / "spells.parquet")
    rows = readable.columns("spells", tmp_path)
    assert list(rows.columns) == readable.WORDS
    assert rows.to_numpy().tolist() == [
        ["mrr_lost", "currency per month", "MRR the day before the lapse."],
        ["own", "", ""],
    ]


def test_columns_of_a_table_that_is_not_there_are_the_declared_ones(tmp_path: Path):
    assert list(readable.columns("spells", tmp_path)["name"]) == list(SNAPSHOT["spells"].columns)


def test_columns_of_a_misspelt_table_are_refused_with_the_nearest(folder: Path):
    with pytest.raises(ParameterError, match="Did you mean 'spells'"):
        readable.columns("spels", folder)


def test_declared_tables_and_own_ones_pass(folder: Path):
    passed = [readable.check_name(name, folder) for name in ("returns", "company_own")]
    assert passed == [None, None]
