"""A declared table: rows that keep it are let through at a look, and no others."""

from __future__ import annotations

import ibis
import pandera.errors
import pyarrow as pa
import pytest

from pipeline.data import engine, store
from pipeline.data.schema.table import column, table

DECLARED = table(
    "plans",
    "one row per account",
    ("account_id",),
    {
        "account_id": column("id", "Account.", must=True),
        "plan": column("code", "Plan.", values=("basic", "pro")),
        "seats": column("count", "Seats.", lowest=1),
        "share": column("number", "Share.", lowest=0),
    },
)
KEPT = {
    "account_id": pa.array(["A1", "A2", "A3"]),
    "plan": pa.array(["pro", None, "basic"]),
    "seats": pa.array([1, 7, None]),
    "share": pa.array([0.0, None, 1.5]),
}
BROKEN = {
    "a key that is missing": {"account_id": pa.array(["A1", None, "A3"])},
    "a code that is none": {"plan": pa.array(["pro", "gold", "basic"])},
    "a number below the lowest": {"seats": pa.array([1, 0, None])},
    "a share below the lowest": {"share": pa.array([-0.1, None, 1.5])},
    "whole numbers as text": {"seats": pa.array(["1", "7", None])},
    "whole numbers in 32 bits": {"seats": pa.array([1, 7, None], pa.int32())},
}


def pandera_lets_through(rows: pa.Table) -> bool:
    try:
        DECLARED.schema.validate(ibis.memtable(rows), lazy=True)
    except pandera.errors.SchemaErrors:
        return False
    return True


@pytest.mark.parametrize("name", BROKEN)
def test_rows_that_break_the_declaration_are_refused_by_pandera_and_not_written(name, tmp_path):
    rows = pa.table(KEPT | BROKEN[name])
    path = tmp_path / "plans.parquet"

    assert not DECLARED.is_met_by(rows)
    assert not pandera_lets_through(rows)
    with pytest.raises(pandera.errors.SchemaErrors):
        engine.write_rows(rows, DECLARED, path)
    assert not path.exists()


@pytest.mark.parametrize("left_out", [(), ("plan",), ("plan", "seats", "share")])
def test_rows_that_keep_it_are_written_without_asking_pandera(left_out, tmp_path, monkeypatch):
    whole = pa.table(KEPT).append_column("beside", pa.array([None, "x", "y"]))
    optional = [name for name in left_out if not DECLARED.columns[name].is_required]
    rows = whole.drop_columns(optional)
    assert pandera_lets_through(rows)
    monkeypatch.setattr(type(DECLARED.schema), "validate", lambda *_, **__: pytest.fail("asked"))

    engine.write_rows(rows, DECLARED, tmp_path / "plans.parquet")

    assert store.read_parquet(tmp_path / "plans.parquet").equals(rows)


def test_a_number_that_is_none_is_left_to_pandera():
    rows = pa.table(KEPT | {"share": pa.array([float("nan"), 0.0, 1.0])})

    assert not DECLARED.is_met_by(rows)
    assert pandera_lets_through(rows)
