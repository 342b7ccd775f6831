import numpy as np
import pytest

from pipeline.statistics import coded_rows
from pipeline.statistics.coded_rows import Factor, rows_of_factors
from pipeline.statistics.design_rows import MOST_CELLS, Crossed, column_of

N = 5_000


@pytest.fixture(scope="module")
def factors() -> list[Factor]:
    """A band, counts with a blank, and amounts of more levels than a crossing holds, one blank."""
    draws = np.random.default_rng(20261124)
    band, days = draws.integers(0, 9, N).astype(np.int8), draws.integers(-1, 30, N).astype(np.int8)
    amount = draws.integers(-1, 900, N).astype(np.int16)
    counts, money = np.append(np.clip(np.arange(30), 2, 25) / 7, 0.0), draws.normal(size=901)
    is_blank = np.append(np.zeros(900), 1.0)
    return [
        Factor(band, np.eye(9), tuple(f"band{at}" for at in range(9))),
        Factor(days, np.column_stack([counts, np.append(np.zeros(30), 1.0)]), ("days", "no_days")),
        Factor(amount, np.column_stack([money, is_blank]), ("money", "no_money")),
    ]


@pytest.fixture(scope="module")
def both(factors) -> tuple[Crossed, np.ndarray]:
    """The coded rows, and the dense design that they stand for."""
    return rows_of_factors(factors), np.hstack([own.columns[own.codes] for own in factors])


def test_coded_rows_give_the_plain_products(both):
    rows, dense = both
    draws = np.random.default_rng(5)
    values, params = draws.normal(size=N), draws.normal(size=dense.shape[1])
    np.testing.assert_allclose(rows.linear(params), dense @ params, atol=1e-12)
    np.testing.assert_allclose(rows.pull(values), dense.T @ values, rtol=1e-9, atol=1e-9)
    weighted = dense.T @ (dense * values[:, None])
    np.testing.assert_allclose(rows.information(values), weighted, rtol=1e-9, atol=1e-9)


def test_coded_rows_give_each_column_back_under_its_name(both, factors):
    rows, dense = both
    names = [name for factor in factors for name in factor.names]
    assert list(rows.columns) == names
    assert rows.shape == dense.shape
    for place, name in enumerate(names):
        np.testing.assert_array_equal(column_of(rows, name), dense[:, place])
        np.testing.assert_array_equal(np.unique(rows.values(place)), np.unique(dense[:, place]))


def test_sums_by_group_come_in_parts_that_add_up_to_those_of_the_dense_design(both, monkeypatch):
    rows, dense = both
    monkeypatch.setattr("pipeline.statistics.design_rows.crossed.GROUPS_AT_ONCE", 64)
    draws = np.random.default_rng(6)
    values, codes = draws.normal(size=N), draws.integers(0, 200, N)
    expected = np.zeros((201, dense.shape[1]))
    np.add.at(expected, codes, dense * values[:, None])
    parts = list(rows.group_parts(values, codes, 201))
    assert [len(part) for part in parts] == [64, 64, 64, 9]
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-11)


def test_every_so_many_th_row_and_columns_beside_are_those_of_the_dense_design(both):
    rows, dense = both
    added = np.random.default_rng(7).normal(size=(N, 2))
    params = np.random.default_rng(8).normal(size=dense.shape[1] + 2)
    whole = np.hstack([dense, added])[::3]
    found = rows.beside(added).every(3)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found.linear(params), whole @ params, atol=1e-12)
    np.testing.assert_allclose(
        found.information(np.ones(len(whole))), whole.T @ whole, rtol=1e-9, atol=1e-9
    )


def test_a_count_of_few_levels_is_crossed_and_amounts_of_many_stand_beside(both):
    rows, _ = both
    beside = [rows.columns[place] for place in rows.others_at]
    assert beside == ["money"]
    assert all(one.size <= MOST_CELLS for one in rows.crossings)


def test_factors_that_no_crossing_holds_together_are_several(monkeypatch, factors):
    monkeypatch.setattr(coded_rows, "MOST_CELLS", 12)
    rows = rows_of_factors(factors)
    dense = np.hstack([own.columns[own.codes] for own in factors])
    assert len(rows.crossings) > 1
    np.testing.assert_allclose(rows.pull(np.ones(N)), dense.sum(axis=0), rtol=1e-9, atol=1e-9)
