"""Account-months of more than a block are fitted by level: nothing that is said may change."""

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis import drivers
from pipeline.analysis.drivers import design as designing
from pipeline.analysis.drivers import kinds as counting
from pipeline.analysis.drivers.months import Months
from pipeline.statistics.design_rows import Crossed, column_of
from tests.analysis.test_drivers_months import NAMES, company


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return company()


@pytest.fixture
def by_level(monkeypatch):
    """From here on every design is one by level."""
    return lambda: monkeypatch.setattr(designing, "BLOCK", 0)


@pytest.mark.parametrize("is_later", [False, True])
def test_a_design_by_level_is_that_of_encode(rows, by_level, is_later):
    known = Months(rows)
    recipe = drivers.learn(rows, NAMES)
    plain = drivers.encode(known, recipe, is_later)
    by_level()
    found = designing.design_of(known, recipe, is_later)
    assert isinstance(found, Crossed)
    assert list(found.columns) == list(plain.columns)
    for name in plain:
        np.testing.assert_array_equal(column_of(found, name), plain[name].to_numpy(float))


def test_all_tables_of_the_model_follow_from_a_design_by_level(rows, by_level):
    tables = []
    for _ in range(2):
        model = drivers.fit(rows, NAMES, 5.0)
        effects = drivers.effects(model, pd.Series(dtype=float), 0.95, 0.1)
        tables.append([effects, drivers.functional_form(model), drivers.vif(model, 5.0),
                       drivers.moved(model, 0.95, 0.1)])  # fmt: skip
        by_level()
    assert isinstance(model.design, Crossed)
    for plain, found in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(found, plain, rtol=1e-6, atol=1e-10)
    assert len(tables[0][0]) > 5


def test_origins_and_what_is_held_out_follow_from_a_design_by_level(rows, by_level):
    found = []
    for _ in range(2):
        held = drivers.hold_out(rows, NAMES, 2, 2.0)
        signs = drivers.held_out_signs(drivers.fit(rows, NAMES, 5.0), held)
        origins = drivers.rolling_origins(rows, NAMES, 2.0, 3)
        told = drivers.back_test(origins, rows, 7, 3)
        found.append([drivers.importance(held, 0.95), signs.to_frame(), told])
        by_level()
    for plain, own in zip(*found, strict=True):
        pd.testing.assert_frame_equal(own, plain, rtol=1e-6, atol=1e-10)
    assert len(found[0][2]) > 2


def test_columns_that_say_the_same_are_left_out_of_a_design_by_level_too(rows, by_level):
    twice = rows.assign(again=rows[NAMES[0]])
    plain = drivers.learn(twice, [*NAMES, "again"])
    by_level()
    found, design = designing.learned(Months(twice), [*NAMES, "again"])
    assert found.dependent == plain.dependent
    assert found.dependent
    assert list(design.columns[-len(found.columns) :]) == found.columns


def test_a_penalised_fit_follows_from_a_design_by_level_and_from_kinds(rows, by_level, monkeypatch):
    alone = rows.assign(is_churn=rows["is_churn"] & rows["band"].ne("a"))
    plain = drivers.fit(alone, NAMES, 5.0)
    by_level()
    found = [drivers.fit(alone, NAMES, 5.0)]
    monkeypatch.setattr(counting, "BLOCK", 0)
    found.append(drivers.fit(alone, NAMES, 5.0))
    assert plain.is_penalised
    assert isinstance(found[0].design, Crossed)
    assert found[1].months.n is not None
    for own in found:
        pd.testing.assert_frame_equal(own.ratios(), plain.ratios(), rtol=1e-4)
        assert (own.fitted.n, own.fitted.n_events) == (plain.fitted.n, plain.fitted.n_events)
        assert own.fitted.log_likelihood == pytest.approx(plain.fitted.log_likelihood, rel=1e-8)
