"""Kitagawa's split, on numbers small enough to do by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.statistics.decomposition import mix_and_rate


def test_mix_and_rate_are_what_pencil_and_paper_say():
    parts = mix_and_rate([0.5, 0.5], [0.8, 0.2], [0.10, 0.02], [0.12, 0.02])
    assert parts["mix"].tolist() == pytest.approx([0.3 * 0.11, -0.3 * 0.02])
    assert parts["rate"].tolist() == pytest.approx([0.02 * 0.65, 0.0])


def test_the_two_parts_leave_nothing_over():
    random = np.random.default_rng(20261031)
    before, now = random.dirichlet(np.ones(7)), random.dirichlet(np.ones(7))
    old, new = random.uniform(0, 1, 7), random.uniform(0, 1, 7)
    assert mix_and_rate(before, now, old, new).sum().sum() == pytest.approx(
        now @ new - before @ old
    )


def test_weights_that_are_no_shares_are_refused():
    with pytest.raises(ValueError, match="add up to 3"):
        mix_and_rate([1, 2], [0.5, 0.5], [0, 0], [0, 0])
