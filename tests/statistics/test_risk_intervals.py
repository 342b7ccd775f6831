import numpy as np
import pytest

from pipeline.statistics.risk_intervals import number_at_risk, risk_intervals, total_at_risk


def test_a_subject_is_at_risk_after_its_entry_and_until_its_exit():
    subjects = risk_intervals([5, 9, 7], [1, 0, 1], [0, 3, 5])
    times = np.array([0.0, 3, 5, 6, 7, 8, 9, 10])
    assert number_at_risk(subjects, times).tolist() == [1, 1, 2, 2, 2, 1, 1, 0]


def test_a_subject_present_from_the_origin_is_at_risk_at_time_0():
    assert number_at_risk(risk_intervals([0, 4], [1, 0]), np.array([0.0])).tolist() == [2]


def test_weights_add_up_column_by_column_over_those_at_risk():
    subjects = risk_intervals([2, 4], [1, 1], [0, 1])
    weights = np.array([[1.0, 10.0], [2.0, 20.0]])
    assert total_at_risk(subjects, weights, np.array([1.0, 2, 3])).tolist() == [
        [1, 10],
        [3, 30],
        [2, 20],
    ]


@pytest.mark.parametrize(
    ("durations", "codes", "entry", "what"),
    [
        ([-1, 2], [0, 1], None, "1 durations are missing, infinite or negative .row 0: -1"),
        ([np.nan, 2], [0, 1], None, "durations are missing"),
        ([1, 2], [0, 0.5], None, "1 end codes are not"),
        ([1, 2], [0, -1], None, "end codes are not"),
        ([1, 2], [0, 1], [0, 2], "1 durations do not lie after their entry .row 1: 2"),
        ([1, 2], [0, 1], [0, np.nan], "entries are missing"),
        ([1, 2], [0], None, "each subject needs one of each"),
    ],
)
def test_subjects_that_cannot_be_at_risk_are_refused_with_examples(durations, codes, entry, what):
    with pytest.raises(ValueError, match=what):
        risk_intervals(durations, codes, entry)
