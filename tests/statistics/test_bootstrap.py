"""Draws of a bootstrap: each as large as the sample, and the same in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics import bootstrap

SEED = 20261122


@pytest.mark.parametrize("most_counts", [1, 70, 1_000])
def test_draws_are_the_same_whatever_the_size_of_a_block(monkeypatch, most_counts):
    at_once = np.random.default_rng(SEED).multinomial(7, np.full(7, 1 / 7), 25)
    monkeypatch.setattr(bootstrap, "MOST_COUNTS", most_counts)

    blocks = list(bootstrap.drawn(7, 25, np.random.default_rng(SEED)))

    assert max(map(len, blocks)) == min(25, max(1, most_counts // 7))
    assert np.concatenate(blocks).tolist() == at_once.tolist()


def test_every_draw_has_as_many_subjects_as_the_sample():
    (draws,) = bootstrap.drawn(30, 40, np.random.default_rng(SEED))

    assert draws.shape == (40, 30)
    assert set(draws.sum(axis=1)) == {30}
