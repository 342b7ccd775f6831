"""Pseudo-observations: literal cases, and leaving each subject out by hand."""

import numpy as np
import pytest

from pipeline.statistics.competing_risks import aalen_johansen
from pipeline.statistics.pseudo_values import incidence_pseudo_values

SEED = 20261121


def share(durations: np.ndarray, causes: np.ndarray, time: float) -> float:
    """Incidence of cause 1 at a time."""
    curve = aalen_johansen(durations, causes, n_causes=2).query("cause == 1")
    reached = curve[curve["time"] <= time]
    return float(reached["estimate"].iloc[-1]) if len(reached) else 0.0


def subjects(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Days with many ties, from day 0 on, of two causes and censoring."""
    draws = np.random.default_rng(SEED)
    return draws.integers(0, 15, n), draws.choice([0, 1, 2], n, p=[0.3, 0.5, 0.2])


def test_without_censoring_it_is_whether_the_cause_had_come():
    found = incidence_pseudo_values([3, 5, 8, 8, 20], [1, 2, 1, 2, 1], 1, [4, 8, 30])
    assert found == pytest.approx(
        np.array([[1, 1, 1], [0, 0, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]], dtype=float), abs=1e-12
    )


@pytest.mark.parametrize("time", [0.0, 4.0, 9.5, 14.0])
def test_it_is_n_incidences_less_n_minus_one_without_the_subject(time: float):
    durations, causes = subjects(60)
    n, everybody = len(durations), share(durations, causes, time)
    others = [np.arange(n) != subject for subject in range(n)]
    expected = [n * everybody - (n - 1) * share(durations[o], causes[o], time) for o in others]
    found = incidence_pseudo_values(durations, causes, 1, [time])
    assert found[:, 0] == pytest.approx(np.array(expected), abs=1e-10)


def test_what_comes_after_the_last_time_asked_for_changes_nothing():
    durations, causes = subjects(80)
    later = np.where(durations > 6, durations + 100, durations)
    found = [incidence_pseudo_values(each, causes, 1, [6]) for each in (durations, later)]
    assert found[0] == pytest.approx(found[1], abs=1e-12)
