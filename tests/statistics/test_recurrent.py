import numpy as np
import pandas as pd
import pytest

from pipeline.statistics.recurrent import mean_count
from tests.statistics.oracle import OWN


def counted(history: pd.DataFrame) -> pd.DataFrame:
    """The mean count of rows (id, start, stop, event) that follow each subject from 0."""
    until = history.groupby("id")["stop"].max()
    position = pd.Series(range(len(until)), index=until.index)
    events = history[history["event"]]
    return mean_count(until, events["id"].map(position), events["stop"])


def test_the_mean_count_and_its_error_equal_r():
    found = counted(pd.read_csv(OWN / "survival_effects_histories.csv"))
    expected = pd.read_csv(OWN / "survival_effects.csv").query("quantity == 'mean_count'")
    for row in expected.itertuples():
        then = found[found["time"] <= float(row.term)].iloc[-1]
        assert then["estimate"] == pytest.approx(row.value, rel=1e-10)
        assert then["std_err"] == pytest.approx(row.se, rel=1e-10)


def test_each_event_adds_one_over_the_number_under_observation():
    # Three subjects; the first has two events and goes on being watched.
    found = mean_count([10, 10, 4], [0, 0, 1], [3, 8, 5])
    assert found["time"].tolist() == [3, 5, 8]
    assert found["at_risk"].tolist() == [3, 2, 2]
    assert found["estimate"].tolist() == pytest.approx([1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1])


def test_the_error_grows_when_the_same_events_fall_on_fewer_subjects():
    times = np.arange(1, 21)
    spread = mean_count(np.full(20, 30.0), np.arange(20), times)
    heaped = mean_count(np.full(20, 30.0), np.repeat([0, 1, 2, 3], 5), times)
    assert heaped["estimate"].tolist() == pytest.approx(spread["estimate"])
    assert heaped["std_err"].iloc[-1] > 1.5 * spread["std_err"].iloc[-1]


def test_an_event_after_the_end_of_the_observation_is_refused():
    with pytest.raises(ValueError, match="1 events lie after the end"):
        mean_count([5, 5], [0, 1], [3, 6])


def test_without_events_there_are_no_rows():
    assert mean_count([5, 5], [], []).empty
