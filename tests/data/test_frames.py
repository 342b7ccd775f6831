"""A table of millions of rows is read small, and says what it would have said at full size."""

import contextlib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.data import store

MANY = 300_000
"""Rows of more than one row group."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of ours with every kind of column, whole and with blanks."""
    rows = pa.table(
        {
            "account_id": pa.array([f"A{number % 1000:04}" for number in reversed(range(MANY))]),
            "end_type": pa.array([None, "churn"] * (MANY // 2 - 1) + ["completed", None]),
            "seats": pa.array(range(MANY), pa.int64()),
            "days": pa.array([-1, 127] * (MANY // 2), pa.int64()),
            "touches": pa.array([None, 3] * (MANY // 2), pa.int64()),
            "mrr": pa.array([Decimal("10.2500"), None] * (MANY // 2), pa.decimal128(18, 4)),
            "start": pa.array([date(2026, 10, 31), None] * (MANY // 2)),
            "is_settled": pa.array([True, False] * (MANY // 2)),
        }
    )
    made = tmp_path_factory.mktemp("frames") / "months.parquet"
    store.write_parquet(rows, made)
    return made


def same(small: pd.DataFrame, whole: pd.DataFrame) -> bool:
    """True when both say the same, whatever their types."""
    texts = {name: object for name in whole if whole[name].dtype == object}
    others = {name: whole[name].dtype for name in whole if name not in texts}
    return bool(small.astype(texts | others).equals(whole))


def test_a_table_read_small_says_what_the_whole_one_says(path: Path) -> None:
    small = store.read_frame(path, is_compact=True)
    assert same(small, store.read_frame(path))
    kinds = {name: str(kind) for name, kind in small.dtypes.items()}
    assert kinds == {
        "account_id": "category", "end_type": "category", "seats": "int32", "days": "int8",
        "touches": "float32", "mrr": "float64", "start": "datetime64[us]", "is_settled": "bool",
    }  # fmt: skip


def test_levels_of_a_text_stand_in_the_order_in_which_they_come(path: Path) -> None:
    levels = store.read_frame(path, is_compact=True)["account_id"].cat.categories
    assert list(levels) == [f"A{number:04}" for number in reversed(range(1000))]


def test_columns_come_as_asked_and_those_that_the_file_lacks_are_left_out(path: Path) -> None:
    asked = ["mrr", "nobody", "account_id"]
    small = store.read_frame(path, asked, is_compact=True)
    assert list(small) == ["mrr", "account_id"] == list(store.read_frame(path, asked))


def test_a_table_without_rows_is_read_small_too(path: Path, tmp_path: Path) -> None:
    store.write_parquet(store.read_parquet(path).slice(0, 0), tmp_path / "none.parquet")
    small = store.read_frame(tmp_path / "none.parquet", is_compact=True)
    assert (len(small), list(small)) == (0, list(store.read_frame(path)))
    assert str(small["end_type"].dtype) == "category"


def test_another_file_in_its_place_mixes_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    months, other = tmp_path / "months.parquet", tmp_path / "other.parquet"
    months.write_bytes(path.read_bytes())
    rows = store.read_parquet(path)
    seats = pa.array([7] * MANY, pa.int64())
    store.write_parquet(rows.set_column(rows.column_names.index("seats"), "seats", seats), other)
    read = store._content

    def replaced(*given: Any, **named: Any) -> pa.Table:
        with contextlib.suppress(FileNotFoundError):  # the other reader was first
            other.replace(months)
        return read(*given, **named)

    monkeypatch.setattr(store, "_content", replaced)
    assert same(store.read_frame(months, is_compact=True), store.read_frame(path))


def test_what_a_reader_finds_wrong_names_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> pa.Table:
        raise pa.ArrowInvalid("a page is cut")

    monkeypatch.setattr(store, "_content", broken)
    with pytest.raises(
        store.CorruptDataError, match=r"months\.parquet cannot be read.*a page is cut"
    ):
        store.read_frame(path, is_compact=True)


def test_a_file_that_was_altered_is_not_read_small_either(path: Path, tmp_path: Path) -> None:
    altered = bytearray(path.read_bytes())
    altered[len(altered) // 2] ^= 1
    (tmp_path / "altered.parquet").write_bytes(altered)
    with pytest.raises(store.CorruptDataError, match="is not what was written"):
        store.read_frame(tmp_path / "altered.parquet", is_compact=True)
