import numpy as np
import pytest

from pipeline.statistics.binary_validation import concordance, discrimination


@pytest.mark.parametrize("n_scores", [7, 5_000])
def test_the_chance_counted_by_score_is_that_of_ranks_with_and_without_ties(n_scores):
    draws = np.random.default_rng(20261126)
    score = draws.integers(0, n_scores, 2_000) / n_scores
    happened = draws.random(2_000) < 0.1 + 0.3 * score
    expected = discrimination(score, happened)[0]
    events = happened.astype(float)
    assert concordance(score, events, 1 - events) == pytest.approx(expected, abs=1e-14)
    assert 0.55 < expected < 0.75


def test_the_chance_is_missing_where_fewer_than_two_rows_are_of_a_kind():
    assert np.isnan(concordance(np.array([0.1, 0.3]), np.array([1.0, 0.0]), np.array([0.0, 2.0])))
