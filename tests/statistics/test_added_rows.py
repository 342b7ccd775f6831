"""How far coefficients move when rows are added: one table by hand, one covariance, known truth."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics import added_rows, cloglog


def log_hazard(n_events: int, n: int) -> float:
    return float(np.log(-np.log1p(-n_events / n)))


def test_with_one_rate_the_move_is_that_of_the_rate():
    events = np.repeat([1, 0, 1, 0], [10, 90, 30, 70])
    is_new = np.repeat([False, False, True, True], [10, 90, 30, 70])
    found = added_rows.move(events, np.ones((200, 1)), np.arange(200), is_new)
    assert found.before[0] == pytest.approx(log_hazard(10, 100))
    assert found.now[0] == pytest.approx(log_hazard(40, 200))
    assert found.converged


def test_a_column_that_only_the_new_rows_have_is_missing_before_and_does_not_stop_the_others():
    events = np.tile([1, 0, 0, 0], 50)
    is_new = np.arange(200) >= 150
    level = np.tile([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0], 25)
    design = np.column_stack([np.ones(200), level, is_new])
    found = added_rows.move(events, design, np.arange(200), is_new)
    alone = cloglog.scoring(events[~is_new], design[~is_new, :2])
    assert found.converged
    assert found.before[:2] == pytest.approx(alone.params, abs=1e-8)
    assert np.isnan([found.before[2], found.std_err[2]]).all()
    assert np.isfinite(found.now).all()
    assert np.isfinite(found.std_err[:2]).all()


def test_a_column_that_follows_from_the_others_before_is_no_comparison():
    events = np.tile([1, 0, 0, 0], 50)
    is_new = np.arange(200) >= 150
    only_now = np.where(is_new, np.arange(200) % 3, 1.0)
    design = np.column_stack([np.ones(200), only_now])
    assert not added_rows.move(events, design, np.arange(200), is_new).converged


def test_each_group_s_part_makes_the_clustered_covariance():
    draws = np.random.default_rng(20261122)
    design = np.column_stack([np.ones(400), draws.normal(size=400)])
    groups = np.repeat(np.arange(80), 5)
    events = (draws.random(400) < 0.2).astype(float)
    fitted = cloglog.scoring(events, design)
    parts = np.concatenate(list(cloglog.parts(events, design, fitted, groups, 81)))
    assert parts.sum(axis=0) == pytest.approx([0.0, 0.0], abs=1e-8)
    assert (parts[80] == 0).all()
    spread = np.sqrt((parts**2).sum(axis=0))
    clustered = np.sqrt(np.diag(cloglog.clustered(events, design, fitted, groups).cov))
    assert spread == pytest.approx(clustered, rel=0.1)  # that one has observed information


def test_where_nothing_moved_the_interval_holds_no_move_about_as_often_as_it_says():
    draws = np.random.default_rng(20261123)
    held = []
    for _ in range(60):
        accounts = np.tile(np.arange(600), 12)
        month = np.repeat(np.arange(12), 600)
        level = np.tile(draws.random(600) < 0.3, 12)
        design = np.column_stack([np.ones(7200), level, draws.normal(size=7200)])
        hazard = np.exp(design @ np.array([-3.5, -0.7, 0.4]))
        events = draws.random(7200) < -np.expm1(-hazard)
        found = added_rows.move(events, design, accounts, month == 11)
        held.append(np.abs(found.now - found.before) < 1.96 * found.std_err)
    assert 0.90 <= np.mean(held) <= 1.0


def test_a_driver_that_turned_round_in_the_new_month_is_seen():
    draws = np.random.default_rng(20261124)
    month = np.repeat(np.arange(12), 600)
    level = np.tile(draws.random(600) < 0.5, 12).astype(float)
    effect = np.where(month == 11, 2.0, -1.0)
    events = draws.random(7200) < -np.expm1(-np.exp(-3.5 + effect * level))
    design = np.column_stack([np.ones(7200), level])
    found = added_rows.move(events, design, np.tile(np.arange(600), 12), month == 11)
    assert found.now[1] - found.before[1] > 3 * found.std_err[1]
